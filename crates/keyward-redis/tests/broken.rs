//! Counters that somebody else has written to: they begin anew as spent, and nobody else notices.

mod common;

use std::time::Duration;

use common::{gives, patient, quota, take, take_all, until};
use keyward::limit::{Bucket, Whose};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{AwayMode, RedisLimits};

async fn deny(server: &Redis) -> RedisLimits {
    patient(RedisLimits::builder(server.url())).mode(AwayMode::Deny).connect().await.unwrap()
}

fn counter(server: &Redis) -> String {
    server.ask(&["KEYS", "*:owner:*"]).unwrap()
}

/// What can be written into the counter `KEY` of `3/hour`, of which one is taken.
const DAMAGE: &[&[&str]] = &[
    &["HSET", "KEY", "3/3600000000000", "nonsense"],
    &["HSET", "KEY", "3/3600000000000", ""],
    &["HSET", "KEY", "3/3600000000000", "0 0 0 0"],
    &["HSET", "KEY", "3/3600000000000", "1 1000 0 1"],
    &["HSET", "KEY", "3/3600000000000", "-1200000000000 1000 0 1"],
    &["HSET", "KEY", "3/3600000000000", "1200000000000 1000 99999999999999999999 1800000000000000"],
    &["HSET", "KEY", "3/3600000000000", "1200000000000 1000 0 99999999999999999999"],
    &["HSET", "KEY", "3/3600000000000", "1200000000000 1000 0 9000000000000000"],
    &["HSET", "KEY", "3/3600000000000", "1200000000000 1000 9000000000000000 9000000000000000"],
    &["HSET", "KEY", "quotas", "nonsense"],
    &["HSET", "KEY", "quotas", ""],
    &["HSET", "KEY", "quotas", "1/1"],
    &["HSET", "KEY", "history", "nonsense"],
    &["HSET", "KEY", "history", "99999999999999999999 1 1"],
    &["HSET", "KEY", "7/1", "a b c", "history", "0 0 0"],
    &["HSET", "KEY", "7/1", "1 1000 0 1 5", "history", "0 0 0"],
    &["HDEL", "KEY", "3/3600000000000"],
    &["HDEL", "KEY", "quotas"],
    &["SET", "KEY", "a text"],
    &["SADD", "KEY", "a set"],
];

/// Takes one permission, and breaks the counter. Tells its name.
async fn break_counter(server: &Redis, limits: &RedisLimits, damage: &[&str]) -> String {
    server.flush().unwrap();
    assert!(gives(limits, "broken", "3/hour").await);
    let key = counter(server);
    if damage[0] == "SADD" {
        server.ask(&["DEL", &key]).unwrap();
    }
    server.ask(&damage.iter().map(|word| if *word == "KEY" { &*key } else { word }).collect::<Vec<_>>()).unwrap();
    key
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_that_cannot_be_read_is_spent_and_nobody_else_is() {
    let server = Redis::start().unwrap();
    let limits = deny(&server).await;
    for damage in DAMAGE {
        let key = break_counter(&server, &limits, damage).await;
        // A look tells the same and mends nothing.
        let (broken, quotas) = (Whose::Owner("broken"), [quota("3/hour")]);
        for peek in [true, true, false, false] {
            let refused = take_all(&limits, &[Bucket { whose: broken, quotas: &quotas }], 1, peek).await.unwrap();
            let wait = refused.refused_for.unwrap_or_else(|| panic!("{damage:?} lifted the limit")).as_secs();
            // The next permission, as after a burst.
            assert!((1_190..=1_200).contains(&wait), "{damage:?}: {wait} s");
        }
        // Together with others: none of theirs is taken.
        let buckets = [Bucket { whose: broken, quotas: &quotas }, Bucket { whose: Whose::Owner("healthy"), quotas: &quotas }];
        assert!(take_all(&limits, &buckets, 1, false).await.unwrap().refused_for.is_some());
        for left in [2, 1, 0] {
            let charge = take(&limits, Whose::Owner("healthy"), &quotas, 1).await.unwrap();
            assert_eq!(charge.standings[0].remaining, left, "{damage:?}");
        }
        let life: u64 = server.ask(&["PTTL", &key]).unwrap().parse().unwrap();
        assert!((3_590_000..=3_601_000).contains(&life), "{damage:?}: {life}");
        assert_eq!(server.ask(&["TYPE", &key]).unwrap(), "hash");
    }
    let statistics = limits.statistics();
    assert_eq!((statistics.failed, statistics.answered_away, statistics.switches), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_heals_within_its_window() {
    let server = Redis::start().unwrap();
    let limits = deny(&server).await;
    assert!(gives(&limits, "broken", "2/2s").await);
    server.ask(&["SET", &counter(&server), "a text"]).unwrap();
    assert!(!gives(&limits, "broken", "2/2s").await);
    let healed = until("healed", async || gives(&limits, "broken", "2/2s").await).await;
    assert!(healed < Duration::from_millis(1_900), "{healed:?}");
}

/// A quota that has changed looks at the whole hash, and is no way to a full one either.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_quota_of_a_broken_counter_is_spent() {
    let server = Redis::start().unwrap();
    let limits = deny(&server).await;
    // Without the list of quotas in force it is the counter of none, as if somebody had removed all of it.
    for damage in DAMAGE.iter().filter(|damage| **damage != ["HDEL", "KEY", "quotas"]) {
        break_counter(&server, &limits, damage).await;
        assert!(!gives(&limits, "broken", "2/day").await, "{damage:?}");
    }
    assert_eq!(limits.statistics().switches, 0);
}

/// What a connection is tried with heals by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_for_trying_that_was_broken_keeps_nobody_away() {
    let server = Redis::start().unwrap();
    let builder = patient(RedisLimits::builder(server.url())).mode(AwayMode::Deny);
    let limits = builder.retry_after(Duration::from_millis(20), Duration::from_millis(100)).connect().await.unwrap();
    let key = server.ask(&["KEYS", "*:identity:*"]).unwrap();
    let life: i64 = server.ask(&["PTTL", &key]).unwrap().parse().unwrap();
    assert!((1..=2_000).contains(&life), "{life}");
    server.ask(&["SET", &key, "a text"]).unwrap();
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    until("back", async || limits.statistics().switches == 2).await;
    assert!(gives(&limits, "somebody", "1/hour").await);
}
