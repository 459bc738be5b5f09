//! Denied handshakes that are completed and closed at once (R12.1).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, Logger, Next, from_fn};
use actix_web::{App, Error, HttpServer};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keyward::audit::{AuditEvent, AuditSink};
use keyward::key::Record;
use keyward::store::{KeyStore, Presented};
use keyward::{Answer, Fault, scopes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::sockets::{World, closed, connect, open_with};
use crate::support::{Store, send, serve, status};

const POLICY: &str = "sources = [{ header = 'X-API-Key' }, { subprotocol = 'auth' }]\n[websocket]\non_denial = 'close'\n";

const SLOW: Store = Store::Slow(Duration::from_millis(20));

const BAD_KEY: &str = "The API key is not valid.";

/// A sink that makes every decision wait.
struct Waits;

impl AuditSink for Waits {
    fn may_wait(&self) -> bool {
        true
    }

    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        Answer::Pending(Box::pin(async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(())
        }))
    }
}

fn handshake(target: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
    .into_bytes()
}

/// As a client sends it.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind, 0xfe];
    frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    frame.extend(b"\0\0\0\0");
    frame.extend(payload);
    frame
}

/// The head of the answer, and the bytes behind it up to the connection's end.
async fn exchange(address: SocketAddr, sent: &[u8]) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let behind = answer.split_off(end);
    (String::from_utf8(answer).unwrap(), behind)
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let mut frame = vec![0x88, u8::try_from(2 + reason.len()).unwrap()];
    frame.extend(code.to_be_bytes());
    frame.extend(reason.as_bytes());
    frame
}

#[tokio::test]
async fn a_bad_key_is_answered_with_a_101_and_one_frame_and_the_handler_is_not_called() {
    for world in [
        World::of(POLICY, Store::InMemory),
        World::of(POLICY, SLOW),
        World::with(POLICY, Store::InMemory, |builder| builder.audit(Waits)),
    ] {
        let address = world.serve();
        let token = BASE64_URL_SAFE_NO_PAD.encode("a-key-that-nobody-knows");
        let mut sent = handshake("/ws/echoes", &format!("Sec-WebSocket-Protocol: auth.{token}, talk, chat\r\n"));
        // Text, and what would be a request if this were one connection of HTTP.
        sent.extend(frame(0x1, b"hello"));
        sent.extend(b"GET /ws/echoes HTTP/1.1\r\nHost: a\r\n\r\n");
        let (head, behind) = exchange(address, &sent).await;
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
        let is_once = |line: &str| head.to_lowercase().matches(&format!("\r\n{line}")).count() == 1;
        assert!(is_once("connection: upgrade\r\n") && is_once("upgrade: websocket\r\n"), "{head}");
        assert!(head.contains("\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
        assert!(is_once("sec-websocket-protocol: talk\r\n") && is_once("x-request-id: "), "{head}");
        assert!(!head.contains(&token) && !head.contains("transfer-encoding") && !head.contains("content-length"), "{head}");
        assert_eq!(behind, close_frame(1008, BAD_KEY));
        assert_eq!(world.tally.opened(), 0);
    }
}

#[tokio::test]
async fn clients_see_the_policys_code() {
    let world = World::of(&format!("{POLICY}close_code = 4001"), Store::InMemory);
    let address = world.serve();
    let (mut client, _) = connect(address, "/ws/echoes", &[("X-API-Key", "wrong")]).await.unwrap();
    assert_eq!(closed(&mut client).await, Some((4001, BAD_KEY.to_owned())));
    let (_, key) = world.key().await;
    drop(open_with(address, "echoes", &key).await);
}

#[tokio::test]
async fn a_policy_that_refuses_answers_with_the_denial() {
    let world = World::of("", Store::InMemory);
    assert_eq!(connect(world.serve(), "/ws/echoes", &[("X-API-Key", "wrong")]).await.map(drop), Err(401));
}

#[tokio::test]
async fn what_is_no_handshake_gets_the_denial_and_what_follows_it_is_no_request() {
    let world = World::of(POLICY, Store::InMemory);
    let address = world.serve();
    let handshake = String::from_utf8(handshake("/ws/echoes", "")).unwrap();
    for (from, to) in [
        ("Version: 13", "Version: 12"),
        ("Version: 13\r\n", "Version: 13\r\nSec-WebSocket-Version: 13\r\n"),
        // 15 bytes.
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
        ("GET", "POST"),
        ("HTTP/1.1", "HTTP/1.0"),
        ("Upgrade: websocket", "Upgrade: websocket2"),
        ("Connection: keep-alive, Upgrade", "Connection: close"),
        // To actix-web these are requests like others.
        ("Upgrade: websocket", "Upgrade: h2c, websocket"),
        ("Upgrade: websocket", "Transfer-Encoding: chunked\r\nUpgrade: websocket"),
    ] {
        assert!(handshake.contains(from));
        let asked = handshake.replacen(from, to, 1).replace("keep-alive", "close");
        let answer = send(address, asked).await;
        assert_eq!(status(&answer), 401, "{to}: {answer}");
        assert!(answer.contains("application/problem+json") && !answer.contains(" 101 "), "{to}: {answer}");
    }
    assert_eq!(world.tally.opened(), 0);
}

struct Broken;

impl KeyStore for Broken {
    fn find(&self, _: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        Answer::fault(Fault::new("the disk is gone"))
    }
}

#[tokio::test]
async fn every_kind_of_denial_closes() {
    let limited = World::of(&format!("{POLICY}[limits]\nper_key = ['1/hour']"), Store::InMemory);
    let address = limited.serve();
    let (_, key) = limited.key().await;
    drop(open_with(address, "echoes", &key).await);
    let (mut client, _) = connect(address, "/ws/echoes", &[("X-API-Key", &key)]).await.unwrap();
    assert_eq!(closed(&mut client).await.map(|(code, _)| code), Some(1008));
    assert_eq!(limited.tally.opened(), 1);

    let broken = World::with(POLICY, Store::InMemory, |builder| builder.store(Broken));
    let (mut client, _) = connect(broken.serve(), "/ws/echoes", &[("X-API-Key", &key)]).await.unwrap();
    assert_eq!(closed(&mut client).await.map(|(code, _)| code), Some(1008));

    let counted = World::of(&format!("{POLICY}connections_per_key = 1"), Store::InMemory);
    let address = counted.serve();
    let (_, key) = counted.key().await;
    let _first = open_with(address, "echoes", &key).await;
    let (mut client, _) = connect(address, "/ws/echoes", &[("X-API-Key", &key)]).await.unwrap();
    assert_eq!(closed(&mut client).await.map(|(code, _)| code), Some(1008));
}

#[tokio::test]
async fn a_guard_within_another_closes_too_and_so_does_one_of_another_policy() {
    let world = World::of(POLICY, Store::InMemory);
    let (_, key) = world.key().await;
    let offered = format!("auth.{}, chat", BASE64_URL_SAFE_NO_PAD.encode(&key));
    let stranger = World::of(POLICY, SLOW).guard;
    for inner in [world.guard.requiring(scopes!["admin"]), stranger] {
        let (outer, routes) = (world.guard.clone(), world.routes());
        let address = serve(move || {
            let inner = actix_web::web::scope("").configure(&routes).wrap(keyward_actix::guard(inner.clone()));
            App::new().service(inner).wrap(keyward_actix::guard(outer.clone()))
        });
        let (mut client, answer) = connect(address, "/ws/echoes", &[("Sec-WebSocket-Protocol", &offered)]).await.unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        assert_eq!(closed(&mut client).await.map(|(code, _)| code), Some(1008));
        assert_eq!(world.tally.opened(), 0);
    }
}

/// What middleware around a guard does to answers, short of looking into them.
async fn boxes(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<ServiceResponse<actix_web::body::BoxBody>, Error> {
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

#[tokio::test]
async fn middleware_around_lets_it_through() {
    let world = World::of(POLICY, Store::InMemory);
    let (guard, routes) = (world.guard.clone(), world.routes());
    let address = serve(move || {
        let app = App::new().configure(&routes).wrap(keyward_actix::guard(guard.clone()));
        app.wrap(from_fn(boxes)).wrap(Logger::default()).wrap(DefaultHeaders::new().add(("X-Own", "1")))
    });
    let (mut client, answer) = connect(address, "/ws/echoes", &[("X-API-Key", "wrong")]).await.unwrap();
    assert_eq!(answer.headers()["x-own"], "1");
    assert_eq!(closed(&mut client).await, Some((1008, BAD_KEY.to_owned())));
}

/// Without this server's own waiting for the rest of what clients send.
#[tokio::test]
async fn a_client_that_sends_a_lot_before_it_reads_sees_the_frame() {
    let world = World::of(POLICY, Store::InMemory);
    let (guard, routes) = (world.guard.clone(), world.routes());
    let app = move || App::new().configure(&routes).wrap(keyward_actix::guard(guard.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().client_disconnect_timeout(Duration::ZERO);
    let server = server.bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&handshake("/ws/echoes", "X-API-Key: wrong\r\n")).await.unwrap();
    for _ in 0..20 {
        stream.write_all(&frame(0x2, &[b'x'; 10_000])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stream.write_all(&frame(0x8, &1008_u16.to_be_bytes())).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.ends_with(&close_frame(1008, BAD_KEY)), "{answer:?}");
    assert_eq!(world.tally.opened(), 0);
}

#[tokio::test]
async fn a_client_that_never_ends_is_not_waited_for() {
    let world = World::of(POLICY, Store::InMemory);
    let address = world.serve();
    for sends in [false, true] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&handshake("/ws/echoes", "")).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let sending = tokio::spawn(async move {
            while sends && writer.write_all(&frame(0x2, &[b'x'; 60_000])).await.is_ok() {}
            // The client's half stays open.
            std::future::pending::<()>().await;
        });
        let end = tokio::time::timeout(Duration::from_secs(4), async {
            let mut answer = Vec::new();
            // Whether it ends or is reset.
            let _ = reader.read_to_end(&mut answer).await;
        });
        assert!(end.await.is_ok(), "the connection is still open");
        sending.abort();
    }
}
