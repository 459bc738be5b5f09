//! Keys in memory: for configured keys, for tests, and as the index in front of anything slower.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use scc::HashIndex;

use crate::answer::Answer;
use crate::key::{self, KeyDigest, KeyId, Record, StoredSecret};
use crate::store::{Change, KeyStore, Presented, RecordStore, Refused};

/// A store in memory. Clones share it.
///
/// Reading takes no lock: two threads looking for one hot key do not wait for each other. Changes go through one lock, one at
/// a time. Nothing is kept when the process ends.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    // Seeded for each process: anybody can look for keys whose digests begin alike, and one day somebody may import them.
    by_digest: HashIndex<KeyDigest, Arc<Record>, ahash::RandomState>,
    by_handle: HashIndex<Box<str>, Arc<Record>, ahash::RandomState>,
    has_handles: AtomicBool,
    prefixes: ArcSwap<HashSet<Box<str>>>,
    /// Odd while something changes. The index replaces an entry by adding one and removing the other, and a reader can pass
    /// between the two: what it missed meanwhile is no answer.
    changes: AtomicU64,
    writing: Mutex<Writing>,
}

/// What changes need and lookups do not.
#[derive(Default)]
struct Writing {
    by_id: BTreeMap<KeyId, Arc<Record>>,
    /// Digests and handles that were once a record's (R7.4), even where the record is gone.
    used: HashSet<Used>,
    /// Keys from elsewhere that would become malformed were the digest's prefix bound, and whose they are. A digest, since what
    /// stands before a key's last `_` may be most of it.
    foreign: HashMap<KeyDigest, Vec<KeyId>>,
}

#[derive(PartialEq, Eq, Hash)]
enum Used {
    Digest(KeyDigest),
    Handle(Box<str>),
}

impl Used {
    fn of(secret: &StoredSecret) -> Self {
        match secret {
            StoredSecret::Digest(digest) => Self::Digest(*digest),
            StoredSecret::Argon2(hash) => Self::Handle(hash.handle().into()),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        // A change either happened whole or not at all, so a panic elsewhere leaves nothing half done.
        self.0.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks without a lock, and a second time under it where a change may have hidden what there is.
    fn look<T>(&self, peek: impl Fn() -> Option<T>) -> Option<T> {
        let before = self.0.changes.load(Ordering::Acquire);
        let found = peek();
        if found.is_some() {
            return found;
        }
        fence(Ordering::Acquire);
        if before.is_multiple_of(2) && self.0.changes.load(Ordering::Relaxed) == before {
            return None;
        }
        let _unchanging = self.writing();
        peek()
    }

    /// Changes the indexes, under the lock.
    fn change_indexes(&self, change: impl FnOnce()) {
        self.0.changes.fetch_add(1, Ordering::AcqRel);
        change();
        self.0.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn add(&self, record: Record, key: Option<&Presented<'_>>) -> Result<Arc<Record>, Refused> {
        let mut writing = self.writing();
        if writing.by_id.contains_key(&record.id) {
            return Err(Refused::IdTaken);
        }
        if let Some(key) = key {
            if key.digests().iter().any(|digest| writing.used.contains(&Used::Digest(*digest))) {
                return Err(Refused::SecretTaken);
            }
            let own = record.slots().map(|slot| Used::of(&slot.secret)).collect::<Vec<_>>();
            let is_anothers = |handle: &str| {
                let handle = Used::Handle(handle.into());
                !own.contains(&handle) && writing.used.contains(&handle)
            };
            if key.handles().any(is_anothers) {
                return Err(Refused::HandleTaken);
            }
        }
        for slot in record.slots() {
            writing.admit(&slot.secret)?;
        }
        let shape = key.map(Presented::expose).filter(|key| key::parse(key).is_none()).and_then(|key| key.rsplit_once('_'));
        if let Some((prefix, _)) = shape {
            writing.foreign.entry(KeyDigest::sha256(prefix.as_bytes())).or_default().push(record.id);
        }
        let record = Arc::new(record);
        self.change_indexes(|| self.put(&mut writing, &record));
        Ok(record)
    }

    /// Makes a version of a record the one that is found.
    fn put(&self, writing: &mut Writing, record: &Arc<Record>) {
        for slot in record.slots() {
            writing.used.insert(Used::of(&slot.secret));
            match &slot.secret {
                StoredSecret::Digest(digest) => upsert(&self.0.by_digest, *digest, record),
                StoredSecret::Argon2(hash) => {
                    upsert(&self.0.by_handle, hash.handle().into(), record);
                    self.0.has_handles.store(true, Ordering::Release);
                }
            }
        }
        writing.by_id.insert(record.id, record.clone());
    }

    fn take_out(&self, secret: &StoredSecret) {
        match secret {
            StoredSecret::Digest(digest) => self.0.by_digest.remove_sync(digest),
            StoredSecret::Argon2(hash) => self.0.by_handle.remove_sync(hash.handle()),
        };
    }

    fn apply(&self, id: &KeyId, change: Change) -> Result<Arc<Record>, Refused> {
        let mut writing = self.writing();
        let before = writing.by_id.get(id).cloned().ok_or(Refused::NotFound)?;
        if let Change::Rotate { slot, .. } = &change
            && !before.is_revoked()
        {
            writing.admit(&slot.secret)?;
        }
        let after = Arc::new(change.apply(&before)?);
        self.change_indexes(|| {
            self.put(&mut writing, &after);
            // An older previous secret ends with a rotation. Its digest stays among the used ones.
            for slot in before.slots().filter(|old| after.slots().all(|new| new.secret != old.secret)) {
                self.take_out(&slot.secret);
            }
        });
        Ok(after)
    }

    fn remove(&self, id: &KeyId) -> Result<(), Refused> {
        let mut writing = self.writing();
        let record = writing.by_id.get(id).ok_or(Refused::NotFound)?;
        if !record.is_revoked() {
            return Err(Refused::NotRevoked);
        }
        self.change_indexes(|| record.slots().for_each(|slot| self.take_out(&slot.secret)));
        writing.by_id.remove(id);
        Ok(())
    }
}

impl Writing {
    fn admit(&self, secret: &StoredSecret) -> Result<(), Refused> {
        let used = Used::of(secret);
        if self.used.contains(&used) {
            return Err(Refused::SecretTaken);
        }
        let overlaps = |other: &Used| matches!((&used, other), (Used::Handle(this), Used::Handle(that)) if this.starts_with(&**that) || that.starts_with(&**this));
        if matches!(used, Used::Handle(_)) && self.used.iter().any(overlaps) {
            return Err(Refused::HandleTaken);
        }
        Ok(())
    }
}

/// Replaces an entry. A lookup may see neither version meanwhile: see [`MemoryStore::look`].
fn upsert<K: Clone + Eq + std::hash::Hash + 'static>(
    index: &HashIndex<K, Arc<Record>, ahash::RandomState>,
    key: K,
    record: &Arc<Record>,
) {
    match index.entry_sync(key) {
        scc::hash_index::Entry::Occupied(mut entry) => entry.update(record.clone()),
        scc::hash_index::Entry::Vacant(entry) => {
            entry.insert_entry(record.clone());
        }
    }
}

impl KeyStore for MemoryStore {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let by_digest = |digest| self.0.by_digest.peek_with(digest, |_, record| record.clone());
        let by_handle = |handle: &str| self.0.by_handle.peek_with(handle, |_, record| record.clone());
        Answer::ready(self.look(|| {
            let found = presented.digests().iter().find_map(by_digest);
            if found.is_some() || !self.0.has_handles.load(Ordering::Acquire) {
                return found;
            }
            presented.handles().find_map(by_handle)
        }))
    }

    fn binds(&self, prefix: &str) -> bool {
        self.0.prefixes.load().contains(prefix)
    }
}

impl RecordStore for MemoryStore {
    fn insert(&self, record: Record, key: Option<&Presented<'_>>) -> Answer<Result<Arc<Record>, Refused>> {
        Answer::ready(self.add(record, key))
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        Answer::ready(self.writing().by_id.get(id).cloned())
    }

    fn list(&self, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        Answer::ready(
            self.writing().by_id.range((start, Bound::Unbounded)).take(limit).map(|(_, record)| record.clone()).collect(),
        )
    }

    fn change(&self, id: &KeyId, change: Change) -> Answer<Result<Arc<Record>, Refused>> {
        Answer::ready(self.apply(id, change))
    }

    fn purge(&self, id: &KeyId) -> Answer<Result<(), Refused>> {
        Answer::ready(self.remove(id))
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        let writing = self.writing();
        if !self.binds(prefix) {
            let foreign = writing.foreign.get(&KeyDigest::sha256(prefix.as_bytes()));
            let is_used = |id: &KeyId| writing.by_id.get(id).is_some_and(|record| !record.is_revoked());
            if foreign.is_some_and(|ids| ids.iter().any(is_used)) {
                return Answer::ready(Err(Refused::LooksGenerated));
            }
            self.0.prefixes.rcu(|bound| {
                let mut bound = HashSet::clone(bound);
                bound.insert(prefix.into());
                bound
            });
        }
        Answer::ready(Ok(()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} keys)", self.writing().by_id.len())
    }
}

/// Whether a key made elsewhere can be told from the generated ones (R7.1).
pub(crate) fn looks_generated(store: &dyn KeyStore, key: &str) -> bool {
    key::is_damaged(key, |prefix| store.binds(prefix))
}
