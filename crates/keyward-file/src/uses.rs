//! Uses that are not written yet.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyward::Fault;
use keyward::key::KeyId;
use keyward::store::{Ledger, SlotUsage, Use};

/// Sums of uses on their way from the requests into the file.
#[derive(Debug)]
pub(crate) struct Uses {
    ledger: Ledger,
    sums: Mutex<Sums>,
    /// How long they may wait, in nanoseconds.
    every: u64,
    /// When they were written last, or tried to be, by the time of the requests.
    tried: AtomicI64,
    /// The last try failed.
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Sums {
    waiting: BTreeMap<(KeyId, u32), SlotUsage>,
    /// Being written now, or in a try that failed.
    in_flight: BTreeMap<(KeyId, u32), SlotUsage>,
}

impl Sums {
    fn add(&mut self, usage: SlotUsage) {
        let at = (usage.id, usage.number);
        let usage = match self.waiting.remove(&at) {
            Some(before) => before.merged(usage),
            None => usage,
        };
        self.waiting.insert(at, usage);
    }
}

impl Uses {
    const NEVER: i64 = i64::MIN;

    pub(crate) fn new(every: Duration) -> Self {
        Self {
            ledger: Ledger::new(),
            sums: Mutex::default(),
            every: u64::try_from(every.as_nanos()).unwrap_or(u64::MAX),
            tried: AtomicI64::new(Self::NEVER),
            failing: AtomicBool::new(false),
        }
    }

    /// Notes a use. Whether it is time to write. After that it is, for whoever is told so first, and not for others.
    pub(crate) fn note(&self, used: &Use<'_>) -> bool {
        if self.ledger.note(used) {
            drop(self.collect());
        }
        let (now, tried) = (used.at.unix_nanoseconds(), self.tried.load(Ordering::Relaxed));
        if tried == Self::NEVER {
            // The first use of all is not written at once: others will come.
            let _ = self.tried.compare_exchange(tried, now, Ordering::Relaxed, Ordering::Relaxed);
        } else if now.abs_diff(tried) >= self.every {
            return self.tried.compare_exchange(tried, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        }
        // A better digest does not wait, but on a full disk not every request may try.
        used.better_digest.is_some() && !self.failing.load(Ordering::Relaxed)
    }

    /// They could not be written.
    pub(crate) fn failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        let sums = self.collect();
        sums.waiting.is_empty() && sums.in_flight.is_empty()
    }

    /// What is to be written now. It stays here until [`Uses::written`].
    pub(crate) fn begin(&self) -> Vec<SlotUsage> {
        let mut sums = self.collect();
        // Onto the older ones, not the other way round: of two uses at one instant the later one says from where.
        let newer = std::mem::take(&mut sums.waiting);
        sums.waiting = std::mem::take(&mut sums.in_flight);
        newer.into_values().for_each(|usage| sums.add(usage));
        sums.in_flight = std::mem::take(&mut sums.waiting);
        sums.in_flight.values().cloned().collect()
    }

    /// What was begun is written, and `publish` makes it be seen where it was written: no one who asks meanwhile sees it twice, or
    /// not at all.
    pub(crate) fn written(&self, publish: impl FnOnce()) {
        let mut sums = self.lock();
        publish();
        sums.in_flight.clear();
        self.failing.store(false, Ordering::Relaxed);
    }

    /// What is kept, by `kept`, and what is not written yet.
    pub(crate) fn with(
        &self,
        ids: &[KeyId],
        kept: impl FnOnce() -> Result<Vec<SlotUsage>, Fault>,
    ) -> Result<Vec<SlotUsage>, Fault> {
        let sums = self.collect();
        let mut all: BTreeMap<(KeyId, u32), SlotUsage> = BTreeMap::new();
        let of = |id: &KeyId| {
            let range = (*id, 0)..=(*id, u32::MAX);
            let unwritten = sums.in_flight.range(range.clone()).chain(sums.waiting.range(range));
            unwritten.map(|(_, usage)| SlotUsage { better_digest: None, ..usage.clone() }).collect::<Vec<_>>()
        };
        for usage in kept()?.into_iter().chain(ids.iter().flat_map(of)) {
            let at = (usage.id, usage.number);
            let usage = match all.remove(&at) {
                Some(before) => before.merged(usage),
                None => usage,
            };
            all.insert(at, usage);
        }
        Ok(all.into_values().collect())
    }

    /// Takes the sums out of the ledger.
    fn collect(&self) -> MutexGuard<'_, Sums> {
        let mut sums = self.lock();
        for usage in self.ledger.take() {
            sums.add(usage);
        }
        sums
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
