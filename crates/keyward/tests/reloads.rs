//! Limits that change when a policy is reloaded: nothing that was charged is forgotten (R9.4).

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderValue, Request};
use keyward::clock::{ManualClock, Now};
use keyward::import::keys_file;
use keyward::limit::{Bucket, Limits, LocalLimits, Quota, Taking, Whose};
use keyward::{Answer, Decision, Guard, Keys, MemoryStore, Peer, Policy, Timestamp};
use proptest::prelude::*;

/// One service whose policy is reloaded.
struct Service {
    store: MemoryStore,
    clock: ManualClock,
    guard: Option<Guard>,
}

impl Service {
    fn start(policy: &str) -> Self {
        let store = MemoryStore::new();
        let row = keys_file(r#"{"key":"good-key"}"#).next().unwrap().unwrap();
        pollster::block_on(Keys::new(store.clone()).import(row)).unwrap();
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_700_000_000));
        let mut service = Self { store, clock, guard: None };
        service.reload(policy);
        service
    }

    fn reload(&mut self, policy: &str) {
        let policy = Policy::from_toml("policy.toml", policy).unwrap();
        let builder = Guard::builder(policy).store(self.store.clone()).clock(self.clock.clone());
        let builder = match &self.guard {
            Some(before) => builder.sharing(before),
            None => builder,
        };
        self.guard = Some(builder.build().unwrap());
    }

    /// How many of so many requests pass.
    fn passed(&self, requests: usize, address: [u8; 4]) -> usize {
        let passes = || {
            let mut request = Request::get("/").extension(Peer(address.into())).body(()).unwrap();
            request.headers_mut().insert("x-api-key", HeaderValue::from_static("good-key"));
            matches!(self.guard.as_ref().unwrap().try_decide(&request).unwrap(), Decision::Allowed(_))
        };
        (0..requests).filter(|_| passes()).count()
    }
}

const NEAR: [u8; 4] = [192, 0, 2, 1];
const OTHER: [u8; 4] = [192, 0, 2, 2];

#[test]
fn what_an_address_took_stays_taken_under_another_limit() {
    for (before, taken, after, left) in [
        ("'3/day'", 3, "'3/hour'", 0),
        ("'3/day'", 2, "'3/hour'", 1),
        ("'100/hour'", 50, "'10/hour'", 0),
        ("'100/hour'", 4, "'10/hour'", 6),
        ("'10/hour'", 10, "'100/hour'", 90),
        ("'10/hour'", 3, "'100/minute'", 97),
        ("'10/hour', '20/day'", 5, "'8/minute'", 3),
        ("'10/hour'", 5, "'10/hour', '7/day'", 2),
        ("'hot=10/hour'", 5, "'cold=10/hour'", 5),
    ] {
        let mut service = Service::start(&format!("[limits]\nper_address = [{before}]"));
        assert_eq!(service.passed(taken, NEAR), taken);
        service.reload(&format!("[limits]\nper_address = [{after}]"));
        assert_eq!(service.passed(200, NEAR), left, "{taken} of {before}, then {after}");
        let all: usize = after.split(['\'', '=']).filter_map(|part| part.split_once('/')?.0.parse().ok()).min().unwrap();
        assert_eq!(service.passed(200, OTHER), all, "others took nothing");
    }
}

#[test]
fn a_limit_that_comes_back_knows_what_was_taken_meanwhile() {
    let (wide, narrow) = ("[limits]\nper_address = ['100/hour']", "[limits]\nper_address = ['10/minute']");
    let mut service = Service::start(wide);
    assert_eq!(service.passed(50, NEAR), 50);
    service.reload(narrow);
    assert_eq!(service.passed(20, NEAR), 0);
    service.clock.advance(Duration::from_secs(60));
    assert_eq!(service.passed(20, NEAR), 10);
    service.reload(wide);
    // 50, of which one came back, and 10.
    assert_eq!(service.passed(200, NEAR), 41);
}

#[test]
fn two_guards_with_different_limits_refuse_by_their_own() {
    let (strict, wide): (Quota, Quota) = ("2/hour".parse().unwrap(), "5/minute".parse().unwrap());
    let limits = LocalLimits::new();
    let passes = |quota: Quota, steady| take(&limits, NEAR.into(), &[quota], steady);
    assert_eq!([passes(strict, 1), passes(wide, 1), passes(strict, 1)], [true, true, false]);
    assert_eq!([passes(wide, 1), passes(wide, 1), passes(wide, 1), passes(wide, 1)], [true, true, true, false]);
    // However often they take turns, what comes back to each comes back.
    let passed = (0..1_800).filter(|second| passes(strict, 1 + second * 1_000_000_000)).count();
    let turns = (0..3_600).filter(|second| {
        passes(wide, 1 + (1_800 + second) * 1_000_000_000);
        passes(strict, 1 + (1_800 + second) * 1_000_000_000)
    });
    assert_eq!((passed, turns.count()), (0, 0), "what the wide one gives is taken of the strict one");
    assert!(passes(strict, 1 + 7_200 * 1_000_000_000));
}

fn take(limits: &LocalLimits, address: IpAddr, quotas: &[Quota], steady: u64) -> bool {
    let buckets = [Bucket { whose: Whose::Address(address), quotas }];
    let now = Now { wall: Timestamp::EPOCH, steady };
    match limits.take(&Taking { now, buckets: &buckets, cost: 1, peek: false }) {
        Answer::Ready(Ok(charge)) => charge.refused_for.is_none(),
        other => panic!("counting in memory neither waits nor fails: {other:?}"),
    }
}

/// The naive one: of each quota when it was last in force, and when each permission of each address comes back.
#[derive(Default)]
struct Ledgers(Vec<(Quota, u64, HashMap<u8, Vec<u64>>)>);

fn interval(quota: Quota) -> u64 {
    u64::try_from(quota.window().as_nanos()).unwrap() / u64::from(quota.count())
}

impl Ledgers {
    /// A new one begins with the most that is out of the others. What was not in force for its window is forgotten.
    fn put_in_force(&mut self, quotas: &[Quota], now: u64) {
        for ledger in &mut self.0 {
            ledger.2.values_mut().for_each(|back_at| back_at.retain(|&at| at > now));
        }
        for &quota in quotas {
            match self.0.iter_mut().find(|ledger| ledger.0 == quota) {
                Some(ledger) => ledger.1 = now,
                None => {
                    let begins_with = |address| {
                        let out = self.0.iter().filter_map(|ledger| ledger.2.get(&address)).map(Vec::len).max().unwrap_or(0);
                        let out = u64::try_from(out).unwrap().min(quota.count().into());
                        (address, (1..=out).map(|number| now + number * interval(quota)).collect())
                    };
                    let ledger = (0..ADDRESSES).map(begins_with).collect();
                    self.0.push((quota, now, ledger));
                }
            }
        }
        self.0.retain(|(quota, then, _)| *then + u64::try_from(quota.window().as_nanos()).unwrap() >= now);
    }

    fn take(&mut self, address: u8, quotas: &[Quota], now: u64) -> bool {
        let is_spent = |(quota, _, ledger): &(Quota, u64, HashMap<u8, Vec<u64>>)| {
            quotas.contains(quota) && ledger[&address].len() >= quota.count() as usize
        };
        if self.0.iter().any(is_spent) {
            return false;
        }
        for (quota, _, ledger) in &mut self.0 {
            let back_at = ledger.get_mut(&address).unwrap();
            back_at.push(back_at.last().copied().unwrap_or(now) + interval(*quota));
            let all = u64::from(quota.count());
            // One that is not in force gives what it has, be it a part of a permission.
            if back_at.last().is_some_and(|&last| last > now + all * interval(*quota)) {
                *back_at = (1..=all).map(|number| now + number * interval(*quota)).collect();
            }
        }
        true
    }
}

const ADDRESSES: u8 = 3;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 30 } else { 1_000 }))]

    #[test]
    fn limits_that_change_and_come_back_admit_what_ledgers_admit(
        steps in prop::collection::vec(
            (
                prop::option::weighted(0.07, prop::sample::subsequence(vec!["2/hour", "5/hour", "3/day", "4/minute", "7/2h", "9/10m"], 1..=3)),
                0..ADDRESSES,
                prop::sample::select(vec![0, 0, 0, 1, 14_999_999_999, 15_000_000_000_u64, 1_800_000_000_000]),
            ),
            1..80,
        )
    ) {
        let limits = LocalLimits::new();
        let mut ledgers = Ledgers::default();
        let mut quotas: Vec<Quota> = vec!["3/hour".parse().unwrap()];
        let mut now = 1;
        for (change, address, step) in steps {
            now += step;
            if let Some(change) = change {
                let mut windows = Vec::new();
                quotas = change.iter().map(|quota| quota.parse::<Quota>().unwrap()).collect();
                quotas.retain(|quota| !windows.contains(&quota.window()) && { windows.push(quota.window()); true });
            }
            ledgers.put_in_force(&quotas, now);
            let admitted = take(&limits, [192, 0, 2, address].into(), &quotas, now);
            prop_assert_eq!(admitted, ledgers.take(address, &quotas, now), "{:?} at {}", quotas, now);
        }
    }
}
