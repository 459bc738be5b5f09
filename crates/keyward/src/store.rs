//! Where keys are kept, and what every such place has to promise.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::answer::Answer;
use crate::clock::Timestamp;
use crate::credential::Credential;
use crate::key::{Argon2Hash, Epoch, KeyDigest, KeyId, Record, Slot};
use crate::limit::Quota;
use crate::network::AddressList;
use crate::scope::Scope;

/// A well-shaped credential, ready to be looked for. `Debug` hides it.
pub struct Presented<'r> {
    credential: &'r Credential<'r>,
    digests: &'r [KeyDigest],
}

impl<'r> Presented<'r> {
    pub(crate) fn new(credential: &'r Credential<'r>, digests: &'r [KeyDigest]) -> Self {
        Self { credential, digests }
    }

    /// Every digest under which it may be stored, the likeliest first. Look for them in this order.
    pub fn digests(&self) -> &[KeyDigest] {
        self.digests
    }

    /// Every handle under which a low-entropy key may be stored (R7.3), the longest first. Handles are public.
    pub fn handles(&self) -> impl Iterator<Item = &str> {
        let text = self.expose();
        Argon2Hash::HANDLE_LENGTHS
            .rev()
            .filter_map(move |length| text.get(..length))
            .filter(move |handle| handle.len() < text.len())
    }

    /// The credential itself, for authenticators that verify tokens of another kind. Never log it.
    pub fn expose(&self) -> &'r str {
        // Only visible ASCII is ever presented.
        std::str::from_utf8(self.credential.expose()).unwrap_or_default()
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(hidden)")
    }
}

/// Where a guard finds records.
///
/// The safe wrong answers: a fault when it cannot be told (the request is 503), and `None` never for a key that may exist. A
/// record that has been revoked is still found: "revoked" is an answer, "unknown" would send the guard to the next
/// authenticator. Whatever is found is compared with the presented key again, in constant time.
pub trait KeyStore: Send + Sync {
    /// The record with one of the digests, or else with one of the handles.
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>>;

    /// Whether keys with this prefix were generated here, so that a wrong check makes them malformed (R7.1). Must not wait.
    fn binds(&self, prefix: &str) -> bool {
        let _ = prefix;
        false
    }
}

/// A store whose keys can be looked after.
///
/// The contract, which `keyward-behaviour` tests for every store:
///
/// 1. What `insert` and `change` acknowledged is there, for every later `find`, whatever happens to the process.
/// 2. A change sees the record as it is and replaces it, with nothing between: two changes never lose one of them.
/// 3. Revoking is final. No insert, change, rotation or import brings the key back; a purged record keeps its digests.
/// 4. Two records never share a digest; a handle never begins another one.
pub trait RecordStore: KeyStore {
    /// Adds a record. Where its key is in hand (an import in plain text), it is refused if any record has, or ever had, one of the
    /// key's digests or handles: under another pepper it is the same key.
    fn insert(&self, record: Record, key: Option<&Presented<'_>>) -> Answer<Result<Arc<Record>, Refused>>;

    /// The record with this id.
    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>>;

    /// Records in the order of their ids, behind `after`, at most `limit`.
    fn list(&self, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>>;

    /// Changes a record by [`Change::apply`]. `Err(Refused::NotFound)` where there is none.
    fn change(&self, id: &KeyId, change: Change) -> Answer<Result<Arc<Record>, Refused>>;

    /// Removes a revoked record and keeps its digests, so that the key cannot be added again.
    fn purge(&self, id: &KeyId) -> Answer<Result<(), Refused>>;

    /// From now on keys with this prefix are generated here. Refused where a stored key would become malformed by it.
    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// There is no such key.
    #[error("there is no key with this id")]
    NotFound,
    /// The id is taken.
    #[error("there is a key with this id already")]
    IdTaken,
    /// The secret is another record's, or was a purged one's.
    #[error("this key is, or was, another record's: generate a new one")]
    SecretTaken,
    /// The key begins with another one's handle, or one handle with the other.
    #[error("the key begins with another key's handle, or the other way round: a handle must tell one key from all others")]
    HandleTaken,
    /// The key is revoked, and stays so.
    #[error("the key is revoked, which is final: create a new one")]
    Revoked,
    /// Only a revoked key can be purged.
    #[error("the key is not revoked: revoke it first")]
    NotRevoked,
    /// An imported key looks like one that was generated here, with a wrong check (R7.1).
    #[error("the key begins like the generated ones but has no right check: it would be refused as malformed")]
    LooksGenerated,
}

/// One change to a record, as data: every store applies it by the same code, within its own transaction.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Change {
    /// Ends it for ever. Revoking again is no fault.
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
    /// The quotas.
    pub limits: Option<Option<Vec<Quota>>>,
    /// The metadata.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Switched off, with the epoch that ends what was derived from it.
    pub disabled: Option<(bool, Epoch)>,
}

impl Change {
    /// What becomes of a record.
    ///
    /// # Errors
    /// [`Refused::Revoked`] for every change of a revoked key but revoking.
    pub fn apply(self, record: &Record) -> Result<Record, Refused> {
        let mut changed = record.clone();
        match self {
            Self::Revoke(epoch) => {
                changed.revoke();
                changed.epoch = epoch;
            }
            _ if record.is_revoked() => return Err(Refused::Revoked),
            Self::Rotate { slot, grace_ends, epoch } => {
                let mut previous = std::mem::replace(&mut changed.current, slot);
                previous.grace_ends = Some(grace_ends);
                changed.previous = Some(previous);
                changed.epoch = epoch;
            }
            Self::Update(update) => {
                let Update { name, kind, scopes, not_before, expires, networks, limits, metadata, disabled } = *update;
                macro_rules! set { ($($field:ident)+) => { $(if let Some(value) = $field { changed.$field = value; })+ } }
                set!(name kind scopes not_before expires networks limits metadata);
                if let Some((disabled, epoch)) = disabled {
                    changed.disabled = disabled;
                    changed.epoch = epoch;
                }
            }
        }
        Ok(changed)
    }
}
