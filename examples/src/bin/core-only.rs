//! The core without any framework or runtime: a synchronous server on `std::net`, one thread a connection.
//!
//! ```text
//! API_KEY=a-key-of-your-own cargo run -p keyward-examples --bin core-only
//! curl -H 'X-API-Key: a-key-of-your-own' http://127.0.0.1:3001/whoami
//! ```
//!
//! What a server of your own has to do: lend the request as a [`Head`], send a denial as it is, take credentials out of what
//! its handlers see, and add the pass's headers to their answers. `docs/core.md` goes through it.

use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use keyward::policy::Source;
use keyward::{ConfigError, Decision, Guard, Head, Pass, Policy, Wanted};

const LARGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

const WRONG_CONFIGURATION: u8 = 2;
const FAULT: u8 = 3;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let (status, error) = match guard() {
        Err(error) => (WRONG_CONFIGURATION, error.to_string()),
        Ok(guard) => match listen(&guard) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (FAULT, error.to_string()),
        },
    };
    eprintln!("core-only: {error}");
    ExitCode::from(status)
}

fn guard() -> Result<Guard, ConfigError> {
    let policy = Policy::builder()
        .sources([Source::bearer(), Source::header("X-API-Key"), Source::query("api_key")])
        .configured_keys("API_KEY", None, Some("configured"), &[])
        .open_paths(["/healthz"])
        .failures("20/minute")
        .build()?;
    Guard::builder(policy).environment(|name| std::env::var_os(name)).build()
}

fn listen(guard: &Guard) -> io::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3001".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}"))?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    for connection in listener.incoming() {
        // Clones share the store, the limits and the audit.
        let guard = guard.clone();
        std::thread::spawn(move || connection.and_then(|connection| serve(&guard, connection)));
    }
    Ok(())
}

/// One request, one answer, and the connection is closed.
fn serve(guard: &Guard, mut connection: TcpStream) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    connection.set_write_timeout(Some(Duration::from_secs(5)))?;
    let peer = connection.peer_addr()?.ip();
    let mut buffer = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let response = match parsed.parse(&buffer) {
            Ok(httparse::Status::Partial) if buffer.len() < LARGEST_HEAD => {
                let mut more = [0; 1024];
                match connection.read(&mut more)? {
                    0 => return Ok(()),
                    read => buffer.extend_from_slice(&more[..read]),
                }
                continue;
            }
            Ok(httparse::Status::Complete(_)) => match Lent::of(&parsed, peer) {
                Some(head) => answer(guard, &head),
                None => plain(StatusCode::BAD_REQUEST, "no method or target\n"),
            },
            // What cannot be parsed is refused here: it never becomes a decision.
            Ok(httparse::Status::Partial) | Err(_) => plain(StatusCode::BAD_REQUEST, "no HTTP/1.1 request\n"),
        };
        return write(&mut connection, &response, parsed.method != Some("HEAD"));
    }
}

/// The whole of the enforcement.
fn answer(guard: &Guard, head: &Lent<'_, '_>) -> Response<Bytes> {
    match guard.decide_blocking(head) {
        // Status, headers and body are ready: a server changes nothing about a denial.
        Decision::Denied(denial) => denial.into_response(),
        Decision::Allowed(pass) => {
            let mut response = handle(head.path, seen_query(guard, head).as_deref(), &pass);
            pass.headers().apply(response.headers_mut());
            response
        }
    }
}

/// The query as handlers may see it. They are given no headers here; a server that gives them some uses `Strip::header` too.
fn seen_query(guard: &Guard, head: &Lent<'_, '_>) -> Option<String> {
    let query = head.query?;
    guard.strip().query(query).unwrap_or_else(|| Some(query.to_owned()))
}

/// The application.
fn handle(path: &str, query: Option<&str>, pass: &Pass) -> Response<Bytes> {
    match (path, pass.principal()) {
        ("/healthz", _) => plain(StatusCode::OK, "ok\n"),
        ("/whoami", Some(who)) => {
            let text = format!("{} ({}), query: {}\n", who.name(), who.kind().unwrap_or("-"), query.unwrap_or("none"));
            plain(StatusCode::OK, &text)
        }
        _ => plain(StatusCode::NOT_FOUND, "not found\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::copy_from_slice(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn write(connection: &mut TcpStream, response: &Response<Bytes>, with_body: bool) -> io::Result<()> {
    let status = response.status();
    let mut text = format!("HTTP/1.1 {} {}\r\n", status.as_u16(), status.canonical_reason().unwrap_or_default()).into_bytes();
    for (name, value) in response.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    // The denial of a HEAD says how long a GET's would be, and has no body of its own.
    if !response.headers().contains_key(header::CONTENT_LENGTH) {
        text.extend_from_slice(format!("content-length: {}\r\n", response.body().len()).as_bytes());
    }
    text.extend_from_slice(b"connection: close\r\n\r\n");
    if with_body {
        text.extend_from_slice(response.body());
    }
    connection.write_all(&text)
}

/// A parsed request, lent to the guard: nothing is copied.
struct Lent<'r, 'b> {
    method: &'r str,
    path: &'r str,
    query: Option<&'r str>,
    headers: &'r [httparse::Header<'b>],
    peer: IpAddr,
}

impl<'r, 'b> Lent<'r, 'b> {
    fn of(request: &'r httparse::Request<'_, 'b>, peer: IpAddr) -> Option<Self> {
        let (path, query) = split(request.path?);
        Some(Self { method: request.method?, path, query, headers: request.headers, peer })
    }
}

/// A target's path, from its first `/`, and its query. A target in absolute form names the host first.
fn split(target: &str) -> (&str, Option<&str>) {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = match path.split_once("://") {
        Some((_, rest)) if !path.starts_with('/') => rest.find('/').map_or("/", |slash| &rest[slash..]),
        _ => path,
    };
    (path, query)
}

impl Head for Lent<'_, '_> {
    fn method(&self) -> &str {
        self.method
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.query
    }

    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        // Every line of the name, in the order of the wire, as it came.
        for line in self.headers.iter().filter(|line| line.name.eq_ignore_ascii_case(which.name().as_str())) {
            each(line.value);
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        Some(self.peer)
    }
}
