//! Open WebSockets end with their key (R12), and are counted by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use keyward::clock::Now;
use keyward::key::{KeyId, Record};
use keyward::store::{KeyStore, Presented};
use keyward::{Answer, Fault, MemoryStore, NewKey};
use keyward_actix::LiveSocket;
use tokio::time::{sleep, timeout};

use crate::sockets::{WITHIN, World, closed, closed_within, connect, echoes, is_gone, open_with};
use crate::support::{Store, get, serve, status};

const ENDED: &str = "The API key is not valid any more.";

fn key_ended() -> Option<(u16, String)> {
    Some((1008, ENDED.to_owned()))
}

#[tokio::test]
async fn a_revocation_ends_the_connections_of_its_key_whatever_their_handlers_do() {
    for store in [Store::InMemory, Store::Slow(Duration::from_millis(20))] {
        let world = World::of("", store);
        let address = world.serve();
        let ((id, key), (_, other)) = (world.key().await, world.key().await);
        let mut clients = Vec::new();
        for handler in ["echoes", "never-looks", "only-sends", "has-clones"] {
            clients.push((handler, open_with(address, handler, &key).await));
        }
        let mut stays = open_with(address, "echoes", &other).await;
        sleep(Duration::from_millis(700)).await;
        world.keys.revoke(&id).await.unwrap();
        let ends = clients.iter_mut().map(|(handler, client)| async { (*handler, closed(client).await) });
        for (handler, end) in futures_util::future::join_all(ends).await {
            assert_eq!(end, key_ended(), "{handler}");
        }
        assert_eq!(world.tally.told(), 1, "the clone in another task was told");
        assert!(echoes(&mut stays).await);
        assert_eq!(connect(address, "/ws/echoes", &[("X-API-Key", &key)]).await.map(drop), Err(401));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_told_when_it_does() {
    let world = World::of("", Store::InMemory);
    let address = world.serve();
    let (id, key) = world.key().await;
    let mut client = open_with(address, "floods", &key).await;
    sleep(Duration::from_millis(500)).await;
    world.keys.revoke(&id).await.unwrap();
    // The key's end, the time that its frame is waited for, and more.
    sleep(Duration::from_millis(3_500)).await;
    assert_eq!(closed_within(&mut client, Duration::from_secs(5)).await, key_ended());
}

#[tokio::test]
async fn a_connection_ends_when_its_key_expires() {
    let world = World::of("", Store::InMemory);
    let address = world.serve();
    let made = world.keys.create(NewKey::named("short").expires_in(Duration::from_secs(60))).await.unwrap();
    let mut client = open_with(address, "echoes", made.secret().expose()).await;
    world.clock.advance(Duration::from_secs(59));
    sleep(Duration::from_millis(700)).await;
    assert!(echoes(&mut client).await);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(closed(&mut client).await, key_ended());
}

#[tokio::test]
async fn a_rotated_keys_connections_stay_until_its_grace_ends() {
    let world = World::of("", Store::InMemory);
    let address = world.serve();
    let (id, old) = world.key().await;
    let mut of_old = open_with(address, "echoes", &old).await;
    let new = world.keys.rotate(&id, Duration::from_secs(60)).await.unwrap();
    let mut of_new = open_with(address, "echoes", new.secret().expose()).await;
    sleep(Duration::from_millis(700)).await;
    assert!(echoes(&mut of_old).await);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(closed(&mut of_old).await, key_ended());
    assert!(echoes(&mut of_new).await);
}

#[tokio::test]
async fn connections_are_counted_by_key_until_they_end() {
    for store in [Store::InMemory, Store::Slow(Duration::from_millis(20))] {
        let world = World::of("[websocket]\nconnections_per_key = 2", store);
        let address = world.serve();
        let ((_, key), (_, other)) = (world.key().await, world.key().await);
        let first = open_with(address, "echoes", &key).await;
        let mut second = open_with(address, "echoes", &key).await;
        let third = async || connect(address, "/ws/echoes", &[("X-API-Key", &key)]).await;
        assert_eq!(third().await.map(drop), Err(429));
        assert!(echoes(&mut open_with(address, "echoes", &other).await).await);
        assert!(echoes(&mut second).await);
        drop(first);
        let mut is_freed = false;
        for _ in 0..50 {
            sleep(Duration::from_millis(20)).await;
            is_freed = is_freed || third().await.is_ok();
        }
        assert!(is_freed, "the place of a closed connection");
    }
}

#[tokio::test]
async fn a_connection_counts_for_as_long_as_the_server_keeps_it_for_a_client_that_does_not_read() {
    let world = World::of("[websocket]\nconnections_per_key = 1", Store::InMemory);
    let address = world.serve();
    let (_, key) = world.key().await;
    let another = async || connect(address, "/ws/echoes", &[("X-API-Key", &key)]).await.is_ok();
    let mut silent = open_with(address, "gives-up", &key).await;
    for _ in 0..30 {
        sleep(Duration::from_millis(100)).await;
        assert!(!is_gone(&mut silent).await && !another().await, "one place, and two connections");
    }
    drop(silent);
    assert!(timeout(Duration::from_secs(5), comes_true(another)).await.is_ok(), "the place of a client that has gone");
}

async fn comes_true(mut is_true: impl AsyncFnMut() -> bool) {
    while !is_true().await {
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_when_its_key_has_ended() {
    let world = World::of("", Store::InMemory);
    let address = world.serve_with_sockets();
    let (id, key) = world.key().await;
    let mut silent = open_with(address, "floods", &key).await;
    sleep(Duration::from_millis(100)).await;
    assert!(!is_gone(&mut silent).await);
    world.keys.revoke(&id).await.unwrap();
    // The key's end, the time for the close frame and that for taking it in, and half a second for a busy machine.
    let patience = WITHIN + Duration::from_secs(2);
    assert!(timeout(patience, comes_true(async || is_gone(&mut silent).await)).await.is_ok());
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected_when_its_handler_has_returned_and_counts_until_then() {
    let world = World::of("[websocket]\nconnections_per_key = 1", Store::InMemory);
    let address = world.serve_with_sockets();
    let (_, key) = world.key().await;
    let mut silent = open_with(address, "gives-up", &key).await;
    let another = async || connect(address, "/ws/echoes", &[("X-API-Key", &key)]).await.is_ok();
    assert!(timeout(Duration::from_secs(20), comes_true(another)).await.is_ok());
    assert!(is_gone(&mut silent).await);
}

#[tokio::test]
async fn a_client_that_reads_gets_all_that_its_handler_has_sent_on_a_server_that_lends_its_sockets() {
    let world = World::of("", Store::InMemory);
    let address = world.serve_with_sockets();
    let (_, key) = world.key().await;
    let mut slow = open_with(address, "gives-up", &key).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(closed_within(&mut slow, Duration::from_secs(5)).await, Some((1005, String::new())));
}

#[tokio::test]
async fn connections_of_every_worker_end() {
    let world = World::of("", Store::InMemory);
    let (guard, routes) = (world.guard.clone(), world.routes());
    let app = move || App::new().configure(&routes).wrap(keyward_actix::guard(guard.clone()));
    let server = HttpServer::new(app).workers(2).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    let ((id, key), (_, other)) = (world.key().await, world.key().await);
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(open_with(address, "echoes", &key).await);
    }
    let mut stays = open_with(address, "echoes", &other).await;
    world.keys.revoke(&id).await.unwrap();
    for end in futures_util::future::join_all(clients.iter_mut().map(closed)).await {
        assert_eq!(end, key_ended());
    }
    assert!(echoes(&mut stays).await);
}

#[tokio::test]
async fn whoever_is_left_looks_after_the_keys_when_the_worker_that_did_is_gone() {
    let world = World::of("", Store::InMemory);
    let start = || {
        let (guard, routes) = (world.guard.clone(), world.routes());
        let app = move || App::new().configure(&routes).wrap(keyward_actix::guard(guard.clone()));
        let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        let running = server.run();
        let handle = running.handle();
        tokio::spawn(running);
        (address, handle)
    };
    let ((first, handle), (second, _)) = (start(), start());
    let (id, key) = world.key().await;
    let _looks = open_with(first, "echoes", &key).await;
    let mut stays = open_with(second, "echoes", &key).await;
    handle.stop(false).await;
    world.keys.revoke(&id).await.unwrap();
    // One second more, until it is noticed.
    assert_eq!(closed_within(&mut stays, Duration::from_millis(2_500)).await, key_ended());
}

#[tokio::test]
async fn a_connection_ends_with_its_handler_whoever_else_has_the_session() {
    for (handler, clones) in [("returns", 1), ("is-aborted", 1)] {
        let world = World::of("", Store::InMemory);
        let address = world.serve();
        let mut client = open_with(address, handler, &world.key().await.1).await;
        assert_eq!(closed(&mut client).await, Some((1005, String::new())), "{handler}");
        assert_eq!(world.tally.told(), clones, "{handler}");
    }
}

/// A store that can be away.
struct Away(MemoryStore, Arc<AtomicBool>);

impl KeyStore for Away {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.0.find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        match self.1.load(Ordering::SeqCst) {
            true => Answer::fault(Fault::new("away")),
            false => self.0.find_by_id(id, now),
        }
    }
}

#[tokio::test]
async fn a_connection_is_not_kept_where_nobody_can_say_whether_its_key_is_good() {
    let (memory, is_away) = (MemoryStore::new(), Arc::new(AtomicBool::new(false)));
    let store = Away(memory.clone(), is_away.clone());
    let world = World::with("", Store::InMemory, |builder| builder.store(store));
    let key = keyward::Keys::new(memory).clock(world.clock.clone()).create(NewKey::named("socket")).await.unwrap();
    let address = world.serve();
    let mut client = open_with(address, "never-looks", key.secret().expose()).await;
    is_away.store(true, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(6));
    let end = closed(&mut client).await;
    assert_eq!(end, Some((1013, "The API key could not be confirmed: try again later.".to_owned())));
}

#[tokio::test]
async fn outside_every_guard_there_is_none() {
    let address = serve(|| App::new().route("/ws", web::get().to(async |_: LiveSocket| "in")));
    assert_eq!(status(&get(address, "/ws", "anything").await), 500);
}
