//! Looking for records.

use std::sync::Arc;

use keyward::key::{KeyDigest, KeyId, Record, State, StoredSecret};
use keyward::store::{Filter, Journalled};
use keyward::{Fault, Timestamp};

use crate::connection::{Value, values};
use crate::database::Shared;
use crate::failure::{Failure, Outcome};
use crate::record::{SELECT_FOUND, SELECT_RECORD, read_record, read_text, text};

impl Shared {
    pub(crate) async fn find(&self, digests: &[KeyDigest], handles: &[String]) -> Outcome<Option<Arc<Record>>> {
        let has = |record: &Record, secret: &dyn Fn(&StoredSecret) -> bool| record.slots().any(|slot| secret(&slot.secret));
        if !digests.is_empty() {
            let sql = by_secrets("digest = $ AND pepper = $", digests.len());
            let values =
                || digests.iter().flat_map(|digest| values![digest.to_bytes().to_vec(), i64::from(digest.pepper())]).collect();
            let found = self.records(sql, values).await?;
            let first = |digest: &KeyDigest| {
                found
                    .iter()
                    .find(|record| has(record, &|secret| matches!(secret, StoredSecret::Digest(stored) if stored == digest)))
            };
            if let Some(record) = digests.iter().find_map(first) {
                return Ok(Some(record.clone()));
            }
        }
        if handles.is_empty() {
            return Ok(None);
        }
        let sql = by_secrets("handle = $", handles.len());
        let found = self.records(sql, || handles.iter().map(|handle| text(handle).into()).collect()).await?;
        let first = |handle: &String| {
            found
                .iter()
                .find(|record| has(record, &|secret| matches!(secret, StoredSecret::Argon2(hash) if hash.handle() == handle)))
        };
        Ok(handles.iter().find_map(first).cloned())
    }

    pub(crate) async fn get(&self, id: &KeyId) -> Outcome<Option<Arc<Record>>> {
        Ok(self.records(by_id(), || values![id.as_str()]).await?.pop())
    }

    pub(crate) async fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Outcome<Vec<Arc<Record>>> {
        let (conditions, _) = conditions(filter, after, limit);
        let sql = format!("{SELECT_RECORD} {conditions}");
        let mut records = self.records(sql, || self::conditions(filter, after, limit).1).await?;
        if !self.named.is_empty() {
            // What the database takes for live may be revoked.
            records.retain(|record| filter.matches(record));
        }
        Ok(records)
    }

    async fn records(&self, sql: String, values: impl Fn() -> Vec<Value>) -> Outcome<Vec<Arc<Record>>> {
        let rows = self.read(sql, values).await?;
        let records = rows.iter().map(|row| {
            let record = read_record(row)?;
            if let Some(at) = self.named.get(&record.id)
                && !record.is_revoked()
            {
                record.revoke(*at);
            }
            Ok(Arc::new(record))
        });
        records.collect()
    }

    pub(crate) async fn journal(&self, after: u64, limit: usize) -> Outcome<Vec<Journalled>> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let values = || values![number(after), number(limit as u64)];
        let sql = "SELECT number, made_at, actor, action, key_id, record_before, record_after FROM keyward_journal \
                   WHERE number > $1 ORDER BY number LIMIT $2";
        let rows = self.read(sql.to_owned(), values).await?;
        let rows = rows.iter().map(|row| {
            let number: i64 = row.get(0)?;
            let bad = || Failure::Fault(Fault::new(format!("row {number} of keyward_journal is damaged: restore a backup")));
            let told = |column: usize| {
                let told: Option<String> = row.get(column)?;
                told.map(|told| serde_json::from_str(&told).map_err(|_| bad())).transpose()
            };
            Ok(Journalled {
                number: u64::try_from(number).map_err(|_| bad())?,
                at: Timestamp::from_unix_nanoseconds(row.get(1)?),
                actor: read_text(&row.get::<String>(2)?).into(),
                action: row.get::<String>(3)?.into(),
                key: row.get::<String>(4)?.parse().map_err(|_| bad())?,
                before: told(5)?,
                after: told(6)?,
            })
        });
        rows.collect()
    }
}

/// Selects the record with the id `$1`.
pub(crate) fn by_id() -> String {
    format!("{SELECT_RECORD} WHERE k.id = $1")
}

/// Selects the records that have one of so many secrets. `$` is a place for a value.
fn by_secrets(condition: &str, count: usize) -> String {
    let mut number = 0;
    let mut one = || {
        let mut numbered = String::new();
        for piece in condition.split_inclusive('$') {
            numbered.push_str(piece);
            if piece.ends_with('$') {
                number += 1;
                numbered.push_str(&number.to_string());
            }
        }
        format!("SELECT key_id FROM keyward_secrets WHERE {numbered} AND slot IS NOT NULL")
    };
    let all: Vec<String> = (0..count).map(|_| one()).collect();
    format!("WITH found AS ({}) {SELECT_FOUND}", all.join(" UNION ALL "))
}

/// [`Filter::matches`] as SQL.
fn conditions(filter: &Filter, after: Option<KeyId>, limit: usize) -> (String, Vec<Value>) {
    let (mut sql, mut values) = (Vec::new(), Vec::new());
    let mut add = |condition: &str, value: Value| {
        values.push(value);
        sql.push(condition.replace('$', &format!("${}", values.len())));
    };
    // Also where it says nothing: without a place to begin at, SQLite goes through all secrets, and sorts what it has found.
    add("k.id > $", after.as_ref().map_or("", KeyId::as_str).into());
    if let Some(owner) = &filter.owner {
        add("k.owner = $", text(owner).into());
    }
    if let Some(kind) = &filter.kind {
        add("k.kind = $", text(kind).into());
    }
    if let Some(prefix) = filter.prefix.as_deref().map(text).filter(|prefix| !prefix.is_empty()) {
        add("c.prefix >= $", prefix.as_str().into());
        if let Some(end) = behind_all(&prefix) {
            add("c.prefix < $", end.into());
        }
    }
    if let Some((state, now)) = filter.state {
        add(state_condition(state), now.unix_nanoseconds().into());
    }
    if let Some(from) = filter.created_from {
        add("k.created >= $", from.unix_nanoseconds().into());
    }
    if let Some(before) = filter.created_before {
        add("k.created < $", before.unix_nanoseconds().into());
    }
    if let Some(before) = filter.revoked_before {
        add("k.revoked < $", before.unix_nanoseconds().into());
    }
    let conditions = if sql.is_empty() { String::new() } else { format!("WHERE {}", sql.join(" AND ")) };
    values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
    (format!("{conditions} ORDER BY k.id LIMIT ${}", values.len()), values)
}

/// [`State::of`], at the time `$`.
fn state_condition(state: State) -> &'static str {
    macro_rules! live_so_far {
        ($and:literal) => {
            concat!("k.revoked IS NULL AND k.disabled = 0 AND ", $and)
        };
    }
    match state {
        State::Revoked => "(k.revoked IS NOT NULL AND $ IS NOT NULL)",
        State::Disabled => "(k.revoked IS NULL AND k.disabled = 1 AND $ IS NOT NULL)",
        State::Expired => live_so_far!("(coalesce(k.expires <= $, FALSE) OR coalesce(c.grace_ends <= $, FALSE))"),
        State::NotYetValid => {
            live_so_far!("coalesce(k.expires > $, TRUE) AND coalesce(c.grace_ends > $, TRUE) AND k.not_before > $")
        }
        State::Live => {
            live_so_far!(
                "coalesce(k.expires > $, TRUE) AND coalesce(c.grace_ends > $, TRUE) AND coalesce(k.not_before <= $, TRUE)"
            )
        }
        // A state that this version does not know has nobody.
        _ => "$ IS NULL",
    }
}

/// The first text behind all that begin with this one, by their bytes. None: nothing is behind them.
fn behind_all(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_all_that_begin_alike() {
        assert_eq!(behind_all("kw_").as_deref(), Some("kw`"));
        assert_eq!(behind_all("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind_all("a\u{10ffff}\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind_all("\u{10ffff}"), None);
    }
}
