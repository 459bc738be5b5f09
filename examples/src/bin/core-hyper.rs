//! A service on plain hyper, with nothing of Keyward but the core: HTTP/1.1 and HTTP/2.

use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use keyward::policy::Source;
use keyward::{Decision, Guard, Head, Pass, Peer, Policy, Wanted};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
        let guard = guard.clone(); // clones share the keys, the limits and the audit
        let service = service_fn(move |request| answer(guard.clone(), peer.ip(), request));
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new());
            server.http2().timer(TokioTimer::new());
            // A client that breaks off is no fault of the server.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The whole of the enforcement.
async fn answer(guard: Guard, peer: IpAddr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Peer(peer));
    let head = Lent { parts, has_body: !body.is_end_stream() };
    let pass = match guard.decide(&head).await {
        Decision::Denied(denial) => return Ok(denial.into_response().map(Full::new)),
        Decision::Allowed(pass) => pass,
    };
    let mut parts = head.parts;
    let strip = guard.strip();
    if let Some(uri) = strip.uri(&parts.uri) {
        parts.uri = uri;
    }
    strip.headers(&mut parts.headers);
    let is_head = parts.method == Method::HEAD;
    parts.extensions.insert(pass.clone());
    // Whatever the handler says, its mistakes included.
    let mut response = handle(Request::from_parts(parts, body)).await;
    pass.headers().apply(response.headers_mut());
    if is_head {
        *response.body_mut() = Full::default(); // hyper leaves it out in HTTP/1 alone
    }
    Ok(response)
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

/// The head, and whether a body follows: HTTP/2 need not announce one in any header.
struct Lent {
    parts: Parts,
    has_body: bool,
}

impl Head for Lent {
    fn method(&self) -> &str {
        Head::method(&self.parts)
    }

    fn path(&self) -> &str {
        self.parts.path()
    }

    fn query(&self) -> Option<&str> {
        self.parts.query()
    }

    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        self.parts.header(which, each);
    }

    fn peer(&self) -> Option<IpAddr> {
        self.parts.peer()
    }

    fn has_body(&self) -> bool {
        self.has_body
    }
}
