//! The keys as they are now: found without a lock, changed whole, read again when somebody else changed the file.

use std::collections::HashSet;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use keyward::key::{Epoch, KeyId, State};
use keyward::store::{Attribution, Change, Filter, RecordStore, SlotUsage, Snapshot, Use};
use keyward::{Answer, Fault, MemoryStore, SystemRandom, Timestamp};

use crate::content::{self, Content};
use crate::durable::{self, Before, NotWritten};
use crate::error::{FileError, FileErrorKind};
use crate::lock::Lock;
use crate::place::{Found, Place, Version};
use crate::uses::Uses;

/// All that the clones of a store share.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) place: Place,
    only_reads: bool,
    current: ArcSwap<Current>,
    /// When somebody last looked at the file, in steady nanoseconds.
    looked: AtomicU64,
    writer: Mutex<Writer>,
    pub(crate) uses: Uses,
    /// A thread is writing what can wait.
    is_writing: AtomicBool,
    /// It is to look again before it ends.
    once_more: AtomicBool,
}

/// One version of the keys.
#[derive(Debug)]
struct Current {
    store: MemoryStore,
    /// What the file said last, if that is known.
    checksum: String,
    /// The version that was read or written; `None` to read at the next look, whatever is there.
    version: Option<Version>,
    /// Why there is no answer from these keys: the file became another one, which cannot be read.
    trouble: Option<Fault>,
    /// See [`Found::file`].
    _file: Option<File>,
}

/// Who makes changes, one at a time.
#[derive(Debug)]
struct Writer {
    /// There as long as changes may be made.
    lock: Option<Lock>,
    /// A change was not written, and may have marked records in memory as revoked. The next one begins with what is in the file, so
    /// that each revocation gets its row in the journal.
    begins_with_file: bool,
    /// The last version may not last: the next change writes all of it, whatever it does.
    may_not_last: bool,
}

/// What became of the keys under an operation.
pub(crate) enum Outcome<T> {
    /// They are as before.
    Refused(T),
    /// They may be others.
    Done(T),
}

impl Live {
    /// How long a change of the file may go unnoticed, in nanoseconds, while keys are looked for.
    const LOOK_EVERY: u64 = 250_000_000;
    /// Farther from every time than that.
    const NOT_LOOKED: u64 = u64::MAX;

    pub(crate) fn open(place: Place, only_reads: bool, uses: Uses) -> Result<Self, FileError> {
        place.check_folder()?;
        let lock = if only_reads { None } else { Some(Lock::take(&place)?) };
        if !only_reads {
            durable::remove_temporaries(&place);
        }
        let current = match place.read()? {
            Some(found) => Current::of(content::read(place.path(), &found.bytes)?, found),
            None if only_reads => {
                let mend = "start the process that writes it, or give the path of a file that is there";
                return Err(FileError::new(FileErrorKind::Missing, place.path(), "is not there", mend));
            }
            None => create(&place)?,
        };
        Ok(Self {
            place,
            only_reads,
            current: ArcSwap::from_pointee(current),
            looked: AtomicU64::new(Self::NOT_LOOKED),
            writer: Mutex::new(Writer { lock, begins_with_file: false, may_not_last: false }),
            uses,
            is_writing: AtomicBool::new(false),
            once_more: AtomicBool::new(false),
        })
    }

    /// Asks the keys as they are, after a look at the file if the last one was a while ago.
    pub(crate) fn ask_at<T>(self: &Arc<Self>, now: u64, ask: impl FnOnce(&MemoryStore) -> Answer<T>) -> Answer<T> {
        let looked = self.looked.load(Ordering::Relaxed);
        if now.abs_diff(looked) >= Self::LOOK_EVERY
            && self.looked.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            && !self.look()
        {
            self.looked.store(looked, Ordering::Relaxed);
        }
        self.ask_current(ask)
    }

    /// Asks the keys as they are in the file.
    pub(crate) fn ask<T>(self: &Arc<Self>, ask: impl FnOnce(&MemoryStore) -> Answer<T>) -> Answer<T> {
        self.look();
        self.ask_current(ask)
    }

    /// Asks the keys as they were in the file at the last look.
    pub(crate) fn ask_current<T>(&self, ask: impl FnOnce(&MemoryStore) -> Answer<T>) -> Answer<T> {
        let current = self.current.load();
        match &current.trouble {
            Some(fault) => Answer::fault(fault.clone()),
            None => ask(&current.store),
        }
    }

    /// The keys as they were when the file could last be read.
    pub(crate) fn last_good(&self) -> MemoryStore {
        self.current.load().store.clone()
    }

    /// Whether the keys are those of the file. False where a change or a look is under way, which is not waited for.
    fn look(self: &Arc<Self>) -> bool {
        if self.is_unchanged() {
            return true;
        }
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if self.read_again(&mut writer) {
            self.write_soon();
        }
        true
    }

    fn is_unchanged(&self) -> bool {
        let known = self.current.load().version;
        known.is_some() && self.place.version().ok() == known
    }

    /// Reads the file again if it is another one. Whether there is something to write into it.
    fn read_again(&self, writer: &mut Writer) -> bool {
        if self.is_unchanged() {
            return false;
        }
        let before = self.current.load_full();
        let version = self.place.version().ok();
        match read(&self.place) {
            Ok(current) => {
                let forgotten = carry_revocations(&before.store, &current.store);
                before.store.revoke_as(&current.store);
                for id in &forgotten {
                    tracing::error!(target: "keyward", key = %id, file = %self.place.path().display(), "the file says that a key is good which was revoked: it was restored, or edited; it is refused, and revoked again");
                }
                if before.trouble.is_some() {
                    tracing::info!(target: "keyward", file = %self.place.path().display(), "the file of keys can be read again");
                }
                writer.begins_with_file = false;
                writer.may_not_last = false;
                self.current.store(Arc::new(current));
                !forgotten.is_empty() && writer.lock.is_some()
            }
            Err(error) => {
                let fault = Fault::new(format!("{error}; no key is accepted until then"));
                // Only these have to do with what is in the file: all else may be mended without touching it.
                let version = version.filter(|_| matches!(error.kind(), FileErrorKind::Damaged | FileErrorKind::Newer));
                if before.trouble.as_ref() != Some(&fault) || (version.is_some() && before.version != version) {
                    tracing::error!(target: "keyward", %fault, "the file of keys was changed and cannot be read");
                }
                let (store, checksum) = (before.store.clone(), String::new());
                self.current.store(Arc::new(Current { store, checksum, version, trouble: Some(fault), _file: None }));
                false
            }
        }
    }

    /// Makes a change, and writes it before anybody sees it.
    pub(crate) fn change<T>(&self, operate: impl FnOnce(&MemoryStore) -> Result<Outcome<T>, Fault>) -> Result<T, Fault> {
        let mut writer = self.writer();
        self.check_lock(&mut writer)?;
        let is_owed = self.read_again(&mut writer);
        let before = self.current.load_full();
        if let Some(fault) = &before.trouble {
            return Err(Fault::new(format!("{fault}; nothing was changed")));
        }

        let begins_with_file = writer.begins_with_file;
        let next = if begins_with_file {
            read(&self.place).map_err(|error| error.nothing_changed())?.store
        } else {
            before.store.fork()
        };
        self.add_uses(&next);
        let done = match operate(&next)? {
            Outcome::Refused(answer) => {
                if is_owed && let Err(fault) = self.write(&mut writer, &before, next) {
                    tracing::warn!(target: "keyward", %fault, "a lost revocation could not be written again");
                }
                return Ok(answer);
            }
            Outcome::Done(answer) => answer,
        };
        if begins_with_file {
            carry_revocations(&before.store, &next);
            before.store.revoke_as(&next);
        }
        self.write(&mut writer, &before, next)?;
        Ok(done)
    }

    fn check_lock(&self, writer: &mut Writer) -> Result<(), Fault> {
        let file = self.place.path().display();
        let Some(lock) = &writer.lock else {
            return Err(Fault::new(if self.only_reads {
                format!(
                    "{file} was opened to be read only: make the change through the process that writes it; nothing was changed"
                )
            } else {
                format!("the store of {file} has been closed: open it again; nothing was changed")
            }));
        };
        // Somebody may have taken it for a leftover, and another process have the next one.
        if !lock.is_in_place() {
            writer.lock = Some(Lock::take(&self.place).map_err(|error| error.nothing_changed())?);
        }
        Ok(())
    }

    fn add_uses(&self, store: &MemoryStore) {
        let mut uses = self.uses.begin();
        for used in &mut uses {
            if let Some(digest) = used.better_digest.take() {
                let by = Attribution { actor: "rehash on use".into(), at: used.last_used };
                // Refused where the key was changed meanwhile, and then there is nothing to do.
                let _ = store.change(&used.id, Change::Rehash { number: used.number, digest }, by);
            }
        }
        store.keep_usage(uses);
    }

    fn write(&self, writer: &mut Writer, before: &Current, next: MemoryStore) -> Result<(), Fault> {
        let unwritable = |error| FileError::system(self.place.path(), "put into words", error);
        let written = content::write(&next.snapshot()).map_err(|error| unwritable(error.into()).nothing_changed())?;
        if written.checksum == before.checksum && !writer.may_not_last {
            self.uses.written(|| {});
            writer.begins_with_file = false;
            return Ok(());
        }
        let (file, result) = match durable::write(&self.place, written.text.as_bytes(), Before::File) {
            Ok(file) => (file, Ok(())),
            Err(NotWritten::OldIsThere(error)) => {
                writer.begins_with_file = true;
                return Err(error.nothing_changed());
            }
            Err(NotWritten::NewMayNotLast(file, error)) => {
                let fault = Fault::new(format!("{error}; the change is made, and may be lost if the power fails: make it again"));
                (file, Err(fault))
            }
        };
        writer.begins_with_file = false;
        writer.may_not_last = result.is_err();
        let version = file.metadata().ok().map(|metadata| Version::of(&metadata));
        let current = Current { store: next, checksum: written.checksum, version, trouble: None, _file: Some(file) };
        self.uses.written(|| self.current.store(Arc::new(current)));
        result
    }

    /// Writes what is not written yet.
    pub(crate) fn flush(&self) -> Result<(), Fault> {
        if self.only_reads { Ok(()) } else { self.change(|_| Ok(Outcome::Done(()))) }
    }

    /// Notes a use. Never waits. Whoever only reads would have nowhere to write it.
    pub(crate) fn note(self: &Arc<Self>, used: &Use<'_>) {
        if !self.only_reads && self.uses.note(used) {
            self.write_soon();
        }
    }

    /// How secrets were used, whether it is written or not.
    pub(crate) fn usage(self: &Arc<Self>, ids: &[KeyId]) -> Result<Vec<SlotUsage>, Fault> {
        self.look();
        self.uses.with(ids, || at_once(self.ask_current(|store| store.usage(ids)))).map(|mut usage| {
            let is_there = |usage: &SlotUsage| matches!(self.last_good().get(&usage.id), Answer::Ready(Ok(Some(_))));
            usage.retain(is_there);
            usage
        })
    }

    /// Revokes a key in memory, where its revocation could not be written: whoever asked for it wants it not to be accepted.
    pub(crate) fn revoke_unwritten(&self, id: &KeyId, at: Timestamp) {
        if let Answer::Ready(Ok(Some(record))) = self.last_good().get(id)
            && !self.only_reads
        {
            record.revoke(at);
        }
    }

    /// Writes what is not written yet on a thread of its own: one at a time.
    fn write_soon(self: &Arc<Self>) {
        self.once_more.store(true, Ordering::SeqCst);
        if self.is_writing.swap(true, Ordering::SeqCst) {
            return;
        }
        let live = self.clone();
        let writing = std::thread::Builder::new().name("keyward-file".to_owned()).spawn(move || live.write_while_wanted());
        if writing.is_err() {
            self.is_writing.store(false, Ordering::SeqCst);
        }
    }

    fn write_while_wanted(&self) {
        while self.once_more.swap(false, Ordering::SeqCst) {
            let result = self.flush();
            self.is_writing.store(false, Ordering::SeqCst);
            if let Err(fault) = result {
                if self.writer().lock.is_none() {
                    // Closed meanwhile, and before that all was written.
                    return;
                }
                self.uses.failed();
                tracing::warn!(target: "keyward", %fault, "uses of keys could not be written; they are kept in memory for now");
                return;
            }
            // Who came between has found this thread at work, and left.
            if !self.once_more.load(Ordering::SeqCst) || self.is_writing.swap(true, Ordering::SeqCst) {
                return;
            }
        }
        self.is_writing.store(false, Ordering::SeqCst);
    }

    /// Writes what is not written yet, and lets go of the file. Changes that come later are refused.
    pub(crate) fn close(&self) {
        let written = if self.uses.is_empty() { Ok(()) } else { self.flush() };
        if let Err(fault) = written {
            tracing::warn!(target: "keyward", %fault, "the last uses of keys could not be written");
        }
        self.writer().lock = None;
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // Keys are published when they have been written, and a panic before that leaves them as they were.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    fn of(content: Content, found: Found) -> Self {
        let Content { store, checksum } = content;
        Self { store, checksum, version: Some(found.version), trouble: None, _file: Some(found.file) }
    }
}

fn read(place: &Place) -> Result<Current, FileError> {
    let Some(found) = place.read()? else {
        let mend = "put it back, or restore a backup of it and revoke again what was revoked since";
        return Err(FileError::new(FileErrorKind::Missing, place.path(), "was taken away", mend));
    };
    Ok(Current::of(content::read(place.path(), &found.bytes)?, found))
}

/// Writes a file that holds no key yet.
fn create(place: &Place) -> Result<Current, FileError> {
    let unwritable = |error: serde_json::Error| FileError::system(place.path(), "put into words", error.into());
    let written = content::write(&Snapshot::default()).map_err(unwritable)?;
    match durable::write(place, written.text.as_bytes(), Before::Nothing) {
        Ok(_) => read(place),
        Err(NotWritten::OldIsThere(error) | NotWritten::NewMayNotLast(_, error)) => Err(error),
    }
}

/// Revokes in `fresh` what was revoked in `known`, whatever the file says by now. The ids of keys that were not.
///
/// By changes, so that each is in the journal and ends what was derived from the key. A key that was purged was revoked before.
fn carry_revocations(known: &MemoryStore, fresh: &MemoryStore) -> Vec<KeyId> {
    let now = Timestamp::from_system(SystemTime::now());
    let ready = |answer| match answer {
        Answer::Ready(Ok(records)) => records,
        _ => Vec::new(),
    };
    let revoked = Filter { state: Some((State::Revoked, now)), ..Filter::default() };
    let revoked = ready(known.list(&revoked, None, usize::MAX)).into_iter();
    let mut forgotten: Vec<_> = revoked.map(|record| (record.id, record.revoked_at().unwrap_or(now))).collect();
    let known_keys = known.snapshot();
    let fresh_keys = fresh.snapshot().keys;
    let is_there = |id: &KeyId| known_keys.keys.binary_search_by_key(id, |key| key.id).is_ok();
    for key in fresh_keys.iter().filter(|key| !is_there(&key.id)) {
        let mut slots = std::iter::once(&key.current).chain(&key.previous);
        if slots.any(|slot| known_keys.retired.binary_search(&content::retired_name(slot)).is_ok()) {
            forgotten.push((key.id, now));
        }
    }
    let good: HashSet<KeyId> = fresh_keys.iter().filter(|key| key.revoked.is_none()).map(|key| key.id).collect();
    forgotten.retain(|(id, _)| good.contains(id));
    for (id, at) in &forgotten {
        if let Ok(epoch) = Epoch::random(&SystemRandom) {
            let by = Attribution { actor: "known revocation".into(), at: *at };
            let _ = fresh.change(id, Change::Revoke(epoch), by);
        } else if let Answer::Ready(Ok(Some(record))) = fresh.get(id) {
            record.revoke(*at);
        }
    }
    forgotten.into_iter().map(|(id, _)| id).collect()
}

/// The answer of a store in memory, which is always there.
pub(crate) fn at_once<T>(answer: Answer<T>) -> Result<T, Fault> {
    match answer {
        Answer::Ready(result) => result,
        Answer::Pending(_) => Err(Fault::new("a store in memory made somebody wait")),
    }
}
