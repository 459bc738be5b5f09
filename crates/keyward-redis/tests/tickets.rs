//! A ticket works once, whoever asks, and whatever becomes of the server (R14.1).

#![allow(clippy::print_stdout, reason = "a process tells another what it was given")]

mod common;

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::until;
use keyward::clock::{Clock, SystemClock};
use keyward::key::KeyId;
use keyward::ticket::{LocalUsedTickets, Spent, TicketId, UsedTickets};
use keyward::{Answer, Fault};
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{OpenErrorKind, RedisTickets, RedisTicketsBuilder};

const LIFETIME: Duration = Duration::from_secs(300);

/// Patient: a machine on which all tests run at once may need more than 20 ms for an answer that is there.
fn builder(server: &Redis) -> RedisTicketsBuilder {
    RedisTickets::builder(server.url()).timeout(Duration::from_secs(10))
}

async fn connect(server: &Redis) -> RedisTickets {
    builder(server).connect().await.unwrap()
}

async fn issue(tickets: &RedisTickets) -> Result<TicketId, Fault> {
    tickets.issue(SystemClock::new().now()).wait().await
}

fn key() -> KeyId {
    "a-key".parse().unwrap()
}

async fn spend(tickets: &RedisTickets, id: &TicketId) -> Result<Spent, Fault> {
    tickets.spend(id, &key(), LIFETIME, SystemClock::new().now(), false).wait().await
}

async fn peek(tickets: &RedisTickets, id: &TicketId) -> Result<Spent, Fault> {
    tickets.spend(id, &key(), LIFETIME, SystemClock::new().now(), true).wait().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_use_is_the_only_one() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let (one, other) = (issue(&tickets).await.unwrap(), issue(&tickets).await.unwrap());
    assert_ne!(one, other);
    for _ in 0..3 {
        assert_eq!(peek(&tickets, &one).await, Ok(Spent::First), "to look notes nothing");
    }
    assert_eq!(spend(&tickets, &one).await, Ok(Spent::First));
    for _ in 0..3 {
        assert_eq!(spend(&tickets.clone(), &one).await, Ok(Spent::Before));
        assert_eq!(peek(&tickets, &one).await, Ok(Spent::Before));
    }
    assert_eq!(spend(&tickets, &other).await, Ok(Spent::First));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_leaves_as_much_room_for_others_as_it_takes() {
    let server = Redis::start().unwrap();
    // The one with which the connection was tried out is among them.
    let tickets = builder(&server).most(9).connect().await.unwrap();
    let now = SystemClock::new().now();
    for (number, most) in [(0, 4), (1, 2), (2, 1), (3, 1), (4, 0)] {
        let key: KeyId = format!("key-{number}").parse().unwrap();
        let mut used = 0;
        for _ in 0..9 {
            let id = issue(&tickets).await.unwrap();
            let looked = tickets.spend(&id, &key, LIFETIME, now, true).wait().await;
            let spent = tickets.spend(&id, &key, LIFETIME, now, false).wait().await;
            assert_eq!(looked, spent, "looking tells what would happen");
            match spent {
                Ok(spent) => {
                    assert_eq!(spent, Spent::First);
                    used += 1;
                }
                Err(fault) => assert!(fault.to_string().starts_with(&format!("the key {key} has used as many")), "{fault}"),
            }
        }
        assert_eq!(used, most, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_64_tasks_is_the_first() {
    let server = Redis::start().unwrap();
    let several = [connect(&server).await, connect(&server).await];
    for _ in 0..50 {
        let id = issue(&several[0]).await.unwrap();
        let tasks = (0..64).map(|task| {
            let tickets = several[task % 2].clone();
            tokio::spawn(async move { spend(&tickets, &id).await.unwrap() })
        });
        let mut spent = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            spent.push(task.await.unwrap());
        }
        assert_eq!(spent.iter().filter(|&&spent| spent == Spent::First).count(), 1);
        assert_eq!(spent.iter().filter(|&&spent| spent == Spent::Before).count(), 63);
    }
}

const URL: &str = "KEYWARD_TEST_REDIS";
const IDS: &str = "KEYWARD_TEST_TICKETS";

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_processes_is_the_first() {
    // One of the three, started below.
    if let (Ok(url), Ok(ids)) = (std::env::var(URL), std::env::var(IDS)) {
        let tickets = RedisTickets::builder(url).timeout(Duration::from_secs(10)).connect().await.unwrap();
        for id in ids.split(' ') {
            let spent = spend(&tickets, &id.parse().unwrap()).await.unwrap();
            assert_ne!(spent, Spent::Forgotten);
            if spent == Spent::First {
                println!("\nfirst={id}");
            }
        }
        return;
    }
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        ids.push(issue(&tickets).await.unwrap().to_string());
    }
    let process = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_of_several_processes_is_the_first", "--nocapture"])
            .env(URL, server.url())
            .env(IDS, ids.join(" "))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let processes: Vec<_> = (0..3).map(|_| process()).collect();
    let mut first = Vec::new();
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        first.extend(text.lines().filter_map(|line| line.strip_prefix("first=")).map(str::to_owned));
    }
    first.sort();
    ids.sort();
    assert_eq!(first, ids, "each was the first use in one of them");
}

/// A used ticket and an unused one, which nobody may use after `lost`; and one that was made later, which is as good as ever.
async fn expect_all_forgotten(server: &Redis, tickets: &RedisTickets, what: &str, lost: impl AsyncFnOnce()) {
    let (used, unused) = (issue(tickets).await.unwrap(), issue(tickets).await.unwrap());
    assert_eq!(spend(tickets, &used).await, Ok(Spent::First), "{what}");
    lost().await;
    until(what, async || issue(tickets).await.is_ok()).await;
    for id in [&used, &unused] {
        for _ in 0..2 {
            assert_eq!(peek(tickets, id).await, Ok(Spent::Forgotten), "{what}");
            assert_eq!(spend(tickets, id).await, Ok(Spent::Forgotten), "{what}");
        }
    }
    let new = issue(tickets).await.unwrap();
    assert_eq!(spend(tickets, &new).await, Ok(Spent::First), "{what}");
    assert_eq!(spend(tickets, &new).await, Ok(Spent::Before), "{what}");
    assert!(server.ask(&["KEYS", "*"]).unwrap().ends_with(":tickets"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_server_has_forgotten_all() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    for command in [&["FLUSHALL"][..], &["DEL", "{keyward}:tickets"], &["PEXPIRE", "{keyward}:tickets", "0"]] {
        let lost = async || drop(server.ask(command).unwrap());
        expect_all_forgotten(&server, &tickets, command[0], lost).await;
    }
}

/// Before anybody has made another ticket.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_generation_all_are_forgotten() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let (used, unused) = (issue(&tickets).await.unwrap(), issue(&tickets).await.unwrap());
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::First));
    server.flush().unwrap();
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::Forgotten));
    assert_eq!(spend(&tickets, &unused).await, Ok(Spent::Forgotten));
    assert_eq!(server.ask(&["DBSIZE"]).unwrap(), "0", "a use begins no generation");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_or_restarted_has_forgotten_all() {
    for (what, settings) in
        [("memory alone", &[][..]), ("a log of all writes", &[("appendonly", "yes"), ("appendfsync", "always")])]
    {
        let server = Redis::start_with(settings).unwrap();
        let tickets = connect(&server).await;
        expect_all_forgotten(&server, &tickets, &format!("killed: {what}"), async || {
            server.kill().unwrap();
            server.start_again().unwrap();
        })
        .await;
        expect_all_forgotten(&server, &tickets, &format!("restarted: {what}"), async || {
            server.stop().unwrap();
            server.start_again().unwrap();
        })
        .await;
    }
}

/// The snapshot has the generation, and not the use.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_from_before_the_use_brings_no_ticket_back() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let (used, unused) = (issue(&tickets).await.unwrap(), issue(&tickets).await.unwrap());
    server.ask(&["SAVE"]).unwrap();
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::First));
    server.kill().unwrap();
    server.start_again().unwrap();
    assert_eq!(server.ask(&["EXISTS", "{keyward}:tickets"]).unwrap(), "1", "it was in the snapshot");
    until("back", async || peek(&tickets, &used).await.is_ok()).await;
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::Forgotten));
    assert_eq!(spend(&tickets, &unused).await, Ok(Spent::Forgotten));
}

/// The replica takes over, and the use never reached it.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_takes_over_brings_no_ticket_back() {
    let (primary, replica) = (Redis::start().unwrap(), Redis::start().unwrap());
    let follow = |server: &Redis, of: &Redis| {
        server.ask(&["REPLICAOF", "127.0.0.1", &of.port().to_string()]).unwrap();
    };
    let follows = async |server: &Redis| {
        until("it follows", async || server.ask(&["INFO", "replication"]).unwrap().contains("master_link_status:up")).await;
    };
    follow(&replica, &primary);
    follows(&replica).await;
    let tickets = connect(&primary).await;
    let (used, unused) = (issue(&tickets).await.unwrap(), issue(&tickets).await.unwrap());
    assert_eq!(primary.ask(&["WAIT", "1", "10000"]).unwrap(), "1", "it has both, and their generation");

    // It cannot be written to: nobody is told that anything is good.
    let elsewhere = builder(&replica).connect().await.unwrap_err();
    assert!(elsewhere.to_string().contains("connect to the primary"), "{elsewhere}");

    replica.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::First));
    let elsewhere = connect(&replica).await;
    for id in [&used, &unused] {
        assert_eq!(spend(&elsewhere, id).await, Ok(Spent::Forgotten));
    }

    // And back again: the first one follows, has only what the other has, and takes over once more.
    let on_replica = issue(&elsewhere).await.unwrap();
    assert_eq!(spend(&elsewhere, &on_replica).await, Ok(Spent::First));
    follow(&primary, &replica);
    follows(&primary).await;
    primary.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    until("it takes over", async || issue(&tickets).await.is_ok()).await;
    for id in [&used, &unused, &on_replica] {
        assert_eq!(spend(&tickets, id).await, Ok(Spent::Forgotten));
    }
}

/// Where memory is short, it does not matter what the server throws away.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_evicted_makes_no_ticket_good_again() {
    for policy in ["allkeys-lru", "allkeys-random", "volatile-ttl", "volatile-lru", "noeviction"] {
        let server = Redis::start_with(&[("maxmemory-policy", policy)]).unwrap();
        let tickets = connect(&server).await;
        let (used, unused) = (issue(&tickets).await.unwrap(), issue(&tickets).await.unwrap());
        assert_eq!(spend(&tickets, &used).await, Ok(Spent::First), "{policy}");
        server.ask(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
        if policy == "noeviction" {
            let full = spend(&tickets, &unused).await.unwrap_err();
            assert!(full.to_string().contains("raise maxmemory"), "{full}");
        } else {
            until("evicted", async || server.ask(&["EXISTS", "{keyward}:tickets"]).unwrap() == "0").await;
        }
        server.ask(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
        let expected = if policy == "noeviction" { (Spent::Before, Spent::First) } else { (Spent::Forgotten, Spent::Forgotten) };
        assert_eq!((spend(&tickets, &used).await.unwrap(), spend(&tickets, &unused).await.unwrap()), expected, "{policy}");
    }
}

/// With the 20 ms that are promised: whatever becomes of the server is a fault, and nobody waits for long.
async fn expect_faults_and_recovery(what: &str, away: impl AsyncFnOnce(&Redis), back: impl AsyncFnOnce(&Redis)) {
    let server = Redis::start().unwrap();
    let tickets = RedisTickets::connect(server.url()).await.unwrap();
    let id = loop {
        // On a machine that is busy even an answer that is there may come late.
        if let Ok(id) = issue(&tickets).await {
            break id;
        }
    };
    away(&server).await;
    // Long enough that the connection is given up.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1_500) {
        for fault in [issue(&tickets).await.map(drop), spend(&tickets, &id).await.map(drop)] {
            let fault = fault.expect_err(what).to_string();
            assert!(fault.contains("while Redis cannot be asked"), "{what}: {fault}");
        }
        let begun = Instant::now();
        assert!(peek(&tickets, &id).await.is_err(), "{what}");
        assert!(begun.elapsed() < Duration::from_millis(250), "{what}: {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    back(&server).await;
    until(what, async || issue(&tickets).await.is_ok()).await;
    assert!(!tickets.is_away(), "{what}");
    // What was asked meanwhile may have been noted, and is never the first use twice.
    let mut firsts = 0;
    for _ in 0..5 {
        firsts += u32::from(spend(&tickets, &id).await == Ok(Spent::First));
    }
    assert!(firsts <= 1, "{what}: {firsts}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_a_fault_and_comes_back_by_itself() {
    let away = async |server: &Redis| {
        server.kill().unwrap();
        // Until it is known that the connection has ended, nobody has an answer either.
    };
    expect_faults_and_recovery("killed", away, async |server| server.start_again().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_a_fault_and_comes_back_by_itself() {
    let away = async |server: &Redis| server.pause().unwrap();
    expect_faults_and_recovery("stopped", away, async |server| server.resume().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_is_a_fault_and_comes_back_by_itself() {
    let away = async |server: &Redis| {
        server.ask(&["CLIENT", "PAUSE", "3000", "ALL"]).unwrap();
    };
    // It ends by itself: until then the server does not heed whoever would end it.
    expect_faults_and_recovery("slow", away, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_became_a_replica_is_a_fault_and_comes_back_by_itself() {
    let away = async |server: &Redis| {
        server.ask(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    };
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let id = issue(&tickets).await.unwrap();
    away(&server).await;
    for fault in [issue(&tickets).await.map(drop), spend(&tickets, &id).await.map(drop)] {
        assert!(fault.unwrap_err().to_string().contains("connect to the primary"));
    }
    server.ask(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::Forgotten), "it may have been given what another one had");
    let new = issue(&tickets).await.unwrap();
    assert_eq!(spend(&tickets, &new).await, Ok(Spent::First));
}

/// Nobody tells that a machine is gone: what is sent to it is never answered, and the connection never ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let server = Redis::start().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, to) = (listener.local_addr().unwrap(), server.port());
    let (lose, lost) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        for number in 1.. {
            let (mut from, _) = listener.accept().await.unwrap();
            let mut lost = lost.clone();
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                    () = async { drop(lost.wait_for(|lost| *lost >= number).await) } => std::future::pending().await,
                }
            });
        }
    });
    let builder = RedisTickets::builder(format!("redis://{address}")).timeout(Duration::from_millis(100));
    let tickets = builder.connect().await.unwrap();
    until("connected", async || issue(&tickets).await.is_ok()).await;
    lose.send(1).unwrap();
    let begun = Instant::now();
    assert!(issue(&tickets).await.is_err());
    until("another connection", async || issue(&tickets).await.is_ok()).await;
    assert!(begun.elapsed() >= Duration::from_secs(1), "not for one late answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_late_now_and_then_keeps_its_connection() {
    let server = Redis::start().unwrap();
    let tickets = RedisTickets::builder(server.url()).timeout(Duration::from_secs(2)).connect().await.unwrap();
    let clients = || server.ask(&["INFO", "stats"]).unwrap();
    let connections = |stats: String| -> u64 {
        stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")?.trim().parse().ok()).unwrap()
    };
    let before = connections(clients());
    for _ in 0..2 {
        server.pause().unwrap();
        assert!(issue(&tickets).await.is_err());
        server.resume().unwrap();
        assert!(issue(&tickets).await.is_ok());
    }
    assert_eq!(connections(clients()), before + 1, "this one that asks");
}

/// A time-out that comes between a use and its answer leaves a used ticket.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_is_a_use() {
    let server = Redis::start().unwrap();
    let patient = connect(&server).await;
    let hasty = RedisTickets::builder(server.url()).timeout(Duration::from_secs(1)).connect().await.unwrap();
    let id = issue(&patient).await.unwrap();
    server.pause().unwrap();
    let late = spend(&hasty, &id).await.unwrap_err();
    assert!(late.to_string().contains("no answer within 1s"), "{late}");
    server.resume().unwrap();
    until("it was carried out", async || peek(&patient, &id).await == Ok(Spent::Before)).await;
    assert_eq!(spend(&hasty, &id).await, Ok(Spent::Before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_script_and_a_closed_connection_lose_nothing() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    for _ in 0..5 {
        server.ask(&["SCRIPT", "FLUSH"]).unwrap();
        let id = issue(&tickets).await.unwrap();
        server.ask(&["SCRIPT", "FLUSH"]).unwrap();
        assert_eq!(spend(&tickets, &id).await, Ok(Spent::First));
        assert_eq!(spend(&tickets, &id).await, Ok(Spent::Before));
    }
    let (used, unused) = (issue(&tickets).await.unwrap(), issue(&tickets).await.unwrap());
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::First));
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    until("back", async || peek(&tickets, &used).await.is_ok()).await;
    assert_eq!(spend(&tickets, &used).await, Ok(Spent::Before));
    assert_eq!(spend(&tickets, &unused).await, Ok(Spent::First));
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_others_are_forgotten() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let local = LocalUsedTickets::new().unwrap();
    let Answer::Ready(Ok(of_local)) = local.issue(SystemClock::new().now()) else { panic!("at once") };
    let of_other_namespace = issue(&builder(&server).namespace("other").connect().await.unwrap()).await.unwrap();
    let mut future = issue(&tickets).await.unwrap().to_bytes();
    future[8..16].copy_from_slice(&u64::MAX.to_be_bytes());
    for id in [
        of_local,
        of_other_namespace,
        TicketId::from_bytes([0; 32]),
        TicketId::from_bytes([255; 32]),
        TicketId::from_bytes(future),
    ] {
        assert_eq!(spend(&tickets, &id).await, Ok(Spent::Forgotten), "{id}");
    }
    let of_ours = issue(&tickets).await.unwrap();
    let Answer::Ready(spent) = local.spend(&of_ours, &key(), LIFETIME, SystemClock::new().now(), false) else {
        panic!("at once")
    };
    assert_eq!(spent, Ok(Spent::Forgotten));
}

/// An answer that is dropped, or never waited for, uses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_waited_for_does_nothing() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let id = issue(&tickets).await.unwrap();
    for _ in 0..10 {
        drop(tickets.spend(&id, &key(), LIFETIME, SystemClock::new().now(), false));
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::First));
    for wait in 0..200 {
        let _ = tokio::time::timeout(Duration::from_micros(wait), spend(&tickets, &id)).await;
    }
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::Before));
}

/// Other runtimes than the one that it was opened on, and none at all.
#[test]
fn any_runtime_may_wait() {
    let server = Redis::start().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tickets = home.block_on(builder(&server).timeout(Duration::from_secs(2)).connect()).unwrap();
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let id = other.block_on(issue(&tickets)).unwrap();
    assert_eq!(pollster::block_on(spend(&tickets, &id)), Ok(Spent::First));
    server.pause().unwrap();
    assert!(pollster::block_on(spend(&tickets, &id)).is_err());
    drop(home);
    for _ in 0..5 {
        assert!(pollster::block_on(spend(&tickets, &id)).is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_may_start_without_a_server() {
    let server = Redis::start().unwrap();
    server.kill().unwrap();
    let refused = builder(&server).connect().await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Away);
    let tickets = builder(&server).may_start_away().connect().await.unwrap();
    assert!(tickets.is_away());
    assert!(issue(&tickets).await.unwrap_err().to_string().contains("whether it runs"));
    server.start_again().unwrap();
    until("back", async || issue(&tickets).await.is_ok()).await;
}

/// Nobody goes on to connect for tickets that are not there any more.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_leaves_no_connection() {
    let server = Redis::start().unwrap();
    let tickets = connect(&server).await;
    let clone = tickets.clone();
    let clients = || server.ask(&["CLIENT", "LIST"]).unwrap().lines().filter(|line| !line.contains("cmd=client")).count();
    drop(tickets);
    issue(&clone).await.unwrap();
    assert_eq!(clients(), 1);
    drop(clone);
    until("gone", async || clients() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_server_tells_nothing_and_vanishes() {
    let server = Redis::start().unwrap();
    let tickets = builder(&server).namespace("service-a").connect().await.unwrap();
    let mut ids = HashSet::new();
    for _ in 0..200 {
        let id = issue(&tickets).await.unwrap();
        assert_eq!(spend(&tickets, &id).await, Ok(Spent::First));
        ids.insert(id);
    }
    assert_eq!(ids.len(), 200);
    assert_eq!(server.ask(&["KEYS", "*"]).unwrap(), "{service-a}:tickets");
    // Each, the one that the connection was tried with, the number of their key, and the generation.
    assert_eq!(server.ask(&["ZCARD", "{service-a}:tickets"]).unwrap(), "203");
    let life: u64 = server.ask(&["PTTL", "{service-a}:tickets"]).unwrap().parse().unwrap();
    assert!((295_000..=301_000).contains(&life), "{life}");
    let size: usize = server.ask(&["MEMORY", "USAGE", "{service-a}:tickets", "SAMPLES", "0"]).unwrap().parse().unwrap();
    eprintln!("{} bytes for a used ticket", size / 203);
    assert!(size / 203 < 200);
}

/// A real node of a cluster refuses a script whose keys are in several slots, or which are not named.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_a_server_like_others() {
    let server = Redis::start_with(&[("cluster-enabled", "yes")]).unwrap();
    server.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).unwrap();
    until("a cluster", async || server.ask(&["CLUSTER", "INFO"]).unwrap().contains("cluster_state:ok")).await;
    let tickets = connect(&server).await;
    let id = issue(&tickets).await.unwrap();
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::First));
    let slot = |key: &str| server.ask(&["CLUSTER", "KEYSLOT", key]).unwrap();
    assert_eq!(slot("{keyward}:tickets"), slot("{keyward}"), "where the namespace is");
}

/// All that the documentation says a user needs.
const RIGHTS: &str =
    "+evalsha +eval +time +info +zrange +zadd +zscore +zcount +zrangebyscore +zrem +zremrangebyscore +unlink +pexpire";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_just_what_is_needed() {
    let user = format!("tickets on >marked-password ~{{keyward}}:tickets {RIGHTS}");
    let server = Redis::start_with(&[("user", &user), ("user", "default off")]).unwrap();
    let open = async |user: &str, password: &str, namespace: &str| {
        let builder = RedisTickets::builder(server.url_as(user, password)).timeout(Duration::from_secs(10)).namespace(namespace);
        builder.may_start_away().connect().await
    };
    let tickets = open("tickets", "marked-password", "keyward").await.unwrap();
    let id = issue(&tickets).await.unwrap();
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::First));
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::Before));
    for (user, password, namespace, says) in [
        ("tickets", "marked-wrong", "keyward", "check the user and the password"),
        ("nobody", "marked-password", "keyward", "check the user and the password"),
        ("tickets", "marked-password", "other", "for tickets the user needs ~"),
    ] {
        let refused = open(user, password, namespace).await.unwrap_err();
        assert_eq!(refused.kind(), OpenErrorKind::Refused, "{refused}");
        for text in [refused.to_string(), format!("{refused:?}")] {
            assert!(text.contains(says) && !text.contains("marked"), "{text}");
        }
    }
}

/// A right that is missing is told at the start, not at the first handshake.
#[tokio::test(flavor = "multi_thread")]
async fn each_right_is_needed_and_missed_at_the_start() {
    for missing in RIGHTS.split(' ') {
        let rights: Vec<&str> = RIGHTS.split(' ').filter(|right| *right != missing).collect();
        let rights = rights.join(" ");
        let user = format!("tickets on >marked-password ~{{keyward}}:tickets {rights}");
        let server = Redis::start_with(&[("user", &user), ("user", "default off")]).unwrap();
        let refused = RedisTickets::connect(server.url_as("tickets", "marked-password")).await.unwrap_err();
        assert_eq!(refused.kind(), OpenErrorKind::Refused, "{missing}: {refused}");
        assert!(refused.to_string().contains(RIGHTS), "{missing}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_told() {
    let server = Redis::start_with(&[("requirepass", "marked-password")]).unwrap();
    let builder = RedisTickets::builder(server.url_as("", "marked-password"));
    let mut seen = format!("{builder:?}");
    let tickets = builder.connect().await.unwrap();
    seen += &format!("{tickets:?}");
    server.kill().unwrap();
    until("away", async || tickets.is_away()).await;
    let fault = issue(&tickets).await.unwrap_err();
    seen += &format!("{fault} {fault:?} {tickets:?}");
    for url in ["redis://:marked/word@127.0.0.1", "redis://:marked#word@127.0.0.1", "http://marked@127.0.0.1"] {
        let refused = RedisTickets::connect(url).await.unwrap_err();
        assert_eq!(refused.kind(), OpenErrorKind::Address);
        seen += &format!("{refused} {refused:?}");
    }
    let refused = RedisTickets::builder(server.url_as("", "marked-password")).namespace("{a}").connect().await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Namespace);
    seen += &refused.to_string();
    assert!(!seen.contains("marked"), "{seen}");
}

#[test]
fn without_a_runtime_it_is_said_so() {
    let refused = pollster::block_on(RedisTickets::connect("redis://127.0.0.1")).unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Runtime);
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn tls_with_an_authority_of_ones_own() {
    let server = Redis::start_with_tls().unwrap();
    let tickets = builder(&server).certificate_authorities(server.authority().unwrap()).connect().await.unwrap();
    let id = issue(&tickets).await.unwrap();
    assert_eq!(spend(&tickets, &id).await, Ok(Spent::First));
    let refused = builder(&server).certificate_authorities(Redis::start_with_tls().unwrap().authority().unwrap()).connect().await;
    assert!(refused.unwrap_err().to_string().contains("ertificate"));
}

/// The server is lost in turn in every way while tickets are used: none is ever used twice, and afterwards all is well.
#[tokio::test(flavor = "multi_thread")]
async fn under_load_and_trouble_no_ticket_is_used_twice() {
    let server = Arc::new(Redis::start().unwrap());
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut workers = Vec::new();
    for _ in 0..2 {
        let tickets = RedisTickets::builder(server.url()).timeout(Duration::from_millis(200)).connect().await.unwrap();
        for _ in 0..8 {
            let (tickets, stop) = (tickets.clone(), stop.clone());
            workers.push(tokio::spawn(async move {
                let (mut used, mut faults) = (0, 0);
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let Ok(id) = issue(&tickets).await else {
                        faults += 1;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        continue;
                    };
                    let mut firsts = 0;
                    for pause in [0, 0, 1, 5, 50] {
                        tokio::time::sleep(Duration::from_millis(pause)).await;
                        match spend(&tickets, &id).await {
                            Ok(spent) => firsts += u32::from(spent == Spent::First),
                            Err(_) => faults += 1,
                        }
                    }
                    assert!(firsts <= 1, "{id} was used {firsts} times");
                    used += firsts;
                }
                (used, faults)
            }));
        }
    }
    let troubled = server.clone();
    let trouble = tokio::task::spawn_blocking(move || {
        let pause = || std::thread::sleep(Duration::from_millis(200));
        for _ in 0..3 {
            pause();
            troubled.flush().unwrap();
            pause();
            troubled.ask(&["SAVE"]).unwrap();
            pause();
            troubled.kill().unwrap();
            troubled.start_again().unwrap();
            pause();
            troubled.pause().unwrap();
            pause();
            troubled.resume().unwrap();
            pause();
            troubled.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
            troubled.ask(&["SCRIPT", "FLUSH"]).unwrap();
            pause();
            troubled.stop().unwrap();
            troubled.start_again().unwrap();
        }
    });
    trouble.await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (mut used, mut faults) = (0, 0);
    for worker in workers {
        let (its_used, its_faults) = worker.await.unwrap();
        used += its_used;
        faults += its_faults;
    }
    eprintln!("{used} tickets used once, {faults} faults");
    assert!(used > 0 && faults > 0);
}
