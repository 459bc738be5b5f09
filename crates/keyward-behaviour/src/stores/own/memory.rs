//! Keys in memory: by themselves, written down between one opening and the next, and behind a cache.

use std::sync::{Mutex, PoisonError};

use keyward::{Cached, MemoryStore, clock::ManualClock, store::Snapshot};

use crate::stores::{
    harness::{Ability, StoreHarness},
    problem::Problem,
};

const LATEST_THOUSAND: u64 = 1_000;

/// Keys in memory.
pub(super) struct Memory;

impl StoreHarness for Memory {
    const NAME: &'static str = "memory";
    const LASTS: Ability = Ability::No("nothing is kept when the process ends");
    const SHARED: Ability = Ability::No("it is in one process's memory, and its clones are one store");
    const JOURNAL: u64 = LATEST_THOUSAND;
    const SEQUENCES: u32 = 80;
    type Store = MemoryStore;
    type Place = ();

    fn start() -> Result<Memory, Problem> {
        Ok(Memory)
    }

    fn new_place(&self) -> Result<(), Problem> {
        Ok(())
    }

    async fn open(_: &(), _: ManualClock) -> Result<MemoryStore, Problem> {
        Ok(MemoryStore::new())
    }
}

/// Keys in memory, which are JSON between one opening and the next.
pub(super) struct WrittenDown;

/// The JSON, once the store was closed.
type Written = Mutex<Option<String>>;

impl StoreHarness for WrittenDown {
    const NAME: &'static str = "memory-written-down";
    const SHARED: Ability = Ability::No("it is in one process's memory, and its clones are one store");
    const JOURNAL: u64 = LATEST_THOUSAND;
    const SEQUENCES: u32 = 60;
    type Store = MemoryStore;
    type Place = Written;

    fn start() -> Result<WrittenDown, Problem> {
        Ok(WrittenDown)
    }

    fn new_place(&self) -> Result<Written, Problem> {
        Ok(Written::default())
    }

    async fn open(place: &Written, _: ManualClock) -> Result<MemoryStore, Problem> {
        match &*place.lock().unwrap_or_else(PoisonError::into_inner) {
            None => Ok(MemoryStore::new()),
            Some(json) => Ok(MemoryStore::from_snapshot(&serde_json::from_str::<Snapshot>(json)?)?),
        }
    }

    async fn close(place: &Written, store: MemoryStore) -> Result<(), Problem> {
        let json = serde_json::to_string(&store.snapshot())?;
        *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(json);
        Ok(())
    }
}

/// Keys in memory, behind a cache; who opens them again has another cache over the same memory.
pub(super) struct CachedMemory;

impl StoreHarness for CachedMemory {
    const NAME: &'static str = "memory-cached";
    const JOURNAL: u64 = LATEST_THOUSAND;
    const SEQUENCES: u32 = 80;
    type Store = Cached<MemoryStore>;
    type Place = MemoryStore;

    fn start() -> Result<CachedMemory, Problem> {
        Ok(CachedMemory)
    }

    fn new_place(&self) -> Result<MemoryStore, Problem> {
        Ok(MemoryStore::new())
    }

    async fn open(place: &MemoryStore, clock: ManualClock) -> Result<Cached<MemoryStore>, Problem> {
        Ok(Cached::builder().clock(clock).over(place.clone()))
    }
}
