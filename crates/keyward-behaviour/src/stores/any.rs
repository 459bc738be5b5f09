//! Any store behind one type, so that cases are compiled once.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use keyward::{
    Answer, KeyStore,
    clock::Now,
    key::{KeyId, Record},
    store::{Attribution, Change, Filter, Insert, Inserted, Journalled, News, Presented, RecordStore, Refused, SlotUsage, Use},
};

/// A store whose type is forgotten. Clones share it.
#[derive(Clone)]
pub struct AnyStore {
    store: Arc<dyn RecordStore>,
    takes_note: bool,
}

impl AnyStore {
    /// Forgets a store's type.
    pub fn new(store: impl RecordStore + 'static) -> AnyStore {
        AnyStore { store: Arc::new(store), takes_note: true }
    }

    /// The same store, which is not told who was let in.
    #[must_use]
    pub fn untold(&self) -> AnyStore {
        AnyStore { takes_note: false, ..self.clone() }
    }
}

impl KeyStore for AnyStore {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.store.find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.store.find_by_id(id, now)
    }

    fn binds(&self, prefix: &str) -> bool {
        self.store.binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        if self.takes_note {
            self.store.used(used);
        }
    }
}

impl RecordStore for AnyStore {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        self.store.insert(insert, by)
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        self.store.get(id)
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        self.store.list(filter, after, limit)
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        self.store.change(id, change, by)
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        self.store.purge(id, by)
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        self.store.bind(prefix)
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        self.store.usage(ids)
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.store.journal(after, limit)
    }

    fn revocation_bound(&self) -> Duration {
        self.store.revocation_bound()
    }

    fn watch(&self, news: Weak<dyn News>) {
        self.store.watch(news);
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyStore")
    }
}
