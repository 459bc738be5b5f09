//! Quotas counted in this process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scc::HashIndex;
use smallvec::SmallVec;

use super::addresses::Addresses;
use super::failures::failures_bucket;
use super::{Bucket, Charge, Limits, Quota, QuotaStanding, Taking, Whose};
use crate::answer::Answer;
use crate::key::KeyId;
use crate::network::bucket;

/// Counts quotas in this process's memory. Clones share the counters; give a new guard the old one's when a policy is reloaded.
///
/// One quota of one key, the common case, is one atomic number. Where several have to give a permission together, a lock is
/// held over all of them: taking one and giving it back when another refuses would refuse requests that had a right to pass.
/// Cells live by key id, outside the records, so that no update of a record refills them.
#[derive(Clone)]
pub struct LocalLimits(Arc<Counters>);

struct Counters {
    keys: HashIndex<KeyId, Arc<Cells>, ahash::RandomState>,
    named: HashIndex<Name, Arc<Cells>, ahash::RandomState>,
    /// The lock over everything that is not one atomic step.
    several: Mutex<ByAddress>,
}

/// A counter that is no key's: what it counts, and two parts of its name.
type Name = (&'static str, Box<str>, Box<str>);

/// What a cell holds that has been replaced. No clock gets there.
const SEALED: u64 = u64::MAX;

/// One counter: a cell for each quota.
struct Cells {
    quotas: Box<[Quota]>,
    cells: Box<[AtomicU64]>,
    /// Quotas of other windows that counted here before, the latest first: they may come back.
    retired: Vec<Retired>,
    /// How many permissions were taken since a quota was retired first.
    charged: AtomicU64,
}

/// A quota that counts no more.
#[derive(Clone, Copy)]
struct Retired {
    quota: Quota,
    cell: u64,
    /// [`Cells::charged`] at that time.
    seen: u64,
}

/// How many windows are remembered beside those in use.
const MOST_RETIRED: usize = 8;

impl Cells {
    fn new(quotas: &[Quota]) -> Arc<Self> {
        let cells = quotas.iter().map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { quotas: quotas.into(), cells, retired: Vec::new(), charged: AtomicU64::new(0) })
    }

    /// The same counter under other quotas: what was taken stays taken (R9.4). A window that counted here before goes on from
    /// where it stood, with what was taken meanwhile; a new one starts with what was taken of the quota of which most was.
    fn moved_to(&self, quotas: &[Quota], now: u64) -> Arc<Self> {
        // Sealing the old cells sends whoever still holds them to the lock, so nothing is charged where nobody looks any more.
        let seen = self.charged.load(Ordering::Acquire);
        let seal = |(&quota, cell): (&Quota, &AtomicU64)| Retired { quota, cell: cell.swap(SEALED, Ordering::AcqRel), seen };
        let mut before: Vec<Retired> = self.quotas.iter().zip(&self.cells).map(seal).collect();
        let most = before.iter().map(|old| old.quota.taken(old.cell, now)).max().unwrap_or(0);
        before.extend(&self.retired);
        let cells = quotas.iter().map(|quota| {
            AtomicU64::new(match before.iter().find(|old| old.quota.window() == quota.window()) {
                // As it was: in whole permissions, what has come back of the next one would be taken again.
                Some(old) if old.quota.count() == quota.count() && old.seen == seen => old.cell,
                Some(old) => quota.cell_with(old.quota.taken(old.cell, now).saturating_add(seen - old.seen), now),
                None => quota.cell_with(most, now),
            })
        });
        let cells = cells.collect();
        before.retain(|old| quotas.iter().all(|quota| quota.window() != old.quota.window()));
        before.truncate(MOST_RETIRED);
        Arc::new(Self { quotas: quotas.into(), cells, retired: before, charged: AtomicU64::new(seen) })
    }
}

impl LocalLimits {
    /// Counters at their full.
    pub fn new() -> Self {
        Self(Arc::new(Counters {
            keys: HashIndex::default(),
            named: HashIndex::default(),
            several: Mutex::new(ByAddress { clients: Addresses::new(), failures: Addresses::new() }),
        }))
    }

    /// The fast path: one quota of a key that has been counted under it before.
    fn take_alone(&self, taking: &Taking<'_>, id: &KeyId, quota: Quota) -> Option<Charge> {
        self.0.keys.peek_with(id, |_, cells| {
            // Where quotas have changed, every charge is counted, which is two steps: under the lock.
            if *cells.quotas != [quota] || !cells.retired.is_empty() {
                return None;
            }
            let (now, cost) = (taking.now.steady, taking.cost);
            let taken = if taking.peek {
                quota.take(cells.cells[0].load(Ordering::Acquire), now, cost)
            } else {
                let step = |cell| if cell == SEALED { None } else { quota.take(cell, now, cost).ok() };
                match cells.cells[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, step) {
                    Ok(before) => quota.take(before, now, cost),
                    Err(SEALED) => return None,
                    Err(cell) => quota.take(cell, now, cost),
                }
            };
            let (cell, refused_for) = match taken {
                Ok(next) => (next, None),
                Err(wait) => (cells.cells[0].load(Ordering::Acquire), Some(Duration::from_nanos(wait))),
            };
            let standing = standing("key", quota, cell, now, refused_for.is_some());
            Some(Charge { refused_for, standings: SmallVec::from_iter([standing]) })
        })?
    }

    fn take_together(&self, taking: &Taking<'_>) -> Charge {
        let (now, cost) = (taking.now.steady, taking.cost);
        let mut addresses = self.0.several.lock().unwrap_or_else(PoisonError::into_inner);
        let counters: SmallVec<[Option<Arc<Cells>>; 4]> =
            taking.buckets.iter().map(|bucket| self.cells_of(bucket, now, &mut addresses)).collect();
        let look = |addresses: &ByAddress, bucket: &Bucket<'_>, cells: &Option<Arc<Cells>>, index: usize| match (
            addresses.of(bucket),
            cells,
        ) {
            (Some((addresses, place)), _) => addresses.look(place, bucket.quotas[index], now),
            (_, Some(cells)) => cells.cells[index].load(Ordering::Acquire),
            (_, None) => 0,
        };
        let mut wait = None;
        for (bucket, cells) in taking.buckets.iter().zip(&counters) {
            if let (Some((addresses, _)), false) = (addresses.of_mut(bucket), taking.peek) {
                addresses.ask(bucket.quotas, now);
            }
            for (index, quota) in bucket.quotas.iter().enumerate() {
                wait = wait.max(quota.take(look(&addresses, bucket, cells, index), now, cost).err());
            }
        }
        // What somebody on the fast path may take at the same time is taken first, by a step that looks again: nothing else has been
        // charged yet, should it refuse.
        let mut contested = None;
        if wait.is_none()
            && !taking.peek
            && let Some((quota, cell)) =
                taking.buckets.iter().zip(&counters).find_map(|(bucket, cells)| on_fast_path(bucket, cells.as_deref()?))
        {
            match cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |cell| quota.take(cell, now, cost).ok()) {
                Ok(before) => contested = Some(quota.charged(before, now, cost)),
                Err(cell) => wait = quota.take(cell, now, cost).err(),
            }
        }
        let mut standings = SmallVec::new();
        for (bucket, cells) in taking.buckets.iter().zip(&counters) {
            if wait.is_none() && !taking.peek {
                if let Some(cells) = cells {
                    cells.charged.fetch_add(u64::from(cost), Ordering::AcqRel);
                }
                if let Some((addresses, place)) = addresses.of_mut(bucket) {
                    addresses.charge(place, cost, now);
                }
            }
            for (index, &quota) in bucket.quotas.iter().enumerate() {
                let mut cell = look(&addresses, bucket, cells, index);
                let is_violated = wait.is_some() && quota.take(cell, now, cost).is_err();
                if wait.is_none() {
                    cell = match cells {
                        _ if taking.peek => quota.take(cell, now, cost).unwrap_or(cell),
                        Some(cells) => {
                            let taken = if on_fast_path(bucket, cells).is_some() { contested.take() } else { None };
                            taken.unwrap_or_else(|| {
                                let charged = |cell| Some(quota.charged(cell, now, cost));
                                let before = cells.cells[index].fetch_update(Ordering::AcqRel, Ordering::Acquire, charged);
                                quota.charged(before.unwrap_or(cell), now, cost)
                            })
                        }
                        // An address's: charged above.
                        None => cell,
                    };
                }
                standings.push(standing(bucket.whose.name(), quota, cell, now, is_violated));
            }
        }
        Charge { refused_for: wait.map(Duration::from_nanos), standings }
    }

    /// A bucket's counter under its quotas of today. Holding the lock is what makes moving it safe.
    fn cells_of(&self, bucket: &Bucket<'_>, now: u64, _lock: &mut MutexGuard<'_, ByAddress>) -> Option<Arc<Cells>> {
        let name = |whose: &'static str, first: &str, second: &str| (whose, first.into(), second.into());
        match bucket.whose {
            Whose::Address(_) | Whose::Failures { .. } => None,
            Whose::Key(id) => Some(current(&self.0.keys, id, bucket.quotas, now)),
            Whose::Identity(authenticator, id) => {
                Some(current(&self.0.named, name("identity", authenticator, id), bucket.quotas, now))
            }
            Whose::Owner(owner) => Some(current(&self.0.named, name("owner", owner, ""), bucket.quotas, now)),
            Whose::Policy => Some(current(&self.0.named, name("policy", "", ""), bucket.quotas, now)),
        }
    }
}

/// The cell that [`LocalLimits::take_alone`] takes from without the lock, if this is a bucket of that kind.
fn on_fast_path<'c>(bucket: &Bucket<'_>, cells: &'c Cells) -> Option<(Quota, &'c AtomicU64)> {
    match (bucket.whose, bucket.quotas) {
        (Whose::Key(_), [quota]) if cells.retired.is_empty() => Some((*quota, &cells.cells[0])),
        _ => None,
    }
}

fn current<K>(counters: &HashIndex<K, Arc<Cells>, ahash::RandomState>, key: K, quotas: &[Quota], now: u64) -> Arc<Cells>
where
    K: Clone + Eq + std::hash::Hash + 'static,
{
    let found = counters.peek_with(&key, |_, cells| cells.clone());
    match found {
        Some(cells) if *cells.quotas == *quotas => cells,
        Some(old) => {
            let moved = old.moved_to(quotas, now);
            counters.remove_sync(&key);
            // Under the lock nobody else inserts.
            let _ = counters.insert_sync(key, moved.clone());
            moved
        }
        None => {
            let fresh = Cells::new(quotas);
            let _ = counters.insert_sync(key, fresh.clone());
            fresh
        }
    }
}

fn standing(whose: &'static str, quota: Quota, cell: u64, now: u64, is_violated: bool) -> QuotaStanding {
    QuotaStanding { whose, quota, is_violated, remaining: quota.remaining(cell, now), full_in: quota.full_in(cell, now) }
}

/// What is counted by address.
struct ByAddress {
    clients: Addresses,
    /// Apart, so that neither is charged under the other's quotas.
    failures: Addresses,
}

impl ByAddress {
    /// Where a bucket is counted, if it is an address's.
    fn of(&self, of: &Bucket<'_>) -> Option<(&Addresses, u128)> {
        match of.whose {
            Whose::Address(address) => Some((&self.clients, bucket(address))),
            Whose::Failures { address, flagged } => Some((&self.failures, failures_bucket(address, flagged))),
            _ => None,
        }
    }

    fn of_mut(&mut self, of: &Bucket<'_>) -> Option<(&mut Addresses, u128)> {
        let (_, place) = self.of(of)?;
        Some((if matches!(of.whose, Whose::Address(_)) { &mut self.clients } else { &mut self.failures }, place))
    }
}

impl Limits for LocalLimits {
    fn take(&self, taking: &Taking<'_>) -> Answer<Charge> {
        let alone = match taking.buckets {
            [Bucket { whose: Whose::Key(id), quotas: [quota] }] => self.take_alone(taking, id, *quota),
            _ => None,
        };
        Answer::ready(alone.unwrap_or_else(|| self.take_together(taking)))
    }
}

impl Default for LocalLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalLimits({} keys)", self.0.keys.len())
    }
}
