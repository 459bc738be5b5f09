//! Who changed what: one row for each change, in the same transaction (R11.1).

use serde::{Deserialize, Serialize};

use super::RecordTold;
use crate::clock::Timestamp;
use crate::key::{KeyId, Record};

/// Who asks for a change, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    /// Who: a verified actor, or the program that acts, like `keyward keys`. Never what a request's body says.
    pub actor: Box<str>,
    /// When: the time of the change, which is also that of a revocation.
    pub at: Timestamp,
}

/// One change, as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journalled {
    /// Numbers grow; some may be left out.
    pub number: u64,
    /// When it was made.
    #[serde(with = "super::snapshot::exact")]
    pub at: Timestamp,
    /// By whom.
    pub actor: Box<str>,
    /// `create`, `revoke`, `rotate`, `update`, `rehash` or `purge`.
    pub action: Box<str>,
    /// The key that it was made to.
    pub key: KeyId,
    /// The record as it was, but for its secrets; nothing where it was made.
    pub before: Option<serde_json::Value>,
    /// The record as it became; nothing where it was purged.
    pub after: Option<serde_json::Value>,
}

impl Journalled {
    /// The row of a change, whatever its number.
    pub fn new(by: &Attribution, action: &str, key: KeyId, before: Option<&Record>, after: Option<&Record>) -> Self {
        let told = |record: &Record| serde_json::to_value(RecordTold::of(record, by.at, &[])).ok();
        Self {
            number: 0,
            at: by.at,
            actor: by.actor.clone(),
            action: action.into(),
            key,
            before: before.and_then(told),
            after: after.and_then(told),
        }
    }
}
