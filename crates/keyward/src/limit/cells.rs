//! One counter: a cell for each quota, and what is remembered of quotas that counted there before (R9.4).

use std::cmp::Reverse;
use std::sync::Arc;

use super::atomic::{AtomicU64, Ordering};
use super::quota::Quota;

/// What a cell holds that has been replaced. No clock gets there.
const SEALED: u64 = u64::MAX;

/// A cell for each quota in force.
pub(super) struct Cells {
    quotas: Box<[Quota]>,
    cells: Box<[AtomicU64]>,
    /// `None`, and no more to be counted, until quotas change.
    history: Option<Box<History>>,
}

/// What a changed counter remembers.
struct History {
    /// Quotas that count no more. They may come back.
    retired: Vec<Retired>,
    /// How many permissions were taken since the first of them was retired.
    charged: AtomicU64,
    /// When that was last, or when the quotas changed last, whichever is later.
    last: AtomicU64,
    moved_at: u64,
    /// Until then, a quota in force may have begun with less than was taken, since it does not have as much.
    cut_until: u64,
}

/// What is known of a quota.
#[derive(Clone, Copy)]
struct Retired {
    quota: Quota,
    cell: u64,
    /// [`History::charged`] when it was retired.
    seen: u64,
}

/// How many quotas are remembered beside those in force.
const MOST_RETIRED: usize = 8;

/// What came of taking from one cell.
pub(super) struct Alone {
    /// What the cell holds then, or would.
    pub(super) cell: u64,
    /// `None`: taken. Else how many nanoseconds until there is as much.
    pub(super) wait: Option<u64>,
}

impl Cells {
    pub(super) fn new(quotas: &[Quota]) -> Arc<Self> {
        let cells = quotas.iter().map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { quotas: quotas.into(), cells, history: None })
    }

    pub(super) fn is_under(&self, quotas: &[Quota]) -> bool {
        *self.quotas == *quotas
    }

    /// Takes from the only quota without any lock. `None` where that needs one: the quota is another, has been replaced
    /// meanwhile, or has a history, for which every charge is counted, which is two steps.
    pub(super) fn take_alone(&self, quota: Quota, now: u64, cost: u32, peek: bool) -> Option<Alone> {
        if *self.quotas != [quota] || self.history.is_some() {
            return None;
        }
        let taken = |cell| match quota.take(cell, now, cost) {
            Ok(cell) => Alone { cell, wait: None },
            Err(wait) => Alone { cell, wait: Some(wait) },
        };
        if peek {
            let cell = self.cells[0].load(Ordering::Acquire);
            return (cell != SEALED).then(|| taken(cell));
        }
        let step = |cell| if cell == SEALED { None } else { quota.take(cell, now, cost).ok() };
        match self.cells[0].fetch_update(Ordering::AcqRel, Ordering::Acquire, step) {
            Err(SEALED) => None,
            // What refused, or was taken from. The cell itself may hold something else by now.
            Ok(cell) | Err(cell) => Some(taken(cell)),
        }
    }

    /// The cell that [`Cells::take_alone`] takes from.
    pub(super) fn contested(&self) -> Option<(Quota, &AtomicU64)> {
        match (&*self.quotas, &*self.cells, &self.history) {
            ([quota], [cell], None) => Some((*quota, cell)),
            _ => None,
        }
    }

    pub(super) fn look(&self, index: usize) -> u64 {
        self.cells[index].load(Ordering::Acquire)
    }

    /// Charges a quota, whether it has as much or not, and tells what its cell holds then.
    pub(super) fn charge(&self, index: usize, now: u64, cost: u32) -> u64 {
        let quota = self.quotas[index];
        let charged = |cell| Some(quota.charged(cell, now, cost));
        let before = self.cells[index].fetch_update(Ordering::AcqRel, Ordering::Acquire, charged);
        quota.charged(before.unwrap_or_else(|cell| cell), now, cost)
    }

    /// Counts what was taken, for quotas that may come back.
    pub(super) fn note(&self, now: u64, cost: u32) {
        if let Some(history) = &self.history {
            history.charged.fetch_add(cost.into(), Ordering::AcqRel);
            history.last.fetch_max(now, Ordering::AcqRel);
        }
    }

    /// Whether something is remembered that need not be any more.
    pub(super) fn is_outdated(&self, now: u64) -> bool {
        self.history.as_ref().is_some_and(|history| {
            history.retired.iter().any(|old| history.is_over(old, &self.quotas, now))
                || history.retired.is_empty() && now >= history.cut_until
        })
    }

    /// The same counter under other quotas, or the same ones.
    ///
    /// Whoever still holds the old cells is sent to the lock from here on, so that nothing is charged where nobody looks any more.
    pub(super) fn moved_to(&self, quotas: &[Quota], now: u64) -> Arc<Self> {
        self.moved(quotas, now, |cell| cell.swap(SEALED, Ordering::AcqRel))
    }

    /// As the counter would be under other quotas.
    pub(super) fn seen_under(&self, quotas: &[Quota], now: u64) -> Arc<Self> {
        self.moved(quotas, now, |cell| cell.load(Ordering::Acquire))
    }

    /// What was taken stays taken (R9.4): see `docs/rules.md` for what a quota begins with.
    fn moved(&self, quotas: &[Quota], now: u64, read: impl Fn(&AtomicU64) -> u64) -> Arc<Self> {
        let load = |number: fn(&History) -> u64| self.history.as_deref().map_or(0, number);
        let charged = load(|history| history.charged.load(Ordering::Acquire));
        let in_force = self.quotas.iter().zip(&self.cells);
        let mut known: Vec<Retired> = in_force.map(|(&quota, cell)| Retired { quota, cell: read(cell), seen: charged }).collect();
        if let Some(history) = &self.history {
            known.extend(history.retired.iter().filter(|old| !history.is_over(old, &self.quotas, now)));
        }
        let since = |old: &Retired| charged.wrapping_sub(old.seen);
        let out = |old: &Retired| old.quota.taken(old.cell, now).saturating_add(since(old));
        let mut cut_until = load(|history| history.cut_until);
        let is_whole = now >= cut_until;
        let mut is_cut = false;
        let mut begin = |quota: Quota| {
            let owed = match known.iter().find(|old| old.quota.gives_like(quota)) {
                Some(old) if since(old) == 0 => return old.cell,
                // No whole permissions: what has come back of the next one would be taken again with each change.
                Some(old) => quota.owing(old.cell, now, since(old)),
                None => {
                    let of_its_window = known.iter().filter(|old| old.quota.window() == quota.window()).map(out).max();
                    let of_any = known.iter().map(out).max().unwrap_or(0);
                    quota.owing(now, now, of_its_window.filter(|_| is_whole).unwrap_or(of_any))
                }
            };
            is_cut |= owed > quota.latest(now);
            owed.min(quota.latest(now))
        };
        let cells = quotas.iter().map(|&quota| AtomicU64::new(begin(quota))).collect();
        if is_cut {
            let longest = known.iter().map(|old| old.quota).chain(quotas.iter().copied()).map(Quota::nanoseconds).max();
            cut_until = cut_until.max(now.saturating_add(longest.unwrap_or(0)));
        }
        known.retain(|old| out(old) > 0 && quotas.iter().all(|&quota| !old.quota.gives_like(quota)));
        // Whatever has more out tells more, should the one that is left out come back.
        known.sort_by_key(|old| (Reverse(out(old)), old.quota.window(), old.quota.count()));
        known.truncate(MOST_RETIRED);
        // A name changes nothing.
        let pairs = || self.quotas.iter().zip(quotas);
        let is_the_same = self.quotas.len() == quotas.len() && pairs().all(|(old, new)| old.gives_like(*new));
        let [last, moved_at] = match &self.history {
            Some(history) if is_the_same => [history.last.load(Ordering::Acquire), history.moved_at],
            _ => [now, now],
        };
        let history = (!known.is_empty() || now < cut_until).then(|| {
            let (charged, last) = (AtomicU64::new(charged), AtomicU64::new(last));
            Box::new(History { retired: known, charged, last, moved_at, cut_until })
        });
        Arc::new(Self { quotas: quotas.into(), cells, history })
    }

    /// Whether nothing needs to be remembered: then the cell is sealed, and whoever comes later begins anew.
    pub(super) fn give_up(&self, now: u64) -> bool {
        if let Some((_, cell)) = self.contested() {
            // Somebody may take from it at this moment.
            let seal = |cell| (cell <= now).then_some(SEALED);
            return cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, seal).is_ok();
        }
        let is_over = self.history.as_ref().is_none_or(|history| {
            now >= history.cut_until && history.retired.iter().all(|old| history.is_over(old, &self.quotas, now))
        });
        is_over && self.cells.iter().all(|cell| cell.load(Ordering::Acquire) <= now)
    }
}

impl History {
    /// Whether a quota has nothing more to tell: all of it is back, and what was taken since would be; or one of its window has
    /// counted for that long, so that nothing falls into the window that this one does not know.
    fn is_over(&self, old: &Retired, in_force: &[Quota], now: u64) -> bool {
        let is_a_window_after = |time: u64| now >= time.saturating_add(old.quota.nanoseconds());
        let has_a_successor = in_force.iter().any(|quota| quota.window() == old.quota.window());
        let nothing_since = self.charged.load(Ordering::Acquire) == old.seen;
        old.cell <= now && (nothing_since || is_a_window_after(self.last.load(Ordering::Acquire)))
            || has_a_successor && is_a_window_after(self.moved_at)
    }
}
