//! What may become of a stored record.

use std::collections::BTreeMap;

use super::Refused;
use crate::clock::Timestamp;
use crate::key::{Epoch, KeyDigest, Record, Slot, StoredSecret};
use crate::limit::Quota;
use crate::network::AddressList;
use crate::path::PathPattern;
use crate::scope::Scope;

/// One change to a record, as data: every store applies it by the same code, within its own transaction.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// Ends it for ever. Revoking again is no fault, and changes nothing.
    Revoke(Epoch),
    /// A new secret; the one in use becomes the previous, until `grace_ends`. An older previous one ends at once (R7.4).
    Rotate {
        /// The new secret.
        slot: Slot,
        /// Until when the old one is accepted.
        grace_ends: Timestamp,
        /// The new epoch.
        epoch: Epoch,
    },
    /// Other fields.
    Update(Box<Update>),
    /// The same secret under a digest with a newer pepper.
    Rehash {
        /// Which secret: [`Slot::number`].
        number: u32,
        /// Its new digest.
        digest: KeyDigest,
    },
}

/// Fields to change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// The name for people.
    pub name: Option<Box<str>>,
    /// The kind.
    pub kind: Option<Option<Box<str>>>,
    /// The scopes.
    pub scopes: Option<Vec<Scope>>,
    /// The start.
    pub not_before: Option<Option<Timestamp>>,
    /// The end.
    pub expires: Option<Option<Timestamp>>,
    /// The networks.
    pub networks: Option<Option<AddressList>>,
    /// The paths.
    pub resource_pattern: Option<Option<PathPattern>>,
    /// The quotas.
    pub limits: Option<Option<Vec<Quota>>>,
    /// The metadata.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Switched off, with the epoch that ends what was derived from it.
    pub disabled: Option<(bool, Epoch)>,
}

impl Change {
    /// What becomes of a record at a time.
    ///
    /// The record itself is marked as revoked too, where that is the change: whoever holds it learns of it at once, and were the
    /// store to fail now, a key that somebody wanted revoked is not accepted by this process any more.
    ///
    /// # Errors
    /// [`Refused::Revoked`] for every change of a revoked key but revoking.
    pub fn apply(self, record: &Record, at: Timestamp) -> Result<Record, Refused> {
        let mut changed = record.clone();
        match self {
            Self::Revoke(_) if record.is_revoked() => {}
            Self::Revoke(epoch) => {
                changed.revoke(at);
                changed.epoch = epoch;
            }
            _ if record.is_revoked() => return Err(Refused::Revoked),
            Self::Rotate { slot, grace_ends, epoch } => {
                let number = changed.current.number.saturating_add(1);
                let mut previous = std::mem::replace(&mut changed.current, Slot { number, ..slot });
                previous.grace_ends = Some(grace_ends);
                changed.previous = Some(previous);
                changed.epoch = epoch;
            }
            Self::Update(update) => {
                let Update { name, kind, scopes, not_before, expires, networks, resource_pattern, limits, metadata, disabled } =
                    *update;
                macro_rules! set { ($($field:ident)+) => { $(if let Some(value) = $field { changed.$field = value; })+ } }
                set!(name kind scopes not_before expires networks resource_pattern limits metadata);
                if let Some((disabled, epoch)) = disabled {
                    changed.disabled = disabled;
                    changed.epoch = epoch;
                }
            }
            Self::Rehash { number, digest } => {
                let slot = std::iter::once(&mut changed.current).chain(&mut changed.previous).find(|slot| slot.number == number);
                match slot.map(|slot| &mut slot.secret) {
                    Some(StoredSecret::Digest(stored)) => *stored = digest,
                    _ => return Err(Refused::SecretChanged),
                }
            }
        }
        Ok(changed)
    }

    /// What the journal calls it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Revoke(_) => "revoke",
            Self::Rotate { .. } => "rotate",
            Self::Update(_) => "update",
            Self::Rehash { .. } => "rehash",
        }
    }
}
