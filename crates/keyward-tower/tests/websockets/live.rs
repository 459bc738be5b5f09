//! Open connections end with their key, whatever the handler does.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use keyward::clock::Timestamp;
use keyward::store::Update;
use keyward::{NewKey, SocketEnd};
use keyward_tower::live::SocketError;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::{Client, SOON, Socket, Store, World, closed, connect, connect_with, until, world};

const ENDED: &str = SocketEnd::KeyEnded.reason();

/// How long an open connection may outlive its key.
const AT_ONCE: Duration = Duration::from_secs(1);

async fn echo(mut socket: Socket) {
    while let Some(Ok(message)) = socket.recv().await {
        if !message.is_close() && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn is_open(client: &mut Client) -> bool {
    client.send(Message::text("are you there?")).await.is_ok()
        && matches!(tokio::time::timeout(SOON, client.next()).await, Ok(Some(Ok(Message::Text(_)))))
}

/// Longer than a key's connection may outlive it.
async fn some_sweeps() {
    tokio::time::sleep(2 * keyward::Sweeper::INTERVAL).await;
}

async fn ends_at_once(client: &mut Client) {
    let began = Instant::now();
    assert_eq!(closed(client).await.unwrap(), (1008, ENDED.to_owned()));
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

/// Counts as long as it is not dropped.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_revoked_key_ends_its_connections_and_no_others() {
    for store in [Store::AtOnce, Store::Waiting] {
        let world = world("", store);
        let (id, key) = world.key().await;
        let (_, other) = world.key().await;
        let address = world.serve(echo).await;
        let mut revoked = Vec::new();
        for _ in 0..20 {
            revoked.push(connect_with(address, &key).await);
        }
        let mut stays = connect_with(address, &other).await;
        world.keys.revoke(&id).await.unwrap();
        let began = Instant::now();
        for client in &mut revoked {
            assert_eq!(closed(client).await.unwrap(), (1008, ENDED.to_owned()), "{store:?}");
        }
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        some_sweeps().await;
        assert!(is_open(&mut stays).await);
    }
}

#[tokio::test]
async fn a_disabled_key_ends_its_connections() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let mut client = connect_with(world.serve(echo).await, &key).await;
    some_sweeps().await;
    assert!(is_open(&mut client).await);
    world.keys.set_disabled(&id, true).await.unwrap();
    ends_at_once(&mut client).await;
}

#[tokio::test]
async fn a_connection_ends_when_its_key_expires() {
    let world = world("", Store::AtOnce);
    let expiry = Timestamp::from_unix_seconds(1_800_000_060);
    let made = world.keys.create(NewKey::named("brief").expires_at(expiry)).await.unwrap();
    let mut client = connect_with(world.serve(echo).await, made.secret().expose()).await;
    world.clock.advance(Duration::from_secs(59));
    some_sweeps().await;
    assert!(is_open(&mut client).await);
    world.clock.advance(Duration::from_secs(1));
    ends_at_once(&mut client).await;
}

#[tokio::test]
async fn a_connection_by_a_previous_secret_stays_for_its_grace() {
    let world = world("", Store::AtOnce);
    let (id, before) = world.key().await;
    let address = world.serve(echo).await;
    let mut by_previous = connect_with(address, &before).await;
    let rotated = world.keys.rotate(&id, Duration::from_secs(60)).await.unwrap();
    let mut by_current = connect_with(address, rotated.secret().expose()).await;
    world.clock.advance(Duration::from_secs(59));
    some_sweeps().await;
    assert!(is_open(&mut by_previous).await);
    world.clock.advance(Duration::from_secs(1));
    ends_at_once(&mut by_previous).await;
    some_sweeps().await;
    assert!(is_open(&mut by_current).await);
}

#[tokio::test]
async fn an_update_that_leaves_the_key_good_ends_nothing() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let mut client = connect_with(world.serve(echo).await, &key).await;
    world.keys.update(&id, Update { name: Some("another name".into()), ..Update::default() }).await.unwrap();
    some_sweeps().await;
    assert!(is_open(&mut client).await);
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_ends_them_with_another_code() {
    let world = world("", Store::AtOnce);
    let (_, key) = world.key().await;
    let mut client = connect_with(world.serve(echo).await, &key).await;
    some_sweeps().await;
    world.is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(4));
    some_sweeps().await;
    assert!(is_open(&mut client).await);
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(closed(&mut client).await.unwrap(), (1013, SocketEnd::Unconfirmed.reason().to_owned()));
}

#[tokio::test]
async fn a_handler_that_waits_for_something_else_is_dropped() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let alive = Arc::new(AtomicUsize::new(0));
    let count = alive.clone();
    let address = world
        .serve(async move |socket: Socket| {
            let _alive = (Alive::of(&count), socket);
            pending::<()>().await;
        })
        .await;
    let mut client = connect_with(address, &key).await;
    until(|| alive.load(Ordering::SeqCst) == 1).await;
    world.keys.revoke(&id).await.unwrap();
    ends_at_once(&mut client).await;
    until(|| alive.load(Ordering::SeqCst) == 0 && world.finished.load(Ordering::SeqCst) == 1).await;
}

async fn sends(mut socket: Socket) {
    while socket.send(Message::binary(vec![7; 10_000])).await.is_ok() {}
}

#[tokio::test]
async fn a_handler_that_never_stops_sending_is_dropped() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let mut client = connect_with(world.serve(sends).await, &key).await;
    let reader = tokio::spawn(async move {
        let mut read = 0_usize;
        while let Some(message) = client.next().await {
            match message.unwrap() {
                Message::Close(frame) => return (read, frame.map(|frame| u16::from(frame.code))),
                _ => read += 1,
            }
        }
        (read, None)
    });
    some_sweeps().await;
    world.keys.revoke(&id).await.unwrap();
    let began = Instant::now();
    let (read, code) = reader.await.unwrap();
    assert_eq!(code, Some(1008));
    assert!(read > 100, "{read}");
    // What was sent before the close frame is read first.
    assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_does_not_read_keeps_nothing_open() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let _client = connect_with(world.serve(sends).await, &key).await;
    some_sweeps().await;
    world.keys.revoke(&id).await.unwrap();
    let began = Instant::now();
    until(|| world.finished.load(Ordering::SeqCst) == 1).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_never_stops_sending_still_sees_the_code() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let address = world.serve(async |mut socket: Socket| while socket.recv().await.is_some() {}).await;
    let (mut sender, mut reader) = connect_with(address, &key).await.split();
    let sending = tokio::spawn(async move { while sender.send(Message::text("and another thing")).await.is_ok() {} });
    some_sweeps().await;
    world.keys.revoke(&id).await.unwrap();
    let close = tokio::time::timeout(SOON, reader.next()).await.unwrap();
    assert!(matches!(&close, Some(Ok(Message::Close(Some(frame)))) if u16::from(frame.code) == 1008), "{close:?}");
    sending.abort();
}

/// What the halves of a socket saw at their end.
type Seen = Arc<Mutex<Vec<String>>>;

fn splits(seen: &Seen) -> impl FnOnce(Socket) -> std::future::Ready<()> + Clone + Send + 'static {
    let seen = seen.clone();
    move |socket| {
        let (mut sender, mut reader) = socket.split();
        let (of_reader, of_sender) = (seen.clone(), seen);
        tokio::spawn(async move {
            while let Some(Ok(_)) = reader.next().await {}
            of_reader.lock().unwrap().push("the reader has no more".to_owned());
        });
        tokio::spawn(async move {
            let ended = loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if let Err(error) = sender.send(Message::text("tick")).await {
                    break error;
                }
            };
            let as_error: &dyn std::error::Error = &ended;
            assert!(as_error.to_string().contains("API key"), "{as_error}");
            assert!(matches!(ended, SocketError::Ended));
            of_sender.lock().unwrap().push("the sender cannot".to_owned());
        });
        // The handler itself is done.
        std::future::ready(())
    }
}

#[tokio::test]
async fn halves_in_other_tasks_are_taken_away() {
    let world = world("[websocket]\nconnections_per_key = 1", Store::AtOnce);
    let (id, key) = world.key().await;
    let seen = Seen::default();
    let address = world.serve(splits(&seen)).await;
    let mut client = connect_with(address, &key).await;
    some_sweeps().await;
    assert!(matches!(client.next().await, Some(Ok(Message::Text(_)))));
    // The handler has returned long ago; the connection is open, and counts.
    assert_eq!(refused(address, &key).await, 429);
    world.keys.revoke(&id).await.unwrap();
    ends_at_once(&mut client).await;
    until(|| seen.lock().unwrap().len() == 2).await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, ["the reader has no more", "the sender cannot"]);
}

async fn refused(address: SocketAddr, key: &str) -> u16 {
    match connect(address, &[("x-api-key", key)]).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_place_is_free_again_when_the_connection_has_ended_and_not_before() {
    let world = world("[websocket]\nconnections_per_key = 2", Store::AtOnce);
    let (id, key) = world.key().await;
    let (_, other) = world.key().await;
    let address = world.serve(echo).await;
    let mut first = connect_with(address, &key).await;
    let second = connect_with(address, &key).await;
    assert_eq!(refused(address, &key).await, 429);
    let _others = connect_with(address, &other).await;
    first.close(None).await.unwrap();
    until(|| world.finished.load(Ordering::SeqCst) == 1).await;
    let third = connect_with(address, &key).await;
    assert_eq!(refused(address, &key).await, 429);
    // A client that is gone without a word.
    drop(third);
    until(|| world.finished.load(Ordering::SeqCst) == 2).await;
    let _fourth = connect_with(address, &key).await;

    // Two connections by the previous secret, whose clients do not read that they have ended: they count for a second more.
    let rotated = world.keys.rotate(&id, Duration::ZERO).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(refused(address, rotated.secret().expose()).await, 429);
    until(|| world.finished.load(Ordering::SeqCst) == 4).await;
    let _by_current = connect_with(address, rotated.secret().expose()).await;
    drop(second);
}

#[tokio::test]
async fn a_handshake_that_never_becomes_a_connection_frees_its_place() {
    let world = world("[websocket]\nconnections_per_key = 1", Store::AtOnce);
    let (_, key) = world.key().await;
    let address = world.serve(echo).await;
    for _ in 0..3 {
        // Answered 200, since it is no whole handshake for the handler.
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\nX-API-Key: {key}\r\n\r\n"
        );
        assert_eq!(crate::support::status(&crate::support::send(address, request.as_bytes()).await.unwrap()), 200);
    }
}

#[tokio::test]
async fn a_handler_that_panics_takes_its_connection_with_it() {
    let world = world("[websocket]\nconnections_per_key = 1", Store::AtOnce);
    let (_, key) = world.key().await;
    let seen = Seen::default();
    let half = seen.clone();
    let address = world
        .serve(async move |socket: Socket| {
            let (_sender, mut reader) = socket.split();
            tokio::spawn(async move {
                while let Some(Ok(_)) = reader.next().await {}
                half.lock().unwrap().push("the reader has no more".to_owned());
            });
            tokio::task::yield_now().await;
            panic!("as handlers do");
        })
        .await;
    let mut client = connect_with(address, &key).await;
    assert!(closed(&mut client).await.is_err());
    until(|| !seen.lock().unwrap().is_empty()).await;
    let _again = connect_with(address, &key).await;
}

#[tokio::test]
async fn after_a_panic_of_the_store_another_connection_looks_after_the_keys() {
    let world = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let address = world.serve(echo).await;
    let mut client = connect_with(address, &key).await;
    some_sweeps().await;
    world.panics_once.store(true, Ordering::SeqCst);
    until(|| !world.panics_once.load(Ordering::SeqCst)).await;
    world.keys.revoke(&id).await.unwrap();
    // A second until somebody else looks, and one for the looking.
    let close = tokio::time::timeout(2 * AT_ONCE, closed(&mut client)).await;
    assert_eq!(close.expect("it ends without another connection").unwrap(), (1008, ENDED.to_owned()));
}

#[tokio::test]
async fn connections_that_end_by_themselves_leave_nothing_behind() {
    let world: World = world("", Store::AtOnce);
    let (id, key) = world.key().await;
    let address = world.serve(echo).await;
    for round in 1..=3 {
        let mut client = connect_with(address, &key).await;
        assert!(is_open(&mut client).await);
        client.close(None).await.unwrap();
        until(|| world.finished.load(Ordering::SeqCst) == round).await;
        // Nobody sweeps by now; the next connection has somebody begin again.
        some_sweeps().await;
    }
    let mut client = connect_with(address, &key).await;
    world.keys.revoke(&id).await.unwrap();
    ends_at_once(&mut client).await;
}
