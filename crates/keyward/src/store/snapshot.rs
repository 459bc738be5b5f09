//! A whole store as one document, for stores that write all of it at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{DailyCounts, Journalled, SlotUsage};
use crate::clock::Timestamp;
use crate::key::{Argon2Hash, Epoch, KeyDigest, KeyId, Record, Slot, StoredSecret};
use crate::limit::Quota;
use crate::network::AddressList;
use crate::scope::Scope;

/// All that a store in memory knows. Holds no key: digests and hashes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Snapshot {
    /// The records, in the order of their ids.
    pub keys: Vec<StoredRecord>,
    /// Prefixes of generated keys.
    #[serde(default)]
    pub prefixes: Vec<String>,
    /// Digests and handles of secrets that no record has any more (R7.4): `sha256:…`, `hmac-sha256:VERSION:…` or `handle:…`.
    #[serde(default)]
    pub retired: Vec<String>,
    /// What was done once.
    #[serde(default)]
    pub done: Vec<String>,
    /// How secrets were used.
    #[serde(default)]
    pub usage: Vec<StoredUsage>,
    /// The latest changes.
    #[serde(default)]
    pub journal: Vec<Journalled>,
}

/// A record, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of Record")]
pub struct StoredRecord {
    pub id: KeyId,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Scope>,
    #[serde(with = "exact")]
    pub created: Timestamp,
    #[serde(default, with = "exact_or_none", skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    #[serde(default, with = "exact_or_none", skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    #[serde(default, with = "exact_or_none", skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub networks: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_pattern: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Vec<Quota>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// In hexadecimal digits.
    pub epoch: String,
    pub current: StoredSlot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<StoredSlot>,
    /// The digest of a prefix that cannot be bound because of this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_prefix: Option<String>,
}

/// One secret of a record, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredSlot {
    /// `sha256:…`, `hmac-sha256:VERSION:…` or a PHC string.
    pub secret: String,
    /// The handle of a PHC string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// What may be shown of it.
    pub prefix: String,
    /// How many secrets there were before.
    #[serde(default)]
    pub number: u32,
    /// Until when it is accepted.
    #[serde(default, with = "exact_or_none", skip_serializing_if = "Option::is_none")]
    pub grace_ends: Option<Timestamp>,
}

/// The uses of one secret, as stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of SlotUsage")]
pub struct StoredUsage {
    pub id: KeyId,
    #[serde(default)]
    pub number: u32,
    pub count: u64,
    #[serde(default, skip_serializing_if = "DailyCounts::is_empty")]
    pub days: DailyCounts,
    #[serde(with = "exact")]
    pub last_used: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A snapshot that cannot be a store's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct BadSnapshot {
    place: String,
    problem: String,
}

impl BadSnapshot {
    pub(crate) fn new(place: impl Into<String>, problem: impl ToString) -> Self {
        Self { place: place.into(), problem: problem.to_string() }
    }
}

impl StoredRecord {
    /// A record in this form.
    pub fn of(record: &Record, foreign_prefix: Option<KeyDigest>) -> Self {
        Self {
            id: record.id,
            name: record.name.to_string(),
            kind: record.kind.as_deref().map(str::to_owned),
            owner: record.owner.as_deref().map(str::to_owned),
            scopes: record.scopes.clone(),
            created: record.created,
            not_before: record.not_before,
            expires: record.expires,
            revoked: record.revoked_at(),
            disabled: record.disabled,
            networks: record.networks.as_ref().map(|networks| networks.iter().map(|network| network.to_string()).collect()),
            resource_pattern: record.resource_pattern.as_ref().map(ToString::to_string),
            limits: record.limits.clone(),
            metadata: record.metadata.clone(),
            epoch: hex(&record.epoch.to_bytes()),
            current: StoredSlot::of(&record.current),
            previous: record.previous.as_ref().map(StoredSlot::of),
            foreign_prefix: foreign_prefix.map(|digest| hex(&digest.to_bytes())),
        }
    }

    /// The record, and the digest of the prefix that cannot be bound because of it.
    ///
    /// # Errors
    /// [`BadSnapshot`], with the record's id.
    pub fn read(&self) -> Result<(Record, Option<KeyDigest>), BadSnapshot> {
        let bad = |problem: &str| BadSnapshot::new(format!("key {}", self.id), problem);
        let epoch = Epoch::from_bytes(unhex(&self.epoch).ok_or_else(|| bad("`epoch` is not 32 hexadecimal digits"))?);
        let slot = |slot: &StoredSlot| slot.read().map_err(|problem| bad(&problem));
        let mut record = Record::new(self.id, self.name.as_str(), self.created, epoch, slot(&self.current)?);
        record.kind = self.kind.as_deref().map(Into::into);
        record.owner = self.owner.as_deref().map(Into::into);
        record.scopes.clone_from(&self.scopes);
        record.not_before = self.not_before;
        record.expires = self.expires;
        record.disabled = self.disabled;
        let networks = self.networks.as_ref().map(AddressList::stored).transpose();
        record.networks = networks.map_err(|error| bad(&error.to_string()))?;
        if record.networks.as_ref().is_some_and(AddressList::is_empty) {
            return Err(bad("`networks` is empty, which admits nobody: leave it out for anybody"));
        }
        let pattern = self.resource_pattern.as_ref().map(|written| written.parse()).transpose();
        record.resource_pattern =
            pattern.map_err(|error: crate::path::BadPathPattern| bad(&format!("`resource_pattern` {error}")))?;
        record.limits.clone_from(&self.limits);
        record.metadata.clone_from(&self.metadata);
        record.previous = self.previous.as_ref().map(slot).transpose()?;
        if let Some(at) = self.revoked {
            record.revoke(at);
        }
        let foreign = self.foreign_prefix.as_ref().map(|digits| {
            let bytes = unhex(digits).ok_or_else(|| bad("`foreign_prefix` is not 64 hexadecimal digits"))?;
            Ok(KeyDigest::from_bytes(0, bytes))
        });
        Ok((record, foreign.transpose()?))
    }
}

impl StoredSlot {
    fn of(slot: &Slot) -> Self {
        let (secret, handle) = match &slot.secret {
            StoredSecret::Digest(digest) => (digest_text(digest), None),
            StoredSecret::Argon2(hash) => (hash.phc().to_owned(), Some(hash.handle().to_owned())),
        };
        Self { secret, handle, prefix: slot.prefix.to_string(), number: slot.number, grace_ends: slot.grace_ends }
    }

    fn read(&self) -> Result<Slot, String> {
        let secret = match &self.handle {
            None => read_digest(&self.secret).map(StoredSecret::Digest).ok_or("`secret` is no digest")?,
            Some(handle) => {
                let hash = Argon2Hash::from_phc(handle, &self.secret).map_err(|error| error.to_string())?;
                StoredSecret::Argon2(hash)
            }
        };
        let mut slot = Slot::new(secret, self.prefix.as_str());
        slot.number = self.number;
        slot.grace_ends = self.grace_ends;
        Ok(slot)
    }
}

impl StoredUsage {
    pub(crate) fn of(usage: &SlotUsage) -> Self {
        Self {
            id: usage.id,
            number: usage.number,
            count: usage.count,
            days: usage.days.clone(),
            last_used: usage.last_used,
            network: usage.network,
            source: usage.source.map(|source| source.as_str().to_owned()),
        }
    }

    pub(crate) fn read(&self) -> Result<SlotUsage, BadSnapshot> {
        let source = self.source.as_ref().map(|source| source.parse()).transpose();
        Ok(SlotUsage {
            id: self.id,
            number: self.number,
            count: self.count,
            days: self.days.clone(),
            last_used: self.last_used,
            network: self.network,
            source: source.map_err(|error| BadSnapshot::new(format!("usage of key {}", self.id), error))?,
            better_digest: None,
        })
    }
}

/// `sha256:…`, or `hmac-sha256:VERSION:…`.
pub(crate) fn digest_text(digest: &KeyDigest) -> String {
    let digits = hex(&digest.to_bytes());
    match digest.pepper() {
        0 => format!("sha256:{digits}"),
        version => format!("hmac-sha256:{version}:{digits}"),
    }
}

pub(crate) fn read_digest(text: &str) -> Option<KeyDigest> {
    if let Some(digits) = text.strip_prefix("sha256:") {
        return Some(KeyDigest::from_bytes(0, unhex(digits)?));
    }
    let (version, digits) = text.strip_prefix("hmac-sha256:")?.split_once(':')?;
    let version = version.parse().ok().filter(|version| *version != 0)?;
    Some(KeyDigest::from_bytes(version, unhex(digits)?))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Exactly as many bytes, in lower or upper case.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let good = text.len() == 2 * N && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    good.then_some(bytes)
}

/// To the nanosecond: grace and expiry have exact boundaries.
pub(crate) mod exact {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    pub(in crate::store) fn text(time: Timestamp) -> String {
        // Every count of nanoseconds that fits in 64 bits is a time of jiff's.
        jiff::Timestamp::from_nanosecond(i128::from(time.unix_nanoseconds())).map(|time| time.to_string()).unwrap_or_default()
    }

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

mod exact_or_none {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::clock::Timestamp;

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&super::exact::text(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        Option::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_to_the_nanosecond() {
        let digest = KeyDigest::from_bytes(3, [7; 32]);
        let mut slot = Slot::new(StoredSecret::Digest(digest), "kw_abcd");
        slot.number = 2;
        let time = Timestamp::from_unix_nanoseconds(1_234_567_890_123_456_789);
        let mut record = Record::new("id".parse().unwrap(), "n\u{1f511}\0\"", time, Epoch::from_bytes([9; 16]), slot.clone());
        slot.grace_ends = Some(time);
        record.previous = Some(slot);
        record.expires = Some(time);
        record.networks = Some(AddressList::parse(["10.0.0.0/8", "2001:db8::/32"]).unwrap());
        record.limits = Some(vec!["5/10s".parse().unwrap()]);
        record.revoke(time);
        let foreign = Some(KeyDigest::sha256(b"acme"));
        let stored = StoredRecord::of(&record, foreign);
        let text = serde_json::to_string(&stored).unwrap();
        let read: StoredRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(read, stored);
        let (read, read_foreign) = read.read().unwrap();
        assert_eq!(StoredRecord::of(&read, read_foreign), stored);
        assert_eq!((read.revoked_at(), read.expires, read.epoch), (Some(time), Some(time), record.epoch));
        assert_eq!((&read.current, &read.previous), (&record.current, &record.previous));
    }

    #[test]
    fn what_is_no_digest() {
        let digits = "0f".repeat(32);
        assert!(read_digest(&format!("sha256:{digits}")).is_some());
        for bad in [
            "",
            "sha256:",
            &digits,
            &format!("sha256:{}", &digits[1..]),
            &format!("sha256:+{}", &digits[1..]),
            &format!("hmac-sha256:0:{digits}"),
            &format!("hmac-sha256:70000:{digits}"),
        ] {
            assert!(read_digest(bad).is_none(), "{bad}");
        }
    }
}
