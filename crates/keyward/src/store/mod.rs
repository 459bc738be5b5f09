//! Where keys are kept, and what every such place has to promise.

mod change;
mod days;
mod filter;
mod insert;
mod journal;
mod news;
mod shared;
mod snapshot;
mod told;
mod usage;

pub use change::{Change, Update};
pub use days::{DailyCounts, Day};
pub use filter::Filter;
pub use insert::{Insert, Inserted, Insertion, PlainKey, Progress, WhereRefused};
pub use journal::{Attribution, Journalled};
pub use news::News;
pub use snapshot::{BadSnapshot, Snapshot, StoredRecord, StoredSlot, StoredUsage};
pub(crate) use snapshot::{digest_text, exact, read_digest, unhex};
pub use told::{RecordTold, SlotTold, UsageTold};
pub use usage::{Ledger, SlotUsage, Use};

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::answer::{Answer, Fault};
use crate::clock::Now;
use crate::credential::Credential;
use crate::key::{Argon2Hash, KeyDigest, KeyId, Record};

/// A well-shaped credential, ready to be looked for. `Debug` hides it.
pub struct Presented<'r> {
    credential: &'r Credential<'r>,
    digests: &'r [KeyDigest],
    now: Now,
}

impl<'r> Presented<'r> {
    pub(crate) fn new(credential: &'r Credential<'r>, digests: &'r [KeyDigest], now: Now) -> Self {
        Self { credential, digests, now }
    }

    /// Every digest under which it may be stored, the likeliest first: look for them in this order. The last is always its plain
    /// SHA-256.
    pub fn digests(&self) -> &[KeyDigest] {
        self.digests
    }

    /// Every handle under which a low-entropy key may be stored (R7.3), the longest first. Handles are public.
    pub fn handles(&self) -> impl Iterator<Item = &str> {
        handles_of(self.expose())
    }

    /// The credential itself, for authenticators that verify tokens of another kind. Never log it.
    pub fn expose(&self) -> &'r str {
        // Only visible ASCII is ever presented.
        std::str::from_utf8(self.credential.expose()).unwrap_or_default()
    }

    /// The time of the decision, for what grows old.
    pub fn now(&self) -> Now {
        self.now
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(hidden)")
    }
}

/// What a low-entropy key may begin with in a store, the longest first.
fn handles_of(key: &str) -> impl Iterator<Item = &str> {
    Argon2Hash::HANDLE_LENGTHS.rev().filter_map(move |length| key.get(..length)).filter(move |handle| handle.len() < key.len())
}

/// Where a guard finds records.
///
/// The safe wrong answers: a fault when it cannot be told (the request is 503), and `None` never for a key that may exist. A
/// record that has been revoked is still found: "revoked" is an answer, "unknown" would send the guard to the next
/// authenticator. Whatever is found is compared with the presented key again, in constant time.
pub trait KeyStore: Send + Sync {
    /// The record with one of the digests, or else with one of the handles.
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>>;

    /// The record with this id, as fresh as what [`find`](Self::find) gives. Tickets are verified by it, and it is asked whether
    /// the keys of open connections are still good.
    ///
    /// A store that does not have it answers with a fault, so that tickets are 503 and open connections end.
    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        let _ = (id, now);
        Answer::fault(Fault::new("this store cannot look a key up by its id: implement `KeyStore::find_by_id` for it"))
    }

    /// Whether keys with this prefix were generated here, so that a wrong check makes them malformed (R7.1). Must not wait.
    fn binds(&self, prefix: &str) -> bool {
        let _ = prefix;
        false
    }

    /// Takes note of a key that was let in. Must not wait, and may forget: uses are not worth a request's time.
    fn used(&self, used: &Use<'_>) {
        let _ = used;
    }
}

/// A store whose keys can be looked after.
///
/// The contract, which `keyward-behaviour` tests for every store:
///
/// 1. What `insert`, `change` and `purge` acknowledged is there, for every later `find`, whatever happens to the process.
/// 2. A change sees the record as it is and replaces it, with nothing between: two changes never lose one of them.
/// 3. Revoking is final. No insert, change, rotation or import brings the key back; a purged record keeps its digests.
/// 4. Two records never share a digest; a handle never begins another one.
/// 5. A change and its row in the journal are there together, or neither is.
///
/// Nothing happens before an answer is polled. Once it has been, the change may be made even if the answer is dropped.
pub trait RecordStore: KeyStore {
    /// Adds records: all that are not refused, or none if any is, as [`Insert::where_refused`] says.
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted>;

    /// The record with this id.
    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>>;

    /// Records that a filter lets through, in the order of their ids, behind `after`, at most `limit`.
    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>>;

    /// Changes a record by [`Change::apply`]. `Err(Refused::NotFound)` where there is none.
    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>>;

    /// Removes a revoked record and keeps its digests, so that the key cannot be added again.
    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>>;

    /// From now on keys with this prefix are generated here. Refused where a stored key would become malformed by it.
    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>>;

    /// How the secrets of these keys were used, one element for each secret that was.
    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>>;

    /// Rows of the journal behind the one with this number, the oldest first, at most `limit`.
    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>>;

    /// How soon a revocation holds in every process that shares this store. In this one it holds as soon as it is acknowledged.
    fn revocation_bound(&self) -> Duration {
        Duration::ZERO
    }

    /// From now on tells of changes that others made, until nobody listens. A store that cannot tell does nothing, and what is
    /// kept of it elsewhere is reread when it has grown old.
    fn watch(&self, news: Weak<dyn News>) {
        let _ = news;
    }
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
    /// What is done once for a store has been done.
    #[error("this was done before, and is done once only")]
    DoneBefore,
    /// The secret was changed meanwhile.
    #[error("the key has another secret by now")]
    SecretChanged,
}
