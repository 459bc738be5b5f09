//! Denied handshakes are completed and closed where the policy says so (R12.1).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty, Full};
use hyper::upgrade::OnUpgrade;
use keyward::scopes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{SOON, Socket, Store, World, body, closed, connect, send, serve, status, world};

const CLOSE: &str =
    "sources = [{ header = 'X-API-Key' }, { subprotocol = 'base64url.auth' }]\n[websocket]\non_denial = 'close'\n";

async fn idle(mut socket: Socket) {
    while socket.recv().await.is_some() {}
}

fn handshake(lines: &str) -> Vec<u8> {
    let fixed = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    format!("GET /ws HTTP/1.1\r\n{fixed}{lines}\r\n").into_bytes()
}

const VALID: &str = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A close frame as a server sends it.
fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    [&[0x88, 2 + reason.len() as u8], &code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// The text of an answer in `application/problem+json`.
fn detail(answer: &[u8]) -> String {
    let told: serde_json::Value = serde_json::from_slice(body(answer)).unwrap();
    told["detail"].as_str().unwrap().to_owned()
}

/// What the same request is told that is no handshake.
async fn told(address: std::net::SocketAddr, lines: &str) -> String {
    let request = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n");
    detail(&send(address, request.as_bytes()).await.unwrap())
}

#[tokio::test]
async fn a_bad_key_sees_the_code_and_the_reason() {
    for store in [Store::AtOnce, Store::Waiting] {
        for (code, line) in [(1008, ""), (4001, "close_code = 4001\n")] {
            let world = world(&format!("{CLOSE}{line}"), store);
            let address = world.serve(idle).await;
            let reason = told(address, "X-API-Key: wrong\r\n").await;
            let began = Instant::now();
            let (mut client, answer) = connect(address, &[("x-api-key", "wrong")]).await.unwrap();
            assert_eq!(answer.status(), 101);
            assert!(answer.headers().contains_key("x-request-id"), "{answer:?}");
            assert_eq!(closed(&mut client).await.unwrap(), (code, reason));
            // A client that says that it has seen it is not kept waiting.
            assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
            assert_eq!(world.handled.load(Ordering::SeqCst), 0);
        }
    }
}

#[tokio::test]
async fn the_real_subprotocol_is_selected_and_the_token_is_not_echoed() {
    let world = world(CLOSE, Store::AtOnce);
    let address = world.serve(idle).await;
    let offered = "base64url.auth.d3Jvbmc, chat, talk";
    let (mut client, answer) = connect(address, &[("sec-websocket-protocol", offered)]).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
    assert!(!format!("{answer:?}").contains("d3Jvbmc"), "{answer:?}");
    assert_eq!(closed(&mut client).await.unwrap().0, 1008);
}

#[tokio::test]
async fn nothing_that_was_sent_along_gets_anywhere() {
    let world = world(CLOSE, Store::AtOnce);
    let address = world.serve(idle).await;
    let reason = told(address, "").await;
    let text = b"\x81\x85maskhello";
    let close = b"\x88\x82mask\x6e\x89";
    // The client's frames come with the handshake. The answer is the 101 and one frame, and the end is an end: no reset.
    for (sent, at_least, at_most) in [
        (text.repeat(3), Duration::from_millis(900), SOON),
        (text.repeat(10_000), Duration::from_millis(900), SOON),
        ([text.repeat(3), close.to_vec()].concat(), Duration::ZERO, Duration::from_millis(900)),
        ([text.repeat(10_000), close.to_vec()].concat(), Duration::ZERO, Duration::from_millis(900)),
    ] {
        let began = Instant::now();
        let answer = send(address, &[handshake(VALID), sent].concat()).await.unwrap();
        assert_eq!(status(&answer), 101);
        assert_eq!(body(&answer), close_frame(1008, &reason));
        assert!((at_least..at_most).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
    assert_eq!(world.handled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_client_that_never_stops_is_cut_off() {
    let world = world(CLOSE, Store::AtOnce);
    let mut stream = TcpStream::connect(world.serve(idle).await).await.unwrap();
    stream.write_all(&handshake(VALID)).await.unwrap();
    let (began, mut sent) = (Instant::now(), 0);
    // One frame without an end, of zeros.
    stream.write_all(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff").await.unwrap();
    while stream.write_all(&[0; 65_536]).await.is_ok() {
        sent += 65_536;
        assert!(began.elapsed() < SOON);
    }
    // What is read is bounded; what the kernels on both sides hold comes on top.
    assert!(sent < 64 << 20, "{sent}");
}

#[tokio::test]
async fn a_client_that_does_nothing_is_let_go_within_about_a_second() {
    let world = world(CLOSE, Store::AtOnce);
    let mut stream = TcpStream::connect(world.serve(idle).await).await.unwrap();
    stream.write_all(&handshake(VALID)).await.unwrap();
    let began = Instant::now();
    tokio::time::timeout(SOON, stream.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn without_the_policys_word_the_denial_is_the_answer() {
    for policy in ["", "[websocket]\non_denial = 'refuse'"] {
        let world = world(policy, Store::AtOnce);
        match connect(world.serve(idle).await, &[("x-api-key", "wrong")]).await {
            Err(Error::Http(answer)) => assert_eq!(answer.status(), 401),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn what_is_no_valid_handshake_gets_the_denial() {
    let world = world(CLOSE, Store::AtOnce);
    let address = world.serve(idle).await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let valid = String::from_utf8(handshake(VALID)).unwrap();
    let end = "Connection: close\r\n";
    for request in [
        String::from_utf8(handshake(&format!("Sec-WebSocket-Version: 12\r\n{key}{end}"))).unwrap(),
        String::from_utf8(handshake(&format!("{key}{end}"))).unwrap(),
        String::from_utf8(handshake(&format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n{end}")))
            .unwrap(),
        String::from_utf8(handshake(&format!("Sec-WebSocket-Version: 13\r\n{end}"))).unwrap(),
        String::from_utf8(handshake(&format!("{VALID}{key}{end}"))).unwrap(),
        valid.replace("GET", "POST").replace("\r\n\r\n", &format!("\r\n{end}\r\n")),
        valid.replace("HTTP/1.1", "HTTP/1.0"),
        valid.replace("Upgrade: websocket", "Upgrade: h2c").replace("\r\n\r\n", &format!("\r\n{end}\r\n")),
    ] {
        let answer = send(address, request.as_bytes()).await.unwrap();
        assert_eq!(status(&answer), 401, "{request}");
        assert_eq!(detail(&answer), told(address, "").await);
    }
    assert_eq!(world.handled.load(Ordering::SeqCst), 0);
}

/// hyper hands no connection over before it has read the body: a client that never ends one would keep it open for ever.
#[tokio::test]
async fn a_handshake_with_a_body_gets_the_denial_and_holds_nothing_open() {
    let world = world(CLOSE, Store::AtOnce);
    let address = world.serve(idle).await;
    for (lines, payload) in [
        ("Content-Length: 5\r\n", "hello"),
        ("Content-Length: 500\r\n", "hello"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&handshake(&format!("{VALID}Connection: close\r\n{lines}"))).await.unwrap();
        // A server that does not wait for it may have closed by now.
        let _ = stream.write_all(payload.as_bytes()).await;
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{lines:?} {payload:?} is open: {:?}", String::from_utf8_lossy(&answer));
        assert!(answer.is_empty() || status(&answer) == 401, "{:?}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(world.handled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn limits_and_faults_close_too() {
    let limited = world(&format!("{CLOSE}[limits]\nper_key = ['1/hour']\n"), Store::AtOnce);
    let (_, key) = limited.key().await;
    let address = limited.serve(idle).await;
    let lines = format!("X-API-Key: {key}\r\n");
    assert_eq!(
        status(
            &send(address, format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n").as_bytes()).await.unwrap()
        ),
        200
    );
    let reason = told(address, &lines).await;
    let (mut client, _) = connect(address, &[("x-api-key", &key)]).await.unwrap();
    assert_eq!(closed(&mut client).await.unwrap(), (1008, reason));

    let floods = world(&format!("{CLOSE}[limits]\nfailures = '1/hour'\n"), Store::AtOnce);
    let address = floods.serve(idle).await;
    let unknown = told(address, "X-API-Key: wrong\r\n").await;
    let (mut client, _) = connect(address, &[("x-api-key", "wrong")]).await.unwrap();
    let (code, reason) = closed(&mut client).await.unwrap();
    assert_eq!(code, 1008);
    assert_ne!(reason, unknown);

    let away = world(CLOSE, Store::AtOnce);
    away.is_away.store(true, Ordering::SeqCst);
    let address = away.serve(idle).await;
    let (mut client, _) = connect(address, &[("x-api-key", "some-key")]).await.unwrap();
    assert_eq!(closed(&mut client).await.unwrap(), (1008, told(address, "X-API-Key: some-key\r\n").await));
    for world in [floods, away] {
        assert_eq!(world.handled.load(Ordering::SeqCst), 0);
    }
}

async fn within(world: &World) -> std::net::SocketAddr {
    let inner = keyward_tower::guard(world.guard.requiring(scopes!["reports:read"])).layer(world.opens(idle));
    serve(keyward_tower::guard(world.guard.clone()).layer(inner)).await
}

#[tokio::test]
async fn a_guard_within_another_closes_too() {
    for store in [Store::AtOnce, Store::Waiting] {
        let world = world(CLOSE, store);
        let (_, key) = world.key().await;
        let address = within(&world).await;
        let reason = told(address, &format!("X-API-Key: {key}\r\n")).await;
        let (mut client, _) = connect(address, &[("x-api-key", &key)]).await.unwrap();
        assert_eq!(closed(&mut client).await.unwrap(), (1008, reason), "{store:?}");
        assert_eq!(world.handled.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_layer_for_grpc_closes_handshakes_and_nothing_else() {
    let world = world(CLOSE, Store::AtOnce);
    let address = serve(keyward_tower::grpc_guard(world.guard.clone()).layer(world.opens(idle))).await;
    let (mut client, _) = connect(address, &[("x-api-key", "wrong")]).await.unwrap();
    assert_eq!(closed(&mut client).await.unwrap().0, 1008);
    let call = String::from_utf8(handshake(&format!("{VALID}Connection: close\r\n"))).unwrap().replace("GET", "POST");
    let answer = String::from_utf8(send(address, call.as_bytes()).await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("grpc-status: 16"), "{answer}");
}

fn valid_request() -> http::request::Builder {
    Request::get("/ws")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn ask(request: Request<Empty<Bytes>>) -> impl Future<Output = (u16, Bytes)> {
    let guard = world(CLOSE, Store::AtOnce).guard;
    let service =
        keyward_tower::guard(guard).layer(service_fn(async |_: Request<Empty<Bytes>>| -> Result<_, std::convert::Infallible> {
            Ok(http::Response::new(Full::new(Bytes::from_static(b"handled"))))
        }));
    async move {
        let answer = service.oneshot(request).await.unwrap();
        (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
    }
}

#[tokio::test]
async fn without_a_connection_to_upgrade_the_denial_is_the_answer() {
    let (status, told) = ask(valid_request().body(Empty::new()).unwrap()).await;
    assert_eq!(status, 401);
    assert!(told.starts_with(b"{"), "{told:?}");
}

#[test]
fn outside_of_tokio_the_denial_is_the_answer() {
    // One that never comes is enough: nobody here could wait for it.
    let never: OnUpgrade = hyper::upgrade::on(Request::new(()));
    let request = valid_request().extension(never).body(Empty::new()).unwrap();
    let mut asked = std::pin::pin!(ask(request));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match asked.as_mut().poll(&mut context) {
        std::task::Poll::Ready((status, _)) => assert_eq!(status, 401),
        std::task::Poll::Pending => panic!("there is nothing to wait for"),
    }
}
