//! What a store with very many keys costs: to fill, to look up in, to list, and to keep in memory.

#![allow(clippy::print_stdout, reason = "its table is what it is for")]

use std::{
    error::Error,
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use http::Request;
use keyward::{
    Cached, Decision, Guard, Keys, MemoryStore, NewKey, Policy,
    import::{ImportedKey, from_json_lines},
    store::{Filter, RecordStore, WhereRefused},
};
use keyward_sql::{PostgresStore, SqliteStore};

/// Fills a store and measures what is asked of it as it grows.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  store-scale --store memory: --keys 1000000
  store-scale --store sqlite:/tmp/scale.db --keys 10000000
  store-scale --store postgres://keyward@localhost/scale --keys 10000000

The store has to be new. Measured each time that it has ten times as many keys.")]
struct Arguments {
    /// `memory:`, `sqlite:PATH` or `postgres://…`.
    #[arg(long)]
    store: String,
    /// How many keys in the end.
    #[arg(long, default_value_t = 1_000_000)]
    keys: usize,
}

const AT_ONCE: usize = 100_000;
const LOOKUPS: usize = 20_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { store: url, keys: most } = Arguments::parse();
    let store: Arc<dyn RecordStore> = match url.split_once(':') {
        Some(("memory", _)) => Arc::new(MemoryStore::new()),
        // Without records in front: each lookup is a trip.
        Some(("sqlite", path)) => Arc::new(SqliteStore::builder(path).max_staleness(Duration::ZERO).open().await?),
        Some(("postgres", _)) => Arc::new(PostgresStore::builder(&url).max_staleness(Duration::ZERO).connect().await?),
        _ => return Err("--store is memory:, sqlite:PATH or postgres://…".into()),
    };
    let keys = Keys::new(store.clone());
    let guard = Guard::builder(Policy::builder().build()?).store(store.clone()).audit(Silent).build()?;
    println!(
        "{:>10} {:>12} {:>12} | {:>11} {:>11} {:>11} | {:>11} {:>11} {:>11} {:>11}",
        "keys",
        "keys/s",
        "bytes a key",
        "lookup p50",
        "lookup p99",
        "unknown p50",
        "first page",
        "mid page",
        "by owner",
        "create"
    );
    let (resident, mut filled, mut next) = (resident_bytes(), 0, 1_000.min(most));
    while filled < most {
        let started = Instant::now();
        let from = filled;
        while filled < next {
            let upto = (filled + AT_ONCE).min(next);
            let batch = (filled..upto).map(imported).collect();
            let done = keys.import_all(batch, WhereRefused::AddNone, None).await?;
            if let Some((place, refused)) = done.refused.first() {
                return Err(format!("key {} was refused: {refused}", filled + place).into());
            }
            filled = upto;
            if std::io::stderr().is_terminal() {
                eprint!("\r{filled} keys ");
                std::io::stderr().flush()?;
            }
        }
        let rate = (filled - from) as f64 / started.elapsed().as_secs_f64();
        let a_key = (resident_bytes() as f64 - resident as f64) / filled as f64;
        let step = |number: usize| number.wrapping_mul(7_919_777) % filled;
        let mut known = Vec::new();
        for number in 0..LOOKUPS.min(filled * 10) {
            let request = request(&key(step(number)))?;
            let started = Instant::now();
            let decision = guard.decide(&request).await;
            known.push(started.elapsed());
            if !matches!(decision, Decision::Allowed(_)) {
                return Err(format!("key {} was not let in", step(number)).into());
            }
        }
        let mut unknown = Vec::new();
        for number in 0..LOOKUPS / 10 {
            let request = request(&format!("nobody-{number:026}"))?;
            let started = Instant::now();
            let decision = guard.decide(&request).await;
            unknown.push(started.elapsed());
            assert!(matches!(decision, Decision::Denied(_)));
        }
        let all = Filter::default();
        let of_owner = Filter { owner: Some(owner(step(5)).into()), ..Filter::default() };
        let middle = keys.list(&all, None, 1).await?.first().map(|record| record.id);
        let first_page = timed(async || keys.list(&all, None, 100).await.map(drop)).await?;
        let middle_page = timed(async || keys.list(&all, middle, 100).await.map(drop)).await?;
        let owner_page = timed(async || keys.list(&of_owner, None, 100).await.map(drop)).await?;
        let create = timed(async || keys.create(NewKey::named("one more")).await.map(drop)).await?;
        println!(
            "{filled:>10} {rate:>12.0} {a_key:>12.0} | {:>11} {:>11} {:>11} | {:>11} {:>11} {:>11} {:>11}",
            told(percentile(&mut known, 50)),
            told(percentile(&mut known, 99)),
            told(percentile(&mut unknown, 50)),
            told(first_page),
            told(middle_page),
            told(owner_page),
            told(create)
        );
        next = (next * 10).min(most);
    }
    kept_in_front(store, filled).await
}

/// What a record that is kept in front of a store takes.
async fn kept_in_front(store: Arc<dyn RecordStore>, filled: usize) -> Result<(), Box<dyn Error>> {
    let many = filled.min(100_000);
    let before = resident_bytes();
    let cached = Cached::builder().capacity(many).max_staleness(Duration::from_secs(3_600)).over(store);
    let guard = Guard::builder(Policy::builder().build()?).store(cached.clone()).audit(Silent).build()?;
    for number in 0..many {
        let _ = guard.decide(&request(&key(number))?).await;
    }
    let a_record = (resident_bytes() as f64 - before as f64) / many as f64;
    let mut hot = Vec::new();
    for number in 0..LOOKUPS {
        let request = request(&key(number % many))?;
        let started = Instant::now();
        // None where the store has told of a change meanwhile, and the record is fetched again.
        if guard.try_decide(&request).is_some() {
            hot.push(started.elapsed());
        }
    }
    println!("kept in front: {a_record:.0} bytes a record ({many} of them), a decision takes {}", told(percentile(&mut hot, 50)));
    Ok(())
}

/// Decisions are measured, and not what is written about them.
struct Silent;

impl keyward::audit::AuditSink for Silent {
    fn record(&self, _: &keyward::audit::AuditEvent<'_>) -> keyward::Answer<()> {
        keyward::Answer::ready(())
    }
}

fn key(number: usize) -> String {
    format!("scale-{number:026}-abcdefghij")
}

/// A hundred keys each.
fn owner(number: usize) -> String {
    format!("owner-{}", number / 100)
}

fn imported(number: usize) -> ImportedKey {
    let row = format!(
        r#"{{"key":"{}","entropy_bits":128,"name":"key number {number}","owner":"{}","scopes":["reports:read"]}}"#,
        key(number),
        owner(number)
    );
    from_json_lines(&row).next().expect("a row").expect("a good row")
}

fn request(key: &str) -> Result<Request<()>, http::Error> {
    Request::get("/").header("x-api-key", key).body(())
}

async fn timed<E>(work: impl AsyncFn() -> Result<(), E>) -> Result<Duration, E> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let started = Instant::now();
        work().await?;
        times.push(started.elapsed());
    }
    Ok(percentile(&mut times, 50))
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default()
}

fn told(time: Duration) -> String {
    format!("{:.1} µs", time.as_nanos() as f64 / 1_000.0)
}

/// What the kernel says that this process occupies; 0 where it does not say.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1_024
}
