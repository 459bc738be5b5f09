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
const FRAMEWORKS: [&str; 3] = ["axum", "actix-web", "warp"];
const KINDS: [&str; 4] = ["bare", "no-op", "HashSet", "keyward"];
const CONNECTIONS: usize = 32;
const TURNS: usize = 7;
const A_TURN: Duration = Duration::from_millis(700);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", framework, kind] => serve(framework, kind),
        [] => FRAMEWORKS.into_iter().for_each(compare),
        frameworks => frameworks.iter().for_each(|framework| compare(framework)),
    }
}

/// A server that runs in a process of its own.
struct Server {
    process: Child,
    address: SocketAddr,
    /// The kernel's account of the thread that answers requests.
    account: String,
}

fn compare(framework: &str) {
    let mut servers: Vec<Server> = KINDS.iter().map(|kind| start(framework, kind)).collect();
    let mut best = [f64::MAX; KINDS.len()];
    for _ in 0..TURNS {
        for (index, server) in servers.iter().enumerate() {
            best[index] = best[index].min(turn(server));
        }
    }
    println!("{framework}, {CONNECTIONS} keep-alive connections, one server thread, the cheapest of {TURNS} turns");
    for (kind, cost) in KINDS.iter().zip(best) {
        println!("{kind:>16}: {cost:6.2} µs of CPU a request, {:+.2} µs, {:.2} of bare", cost - best[0], best[0] / cost);
    }
    for server in &mut servers {
        let _ = server.process.kill();
        let _ = server.process.wait();
    }
}

fn start(framework: &str, kind: &str) -> Server {
    let program = std::env::current_exe().expect("this program");
    let mut process = Command::new(program).args(["serve", framework, kind]).stdout(Stdio::piped()).spawn().expect("a server");
    // In either order: some servers start their threads after they listen.
    let (mut account, mut address) = (None, None);
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    while account.is_none() || address.is_none() {
        let line = lines.next().expect("a line").expect("a line");
        if let Some(thread) = line.strip_prefix("thread ") {
            account = Some(format!("/proc/{thread}/schedstat"));
        } else if let Some(told) = line.strip_prefix("address ") {
            address = Some(told.parse().expect("an address"));
        }
    }
    Server { process, address: address.expect("an address"), account: account.expect("a thread") }
}

/// Tells the parent which thread answers: the one that calls this.
fn this_thread_answers() {
    let thread = std::fs::read_link("/proc/thread-self").expect("this needs Linux");
    println!("thread {}", thread.display());
}

fn tell_address(address: SocketAddr) {
    println!("address {address}");
}

/// Microseconds of the server's CPU time for each request of one turn.
fn turn(server: &Server) -> f64 {
    let request =
        format!("GET /hello HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nAuthorization: Bearer {KEY}\r\n\r\n");
    let connect = |_| TcpStream::connect(server.address).expect("a connection");
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
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
fn cpu_time(server: &Server) -> Duration {
    let account = std::fs::read_to_string(&server.account).expect("this needs Linux");
    Duration::from_nanos(account.split(' ').next().and_then(|ran| ran.parse().ok()).expect("nanoseconds"))
}

fn serve(framework: &str, kind: &str) {
    if kind != "keyward" {
        every_turn(|| ());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let guard = if kind == "keyward" { Some(runtime.block_on(guard())) } else { None };
    let keys: Arc<HashSet<String>> =
        Arc::new((0..1_000).map(|number| format!("other-{number}")).chain([KEY.to_owned()]).collect());
    match framework {
        "axum" => runtime.block_on(serve_axum(kind, guard, keys)),
        "warp" => runtime.block_on(serve_warp(kind, guard, keys)),
        // Its worker is a thread of its own.
        _ => actix_web::rt::System::new().block_on(serve_actix(kind, guard, keys)),
    }
}

async fn serve_axum(kind: &str, guard: Option<Guard>, keys: Arc<HashSet<String>>) {
    let app = Router::new().route("/hello", get(|| async { Json(hello()) }));
    let app = match (kind, guard) {
        (_, Some(guard)) => app.layer(keyward_axum::guard(guard)),
        ("no-op", _) => app.layer(tower::layer::layer_fn(|service| NoOp { service })),
        ("HashSet", _) => app.layer(axum::middleware::from_fn(move |request, next| check(keys.clone(), request, next))),
        _ => app,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    this_thread_answers();
    tell_address(listener.local_addr().expect("an address"));
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("served");
}

async fn serve_actix(kind: &str, guard: Option<Guard>, keys: Arc<HashSet<String>>) {
    use actix_web::{App, HttpResponse, HttpServer, dev::Service as _, web};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // Each branch has a type of its own, as each chain of middleware in actix-web has.
    macro_rules! run {
        ($app:expr) => {
            HttpServer::new(move || {
                this_thread_answers();
                $app.route("/hello", web::get().to(async || web::Json(hello())))
            })
            .workers(1)
            .listen(listener)
            .expect("a listener")
            .run()
        };
    }
    let server = match (kind, guard) {
        (_, Some(guard)) => run!(App::new().wrap(keyward_actix::guard(guard.clone()))),
        ("no-op", _) => run!(App::new().wrap_fn(|request, next| next.call(request))),
        ("HashSet", _) => run!({
            let keys = keys.clone();
            App::new().wrap_fn(move |request, next| {
                let key = request.headers().get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
                let known = key.is_some_and(|key| keys.contains(key));
                let next = known.then(|| next.call(request));
                async move {
                    match next {
                        Some(answer) => answer.await,
                        None => {
                            Err(actix_web::error::InternalError::from_response("", HttpResponse::Unauthorized().finish()).into())
                        }
                    }
                }
            })
        }),
        _ => run!(App::new()),
    };
    tell_address(address);
    server.await.expect("served");
}

async fn serve_warp(kind: &str, guard: Option<Guard>, keys: Arc<HashSet<String>>) {
    use warp::Filter as _;
    let routes = warp::path("hello").and(warp::path::end()).map(|| warp::reply::json(&hello()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    this_thread_answers();
    tell_address(listener.local_addr().expect("an address"));
    match (kind, guard) {
        (_, Some(guard)) => keyward_warp::serve(guard, routes).incoming(listener).run().await,
        ("no-op", _) => warp::serve(warp::any().and(routes)).incoming(listener).run().await,
        ("HashSet", _) => {
            let known = warp::header::<String>("authorization").and_then(move |value: String| {
                let known = value.strip_prefix("Bearer ").is_some_and(|key| keys.contains(key));
                async move { if known { Ok(()) } else { Err(warp::reject::not_found()) } }
            });
            warp::serve(known.untuple_one().and(routes)).incoming(listener).run().await;
        }
        _ => warp::serve(routes).incoming(listener).run().await,
    }
}

fn hello() -> serde_json::Value {
    serde_json::json!({ "hello": "world" })
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
