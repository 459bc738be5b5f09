//! When a connection is given up, and who sees to another.
//!
//! Each connection has a breaker of its own, and whoever trips it, once, has the duty to make another: so never two try at
//! once, and never nobody. Two breakers of which one is reused would have to tell late failures of one connection from those of
//! the next.

use super::atomic::{AtomicU64, Ordering};

/// Not in use yet: it is no loss, and whoever opens it will see if it has ended.
const OPENING: u64 = u64::MAX - 1;

/// Given up.
const TRIPPED: u64 = u64::MAX;

/// Otherwise, a bit for each of the last takes, the latest one lowest, which is set if it failed; and above these, how many have
/// failed in a row.
pub(crate) struct Breaker(AtomicU64);

/// How many of the last takes are remembered.
const LAST: u32 = 20;

/// A server that answers every second request is no better than one that answers none.
const HALF: u32 = LAST / 2;

/// What comes of one more take; `None` where that counts no more. `most`: how many may fail in a row.
fn after(state: u64, most: u32, failed: bool) -> Option<u64> {
    if state >= OPENING {
        return None;
    }
    let last = (state << 1 | u64::from(failed)) & ((1 << LAST) - 1);
    let in_a_row = if failed { (state >> LAST) + 1 } else { 0 };
    // Whoever lets more than half fail in a row lets them fail among others, too.
    let is_given_up = in_a_row >= most.into() || last.count_ones() >= HALF.max(most);
    Some(if is_given_up { TRIPPED } else { in_a_row << LAST | last })
}

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(OPENING))
    }

    /// The connection is where everybody finds it. `false`: it has ended meanwhile, and the caller still has to make another.
    #[must_use]
    pub(crate) fn opened(&self) -> bool {
        self.0.compare_exchange(OPENING, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn succeeded(&self) {
        // A look, in the common case: a write would make all cores share the line.
        if self.0.load(Ordering::Acquire) != 0 {
            let count = |state| after(state, u32::MAX, false);
            let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, count);
        }
    }

    /// Counts a failure. `true`: there were so many in a row, or half of the last twenty failed, and the caller has to make another
    /// connection.
    #[must_use]
    pub(crate) fn failed(&self, most: u32) -> bool {
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| after(state, most, true));
        before.is_ok_and(|state| after(state, most, true) == Some(TRIPPED))
    }

    /// The connection has ended, or nothing can be counted over it. `true`: the caller has to make another.
    #[must_use]
    pub(crate) fn ended(&self) -> bool {
        self.0.swap(TRIPPED, Ordering::AcqRel) < OPENING
    }
}
