//! Single use and lifetimes at every instant that the test chooses, beside a naive model (R14.1, T23).

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use keyward::clock::{Clock, SystemClock};
use keyward::ticket::{Spent, TicketId, UsedTickets};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::RedisTickets;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const START: u64 = 1_800_000_000_000_000;
const SECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// A server whose clock the test sets.
struct World {
    server: Redis,
    tickets: RedisTickets,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn new() -> Self {
        let server = Redis::start_with_clock().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let builder = RedisTickets::builder(server.url()).timeout(Duration::from_secs(10));
        let tickets = runtime.block_on(builder.connect()).unwrap();
        Self { server, tickets, runtime }
    }

    /// The time, in microseconds after the start.
    fn at(&self, microseconds: u64) {
        self.server.set_clock(START + microseconds).unwrap();
    }

    fn issue(&self) -> TicketId {
        self.runtime.block_on(self.tickets.issue(SystemClock::new().now()).wait()).unwrap()
    }

    fn spend(&self, id: &TicketId, seconds: u64) -> Spent {
        self.ask(id, seconds, false)
    }

    fn peek(&self, id: &TicketId, seconds: u64) -> Spent {
        self.ask(id, seconds, true)
    }

    fn ask(&self, id: &TicketId, seconds: u64, peek: bool) -> Spent {
        let asked =
            self.tickets.spend(id, &"a-key".parse().unwrap(), Duration::from_secs(seconds), SystemClock::new().now(), peek);
        self.runtime.block_on(asked.wait()).unwrap()
    }

    fn noted(&self) -> u64 {
        self.server.ask(&["ZCARD", "{keyward}:tickets"]).unwrap().parse().unwrap()
    }
}

#[test]
fn a_ticket_is_good_before_its_lifetime_and_not_at_it() {
    let world = World::new();
    for (number, lifetime) in [1, 60, 299, 300].into_iter().enumerate() {
        let made = HOUR * (1 + number as u64);
        world.at(made);
        let (at_once, last, exact, after) = (world.issue(), world.issue(), world.issue(), world.issue());
        assert_eq!(world.spend(&at_once, lifetime), Spent::First, "{lifetime}");
        world.at(made + lifetime * SECOND - 1);
        assert_eq!(world.spend(&last, lifetime), Spent::First, "{lifetime}");
        assert_eq!(world.spend(&last, lifetime), Spent::Before, "{lifetime}");
        world.at(made + lifetime * SECOND);
        for id in [&at_once, &last, &exact] {
            assert_eq!(world.peek(id, lifetime), Spent::Forgotten, "{lifetime}");
            assert_eq!(world.spend(id, lifetime), Spent::Forgotten, "{lifetime}");
        }
        world.at(made + lifetime * SECOND + 1);
        assert_eq!(world.spend(&after, lifetime), Spent::Forgotten, "{lifetime}");
    }
}

/// No policy can ask for more than 300 s; and a use is remembered for as long, whatever the policy was.
#[test]
fn a_longer_lifetime_makes_no_ticket_good_again() {
    let world = World::new();
    world.at(HOUR);
    let (used, unused) = (world.issue(), world.issue());
    assert_eq!(world.spend(&used, 10), Spent::First);
    world.at(HOUR + 10 * SECOND);
    assert_eq!(world.spend(&used, 10), Spent::Forgotten);
    assert_eq!(world.spend(&used, 300), Spent::Before);
    world.at(HOUR + 299 * SECOND);
    assert_eq!(world.spend(&used, 300), Spent::Before);
    world.at(HOUR + 300 * SECOND);
    for lifetime in [300, 301, 1_000_000, u64::MAX / 2] {
        assert_eq!(world.spend(&used, lifetime), Spent::Forgotten);
        assert_eq!(world.spend(&unused, lifetime), Spent::Forgotten);
    }
}

#[test]
fn a_clock_that_steps_back_forgets_what_is_from_its_future() {
    let world = World::new();
    world.at(2 * HOUR);
    let (used, unused) = (world.issue(), world.issue());
    assert_eq!(world.spend(&used, 300), Spent::First);
    world.at(HOUR);
    assert_eq!(world.spend(&used, 300), Spent::Forgotten);
    assert_eq!(world.spend(&unused, 300), Spent::Forgotten);
    let (new, other) = (world.issue(), world.issue());
    assert_eq!(world.spend(&new, 300), Spent::First);
    assert_eq!(world.spend(&new, 300), Spent::Before);
    // The time of the first two comes again.
    world.at(2 * HOUR + SECOND);
    for id in [&used, &new, &other] {
        assert_ne!(world.spend(id, 300), Spent::First);
    }
}

/// What was cleared away under a clock that ran ahead is not good again when it steps back.
#[test]
fn a_clock_that_steps_forward_and_back_brings_no_ticket_back() {
    let world = World::new();
    world.at(HOUR);
    let used: Vec<_> = (0..40).map(|_| world.issue()).collect();
    assert!(used.iter().all(|id| world.spend(id, 300) == Spent::First));
    world.at(HOUR + 200 * SECOND);
    let recent = world.issue();
    assert_eq!(world.spend(&recent, 300), Spent::First);
    let before = world.noted();
    world.at(HOUR + 301 * SECOND);
    let clears = [world.issue(), world.issue(), world.issue()];
    assert!(clears.iter().all(|id| world.spend(id, 300) == Spent::First));
    assert!(world.noted() <= before + 3 - 40, "{} of {before}", world.noted());
    world.at(HOUR + 210 * SECOND);
    assert!(used.iter().all(|id| world.spend(id, 300) == Spent::Forgotten), "they are 210 seconds old");
    assert_eq!(world.spend(&recent, 300), Spent::Before);
    // Back behind what was cleared: new tickets work all the same.
    world.at(HOUR - SECOND);
    let new = world.issue();
    assert_eq!((world.spend(&new, 300), world.spend(&new, 300)), (Spent::First, Spent::Before));
    world.at(HOUR + 210 * SECOND);
    assert!(used.iter().chain([&recent]).all(|id| world.spend(id, 300) == Spent::Forgotten));
}

/// The clock tells microseconds, and none of them is lost on the way.
#[test]
fn what_is_cleared_is_told_from_what_is_not_to_the_microsecond() {
    let world = World::new();
    let used: Vec<_> = (0..40)
        .map(|after| {
            world.at(HOUR + after);
            let id = world.issue();
            assert_eq!(world.spend(&id, 300), Spent::First);
            id
        })
        .collect();
    let before = world.noted();
    world.at(HOUR + 301 * SECOND - 1);
    assert_eq!(world.issue().to_bytes()[..8], used[0].to_bytes()[..8], "the generation is still there");
    let clears = world.issue();
    assert_eq!(world.spend(&clears, 300), Spent::First);
    assert_eq!(world.noted(), before + 1 - 16);
    world.at(HOUR + SECOND);
    let spent: Vec<_> = used.iter().map(|id| world.spend(id, 300)).collect();
    assert!(spent[..16].iter().all(|spent| *spent == Spent::Forgotten), "{spent:?}");
    assert!(spent[16..].iter().all(|spent| *spent == Spent::Before), "{spent:?}");
}

/// What a key has used counts against it for as long as it is noted, and no longer.
#[test]
fn a_key_gets_its_room_back() {
    let mut world = World::new();
    world.at(HOUR);
    // The one with which the connection is tried out is among them.
    let builder = RedisTickets::builder(world.server.url()).namespace("room").timeout(Duration::from_secs(10)).most(41);
    world.tickets = world.runtime.block_on(builder.connect()).unwrap();
    let spend = |id: &TicketId| {
        let asked = world.tickets.spend(id, &"a-key".parse().unwrap(), Duration::from_secs(300), SystemClock::new().now(), false);
        world.runtime.block_on(asked.wait())
    };
    for round in 0..3 {
        world.at(HOUR + round * 300 * SECOND);
        let used: Vec<_> = (0..30).map(|_| spend(&world.issue()).is_ok()).collect();
        assert_eq!(used.iter().filter(|used| **used).count(), if round == 0 { 20 } else { 21 }, "round {round}: {used:?}");
        assert!(!used[29], "the room is taken");
    }
}

#[test]
fn what_is_noted_is_bounded_by_what_can_still_be_used() {
    let world = World::new();
    for second in 0..1_000 {
        world.at(HOUR + second * SECOND);
        let id = world.issue();
        assert_eq!(world.spend(&id, 300), Spent::First);
        assert!(world.noted() <= 302, "{}", world.noted());
    }
    // After 301 seconds without a new ticket nothing is left.
    world.at(HOUR + 999 * SECOND + 301 * SECOND + SECOND);
    assert_eq!(world.server.ask(&["EXISTS", "{keyward}:tickets"]).unwrap(), "0");
}

#[derive(Debug, Clone)]
enum Step {
    /// By so many microseconds.
    Forward(u64),
    Back(u64),
    Issue,
    /// Which of the last tickets, and under what lifetime.
    Spend(usize, u64),
    Peek(usize, u64),
    Empty,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = || prop_oneof![4 => 0..4usize, 1 => 0..40usize];
    let lifetime = || prop_oneof![3 => Just(300u64), 1 => 1..300u64];
    let time =
        || prop_oneof![2 => 0..3 * SECOND, 2 => 0..400 * SECOND, 1 => (0..400u64).prop_map(|s| s * SECOND), 1 => 0..2 * HOUR];
    let step = prop_oneof![
        5 => Just(Step::Issue),
        8 => (which(), lifetime()).prop_map(|(which, lifetime)| Step::Spend(which, lifetime)),
        2 => (which(), lifetime()).prop_map(|(which, lifetime)| Step::Peek(which, lifetime)),
        5 => time().prop_map(Step::Forward),
        2 => time().prop_map(Step::Back),
        1 => Just(Step::Empty),
    ];
    prop::collection::vec(step, 1..120)
}

/// Whatever the clock does, no ticket is used twice; and where it only goes forward, a ticket is good for exactly its lifetime.
#[test]
fn a_naive_model_agrees() {
    let world = World::new();
    let runner =
        Config { cases: if cfg!(debug_assertions) { 60 } else { 2_000 }, failure_persistence: None, ..Config::default() };
    TestRunner::new(runner)
        .run(&steps(), |steps| {
            world.server.flush().unwrap();
            let mut now = 10 * HOUR;
            world.at(now);
            let mut made: Vec<(TicketId, u64)> = Vec::new();
            let mut uses: BTreeMap<usize, u32> = BTreeMap::new();
            // Since when the clock has not stepped back, and nothing was emptied.
            let mut calm_since = 0;
            for step in steps {
                match step {
                    Step::Forward(by) => now += by,
                    Step::Back(by) => {
                        now -= by.min(now);
                        calm_since = made.len();
                    }
                    Step::Empty => {
                        world.server.flush().unwrap();
                        calm_since = made.len();
                    }
                    Step::Issue => {
                        world.at(now);
                        made.push((world.issue(), now));
                    }
                    Step::Spend(back, lifetime) | Step::Peek(back, lifetime) => {
                        let Some(index) = made.len().checked_sub(1 + back) else { continue };
                        world.at(now);
                        let (id, minted) = &made[index];
                        let peek = matches!(step, Step::Peek(..));
                        let spent = world.ask(id, lifetime, peek);
                        let before = uses.get(&index).copied().unwrap_or(0);
                        if now < *minted || now - minted >= lifetime * SECOND {
                            prop_assert_eq!(spent, Spent::Forgotten);
                        } else if index >= calm_since {
                            prop_assert_eq!(spent, if before == 0 { Spent::First } else { Spent::Before });
                        }
                        if spent == Spent::First {
                            prop_assert_eq!(before, 0, "used twice");
                            if !peek {
                                uses.insert(index, before + 1);
                            }
                        }
                    }
                }
            }
            Ok(())
        })
        .unwrap();
}
