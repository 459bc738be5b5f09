//! The server is killed, stopped, slow, restarted, emptied (T21, T22): the mode holds, nobody waits long, and it comes back.

mod common;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{gives, name, quota, take, take_all, until};
use keyward::limit::{Bucket, Limits, Whose};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{AwayMode, OpenErrorKind, RedisBuilder, RedisLimits, Switch};

const MODES: [AwayMode; 3] = [AwayMode::Local, AwayMode::Deny, AwayMode::Open];

/// With waits that a test can wait for. 20 ms are what is promised; a machine on which all tests run at once may need more for
/// an answer that is there, so whoever asks about the server and not about time has more patience.
fn builder(server: &Redis, mode: AwayMode) -> RedisBuilder {
    RedisLimits::builder(server.url())
        .mode(mode)
        .timeout(Duration::from_millis(200))
        .retry_after(Duration::from_millis(20), Duration::from_millis(100))
}

/// What one take comes to, for an owner whom nobody else counts.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Admitted, with so many left.
    Left(u32),
    Untold,
    Fault,
}

async fn outcome(limits: &RedisLimits) -> Outcome {
    let owner = name();
    match take(limits, Whose::Owner(&owner), &[quota("100/hour")], 1).await {
        Ok(charge) => {
            assert_eq!(charge.refused_for, None);
            charge.standings.first().map_or(Outcome::Untold, |standing| Outcome::Left(standing.remaining))
        }
        Err(_) => Outcome::Fault,
    }
}

/// What the mode promises, on one of four nodes.
fn promised(mode: AwayMode) -> Outcome {
    match mode {
        AwayMode::Local => Outcome::Left(24),
        AwayMode::Deny => Outcome::Fault,
        AwayMode::Open => Outcome::Untold,
    }
}

async fn expect_away_and_back(mode: AwayMode, what: &str, away: impl AsyncFnOnce(&Redis), back: impl AsyncFnOnce(&Redis)) {
    let server = Redis::start().unwrap();
    let switches = Arc::new(Mutex::new(Vec::<Switch>::new()));
    let heard = switches.clone();
    let limits = builder(&server, mode)
        .nodes(4)
        .on_switch(move |switch| heard.lock().unwrap().push(switch.clone()))
        .connect()
        .await
        .unwrap();
    assert_eq!(outcome(&limits).await, Outcome::Left(99), "{what}");
    away(&server).await;
    until("away", async || {
        let outcome = outcome(&limits).await;
        assert!(outcome == promised(mode) || outcome == Outcome::Left(99), "{what}, {mode}: {outcome:?}");
        limits.statistics().away
    })
    .await;
    for _ in 0..50 {
        let begun = Instant::now();
        assert_eq!(outcome(&limits).await, promised(mode), "{what}, {mode}");
        assert!(begun.elapsed() < Duration::from_millis(100), "nobody waits for a server that is known to be away");
    }
    back(&server).await;
    until("back", async || !limits.statistics().away).await;
    assert_eq!(outcome(&limits).await, Outcome::Left(99), "{what}, {mode}");
    let told = switches.lock().unwrap().clone();
    assert_eq!(told.iter().map(|switch| switch.away).collect::<Vec<_>>(), [true, false], "{what}, {mode}: {told:?}");
    assert!(told.iter().all(|switch| switch.mode == mode && !switch.reason.is_empty()));
    let statistics = limits.statistics();
    assert!(statistics.switches == 2 && statistics.answered_away >= 50 && statistics.taken >= 2, "{statistics:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again() {
    for mode in MODES {
        let away = async |server: &Redis| server.kill().unwrap();
        expect_away_and_back(mode, "killed", away, async |server| server.start_again().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_in_the_middle_and_resumed() {
    for mode in MODES {
        let away = async |server: &Redis| server.pause().unwrap();
        expect_away_and_back(mode, "stopped", away, async |server| server.resume().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_fast_again() {
    for mode in MODES {
        let away = async |server: &Redis| {
            server.ask(&["CLIENT", "PAUSE", "2000", "ALL"]).unwrap();
        };
        // It ends by itself: until then the server does not heed whoever would end it.
        expect_away_and_back(mode, "slow", away, async |_| {}).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_cannot_be_written_to_is_away() {
    for mode in MODES {
        let away = async |server: &Redis| {
            server.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
        };
        expect_away_and_back(mode, "a replica", away, async |server| {
            server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_it_is_away() {
    let away = async |server: &Redis| {
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    };
    expect_away_and_back(AwayMode::Local, "full", away, async |server| {
        server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_was_forgotten_is_no_failure() {
    let server = Redis::start().unwrap();
    let limits = builder(&server, AwayMode::Deny).connect().await.unwrap();
    for left in (90..100).rev() {
        server.ask(&["SCRIPT", "FLUSH"]).unwrap();
        let charge = take(&limits, Whose::Owner("a"), &[quota("100/hour")], 1).await.unwrap();
        assert_eq!(charge.standings[0].remaining, left);
    }
    let statistics = limits.statistics();
    assert_eq!((statistics.failed, statistics.timed_out, statistics.switches), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_counts_from_the_start() {
    let server = Redis::start().unwrap();
    let limits = builder(&server, AwayMode::Deny).connect().await.unwrap();
    assert!(gives(&limits, "a", "1/hour").await && !gives(&limits, "a", "1/hour").await);
    server.flush().unwrap();
    assert!(gives(&limits, "a", "1/hour").await && !gives(&limits, "a", "1/hour").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_closed_is_replaced() {
    let server = Redis::start().unwrap();
    let limits = builder(&server, AwayMode::Deny).connect().await.unwrap();
    assert!(gives(&limits, "a", "1/hour").await);
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    until("told", async || limits.statistics().switches == 2).await;
    assert!(!gives(&limits, "a", "1/hour").await, "and nothing is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_keys_are_counted_by_the_guard_alone_while_it_is_away() {
    for mode in MODES {
        let server = Redis::start().unwrap();
        let limits = builder(&server, mode).connect().await.unwrap();
        assert!(limits.counts_failures());
        let bad_key = async || {
            let whose = Whose::Failures { address: "192.0.2.1".parse().unwrap(), flagged: false };
            take(&limits, whose, &[quota("1/hour")], 1).await.map(|charge| charge.refused_for.is_none())
        };
        assert_eq!((bad_key().await, bad_key().await), (Ok(true), Ok(false)), "{mode}");
        server.kill().unwrap();
        until("away", async || limits.statistics().away).await;
        for _ in 0..3 {
            assert_eq!(bad_key().await.ok(), (mode != AwayMode::Deny).then_some(true), "{mode}");
        }
    }
    let server = Redis::start().unwrap();
    assert!(!builder(&server, AwayMode::Local).without_failures().connect().await.unwrap().counts_failures());
}

/// T12: with `local`, four nodes give no more than their shares, which is the limit again where it can be divided.
#[tokio::test(flavor = "multi_thread")]
async fn shares_of_nodes_add_up() {
    let server = Redis::start().unwrap();
    let mut nodes = Vec::new();
    for _ in 0..4 {
        nodes.push(builder(&server, AwayMode::Local).nodes(4).connect().await.unwrap());
    }
    server.kill().unwrap();
    let (mut whole, mut broken) = (0, 0);
    for limits in &nodes {
        until("away", async || limits.statistics().away).await;
        for _ in 0..20 {
            whole += u32::from(gives(limits, "a", "20/hour").await);
            broken += u32::from(gives(limits, "b", "10/hour").await);
        }
    }
    assert_eq!((whole, broken), (20, 12), "10 among 4 are 3 each");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_start_without_a_server() {
    let server = Redis::start().unwrap();
    server.kill().unwrap();
    let refused = builder(&server, AwayMode::Local).connect().await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Away);
    assert!(refused.to_string().contains("whether it runs"), "{refused}");
    let limits = builder(&server, AwayMode::Local).may_start_away().connect().await.unwrap();
    assert!(limits.statistics().away);
    assert!(gives(&limits, "a", "1/hour").await && !gives(&limits, "a", "1/hour").await);
    server.start_again().unwrap();
    until("back", async || !limits.statistics().away).await;
    // What was counted here meanwhile is forgotten.
    assert!(gives(&limits, "a", "1/hour").await && !gives(&limits, "a", "1/hour").await);
}

/// A future that is dropped, or never polled, has taken nothing and breaks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_take_may_be_dropped() {
    let server = Redis::start().unwrap();
    let limits = builder(&server, AwayMode::Deny).connect().await.unwrap();
    let quotas = [quota("2/hour")];
    for _ in 0..10 {
        drop(take_unasked(&limits, &quotas));
    }
    for left in [1, 0] {
        assert_eq!(take(&limits, Whose::Policy, &quotas, 1).await.unwrap().standings[0].remaining, left);
    }
    for wait in 0..300 {
        let bucket = [Bucket { whose: Whose::Owner("b"), quotas: &quotas }];
        let taking = take_all(&limits, &bucket, 1, false);
        let _ = tokio::time::timeout(Duration::from_micros(wait), taking).await;
    }
    assert_eq!(outcome(&limits).await, Outcome::Left(99));
    assert_eq!(limits.statistics().switches, 0);
}

fn take_unasked(limits: &RedisLimits, quotas: &[keyward::limit::Quota]) -> keyward::Answer<keyward::limit::Charge> {
    use keyward::clock::{Clock, SystemClock};
    use keyward::limit::Taking;
    let buckets = [Bucket { whose: Whose::Policy, quotas }];
    limits.take(&Taking { now: SystemClock::new().now(), buckets: &buckets, cost: 1, peek: false })
}

/// Other runtimes than the one that it was opened on, and none at all.
#[test]
fn any_runtime_may_wait() {
    let server = Redis::start().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let limits = home.block_on(builder(&server, AwayMode::Deny).connect()).unwrap();
    for left in [99, 98] {
        let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let charge = other.block_on(take(&limits, Whose::Policy, &[quota("100/hour")], 1)).unwrap();
        assert_eq!(charge.standings[0].remaining, left);
    }
    let charge = pollster::block_on(take(&limits, Whose::Policy, &[quota("100/hour")], 1)).unwrap();
    assert_eq!(charge.standings[0].remaining, 97);
    // A time-out needs no runtime either; and a runtime that has ended is a server that is away.
    server.pause().unwrap();
    assert!(pollster::block_on(take(&limits, Whose::Policy, &[quota("100/hour")], 1)).is_err());
    drop(home);
    for _ in 0..5 {
        assert!(pollster::block_on(take(&limits, Whose::Policy, &[quota("100/hour")], 1)).is_err());
    }
}

/// T21: under load, with the usual settings, all that can happen to a server happens, and nobody waits much longer than the 20 ms.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_nobody_waits_for_long() {
    let server = Arc::new(Redis::start().unwrap());
    let builder = RedisLimits::builder(server.url()).retry_after(Duration::from_millis(20), Duration::from_millis(100));
    let limits = builder.connect().await.unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let workers = (0..16).map(|worker| {
        let (limits, stop) = (limits.clone(), stop.clone());
        tokio::spawn(async move {
            let (owner, mut waits) = (format!("owner {worker}"), Vec::new());
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = Instant::now();
                take(&limits, Whose::Owner(&owner), &[quota("1000000/second")], 1).await.expect("no fault in this mode");
                waits.push(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            waits
        })
    });
    let workers: Vec<_> = workers.collect();
    let troubles = server.clone();
    let trouble = tokio::task::spawn_blocking(move || {
        let pause = || std::thread::sleep(Duration::from_millis(250));
        for _ in 0..2 {
            pause();
            troubles.pause().unwrap();
            pause();
            troubles.resume().unwrap();
            pause();
            troubles.kill().unwrap();
            pause();
            troubles.start_again().unwrap();
            pause();
            troubles.ask(&["SCRIPT", "FLUSH"]).unwrap();
            troubles.flush().unwrap();
            pause();
            troubles.ask(&["CLIENT", "PAUSE", "300", "ALL"]).unwrap();
            pause();
            troubles.stop().unwrap();
            troubles.start_again().unwrap();
        }
    });
    trouble.await.unwrap();
    until("back", async || !limits.statistics().away).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut waits = Vec::new();
    for worker in workers {
        waits.extend(worker.await.unwrap());
    }
    waits.sort();
    let share = |part: f64| waits[(waits.len() as f64 * part) as usize];
    let (median, most) = (share(0.5), share(0.99));
    let statistics = limits.statistics();
    eprintln!(
        "{} takes: half within {median:?}, 99 of 100 within {most:?}, all within {:?}; {statistics:?}",
        waits.len(),
        waits.last().unwrap()
    );
    assert!(most < Duration::from_millis(250), "{most:?}");
    assert!(statistics.switches >= 6 && statistics.taken > 0 && statistics.answered_away > 0, "{statistics:?}");
}
