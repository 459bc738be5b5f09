//! A service on plain hyper, with nothing of Keyward but the core: HTTP/1.1 and HTTP/2.
//!
//! ```text
//! API_KEY=a-key-of-your-own cargo run -p keyward-examples --bin core-hyper
//! curl -H 'X-API-Key: a-key-of-your-own' http://127.0.0.1:3002/whoami
//! ```
//!
//! `adapter.rs` is the whole of the enforcement; `docs/your-own-adapter.md` goes through it.

mod adapter;

use std::convert::Infallible;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use keyward::policy::Source;
use keyward::{Guard, Pass, Policy};
use tokio::net::TcpListener;
use tokio::time::timeout;

use adapter::guarded;

/// The longest life of a connection. Nothing here takes long, so that it cuts only those that no timer of hyper's does: a client
/// that says nothing, or a preface of HTTP/2 and no more.
const LIFE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let policy = Policy::builder()
        .sources([Source::bearer(), Source::header("X-API-Key"), Source::query("api_key")])
        .configured_keys("API_KEY", None, None, &[])
        .open_paths(["/healthz"])
        .failures("20/minute")
        .build()?;
    let guard = Guard::builder(policy).environment(|name| std::env::var_os(name)).build()?;

    let port = std::env::var("PORT").unwrap_or_else(|_| "3002".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            // Clients that are gone already, or no file descriptor left: others come.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let guard = guard.clone();
        let service = service_fn(move |request| {
            let guard = guard.clone();
            async move { Ok::<_, Infallible>(guarded(&guard, peer.ip(), request, handle).await) }
        });
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            // With a timer, hyper bounds the time that a head of HTTP/1 may take.
            server.http1().timer(TokioTimer::new());
            // A client that breaks off is no fault of the server.
            let _ = timeout(LIFE, server.serve_connection(TokioIo::new(stream), service)).await;
        });
    }
}

/// The application.
async fn handle(request: Request<Incoming>) -> Response<Full<Bytes>> {
    let who = request.extensions().get::<Pass>().and_then(Pass::principal).cloned();
    let (status, text) = match (request.method(), request.uri().path(), who) {
        (&Method::GET, "/healthz", _) => (StatusCode::OK, "ok\n".to_owned()),
        (&Method::GET, "/whoami", Some(who)) => (StatusCode::OK, format!("{}, at {}\n", who.name(), request.uri())),
        (&Method::POST, "/length", Some(_)) => match Limited::new(request.into_body(), 1024).collect().await {
            Ok(body) => (StatusCode::OK, format!("{}\n", body.to_bytes().len())),
            Err(_) => (StatusCode::PAYLOAD_TOO_LARGE, "at most 1024 bytes\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response
}
