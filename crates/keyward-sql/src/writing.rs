//! A change on its way into the database.
//!
//! Every change begins by counting up the one row of `keyward_store`, and holds that row until it is committed. So changes are
//! made one after the other, each sees all that were made before it, and what is checked is still so when it is written: two
//! of them cannot pass by each other's checks, which unique indexes alone would not prevent for handles and for prefixes.
//! And whoever reads the counter has every change up to it. Not a sequence: its numbers are drawn in one order and committed in
//! another, and who had read up to 8 would never see 7.

use keyward::key::Record;
use keyward::store::Journalled;

use crate::connection::{Dialect, Row, Session, Value, values};
use crate::failure::{Failure, Outcome};
use crate::record::{KEY_COLUMNS, SLOT_COLUMNS, key_values, read_record, slot_values, text};

/// Changes of more records than this are given more memory.
const MANY: i64 = 10_000;

#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) session: Session,
    /// The number of this change.
    pub(crate) revision: i64,
    /// The number of the latest row in the journal.
    journalled: i64,
}

impl Writing {
    pub(crate) async fn begin(session: Outcome<Session>, rows: usize) -> Outcome<Self> {
        let mut session = session?;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let counted = session
            .rows(
                "UPDATE keyward_store SET revision = revision + 1, journalled = journalled + $1 RETURNING revision, journalled",
                values![rows],
            )
            .await?;
        let row = counted.first().ok_or_else(|| Failure::fault("keyward_store has no row: restore a backup"))?;
        if rows > MANY {
            session.widen().await?;
        }
        Ok(Self { revision: row.get(0)?, journalled: row.get::<i64>(1)? - rows, session })
    }

    pub(crate) async fn rows(&mut self, sql: impl Into<std::borrow::Cow<'static, str>>, values: Vec<Value>) -> Outcome<Vec<Row>> {
        self.session.rows(sql, values).await
    }

    pub(crate) async fn run(&mut self, sql: impl Into<std::borrow::Cow<'static, str>>, values: Vec<Value>) -> Outcome<u64> {
        self.session.run(sql, values).await
    }

    /// Adds rows to a table, each with as many values as it has columns.
    pub(crate) async fn add(&mut self, table: &str, columns: &str, rows: Vec<Vec<Value>>) -> Outcome<()> {
        let Some(first) = rows.first() else { return Ok(()) };
        let dialect = self.session.dialect();
        let insert = match dialect {
            // A row that breaks a constraint ends the transaction anyway. Without saying so, SQLite would first copy every page that
            // many rows touch to a file, to be able to take back this statement alone.
            Dialect::Sqlite => "INSERT OR ROLLBACK",
            Dialect::Postgres => "INSERT",
        };
        let places = dialect.values(rows.len(), first.len());
        self.run(format!("{insert} INTO {table} ({columns}) {places}"), rows.into_iter().flatten().collect()).await.map(drop)
    }

    pub(crate) async fn add_secrets(&mut self, record: &Record) -> Outcome<()> {
        self.add("keyward_secrets", SLOT_COLUMNS, slot_values(record).collect()).await
    }

    /// Writes a record's columns over those that are there.
    pub(crate) async fn update_key(&mut self, record: &Record) -> Outcome<()> {
        let values = key_values(record, self.revision);
        let places: Vec<String> = (1..=values.len()).map(|number| format!("${number}")).collect();
        let sql = format!("UPDATE keyward_keys SET ({KEY_COLUMNS}) = ({}) WHERE id = $1", places.join(", "));
        self.run(sql, values).await.map(drop)
    }

    /// Adds rows to the journal, and gives them their numbers.
    pub(crate) async fn journal(&mut self, rows: Vec<JournalRow>) -> Outcome<()> {
        let rows = rows.into_iter().map(|JournalRow(mut row)| {
            self.journalled += 1;
            row.push(self.journalled.into());
            row
        });
        let rows = rows.collect();
        self.add("keyward_journal", "made_at, actor, action, key_id, record_before, record_after, number", rows).await
    }

    /// The record with an id.
    pub(crate) async fn get(&mut self, id: &str) -> Outcome<Option<Record>> {
        let rows = self.rows(crate::select::by_id(), values![id]).await?;
        rows.first().map(read_record).transpose()
    }

    pub(crate) async fn commit(mut self) -> Outcome<()> {
        if self.session.dialect() == Dialect::Postgres {
            // Nothing but a hint to look.
            self.session.script("NOTIFY keyward").await?;
        }
        self.session.commit().await
    }

    pub(crate) async fn roll_back(self) -> Outcome<()> {
        self.session.roll_back().await
    }
}

/// A row of the journal that has no number yet.
pub(crate) struct JournalRow(Vec<Value>);

impl JournalRow {
    pub(crate) fn of(row: Journalled) -> Self {
        Self(values![
            row.at.unix_nanoseconds(),
            text(&row.actor),
            &*row.action,
            row.key.as_str(),
            row.before.map(|told| told.to_string()),
            row.after.map(|told| told.to_string()),
        ])
    }
}
