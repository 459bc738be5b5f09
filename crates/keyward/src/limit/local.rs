//! Quotas counted in this process.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scc::Equivalent;
use smallvec::SmallVec;

use super::addresses::Addresses;
use super::atomic::{AtomicU64, Ordering};
use super::cells::Cells;
use super::counters::Counters;
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
pub struct LocalLimits(Arc<Shared>);

struct Shared {
    keys: Counters<KeyId>,
    named: Counters<Arc<Name>>,
    /// The lock over everything that is not one atomic step.
    several: Mutex<ByAddress>,
}

/// A counter that is no key's: what it counts, and two parts of its name.
#[derive(PartialEq, Eq, Hash)]
struct Name(&'static str, Box<str>, Box<str>);

/// A name that is looked for.
#[derive(Clone, Copy, PartialEq, Hash)]
struct Named<'a>(&'static str, &'a str, &'a str);

impl Equivalent<Arc<Name>> for Named<'_> {
    fn equivalent(&self, name: &Arc<Name>) -> bool {
        *self == Named(name.0, &name.1, &name.2)
    }
}

impl Named<'_> {
    fn owned(self) -> Arc<Name> {
        Arc::new(Name(self.0, self.1.into(), self.2.into()))
    }
}

impl LocalLimits {
    /// Counters at their full.
    pub fn new() -> Self {
        // Some 300 MB of keys, of which there are no more than were made, and 5 MB of others, which strangers may be.
        let (keys, named) = (Counters::new(1 << 20), Counters::new(1 << 14));
        let several = Mutex::new(ByAddress { clients: Addresses::new(), failures: Addresses::new() });
        Self(Arc::new(Shared { keys, named, several }))
    }

    /// The fast path: one quota of a key that has been counted under it before.
    fn take_alone(&self, taking: &Taking<'_>, id: &KeyId, quota: Quota) -> Option<Charge> {
        let now = taking.now.steady;
        let alone = self.0.keys.peek_with(id, |cells| cells.take_alone(quota, now, taking.cost, taking.peek))??;
        let standing = standing("key", quota, alone.cell, now, alone.wait.is_some());
        Some(Charge { refused_for: alone.wait.map(Duration::from_nanos), standings: SmallVec::from_iter([standing]) })
    }

    fn take_together(&self, taking: &Taking<'_>) -> Charge {
        let (now, cost) = (taking.now.steady, taking.cost);
        let mut addresses = self.0.several.lock().unwrap_or_else(PoisonError::into_inner);
        let counters: SmallVec<[Option<Arc<Cells>>; 4]> =
            taking.buckets.iter().map(|bucket| self.cells_of(bucket, taking, &mut addresses)).collect();
        let look = |addresses: &ByAddress, bucket: &Bucket<'_>, cells: &Option<Arc<Cells>>, index: usize| match (
            addresses.of(bucket),
            cells,
        ) {
            (Some((addresses, place)), _) => addresses.look(place, bucket.quotas[index], now),
            (_, Some(cells)) => cells.look(index),
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
                    cells.note(now, cost);
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
                            taken.unwrap_or_else(|| cells.charge(index, now, cost))
                        }
                        // An address's: charged above.
                        None => cell,
                    };
                }
                standings.push(standing(bucket.whose.name(), quota, cell, now, is_violated));
            }
        }
        drop(counters);
        self.0.keys.sweep(now);
        self.0.named.sweep(now);
        Charge { refused_for: wait.map(Duration::from_nanos), standings }
    }

    /// A bucket's counter under its quotas of today. Holding the lock is what makes moving it safe. A look moves and makes none.
    fn cells_of(&self, bucket: &Bucket<'_>, taking: &Taking<'_>, _lock: &mut MutexGuard<'_, ByAddress>) -> Option<Arc<Cells>> {
        let (quotas, now) = (bucket.quotas, taking.now.steady);
        let named = match bucket.whose {
            Whose::Address(_) | Whose::Failures { .. } => return None,
            Whose::Key(id) if taking.peek => return self.0.keys.look(&id, quotas, now),
            Whose::Key(id) => return Some(self.0.keys.current(&id, || id, quotas, now)),
            Whose::Identity(authenticator, id) => Named("identity", authenticator, id),
            Whose::Owner(owner) => Named("owner", owner, ""),
            Whose::Policy => Named("policy", "", ""),
        };
        if taking.peek {
            return self.0.named.look(&named, quotas, now);
        }
        Some(self.0.named.current(&named, || named.owned(), quotas, now))
    }
}

/// The cell that [`LocalLimits::take_alone`] takes from without the lock, if this is a bucket of that kind.
fn on_fast_path<'c>(bucket: &Bucket<'_>, cells: &'c Cells) -> Option<(Quota, &'c AtomicU64)> {
    if matches!(bucket.whose, Whose::Key(_)) { cells.contested() } else { None }
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
