//! Open connections end with their key, whatever the handler does.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keyward::{NewKey, SocketEnd, Timestamp};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::{SOON, Service, Store, closed, is_gone, is_open, start, until};

/// How long an open connection may outlive its key.
const AT_ONCE: Duration = Duration::from_secs(1);

const STORES: [Store; 2] = [Store::Memory, Store::Cached];

async fn ends_at_once(client: &mut WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) {
    let began = Instant::now();
    assert_eq!(closed(client).await.unwrap(), (1008, SocketEnd::KeyEnded.reason().to_owned()));
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

/// Longer than a key's connection may outlive it.
async fn some_sweeps() {
    tokio::time::sleep(2 * keyward::Sweeper::INTERVAL).await;
}

#[tokio::test]
async fn whatever_the_handler_does_its_connection_ends_with_the_key() {
    for store in STORES {
        let service = start("", store).await;
        let (id, key) = service.key().await;
        let (_, other) = service.key().await;
        let mut clients = Vec::new();
        for target in ["/ws", "/ws/waits", "/ws/splits", "/ws/sends"] {
            clients.push(service.open(target, &key).await);
        }
        let mut others = service.open("/ws", &other).await;
        some_sweeps().await;
        assert!(is_open(&mut clients[0]).await);
        service.keys.revoke(&id).await.unwrap();
        let began = Instant::now();
        // At the same time, as their clients would: who reads late sees late.
        let ends = futures_util::future::join_all(clients.iter_mut().map(closed)).await;
        for end in ends {
            assert_eq!(end.unwrap(), (1008, SocketEnd::KeyEnded.reason().to_owned()), "{store:?}");
        }
        assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
        // The one of another key is all that is left.
        until(|| service.open_now() == 1).await;
        some_sweeps().await;
        assert!(is_open(&mut others).await);
    }
}

#[tokio::test]
async fn it_ends_within_a_second() {
    for store in STORES {
        let service = start("", store).await;
        let (id, key) = service.key().await;
        let mut client = service.open("/ws", &key).await;
        // Not in step with whoever looks after it.
        tokio::time::sleep(Duration::from_millis(620)).await;
        service.keys.revoke(&id).await.unwrap();
        ends_at_once(&mut client).await;
    }
}

#[tokio::test]
async fn a_connection_ends_when_its_key_expires() {
    for store in STORES {
        let service = start("", store).await;
        let expiry = Timestamp::from_unix_seconds(1_800_000_060);
        let made = service.keys.create(NewKey::named("brief").expires_at(expiry)).await.unwrap();
        let mut client = service.open("/ws", made.secret().expose()).await;
        service.clock.advance(Duration::from_secs(59));
        some_sweeps().await;
        assert!(is_open(&mut client).await);
        service.clock.advance(Duration::from_secs(1));
        ends_at_once(&mut client).await;
    }
}

#[tokio::test]
async fn a_connection_by_a_previous_secret_stays_for_its_grace() {
    for store in STORES {
        let service = start("", store).await;
        let (id, before) = service.key().await;
        let mut by_previous = service.open("/ws", &before).await;
        let rotated = service.keys.rotate(&id, Duration::from_secs(60)).await.unwrap();
        let mut by_current = service.open("/ws", rotated.secret().expose()).await;
        service.clock.advance(Duration::from_secs(59));
        some_sweeps().await;
        assert!(is_open(&mut by_previous).await);
        service.clock.advance(Duration::from_secs(1));
        ends_at_once(&mut by_previous).await;
        some_sweeps().await;
        assert!(is_open(&mut by_current).await);
    }
}

#[tokio::test]
async fn a_key_has_as_many_connections_as_the_policy_says() {
    for store in STORES {
        let service = start("[websocket]\nconnections_per_key = 2", store).await;
        let (_, key) = service.key().await;
        let (_, other) = service.key().await;
        let mut first = service.open("/ws", &key).await;
        let _second = service.open("/ws/splits", &key).await;
        assert_eq!(service.refused("/ws", &key).await, 429);
        let _others = service.open("/ws", &other).await;
        first.close(None).await.unwrap();
        until(|| service.open_now() == 2).await;
        let _third = service.open("/ws", &key).await;
        assert_eq!(service.refused("/ws", &key).await, 429);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_when_its_handler_has_returned_and_counts_until_then() {
    let service = start("[websocket]\nconnections_per_key = 1", Store::Memory).await;
    let (_, key) = service.key().await;
    let mut silent = service.open("/ws/gives-up", &key).await;
    let another = async || {
        while service.connect("/ws", &[("x-api-key", &key)]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(SOON, another()).await.is_ok());
    assert!(is_gone(&mut silent).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_when_its_key_has_ended() {
    let service = start("", Store::Memory).await;
    let (id, key) = service.key().await;
    let mut silent = service.open("/ws/floods", &key).await;
    some_sweeps().await;
    assert!(!is_gone(&mut silent).await);
    service.keys.revoke(&id).await.unwrap();
    let gone = async { while !is_gone(&mut silent).await {} };
    assert!(timeout(SOON, gone).await.is_ok());
}

#[tokio::test]
async fn a_handshake_that_the_handler_does_not_complete_frees_its_place() {
    let service = start("[websocket]\nconnections_per_key = 1", Store::Memory).await;
    let (_, key) = service.key().await;
    for _ in 0..3 {
        let lines = format!("Connection: upgrade\r\nUpgrade: websocket\r\nX-API-Key: {key}\r\nConnection: close\r\n");
        let answer = service.send(format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")).await.unwrap();
        assert_eq!(crate::support::status(&answer), 400, "{answer}");
    }
    let _client = service.open("/ws", &key).await;
}

#[tokio::test]
async fn nobody_s_connection_ends_with_no_key() {
    let service = start("[[routes]]\npath = '/ws'\noptional = true", Store::Memory).await;
    let (mut client, _) = service.connect("/ws", &[]).await.unwrap();
    some_sweeps().await;
    assert!(is_open(&mut client).await);
}

/// RFC 8441: a WebSocket is a stream of HTTP/2, opened by CONNECT.
#[tokio::test]
async fn over_http2_it_ends_with_its_key_too() {
    let service = start("[websocket]\non_denial = 'close'", Store::Memory).await;
    let (id, key) = service.key().await;
    let mut sender = over_http2(&service).await;
    // There is no connection to complete and to close: one of its streams is refused.
    assert_eq!(connect_over(&mut sender, ("x-api-key", "wrong")).await.status(), 401);
    let answer = connect_over(&mut sender, ("x-api-key", &key)).await;
    assert_eq!(answer.status(), 200);
    let upgraded = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    let mut client = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
    assert!(is_open(&mut client).await);
    service.keys.revoke(&id).await.unwrap();
    ends_at_once(&mut client).await;
}

#[tokio::test]
async fn over_http2_it_counts_and_needs_an_origin_for_a_cookie_too() {
    let policy = "sources = [{ header = 'X-API-Key' }, { cookie = 'k' }]\n[websocket]\nconnections_per_key = 1";
    let service = start(policy, Store::Memory).await;
    let (_, key) = service.key().await;
    let mut sender = over_http2(&service).await;
    assert_eq!(connect_over(&mut sender, ("cookie", &format!("k={key}"))).await.status(), 403);
    let first = connect_over(&mut sender, ("x-api-key", &key)).await;
    assert_eq!(first.status(), 200);
    assert_eq!(connect_over(&mut sender, ("x-api-key", &key)).await.status(), 429);
    assert_eq!(service.refused("/ws", &key).await, 429);
}

async fn over_http2(service: &Service) -> SendRequest<Body> {
    let stream = TokioIo::new(TcpStream::connect(service.address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    // The server's settings, which say that it takes such streams, come with its first answer at the latest.
    sender.send_request(Request::get("http://localhost/nothing").body(Body::empty()).unwrap()).await.unwrap();
    sender
}

async fn connect_over(sender: &mut SendRequest<Body>, (name, value): (&str, &str)) -> Response<Incoming> {
    let request = Request::connect("http://localhost/ws")
        .extension(hyper::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header(name, value);
    sender.send_request(request.body(Body::empty()).unwrap()).await.unwrap()
}
