//! What may happen with every request, and is logged now and then.

use std::sync::atomic::{AtomicU64, Ordering};

/// Whether it is time to tell something again. Times are on the steady clock, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    told_until: AtomicU64,
    untold: AtomicU64,
}

impl Seldom {
    /// How often it happened since it was told last, this time included: for the one of all callers that shall tell it.
    pub(crate) fn due(&self, now: u64, every: u64) -> Option<u64> {
        self.untold.fetch_add(1, Ordering::Relaxed);
        let told_until = self.told_until.load(Ordering::Relaxed);
        let next = now.saturating_add(every);
        // One of those who find it due at once tells it.
        let is_ours =
            told_until <= now && self.told_until.compare_exchange(told_until, next, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        is_ours.then(|| self.untold.swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_a_while_with_the_number_of_times() {
        let seldom = Seldom::default();
        let due = [0, 0, 1, 59, 60, 61, 180].map(|now| seldom.due(now, 60));
        assert_eq!(due, [Some(1), None, None, None, Some(4), None, Some(2)]);
    }
}
