//! [`FileStore`]: the keys of one file, for guards and for [`Keys`](keyward::Keys).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use keyward::clock::Now;
use keyward::key::{KeyId, Record};
use keyward::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, Presented, RecordStore, Refused, SlotUsage, Use,
};
use keyward::{Answer, Fault};

use crate::builder::FileStoreBuilder;
use crate::error::FileError;
use crate::live::{Live, Outcome, at_once};

/// The keys of one file. Clones share it; it is let go of with the last of them.
///
/// Whoever looks for a key waits for nothing. Changes are made one at a time, on a thread of their own, and are acknowledged once
/// the disk has them.
#[derive(Clone)]
pub struct FileStore(Arc<Handle>);

/// Closes the file, even while a thread is still busy with it.
struct Handle(Arc<Live>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl FileStore {
    /// Opens a file of keys to read and change them, and makes it if it is not there; its folder has to be.
    ///
    /// # Errors
    /// [`FileError`]: it is in use, not safe where it is, or damaged. It is as it was before.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::builder(path).open()
    }

    /// Opens a file of keys in another way.
    pub fn builder(path: impl Into<PathBuf>) -> FileStoreBuilder {
        FileStoreBuilder::new(path.into())
    }

    pub(crate) fn of(live: Live) -> Self {
        Self(Arc::new(Handle(Arc::new(live))))
    }

    /// Writes the uses that are not written yet. Waits for the disk.
    ///
    /// # Errors
    /// A fault: they stay in memory, and the next change tries again.
    pub fn flush(&self) -> Result<(), Fault> {
        self.live().flush()
    }

    fn live(&self) -> &Arc<Live> {
        &self.0.0
    }

    /// Does something that waits for the disk, on a thread of its own, as soon as somebody waits for the answer.
    fn later<T: Send + 'static>(&self, work: impl FnOnce(&Live) -> Result<T, Fault> + Send + 'static) -> Answer<T> {
        let store = self.clone();
        Answer::Pending(Box::pin(async move {
            let file = store.live().place.path().display().to_string();
            let (tell, told) = oneshot::channel();
            let work = move || {
                let result = work(store.live());
                // First, since whoever is told may open the file again at once.
                drop(store);
                let _ = tell.send(result);
            };
            let thread = std::thread::Builder::new().name("keyward-file".to_owned()).spawn(work);
            thread.map_err(|error| Fault::new(format!("no thread to change {file}: {error}; nothing was changed")))?;
            let lost = || Fault::new(format!("the thread that changed {file} ended; whether the change was made is not known"));
            told.await.unwrap_or_else(|_| Err(lost()))
        }))
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileStore({} with {:?})", self.live().place.path().display(), self.live().last_good())
    }
}

impl KeyStore for FileStore {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.live().ask_at(presented.now().steady, |store| store.find(presented))
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.live().ask_at(now.steady, |store| store.get(id))
    }

    fn binds(&self, prefix: &str) -> bool {
        self.live().last_good().binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        self.live().note(used);
    }
}

impl RecordStore for FileStore {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        self.later(move |live| live.change(|store| at_once(store.insert(insert, by)).map(Outcome::Done)))
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        self.live().ask(|store| store.get(id))
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        self.live().ask(|store| store.list(filter, after, limit))
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        let id = *id;
        self.later(move |live| {
            let (ends, at) = (matches!(change, Change::Revoke(_)), by.at);
            let result = live.change(|store| at_once(store.change(&id, change, by)).map(outcome));
            if ends && result.is_err() {
                live.revoke_unwritten(&id, at);
            }
            result
        })
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        let id = *id;
        self.later(move |live| live.change(|store| at_once(store.purge(&id, by)).map(outcome)))
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        if let Answer::Ready(Ok(true)) = self.live().ask_current(|store| Answer::ready(store.binds(prefix))) {
            return Answer::ready(Ok(()));
        }
        let prefix = prefix.to_owned();
        self.later(move |live| live.change(|store| at_once(store.bind(&prefix)).map(outcome)))
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        Answer::Ready(self.live().usage(ids))
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.live().ask(|store| store.journal(after, limit))
    }

    /// For those who only read the file: they look at it four times a second, and then read it.
    fn revocation_bound(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn outcome<T>(result: Result<T, Refused>) -> Outcome<Result<T, Refused>> {
    if result.is_err() { Outcome::Refused(result) } else { Outcome::Done(result) }
}
