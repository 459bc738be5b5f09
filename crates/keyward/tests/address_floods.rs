//! Floods of addresses: nobody's count is lost to them, whatever time passes between them (R3.1, R9.2).

use std::net::{IpAddr, Ipv4Addr};

use keyward::clock::Now;
use keyward::limit::{Bucket, Limits, LocalLimits, Quota, Taking, Whose};
use keyward::{Answer, Timestamp};

const SECOND: u64 = 1_000_000_000;

fn passes(limits: &LocalLimits, address: u32, quota: Quota, steady: u64, cost: u32) -> bool {
    let address = IpAddr::V4(Ipv4Addr::from(address));
    let buckets = [Bucket { whose: Whose::Address(address), quotas: &[quota] }];
    let now = Now { wall: Timestamp::EPOCH, steady };
    match limits.take(&Taking { now, buckets: &buckets, cost, peek: false }) {
        Answer::Ready(Ok(charge)) => charge.refused_for.is_none(),
        other => panic!("counting in memory neither waits nor fails: {other:?}"),
    }
}

/// Two floods with some intervals between them, and others that are counted beside the attacker.
#[test]
fn a_spent_address_is_not_freed_by_a_flood_after_some_intervals() {
    let limits = LocalLimits::new();
    let quota: Quota = "20/minute".parse().unwrap();
    let attackers: Vec<u32> = (0..50).map(|number| 0xC000_0200 + number).collect();
    let burst = |now| {
        attackers.iter().map(|&attacker| (0..100).take_while(|_| passes(&limits, attacker, quota, now, 1)).count()).max().unwrap()
    };
    let start = 1_000 * SECOND;
    assert_eq!(burst(start), 20);
    for address in 0..1_300_000 {
        passes(&limits, 0x0A00_0000 + address, quota, start + 1_000_000, 20);
    }
    assert_eq!(burst(start + 1_000_000), 0);
    // One interval: every cell has a permission to give.
    for address in 0..400_000 {
        passes(&limits, 0x1400_0000 + address, quota, start + 3 * SECOND + 1_000_000, 20);
    }
    let most = burst(start + 6 * SECOND + 2_000_000);
    assert!(most <= 2, "two intervals give two permissions, and {most} were taken");
}
