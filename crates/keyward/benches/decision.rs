//! One full decision in memory against the bare sum of its parts, in the same run, with its allocations counted.
//!
//! The machine's speed changes from one second to the next, so both sides are measured in turns of a few milliseconds and the
//! fastest turn of each counts. Read the ratio; the nanoseconds are this machine's, today.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use http::Request;
use keyward::audit::{AuditSink, LineFormat, Lines, Ring};
use keyward::clock::{Clock, SystemClock};
use keyward::import::keys_file;
use keyward::key::KeyDigest;
use keyward::{Decision, Guard, Keys, MemoryStore, Peer, Policy};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const POLICY: &str = "[limits]\nper_key = [\"1000000000/second\"]\nfailures = \"60/minute\"\n";

fn main() {
    let sizes = [1_000, 100_000, 1_000_000];
    println!(
        "{:>9} {:>6} | {:>10} {:>10} {:>6} | {:>11} {:>6} | allocations",
        "keys", "id", "decision", "parts", "ratio", "with clocks", "ratio"
    );
    for keys in sizes {
        for own_id in [true, false] {
            measure(keys, own_id);
        }
    }
}

fn measure(keys: usize, own_id: bool) {
    let all: Vec<String> = (0..keys).map(|number| format!("bench-{number:026}-abcdefghij")).collect();
    let store = MemoryStore::new();
    let importer = Keys::new(store.clone());
    for key in &all {
        let row = keys_file(&format!("{{\"key\":\"{key}\",\"name\":\"bench\"}}")).next().expect("a row").expect("a good row");
        finish(importer.import(row)).expect("imported");
    }
    let (ring, mut reader) = Ring::new(4_096);
    let policy = Policy::from_toml("bench.toml", POLICY).expect("a good policy");
    let guard = Guard::builder(policy).store(store).audit(Quiet(ring)).build().expect("a guard");
    let hot: Vec<Request<()>> = all.iter().step_by(all.len() / 1_000).map(|key| request(key, own_id)).collect();

    let parts = Parts::new(&all);
    let drained = Lines::new(std::io::sink(), LineFormat::Json);
    let (mut best, mut best_parts, mut best_clocks) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..200 {
        best = best.min(turn(&hot, |request| {
            let decision = guard.try_decide(request).expect("all in memory");
            assert!(matches!(decision, Decision::Allowed(_)));
        }));
        reader.drain(&drained);
        best_parts = best_parts.min(turn(&hot, |request| parts.sum(request)));
        parts.ring.pop_all();
        best_clocks = best_clocks.min(turn(&hot, |request| {
            black_box(parts.clock.now());
            if !own_id {
                black_box(rand::random::<u128>());
            }
            black_box(rand::random::<u128>());
            parts.sum(request);
        }));
        parts.ring.pop_all();
    }
    let counted = allocation_counter::measure(|| {
        for request in &hot {
            black_box(guard.try_decide(request));
        }
    });
    println!(
        "{keys:>9} {:>6} | {best:>7.1} ns {best_parts:>7.1} ns {:>6.2} | {best_clocks:>8.1} ns {:>6.2} | {} in {} decisions",
        if own_id { "sent" } else { "made" },
        best / best_parts,
        best / best_clocks,
        counted.count_total,
        hot.len(),
    );
}

fn turn(requests: &[Request<()>], mut each: impl FnMut(&Request<()>)) -> f64 {
    let started = Instant::now();
    for request in requests {
        each(black_box(request));
    }
    started.elapsed().as_nanos() as f64 / requests.len() as f64
}

fn request(key: &str, own_id: bool) -> Request<()> {
    let mut builder = Request::get("/reports/2026?page=2")
        .header("host", "api.example.com")
        .header("user-agent", "bench/1.0")
        .header("accept", "application/json")
        .header("authorization", format!("Bearer {key}"))
        .extension(Peer([192, 0, 2, 7].into()));
    if own_id {
        builder = builder.header("x-request-id", "3fa85f64-5717-4562-b3fc-2c963f66afa6");
    }
    builder.body(()).expect("a request")
}

/// The ring alone: no second reading of the clock for a latency that nobody asked for.
struct Quiet(Ring);

impl AuditSink for Quiet {
    fn wants_latency(&self) -> bool {
        false
    }

    fn record(&self, event: &keyward::audit::AuditEvent<'_>) -> keyward::Answer<()> {
        self.0.record(event)
    }
}

/// The parts of a decision, each done in the plainest way.
struct Parts {
    records: HashMap<[u64; 2], Arc<Stored>, ahash::RandomState>,
    failures: Vec<(u64, u64)>,
    ring: Pushed,
    clock: SystemClock,
}

struct Stored {
    digest: [u64; 4],
    cell: AtomicU64,
}

struct Pushed(ArrayQueue<[u64; 4]>);

impl Pushed {
    fn pop_all(&self) {
        while self.0.pop().is_some() {}
    }
}

impl Parts {
    fn new(keys: &[String]) -> Self {
        let stored = |key: &String| {
            let digest = words(KeyDigest::sha256(key.as_bytes()).to_bytes());
            ([digest[0], digest[1]], Arc::new(Stored { digest, cell: AtomicU64::new(0) }))
        };
        Self {
            records: keys.iter().map(stored).collect(),
            failures: vec![(0, 0); 1 << 16],
            ring: Pushed(ArrayQueue::new(4_096)),
            clock: SystemClock::new(),
        }
    }

    fn sum(&self, request: &Request<()>) {
        let headers = request.headers();
        let bearer = headers.get(http::header::AUTHORIZATION).expect("sent").as_bytes();
        black_box(headers.get("x-api-key"));
        black_box(headers.get("x-request-id"));
        let digest = words(Sha256::digest(&bearer[7..]).into());
        let record = self.records.get(&[digest[0], digest[1]]).expect("stored").clone();
        let same =
            record.digest.iter().zip(&digest).fold(subtle::Choice::from(1), |same, (stored, given)| same & stored.ct_eq(given));
        assert!(bool::from(same));
        let now = 1_000_000;
        let step = |arrival: u64| Some(arrival.max(now) + 1).filter(|next| next - now <= 1_000_000_000);
        black_box(record.cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).is_ok());
        black_box(self.failures[digest[2] as usize & 0xffff]);
        let _ = self.ring.0.push(digest);
    }
}

fn words(bytes: [u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
    }
    words
}

fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => assert!(Instant::now() < deadline, "the memory store never waits"),
        }
    }
}
