//! Keys in memory: for configured keys, for tests, and as the index in front of anything slower.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use scc::HashIndex;

use crate::answer::Answer;
use crate::clock::Now;
use crate::key::{KeyDigest, KeyId, Record, StoredSecret};
use crate::store::{
    Attribution, BadSnapshot, Change, Filter, Insert, Inserted, Insertion, Journalled, KeyStore, Ledger, Presented, RecordStore,
    Refused, SlotUsage, Snapshot, StoredRecord, StoredUsage, Use, WhereRefused, digest_text, read_digest,
};

/// A store in memory. Clones share it.
///
/// Reading takes no lock: two threads looking for one hot key do not wait for each other. Changes go through one lock, one at
/// a time. Nothing is kept when the process ends; of the journal only the latest thousand rows are there.
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
    ledger: Ledger,
    writing: Mutex<Writing>,
}

/// What changes need and lookups do not.
#[derive(Default)]
struct Writing {
    by_id: BTreeMap<KeyId, Arc<Record>>,
    /// Digests that were once a record's, and are not any more (R7.4).
    retired: HashSet<KeyDigest, ahash::RandomState>,
    /// Every handle that is or was a record's, in order: one that begins another is beside it.
    handles: BTreeSet<Box<str>>,
    /// Keys from elsewhere that would become malformed were the digest's prefix bound, and whose they are.
    foreign: HashMap<KeyDigest, Vec<KeyId>, ahash::RandomState>,
    /// The digests of the bound prefixes.
    bound: HashSet<KeyDigest, ahash::RandomState>,
    done: BTreeSet<Box<str>>,
    usage: BTreeMap<(KeyId, u32), SlotUsage>,
    journal: VecDeque<Journalled>,
    /// The number of the latest row.
    journalled: u64,
}

/// What would be there with an insertion that is not made yet.
#[derive(Default)]
struct Batch {
    ids: HashSet<KeyId, ahash::RandomState>,
    digests: HashSet<KeyDigest, ahash::RandomState>,
    handles: BTreeSet<Box<str>>,
}

impl MemoryStore {
    /// How many rows of the journal are kept.
    const JOURNAL: usize = 1_000;

    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store as it was when it was written down.
    ///
    /// # Errors
    /// [`BadSnapshot`] for what no store can hold.
    pub fn from_snapshot(snapshot: &Snapshot) -> Result<Self, BadSnapshot> {
        let store = Self::new();
        let mut insertions = Vec::new();
        let mut writing = store.writing();
        for prefix in &snapshot.prefixes {
            store.bind_in(&mut writing, prefix);
        }
        let mut foreign = HashMap::new();
        for key in &snapshot.keys {
            let (record, prefix) = key.read()?;
            foreign.extend(prefix.map(|prefix| (record.id, prefix)));
            insertions.push(Insertion::new(record));
        }
        let (admitted, refused) = store.admit(&writing, &insertions);
        if let Some((index, refused)) = refused.first() {
            return Err(BadSnapshot::new(format!("key {}", insertions[*index].record.id), refused));
        }
        debug_assert_eq!(admitted.len(), insertions.len());
        for insertion in insertions {
            let id = insertion.record.id;
            store.put(&mut writing, &Arc::new(insertion.record));
            if let Some(prefix) = foreign.get(&id) {
                writing.foreign.entry(*prefix).or_default().push(id);
            }
        }
        for text in &snapshot.retired {
            let bad = || BadSnapshot::new("retired", "an entry is neither a digest nor a handle");
            match text.strip_prefix("handle:") {
                Some(handle) => _ = writing.handles.insert(handle.into()),
                None => {
                    let digest = read_digest(text).ok_or_else(bad)?;
                    if store.knows(&writing, &digest) {
                        return Err(BadSnapshot::new("retired", "a secret is there twice, or is a key's still"));
                    }
                    writing.retired.insert(digest);
                }
            }
        }
        writing.done.extend(snapshot.done.iter().map(|name| name.as_str().into()));
        for usage in &snapshot.usage {
            let usage = usage.read()?;
            writing.usage.insert((usage.id, usage.number), usage);
        }
        if snapshot.journal.windows(2).any(|rows| rows[0].number >= rows[1].number) {
            return Err(BadSnapshot::new("journal", "the numbers of its rows do not grow"));
        }
        writing.journal.extend(snapshot.journal.iter().cloned());
        writing.journalled = snapshot.journal.last().map_or(0, |row| row.number);
        drop(writing);
        Ok(store)
    }

    /// All that the store knows, written down.
    pub fn snapshot(&self) -> Snapshot {
        let mut writing = self.writing();
        self.settle(&mut writing);
        let foreign: HashMap<KeyId, KeyDigest> =
            writing.foreign.iter().flat_map(|(prefix, ids)| ids.iter().map(|id| (*id, *prefix))).collect();
        let live: HashSet<&str> = writing.by_id.values().flat_map(|record| record.slots()).filter_map(handle_of).collect();
        let retired_handles = writing.handles.iter().filter(|handle| !live.contains(&***handle));
        let mut retired: Vec<String> = writing.retired.iter().map(digest_text).collect();
        retired.extend(retired_handles.map(|handle| format!("handle:{handle}")));
        retired.sort();
        let mut prefixes: Vec<String> = self.0.prefixes.load().iter().map(|prefix| prefix.to_string()).collect();
        prefixes.sort();
        Snapshot {
            keys: writing.by_id.values().map(|record| StoredRecord::of(record, foreign.get(&record.id).copied())).collect(),
            prefixes,
            retired,
            done: writing.done.iter().map(|name| name.to_string()).collect(),
            usage: writing.usage.values().map(StoredUsage::of).collect(),
            journal: writing.journal.iter().cloned().collect(),
        }
    }

    /// A store that begins as this one is, and then goes its own way. Only revocations are shared: what one of them revokes, the
    /// other one does not accept either.
    #[must_use]
    pub fn fork(&self) -> Self {
        let fork = Self::new();
        let mut from = self.writing();
        self.settle(&mut from);
        let mut to = fork.writing();
        for record in from.by_id.values() {
            fork.put(&mut to, record);
        }
        to.retired.clone_from(&from.retired);
        to.handles.clone_from(&from.handles);
        to.foreign.clone_from(&from.foreign);
        to.bound.clone_from(&from.bound);
        to.done.clone_from(&from.done);
        to.usage.clone_from(&from.usage);
        to.journal.clone_from(&from.journal);
        to.journalled = from.journalled;
        fork.0.prefixes.store(self.0.prefixes.load_full());
        drop(to);
        fork
    }

    /// Revokes what another store knows to be revoked: a live process never un-revokes a key, whatever it reads. The ids of keys
    /// that were not revoked here.
    pub fn revoke_as(&self, other: &Self) -> Vec<KeyId> {
        let revoked: Vec<_> =
            other.writing().by_id.values().filter_map(|record| Some((record.id, record.revoked_at()?))).collect();
        let writing = self.writing();
        let missed = revoked.iter().filter_map(|(id, at)| {
            let record = writing.by_id.get(id).filter(|record| !record.is_revoked())?;
            record.revoke(*at);
            Some(*id)
        });
        missed.collect()
    }

    /// Adds uses to those that are kept.
    pub fn keep_usage(&self, usage: Vec<SlotUsage>) {
        keep_usage(&mut self.writing(), usage);
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

    /// Which insertions are good, by their places, and why others are not. Nothing is changed.
    fn admit(&self, writing: &Writing, insertions: &[Insertion]) -> (Vec<usize>, Vec<(usize, Refused)>) {
        let (mut batch, mut admitted, mut refused) = (Batch::default(), Vec::new(), Vec::new());
        for (index, insertion) in insertions.iter().enumerate() {
            match self.check(writing, &batch, insertion) {
                Err(reason) => refused.push((index, reason)),
                Ok(()) => {
                    batch.ids.insert(insertion.record.id);
                    for slot in insertion.record.slots() {
                        match &slot.secret {
                            StoredSecret::Digest(digest) => _ = batch.digests.insert(*digest),
                            StoredSecret::Argon2(hash) => _ = batch.handles.insert(hash.handle().into()),
                        }
                    }
                    admitted.push(index);
                }
            }
        }
        (admitted, refused)
    }

    fn check(&self, writing: &Writing, batch: &Batch, insertion: &Insertion) -> Result<(), Refused> {
        let record = &insertion.record;
        if writing.by_id.contains_key(&record.id) || batch.ids.contains(&record.id) {
            return Err(Refused::IdTaken);
        }
        let is_taken = |digest: &KeyDigest| self.knows(writing, digest) || batch.digests.contains(digest);
        if let Some(key) = &insertion.key {
            if key.digests().iter().any(is_taken) {
                return Err(Refused::SecretTaken);
            }
            if key.foreign_prefix().is_some_and(|prefix| writing.bound.contains(&prefix)) {
                return Err(Refused::LooksGenerated);
            }
            let own: Vec<&str> = record.slots().filter_map(handle_of).collect();
            let is_anothers =
                |handle: &str| !own.contains(&handle) && (writing.handles.contains(handle) || batch.handles.contains(handle));
            if key.handles().any(is_anothers) {
                return Err(Refused::HandleTaken);
            }
        }
        for slot in record.slots() {
            match &slot.secret {
                StoredSecret::Digest(digest) if is_taken(digest) => return Err(Refused::SecretTaken),
                StoredSecret::Digest(_) => {}
                StoredSecret::Argon2(hash) => {
                    check_handle(&writing.handles, hash.handle())?;
                    check_handle(&batch.handles, hash.handle())?;
                }
            }
        }
        Ok(())
    }

    /// Whether a digest is, or was, a record's.
    fn knows(&self, writing: &Writing, digest: &KeyDigest) -> bool {
        self.0.by_digest.contains(digest) || writing.retired.contains(digest)
    }

    fn add(&self, insert: Insert, by: &Attribution) -> Inserted {
        let Insert { insertions, where_refused, once, progress } = insert;
        let mut writing = self.writing();
        if once.as_ref().is_some_and(|once| writing.done.contains(once)) {
            let refused = (0..insertions.len()).map(|index| (index, Refused::DoneBefore)).collect();
            return Inserted { records: Vec::new(), refused };
        }
        let (admitted, refused) = self.admit(&writing, &insertions);
        let adds_none = match where_refused {
            WhereRefused::AddNone => !refused.is_empty(),
            WhereRefused::AddOthers => false,
            WhereRefused::OnlyTell => true,
        };
        if adds_none {
            return Inserted { records: Vec::new(), refused };
        }
        let mut admitted = admitted.into_iter().peekable();
        let mut records = Vec::new();
        for (index, Insertion { record, key }) in insertions.into_iter().enumerate() {
            if admitted.next_if_eq(&index).is_none() {
                continue;
            }
            if let Some(prefix) = key.and_then(|key| key.foreign_prefix()) {
                writing.foreign.entry(prefix).or_default().push(record.id);
            }
            let record = Arc::new(record);
            self.change_indexes(|| self.put(&mut writing, &record));
            writing.note(Journalled::new(by, "create", record.id, None, Some(&record)));
            records.push(record);
            if let Some(progress) = progress.as_ref().filter(|_| records.len().is_multiple_of(1_000)) {
                progress.tell(records.len());
            }
        }
        writing.done.extend(once);
        Inserted { records, refused }
    }

    /// Makes a version of a record the one that is found.
    fn put(&self, writing: &mut Writing, record: &Arc<Record>) {
        for slot in record.slots() {
            match &slot.secret {
                StoredSecret::Digest(digest) => upsert(&self.0.by_digest, *digest, record),
                StoredSecret::Argon2(hash) => {
                    writing.handles.insert(hash.handle().into());
                    upsert(&self.0.by_handle, hash.handle().into(), record);
                    self.0.has_handles.store(true, Ordering::Release);
                }
            }
        }
        writing.by_id.insert(record.id, record.clone());
    }

    fn take_out(&self, writing: &mut Writing, secret: &StoredSecret) {
        match secret {
            StoredSecret::Digest(digest) => {
                self.0.by_digest.remove_sync(digest);
                writing.retired.insert(*digest);
            }
            // Handles stay among all that ever were.
            StoredSecret::Argon2(hash) => _ = self.0.by_handle.remove_sync(hash.handle()),
        }
    }

    fn apply(&self, writing: &mut Writing, id: &KeyId, change: Change, by: &Attribution) -> Result<Arc<Record>, Refused> {
        let before = writing.by_id.get(id).cloned().ok_or(Refused::NotFound)?;
        if before.is_revoked() && matches!(change, Change::Revoke(_)) {
            return Ok(before);
        }
        let new_digest = match &change {
            Change::Rotate { slot, .. } => match &slot.secret {
                StoredSecret::Digest(digest) => Some(*digest),
                StoredSecret::Argon2(hash) => {
                    check_handle(&writing.handles, hash.handle())?;
                    None
                }
            },
            Change::Rehash { digest, .. } => Some(*digest),
            Change::Revoke(_) | Change::Update(_) => None,
        };
        if !before.is_revoked() && new_digest.is_some_and(|digest| self.knows(writing, &digest)) {
            return Err(Refused::SecretTaken);
        }
        let action = change.action();
        // Told as it was: a revocation reaches the old version too.
        let mut row = Journalled::new(by, action, *id, Some(&before), None);
        let after = Arc::new(change.apply(&before, by.at)?);
        row.after = Journalled::new(by, action, *id, None, Some(&after)).after;
        self.change_indexes(|| {
            self.put(writing, &after);
            // An older previous secret ends with a rotation.
            for slot in before.slots().filter(|old| after.slots().all(|new| new.secret != old.secret)) {
                self.take_out(writing, &slot.secret);
            }
        });
        writing.note(row);
        Ok(after)
    }

    fn remove(&self, id: &KeyId, by: &Attribution) -> Result<(), Refused> {
        let mut writing = self.writing();
        let record = writing.by_id.get(id).cloned().ok_or(Refused::NotFound)?;
        if !record.is_revoked() {
            return Err(Refused::NotRevoked);
        }
        self.change_indexes(|| record.slots().for_each(|slot| self.take_out(&mut writing, &slot.secret)));
        writing.by_id.remove(id);
        self.settle(&mut writing);
        let of_it: Vec<_> = writing.usage.range((*id, 0)..=(*id, u32::MAX)).map(|(at, _)| *at).collect();
        of_it.iter().for_each(|at| _ = writing.usage.remove(at));
        writing.note(Journalled::new(by, "purge", *id, Some(&record), None));
        Ok(())
    }

    fn bind_in(&self, writing: &mut Writing, prefix: &str) {
        writing.bound.insert(KeyDigest::sha256(prefix.as_bytes()));
        self.0.prefixes.rcu(|bound| {
            let mut bound = HashSet::clone(bound);
            bound.insert(prefix.into());
            bound
        });
    }

    /// Moves uses from the ledger to where they are kept.
    fn settle(&self, writing: &mut Writing) {
        keep_usage(writing, self.0.ledger.take());
    }
}

fn keep_usage(writing: &mut Writing, usage: Vec<SlotUsage>) {
    // A key that was purged meanwhile has no uses.
    for usage in usage.into_iter().filter(|usage| writing.by_id.contains_key(&usage.id)).collect::<Vec<_>>() {
        let at = (usage.id, usage.number);
        let usage = match writing.usage.remove(&at) {
            Some(before) => before.merged(usage),
            None => usage,
        };
        writing.usage.insert(at, usage);
    }
}

impl Writing {
    fn note(&mut self, mut row: Journalled) {
        self.journalled = self.journalled.saturating_add(1);
        row.number = self.journalled;
        if self.journal.len() >= MemoryStore::JOURNAL {
            self.journal.pop_front();
        }
        self.journal.push_back(row);
    }
}

/// A handle is taken as it is, and begins no other one.
fn check_handle(handles: &BTreeSet<Box<str>>, handle: &str) -> Result<(), Refused> {
    if handles.contains(handle) {
        return Err(Refused::SecretTaken);
    }
    let begins_with_another = (1..handle.len()).filter_map(|end| handle.get(..end)).any(|begin| handles.contains(begin));
    let from_here = (Bound::Excluded(handle), Bound::Unbounded);
    let begins_another = handles.range::<str, _>(from_here).next().is_some_and(|next| next.starts_with(handle));
    if begins_with_another || begins_another { Err(Refused::HandleTaken) } else { Ok(()) }
}

fn handle_of(slot: &crate::key::Slot) -> Option<&str> {
    match &slot.secret {
        StoredSecret::Argon2(hash) => Some(hash.handle()),
        StoredSecret::Digest(_) => None,
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

    fn find_by_id(&self, id: &KeyId, _: Now) -> Answer<Option<Arc<Record>>> {
        self.get(id)
    }

    fn binds(&self, prefix: &str) -> bool {
        self.0.prefixes.load().contains(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        if let Some(digest) = used.better_digest {
            let by = Attribution { actor: "rehash on use".into(), at: used.at };
            // Refused where the key was changed meanwhile, and then there is nothing to do.
            let _ = self.apply(&mut self.writing(), used.id, Change::Rehash { number: used.number, digest }, &by);
        }
        if self.0.ledger.note(used) {
            self.settle(&mut self.writing());
        }
    }
}

impl RecordStore for MemoryStore {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        Answer::ready(self.add(insert, &by))
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        Answer::ready(self.writing().by_id.get(id).cloned())
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let writing = self.writing();
        let behind = writing.by_id.range((start, Bound::Unbounded)).map(|(_, record)| record);
        Answer::ready(behind.filter(|record| filter.matches(record)).take(limit).cloned().collect())
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        Answer::ready(self.apply(&mut self.writing(), id, change, &by))
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        Answer::ready(self.remove(id, &by))
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        let mut writing = self.writing();
        if !self.binds(prefix) {
            let foreign = writing.foreign.get(&KeyDigest::sha256(prefix.as_bytes()));
            let is_used = |id: &KeyId| writing.by_id.get(id).is_some_and(|record| !record.is_revoked());
            if foreign.is_some_and(|ids| ids.iter().any(is_used)) {
                return Answer::ready(Err(Refused::LooksGenerated));
            }
            self.bind_in(&mut writing, prefix);
        }
        Answer::ready(Ok(()))
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        let mut writing = self.writing();
        self.settle(&mut writing);
        let of = |id: &KeyId| writing.usage.range((*id, 0)..=(*id, u32::MAX)).map(|(_, usage)| usage.clone());
        Answer::ready(ids.iter().flat_map(of).collect())
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        let writing = self.writing();
        Answer::ready(writing.journal.iter().filter(|row| row.number > after).take(limit).cloned().collect())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore({} keys)", self.writing().by_id.len())
    }
}
