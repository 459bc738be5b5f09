//! Floods of addresses: the memory for counting them is bounded, and nobody who is blocked comes free.
//!
//! Ten million of each kind in a release build (`cargo test --release -p keyward --test floods`), fewer in a debug build.

#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderValue, Request};
use keyward::audit::{AuditEvent, AuditSink};
use keyward::import::keys_file;
use keyward::{Answer, Decision, Guard, Keys, Kind, MemoryStore, Peer, Policy};

const MANY: u32 = if cfg!(debug_assertions) { 20_000 } else { 10_000_000 };
const MOST_GROWTH: u64 = 64 * 1024 * 1024;

struct Silent;

impl AuditSink for Silent {
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        Answer::ready(())
    }
}

fn ask(guard: &Guard, peer: impl Into<IpAddr>, key: &'static str) -> Option<Kind> {
    let mut request = Request::get("/").extension(Peer(peer.into())).body(()).unwrap();
    request.headers_mut().insert("x-api-key", HeaderValue::from_static(key));
    match guard.try_decide(&request).expect("all in memory") {
        Decision::Allowed(_) => None,
        Decision::Denied(denial) => Some(denial.kind()),
    }
}

/// What the process has in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// One after the other: they share what the process has in memory.
#[test]
fn ten_million_addresses_take_little_memory_and_free_nobody() {
    for (limits, key, refused) in [
        ("failures = '3/day'", "wrong", Kind::FailuresLimited),
        ("per_address = ['3/day']", "good-key", Kind::Limited),
        ("per_address = ['near=3/day', '2/hour']\nfailures = '3/day'", "wrong", Kind::FailuresLimited),
    ] {
        let store = MemoryStore::new();
        let row = keys_file(r#"{"key":"good-key"}"#).next().unwrap().unwrap();
        pollster::block_on(Keys::new(store.clone()).import(row)).unwrap();
        let policy = Policy::from_toml("policy.toml", &format!("[limits]\n{limits}")).unwrap();
        let guard = Guard::builder(policy).store(store).audit(Silent).build().unwrap();
        let victim = [192, 0, 2, 1];
        for _ in 0..3 {
            assert_ne!(ask(&guard, victim, key), Some(refused), "{limits}");
        }
        assert_eq!(ask(&guard, victim, key), Some(refused), "{limits}");
        let before = resident();
        for number in 0..MANY {
            // Each address is new; every third is spent itself, so that cells cannot simply be given up.
            let peer = Ipv4Addr::from(0x0a00_0000 + number);
            for _ in 0..if number % 3 == 0 { 4 } else { 1 } {
                ask(&guard, peer, key);
            }
            if number % 10_000 == 0 {
                assert_eq!(ask(&guard, victim, key), Some(refused), "{limits}, after {number}");
            }
        }
        let growth = resident().saturating_sub(before);
        assert!(growth <= MOST_GROWTH, "{limits}: {growth} bytes more");
        assert_eq!(ask(&guard, victim, key), Some(refused), "{limits}");

        let before = resident();
        let of_the_network = |host: u32| Ipv6Addr::from(0x2001_0db8_0000_0007_u128 << 64 | u128::from(host) << 16);
        let passed = (0..MANY).filter(|&host| ask(&guard, of_the_network(host), key) != Some(refused)).count();
        assert!(passed <= 3, "{limits}: {passed} of one network");
        assert!(resident().saturating_sub(before) <= MOST_GROWTH, "{limits}");
    }
}
