//! What has to be in a store after all that was acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use keyward::{
    Kind,
    key::{self, KeyId, Record},
    store::Journalled,
};

use super::{
    attempt::{Attempt, Fields, Foreign},
    log::Acknowledgement,
    work::actor,
};
use crate::stores::Problem;

/// What has to be there, and nothing else.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    /// By their labels; the purged ones as well.
    pub(super) keys: BTreeMap<String, ExpectedKey>,
    /// The journal, from its beginning.
    pub(super) rows: Vec<ExpectedRow>,
    /// What was done once, and by which change.
    pub(super) markers: BTreeMap<String, u64>,
    /// The prefixes of generated keys, and the change that brought them.
    pub(super) prefixes: BTreeMap<String, u64>,
}

/// A key, as it has to be.
#[derive(Clone, Debug)]
pub(super) struct ExpectedKey {
    /// The last change that was made to it.
    pub(super) changed: u64,
    /// If it was told.
    pub(super) id: Option<KeyId>,
    pub(super) fields: Fields,
    pub(super) disabled: bool,
    pub(super) end: Option<End>,
    /// How often it was rotated.
    pub(super) rotations: u32,
    /// `None` where the change that made the secret was never acknowledged: nobody knows it.
    pub(super) current: Option<String>,
    pub(super) previous: Option<Previous>,
    /// Those that ended.
    pub(super) older: Vec<String>,
    /// The prefix that may not be bound while the key is in use.
    pub(super) keeps_free: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Previous {
    pub(super) secret: Option<String>,
    pub(super) has_grace: bool,
}

/// How a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Revoked,
    Purged,
}

/// A row of the journal. Its actor names the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ExpectedRow {
    pub(super) change: u64,
    pub(super) action: &'static str,
    pub(super) key: String,
    /// Whether the change was acknowledged.
    pub(super) acknowledged: bool,
}

/// What a guard has to say of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    Refused(&'static [Kind]),
}

impl ExpectedRow {
    /// Whether a row is this one, as far as it says who did what.
    pub(super) fn is(&self, row: &Journalled) -> bool {
        *row.action == *self.action && *row.actor == *actor(self.change)
    }
}

impl Expected {
    /// Adds a change. Without an acknowledgement, it was made all the same, and the secrets that it made are known to nobody.
    pub(super) fn apply(
        &mut self,
        number: u64,
        attempt: &Attempt,
        acknowledgement: Option<&Acknowledgement>,
    ) -> Result<(), Problem> {
        let id = acknowledgement.and_then(|acknowledgement| acknowledgement.id);
        let secret = acknowledgement.and_then(|acknowledgement| acknowledgement.secret.clone());
        let done_before = acknowledgement.is_some_and(|acknowledgement| acknowledgement.done_before);
        let row = |action, key: &String| ExpectedRow {
            change: number,
            action,
            key: key.clone(),
            acknowledged: acknowledgement.is_some(),
        };
        match attempt {
            Attempt::Create { once: Some(once), .. } if self.markers.contains_key(once) => {
                if acknowledgement.is_some() && !done_before {
                    return Err(Problem::new(format!("change {number} did a second time what is done once: {once}")));
                }
            }
            Attempt::Create { key, prefix, once, fields } => {
                if done_before {
                    return Err(Problem::new(format!("change {number} found done what nobody had done: {once:?}")));
                }
                self.markers.extend(once.clone().map(|once| (once, number)));
                self.prefixes.entry(prefix.clone()).or_insert(number);
                self.keys.insert(key.clone(), ExpectedKey::new(number, id, fields, secret));
                self.rows.push(row("create", key));
            }
            Attempt::Import { keys } => {
                for foreign in keys {
                    self.import(number, foreign, id);
                    self.rows.push(row("create", &foreign.key));
                }
            }
            Attempt::Rotate { key, grace_seconds } => {
                let prefix = secret.as_deref().and_then(key::parse);
                self.prefixes.extend(prefix.map(|prefix| (prefix.as_str().to_owned(), number)));
                let known = self.key(number, key)?;
                let previous = Previous { secret: known.current.take(), has_grace: *grace_seconds > 0 };
                let older = known.previous.replace(previous).and_then(|previous| previous.secret);
                known.older.extend(older);
                known.current = secret;
                known.rotations += 1;
                known.keeps_free = None;
                self.rows.push(row("rotate", key));
            }
            Attempt::Update { key, fields } => {
                self.key(number, key)?.fields = fields.clone();
                self.rows.push(row("update", key));
            }
            Attempt::Disable { key, disabled } => {
                self.key(number, key)?.disabled = *disabled;
                self.rows.push(row("update", key));
            }
            Attempt::Revoke { key } => {
                if self.key(number, key)?.end.replace(End::Revoked).is_none() {
                    self.rows.push(row("revoke", key));
                }
            }
            Attempt::Purge { key } => {
                self.key(number, key)?.end = Some(End::Purged);
                self.rows.push(row("purge", key));
            }
        }
        Ok(())
    }

    fn import(&mut self, number: u64, foreign: &Foreign, id: Option<KeyId>) {
        let mut key = ExpectedKey::new(number, id, &foreign.fields, Some(foreign.secret.clone()));
        key.keeps_free = foreign.keeps_free().map(str::to_owned);
        self.keys.insert(foreign.key.clone(), key);
    }

    fn key(&mut self, number: u64, label: &str) -> Result<&mut ExpectedKey, Problem> {
        let known = self.keys.get_mut(label);
        let known = known.ok_or_else(|| Problem::new(format!("change {number} is about the key {label}, which nobody made")))?;
        known.changed = number;
        Ok(known)
    }

    /// A key's id: the one that was told, or else that of the record which is there. `None` for a key whose making was never
    /// acknowledged and that is gone.
    pub(super) fn id(&self, label: &str, records: &[Arc<Record>]) -> Option<KeyId> {
        let told = self.keys.get(label).and_then(|key| key.id);
        told.or_else(|| records.iter().find(|record| record.owner.as_deref() == Some(label)).map(|record| record.id))
    }

    /// The keys of which something holds.
    pub(super) fn labels(&self, holds: impl Fn(&ExpectedKey) -> bool) -> Vec<String> {
        self.keys.iter().filter(|(_, key)| holds(key)).map(|(label, _)| label.clone()).collect()
    }

    /// Whether this is, or was, a key's secret.
    pub(super) fn has_secret(&self, secret: &str) -> bool {
        self.keys.values().any(|key| key.secrets().contains(secret))
    }
}

impl ExpectedKey {
    fn new(number: u64, id: Option<KeyId>, fields: &Fields, current: Option<String>) -> ExpectedKey {
        ExpectedKey {
            changed: number,
            id,
            fields: fields.clone(),
            disabled: false,
            end: None,
            rotations: 0,
            current,
            previous: None,
            older: Vec::new(),
            keeps_free: None,
        }
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.end.is_none()
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.end == Some(End::Revoked)
    }

    /// All that are known, those that ended as well.
    pub(super) fn secrets(&self) -> BTreeSet<&str> {
        let previous = self.previous.as_ref().and_then(|previous| previous.secret.as_ref());
        self.current.iter().chain(previous).chain(&self.older).map(String::as_str).collect()
    }

    /// What a guard has to say of each secret that is known, now.
    pub(super) fn verdicts(&self, now: keyward::Timestamp) -> Vec<(&str, &'static str, Verdict)> {
        let mut verdicts = Vec::new();
        let standing = match self {
            _ if self.end == Some(End::Purged) => Verdict::Refused(&[Kind::Unknown]),
            _ if self.end == Some(End::Revoked) => Verdict::Refused(&[Kind::Revoked]),
            _ if self.disabled => Verdict::Refused(&[Kind::Disabled]),
            _ if self.fields.expires_at.is_some_and(|end| end <= now) => Verdict::Refused(&[Kind::Expired]),
            _ => Verdict::Accepted,
        };
        verdicts.extend(self.current.as_deref().map(|secret| (secret, "current", standing)));
        if let Some(Previous { secret: Some(secret), has_grace }) = &self.previous {
            let without_grace = standing == Verdict::Accepted && !has_grace;
            let verdict = if without_grace { Verdict::Refused(&[Kind::Expired]) } else { standing };
            verdicts.push((secret, "previous", verdict));
        }
        // A store may know it still, and say how the record stands.
        let ended = Verdict::Refused(&[Kind::Unknown, Kind::Expired, Kind::Revoked, Kind::Disabled]);
        verdicts.extend(self.older.iter().map(|secret| (secret.as_str(), "older", ended)));
        verdicts
    }
}
