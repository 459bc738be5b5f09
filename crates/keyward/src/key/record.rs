//! What is stored about a key. Never the key.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrayvec::ArrayString;

use super::{Argon2Hash, KeyDigest};
use crate::answer::Fault;
use crate::clock::Timestamp;
use crate::limit::Quota;
use crate::network::AddressList;
use crate::path::PathPattern;
use crate::random::Random;
use crate::scope::Scope;

/// A key's stable name: it survives rotation, and may be shown and logged. 1 to 36 characters of `A-Za-z0-9._-`.
///
/// Ids that are made here begin with the time, so that their order is the order in which keys were made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(ArrayString<36>);

/// What was written is no key id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 1 to 36 characters of A-Z, a-z, 0-9, `.`, `_` and `-`")]
pub struct NotAKeyId;

impl KeyId {
    /// A new id in hexadecimal digits: 48 bits of milliseconds since 1970, and 80 random ones. With the time in front, pages of
    /// a listing are pages of time, and a database's index grows at its end and not everywhere.
    pub fn new(now: Timestamp, random: &dyn Random) -> Self {
        let milliseconds = u128::try_from(now.unix_nanoseconds() / 1_000_000).unwrap_or(0);
        Self::from_number(milliseconds << 80 | random.identifier() >> 48)
    }

    pub(crate) fn from_number(number: u128) -> Self {
        let mut text = ArrayString::new();
        for shift in (0..32).rev() {
            let digit = (number >> (shift * 4)) as u8 & 0xf;
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
        Self(text)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = NotAKeyId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !good {
            return Err(NotAKeyId);
        }
        ArrayString::from(text).map(Self).map_err(|_| NotAKeyId)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl serde::Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A random number that changes whenever what was derived from a key must die: tickets signed for it (R14.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// A new epoch.
    ///
    /// # Errors
    /// When the random generator cannot be read.
    pub fn random(random: &dyn Random) -> Result<Self, Fault> {
        let mut bytes = [0; 16];
        random.secret(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Read from storage.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// For storage.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Epoch(hidden)")
    }
}

/// What is stored of the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredSecret {
    /// Of a strong key: found by the digest.
    Digest(KeyDigest),
    /// Of a key that could be guessed: found by its handle, verified by Argon2id.
    Argon2(Argon2Hash),
}

/// A secret that opens the record, and what may be shown of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// How it is recognised.
    pub secret: StoredSecret,
    /// What may be shown: see [`key::display_prefix`](crate::key::display_prefix).
    pub prefix: Box<str>,
    /// For the previous slot of a rotated key: until when it is accepted still. `None`: without end.
    pub grace_ends: Option<Timestamp>,
    /// How many secrets the key had before this one. Uses are counted for each.
    pub number: u32,
}

impl Slot {
    /// A slot without an end.
    pub fn new(secret: StoredSecret, prefix: impl Into<Box<str>>) -> Self {
        Self { secret, prefix: prefix.into(), grace_ends: None, number: 0 }
    }
}

/// What is stored about a key.
///
/// Plain data: holding a record proves nothing. A [`Principal`](crate::Principal) is made from one by verification alone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Record {
    /// The stable name.
    pub id: KeyId,
    /// A name for people.
    pub name: Box<str>,
    /// A label that routes may demand.
    pub kind: Option<Box<str>>,
    /// Whose key it is. Keys without an owner share nothing.
    pub owner: Option<Box<str>>,
    /// What it may do. None: nothing that needs a scope.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// Not accepted before this time.
    pub not_before: Option<Timestamp>,
    /// Not accepted from this time on.
    pub expires: Option<Timestamp>,
    /// From where it is accepted. `None`: from anywhere.
    pub networks: Option<AddressList>,
    /// For which paths it is accepted (R8.4). `None`: for all.
    pub resource_pattern: Option<PathPattern>,
    /// Its own quotas, instead of the policy's `per_key`.
    pub limits: Option<Vec<Quota>>,
    /// Whatever else is kept with it.
    pub metadata: BTreeMap<String, String>,
    /// Changes when what was derived from the key must die.
    pub epoch: Epoch,
    /// Switched off for a while.
    pub disabled: bool,
    /// The secret in use.
    pub current: Slot,
    /// The one before it, until its grace ends.
    pub previous: Option<Slot>,
    pub(crate) revocation: Revocation,
}

impl Record {
    /// A record with nothing but what every one has; set the other fields as needed.
    pub fn new(id: KeyId, name: impl Into<Box<str>>, created: Timestamp, epoch: Epoch, current: Slot) -> Self {
        Self {
            id,
            name: name.into(),
            kind: None,
            owner: None,
            scopes: Vec::new(),
            created,
            not_before: None,
            expires: None,
            networks: None,
            resource_pattern: None,
            limits: None,
            metadata: BTreeMap::new(),
            epoch,
            disabled: false,
            current,
            previous: None,
            revocation: Revocation::default(),
        }
    }

    /// Ends the key for ever, in this copy of the record and in every clone of it. There is no way back, and a second time
    /// changes nothing.
    pub fn revoke(&self, at: Timestamp) {
        let at = at.unix_nanoseconds().min(Revocation::NEVER - 1);
        // The first one counts, whoever else revokes at the same time.
        let _ = self.revocation.0.compare_exchange(Revocation::NEVER, at, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the key has been ended.
    pub fn is_revoked(&self) -> bool {
        self.revocation.0.load(Ordering::Acquire) != Revocation::NEVER
    }

    /// When the key was ended.
    pub fn revoked_at(&self) -> Option<Timestamp> {
        let at = self.revocation.0.load(Ordering::Acquire);
        (at != Revocation::NEVER).then(|| Timestamp::from_unix_nanoseconds(at))
    }

    /// The current slot, and the previous one if there is one.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

/// Shared by every version of a record that a process holds: what was found before the revocation is revoked too, and a
/// concurrent update carries the flag along instead of writing an older one.
#[derive(Debug, Clone)]
pub(crate) struct Revocation(Arc<AtomicI64>);

impl Revocation {
    const NEVER: i64 = i64::MAX;
}

impl Default for Revocation {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(Self::NEVER)))
    }
}
