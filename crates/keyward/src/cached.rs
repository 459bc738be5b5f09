//! Records kept in memory in front of a store that is somewhere else.
//!
//! What is kept is records, never decisions: expiry, networks and limits are judged anew for each request.
//!
//! 1. A record that is younger than `max_staleness` is used as it is. Its age counts from the last time that the store was known to
//!    hold just this: when it was read, or when the store's [`News`] said that nothing else had changed.
//! 2. An older one is read again, and when that fails the request is 503: an old record is never better than none.
//! 3. That a key is unknown is kept for a second at the most, and apart from the records, so that guesses evict nobody.
//! 4. Many requests for one key that is not here make one trip.
//! 5. A key that this process knew to be revoked is revoked for as long as the process lives, whatever the store says later.
//!
//! Deliberately not a ready-made cache: a change has to take out every secret of one record at once, and a lookup must take no
//! lock, since one hot key would make all cores wait for it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_channel::oneshot;
use scc::HashIndex;
use smallvec::SmallVec;

use crate::answer::{Answer, Fault, Later};
use crate::clock::{Clock, Now, SystemClock};
use crate::key::{Epoch, KeyDigest, KeyId, Record, StoredSecret};
use crate::random::SystemRandom;
use crate::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, News, Presented, RecordStore, Refused, SlotUsage, Use,
};

/// A store, and in memory what was lately asked of it. Clones share both.
pub struct Cached<S>(Arc<Shared<S>>);

struct Shared<S> {
    store: S,
    kept: Arc<Kept>,
}

/// What a [`Cached`] holds and has done. Each number is read by itself: they need not fit each other to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CacheStatistics {
    /// How many records are kept now.
    pub records: usize,
    /// How many lookups asked the store. The others were answered by what is kept.
    pub trips: u64,
    /// How many of those failed, or took too long.
    pub failed: u64,
}

/// Sets a [`Cached`] up.
#[must_use]
pub struct CachedBuilder {
    capacity: usize,
    max_staleness: Duration,
    clock: Arc<dyn Clock>,
}

impl CachedBuilder {
    /// How many records are kept at most (100,000).
    pub fn capacity(mut self, records: usize) -> Self {
        self.capacity = records.max(1);
        self
    }

    /// How long a record may be used without word from the store (5 seconds): how soon a revocation made elsewhere holds here in
    /// the worst case. Zero asks the store each time.
    pub fn max_staleness(mut self, age: Duration) -> Self {
        self.max_staleness = age;
        self
    }

    /// Another clock. It has to be the guard's: ages are differences between what both read.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// In front of a store.
    pub fn over<S: RecordStore + 'static>(self, store: S) -> Cached<S> {
        let kept = Arc::new(Kept {
            by_secret: HashIndex::default(),
            writing: Mutex::default(),
            unknown: Mutex::default(),
            flights: Mutex::default(),
            revoked: Mutex::default(),
            told: AtomicU64::new(0),
            verified: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            capacity: self.capacity,
            max_staleness: nanoseconds(self.max_staleness),
            clock: self.clock,
        });
        let news: Arc<dyn News> = kept.clone();
        store.watch(Arc::downgrade(&news));
        Cached(Arc::new(Shared { store, kept }))
    }
}

impl fmt::Debug for CachedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedBuilder")
            .field("capacity", &self.capacity)
            .field("max_staleness", &self.max_staleness)
            .finish_non_exhaustive()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How long it is kept that a key is unknown.
const UNKNOWN_FOR: u64 = 1_000_000_000;
/// Of how many keys it is kept.
const MOST_UNKNOWN: usize = 8_192;

/// What is kept.
struct Kept {
    by_secret: HashIndex<SecretKey, Arc<Entry>, ahash::RandomState>,
    writing: Mutex<Writing>,
    unknown: Mutex<Unknown>,
    flights: Mutex<HashMap<KeyDigest, Waiting, ahash::RandomState>>,
    /// Ids that are known to be revoked. As many as there are revoked keys that somebody asked for: an outsider makes none.
    revoked: Mutex<HashSet<KeyId, ahash::RandomState>>,
    /// How many times a change was told. What was read before and is put here after may be older than the change.
    told: AtomicU64,
    /// Up to when everything here is known to be unchanged.
    verified: AtomicU64,
    /// Lookups that asked the store, and those of them that failed. Those that did not are many, and one count of them would be a
    /// line that all cores write.
    trips: AtomicU64,
    failed: AtomicU64,
    capacity: usize,
    max_staleness: u64,
    clock: Arc<dyn Clock>,
}

type Found = Result<Option<Arc<Record>>, Fault>;

/// Who waits for the end of a trip, and how many changes had been told when it began.
struct Waiting {
    told: u64,
    tell: Vec<oneshot::Sender<Found>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum SecretKey {
    Digest(KeyDigest),
    Handle(Box<str>),
}

struct Entry {
    record: Arc<Record>,
    /// The newest pepper's digest of a key that is stored under an older one: no other record has it, or the store would have
    /// found that one.
    newest: Option<KeyDigest>,
    /// When it was asked for.
    asked: u64,
    /// Looked up since the last time that room was made.
    used: AtomicBool,
    /// Taken out: whoever finds it all the same passes it over.
    ended: AtomicBool,
}

#[derive(Default)]
struct Writing {
    by_id: HashMap<KeyId, Arc<Entry>, ahash::RandomState>,
    /// All entries, in the order in which they are looked at when room is needed (CLOCK). Some have been taken out already.
    queue: VecDeque<Arc<Entry>>,
}

/// Keys that nobody has; or whose digest nobody has, while a record has their handle.
#[derive(Default)]
struct Unknown {
    at: HashMap<KeyDigest, (u64, Option<Box<str>>), ahash::RandomState>,
    /// The oldest first.
    queue: VecDeque<(u64, KeyDigest)>,
}

impl Unknown {
    fn put(&mut self, digest: KeyDigest, asked: u64, handle: Option<Box<str>>) {
        while self.queue.len() >= MOST_UNKNOWN {
            let Some((asked, oldest)) = self.queue.pop_front() else { break };
            if self.at.get(&oldest).is_some_and(|(at, _)| *at == asked) {
                self.at.remove(&oldest);
            }
        }
        self.queue.push_back((asked, digest));
        self.at.insert(digest, (asked, handle));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    fn count<T>(&self, found: Result<T, Fault>) -> Result<T, Fault> {
        self.trips.fetch_add(1, Ordering::Relaxed);
        if found.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    fn is_fresh(&self, entry: &Entry, now: u64) -> bool {
        let known = entry.asked.max(self.verified.load(Ordering::Acquire));
        !entry.ended.load(Ordering::Acquire) && now.saturating_sub(known) <= self.max_staleness && self.max_staleness > 0
    }

    /// Rule 2, for a trip that took long: a record may be as old as its beginning.
    fn in_time(&self, found: Option<Arc<Record>>, begun: u64) -> Found {
        let took = self.clock.now().steady.saturating_sub(begun);
        if self.max_staleness > 0 && took > self.max_staleness && found.as_ref().is_some_and(|record| !record.is_revoked()) {
            return Err(Fault::new(format!(
                "the store took {:?} to answer, and a revocation may take no longer than {:?}: check its load and its disk",
                Duration::from_nanos(took),
                Duration::from_nanos(self.max_staleness)
            )));
        }
        Ok(found)
    }

    fn peek(&self, secret: &SecretKey, now: u64) -> Option<Arc<Record>> {
        self.by_secret.peek_with(secret, |_, entry| {
            self.is_fresh(entry, now).then(|| {
                // Written only where it changes: a hot entry is read by all cores.
                if !entry.used.load(Ordering::Relaxed) {
                    entry.used.store(true, Ordering::Relaxed);
                }
                entry.record.clone()
            })
        })?
    }

    /// What is known without asking the store.
    fn look(&self, digests: &[KeyDigest], now: u64) -> Option<Option<Arc<Record>>> {
        // Only the first: that another one is here says nothing about a record with the first, which the store would prefer.
        let by_digest = digests.first().and_then(|digest| self.peek(&SecretKey::Digest(*digest), now));
        if by_digest.is_some() {
            return Some(by_digest);
        }
        let digest = digests.last()?;
        let handle = {
            let unknown = lock(&self.unknown);
            let (asked, handle) = unknown.at.get(digest)?;
            if now.saturating_sub(*asked) >= UNKNOWN_FOR.min(self.max_staleness) {
                return None;
            }
            handle.clone()
        };
        match handle {
            None => Some(None),
            Some(handle) => self.peek(&SecretKey::Handle(handle), now).map(Some),
        }
    }

    /// Keeps what the store said. `told`: how many changes had been told before it was asked.
    fn keep(&self, presented: &Asked, record: Option<&Arc<Record>>, told: u64) {
        let handle = match record {
            None => None,
            Some(record) => {
                let has = |digest: &KeyDigest| record.slots().any(|slot| slot.secret == StoredSecret::Digest(*digest));
                let found_by = presented.digests.iter().position(has);
                let newest = presented.digests.first().copied().filter(|_| found_by.is_some_and(|place| place > 0));
                self.put(record, newest, presented.at, told);
                if found_by.is_some() {
                    return;
                }
                record.slots().find_map(|slot| match &slot.secret {
                    StoredSecret::Argon2(hash) if presented.handles.contains(hash.handle()) => Some(hash.handle().into()),
                    _ => None,
                })
            }
        };
        let Some(digest) = presented.digests.last() else { return };
        let mut unknown = lock(&self.unknown);
        if self.told.load(Ordering::SeqCst) == told {
            unknown.put(*digest, presented.at, handle);
        }
    }

    fn put(&self, record: &Arc<Record>, newest: Option<KeyDigest>, asked: u64, told: u64) {
        let mut writing = lock(&self.writing);
        self.take_out(&mut writing, &record.id);
        let (used, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        let entry = Arc::new(Entry { record: record.clone(), newest, asked, used, ended });
        for secret in secrets_of(&entry) {
            // An entry that was taken out just now may still be there.
            self.by_secret.remove_sync(&secret);
            let _ = self.by_secret.insert_sync(secret, entry.clone());
        }
        writing.by_id.insert(record.id, entry.clone());
        writing.queue.push_back(entry);
        self.make_room(&mut writing);
        // A change that was told after the store was asked may be missing in what it said. One that is told from here on
        // finds the entry in its place.
        if self.told.load(Ordering::SeqCst) != told {
            self.take_out(&mut writing, &record.id);
        }
    }

    fn take_out(&self, writing: &mut Writing, id: &KeyId) {
        let Some(entry) = writing.by_id.remove(id) else { return };
        entry.ended.store(true, Ordering::Release);
        for secret in secrets_of(&entry) {
            let is_it = self.by_secret.peek_with(&secret, |_, other| Arc::ptr_eq(other, &entry)).unwrap_or(false);
            if is_it {
                self.by_secret.remove_sync(&secret);
            }
        }
    }

    /// Evicts records that were not looked up since they came by here last, and lets go of those that were taken out.
    fn make_room(&self, writing: &mut Writing) {
        while writing.by_id.len() > self.capacity || writing.queue.len() > self.capacity.saturating_mul(2) {
            let Some(entry) = writing.queue.pop_front() else { return };
            if entry.ended.load(Ordering::Acquire) {
                continue;
            }
            if writing.by_id.len() <= self.capacity || entry.used.swap(false, Ordering::Relaxed) {
                writing.queue.push_back(entry);
            } else {
                self.take_out(writing, &entry.record.id);
            }
        }
    }

    fn forget(&self, ids: &[KeyId]) {
        self.told.fetch_add(1, Ordering::SeqCst);
        let mut writing = lock(&self.writing);
        for id in ids {
            self.take_out(&mut writing, id);
        }
        drop(writing);
        *lock(&self.unknown) = Unknown::default();
    }

    /// Rule 5. Whether the store has lost a revocation that was known here.
    fn remembers_revoked(&self, record: &Record) -> bool {
        let mut revoked = lock(&self.revoked);
        if record.is_revoked() {
            revoked.insert(record.id);
            return false;
        }
        if !revoked.contains(&record.id) {
            return false;
        }
        tracing::error!(target: "keyward", key = %record.id, "the store says that a key is good which was revoked: it was restored, or failed over to a copy that had missed the revocation; it is refused, and revoked again");
        record.revoke(self.clock.now().wall);
        true
    }
}

impl News for Kept {
    fn now(&self) -> u64 {
        self.clock.now().steady
    }

    fn changed(&self, ids: &[KeyId]) {
        self.forget(ids);
    }

    fn revoked(&self, ids: &[KeyId]) {
        lock(&self.revoked).extend(ids);
        self.forget(ids);
    }

    fn all_changed(&self) {
        self.told.fetch_add(1, Ordering::SeqCst);
        let mut writing = lock(&self.writing);
        let ids: Vec<KeyId> = writing.by_id.keys().copied().collect();
        for id in ids {
            self.take_out(&mut writing, &id);
        }
        writing.queue.clear();
        drop(writing);
        *lock(&self.unknown) = Unknown::default();
    }

    fn verified(&self, time: u64) {
        self.verified.fetch_max(time, Ordering::AcqRel);
    }
}

fn secrets_of(entry: &Entry) -> SmallVec<[SecretKey; 3]> {
    let of = |secret: &StoredSecret| match secret {
        StoredSecret::Digest(digest) => SecretKey::Digest(*digest),
        StoredSecret::Argon2(hash) => SecretKey::Handle(hash.handle().into()),
    };
    let newest = entry.newest.map(SecretKey::Digest);
    entry.record.slots().map(|slot| of(&slot.secret)).chain(newest).collect()
}

/// What has to be known of a presented key once the store has answered: nothing that could be presented again.
struct Asked {
    at: u64,
    digests: SmallVec<[KeyDigest; 1]>,
    handles: HashSet<Box<str>>,
}

/// One trip to the store for all who ask for one key meanwhile.
struct Flight {
    kept: Arc<Kept>,
    digest: KeyDigest,
    has_landed: bool,
}

/// How a lookup comes by its answer.
enum Boarding {
    /// It makes the trip.
    Makes(Flight),
    /// Somebody else makes it.
    Waits(oneshot::Receiver<Found>),
    /// Somebody else's trip began before a change that was told since, and may bring what was before it.
    Alone,
}

impl Flight {
    fn board(kept: &Arc<Kept>, digest: KeyDigest) -> Boarding {
        let mut flights = lock(&kept.flights);
        let told = kept.told.load(Ordering::SeqCst);
        match flights.get_mut(&digest) {
            Some(waiting) if waiting.told == told => {
                let (tell, told) = oneshot::channel();
                waiting.tell.push(tell);
                Boarding::Waits(told)
            }
            Some(_) => Boarding::Alone,
            None => {
                flights.insert(digest, Waiting { told, tell: Vec::new() });
                Boarding::Makes(Self { kept: kept.clone(), digest, has_landed: false })
            }
        }
    }

    fn land(mut self, found: &Found) {
        // Behind this, the next who asks makes a trip of their own, which is none of ours to end.
        self.has_landed = true;
        let waiting = lock(&self.kept.flights).remove(&self.digest);
        for tell in waiting.into_iter().flat_map(|waiting| waiting.tell) {
            let _ = tell.send(found.clone());
        }
    }
}

impl Drop for Flight {
    /// Who made the trip may have gone away before its end: the others are let go, and one of them makes it.
    fn drop(&mut self) {
        if !self.has_landed {
            lock(&self.kept.flights).remove(&self.digest);
        }
    }
}

impl<S: RecordStore + 'static> Cached<S> {
    /// In front of a store, with 100,000 records and 5 seconds.
    pub fn new(store: S) -> Self {
        Cached::<()>::builder().over(store)
    }

    /// The store behind it.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// What was done so far, for a page of metrics.
    pub fn statistics(&self) -> CacheStatistics {
        let kept = &self.0.kept;
        CacheStatistics {
            records: lock(&kept.writing).by_id.len(),
            trips: kept.trips.load(Ordering::Relaxed),
            failed: kept.failed.load(Ordering::Relaxed),
        }
    }

    /// What was read has become something that can be answered.
    fn settle(
        shared: &Shared<S>,
        asked: &Asked,
        told: u64,
        found: Option<Arc<Record>>,
    ) -> (Option<Arc<Record>>, Option<Later<()>>) {
        let lost = found.as_ref().is_some_and(|record| shared.kept.remembers_revoked(record));
        shared.kept.keep(asked, found.as_ref(), told);
        let again = found.as_ref().filter(|_| lost).and_then(|record| revoke_again(shared, &record.id));
        (found, again)
    }

    /// Tells what a change has done, before whoever asked for it is told.
    fn changed(&self, id: KeyId, answer: Answer<Result<Arc<Record>, Refused>>) -> Answer<Result<Arc<Record>, Refused>> {
        let kept = self.0.kept.clone();
        answer.then(move |changed| {
            kept.forget(&[id]);
            if let Ok(Ok(record)) = &changed {
                kept.remembers_revoked(record);
            }
            changed
        })
    }
}

impl Cached<()> {
    /// Sets one up: `Cached::builder().capacity(10_000).over(store)`.
    pub fn builder() -> CachedBuilder {
        CachedBuilder { capacity: 100_000, max_staleness: Duration::from_secs(5), clock: Arc::new(SystemClock::new()) }
    }
}

/// What a restored store has lost is written into it once more.
fn revoke_again<S: RecordStore>(shared: &Shared<S>, id: &KeyId) -> Option<Later<()>> {
    let epoch = Epoch::random(&SystemRandom).ok()?;
    let by = Attribution { actor: "known revocation".into(), at: shared.kept.clock.now().wall };
    match shared.store.change(id, Change::Revoke(epoch), by) {
        Answer::Ready(_) => None,
        // Should this fail, the process refuses the key all the same, and the next one to read it tries again.
        Answer::Pending(later) => Some(Box::pin(async move { later.await.map(drop) })),
    }
}

impl<S: RecordStore + 'static> KeyStore for Cached<S> {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        if let Some(found) = self.0.kept.look(presented.digests(), presented.now().steady) {
            return Answer::ready(found);
        }
        let Some(digest) = presented.digests().last().copied() else { return Answer::ready(None) };
        let asked = Asked {
            at: presented.now().steady,
            digests: presented.digests().iter().copied().collect(),
            handles: presented.handles().map(Into::into).collect(),
        };
        let shared = self.0.clone();
        let told = shared.kept.told.load(Ordering::SeqCst);
        match self.0.store.find(presented) {
            Answer::Ready(found) => {
                Answer::Ready(shared.kept.count(found).map(|found| Self::settle(&shared, &asked, told, found).0))
            }
            Answer::Pending(later) => Answer::Pending(Box::pin(async move {
                let flight = loop {
                    match Flight::board(&shared.kept, digest) {
                        Boarding::Makes(flight) => break Some(flight),
                        Boarding::Alone => break None,
                        Boarding::Waits(told) => {
                            if let Ok(found) = told.await {
                                return found;
                            }
                            // Who made that trip went away. Another one may have made it since.
                            if let Some(found) = shared.kept.look(&asked.digests, asked.at) {
                                return Ok(found);
                            }
                        }
                    }
                };
                // From here on, not from when it was asked for: others' trips lie between.
                let told = shared.kept.told.load(Ordering::SeqCst);
                let begun = shared.kept.clock.now().steady;
                let found = shared.kept.count(later.await.and_then(|found| shared.kept.in_time(found, begun)));
                let (found, again) = match found {
                    Ok(found) => {
                        let (found, again) = Self::settle(&shared, &asked, told, found);
                        (Ok(found), again)
                    }
                    Err(fault) => (Err(fault), None),
                };
                if let Some(flight) = flight {
                    flight.land(&found);
                }
                if let Some(again) = again
                    && let Err(fault) = again.await
                {
                    tracing::error!(target: "keyward", %fault, "a lost revocation could not be written again");
                }
                found
            })),
        }
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        let kept = &self.0.kept;
        let entry = lock(&kept.writing).by_id.get(id).cloned();
        if let Some(entry) = entry.filter(|entry| kept.is_fresh(entry, now.steady)) {
            return Answer::ready(Some(entry.record.clone()));
        }
        let (shared, told) = (self.0.clone(), kept.told.load(Ordering::SeqCst));
        self.0.store.find_by_id(id, now).then(move |found| {
            let found = shared.kept.count(found.and_then(|found| shared.kept.in_time(found, now.steady)))?;
            if let Some(record) = &found {
                // A revocation that the store has lost is written again when the key itself is presented.
                shared.kept.remembers_revoked(record);
                shared.kept.put(record, None, now.steady, told);
            }
            Ok(found)
        })
    }

    fn binds(&self, prefix: &str) -> bool {
        self.0.store.binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        self.0.store.used(used);
    }
}

impl<S: RecordStore + 'static> RecordStore for Cached<S> {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        let kept = self.0.kept.clone();
        self.0.store.insert(insert, by).then(move |inserted| {
            // What was unknown may be known now.
            kept.forget(&[]);
            inserted
        })
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        let kept = self.0.kept.clone();
        self.0
            .store
            .get(id)
            .then(move |found| found.inspect(|found| _ = found.as_ref().map(|record| kept.remembers_revoked(record))))
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        let kept = self.0.kept.clone();
        self.0
            .store
            .list(filter, after, limit)
            .then(move |page| page.inspect(|page| page.iter().for_each(|record| _ = kept.remembers_revoked(record))))
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        self.changed(*id, self.0.store.change(id, change, by))
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        let (kept, id) = (self.0.kept.clone(), *id);
        self.0.store.purge(&id, by).then(move |purged| {
            kept.forget(&[id]);
            purged
        })
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        self.0.store.bind(prefix)
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        self.0.store.usage(ids)
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.0.store.journal(after, limit)
    }

    /// Whoever shares the store is taken to keep records as long as this one does.
    fn revocation_bound(&self) -> Duration {
        self.0.store.revocation_bound().max(Duration::from_nanos(self.0.kept.max_staleness))
    }

    fn watch(&self, news: Weak<dyn News>) {
        self.0.store.watch(news);
    }
}

impl<S> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: fmt::Debug> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({} records of {:?})", lock(&self.0.kept.writing).by_id.len(), self.0.store)
    }
}
