//! Open connections end with their key, and are counted by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Request;
use keyward::clock::{ManualClock, Now};
use keyward::key::{KeyId, Record};
use keyward::store::{KeyStore, Presented};
use keyward::{Answer, Decision, Fault, Guard, Keys, Kind, LiveSocket, MemoryStore, NewKey, Pass, Policy, SocketEnd, Timestamp};
use pollster::block_on;

struct World {
    guard: Guard,
    keys: Keys,
    clock: ManualClock,
    store: Watched,
}

/// A store that can be away, can hang, and counts how often it is asked by id.
#[derive(Clone)]
struct Watched {
    keys: MemoryStore,
    is_away: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl KeyStore for Watched {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.keys.find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hangs.load(Ordering::Relaxed) {
            return Answer::Pending(Box::pin(std::future::pending()));
        }
        if self.is_away.load(Ordering::Relaxed) { Answer::fault(Fault::new("away")) } else { self.keys.find_by_id(id, now) }
    }
}

fn world(policy: &str) -> World {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    let keys = MemoryStore::new();
    let store = Watched { keys: keys.clone(), is_away: Arc::default(), hangs: Arc::default(), asked: Arc::default() };
    let policy = Policy::from_toml("policy.toml", policy).unwrap();
    let guard = Guard::builder(policy).store(store.clone()).clock(clock.clone()).build().unwrap();
    World { guard, keys: Keys::new(keys).clock(clock.clone()), clock, store }
}

impl World {
    fn key(&self) -> (KeyId, String) {
        let made = block_on(self.keys.create(NewKey::named("socket"))).unwrap();
        (made.record().id, made.secret().expose().to_owned())
    }

    fn handshake(&self, key: &str) -> Result<Pass, Kind> {
        decide(&self.guard, key)
    }

    fn open(&self, key: &str) -> LiveSocket {
        self.handshake(key).unwrap().live_socket()
    }
}

fn decide(guard: &Guard, key: &str) -> Result<Pass, Kind> {
    let request = Request::get("/ws").header("X-API-Key", key).header("Upgrade", "websocket").header("Connection", "upgrade");
    match block_on(guard.decide(&request.body(()).unwrap())) {
        Decision::Allowed(pass) => Ok(pass),
        Decision::Denied(denial) => Err(denial.kind()),
    }
}

fn ended(socket: &mut LiveSocket) -> Option<SocketEnd> {
    match std::pin::pin!(socket.ended()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(end) => Some(end),
        Poll::Pending => None,
    }
}

fn sweep(socket: &LiveSocket) {
    let mut sweeper = socket.sweeper().expect("nobody else has the part");
    let _ = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
}

#[test]
fn connections_end_with_their_key_and_no_other_does() {
    let world = world("");
    let ((id, key), (_, other)) = (world.key(), world.key());
    let (mut one, mut two, mut stays) = (world.open(&key), world.open(&key), world.open(&other));
    sweep(&one);
    assert_eq!((ended(&mut one), ended(&mut two), ended(&mut stays)), (None, None, None));
    assert_eq!(world.store.asked.load(Ordering::Relaxed), 2, "once a key, not once a connection");
    block_on(world.keys.revoke(&id)).unwrap();
    sweep(&one);
    assert_eq!((ended(&mut one), ended(&mut two)), (Some(SocketEnd::KeyEnded), Some(SocketEnd::KeyEnded)));
    assert_eq!(ended(&mut stays), None);
    assert_eq!((SocketEnd::KeyEnded.code(), SocketEnd::Unconfirmed.code()), (1008, 1013));
    assert_eq!(ended(&mut one), Some(SocketEnd::KeyEnded), "asked again, it is the same");
}

#[test]
fn disabling_purging_and_expiring_end_connections() {
    let world = world("");
    let (id, key) = world.key();
    let mut socket = world.open(&key);
    block_on(world.keys.set_disabled(&id, true)).unwrap();
    sweep(&socket);
    assert_eq!(ended(&mut socket), Some(SocketEnd::KeyEnded));

    let (id, key) = world.key();
    let mut socket = world.open(&key);
    block_on(world.keys.revoke(&id)).unwrap();
    block_on(world.keys.purge(&id)).unwrap();
    sweep(&socket);
    assert_eq!(ended(&mut socket), Some(SocketEnd::KeyEnded));

    let made = block_on(world.keys.create(NewKey::named("short").expires_in_days(1))).unwrap();
    let mut socket = world.open(made.secret().expose());
    world.clock.advance(Duration::from_secs(86_400) - Duration::from_nanos(1));
    sweep(&socket);
    assert_eq!(ended(&mut socket), None);
    world.clock.advance(Duration::from_nanos(1));
    sweep(&socket);
    assert_eq!(ended(&mut socket), Some(SocketEnd::KeyEnded));
}

#[test]
fn a_rotated_key_keeps_its_connections_until_the_grace_ends() {
    let world = world("");
    let (id, old) = world.key();
    let mut by_old = world.open(&old);
    let made = block_on(world.keys.rotate(&id, Duration::from_secs(60))).unwrap();
    let mut by_new = world.open(made.secret().expose());
    world.clock.advance(Duration::from_secs(60) - Duration::from_nanos(1));
    sweep(&by_old);
    assert_eq!((ended(&mut by_old), ended(&mut by_new)), (None, None));
    world.clock.advance(Duration::from_nanos(1));
    sweep(&by_new);
    assert_eq!((ended(&mut by_old), ended(&mut by_new)), (Some(SocketEnd::KeyEnded), None));

    // Rotated twice: what the first secret opened ends at once.
    let mut by_second = world.open(made.secret().expose());
    block_on(world.keys.rotate(&id, Duration::from_secs(60))).unwrap();
    block_on(world.keys.rotate(&id, Duration::from_secs(60))).unwrap();
    sweep(&by_second);
    assert_eq!(ended(&mut by_second), Some(SocketEnd::KeyEnded));
}

#[test]
fn without_word_from_the_store_connections_end_after_five_seconds() {
    for hangs in [false, true] {
        let world = world("");
        let (_, key) = world.key();
        let mut socket = world.open(&key);
        world.store.is_away.store(!hangs, Ordering::Relaxed);
        world.store.hangs.store(hangs, Ordering::Relaxed);
        let mut sweeper = socket.sweeper().unwrap();
        let mut sweep = || _ = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
        for _ in 0..10 {
            sweep();
            assert_eq!(ended(&mut socket), None);
            world.clock.advance(Duration::from_millis(500));
        }
        sweep();
        assert_eq!(ended(&mut socket), None, "five seconds, not one nanosecond more");
        world.clock.advance(Duration::from_nanos(1));
        sweep();
        assert_eq!(ended(&mut socket), Some(SocketEnd::Unconfirmed));
    }
}

/// A store whose lookups by id answer when they are polled for the second time, and which counts.
#[derive(Clone, Default)]
struct Distant {
    keys: MemoryStore,
    polls: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

impl KeyStore for Distant {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.keys.find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        let (store, found) = (self.clone(), self.keys.find_by_id(id, now));
        store.most_open.fetch_max(store.open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        let (mut answer, mut was_polled) = (Some(found), false);
        Answer::Pending(Box::pin(std::future::poll_fn(move |context| {
            store.polls.fetch_add(1, Ordering::Relaxed);
            if !std::mem::replace(&mut was_polled, true) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            store.open.fetch_sub(1, Ordering::Relaxed);
            match answer.take() {
                Some(Answer::Ready(found)) => Poll::Ready(found),
                _ => panic!("a store in memory answers at once, and once"),
            }
        })))
    }
}

fn open_many(guard: &Guard, keys: &Keys, count: usize) -> Vec<(KeyId, LiveSocket)> {
    let open = |_| {
        let made = block_on(keys.create(NewKey::named("one of many"))).unwrap();
        (made.record().id, decide(guard, made.secret().expose()).unwrap().live_socket())
    };
    (0..count).map(open).collect()
}

#[test]
fn a_distant_store_is_asked_for_so_many_keys_at_once_and_each_answer_is_looked_at_by_itself() {
    let store = Distant::default();
    let guard = Guard::builder(Policy::from_toml("policy.toml", "").unwrap()).store(store.clone()).build().unwrap();
    let keys = Keys::new(store.keys.clone());
    let mut sockets = open_many(&guard, &keys, 2_000);
    block_on(keys.revoke(&sockets[7].0)).unwrap();
    let mut sweeper = sockets[0].1.sweeper().unwrap();
    assert!(block_on(sweeper.sweep()));
    assert_eq!(store.most_open.load(Ordering::Relaxed), 64);
    assert_eq!(store.polls.load(Ordering::Relaxed), 4_000, "two for each lookup");
    for (index, (_, socket)) in sockets.iter_mut().enumerate() {
        assert_eq!(ended(socket), (index == 7).then_some(SocketEnd::KeyEnded));
    }
}

#[test]
fn no_sweep_keeps_the_thread_for_thousands_of_keys() {
    let world = world("");
    let sockets = open_many(&world.guard, &world.keys, 2_000);
    let mut sweeper = sockets[0].1.sweeper().unwrap();
    let once = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(once.is_pending());
    assert_eq!(world.store.asked.load(Ordering::Relaxed), 256);
    assert!(block_on(sweeper.sweep()));
    assert_eq!(world.store.asked.load(Ordering::Relaxed), 2_256, "those that were late, and the others");
}

#[test]
fn lookups_that_hang_do_not_keep_other_keys_waiting() {
    let world = world("");
    world.store.hangs.store(true, Ordering::Relaxed);
    let mut hanging = open_many(&world.guard, &world.keys, 64);
    let mut sweeper = hanging[0].1.sweeper().unwrap();
    let mut sweep = || _ = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
    sweep();
    world.store.hangs.store(false, Ordering::Relaxed);
    let mut other = open_many(&world.guard, &world.keys, 1);
    block_on(world.keys.revoke(&other[0].0)).unwrap();
    world.clock.advance(Duration::from_millis(500) + Duration::from_nanos(1));
    sweep();
    assert_eq!(ended(&mut other[0].1), Some(SocketEnd::KeyEnded));
    assert!(hanging.iter_mut().all(|(_, socket)| ended(socket).is_none()));
    world.clock.advance(Duration::from_secs(5));
    sweep();
    assert!(hanging.iter_mut().all(|(_, socket)| ended(socket) == Some(SocketEnd::Unconfirmed)));
}

/// A store in which some keys cannot be asked for, in one way or another.
#[derive(Clone, Default)]
struct Broken {
    keys: MemoryStore,
    ways: Arc<Mutex<HashMap<KeyId, Way>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
}

#[derive(Clone, Copy)]
enum Way {
    Hangs,
    Panics,
    PanicsLater,
}

/// A lookup under way.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl KeyStore for Broken {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.keys.find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        let way = self.ways.lock().unwrap().get(id).copied();
        match way {
            None => self.keys.find_by_id(id, now),
            Some(Way::Panics) => panic!("as stores do"),
            Some(Way::PanicsLater) => Answer::Pending(Box::pin(async { panic!("as stores do, later") })),
            Some(Way::Hangs) => {
                self.most_open.fetch_max(self.open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                let under_way = UnderWay(self.open.clone());
                Answer::Pending(Box::pin(async move {
                    let _under_way = under_way;
                    std::future::pending().await
                }))
            }
        }
    }
}

impl Broken {
    fn world(&self) -> (Guard, Keys, ManualClock) {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let policy = Policy::from_toml("policy.toml", "").unwrap();
        let guard = Guard::builder(policy).store(self.clone()).clock(clock.clone()).build().unwrap();
        (guard, Keys::new(self.keys.clone()).clock(clock.clone()), clock)
    }

    fn break_all(&self, sockets: &[(KeyId, LiveSocket)], way: Way) {
        self.ways.lock().unwrap().extend(sockets.iter().map(|(id, _)| (*id, way)));
    }
}

#[test]
fn however_many_lookups_hang_only_so_many_are_under_way() {
    let store = Broken::default();
    let (guard, keys, clock) = store.world();
    let mut sockets = open_many(&guard, &keys, 2_000);
    store.break_all(&sockets, Way::Hangs);
    let mut sweeper = sockets[0].1.sweeper().unwrap();
    let mut sweep = || _ = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
    for _ in 0..=10 {
        sweep();
        clock.advance(Duration::from_millis(500));
    }
    assert_eq!(store.most_open.load(Ordering::Relaxed), 128);
    sweep();
    assert!(sockets.iter_mut().all(|(_, socket)| ended(socket) == Some(SocketEnd::Unconfirmed)));
    drop((sockets, sweeper));
    assert_eq!(store.open.load(Ordering::Relaxed), 0, "nobody waits for them any longer");
}

#[test]
fn keys_behind_hundreds_that_hang_have_their_turn() {
    let store = Broken::default();
    let (guard, keys, clock) = store.world();
    let mut hanging = open_many(&guard, &keys, 400);
    store.break_all(&hanging, Way::Hangs);
    let mut sweeper = hanging[0].1.sweeper().unwrap();
    let mut sweep = || _ = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
    sweep();
    // It comes when all of the others are in the queue.
    let (other, mut others) = open_many(&guard, &keys, 1).pop().unwrap();
    block_on(keys.revoke(&other)).unwrap();
    for _ in 0..8 {
        clock.advance(Duration::from_millis(500));
        sweep();
    }
    assert_eq!(ended(&mut others), Some(SocketEnd::KeyEnded));
    assert!(hanging.iter_mut().all(|(_, socket)| ended(socket).is_none()));
}

#[test]
fn a_slow_store_is_waited_for_where_no_other_key_waits() {
    let store = Broken::default();
    let (guard, keys, clock) = store.world();
    let sockets = open_many(&guard, &keys, 128);
    store.break_all(&sockets, Way::Hangs);
    let mut sweeper = sockets[0].1.sweeper().unwrap();
    let mut sweep = || _ = std::pin::pin!(sweeper.sweep()).poll(&mut Context::from_waker(Waker::noop()));
    for _ in 0..10 {
        sweep();
        clock.advance(Duration::from_millis(500));
    }
    // Each of them is one and the same, that has been under way from the start.
    assert_eq!(store.open.load(Ordering::Relaxed), 128);
}

#[test]
fn a_store_that_panics_for_one_key_hides_no_other() {
    for way in [Way::Panics, Way::PanicsLater] {
        let store = Broken::default();
        let (guard, keys, clock) = store.world();
        let (mut broken, mut others) = (open_many(&guard, &keys, 20), open_many(&guard, &keys, 20));
        store.break_all(&broken, way);
        for (id, _) in &others {
            block_on(keys.revoke(id)).unwrap();
        }
        let mut sweeper = broken[0].1.sweeper().unwrap();
        assert!(block_on(sweeper.sweep()));
        assert!(others.iter_mut().all(|(_, socket)| ended(socket) == Some(SocketEnd::KeyEnded)));
        assert!(broken.iter_mut().all(|(_, socket)| ended(socket).is_none()));
        clock.advance(Duration::from_secs(5) + Duration::from_nanos(1));
        assert!(block_on(sweeper.sweep()));
        assert!(broken.iter_mut().all(|(_, socket)| ended(socket) == Some(SocketEnd::Unconfirmed)));
    }
}

#[test]
fn one_sweeps_and_gives_the_part_back() {
    let world = world("");
    let (_, key) = world.key();
    let socket = world.open(&key);
    let mut sweeper = socket.sweeper().unwrap();
    assert!(socket.sweeper().is_none(), "there is one already");
    assert!(block_on(sweeper.sweep()));
    drop(socket);
    assert!(!block_on(sweeper.sweep()), "nothing is open");
    let socket = world.open(&key);
    let again = socket.sweeper().expect("the part was given back");
    drop(sweeper);
    assert!(socket.sweeper().is_none(), "the old one does not give away what the new one has");
    drop(again);
    assert!(socket.sweeper().is_some(), "one that is dropped in the middle gives it back, too");
}

#[test]
fn connections_of_a_key_are_counted() {
    let world = world("[websocket]\nconnections_per_key = 2\n[limits]\nper_key = ['9/hour']");
    let ((_, key), (_, other)) = (world.key(), world.key());
    let first = world.open(&key);
    let second = world.handshake(&key).unwrap();
    assert_eq!(second.quotas()[0].remaining, 7);
    assert_eq!(world.handshake(&key).map(drop), Err(Kind::Limited));
    assert!(world.handshake(&other).is_ok(), "each key has its own");
    let plain = Request::get("/a").header("X-API-Key", &key).body(()).unwrap();
    let Decision::Allowed(pass) = block_on(world.guard.decide(&plain)) else { panic!("no handshake") };
    assert_eq!(pass.quotas()[0].remaining, 6, "the refused handshake was charged nowhere");

    // A handshake that comes to nothing frees its place, and so does a connection that ends.
    let copy = second.clone();
    drop(second);
    assert_eq!(world.handshake(&key).map(drop), Err(Kind::Limited), "a copy is the same place");
    drop(copy);
    let second = world.open(&key);
    assert_eq!(world.handshake(&key).map(drop), Err(Kind::Limited));
    drop(first);
    assert!(world.handshake(&key).is_ok());
    drop(second);
}

/// axum finds `upgrade` anywhere within `Connection`, and actix-web `websocket` anywhere within `Upgrade`.
#[test]
fn whatever_may_become_a_connection_is_counted() {
    let world = world("[websocket]\nconnections_per_key = 1");
    let (_, key) = world.key();
    let socket = world.open(&key);
    for (connection, upgrade) in [("x-upgrade", "websocket"), ("upgrade", "websocket/13"), ("keep-alive", "h2c")] {
        for websocket_key in ["dGhlIHNhbXBsZSBub25jZQ==", "x", ""] {
            let request = Request::get("/ws").header("X-API-Key", &key).header("Sec-WebSocket-Key", websocket_key);
            let request = request.header("Connection", connection).header("Upgrade", upgrade).body(()).unwrap();
            match block_on(world.guard.decide(&request)) {
                Decision::Denied(denial) => assert_eq!(denial.kind(), Kind::Limited, "{connection}, {upgrade}"),
                Decision::Allowed(_) => panic!("{connection}, {upgrade}: one more than the policy has"),
            }
        }
    }
    drop(socket);
}

#[test]
fn a_reload_counts_on() {
    let world = world("[websocket]\nconnections_per_key = 1");
    let (_, key) = world.key();
    let socket = world.open(&key);
    let policy = Policy::from_toml("policy.toml", "[websocket]\nconnections_per_key = 1").unwrap();
    let next =
        Guard::builder(policy).store(world.store.clone()).clock(world.clock.clone()).sharing(&world.guard).build().unwrap();
    assert_eq!(decide(&next, &key).map(drop), Err(Kind::Limited));
    drop(socket);
    assert!(decide(&next, &key).is_ok());
}

#[test]
fn a_connection_is_judged_by_the_store_of_the_guard_that_let_it_in() {
    let policy = || Policy::from_toml("policy.toml", "[websocket]\nconnections_per_key = 9").unwrap();
    let old = MemoryStore::new();
    let made = block_on(Keys::new(old.clone()).create(NewKey::named("in both"))).unwrap();
    // As a reload reads it from a file; a copy of the record itself would share its revocation.
    let new = MemoryStore::from_snapshot(&old.snapshot()).unwrap();
    let only_new = block_on(Keys::new(new.clone()).create(NewKey::named("only there"))).unwrap();

    let first = Guard::builder(policy()).store(old.clone()).build().unwrap();
    let second = Guard::builder(policy()).store(new.clone()).sharing(&first).build().unwrap();
    let open = |guard: &Guard, key: &str| decide(guard, key).unwrap().live_socket();
    let mut by_first = open(&first, made.secret().expose());
    let mut by_second = open(&second, made.secret().expose());
    let mut unknown_to_first = open(&second, only_new.secret().expose());
    drop(first);
    sweep(&by_second);
    assert_eq!((ended(&mut by_first), ended(&mut by_second), ended(&mut unknown_to_first)), (None, None, None));

    block_on(Keys::new(new).revoke(&made.record().id)).unwrap();
    sweep(&by_first);
    let ends = (ended(&mut by_first), ended(&mut by_second), ended(&mut unknown_to_first));
    assert_eq!(ends, (None, Some(SocketEnd::KeyEnded), None), "revoked in the store that let it in, and in no other");
    block_on(Keys::new(old).revoke(&made.record().id)).unwrap();
    sweep(&by_first);
    assert_eq!(ended(&mut by_first), Some(SocketEnd::KeyEnded));
}

#[test]
fn a_reload_that_adds_a_store_watches_its_keys() {
    let policy = || Policy::from_toml("policy.toml", "[[configured_keys]]\nenv = 'API_KEY'").unwrap();
    let builder = || Guard::builder(policy()).environment(|_| Some("configured-key".into()));
    let first = builder().build().unwrap();
    let store = MemoryStore::new();
    let made = block_on(Keys::new(store.clone()).create(NewKey::named("added"))).unwrap();
    let second = builder().store(store.clone()).sharing(&first).build().unwrap();
    let mut socket = decide(&second, made.secret().expose()).unwrap().live_socket();
    block_on(Keys::new(store).revoke(&made.record().id)).unwrap();
    sweep(&socket);
    assert_eq!(ended(&mut socket), Some(SocketEnd::KeyEnded));
}

#[test]
fn nobody_counts_as_nobody() {
    let policy = "authenticators = ['configured']\n[[configured_keys]]\nenv = 'API_KEY'";
    let policy = Policy::from_toml("policy.toml", policy).unwrap();
    let guard = Guard::builder(policy).environment(|_| Some("configured-key".into())).build().unwrap();
    let mut socket = decide(&guard, "configured-key").unwrap().live_socket();
    assert!(socket.sweeper().is_none(), "a configured key lives as long as the process");
    assert_eq!(ended(&mut socket), None);
}
