//! Quotas, stepped beside two others: governor for one, and a naive ledger of permissions for several.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::FakeRelativeClock;
use keyward::clock::Now;
use keyward::key::KeyId;
use keyward::limit::{Bucket, Charge, Limits, LocalLimits, Quota, Taking, Whose};
use keyward::{Answer, Timestamp};
use proptest::prelude::*;

fn take(limits: &LocalLimits, steady: u64, buckets: &[Bucket<'_>], cost: u32, peek: bool) -> Charge {
    let now = Now { wall: Timestamp::EPOCH, steady };
    match limits.take(&Taking { now, buckets, cost, peek }) {
        Answer::Ready(Ok(charge)) => charge,
        other => panic!("counting in memory neither waits nor fails: {other:?}"),
    }
}

/// Whether one permission of one quota of a key is given at the first nanosecond.
fn gives(limits: &LocalLimits, key: &str, quotas: &[Quota]) -> bool {
    take(limits, 1, &[Bucket { whose: Whose::Key(id(key)), quotas }], 1, false).refused_for.is_none()
}

fn id(text: &str) -> KeyId {
    text.parse().unwrap()
}

fn quota() -> impl Strategy<Value = Quota> {
    (1..6_u32, prop::sample::select(vec![1_u64, 2, 7, 60]), prop::option::of(prop::sample::select(vec!["burst", "long_9"])))
        .prop_map(|(count, seconds, name)| {
            let quota = Quota::new(count, Duration::from_secs(seconds)).unwrap();
            name.map_or(quota, |name| quota.named(name).unwrap())
        })
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

    fn wait(&mut self, now: u64, cost: u32) -> Option<u64> {
        let lacking = cost.min(self.quota.count()).checked_sub(self.left(now)).filter(|&lacking| lacking > 0)?;
        Some(self.back_at[lacking as usize - 1] - now)
    }

    fn take(&mut self, now: u64, cost: u32) {
        self.left(now);
        for _ in 0..cost.min(self.quota.count()) {
            let last = self.back_at.last().copied().unwrap_or(now);
            self.back_at.push(last + self.interval());
        }
    }

    fn full_in(&self, now: u64) -> u64 {
        self.back_at.last().map_or(0, |last| last.saturating_sub(now))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_quota_admits_what_governor_admits(
        (quota, steps) in quota().prop_flat_map(|quota| (Just(quota), prop::collection::vec((step(quota), 1..=quota.count()), 1..40)))
    ) {
        let clock = FakeRelativeClock::default();
        let interval = quota.window() / quota.count();
        let theirs = governor::Quota::with_period(interval).unwrap().allow_burst(NonZeroU32::new(quota.count()).unwrap());
        let theirs = governor::RateLimiter::direct_with_clock(theirs, clock.clone());
        let ours = LocalLimits::new();
        let mut now = 0;
        for (step, cost) in steps {
            now += step;
            clock.advance(Duration::from_nanos(step));
            let charge = take(&ours, now, &[Bucket { whose: Whose::Key(id("k")), quotas: &[quota] }], cost, false);
            let admitted = theirs.check_n(NonZeroU32::new(cost).unwrap()).expect("no more than there are").is_ok();
            prop_assert_eq!(charge.refused_for.is_none(), admitted);
        }
    }

    #[test]
    fn several_give_together_or_not_at_all(
        (quotas, steps) in prop::collection::vec(quota(), 1..4).prop_flat_map(|mut quotas| {
            quotas.sort_by_key(|quota| quota.window());
            quotas.dedup_by_key(|quota| quota.window());
            let first = quotas[0];
            // Up to more than any quota has.
            let cost = prop_oneof![3 => Just(1), 1 => 2..8_u32, 1 => Just(u32::MAX)];
            (Just(quotas), prop::collection::vec((step(first), 0..3_usize, cost, any::<bool>()), 1..40))
        })
    ) {
        let limits = LocalLimits::new();
        let mut ledgers: HashMap<(usize, usize), Ledger> = HashMap::new();
        let address = |number: usize| std::net::IpAddr::from([192, 0, 2, number as u8]);
        let mut now = 0;
        for (step, number, cost, peek) in steps {
            now += step;
            let owner = ["ann", "bob", "ann"][number];
            let buckets = [
                Bucket { whose: Whose::Key(id(&format!("key-{number}"))), quotas: &quotas },
                Bucket { whose: Whose::Owner(owner), quotas: &quotas[..1] },
                Bucket { whose: Whose::Address(address(number)), quotas: &quotas },
                Bucket { whose: Whose::Policy, quotas: &quotas },
            ];
            let whose = [number, 10 + usize::from(owner == "bob"), 20 + number, 30];
            let words = ["key", "owner", "address", "policy"];
            let counted: Vec<((usize, usize), &str)> = buckets
                .iter()
                .zip(whose.into_iter().zip(words))
                .flat_map(|(bucket, (whose, word))| (0..bucket.quotas.len()).map(move |index| ((whose, index), word)))
                .collect();
            for &((whose, index), _) in &counted {
                ledgers.entry((whose, index)).or_insert_with(|| Ledger { quota: quotas[index], back_at: Vec::new() });
            }
            let waits: Vec<Option<u64>> =
                counted.iter().map(|(counted, _)| ledgers.get_mut(counted).unwrap().wait(now, cost)).collect();
            let wait = waits.iter().copied().max().flatten();
            let charge = take(&limits, now, &buckets, cost, peek);
            prop_assert_eq!(charge.refused_for, wait.map(Duration::from_nanos));
            prop_assert_eq!(charge.standings.len(), counted.len());
            for (((counted, word), own_wait), standing) in counted.iter().zip(&waits).zip(&charge.standings) {
                let ledger = ledgers.get_mut(counted).unwrap();
                let before = ledger.back_at.clone();
                if wait.is_none() {
                    ledger.take(now, cost);
                }
                prop_assert_eq!(standing.remaining, ledger.left(now));
                prop_assert_eq!(standing.full_in, Duration::from_nanos(ledger.full_in(now)));
                prop_assert_eq!(standing.is_violated, own_wait.is_some());
                let seconds = ledger.quota.window().as_secs();
                let name = ledger.quota.name().map_or_else(|| format!("{word}-{seconds}s"), str::to_owned);
                prop_assert_eq!(standing.name().to_string(), name);
                if peek {
                    ledger.back_at = before;
                }
            }
        }
    }
}

/// A million in a release build.
const TAKES: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

#[test]
fn many_threads_take_exactly_what_there_is() {
    let hour = Quota::new(u32::try_from(TAKES / 4).unwrap(), Duration::from_secs(3_600)).unwrap();
    let day = Quota::new(hour.count() * 2, Duration::from_secs(86_400)).unwrap();
    for quotas in [&[hour][..], &[hour, day]] {
        let limits = LocalLimits::new();
        let admitted = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    let admitted_here = (0..TAKES / 64).filter(|_| gives(&limits, "hot", quotas)).count();
                    admitted.fetch_add(u32::try_from(admitted_here).unwrap(), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(admitted.load(Ordering::SeqCst), hour.count(), "{} quotas", quotas.len());
    }
}

#[test]
fn dear_and_cheap_requests_take_no_more_than_there_is() {
    let limits = LocalLimits::new();
    let quota: Quota = "30000/hour".parse().unwrap();
    let taken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for cost in [1, 2, 3, 7, 1, 2, 3, 7] {
            let (limits, taken) = (&limits, &taken);
            scope.spawn(move || {
                for _ in 0..5_000 {
                    let bucket = Bucket { whose: Whose::Key(id("hot")), quotas: &[quota] };
                    if take(limits, 1, &[bucket], cost, false).refused_for.is_none() {
                        taken.fetch_add(cost, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    // Of what is left, the cheapest takes the last.
    assert_eq!(taken.load(Ordering::SeqCst), 30_000);
}

/// All at once, for a number of rounds: how many were admitted in each.
fn at_once<const THREADS: usize>(rounds: usize, take: impl Fn(usize, usize) -> bool + Sync) -> Vec<u32> {
    let admitted: Vec<AtomicU32> = (0..rounds).map(|_| AtomicU32::new(0)).collect();
    let arrived = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (admitted, arrived, take) = (&admitted, &arrived, &take);
            scope.spawn(move || {
                for (round, admitted) in admitted.iter().enumerate() {
                    arrived.fetch_add(1, Ordering::SeqCst);
                    // Spinning: whoever is woken comes too late.
                    for spins in 0.. {
                        if arrived.load(Ordering::SeqCst) >= (round + 1) * THREADS {
                            break;
                        }
                        if spins > 1_000 {
                            std::thread::yield_now();
                        }
                    }
                    admitted.fetch_add(u32::from(take(round, thread)), Ordering::SeqCst);
                }
            });
        }
    });
    admitted.into_iter().map(AtomicU32::into_inner).collect()
}

#[test]
fn the_first_requests_of_a_key_are_no_exception() {
    let limits = LocalLimits::new();
    let quota: Quota = "1/hour".parse().unwrap();
    let admitted = at_once::<2>(20_000, |round, _| gives(&limits, &format!("key-{round}"), &[quota]));
    assert_eq!(admitted.iter().filter(|&&admitted| admitted != 1).count(), 0, "of {} keys", admitted.len());
}

/// As two guards do that share limits while one policy follows another.
#[test]
fn a_key_alone_and_the_same_key_among_others_take_from_one_quota() {
    let limits = LocalLimits::new();
    let (quota, everybody): (Quota, Quota) = ("1/hour".parse().unwrap(), "1000000/hour".parse().unwrap());
    let admitted = at_once::<2>(20_000, |round, thread| {
        let key = id(&format!("key-{}", round / 2));
        let buckets =
            [Bucket { whose: Whose::Key(key), quotas: &[quota] }, Bucket { whose: Whose::Policy, quotas: &[everybody] }];
        if round % 2 == 0 {
            // So that the key is known, and has one permission left to race for.
            return take(&limits, 1, &buckets[..1], 1, true).refused_for.is_some();
        }
        take(&limits, 1, &buckets[..=thread], 1, false).refused_for.is_none()
    });
    assert_eq!(
        admitted.iter().skip(1).step_by(2).filter(|&&admitted| admitted != 1).count(),
        0,
        "of {} keys",
        admitted.len() / 2
    );
    let buckets = [Bucket { whose: Whose::Policy, quotas: &[everybody] }];
    let all_or_nothing = everybody.count() - take(&limits, 1, &buckets, 1, true).standings[0].remaining - 1;
    assert!(all_or_nothing <= 10_000, "the policy's quota was charged {all_or_nothing} times");
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
                    if gives(limits, "hot", &[quota]) {
                        admitted.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(admitted.load(Ordering::SeqCst), 1_000);
}

#[test]
fn a_count_that_changes_under_load_gives_no_more_than_the_larger() {
    let limits = LocalLimits::new();
    // One window: no quota is retired, and the fast path is open at once.
    let quotas: [Quota; 2] = ["2/hour".parse().unwrap(), "wide=2/hour".parse().unwrap()];
    let admitted = at_once::<4>(20_000, |round, thread| gives(&limits, &format!("key-{round}"), &[quotas[(thread + round) % 2]]));
    assert_eq!(admitted.iter().filter(|&&admitted| admitted != 2).count(), 0, "of {} keys", admitted.len());
}

#[test]
fn a_quota_that_stays_goes_on_as_it_was() {
    let second = 1_000_000_000;
    let (minute, hour): (Quota, Quota) = ("2/minute".parse().unwrap(), "9/hour".parse().unwrap());
    let limits = LocalLimits::new();
    let wait = |now, quotas: &[Quota]| {
        take(&limits, now, &[Bucket { whose: Whose::Key(id("k")), quotas }], 1, false).refused_for.map(|wait| wait.as_secs())
    };
    assert_eq!([wait(0, &[minute]), wait(0, &[minute]), wait(0, &[minute])], [None, None, Some(30)]);
    assert_eq!(wait(29 * second, &[minute, hour]), Some(1), "another came");
    assert_eq!(wait(29 * second, &[hour.named("long").unwrap(), minute.named("hot").unwrap()]), Some(1), "they got names");
    assert_eq!(wait(29 * second, &[hour]), None);
    assert_eq!(wait(29 * second, &[minute]), Some(30), "what was taken meanwhile was taken of it, too");
}

/// Asks under a quota until it refuses: how often it gave.
fn drain(limits: &LocalLimits, now: u64, whose: Whose<'_>, of: &str) -> u32 {
    let quotas = [of.parse().unwrap()];
    (0..).find(|_| take(limits, now, &[Bucket { whose, quotas: &quotas }], 1, false).refused_for.is_some()).unwrap()
}

#[test]
fn two_counts_at_once_give_no_more_than_the_larger() {
    let (key, owner) = (Whose::Key(id("k")), Whose::Owner("o"));
    for whose in [key, owner] {
        let limits = LocalLimits::new();
        let given: u32 = (0..100).map(|_| drain(&limits, 1, whose, "9/hour") + drain(&limits, 1, whose, "10/hour")).sum();
        assert_eq!(given, 10);
        let limits = LocalLimits::new();
        let given = ["100/day", "1/day", "100/day", "50/day", "2/hour", "1/hour", "99/2d", "20/hour", "100/day"]
            .map(|of| drain(&limits, 1, whose, of));
        assert_eq!(given, [100, 0, 0, 0, 0, 0, 0, 0, 0], "{whose:?}");
    }
}

#[test]
fn a_count_that_was_cut_down_locks_nobody_out_for_longer_than_its_window() {
    let (limits, owner) = (LocalLimits::new(), Whose::Owner("o"));
    let hour = 3_600_000_000_000;
    assert_eq!(drain(&limits, 1, owner, "100/day"), 100);
    assert_eq!(drain(&limits, 1, owner, "1/day"), 0);
    assert_eq!(drain(&limits, 24 * hour, owner, "1/day"), 0);
    assert_eq!(drain(&limits, 1 + 24 * hour, owner, "1/day"), 1);
    // A window after the change, the quota in force knows all that matters.
    assert_eq!(drain(&limits, 1 + 24 * hour, owner, "100/day"), 99);
}

/// A limit that is raised for whoever used it up is more at once, whatever was taken of a longer one.
#[test]
fn a_quota_that_is_raised_gives_at_once_what_it_has_more() {
    let limits = LocalLimits::new();
    let hour = 3_600_000_000_000;
    let asked = |now, quotas: [&str; 2]| {
        let quotas = quotas.map(|quota| quota.parse().unwrap());
        let buckets = [Bucket { whose: Whose::Owner("o"), quotas: &quotas }];
        (0..).find(|_| take(&limits, now, &buckets, 1, false).refused_for.is_some())
    };
    for hours in 0..3 {
        assert_eq!(asked(1 + hours * hour, ["100/hour", "1000/day"]), Some(100));
    }
    assert_eq!(asked(1 + 2 * hour, ["120/hour", "1000/day"]), Some(20));
}

/// Quotas of one window, in any order and at any time: what all of them give together, the largest alone could have given.
#[derive(Debug, Clone)]
struct Change {
    after: u64,
    count: u32,
    asks: u32,
    cost: u32,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let after = prop_oneof![
        2 => Just(0),
        2 => (1..=12_u64).prop_map(|count| 10_000_000_000 / count),
        2 => 1..2_000_000_000_u64,
        2 => 1..15_000_000_000_u64,
        1 => 1..80_000_000_000_u64,
    ];
    let change = (after, 1..=12_u32, 0..15_u32, prop_oneof![3 => Just(1), 1 => 1..5_u32]);
    prop::collection::vec(change.prop_map(|(after, count, asks, cost)| Change { after, count, asks, cost }), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn counts_of_one_window_give_what_the_largest_could(changes in changes()) {
        let limits = LocalLimits::new();
        let window = Duration::from_secs(10);
        let largest = changes.iter().map(|change| change.count).max().unwrap();
        let mut largest = Ledger { quota: Quota::new(largest, window).unwrap(), back_at: Vec::new() };
        let mut now = 0;
        for change in &changes {
            now += change.after;
            let quotas = [Quota::new(change.count, window).unwrap()];
            for _ in 0..change.asks {
                let cost = change.cost.min(change.count);
                let charge = take(&limits, now, &[Bucket { whose: Whose::Key(id("k")), quotas: &quotas }], cost, false);
                prop_assert!(charge.standings[0].full_in <= window, "{change:?}");
                prop_assert!(charge.refused_for.is_none_or(|wait| wait <= window), "{change:?}");
                if charge.refused_for.is_none() {
                    prop_assert_eq!(largest.wait(now, cost), None, "{:?} at {}", change, now);
                    largest.take(now, cost);
                }
            }
        }
    }

    /// Quotas of any windows and counts at one instant.
    #[test]
    fn quotas_that_follow_each_other_at_once_give_no_more_than_the_largest_count(
        sets in prop::collection::vec(
            prop::collection::vec((1..40_u32, prop::sample::select(vec![1_u64, 10, 60, 3_600])), 1..4),
            1..40,
        )
    ) {
        let limits = LocalLimits::new();
        let mut given = 0;
        let largest = sets.iter().flatten().map(|(count, _)| *count).max().unwrap();
        for set in &sets {
            let mut quotas: Vec<Quota> =
                set.iter().map(|(count, seconds)| Quota::new(*count, Duration::from_secs(*seconds)).unwrap()).collect();
            quotas.sort_by_key(|quota| quota.window());
            quotas.dedup_by_key(|quota| quota.window());
            while take(&limits, 1, &[Bucket { whose: Whose::Policy, quotas: &quotas }], 1, false).refused_for.is_none() {
                given += 1;
            }
        }
        prop_assert!(given <= largest, "{} of {}", given, largest);
    }
}

/// `explain` shows, and leaves everything as it was.
#[test]
fn a_look_makes_no_counter_and_moves_none() {
    let limits = LocalLimits::new();
    let (two, nine): (Quota, Quota) = ("2/hour".parse().unwrap(), "9/day".parse().unwrap());
    let key = Whose::Key(id("k"));
    let look = |whose, quotas: &[Quota]| take(&limits, 1, &[Bucket { whose, quotas }], 1, true).standings[0].remaining;
    assert_eq!((look(key, &[two]), look(Whose::Owner("o"), &[two])), (1, 1));
    assert_eq!(format!("{limits:?}"), "LocalLimits(0 keys)");
    assert_eq!(drain(&limits, 1, key, "2/hour"), 2);
    assert_eq!(look(key, &[nine]), 6);
    let taken = allocation_counter::measure(|| assert_eq!(look(key, &[two]), 0));
    assert_eq!(taken.count_total, 0, "the counter is under the quota that it was under before");
}
