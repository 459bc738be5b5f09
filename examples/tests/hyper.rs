//! The programs on plain hyper, over HTTP/1.1 and HTTP/2.

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Server, command};
use tokio::net::TcpStream;

const KEY: &str = "a-key-of-your-own";

fn started() -> Server {
    Server::start(env!("CARGO_BIN_EXE_core-hyper"), &[("API_KEY", KEY)])
}

#[test]
fn the_pages_show_these_programs() {
    let behind_the_first_paragraph = |program: &'static str| program.split_once("\n\n").unwrap().1;
    let quick_start = behind_the_first_paragraph(include_str!("../src/bin/quickstart-tower.rs"));
    let (_, shown) = include_str!("../../docs/tower.md").split_once("```rust,no_run\n").unwrap();
    assert!(shown.starts_with(&format!("{quick_start}```")), "docs/tower.md shows another program than quickstart-tower.rs");
    let adapter = behind_the_first_paragraph(include_str!("../src/bin/core-hyper/adapter.rs"));
    let (_, shown) = include_str!("../../docs/your-own-adapter.md").split_once("```rust\n").unwrap();
    assert!(shown.starts_with(&format!("{adapter}```")), "docs/your-own-adapter.md shows another adapter than core-hyper's");
}

/// A client of HTTP/2 alone.
struct Client(SendRequest<Full<Bytes>>);

impl Client {
    async fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).await.unwrap();
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn ask(&mut self, method: &str, target: &str, lines: &[(&str, &str)], body: &str) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(format!("http://localhost{target}"));
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let (parts, body) = self.0.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn the_core_alone_guards_a_service_on_hyper() {
    let server = started();
    let mut http2 = Client::connect(&server).await;
    let key = ("x-api-key", KEY);
    for (method, target, lines, status, body) in [
        ("GET", "/healthz", &[][..], 200, Some("ok\n")),
        ("GET", "/whoami", &[key], 200, Some("API_KEY, at URI/whoami\n")),
        ("GET", "/whoami?a=1&api_key=a-key-of-your-own&b", &[], 200, Some("API_KEY, at URI/whoami?a=1&b\n")),
        ("GET", "/whoami", &[("authorization", "bearer a-key-of-your-own")], 200, Some("API_KEY, at URI/whoami\n")),
        ("GET", "/other", &[key], 404, Some("not found\n")),
        ("GET", "/other", &[], 401, None),
        ("GET", "/whoami", &[], 401, None),
        ("GET", "/whoami", &[("x-api-key", "another")], 401, None),
        ("GET", "/whoami", &[key, key], 400, None),
        ("GET", "/whoami", &[key, ("authorization", "Bearer another")], 400, None),
        ("GET", "/healthz/../whoami", &[key], 400, None),
        ("GET", "/healthz%2f..%2fwhoami", &[key], 400, None),
    ] {
        let (got, headers, text) = http2.ask(method, target, lines, "").await;
        let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let http1 = server.get(target, &lines);
        assert_eq!((got.as_u16(), http1.status), (status, status), "{target} {lines:?}");
        assert!(headers.contains_key("x-request-id") && http1.header("x-request-id").is_some(), "{http1:?}");
        match body {
            Some(body) => {
                // In HTTP/2 the URI has the authority, too.
                assert_eq!(text, body.replace("URI", "http://localhost"), "{target}");
                assert_eq!(http1.body, body.replace("URI", ""), "{target}");
            }
            None => {
                assert_eq!(headers["content-type"], "application/problem+json");
                assert_eq!(headers["cache-control"], "no-store");
                assert_eq!(
                    headers.get("www-authenticate").map(|value| value.to_str().unwrap()),
                    http1.header("www-authenticate")
                );
            }
        }
    }
    assert_eq!(http2.ask("GET", "/whoami", &[key], "").await.1["cache-control"], "private");
    assert_eq!(http2.ask("GET", &format!("/whoami?api_key={KEY}"), &[], "").await.1["cache-control"], "no-store");
    assert!(!http2.ask("GET", "/healthz", &[], "").await.1.contains_key("cache-control"));
}

#[tokio::test]
async fn mistakes_of_a_handler_have_the_headers_too_and_a_head_has_no_body() {
    let server = started();
    let mut http2 = Client::connect(&server).await;
    let key = ("x-api-key", KEY);
    assert_eq!(http2.ask("POST", "/length", &[key], "12345").await.2, "5\n");
    let (status, headers, _) = http2.ask("POST", "/length", &[key, ("x-request-id", "r")], &"x".repeat(2000)).await;
    assert_eq!(
        (status.as_u16(), &headers["x-request-id"], &headers["cache-control"]),
        (413, &"r".parse().unwrap(), &"private".parse().unwrap())
    );
    // A body is nobody's business that has no key.
    assert_eq!(http2.ask("POST", "/length", &[], &"x".repeat(2000)).await.0, 401);
    for lines in [&[key][..], &[]] {
        let (status, _, body) = http2.ask("HEAD", "/other", lines, "").await;
        assert_eq!((status.as_u16(), body.as_str()), (if lines.is_empty() { 401 } else { 404 }, ""));
    }
}

#[tokio::test]
async fn a_preflight_with_a_body_that_nothing_announces_is_guarded() {
    let server = started();
    let mut http2 = Client::connect(&server).await;
    let preflight = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    assert_eq!(
        http2.ask("OPTIONS", "/whoami", &preflight, "").await.0,
        404,
        "it is let through, and the service has no answer to it"
    );
    // hyper's client announces a body whose length it knows, so take that away.
    let stream = http_body_util::StreamBody::new(tokio_stream::iter([Ok::<_, std::convert::Infallible>(
        hyper::body::Frame::data(Bytes::from_static(b"a body")),
    )]));
    let connection = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(connection)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::options("http://localhost/whoami");
    for (name, value) in preflight {
        request = request.header(name, value);
    }
    let answer = sender.send_request(request.body(stream).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 401);
}

#[test]
fn the_peer_is_known_so_that_who_tries_many_keys_is_stopped() {
    let server = started();
    for _ in 0..20 {
        assert_eq!(server.get("/whoami", &["X-API-Key: another"]).status, 401);
    }
    assert_eq!(server.get("/whoami", &["X-API-Key: another"]).status, 429);
    assert_eq!(server.get("/whoami", &[&format!("X-API-Key: {KEY}")]).status, 200);
}

#[test]
fn without_a_key_it_does_not_start() {
    let output = command(env!("CARGO_BIN_EXE_core-hyper"), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("API_KEY is not set"), "{output:?}");
}

#[tokio::test]
async fn the_quick_start_for_tower_prints_a_command_that_works() {
    let server = Server::start(env!("CARGO_BIN_EXE_quickstart-tower"), &[]);
    assert_eq!(server.get("/reports", &[]).status, 401);
    assert_eq!(server.get("/reports", &["Authorization: Bearer kw_wrong"]).status, 401);
    let (address, output) = (server.address, server.output());
    let command = output.lines().find(|line| line.starts_with("curl ")).unwrap();
    let header = command.split('\'').nth(1).unwrap();
    let answer = server.get("/reports", &[header]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello, me\n"));
    assert_eq!(command, format!("curl -H '{header}' http://{address}/reports"));

    let mut http2 = Client::connect(&server).await;
    assert_eq!(http2.ask("GET", "/reports", &[], "").await.0, 401);
    let (name, value) = header.split_once(": ").unwrap();
    let (status, headers, body) = http2.ask("GET", "/reports", &[(name, value)], "").await;
    assert_eq!((status.as_u16(), body.as_str()), (200, "hello, me\n"));
    assert!(headers.contains_key("x-request-id"));
}
