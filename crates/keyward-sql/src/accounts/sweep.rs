//! Removing sessions that nobody can use any more.

use keyward::Timestamp;

use crate::connection::{CHUNK, Dialect, Value, values};
use crate::database::Shared;
use crate::failure::Outcome;

/// Those that are at most so many, by the index of `column`.
macro_rules! first_by {
    ($column:literal) => {
        (
            concat!("SELECT digest FROM keyward_sessions WHERE ", $column, " < $1 ORDER BY ", $column, " LIMIT $2"),
            // One that somebody is just now ending, or is seen just now, is left to the next sweep: so this waits for nobody.
            concat!(
                "SELECT digest FROM keyward_sessions WHERE ",
                $column,
                " < $1 ORDER BY ",
                $column,
                " LIMIT $2 FOR UPDATE SKIP LOCKED"
            ),
        )
    };
}

impl Shared {
    /// A few at a time, each in a transaction of its own: others get their turn between, however many there are.
    pub(super) async fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Outcome<usize> {
        // Not one statement with OR: the two conditions have an index each.
        let over = self.sweep_by(first_by!("expires"), over_before).await?;
        let unseen = self.sweep_by(first_by!("last_seen"), unseen_since).await?;
        Ok(over + unseen)
    }

    async fn sweep_by(&self, (of_sqlite, of_postgres): (&'static str, &'static str), before: Timestamp) -> Outcome<usize> {
        let mut swept = 0;
        loop {
            let mut writing = self.begin_with(std::future::ready).await?;
            let sql = match writing.dialect() {
                Dialect::Sqlite => of_sqlite,
                Dialect::Postgres => of_postgres,
            };
            let found = writing.rows(sql, values![before.unix_nanoseconds(), CHUNK as i64]).await?;
            if found.is_empty() {
                writing.roll_back().await?;
                return Ok(swept);
            }
            let digests = found.iter().map(|row| row.get::<Vec<u8>>(0).map(Value::from)).collect::<Outcome<Vec<Value>>>()?;
            let places = writing.dialect().values(1, digests.len());
            let places = places.trim_start_matches("VALUES ");
            writing.run(format!("DELETE FROM keyward_sessions WHERE digest IN {places}"), digests).await?;
            writing.commit().await?;
            swept += found.len();
            if found.len() < CHUNK {
                return Ok(swept);
            }
        }
    }
}
