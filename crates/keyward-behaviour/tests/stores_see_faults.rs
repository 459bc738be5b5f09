//! The suite of stores is not blind: each fault that is planted here is found.

use std::{
    process::ExitCode,
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
    time::Duration,
};

use keyward::{
    Answer, Cached, KeyStore, MemoryStore, Timestamp,
    clock::ManualClock,
    key::{KeyId, Record},
    store::{
        Attribution, Change, Filter, Insert, Inserted, Insertion, Journalled, News, Presented, RecordStore, Refused, SlotUsage,
        Snapshot, StoredRecord, Use, WhereRefused,
    },
};
use keyward_behaviour::stores::{self, Ability, Problem, StoreHarness};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials =
        vec![Trial::test("nothing is found where nothing is planted", || match stores::first_failure::<Planted<NONE>>() {
            None => Ok(()),
            Some(found) => Err(found.into()),
        })];
    macro_rules! plant {
        ($($fault:literal $name:literal)+) => {$(
            trials.push(Trial::test($name, || match stores::first_failure::<Planted<$fault>>() {
                None => Err("the suite did not find it".into()),
                Some(found) => {
                    eprintln!("{}: found by {}", $name, found.lines().next().unwrap_or_default());
                    Ok(())
                }
            }));
        )+};
    }
    // The numbers are those that `Faulty` asks about.
    plant! {
        1 "a secret that a rotation ended can be imported again"
        2 "a grace ends a nanosecond too early"
        3 "an update brings a revoked key back"
        4 "a purge leaves no row in the journal"
        5 "a beginning is looked for in any case"
        6 "a page begins with the last record of the one before"
        7 "an owner is looked for as a pattern"
        8 "expiry is kept to the microsecond"
        9 "NUL is left out of metadata"
        10 "what is done once is forgotten when its key is purged"
        11 "AddNone adds what is good"
        12 "a second revocation changes the time"
        13 "handles may begin one another"
        14 "uses of the old secret are counted for the new one"
        15 "of two changes at the same time one may be lost"
        16 "what is done once may be done twice at the same time"
        17 "prefixes are forgotten when the store is opened again"
        18 "foreign keys do not keep a prefix from being bound"
        19 "the journal names another actor"
        20 "a listing goes by the state of a moment ago"
        21 "a key that is switched on again keeps its epoch"
        22 "a refused change leaves a row in the journal"
        23 "a revocation is acknowledged before it is made"
        24 "a store says that nothing was changed elsewhere, and has not looked"
        25 "uses are forgotten when the store is opened again"
        26 "a rotation keeps the older secret"
        27 "the network of a use is the whole address"
        28 "revoked before includes the moment itself"
        29 "a digest brought alone is not compared with those that ended"
        30 "a row tells what became as what was before"
        31 "what paths a key is for is forgotten when the store is opened again"
        32 "a kind is not looked at"
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

const NONE: u32 = 0;

/// A store in memory with a fault, which is written down between one opening and the next, and has a cache.
struct Planted<const FAULT: u32>;

/// What several openings share.
#[derive(Clone)]
struct Faulty<const FAULT: u32> {
    store: Arc<RwLock<MemoryStore>>,
}

impl<const FAULT: u32> StoreHarness for Planted<FAULT> {
    const NAME: &'static str = "planted";
    const LASTS: Ability = Ability::Yes;
    const JOURNAL: u64 = 1_000;
    const SEQUENCES: u32 = 40;
    type Store = Cached<Faulty<FAULT>>;
    type Place = Faulty<FAULT>;

    fn start() -> Result<Self, Problem> {
        Ok(Planted)
    }

    fn new_place(&self) -> Result<Faulty<FAULT>, Problem> {
        Ok(Faulty { store: Arc::default() })
    }

    async fn open(place: &Faulty<FAULT>, clock: ManualClock) -> Result<Cached<Faulty<FAULT>>, Problem> {
        Ok(Cached::builder().clock(clock).over(place.clone()))
    }

    async fn close(place: &Faulty<FAULT>, _: Cached<Faulty<FAULT>>) -> Result<(), Problem> {
        place.rewrite(|snapshot| match FAULT {
            17 => snapshot.prefixes.clear(),
            25 => snapshot.usage.clear(),
            31 => snapshot.keys.iter_mut().for_each(|record| record.resource_pattern = None),
            _ => {}
        });
        Ok(())
    }
}

impl<const FAULT: u32> Faulty<FAULT> {
    fn read(&self) -> RwLockReadGuard<'_, MemoryStore> {
        self.store.read().unwrap()
    }

    fn write(&self) -> RwLockWriteGuard<'_, MemoryStore> {
        self.store.write().unwrap()
    }

    /// Makes another store of this one, in which something is different.
    fn rewrite(&self, change: impl FnOnce(&mut Snapshot)) {
        rewrite(&mut self.write(), change);
    }
}

fn rewrite(store: &mut MemoryStore, change: impl FnOnce(&mut Snapshot)) {
    let mut snapshot = store.snapshot();
    change(&mut snapshot);
    *store = MemoryStore::from_snapshot(&snapshot).unwrap();
}

fn record_of<'s>(snapshot: &'s mut Snapshot, id: &KeyId) -> Option<&'s mut StoredRecord> {
    snapshot.keys.iter_mut().find(|record| record.id == *id)
}

impl<const FAULT: u32> KeyStore for Faulty<FAULT> {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.read().find(presented)
    }

    fn binds(&self, prefix: &str) -> bool {
        self.read().binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        let mut used = *used;
        if FAULT == 14
            && let Answer::Ready(Ok(Some(record))) = self.read().get(used.id)
        {
            used.number = record.current.number;
        }
        self.read().used(&used);
    }
}

impl<const FAULT: u32> RecordStore for Faulty<FAULT> {
    fn insert(&self, mut insert: Insert, by: Attribution) -> Answer<Inserted> {
        let mut store = self.write();
        match FAULT {
            1 => rewrite(&mut store, |snapshot| snapshot.retired.clear()),
            29 if insert.insertions.iter().all(|insertion| insertion.key.is_none()) => {
                rewrite(&mut store, |snapshot| snapshot.retired.clear());
            }
            8 => insert.insertions = std::mem::take(&mut insert.insertions).into_iter().map(to_the_microsecond).collect(),
            9 => insert.insertions = std::mem::take(&mut insert.insertions).into_iter().map(without_nul).collect(),
            11 => insert.where_refused = WhereRefused::AddOthers,
            13 => {
                let records: Vec<_> = insert.insertions.iter().map(|insertion| Arc::new(insertion.record.clone())).collect();
                return store.insert(insert, by).then(move |inserted| {
                    let inserted = inserted?;
                    let is_only_that = inserted.refused.iter().all(|(_, refused)| *refused == Refused::HandleTaken);
                    let admitted = !inserted.refused.is_empty() && is_only_that;
                    Ok(if admitted { Inserted { records, refused: Vec::new() } } else { inserted })
                });
            }
            16 => {
                let once = insert.once.take();
                let is_done = store.snapshot().done.iter().any(|done| Some(done.as_str()) == once.as_deref());
                drop(store);
                std::thread::sleep(Duration::from_millis(2));
                if is_done {
                    return Answer::ready(Inserted { records: Vec::new(), refused: vec![(0, Refused::DoneBefore)] });
                }
                let mut store = self.write();
                rewrite(&mut store, |snapshot| snapshot.done.extend(once.map(String::from)));
                return store.insert(insert, by);
            }
            _ => {}
        }
        let by = if FAULT == 19 { Attribution { actor: "somebody".into(), ..by } } else { by };
        store.insert(insert, by)
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        self.read().get(id)
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        let store = self.read();
        let mut wider = filter.clone();
        let all = || match store.list(&Filter::default(), None, usize::MAX) {
            Answer::Ready(Ok(all)) => all,
            _ => Vec::new(),
        };
        match (FAULT, &filter.prefix, &filter.owner, filter.state, after) {
            (5, Some(prefix), ..) => {
                let begins = |record: &Record| record.current.prefix.to_lowercase().starts_with(&prefix.to_lowercase());
                wider.prefix = None;
                let found = all().into_iter().filter(|record| begins(record) && wider.matches(record));
                return Answer::ready(found.filter(|record| after.is_none_or(|after| record.id > after)).take(limit).collect());
            }
            (6, _, _, _, Some(after)) => {
                let from = all().into_iter().filter(|record| record.id >= after && filter.matches(record));
                let page: Vec<_> = from.take(limit).collect();
                // Where nothing is behind it, the end is still told.
                return Answer::ready(if page.iter().all(|record| record.id == after) { Vec::new() } else { page });
            }
            (7, _, Some(owner), ..) => {
                let pattern = owner.trim_end_matches('%');
                wider.owner = None;
                let is_like = |record: &Record| match &record.owner {
                    Some(of) if pattern.len() < owner.len() => of.starts_with(pattern),
                    of => of.as_deref() == Some(owner),
                };
                let found = all().into_iter().filter(|record| is_like(record) && wider.matches(record));
                return Answer::ready(found.filter(|record| after.is_none_or(|after| record.id > after)).take(limit).collect());
            }
            (20, _, _, Some((state, at)), _) => {
                wider.state = Some((state, Timestamp::from_unix_nanoseconds(at.unix_nanoseconds() - 1)));
            }
            (32, ..) => wider.kind = None,
            (28, ..) => {
                wider.revoked_before = filter.revoked_before.map(|before| before.after(Duration::from_nanos(1)));
            }
            _ => {}
        }
        store.list(&wider, after, limit)
    }

    fn change(&self, id: &KeyId, mut change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        if FAULT == 15 {
            // Read, and only then written, whatever happened meanwhile.
            let before = self.read().snapshot();
            std::thread::sleep(Duration::from_micros(200));
            let mut store = self.write();
            if let Some(record) = before.keys.iter().find(|record| record.id == *id)
                && matches!(change, Change::Update(_))
            {
                rewrite(&mut store, |snapshot| {
                    if let Some(now) = record_of(snapshot, id)
                        && now.revoked.is_none()
                        && now.current == record.current
                    {
                        *now = record.clone();
                    }
                });
            }
            return store.change(id, change, by);
        }
        let mut store = self.write();
        let is_revoked = matches!(store.get(id), Answer::Ready(Ok(Some(record))) if record.is_revoked());
        match (FAULT, &mut change) {
            (2, Change::Rotate { grace_ends, .. }) => {
                *grace_ends = Timestamp::from_unix_nanoseconds(grace_ends.unix_nanoseconds() - 1);
            }
            (3, Change::Update(_)) | (12, Change::Revoke(_)) if is_revoked => {
                rewrite(&mut store, |snapshot| record_of(snapshot, id).unwrap().revoked = None);
            }
            (21, Change::Update(update)) => {
                if let (Some((disabled @ false, epoch)), Answer::Ready(Ok(Some(record)))) = (&mut update.disabled, store.get(id))
                {
                    let _ = disabled;
                    *epoch = record.epoch;
                }
            }
            (22, _) if is_revoked => {
                rewrite(&mut store, |snapshot| {
                    let number = snapshot.journal.last().map_or(1, |row| row.number + 1);
                    snapshot.journal.push(Journalled { number, ..Journalled::new(&by, change.action(), *id, None, None) });
                });
            }
            (23, Change::Revoke(epoch)) if !is_revoked => {
                let Answer::Ready(Ok(Some(record))) = store.get(id) else { return store.change(id, change, by) };
                let copy = StoredRecord::of(&record, None).read().unwrap().0;
                let revoked = Change::Revoke(*epoch).apply(&copy, by.at).unwrap();
                let (store, id) = (self.clone(), *id);
                drop(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    let _ = store.write().change(&id, change, by);
                }));
                return Answer::ready(Ok(Arc::new(revoked)));
            }
            (26, Change::Rotate { .. }) => {
                let older = match store.get(id) {
                    Answer::Ready(Ok(Some(record))) => record.previous.clone(),
                    _ => None,
                };
                let changed = store.change(id, change, by);
                if let Some(older) = older {
                    rewrite(&mut store, |snapshot| {
                        let record = record_of(snapshot, id).unwrap();
                        let mut older = StoredRecord::of(&with_current(record, older), None).current;
                        older.number = record.previous.as_ref().map_or(0, |previous| previous.number);
                        let secret = older.secret.clone();
                        record.previous = Some(older);
                        snapshot.retired.retain(|retired| *retired != secret);
                    });
                }
                return changed;
            }
            _ => {}
        }
        let changed = store.change(id, change, by);
        if FAULT == 30 {
            rewrite(&mut store, |snapshot| {
                if let Some(row) = snapshot.journal.last_mut().filter(|row| row.after.is_some()) {
                    row.before = row.after.clone();
                }
            });
        }
        changed
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        let mut store = self.write();
        let purged = store.purge(id, by);
        if matches!(purged, Answer::Ready(Ok(Ok(())))) {
            match FAULT {
                4 => rewrite(&mut store, |snapshot| _ = snapshot.journal.pop()),
                10 => rewrite(&mut store, |snapshot| snapshot.done.clear()),
                _ => {}
            }
        }
        purged
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        let mut store = self.write();
        if FAULT == 18 {
            rewrite(&mut store, |snapshot| snapshot.keys.iter_mut().for_each(|key| key.foreign_prefix = None));
        }
        store.bind(prefix)
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        let usage = self.read().usage(ids);
        if FAULT != 27 {
            return usage;
        }
        usage.then(|usage| {
            let mut usage = usage?;
            usage.iter_mut().for_each(|used| used.network = used.network.map(|_| "203.0.113.77".parse().unwrap()));
            Ok(usage)
        })
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.read().journal(after, limit)
    }

    fn watch(&self, news: Weak<dyn News>) {
        if let Some(news) = news.upgrade().filter(|_| FAULT == 24) {
            news.verified(u64::MAX);
        }
    }
}

fn with_current(record: &StoredRecord, slot: keyward::key::Slot) -> Record {
    let (mut record, _) = record.read().unwrap();
    record.current = slot;
    record
}

fn to_the_microsecond(mut insertion: Insertion) -> Insertion {
    let cut = |time: Timestamp| Timestamp::from_unix_nanoseconds(time.unix_nanoseconds().div_euclid(1_000) * 1_000);
    insertion.record.expires = insertion.record.expires.map(cut);
    insertion
}

fn without_nul(mut insertion: Insertion) -> Insertion {
    let cut = |text: String| text.replace('\0', "");
    insertion.record.metadata =
        std::mem::take(&mut insertion.record.metadata).into_iter().map(|(name, value)| (cut(name), cut(value))).collect();
    insertion
}
