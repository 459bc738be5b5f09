//! Records on their way into a store.

use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Refused, handles_of};
use crate::credential::Secret;
use crate::key::{self, KeyDigest, Peppers, Record};

/// Records to add, and what to do if some are refused.
#[derive(Debug)]
#[non_exhaustive]
pub struct Insert {
    /// The records, in the order in which they are tried.
    pub insertions: Vec<Insertion>,
    /// What to do if some are refused.
    pub where_refused: WhereRefused,
    /// A name under which this is done once for a store, ever: a second time every record is refused with
    /// [`Refused::DoneBefore`].
    pub once: Option<Box<str>>,
    /// Told how many records were looked at, now and then.
    pub progress: Option<Progress>,
}

/// What is told of a long insertion.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(usize) + Send + Sync>);

impl Progress {
    /// Calls this with the number of records done.
    pub fn new(tell: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// So many are done.
    pub fn tell(&self, done: usize) {
        (self.0)(done);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

/// What becomes of the others where some records are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhereRefused {
    /// None is added.
    #[default]
    AddNone,
    /// They are added.
    AddOthers,
    /// None is added, refused or not: to be told what would be.
    OnlyTell,
}

/// What was added.
#[derive(Debug, Clone, Default)]
pub struct Inserted {
    /// The records that are in the store now.
    pub records: Vec<Arc<Record>>,
    /// Which were refused, by their place in [`Insert::insertions`], and why.
    pub refused: Vec<(usize, Refused)>,
}

impl Insert {
    /// Adds one record.
    pub fn one(insertion: Insertion) -> Self {
        Self::many(vec![insertion], WhereRefused::AddNone)
    }

    /// Adds several.
    pub fn many(insertions: Vec<Insertion>, where_refused: WhereRefused) -> Self {
        Self { insertions, where_refused, once: None, progress: None }
    }
}

/// One record to add.
#[derive(Debug)]
#[non_exhaustive]
pub struct Insertion {
    /// The record.
    pub record: Record,
    /// Its key, where that is in hand (an import in plain text). It is refused if any record has, or ever had, one of the key's
    /// digests or handles: under another pepper it is the same key.
    pub key: Option<PlainKey>,
}

impl Insertion {
    /// A record whose key is not in hand, or was generated just now.
    pub fn new(record: Record) -> Self {
        Self { record, key: None }
    }
}

/// A key in plain text, and what can be looked for in a store to find out whether it is there already. `Debug` hides it.
pub struct PlainKey {
    key: Secret,
    digests: SmallVec<[KeyDigest; 1]>,
}

impl PlainKey {
    pub(crate) fn new(key: Secret, peppers: &Peppers) -> Self {
        Self { digests: peppers.digests(key.expose().as_bytes()), key }
    }

    /// A key that no store takes while a prefix is bound: to ask a store for that, as it is now.
    pub(crate) fn probe(prefix: &str, id: &crate::key::KeyId) -> Self {
        // With what nobody can foresee behind it, so that nobody can have stored it.
        Self::new(Secret::new(format!("{prefix}_{id}")), &Peppers::default())
    }

    /// Every digest under which it may be stored.
    pub fn digests(&self) -> &[KeyDigest] {
        &self.digests
    }

    /// Every handle under which it may be stored, the longest first.
    pub fn handles(&self) -> impl Iterator<Item = &str> {
        handles_of(self.key.expose())
    }

    /// The SHA-256 of the prefix that must not be bound while this key is used, if there is one: with it, a key made elsewhere
    /// would be malformed (R7.1). A digest, since what stands before a key's last `_` may be most of it.
    pub fn foreign_prefix(&self) -> Option<KeyDigest> {
        let text = self.key.expose();
        if key::parse(text).is_some() {
            return None;
        }
        text.rsplit_once('_').map(|(prefix, _)| KeyDigest::sha256(prefix.as_bytes()))
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(hidden)")
    }
}
