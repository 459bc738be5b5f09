//! What a guard adds to a server: CPU time a request, against the same server bare, in turns of one run.
//!
//! Each server is a process of its own on one thread, so that its CPU time can be told from the client's. The figure of each
//! is its cheapest turn: other work on the machine only ever adds.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use keyward::audit::{LineFormat, Lines, Ring};
use keyward::import::keys_file;
use keyward::{Guard, Keys, MemoryStore, Policy};

const KEY: &str = "bench-key-0123456789abcdefghijklmnop";
const KINDS: [&str; 4] = ["bare", "no-op layer", "HashSet from_fn", "keyward"];
const CONNECTIONS: usize = 32;
const TURNS: usize = 7;
const A_TURN: Duration = Duration::from_millis(700);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => serve(&arguments[2]),
        _ => compare(),
    }
}

fn compare() {
    let mut servers: Vec<(Child, SocketAddr)> = KINDS.iter().map(|kind| start(kind)).collect();
    let mut best = [f64::MAX; KINDS.len()];
    for _ in 0..TURNS {
        for (index, (server, address)) in servers.iter().enumerate() {
            best[index] = best[index].min(turn(server.id(), *address));
        }
    }
    println!("axum, {CONNECTIONS} keep-alive connections, one server thread, the cheapest of {TURNS} turns");
    for (kind, cost) in KINDS.iter().zip(best) {
        println!("{kind:>16}: {cost:6.2} µs of CPU a request, {:+.2} µs, {:.2} of bare", cost - best[0], best[0] / cost);
    }
    for (server, _) in &mut servers {
        let _ = server.kill();
        let _ = server.wait();
    }
}

fn start(kind: &str) -> (Child, SocketAddr) {
    let program = std::env::current_exe().expect("this program");
    let mut server = Command::new(program).args(["serve", kind]).stdout(Stdio::piped()).spawn().expect("a server");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("its output")).read_line(&mut line).expect("an address");
    (server, line.trim().parse().expect("an address"))
}

/// Microseconds of the server's CPU time for each request of one turn.
fn turn(server: u32, address: SocketAddr) -> f64 {
    let request =
        format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("a connection")).collect();
    let (before, started, mut answered) = (cpu_time(server), Instant::now(), 0_u32);
    let mut buffer = [0; 4096];
    while started.elapsed() < A_TURN {
        for connection in &mut connections {
            connection.write_all(request.as_bytes()).expect("sent");
        }
        for connection in &mut connections {
            let length = connection.read(&mut buffer).expect("an answer");
            assert!(buffer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..length]));
            answered += 1;
        }
    }
    (cpu_time(server) - before).as_secs_f64() * 1e6 / f64::from(answered)
}

/// The request thread's, from the kernel's own account in nanoseconds: clock ticks are too coarse for a turn. The thread that
/// writes audit lines is not counted: what a line costs is its format's business, not the guard's.
fn cpu_time(process: u32) -> Duration {
    let account = std::fs::read_to_string(format!("/proc/{process}/task/{process}/schedstat")).expect("this needs Linux");
    Duration::from_nanos(account.split(' ').next().and_then(|ran| ran.parse().ok()).expect("nanoseconds"))
}

fn serve(kind: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let app = Router::new().route("/hello", get(|| async { Json(serde_json::json!({ "hello": "world" })) }));
        if kind != "keyward" {
            every_turn(|| ());
        }
        let app = match kind {
            "no-op layer" => app.layer(tower::layer::layer_fn(|service| NoOp { service })),
            "HashSet from_fn" => {
                let keys: Arc<HashSet<String>> =
                    Arc::new((0..1_000).map(|number| format!("other-{number}")).chain([KEY.to_owned()]).collect());
                app.layer(axum::middleware::from_fn(move |request, next| check(keys.clone(), request, next)))
            }
            "keyward" => app.layer(keyward_axum::guard(guard().await)),
            _ => app,
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("served");
    });
}

/// The whole decision: priority, digest, quota, failure budget, audit event, request id.
async fn guard() -> Guard {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    for number in 0..1_000 {
        let key = if number == 0 { KEY.to_owned() } else { format!("other-{number}-0123456789abcdefghij") };
        let row = keys_file(&format!("{{\"key\":\"{key}\"}}")).next().expect("a row").expect("a good row");
        keys.import(row).await.expect("imported");
    }
    let (ring, mut reader) = Ring::new(65_536);
    every_turn(move || {
        reader.drain(&Lines::new(std::io::sink(), LineFormat::Json));
    });
    let policy = "[limits]\nper_key = [\"1000000000/second\"]\nfailures = \"60/minute\"\n";
    Guard::builder(Policy::from_toml("bench.toml", policy).expect("a good policy"))
        .store(store)
        .audit(ring)
        .build()
        .expect("a guard")
}

/// A second thread, which every one of the servers has: the kernel's calls are dearer for a process with two.
fn every_turn(mut work: impl FnMut() + Send + 'static) {
    std::thread::spawn(move || {
        loop {
            work();
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

/// As the tutorials have it.
async fn check(keys: Arc<HashSet<String>>, request: Request, next: Next) -> Response {
    let key = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    match key {
        Some(key) if keys.contains(key) => next.run(request).await,
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}

#[derive(Clone)]
struct NoOp<S> {
    service: S,
}

impl<S: tower::Service<Request>> tower::Service<Request> for NoOp<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        self.service.call(request)
    }
}
