//! Never one too many, whoever asks (T11, T12).

#![allow(clippy::print_stdout, reason = "a process tells another what it was given")]

mod common;

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{name, patient, quota, take};
use keyward::limit::Whose;
use keyward_behaviour::services::redis::Redis;
use keyward_redis::RedisLimits;

/// A permission of such a quota comes back too late for the test.
const QUOTA: &str = "10000/366d";

const TAKES: u32 = if cfg!(debug_assertions) { 30_000 } else { 1_000_000 };

/// How many of so many takes are given, by 64 tasks.
async fn storm(limits: &RedisLimits, owner: &str, takes: u32) -> u32 {
    let given = Arc::new(AtomicU32::new(0));
    let tasks = (0..64).map(|task| {
        let (limits, owner, given) = (limits.clone(), owner.to_owned(), given.clone());
        tokio::spawn(async move {
            for _ in (task..takes).step_by(64) {
                let charge = take(&limits, Whose::Owner(&owner), &[quota(QUOTA)], 1).await.unwrap();
                given.fetch_add(u32::from(charge.refused_for.is_none()), Ordering::Relaxed);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    given.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_get_exactly_what_there_is() {
    let server = Redis::start().unwrap();
    let limits = patient(RedisLimits::builder(server.url())).connect().await.unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(storm(&limits, "one", TAKES).await, 10_000);
    let statistics = limits.statistics();
    assert_eq!((statistics.taken, statistics.answered_away, statistics.switches), (TAKES.into(), 0, 0));
    eprintln!("{TAKES} takes by 64 tasks on one key in {:?}: 10000 given", begun.elapsed());
}

const URL: &str = "KEYWARD_TEST_REDIS";
const OWNER: &str = "KEYWARD_TEST_OWNER";

#[tokio::test(flavor = "multi_thread")]
async fn many_processes_get_exactly_what_there_is() {
    // One of the four, started below.
    if let (Ok(url), Ok(owner)) = (std::env::var(URL), std::env::var(OWNER)) {
        let limits = patient(RedisLimits::builder(url)).connect().await.unwrap();
        println!("\ngiven={}", storm(&limits, &owner, TAKES / 4).await);
        return;
    }
    let server = Redis::start().unwrap();
    let owner = name();
    let process = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "many_processes_get_exactly_what_there_is", "--nocapture"])
            .env(URL, server.url())
            .env(OWNER, &owner)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..4).map(|_| process()).collect();
    let given = processes.into_iter().map(|process| {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let given: u32 = text.lines().find_map(|line| line.strip_prefix("given=")).unwrap().parse().unwrap();
        given
    });
    let given: Vec<u32> = given.collect();
    eprintln!("four processes were given {given:?}");
    assert_eq!(given.iter().sum::<u32>(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_quota_gives_exactly_its_count() {
    let server = Redis::start().unwrap();
    let limits = patient(RedisLimits::builder(server.url())).connect().await.unwrap();
    for (of, cost, times) in [
        ("1/366d", 1, 1),
        ("7/366d", 1, 7),
        ("7/105d", 2, 3),
        ("999999937/366d", 333_333_312, 3),
        ("1000000000/366d", 250_000_000, 4),
        ("1000000000/104d", 999_999_999, 1),
        ("5/day", 7, 1),
    ] {
        let quotas = [quota(of)];
        let mut given = 0;
        while take(&limits, Whose::Owner(of), &quotas, cost).await.unwrap().refused_for.is_none() {
            given += 1;
        }
        assert_eq!(given, times, "{of}, {cost} at a time");
    }
}
