//! The script beside a naive model, at every instant that the test chooses (R9, T6, T23).

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{patient, quota, take, take_all};
use keyward::Timestamp;
use keyward::clock::Now;
use keyward::limit::{Bucket, Charge, Limits, LocalLimits, Quota, Taking, Whose};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::RedisLimits;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const START: u64 = 1_800_000_000_000_000;

/// A server whose clock the test sets.
struct World {
    server: Redis,
    limits: RedisLimits,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let server = Redis::start_with_clock().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let limits = runtime.block_on(patient(RedisLimits::builder(server.url())).connect()).unwrap();
        Self { server, limits, runtime }
    }

    /// The time, in microseconds after the start.
    fn at(&self, microseconds: u64) {
        self.server.set_clock(START + microseconds).unwrap();
    }

    fn take(&self, owner: &str, quotas: &[Quota], cost: u32) -> Charge {
        self.runtime.block_on(take(&self.limits, Whose::Owner(owner), quotas, cost)).unwrap()
    }

    fn take_all(&self, buckets: &[Bucket<'_>], cost: u32, peek: bool) -> Charge {
        self.runtime.block_on(take_all(&self.limits, buckets, cost, peek)).unwrap()
    }

    fn gives(&self, owner: &str, of: &str) -> bool {
        self.take(owner, &[quota(of)], 1).refused_for.is_none()
    }
}

#[derive(Debug, Clone)]
struct Step {
    /// Microseconds since the last one.
    after: u64,
    /// Each bucket's owner, and which of the sets of quotas it is under.
    buckets: Vec<(u8, usize)>,
    cost: u32,
    peek: bool,
}

fn steps(sets: usize) -> impl Strategy<Value = Vec<Step>> {
    let after = prop_oneof![3 => Just(0), 4 => 1..2_000_000u64, 2 => 1..90_000_000u64, 1 => 1..90_000_000_000u64];
    let buckets = prop_oneof![
        3 => (0..2u8, 0..sets).prop_map(|one| vec![one]),
        1 => (0..sets, 0..sets).prop_map(|(one, other)| vec![(0, one), (1, other)]),
    ];
    let step = (after, buckets, prop_oneof![4 => Just(1u32), 2 => 1..6u32, 1 => 1..2_000_000u32], prop::bool::weighted(0.15));
    prop::collection::vec(step.prop_map(|(after, buckets, cost, peek)| Step { after, buckets, cost, peek }), 1..25)
}

/// Counts in whole numbers of any size, in nanoseconds, one permission after the other.
#[derive(Default)]
struct Model {
    /// When all permissions of a window are back: by owner, count and window.
    full_at: BTreeMap<(u8, u32, u128), u128>,
}

impl Model {
    fn interval(quota: Quota) -> u128 {
        quota.window().as_nanos() / u128::from(quota.count())
    }

    /// How long until there are as many; nothing if there are. And when all would be back.
    fn look(&self, owner: u8, quota: Quota, now: u128, cost: u32) -> (Option<u128>, u128) {
        let key = (owner, quota.count(), quota.window().as_nanos());
        let full_at = self.full_at.get(&key).copied().unwrap_or(0).max(now);
        let next = full_at + Self::interval(quota) * u128::from(cost.min(quota.count()));
        let latest = now + Self::interval(quota) * u128::from(quota.count());
        (next.checked_sub(latest).filter(|wait| *wait > 0), next)
    }

    fn take(&mut self, buckets: &[(u8, &[Quota])], now: u128, cost: u32, peek: bool) -> (Option<u128>, Vec<Told>) {
        let each = || buckets.iter().flat_map(|(owner, quotas)| quotas.iter().map(move |quota| (*owner, *quota)));
        let looks: Vec<_> = each().map(|(owner, quota)| self.look(owner, quota, now, cost)).collect();
        let wait = looks.iter().filter_map(|(wait, _)| *wait).max();
        let mut told = Vec::new();
        for ((owner, quota), (violated, next)) in each().zip(looks) {
            let key = (owner, quota.count(), quota.window().as_nanos());
            let full_at = if wait.is_none() { next } else { self.full_at.get(&key).copied().unwrap_or(0).max(now) };
            if wait.is_none() && !peek {
                self.full_at.insert(key, full_at);
            }
            let latest = now + Self::interval(quota) * u128::from(quota.count());
            told.push(((latest - full_at) / Self::interval(quota), full_at - now, violated.is_some()));
        }
        (wait, told)
    }
}

/// What is left, how long until all is back, whether it refused.
type Told = (u128, u128, bool);

fn told(charge: &Charge) -> (Option<u128>, Vec<Told>) {
    let each = charge.standings.iter();
    let standings = each.map(|one| (one.remaining.into(), one.full_in.as_nanos(), one.is_violated)).collect();
    (charge.refused_for.map(|wait| wait.as_nanos()), standings)
}

const OWNERS: [&str; 2] = ["one", "two"];

/// Quotas that stay: intervals of whole and broken microseconds, of less than one, and of weeks.
#[test]
fn a_quota_gives_what_the_model_gives() {
    let world = World::new();
    let sets = [
        vec![quota("3/3s")],
        vec![quota("7/second"), quota("100/hour")],
        vec![quota("1000000000/second")],
        vec![quota("999983/second"), quota("3/366d")],
        vec![quota("1/minute")],
    ];
    // A set of its own for each owner: a changed quota is another test's.
    let owner = |owner: u8, set: usize| owner * 10 + u8::try_from(set).unwrap();
    let run = |steps: Vec<Step>| {
        world.server.flush().unwrap();
        let (mut model, mut time) = (Model::default(), 0);
        for step in &steps {
            time += step.after;
            world.at(time);
            let names: Vec<String> = step.buckets.iter().map(|(one, set)| owner(*one, *set).to_string()).collect();
            let buckets = step.buckets.iter().zip(&names);
            let buckets: Vec<_> =
                buckets.map(|((_, set), name)| Bucket { whose: Whose::Owner(name), quotas: &sets[*set] }).collect();
            let got = told(&world.take_all(&buckets, step.cost, step.peek));
            let buckets: Vec<_> = step.buckets.iter().map(|(one, set)| (owner(*one, *set), &sets[*set][..])).collect();
            // 366 days are counted in steps of four nanoseconds; that quota's interval is a whole number of them.
            let expected = model.take(&buckets, u128::from(START + time) * 1_000, step.cost, step.peek);
            prop_assert_eq!(&got, &expected, "{:?} at {}", step, time);
        }
        Ok(())
    };
    TestRunner::new(Config { cases: cases(60), failure_persistence: None, ..Config::default() }).run(&steps(5), run).unwrap();
}

/// Quotas that change: what is counted in this process is the measure (R9.4).
#[test]
fn a_changed_quota_gives_what_it_gives_in_one_process() {
    let world = World::new();
    let sets = [
        vec![quota("10/minute")],
        vec![quota("4/minute")],
        vec![quota("100/hour")],
        vec![quota("5/second"), quota("20/minute")],
        vec![quota("20/minute"), quota("6/366d")],
        vec![quota("9/minute"), quota("80/hour")],
        vec![quota("3/366d")],
    ];
    let run = |steps: Vec<Step>| {
        world.server.flush().unwrap();
        let (local, mut time) = (LocalLimits::new(), 0);
        // Both owners have taken something: a process remembers a bucket that was only refused, and here it leaves no trace.
        let first = Step { after: 0, buckets: vec![(0, 0), (1, 0)], cost: 1, peek: false };
        for step in std::iter::once(first).chain(steps) {
            time += step.after;
            world.at(time);
            let buckets = step.buckets.iter();
            let buckets: Vec<_> = buckets
                .map(|(one, set)| Bucket { whose: Whose::Owner(OWNERS[usize::from(*one)]), quotas: &sets[*set] })
                .collect();
            let now = Now { wall: Timestamp::EPOCH, steady: (START + time) * 1_000 };
            let taking = Taking { now, buckets: &buckets, cost: step.cost, peek: step.peek };
            let expected = pollster::block_on(local.take(&taking).wait()).unwrap();
            let got = world.take_all(&buckets, step.cost, step.peek);
            prop_assert_eq!(told(&got), told(&expected), "{:?} at {}", step, time);
        }
        Ok(())
    };
    TestRunner::new(Config { cases: cases(120), failure_persistence: None, ..Config::default() }).run(&steps(7), run).unwrap();
}

fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

#[test]
fn boundaries_to_the_microsecond() {
    let world = World::new();
    world.at(0);
    assert!((0..3).all(|_| world.gives("one", "3/3s")) && !world.gives("one", "3/3s"));
    world.at(999_999);
    assert!(!world.gives("one", "3/3s"));
    assert_eq!(world.take("one", &[quota("3/3s")], 1).refused_for, Some(Duration::from_micros(1)));
    world.at(1_000_000);
    assert!(world.gives("one", "3/3s") && !world.gives("one", "3/3s"));
}

#[test]
fn all_or_nothing_over_several_buckets() {
    let world = World::new();
    let (narrow, wide) = ([quota("1/hour")], [quota("100/hour")]);
    let buckets = [Bucket { whose: Whose::Policy, quotas: &wide }, Bucket { whose: Whose::Owner("a"), quotas: &narrow }];
    assert_eq!(world.take_all(&buckets, 1, false).refused_for, None);
    let refused = world.take_all(&buckets, 1, false);
    assert_eq!(refused.refused_for, Some(Duration::from_secs(3_600)));
    assert_eq!(refused.standings.iter().map(|one| one.is_violated).collect::<Vec<_>>(), [false, true]);
    assert_eq!(refused.standings[0].remaining, 99, "the policy's quota was not charged");
    assert_eq!((refused.standings[0].whose, refused.standings[1].whose), ("policy", "owner"));
}

#[test]
fn a_look_takes_nothing_and_writes_nothing() {
    let world = World::new();
    let buckets = |quotas: &'static [Quota]| [Bucket { whose: Whose::Owner("a"), quotas }];
    let quotas: &'static [Quota] = Box::leak(Box::new([quota("2/hour")]));
    assert_eq!(world.take_all(&buckets(quotas), 1, true).standings[0].remaining, 1);
    let keys = || world.server.ask(&["KEYS", "*owner*"]).unwrap();
    assert_eq!(keys(), "");
    world.take_all(&buckets(quotas), 1, false);
    let before = world.server.ask(&["HGETALL", &keys()]).unwrap();
    let other: &'static [Quota] = Box::leak(Box::new([common::quota("5/minute"), common::quota("1/hour")]));
    let look = world.take_all(&buckets(other), 1, true);
    // One of the old quota was taken, so one of the new ones is.
    assert_eq!(look.refused_for, Some(Duration::from_secs(3_600)));
    assert_eq!(world.server.ask(&["HGETALL", &keys()]).unwrap(), before);
}

/// R9.4: as two processes do of which one has its new policy already.
#[test]
fn two_counts_that_take_turns_give_no_more_than_the_larger() {
    let world = World::new();
    let (mut given, mut alone) = (0, 0);
    for tenth in 0..320 {
        world.at(tenth * 100_000);
        given += u32::from(world.gives("both", ["10/10s", "9/10s"][tenth as usize % 2]));
        alone += u32::from(world.gives("alone", "10/10s"));
    }
    assert_eq!(alone, 41);
    assert!((9 + 28..=alone).contains(&given), "{given}: no more than ten give, and no less than nine");
    let drain = |of: &str| (0..).find(|_| !world.gives("drained", of)).unwrap();
    let given = ["100/day", "1/day", "100/day", "50/day", "2/hour", "1/hour", "99/2d", "20/hour", "100/day"].map(drain);
    assert_eq!(given, [100, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/// T23: what a dear request waits for is no more than a window either.
#[test]
fn a_clock_that_steps_back_locks_no_dear_request_out_for_longer_than_a_window() {
    let world = World::new();
    let (minute, hour) = (60_000_000, 3_600_000_000);
    for cost in [10, 9, 6] {
        let quotas = [quota("10/hour")];
        let owner = cost.to_string();
        world.at(2 * hour);
        assert_eq!(world.take(&owner, &quotas, 10).refused_for, None);
        world.at(2 * hour - 50 * minute);
        let refused = world.take(&owner, &quotas, cost).refused_for.unwrap();
        assert!(refused <= Duration::from_secs(3_600), "{cost}: {refused:?}");
        world.at(2 * hour - 50 * minute + u64::try_from(refused.as_micros()).unwrap());
        assert_eq!(world.take(&owner, &quotas, cost).refused_for, None, "{cost}");
    }
}

/// T23: the server's clock goes back an hour. Nobody gets more than without, or waits longer than a window.
#[test]
fn a_clock_that_steps_back_locks_nobody_out_for_longer_than_a_window() {
    let world = World::new();
    let hour = 3_600_000_000;
    world.at(10 * hour);
    assert!((0..3).all(|_| world.gives("spent", "3/minute")) && world.gives("begun", "3/minute"));
    world.at(9 * hour);
    for owner in ["spent", "begun"] {
        // What is refused now would be refused for an hour, if the first refusal did not cut the debt to one window.
        let refused = world.take(owner, &[quota("3/minute")], 1);
        assert_eq!(refused.refused_for, Some(Duration::from_secs(20)), "{owner}");
        assert_eq!(refused.standings[0].full_in, Duration::from_secs(60));
    }
    // No further than a window, and less is forgiven: nothing.
    assert!((0..3).all(|_| world.gives("late", "3/minute")));
    world.at(9 * hour - 30_000_000);
    assert_eq!(world.take("late", &[quota("3/minute")], 1).refused_for, Some(Duration::from_secs(50)));
    world.at(9 * hour + 20_000_000);
    assert!(world.gives("late", "3/minute"));
    assert!(world.gives("spent", "3/minute") && !world.gives("spent", "3/minute"));
    world.at(9 * hour + 60_000_000 + 20_000_000);
    assert!((0..3).all(|_| world.gives("spent", "3/minute")) && !world.gives("spent", "3/minute"));
}

/// T23: a step forward gives what its time would have given, and a clock that trembles within a window nothing at all.
#[test]
fn a_clock_that_trembles_gives_nothing_more() {
    let world = World::new();
    let (second, hour) = (1_000_000u64, 3_600_000_000u64);
    world.at(hour);
    let mut given = (0..100).filter(|_| world.gives("a", "100/hour")).count();
    assert_eq!(given, 100);
    // Ten seconds back and forth, while a minute passes.
    for number in 0..60 {
        let time = hour + number * second;
        for time in [time, time - 10 * second, time - 5 * second, time] {
            world.at(time);
            given += usize::from(world.gives("a", "100/hour"));
        }
    }
    assert_eq!(given, 101, "one permission comes back in 36 seconds");
    world.at(2 * hour + 60 * second);
    given = (0..101).filter(|_| world.gives("a", "100/hour")).count();
    assert_eq!(given, 100, "an hour's worth for a step of an hour");
}

#[test]
fn windows_that_come_and_go_are_bounded() {
    let world = World::new();
    for hours in 1..60 {
        world.at(hours);
        world.take("a", &[Quota::new(1_000, Duration::from_secs(3_600 * hours)).unwrap()], 1);
    }
    let key = world.server.ask(&["KEYS", "*owner*"]).unwrap();
    let fields: u32 = world.server.ask(&["HLEN", &key]).unwrap().parse().unwrap();
    // The quota in use, eight from before, and two fields about them.
    assert_eq!(fields, 11);
    // All that was taken is taken of a window that was never there before.
    let charge = world.take("a", &[quota("1000/360d")], 1);
    assert_eq!(charge.standings[0].remaining, 940);
}
