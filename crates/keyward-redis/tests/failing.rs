//! A server that answers, and does not count: all takes, or some of them.

mod common;

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::proxy::proxy;
use common::{gives, name, quota, take, until};
use keyward::limit::Whose;
use keyward_behaviour::services::redis::Redis;
use keyward_redis::{AwayMode, RedisBuilder, RedisLimits};

fn builder(url: String, mode: AwayMode) -> RedisBuilder {
    RedisLimits::builder(url)
        .mode(mode)
        .timeout(Duration::from_millis(200))
        .retry_after(Duration::from_millis(20), Duration::from_millis(100))
}

/// Who is refused writes nothing, and is answered as if nothing was wrong. Nobody else is.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_is_away_although_some_are_answered() {
    let troubles: [(&[&str], &[&str]); 3] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]),
        (&["CONFIG", "SET", "min-replicas-to-write", "1"], &["CONFIG", "SET", "min-replicas-to-write", "0"]),
    ];
    for (begins, ends) in troubles {
        let server = Redis::start().unwrap();
        // With more patience than the test has takes, so that nothing but the answer's word is enough.
        let limits = builder(server.url(), AwayMode::Open).failures(1_000).connect().await.unwrap();
        assert!(gives(&limits, "spent", "1/hour").await && !gives(&limits, "spent", "1/hour").await);
        server.ask(begins).unwrap();
        assert!(!gives(&limits, "spent", "1/hour").await, "{begins:?}");
        assert!(gives(&limits, &name(), "1/hour").await, "{begins:?}: the mode is open");
        assert!(limits.statistics().away, "{begins:?}");
        // Each try to bring it back writes.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(limits.statistics().away && limits.statistics().switches == 1, "{begins:?}");
        server.ask(ends).unwrap();
        until("back", async || !limits.statistics().away).await;
        assert!(!gives(&limits, "spent", "1/hour").await, "{begins:?}");
    }
}

/// Never three in a row.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_which_every_second_reply_is_late_is_away() {
    let server = Redis::start().unwrap();
    let replies = AtomicU32::new(0);
    let (timeout, late) = (Duration::from_millis(100), Duration::from_millis(150));
    let url = proxy(server.port(), move |reply| {
        // A take's: an array.
        let is_late = reply.starts_with(b"*") && replies.fetch_add(1, Ordering::SeqCst) % 2 == 1;
        if is_late { late } else { Duration::ZERO }
    });
    let limits = builder(url, AwayMode::Deny).timeout(timeout).connect().await.unwrap();
    let mut takes = 0;
    while !limits.statistics().away && limits.statistics().switches == 0 {
        takes += 1;
        assert!(takes <= 25, "{:?}", limits.statistics());
        let _ = take(&limits, Whose::Policy, &[quota("1000/hour")], 1).await;
        // What is late is no one else's reply.
        tokio::time::sleep(late).await;
    }
    let statistics = limits.statistics();
    assert!(statistics.timed_out >= 9 && statistics.taken >= 9, "{statistics:?}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("Redis did not count")).map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything on one thread, since the log is one thread's.
#[tokio::test]
async fn what_is_not_counted_is_told_once_a_second_at_most() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let server = Redis::start().unwrap();
    let replies = AtomicU32::new(0);
    let (timeout, late) = (Duration::from_millis(50), Duration::from_millis(80));
    let url = proxy(server.port(), move |reply| {
        let is_late = reply.starts_with(b"*") && replies.fetch_add(1, Ordering::SeqCst) % 3 == 2;
        if is_late { late } else { Duration::ZERO }
    });
    let limits = builder(url, AwayMode::Open).timeout(timeout).connect().await.unwrap();
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_millis(2_500) {
        take(&limits, Whose::Policy, &[quota("1000/hour")], 1).await.unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    let (statistics, lines) = (limits.statistics(), log.lines());
    assert!(statistics.timed_out >= 5 && statistics.switches == 0, "{statistics:?}");
    assert!((2..=3).contains(&lines.len()), "{lines:?}");
    assert!(lines[1].contains("WARN keyward: ") && lines[1].contains("mode=open reason=\"no answer within 50ms"), "{lines:?}");
    let requests = |line: &String| line.split_once("requests=")?.1.split(' ').next()?.parse::<u64>().ok();
    let told: u64 = lines.iter().filter_map(requests).sum();
    assert!((2..=statistics.answered_away).contains(&told), "{lines:?}");
}
