//! When a connection is given up, and who sees to another.
//!
//! Each connection has a breaker of its own, and whoever trips it, once, has the duty to make another: so never two try at
//! once, and never nobody. Two breakers of which one is reused would have to tell late failures of one connection from those of
//! the next.

use super::atomic::{AtomicU32, Ordering};

/// Not in use yet: it is no loss, and whoever opens it will see if it has ended.
const OPENING: u32 = u32::MAX - 1;

/// Given up.
const TRIPPED: u32 = u32::MAX;

/// Otherwise, how many takes have failed in a row.
pub(crate) struct Breaker(AtomicU32);

impl Breaker {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(OPENING))
    }

    /// The connection is where everybody finds it. `false`: it has ended meanwhile, and the caller still has to make another.
    #[must_use]
    pub(crate) fn opened(&self) -> bool {
        self.0.compare_exchange(OPENING, 0, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn succeeded(&self) {
        // A look, in the common case: a write would make all cores share the line.
        let failures = self.0.load(Ordering::Acquire);
        if failures != 0 && failures < OPENING {
            let _ = self.0.compare_exchange(failures, 0, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Counts a failure. `true`: it was the last of so many in a row, and the caller has to make another connection.
    #[must_use]
    pub(crate) fn failed(&self, most: u32) -> bool {
        let count = |failures| match failures {
            OPENING | TRIPPED => None,
            _ if failures + 1 >= most => Some(TRIPPED),
            _ => Some(failures + 1),
        };
        let before = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, count);
        before.is_ok_and(|failures| failures + 1 >= most)
    }

    /// The connection has ended. `true`: the caller has to make another.
    #[must_use]
    pub(crate) fn ended(&self) -> bool {
        self.0.swap(TRIPPED, Ordering::AcqRel) < OPENING
    }
}
