//! Keys in memory that only a trip reaches, behind a cache: every answer has to be waited for, as a database's.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use keyward::{
    Answer, Cached, KeyStore, MemoryStore,
    clock::ManualClock,
    key::{KeyId, Record},
    store::{Attribution, Change, Filter, Insert, Inserted, Journalled, News, Presented, RecordStore, Refused, SlotUsage, Use},
};

use crate::stores::{harness::StoreHarness, problem::Problem};

/// A cache over trips, with few records, so that some are evicted.
pub(super) struct CachedTrips;

impl StoreHarness for CachedTrips {
    const NAME: &'static str = "memory-by-trips";
    const JOURNAL: u64 = 1_000;
    const SEQUENCES: u32 = 80;
    type Store = Cached<Trips>;
    type Place = MemoryStore;

    fn start() -> Result<CachedTrips, Problem> {
        Ok(CachedTrips)
    }

    fn new_place(&self) -> Result<MemoryStore, Problem> {
        Ok(MemoryStore::new())
    }

    async fn open(place: &MemoryStore, clock: ManualClock) -> Result<Cached<Trips>, Problem> {
        Ok(Cached::builder().capacity(3).clock(clock).over(Trips(place.clone())))
    }
}

/// A store whose answers are never there at once.
#[derive(Clone)]
pub(super) struct Trips(MemoryStore);

/// What is done on arrival, and whose answer arrives later still.
fn trip<T: Send + 'static>(ask: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    Answer::Pending(Box::pin(async move {
        tokio::task::yield_now().await;
        let answered = ask().wait().await;
        tokio::task::yield_now().await;
        answered
    }))
}

impl KeyStore for Trips {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        // What is presented is lent, so the look is at once, and only the answer is late: the worst that a database may do.
        let found = self.0.find(presented);
        trip(move || found)
    }

    fn binds(&self, prefix: &str) -> bool {
        self.0.binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        self.0.used(used);
    }
}

impl RecordStore for Trips {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        let store = self.0.clone();
        trip(move || store.insert(insert, by))
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        let (store, id) = (self.0.clone(), *id);
        trip(move || store.get(&id))
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        let (store, filter) = (self.0.clone(), filter.clone());
        trip(move || store.list(&filter, after, limit))
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        let (store, id) = (self.0.clone(), *id);
        trip(move || store.change(&id, change, by))
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        let (store, id) = (self.0.clone(), *id);
        trip(move || store.purge(&id, by))
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        let (store, prefix) = (self.0.clone(), prefix.to_owned());
        trip(move || store.bind(&prefix))
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        let (store, ids) = (self.0.clone(), ids.to_vec());
        trip(move || store.usage(&ids))
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        let store = self.0.clone();
        trip(move || store.journal(after, limit))
    }

    fn revocation_bound(&self) -> Duration {
        self.0.revocation_bound()
    }

    fn watch(&self, news: Weak<dyn News>) {
        self.0.watch(news);
    }
}
