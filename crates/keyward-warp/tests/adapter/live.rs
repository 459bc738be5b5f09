//! WebSockets that are denied are closed, open ones end with their key, and a ticket opens one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use keyward::key::KeyId;
use keyward::{Guard, NewKey, SocketEnd, scopes};
use keyward_warp::{HeldSocket, LiveSocket, allowed_by, live_socket};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use warp::ws::{Message as Sent, Ws};
use warp::{Filter, Rejection, Reply};

use crate::support::{Service, body, guard, start_with, status};

type Client = WebSocketStream<TcpStream>;

/// What has to happen has to happen within this time, and does within a fraction of it.
const SOON: Duration = Duration::from_secs(5);

/// How long an open connection may outlive its key.
const AT_ONCE: Duration = Duration::from_secs(1);

const CLOSE: &str =
    "sources = [{ header = 'X-API-Key' }, { subprotocol = 'base64url.auth' }]\n[websocket]\non_denial = 'close'\n";

/// How often handlers were called, and how many of them have their connection.
#[derive(Clone, Default)]
struct Handled {
    ever: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
}

impl Handled {
    fn ever(&self) -> usize {
        self.ever.load(Ordering::SeqCst)
    }

    async fn until(&self, now: usize) {
        let waiting = async {
            while self.now.load(Ordering::SeqCst) != now {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, waiting).await.unwrap();
    }
}

type Running = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn start(policy: &str, slow: bool) -> (Service, Handled) {
    let handled = Handled::default();
    let of_routes = handled.clone();
    let service = start_with(guard(policy, slow).await, |guard| routes(guard, of_routes)).await;
    (service, handled)
}

fn routes(guard: Guard, handled: Handled) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let socket = |run: fn(HeldSocket) -> Running| {
        let handled = handled.clone();
        live_socket().and(warp::ws()).map(move |live: LiveSocket, handshake: Ws| {
            handled.ever.fetch_add(1, Ordering::SeqCst);
            handled.now.fetch_add(1, Ordering::SeqCst);
            let handled = handled.clone();
            handshake.on_upgrade(async move |socket| {
                live.run(socket, run).await;
                handled.now.fetch_sub(1, Ordering::SeqCst);
            })
        })
    };
    let readers = || allowed_by(guard.requiring(scopes!["reports:read"]));
    let echo = || socket(|socket| Box::pin(echo(socket)));
    warp::path!("ws")
        .and(echo())
        .or(warp::path!("ws" / "waits").and(socket(|socket| Box::pin(waits(socket)))))
        .or(warp::path!("ws" / "sends").and(socket(|socket| Box::pin(sends(socket)))))
        .or(warp::path!("ws" / "floods").and(socket(|socket| Box::pin(floods(socket)))))
        .or(warp::path!("ws" / "gives-up").and(socket(|socket| Box::pin(gives_up(socket)))))
        .or(warp::path!("ws" / "splits").and(socket(|socket| Box::pin(splits(socket)))))
        .or(warp::path!("readers" / "ws").and(readers()).and(echo()))
        .or(warp::path!("readers" / "late").and(warp::ws()).and(readers()).map(|_: Ws| "never"))
        .or(warp::path!("auth" / "token").and(warp::post()).and(keyward_warp::ticket()))
}

async fn echo(mut socket: HeldSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn waits(_socket: HeldSocket) {
    std::future::pending().await
}

async fn sends(mut socket: HeldSocket) {
    while socket.send(Sent::text("and another thing")).await.is_ok() {}
}

async fn floods(mut socket: HeldSocket) {
    while socket.send(Sent::binary(vec![0; 10_000])).await.is_ok() {}
}

async fn gives_up(mut socket: HeldSocket) {
    let send = async |socket: &mut HeldSocket| socket.send(Sent::binary(vec![0; 10_000])).await.is_ok();
    while timeout(Duration::from_millis(200), send(&mut socket)).await == Ok(true) {}
}

async fn splits(socket: HeldSocket) {
    let (mut sender, mut reader) = socket.split();
    tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
    tokio::spawn(async move {
        while sender.send(Sent::text("tick")).await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    });
}

async fn connect(
    service: &Service,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Client, http::Response<()>), Error> {
    let mut request = format!("ws://localhost{target}").into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (client, answer) = client_async(request, TcpStream::connect(service.address).await?).await?;
    Ok((client, answer.map(|_| ())))
}

async fn open(service: &Service, target: &str, key: &str) -> Client {
    connect(service, target, &[("x-api-key", key)]).await.unwrap().0
}

async fn refused(service: &Service, target: &str, key: &str) -> u16 {
    match connect(service, target, &[("x-api-key", key)]).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{target}: {other:?}"),
    }
}

/// The code and the reason with which the connection is closed, whatever comes before. An error is a connection that is broken off.
async fn closed(client: &mut Client) -> Result<(u16, String), String> {
    let mut close = None;
    timeout(SOON, async {
        while let Some(message) = client.next().await {
            if let Message::Close(frame) = message.map_err(|error| error.to_string())? {
                close = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            }
        }
        close.ok_or_else(|| "closed without a close frame".to_owned())
    })
    .await
    .map_err(|_| "still open".to_owned())?
}

async fn ends_at_once(client: &mut Client) {
    let began = Instant::now();
    assert_eq!(closed(client).await.unwrap(), (1008, SocketEnd::KeyEnded.reason().to_owned()));
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

async fn is_open(client: &mut Client) -> bool {
    client.send(Message::text("are you there?")).await.is_ok()
        && matches!(timeout(SOON, client.next()).await, Ok(Some(Ok(Message::Text(_)))))
}

/// Whether the server has ended the connection of a client that does not read: what it still sends is answered by a reset.
async fn is_gone(client: &mut Client) -> bool {
    const EMPTY_PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
    for _ in 0..2 {
        if client.get_mut().write_all(&EMPTY_PONG).await.is_err() {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

/// The text of a denial.
fn detail(answer: &str) -> String {
    let told: serde_json::Value = serde_json::from_str(body(answer)).unwrap();
    told["detail"].as_str().unwrap().to_owned()
}

async fn another_key(service: &Service) -> (KeyId, String) {
    let made = service.keys.create(NewKey::named("another")).await.unwrap();
    (made.record().id, made.secret().expose().to_owned())
}

#[tokio::test]
async fn a_denied_handshake_is_closed_as_the_policy_says() {
    for slow in [false, true] {
        for (code, line) in [(1008, ""), (4001, "close_code = 4001\n")] {
            let (service, handled) = start(&format!("{CLOSE}{line}"), slow).await;
            let reason = detail(&service.get("/ws", "wrong").await);
            let (mut client, answer) = connect(&service, "/ws", &[("x-api-key", "wrong")]).await.unwrap();
            assert_eq!(answer.status(), 101);
            assert_eq!(closed(&mut client).await.unwrap(), (code, reason));
            assert_eq!(handled.ever(), 0);
        }
    }
}

#[tokio::test]
async fn the_real_subprotocol_is_selected_and_nothing_that_was_sent_along_gets_anywhere() {
    let (service, handled) = start(CLOSE, false).await;
    let head = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: base64url.auth.d3Jvbmc, chat\r\n\r\n";
    let frames = [&b"\x81\x85maskhello".repeat(100)[..], b"\x88\x82mask\x6e\x89"].concat();
    let answer = service.send([head.as_bytes(), &frames].concat()).await;
    assert_eq!(status(&answer), 101);
    assert!(answer.contains("sec-websocket-protocol: chat\r\n"), "{answer}");
    assert!(!answer.contains("d3Jvbmc"), "{answer}");
    let reason = detail(&service.get("/ws", "wrong").await);
    // As text: what is no UTF-8 of the frame's head is replaced.
    let frame = String::from_utf8_lossy(&[0x88, 2 + reason.len() as u8, 0x03, 0xf0]).into_owned() + &reason;
    assert_eq!(body(&answer), frame);
    assert_eq!(handled.ever(), 0);
}

#[tokio::test]
async fn what_is_no_valid_handshake_or_not_to_be_closed_gets_the_denial() {
    let (service, handled) = start(CLOSE, false).await;
    let valid = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    for request in [
        valid.replace("Version: 13", "Version: 12"),
        valid.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
        valid.replace("GET", "POST"),
        valid.replace("HTTP/1.1", "HTTP/1.0"),
    ] {
        assert_eq!(status(&service.send(&request).await), 401, "{request}");
    }
    let (refuses, _) = start("", false).await;
    assert_eq!(refused(&refuses, "/ws", "wrong").await, 401);
    assert_eq!(handled.ever(), 0);
}

#[tokio::test]
async fn a_filter_that_asks_for_more_closes_too_while_it_has_the_connection() {
    for slow in [false, true] {
        let (service, handled) = start(CLOSE, slow).await;
        let reason = detail(&service.get("/readers/ws", &service.plain).await);
        let (mut client, _) = connect(&service, "/readers/ws", &[("x-api-key", &service.plain)]).await.unwrap();
        assert_eq!(closed(&mut client).await.unwrap(), (1008, reason));
        // `warp::ws()` has it.
        assert_eq!(refused(&service, "/readers/late", &service.plain).await, 403);
        assert_eq!(handled.ever(), 0);
        let mut client = open(&service, "/readers/ws", &service.reader).await;
        assert!(is_open(&mut client).await);
    }
}

#[tokio::test]
async fn whatever_the_handler_does_its_connection_ends_with_the_key() {
    for slow in [false, true] {
        let (service, handled) = start("", slow).await;
        let (id, key) = another_key(&service).await;
        let mut clients = Vec::new();
        for target in ["/ws", "/ws/waits", "/ws/splits", "/ws/sends"] {
            clients.push(open(&service, target, &key).await);
        }
        let mut others = open(&service, "/ws", &service.plain).await;
        sleep(AT_ONCE).await;
        assert!(is_open(&mut clients[0]).await);
        service.keys.revoke(&id).await.unwrap();
        let began = Instant::now();
        let ends = futures_util::future::join_all(clients.iter_mut().map(closed)).await;
        for end in ends {
            assert_eq!(end.unwrap(), (1008, SocketEnd::KeyEnded.reason().to_owned()));
        }
        assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
        handled.until(1).await;
        sleep(AT_ONCE).await;
        assert!(is_open(&mut others).await);
    }
}

#[tokio::test]
async fn a_connection_ends_when_its_key_expires_and_with_its_grace() {
    let (service, _) = start("", false).await;
    let (expires, key) = another_key(&service).await;
    let mut client = open(&service, "/ws", &key).await;
    service.keys.expire(&expires).await.unwrap();
    ends_at_once(&mut client).await;

    let (rotates, key) = another_key(&service).await;
    let mut by_previous = open(&service, "/ws", &key).await;
    let rotated = service.keys.rotate(&rotates, Duration::from_secs(3)).await.unwrap();
    let until = Instant::now() + Duration::from_secs(3);
    let mut by_current = open(&service, "/ws", rotated.secret().expose()).await;
    sleep(Duration::from_millis(1_500)).await;
    assert!(is_open(&mut by_previous).await);
    assert_eq!(closed(&mut by_previous).await.unwrap().0, 1008);
    // Times of a record are whole seconds.
    assert!(until.elapsed() < AT_ONCE + AT_ONCE, "{:?}", until.elapsed());
    assert!(is_open(&mut by_current).await);
}

#[tokio::test]
async fn a_key_has_as_many_connections_as_the_policy_says() {
    let (service, handled) = start("[websocket]\nconnections_per_key = 2", false).await;
    let mut first = open(&service, "/ws", &service.plain).await;
    let _second = open(&service, "/ws/splits", &service.plain).await;
    assert_eq!(refused(&service, "/ws", &service.plain).await, 429);
    let _others = open(&service, "/ws", &service.reader).await;
    first.close(None).await.unwrap();
    handled.until(2).await;
    let _third = open(&service, "/ws", &service.plain).await;
    assert_eq!(refused(&service, "/ws", &service.plain).await, 429);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_when_its_handler_has_returned_and_counts_until_then() {
    let (service, _) = start("[websocket]\nconnections_per_key = 1", false).await;
    let mut silent = open(&service, "/ws/gives-up", &service.plain).await;
    let another = async || {
        while connect(&service, "/ws", &[("x-api-key", &service.plain)]).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(SOON, another()).await.is_ok());
    assert!(is_gone(&mut silent).await);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_when_its_key_has_ended() {
    let (service, _) = start("", false).await;
    let (id, key) = another_key(&service).await;
    let mut silent = open(&service, "/ws/floods", &key).await;
    sleep(AT_ONCE).await;
    assert!(!is_gone(&mut silent).await);
    service.keys.revoke(&id).await.unwrap();
    let gone = async { while !is_gone(&mut silent).await {} };
    assert!(timeout(SOON, gone).await.is_ok());
}

#[tokio::test]
async fn a_ticket_opens_one_connection() {
    for slow in [false, true] {
        let (service, _) = start("[tickets]\nquery = 'token'", slow).await;
        let answer = service.ask("POST", "/auth/token", &service.plain).await;
        let told: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        let target = format!("/ws?token={}", told["token"].as_str().unwrap());
        let (mut client, _) = connect(&service, &target, &[]).await.unwrap();
        assert!(is_open(&mut client).await);
        assert!(matches!(connect(&service, &target, &[]).await, Err(Error::Http(answer)) if answer.status() == 401));
        assert_eq!(status(&service.ask("POST", "/auth/token", "wrong").await), 401);
    }
    let (without, _) = start("", false).await;
    assert_eq!(status(&without.ask("POST", "/auth/token", &without.plain).await), 404);
}
