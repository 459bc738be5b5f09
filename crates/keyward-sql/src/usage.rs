//! How secrets were used: summed up in memory, written now and then.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use keyward::Timestamp;
use keyward::key::KeyId;
use keyward::store::{Attribution, Change, DailyCounts, Day, SlotUsage};
use tokio::sync::Notify;

use crate::connection::{CHUNK, Dialect, Row, Session, values};
use crate::database::Shared;
use crate::failure::{Failure, Outcome};

/// Of how many secrets uses are kept while they cannot be written. The ledger keeps some more, and then forgets.
const MOST_UNWRITTEN: usize = 100_000;

/// Writes uses every so often, and whenever it is asked to, until the store is gone.
pub(crate) async fn flush_now_and_then(shared: Weak<Shared>, asked: Arc<Notify>, every: Duration) {
    let mut failed_before = false;
    loop {
        let _ = tokio::time::timeout(every, asked.notified()).await;
        let Some(shared) = shared.upgrade() else { return };
        let flushed = shared.flush_usage().await;
        if let Err(failure) = flushed {
            if !failed_before {
                tracing::warn!(target: "keyward", fault = %failure.into_fault(), "uses could not be written; they are kept for the next time");
            }
            failed_before = true;
            drop(shared);
            // However often it is asked to.
            tokio::time::sleep(Duration::from_secs(1).min(every)).await;
        } else {
            failed_before = false;
        }
    }
}

const FORGET: &str = "DELETE FROM keyward_usage_days WHERE (key_id, number, day) IN \
    (SELECT key_id, number, day FROM keyward_usage_days WHERE day <= $1 ORDER BY day LIMIT $2)";
const FORGET_TOGETHER: &str = "DELETE FROM keyward_usage_days WHERE (key_id, number, day) IN \
    (SELECT key_id, number, day FROM keyward_usage_days WHERE day <= $1 ORDER BY day LIMIT $2 FOR UPDATE SKIP LOCKED)";

impl Shared {
    /// Writes all uses that are not written yet. Takes no revision: nobody has to reread a record for it.
    pub(crate) async fn flush_usage(&self) -> Outcome<()> {
        let mut unwritten = self.unwritten.lock().await;
        if unwritten.len() < MOST_UNWRITTEN {
            let mut sums: HashMap<(KeyId, u32), SlotUsage> =
                unwritten.drain(..).map(|usage| ((usage.id, usage.number), usage)).collect();
            for usage in self.ledger.take() {
                let at = (usage.id, usage.number);
                let sum = match sums.remove(&at) {
                    Some(before) => before.merged(usage),
                    None => usage,
                };
                sums.insert(at, sum);
            }
            unwritten.extend(sums.into_values());
        }
        if unwritten.is_empty() {
            return Ok(());
        }
        // In one order: two nodes that write at once never wait for each other in a circle.
        unwritten.sort_by_key(|usage| (usage.id, usage.number));
        self.write_usage(&unwritten).await?;
        // Locked until the end: whoever closes the store waits for this.
        for SlotUsage { id, number, last_used, better_digest, .. } in std::mem::take(&mut *unwritten) {
            let Some(digest) = better_digest else { continue };
            let by = Attribution { actor: "rehash on use".into(), at: last_used };
            match self.change(&id, Change::Rehash { number, digest }, &by).await {
                // Refused where the key was changed meanwhile, and then there is nothing to do. A damaged record told itself.
                Ok(_) | Err(Failure::Refused(_) | Failure::Damaged(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    async fn write_usage(&self, usage: &[SlotUsage]) -> Outcome<()> {
        let mut session = self.pools.writer(self.settings.deadline).await?;
        for chunk in usage.chunks(CHUNK) {
            let places = session.dialect().values(chunk.len(), 6);
            // A key that was purged meanwhile has no uses.
            let sql = format!(
                "WITH given (key_id, number, count, last_used, network, source) AS ({places}) \
                 INSERT INTO keyward_usage (key_id, number, count, last_used, network, source) \
                 SELECT g.key_id, g.number, g.count, g.last_used, g.network, g.source FROM given g \
                 WHERE EXISTS (SELECT 1 FROM keyward_keys k WHERE k.id = g.key_id) \
                 ON CONFLICT (key_id, number) DO UPDATE SET \
                 count = keyward_usage.count + excluded.count, \
                 network = CASE WHEN excluded.last_used >= keyward_usage.last_used THEN excluded.network ELSE keyward_usage.network END, \
                 source = CASE WHEN excluded.last_used >= keyward_usage.last_used THEN excluded.source ELSE keyward_usage.source END, \
                 last_used = CASE WHEN excluded.last_used >= keyward_usage.last_used THEN excluded.last_used ELSE keyward_usage.last_used END"
            );
            let values = chunk.iter().flat_map(|usage| {
                values![
                    usage.id.as_str(),
                    i64::from(usage.number),
                    i64::try_from(usage.count).unwrap_or(i64::MAX),
                    usage.last_used.unix_nanoseconds(),
                    usage.network.map(|network| network.to_string()),
                    usage.source.map(|source| source.as_str().to_owned()),
                ]
            });
            session.run(sql, values.collect()).await?;
        }
        self.write_days(&mut session, usage).await?;
        session.commit().await
    }

    async fn write_days(&self, session: &mut Session, usage: &[SlotUsage]) -> Outcome<()> {
        let days = usage.iter().flat_map(|usage| usage.days.iter().map(move |(day, count)| (usage, day, count)));
        let days: Vec<(&SlotUsage, Day, u64)> = days.collect();
        for chunk in days.chunks(CHUNK) {
            let places = session.dialect().values(chunk.len(), 4);
            let sql = format!(
                "WITH given (key_id, number, day, count) AS ({places}) \
                 INSERT INTO keyward_usage_days (key_id, number, day, count) \
                 SELECT g.key_id, g.number, g.day, g.count FROM given g \
                 WHERE EXISTS (SELECT 1 FROM keyward_keys k WHERE k.id = g.key_id) \
                 ON CONFLICT (key_id, number, day) DO UPDATE SET count = keyward_usage_days.count + excluded.count"
            );
            let values = chunk.iter().flat_map(|(usage, day, count)| {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                values![usage.id.as_str(), i64::from(usage.number), day.number(), count]
            });
            session.run(sql, values.collect()).await?;
        }
        let Some(latest) = days.iter().map(|(_, day, _)| *day).max() else { return Ok(()) };
        // A few each time, and there is always a next time: a day of a million keys is not forgotten while others wait.
        let forget = match session.dialect() {
            Dialect::Sqlite => FORGET,
            // What another node is just now forgetting is left to it: so this waits for nobody.
            Dialect::Postgres => FORGET_TOGETHER,
        };
        let last_forgotten = latest.before(DailyCounts::DAYS).number();
        session.run(forget, values![last_forgotten, CHUNK as i64]).await.map(drop)
    }

    /// What is stored, and what was noted until now.
    pub(crate) async fn usage(&self, ids: &[KeyId]) -> Outcome<Vec<SlotUsage>> {
        if !self.settings.read_only {
            self.flush_usage().await?;
        }
        let mut by_id: HashMap<KeyId, Vec<SlotUsage>> = HashMap::new();
        for chunk in ids.chunks(CHUNK) {
            let places = self.pools.dialect().values(chunk.len(), 1);
            let sql = format!(
                "WITH given (key_id) AS ({places}) \
                 SELECT u.key_id, u.number, u.count, u.last_used, u.network, u.source FROM keyward_usage u \
                 WHERE u.key_id IN (SELECT key_id FROM given) ORDER BY u.key_id, u.number"
            );
            let rows = self.read(sql, || chunk.iter().map(|id| id.as_str().into()).collect()).await?;
            for usage in rows.iter().map(read_usage) {
                let usage = usage?;
                by_id.entry(usage.id).or_default().push(usage);
            }
            let sql = format!(
                "WITH given (key_id) AS ({places}) \
                 SELECT d.key_id, d.number, d.day, d.count FROM keyward_usage_days d \
                 WHERE d.key_id IN (SELECT key_id FROM given)"
            );
            let rows = self.read(sql, || chunk.iter().map(|id| id.as_str().into()).collect()).await?;
            for row in &rows {
                let (id, number, day, count) = read_day(row)?;
                let of_key = by_id.get_mut(&id).into_iter().flatten();
                of_key.filter(|usage| usage.number == number).for_each(|usage| usage.days.add(day, count));
            }
        }
        Ok(ids.iter().filter_map(|id| by_id.remove(id)).flatten().collect())
    }
}

fn damaged(id: &str, table: &str) -> Failure {
    Failure::fault(format!("a row of key {id} in {table} is damaged: delete it"))
}

fn read_day(row: &Row) -> Outcome<(KeyId, u32, Day, u64)> {
    let id: String = row.get(0)?;
    let bad = || damaged(&id, "keyward_usage_days");
    Ok((
        id.parse().map_err(|_| bad())?,
        u32::try_from(row.get::<i64>(1)?).map_err(|_| bad())?,
        Day::numbered(row.get(2)?),
        u64::try_from(row.get::<i64>(3)?).map_err(|_| bad())?,
    ))
}

fn read_usage(row: &Row) -> Outcome<SlotUsage> {
    let id: String = row.get(0)?;
    let bad = || damaged(&id, "keyward_usage");
    let (network, source): (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
    Ok(SlotUsage {
        id: id.parse().map_err(|_| bad())?,
        number: u32::try_from(row.get::<i64>(1)?).map_err(|_| bad())?,
        count: u64::try_from(row.get::<i64>(2)?).map_err(|_| bad())?,
        days: DailyCounts::default(),
        last_used: Timestamp::from_unix_nanoseconds(row.get(3)?),
        network: network.map(|network| network.parse()).transpose().map_err(|_| bad())?,
        source: source.map(|source| source.parse()).transpose().map_err(|_| bad())?,
        better_digest: None,
    })
}
