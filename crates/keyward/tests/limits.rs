//! Quotas, stepped beside two others: governor for one, and a naive ledger of permissions for several.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use keyward::clock::Now;
use keyward::key::KeyId;
use keyward::limit::{Bucket, Charge, Limits, LocalLimits, Quota, Taking, Whose};
use keyward::{Answer, Timestamp};
use proptest::prelude::*;

fn take(limits: &LocalLimits, steady: u64, buckets: &[Bucket<'_>], peek: bool) -> Charge {
    let now = Now { wall: Timestamp::EPOCH, steady };
    match limits.take(&Taking { now, buckets, cost: 1, peek }) {
        Answer::Ready(Ok(charge)) => charge,
        other => panic!("counting in memory neither waits nor fails: {other:?}"),
    }
}

fn id(text: &str) -> KeyId {
    text.parse().unwrap()
}

fn quota() -> impl Strategy<Value = Quota> {
    (1..6_u32, prop::sample::select(vec![1_u64, 2, 7, 60]))
        .prop_map(|(count, seconds)| Quota::new(count, Duration::from_secs(seconds)).unwrap())
}

/// Steps that hit the boundaries: nothing, one nanosecond, an interval and one before and after it, a whole window.
fn step(quota: Quota) -> impl Strategy<Value = u64> {
    let interval = u64::try_from(quota.window().as_nanos()).unwrap() / u64::from(quota.count());
    prop::sample::select(vec![0, 0, 1, interval - 1, interval, interval + 1, interval * u64::from(quota.count())])
}

/// The naive one: it remembers when each permission that was taken comes back, one interval after the one before it.
struct Ledger {
    quota: Quota,
    back_at: Vec<u64>,
}

impl Ledger {
    fn interval(&self) -> u64 {
        u64::try_from(self.quota.window().as_nanos()).unwrap() / u64::from(self.quota.count())
    }

    fn left(&mut self, now: u64) -> u32 {
        self.back_at.retain(|&at| at > now);
        self.quota.count() - u32::try_from(self.back_at.len()).unwrap()
    }

    fn wait(&mut self, now: u64) -> Option<u64> {
        (self.left(now) == 0).then(|| self.back_at[0] - now)
    }

    fn take(&mut self, now: u64) {
        self.left(now);
        let last = self.back_at.last().copied().unwrap_or(now);
        self.back_at.push(last + self.interval());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_quota_admits_what_governor_admits((quota, steps) in quota().prop_flat_map(|quota| (Just(quota), prop::collection::vec(step(quota), 1..40)))) {
        let clock = FakeRelativeClock::default();
        let interval = quota.window() / quota.count();
        let theirs = governor::Quota::with_period(interval).unwrap().allow_burst(NonZeroU32::new(quota.count()).unwrap());
        let theirs = governor::RateLimiter::direct_with_clock(theirs, clock.clone());
        let ours = LocalLimits::new();
        let mut now = 0;
        for step in steps {
            now += step;
            clock.advance(Duration::from_nanos(step));
            let charge = take(&ours, now, &[Bucket { whose: Whose::Key(id("k")), quotas: &[quota] }], false);
            prop_assert_eq!(charge.refused_for.is_none(), theirs.check().is_ok());
        }
    }

    #[test]
    fn several_give_together_or_not_at_all(
        (quotas, steps) in prop::collection::vec(quota(), 1..4).prop_flat_map(|mut quotas| {
            quotas.sort_by_key(|quota| quota.window());
            quotas.dedup_by_key(|quota| quota.window());
            let first = quotas[0];
            (Just(quotas), prop::collection::vec((step(first), 0..3_usize, any::<bool>()), 1..40))
        })
    ) {
        let limits = LocalLimits::new();
        let mut ledgers: HashMap<(usize, usize), Ledger> = HashMap::new();
        let address = |number: usize| std::net::IpAddr::from([192, 0, 2, number as u8]);
        let mut now = 0;
        for (step, number, peek) in steps {
            now += step;
            let owner = ["ann", "bob", "ann"][number];
            let buckets = [
                Bucket { whose: Whose::Key(id(&format!("key-{number}"))), quotas: &quotas },
                Bucket { whose: Whose::Owner(owner), quotas: &quotas[..1] },
                Bucket { whose: Whose::Address(address(number)), quotas: &quotas },
                Bucket { whose: Whose::Policy, quotas: &quotas },
            ];
            let whose = [number, 10 + usize::from(owner == "bob"), 20 + number, 30];
            let counted: Vec<(usize, usize)> =
                buckets.iter().zip(whose).flat_map(|(bucket, whose)| (0..bucket.quotas.len()).map(move |index| (whose, index))).collect();
            for &(whose, index) in &counted {
                ledgers.entry((whose, index)).or_insert_with(|| Ledger { quota: quotas[index], back_at: Vec::new() });
            }
            let wait = counted.iter().filter_map(|counted| ledgers.get_mut(counted).unwrap().wait(now)).max();
            let charge = take(&limits, now, &buckets, peek);
            prop_assert_eq!(charge.refused_for, wait.map(Duration::from_nanos));
            for (counted, standing) in counted.iter().zip(&charge.standings) {
                let ledger = ledgers.get_mut(counted).unwrap();
                let mut left = ledger.left(now);
                if wait.is_none() {
                    left -= 1;
                    if !peek {
                        ledger.take(now);
                    }
                }
                prop_assert_eq!(standing.remaining, left);
            }
        }
    }
}

#[test]
fn many_threads_take_exactly_what_there_is() {
    for several in [false, true] {
        let limits = LocalLimits::new();
        let quota: Quota = "10000/hour".parse().unwrap();
        let day: Quota = "20000/day".parse().unwrap();
        let admitted = Arc::new(AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let one = [quota];
                    let two = [quota, day];
                    let quotas: &[Quota] = if several { &two } else { &one };
                    for _ in 0..5_000 {
                        if take(&limits, 1, &[Bucket { whose: Whose::Key(id("hot")), quotas }], false).refused_for.is_none() {
                            admitted.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.load(Ordering::SeqCst), 10_000, "several: {several}");
    }
}

#[test]
fn a_limit_that_changes_under_load_loses_no_charge() {
    let limits = LocalLimits::new();
    let quotas: [Quota; 2] = ["1000/hour".parse().unwrap(), "1000/day".parse().unwrap()];
    let admitted = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            let (limits, admitted) = (&limits, &admitted);
            scope.spawn(move || {
                for round in 0..2_000_usize {
                    let quota = quotas[(worker + round / 50) % 2];
                    if take(limits, 1, &[Bucket { whose: Whose::Key(id("hot")), quotas: &[quota] }], false).refused_for.is_none()
                    {
                        admitted.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.load(Ordering::SeqCst), 1_000);
}
