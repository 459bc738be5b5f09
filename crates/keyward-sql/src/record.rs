//! Records as rows.

use std::borrow::Cow;

use keyward::key::{Argon2Hash, Epoch, KeyDigest, KeyId, Record, Slot, StoredSecret};
use keyward::{AddressList, Fault, Timestamp};

use crate::connection::{Row, Value, values};
use crate::failure::{Failure, Outcome};

/// The columns of a record. `k` is the key, `c` its current secret, `p` its previous one.
macro_rules! record_columns {
    () => {
        "SELECT k.id, k.name, k.kind, k.owner, k.scopes, k.created, k.not_before, k.expires, k.revoked, \
     k.disabled, k.networks, k.resource_pattern, k.limits, k.metadata, k.epoch, \
     c.number, c.pepper, c.digest, c.handle, c.phc, c.prefix, c.grace_ends, \
     p.number, p.pepper, p.digest, p.handle, p.phc, p.prefix, p.grace_ends "
    };
}

/// Their secrets. A key that has none is damage, and has to be told: an inner join would call it unknown.
macro_rules! join_secrets {
    () => {
        " LEFT JOIN keyward_secrets c ON c.key_id = k.id AND c.slot = 'current' \
     LEFT JOIN keyward_secrets p ON p.key_id = k.id AND p.slot = 'previous'"
    };
}

/// Selects records, one in a row. What follows may name `k` and `c`.
pub(crate) const SELECT_RECORD: &str = concat!(record_columns!(), "FROM keyward_keys k", join_secrets!());

/// Selects the records with the ids in the column `key_id` of `found`, which comes before. Where there is none with an id, its
/// row is empty.
pub(crate) const SELECT_FOUND: &str =
    concat!(record_columns!(), "FROM found LEFT JOIN keyward_keys k ON k.id = found.key_id", join_secrets!());

/// The record in a row of [`SELECT_RECORD`].
pub(crate) fn read_record(row: &Row) -> Outcome<Record> {
    let Some(id) = row.get::<Option<String>>(0)? else {
        let text = "a row of keyward_secrets names a key that keyward_keys has not: restore a backup";
        return Err(Failure::Damaged(Fault::new(text)));
    };
    let bad = |what: &str| {
        let text = format!("the row of key {id} in keyward_keys is damaged: {what}; mend it, or restore a backup");
        Failure::Damaged(Fault::new(text))
    };
    let time = |column: usize| Ok::<_, Failure>(row.get::<Option<i64>>(column)?.map(Timestamp::from_unix_nanoseconds));
    let text = |column: usize| Ok::<_, Failure>(row.get::<Option<String>>(column)?.map(|text| read_text(&text).into_owned()));

    let epoch: Vec<u8> = row.get(14)?;
    let epoch = Epoch::from_bytes(epoch.try_into().map_err(|_| bad("`epoch` is not 16 bytes"))?);
    let current = read_slot(row, 15, &bad)?.ok_or_else(|| bad("it has no current secret"))?;
    let created = Timestamp::from_unix_nanoseconds(row.get(5)?);
    let key_id: KeyId = id.parse().map_err(|_| bad("`id` is none"))?;
    let mut record = Record::new(key_id, text(1)?.unwrap_or_default(), created, epoch, current);
    record.kind = text(2)?.map(Into::into);
    record.owner = text(3)?.map(Into::into);
    record.scopes = serde_json::from_str(&row.get::<String>(4)?).map_err(|_| bad("`scopes` is no list of scopes"))?;
    record.not_before = time(6)?;
    record.expires = time(7)?;
    if let Some(at) = time(8)? {
        record.revoke(at);
    }
    record.disabled = row.get::<i64>(9)? != 0;
    if let Some(networks) = row.get::<Option<String>>(10)? {
        let networks: Vec<String> = serde_json::from_str(&networks).map_err(|_| bad("`networks` is no list"))?;
        record.networks = Some(AddressList::parse(networks).map_err(|error| bad(&error.to_string()))?);
    }
    if let Some(pattern) = row.get::<Option<String>>(11)? {
        record.resource_pattern = Some(pattern.parse().map_err(|error| bad(&format!("`resource_pattern` {error}")))?);
    }
    if let Some(limits) = row.get::<Option<String>>(12)? {
        record.limits = Some(serde_json::from_str(&limits).map_err(|_| bad("`limits` is no list of limits"))?);
    }
    record.metadata = serde_json::from_str(&row.get::<String>(13)?).map_err(|_| bad("`metadata` is no object of texts"))?;
    record.previous = read_slot(row, 22, &bad)?;
    Ok(record)
}

fn read_slot(row: &Row, first: usize, bad: &dyn Fn(&str) -> Failure) -> Outcome<Option<Slot>> {
    let Some(number) = row.get::<Option<i64>>(first)? else { return Ok(None) };
    let secret = match (row.get::<Option<i64>>(first + 1)?, row.get::<Option<Vec<u8>>>(first + 2)?) {
        (Some(pepper), Some(digest)) => {
            let pepper = u16::try_from(pepper).map_err(|_| bad("a pepper's version is out of range"))?;
            StoredSecret::Digest(KeyDigest::from_bytes(pepper, digest.try_into().map_err(|_| bad("a digest is not 32 bytes"))?))
        }
        _ => {
            let (handle, phc): (Option<String>, Option<String>) = (row.get(first + 3)?, row.get(first + 4)?);
            let hash = Argon2Hash::from_phc(&handle.unwrap_or_default(), &phc.unwrap_or_default());
            StoredSecret::Argon2(hash.map_err(|error| bad(&error.to_string()))?)
        }
    };
    let mut slot = Slot::new(secret, read_text(&row.get::<String>(first + 5)?));
    slot.number = u32::try_from(number).map_err(|_| bad("the number of a secret is out of range"))?;
    slot.grace_ends = row.get::<Option<i64>>(first + 6)?.map(Timestamp::from_unix_nanoseconds);
    Ok(Some(slot))
}

/// The columns that [`key_values`] gives, in this order.
pub(crate) const KEY_COLUMNS: &str = "id, revision, name, kind, owner, scopes, created, not_before, expires, revoked, disabled, networks, resource_pattern, limits, metadata, epoch";

/// A record without its secrets.
pub(crate) fn key_values(record: &Record, revision: i64) -> Vec<Value> {
    let time = |time: Option<Timestamp>| time.map(Timestamp::unix_nanoseconds);
    let networks: Option<Vec<String>> =
        record.networks.as_ref().map(|list| list.iter().map(|network| network.to_string()).collect());
    values![
        record.id.as_str(),
        revision,
        text(&record.name),
        record.kind.as_deref().map(text),
        record.owner.as_deref().map(text),
        json(&record.scopes),
        record.created.unix_nanoseconds(),
        time(record.not_before),
        time(record.expires),
        time(record.revoked_at()),
        i64::from(record.disabled),
        networks.map(|networks| json(&networks)),
        record.resource_pattern.as_ref().map(ToString::to_string),
        record.limits.as_ref().map(json),
        json(&record.metadata),
        record.epoch.to_bytes().to_vec(),
    ]
}

/// The columns that [`slot_values`] gives, in this order.
pub(crate) const SLOT_COLUMNS: &str = "key_id, slot, number, pepper, digest, handle, phc, prefix, grace_ends";

/// A record's secrets, each in a row.
pub(crate) fn slot_values(record: &Record) -> impl Iterator<Item = Vec<Value>> {
    record.slots().zip(["current", "previous"]).map(|(slot, place)| {
        let (digest, hash) = match &slot.secret {
            StoredSecret::Digest(digest) => (Some(digest), None),
            StoredSecret::Argon2(hash) => (None, Some(hash)),
        };
        values![
            record.id.as_str(),
            place,
            i64::from(slot.number),
            digest.map(|digest| i64::from(digest.pepper())),
            digest.map(|digest| digest.to_bytes().to_vec()),
            hash.map(|hash| hash.handle().to_owned()),
            hash.map(|hash| hash.phc().to_owned()),
            text(&slot.prefix),
            slot.grace_ends.map(Timestamp::unix_nanoseconds),
        ]
    })
}

pub(crate) fn json(value: &impl serde::Serialize) -> String {
    // Texts, numbers, lists and maps of texts: nothing that JSON has no form for.
    serde_json::to_string(value).unwrap_or_default()
}

/// A text as it is stored: PostgreSQL's cannot hold a NUL.
pub(crate) fn text(text: &str) -> String {
    if text.contains(['\\', '\0']) { text.replace('\\', r"\\").replace('\0', r"\0") } else { text.to_owned() }
}

/// What [`text`] was made from.
pub(crate) fn read_text(stored: &str) -> Cow<'_, str> {
    if !stored.contains('\\') {
        return stored.into();
    }
    let (mut text, mut characters) = (String::with_capacity(stored.len()), stored.chars());
    while let Some(character) = characters.next() {
        text.push(match character {
            '\\' if characters.next() == Some('0') => '\0',
            other => other,
        });
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_begins_with_what_it_began_with() {
        for original in ["", "\\", "\\0", "\0", "a\0b\\c", "\\\\0\0", "\u{1f511}'\""] {
            let stored = text(original);
            assert!(!stored.contains('\0'));
            assert_eq!(read_text(&stored), original);
            for (end, _) in original.char_indices() {
                assert!(stored.starts_with(&text(&original[..end])), "{original:?}");
            }
        }
        assert!(!text("\0").starts_with(&text("\\")), "the stored form of NUL begins with no backslash's");
    }
}
