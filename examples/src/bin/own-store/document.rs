//! Keys in one document, which is written whole with every change.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use keyward::clock::Now;
use keyward::key::{KeyId, Record};
use keyward::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, Presented, RecordStore, Refused, SlotUsage, Snapshot,
    Use,
};
use keyward::{Answer, Fault, MemoryStore};

/// Where the document is: here in memory, elsewhere a bucket or a row.
pub(crate) type Shelf = Arc<Mutex<Option<String>>>;

/// Keys in one document. Clones share it.
#[derive(Clone)]
pub(crate) struct DocumentStore {
    shelf: Shelf,
    keys: Arc<RwLock<MemoryStore>>,
}

impl DocumentStore {
    /// Reads the document. None there: no keys. One that cannot be read is an error, and never no keys.
    pub(crate) fn open(shelf: Shelf) -> Result<Self, Box<dyn std::error::Error>> {
        let document = shelf.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let keys = match document {
            None => MemoryStore::new(),
            Some(json) => MemoryStore::from_snapshot(&serde_json::from_str::<Snapshot>(&json)?)?,
        };
        Ok(Self { shelf, keys: Arc::new(RwLock::new(keys)) })
    }

    /// Writes the uses that are not written yet.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        write(&self.shelf, &self.keys())
    }

    fn keys(&self) -> MemoryStore {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes a fork, writes that down, and only then lets others see it. If it cannot be written nothing was changed; but what
    /// somebody wanted revoked is refused from now on, since forks share revocations.
    fn change<T>(&self, change: impl FnOnce(&MemoryStore) -> Answer<T>) -> Answer<T> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let fork = keys.fork();
        let answer = change(&fork);
        if let Err(fault) = write(&self.shelf, &fork) {
            return Answer::fault(fault);
        }
        *keys = fork;
        answer
    }
}

fn write(shelf: &Shelf, keys: &MemoryStore) -> Result<(), Fault> {
    let json = serde_json::to_string(&keys.snapshot()).map_err(|error| Fault::new(error.to_string()))?;
    *shelf.lock().unwrap_or_else(PoisonError::into_inner) = Some(json);
    Ok(())
}

impl KeyStore for DocumentStore {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.keys().find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.keys().find_by_id(id, now)
    }

    fn binds(&self, prefix: &str) -> bool {
        self.keys().binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        // Not a clone: a use that came to the old version of a fork would be lost.
        self.keys.read().unwrap_or_else(PoisonError::into_inner).used(used);
    }
}

impl RecordStore for DocumentStore {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        self.change(|keys| keys.insert(insert, by))
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        self.change(|keys| keys.change(id, change, by))
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        self.change(|keys| keys.purge(id, by))
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        // Every new key asks for it; what is bound already is worth no writing.
        if self.binds(prefix) { Answer::ready(Ok(())) } else { self.change(|keys| keys.bind(prefix)) }
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        self.keys().get(id)
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        self.keys().list(filter, after, limit)
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        self.keys().usage(ids)
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.keys().journal(after, limit)
    }
}
