//! The counters in memory, by what they count. Where there are many, those that are full again, and remember nothing, are given
//! up: whoever came once is no reason to grow.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use scc::{Equivalent, HashIndex};

use super::Quota;
use super::cells::Cells;

/// Counters of one kind. All but [`Counters::peek_with`] is done by one thread at a time, which holds a lock of its caller's.
pub(super) struct Counters<K> {
    index: HashIndex<K, Arc<Cells>, ahash::RandomState>,
    /// Which counter is looked at next, and how many have to be before the next request.
    round: Mutex<(VecDeque<K>, usize)>,
    /// Up to so many are kept, full or not: making one again needs the lock, and allocates.
    spared: usize,
}

/// How many counters are looked at for each that is made. With more than one, a round ends before as many were made as there
/// are, so that there are never more than twice as many as are needed, and no request waits for all of them.
const LOOKS: usize = 2;

impl<K: Clone + Eq + Hash + 'static> Counters<K> {
    pub(super) fn new(spared: usize) -> Self {
        Self { index: HashIndex::default(), round: Mutex::default(), spared }
    }

    /// What a counter tells at this moment. It may be replaced meanwhile.
    pub(super) fn peek_with<Q: Equivalent<K> + Hash + ?Sized, T>(&self, key: &Q, read: impl FnOnce(&Cells) -> T) -> Option<T> {
        self.index.peek_with(key, |_, cells| read(cells))
    }

    /// A counter as it would be under its quotas of today, if there is one.
    pub(super) fn look<Q: Equivalent<K> + Hash + ?Sized>(&self, key: &Q, quotas: &[Quota], now: u64) -> Option<Arc<Cells>> {
        let known = self.known(key)?;
        Some(if known.is_under(quotas) { known } else { known.seen_under(quotas, now) })
    }

    /// A counter under its quotas of today.
    pub(super) fn current<Q: Equivalent<K> + Hash + ?Sized>(
        &self,
        key: &Q,
        owned: impl FnOnce() -> K,
        quotas: &[Quota],
        now: u64,
    ) -> Arc<Cells> {
        let known = self.known(key);
        let next = match &known {
            Some(cells) if cells.is_under(quotas) && !cells.is_outdated(now) => return cells.clone(),
            Some(old) => old.moved_to(quotas, now),
            None => Cells::new(quotas),
        };
        let key = owned();
        if known.is_some() {
            self.index.remove_sync(&key);
        } else {
            let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
            round.0.push_back(key.clone());
            round.1 += LOOKS;
        }
        let _ = self.index.insert_sync(key, next.clone());
        next
    }

    /// Gives up what is full again. To be called when nobody holds what [`Counters::current`] returned.
    pub(super) fn sweep(&self, now: u64) {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        let (round, due) = &mut *round;
        for _ in 0..std::mem::take(due) {
            if round.len() <= self.spared {
                return;
            }
            let Some(key) = round.pop_front() else { return };
            if self.known(&key).is_none_or(|cells| cells.give_up(now)) {
                self.index.remove_sync(&key);
            } else {
                round.push_back(key);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.round.lock().unwrap_or_else(PoisonError::into_inner).0.len()
    }

    fn known<Q: Equivalent<K> + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<Cells>> {
        self.index.peek_with(key, |_, cells| cells.clone())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(text: &str) -> Quota {
        text.parse().unwrap()
    }

    /// One permission, as a request takes it.
    fn take(counters: &Counters<u32>, key: u32, quotas: &[Quota], now: u64) {
        let cells = counters.current(&key, || key, quotas, now);
        cells.note(now, 1);
        (0..quotas.len()).for_each(|index| _ = cells.charge(index, now, 1));
        drop(cells);
        counters.sweep(now);
    }

    const PASSING: u32 = if cfg!(debug_assertions) { 200_000 } else { 2_000_000 };

    /// A thousand a second, each of them once, under a quota that is full again after a second.
    #[test]
    fn those_who_once_came_are_forgotten() {
        let (counters, quotas) = (Counters::new(100), [quota("5/5s")]);
        let mut most = 0;
        for key in 0..PASSING {
            take(&counters, key, &quotas, 1 + u64::from(key) * SECOND / 1_000);
            most = most.max(counters.len());
        }
        // Twice as many as there are in a second.
        assert!((1_000..=2_002).contains(&most), "{most}");
        assert!(counters.round.lock().unwrap().0.capacity() <= 4_096);
    }

    #[test]
    fn as_many_as_are_spared_stay_although_they_are_full() {
        let (counters, quotas) = (Counters::new(1_000), [quota("1/s")]);
        let pass = |keys: std::ops::Range<u32>| keys.for_each(|key| take(&counters, key, &quotas, 1 + u64::from(key) * SECOND));
        pass(0..1_000);
        assert_eq!(counters.len(), 1_000);
        pass(1_000..10_000);
        assert_eq!((counters.len(), counters.index.len()), (1_000, 1_000));
        assert!(counters.peek_with(&9_999, |_| ()).is_some());
    }

    #[test]
    fn what_is_not_full_or_remembers_is_kept() {
        let (counters, second) = (Counters::new(2), [quota("1/s")]);
        let hour = [quota("1/hour")];
        let crowd = |from: u32, now| (from..from + 10_000).for_each(|key| take(&counters, key, &second, now));
        let is_kept = |key: u32| counters.peek_with(&key, |_| ()).is_some();
        take(&counters, 1, &hour, 1);
        take(&counters, 2, &[second[0], hour[0]], 1);
        // Of the day, one is out, and one was taken since.
        take(&counters, 3, &[quota("9/day")], 1);
        take(&counters, 3, &second, 1);
        crowd(10_000, 3_599 * SECOND);
        assert!([1, 2, 3].map(is_kept) == [true; 3]);
        crowd(20_000, 1 + 3_600 * SECOND);
        crowd(30_000, 1 + 3_600 * SECOND);
        assert!([1, 2, 3].map(is_kept) == [false, false, true], "full again");
        crowd(40_000, 1 + 86_400 * SECOND);
        crowd(50_000, 1 + 86_400 * SECOND);
        assert!(!is_kept(3), "what was taken meanwhile is a day old");
    }

    #[test]
    fn a_counter_whose_count_was_changed_needs_no_lock_after_a_window() {
        let counters = Counters::new(0);
        take(&counters, 1, &[quota("10/hour")], 1);
        let needs_none = |now| {
            let quota = quota("12/hour");
            take(&counters, 1, &[quota], now);
            counters.peek_with(&1, |cells| cells.take_alone(quota, now, 1, true).is_some()).unwrap()
        };
        assert!(!needs_none(1), "what it gives is counted for the old one, too");
        assert!(!needs_none(3_600 * SECOND));
        assert!(needs_none(1 + 3_600 * SECOND));
    }

    proptest! {
        /// Quotas that change, where all that can be is given up after each request, and where nothing is.
        #[test]
        fn giving_up_changes_nothing(
            steps in prop::collection::vec(
                (
                    prop_oneof![
                        2 => Just(0),
                        3 => 1..40 * SECOND,
                        1 => prop::sample::select(vec![10 * SECOND, 60 * SECOND, 3_600 * SECOND]),
                        1 => 1..10_000 * SECOND,
                    ],
                    0..2_u32,
                    0..6_usize,
                ),
                1..60,
            )
        ) {
            let sets = [
                &["9/minute"][..],
                &["4/minute"],
                &["2/10s", "30/hour"],
                &["40/hour"],
                &["12/hour", "4/minute"],
                &["1/10s"],
            ];
            let sets = sets.map(|set| set.iter().map(|text| quota(text)).collect::<Vec<_>>());
            let (all, few) = (Counters::new(usize::MAX), Counters::new(0));
            let (mut now, mut strangers) = (SECOND, 2);
            for (after, key, set) in steps {
                now += after;
                let quotas = &sets[set];
                let told = [&all, &few].map(|counters| {
                    let cells = counters.current(&key, || key, quotas, now);
                    let before: Vec<_> = (0..quotas.len()).map(|index| cells.look(index).saturating_sub(now)).collect();
                    cells.note(now, 1);
                    (0..quotas.len()).for_each(|index| _ = cells.charge(index, now, 1));
                    before
                });
                prop_assert_eq!(&told[0], &told[1]);
                // Their rounds pass both keys.
                for _ in 0..4 {
                    strangers += 1;
                    take(&few, strangers, &sets[5], now);
                }
            }
        }
    }

    #[test]
    fn what_is_looked_at_is_not_made() {
        let counters = Counters::<u32>::new(0);
        assert!(counters.look(&1, &[quota("1/s")], 1).is_none());
        assert_eq!(counters.len(), 0);
    }
}
