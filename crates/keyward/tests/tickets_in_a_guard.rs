//! R14 from end to end in one process: a key is exchanged for a ticket, and the ticket opens one WebSocket.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use keyward::audit::{LineFormat, Lines};
use keyward::clock::ManualClock;
use keyward::key::KeyId;
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{Decision, Guard, Keys, Kind, MemoryStore, NewKey, Pass, Policy, SystemRandom, Timestamp};
use pollster::block_on;
use serde_json::Value;

const POLICY: &str = "[tickets]\nquery = 'token'\n";

struct World {
    guard: Guard,
    keys: Keys,
    clock: ManualClock,
    store: MemoryStore,
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn secret() -> ServerSecret {
    ServerSecret::generate(&SystemRandom).unwrap()
}

fn world(policy: &str) -> World {
    world_of(policy, Tickets::new(secret()))
}

fn world_of(policy: &str, tickets: Tickets) -> World {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    let store = MemoryStore::new();
    let policy = Policy::from_toml("policy.toml", policy).unwrap();
    let guard = Guard::builder(policy).store(store.clone()).clock(clock.clone()).tickets(tickets).build().unwrap();
    let keys = Keys::new(store.clone()).clock(clock.clone());
    World { guard, keys, clock, store }
}

impl World {
    fn key(&self) -> (KeyId, String) {
        let made = block_on(self.keys.create(NewKey::named("socket"))).unwrap();
        (made.record().id, made.secret().expose().to_owned())
    }

    fn exchange(&self, key: &str) -> Response<Bytes> {
        exchange(&self.guard, key)
    }

    fn ticket(&self, key: &str) -> String {
        ticket_in(&self.exchange(key))
    }

    fn open(&self, ticket: &str) -> Result<Pass, Kind> {
        open(&self.guard, ticket)
    }
}

fn exchange(guard: &Guard, key: &str) -> Response<Bytes> {
    let request = Request::post("/auth/token").header("X-API-Key", key).body(()).unwrap();
    match block_on(guard.decide(&request)) {
        Decision::Allowed(pass) => block_on(pass.ticket("/auth/token")),
        Decision::Denied(denial) => denial.into_response(),
    }
}

fn ticket_in(answer: &Response<Bytes>) -> String {
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    let told: Value = serde_json::from_slice(answer.body()).unwrap();
    told["token"].as_str().unwrap().to_owned()
}

fn handshake(target: &str) -> http::request::Builder {
    Request::get(target)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn open(guard: &Guard, ticket: &str) -> Result<Pass, Kind> {
    let request = handshake(&format!("/ws?token={ticket}")).body(()).unwrap();
    match block_on(guard.decide(&request)) {
        Decision::Allowed(pass) => Ok(pass),
        Decision::Denied(denial) => Err(denial.kind()),
    }
}

#[test]
fn a_ticket_is_used_up_before_scopes_and_limits_are_looked_at() {
    for (policy, first) in
        [("[[routes]]\npath = '/ws'\nscopes = ['sockets:open']", Kind::Scope), ("[limits]\nper_key = ['1/hour']", Kind::Limited)]
    {
        let world = world(&format!("{POLICY}{policy}"));
        // To ask for it takes the one permission of the limit.
        let ticket = world.ticket(&world.key().1);
        assert_eq!(world.open(&ticket).map(drop), Err(first));
        assert_eq!(world.open(&ticket).map(drop), Err(Kind::Revoked), "{policy}");
    }
}

#[test]
fn a_ticket_is_good_for_complete_handshakes_alone() {
    let world = world(POLICY);
    let (_, key) = world.key();
    let ticket = world.ticket(&key);
    for (name, wrong) in [
        ("Sec-WebSocket-Key", None),
        ("Sec-WebSocket-Key", Some("x")),
        ("Sec-WebSocket-Key", Some("dGhlIHNhbXBsZSBub25j")),
        ("Sec-WebSocket-Version", None),
        ("Sec-WebSocket-Version", Some("8")),
        ("Upgrade", Some("h2c, websocket")),
        ("Connection", Some("x-upgrade")),
    ] {
        let mut request = handshake(&format!("/ws?token={ticket}")).body(()).unwrap();
        request.headers_mut().remove(name);
        if let Some(wrong) = wrong {
            request.headers_mut().insert(name, wrong.parse().unwrap());
        }
        match block_on(world.guard.decide(&request)) {
            Decision::Denied(denial) => assert_eq!(denial.kind(), Kind::Missing, "{name}: {wrong:?}"),
            Decision::Allowed(_) => panic!("{name}: {wrong:?}"),
        }
    }
    assert!(world.open(&ticket).is_ok(), "none of these has used it up");
}

#[test]
fn a_key_is_exchanged_for_a_ticket_that_opens_one_connection() {
    let world = world(POLICY);
    let (id, key) = world.key();
    let answer = world.exchange(&key);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let told: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(told["expires_in"], 300);
    let ticket = ticket_in(&answer);

    let pass = world.open(&ticket).unwrap();
    assert_eq!(pass.principal().unwrap().key_id(), Some(id));
    assert_eq!(world.open(&ticket).unwrap_err(), Kind::Revoked, "it was used");
    assert_eq!(world.open(&world.ticket(&key)).unwrap().principal().unwrap().id(), id.as_str());
}

#[test]
fn a_ticket_counts_on_handshakes_alone_and_is_never_a_key() {
    let world = world(POLICY);
    let ticket = world.ticket(&world.key().1);
    let denied = |request: Request<()>| match block_on(world.guard.decide(&request)) {
        Decision::Allowed(_) => panic!("a ticket let {request:?} in"),
        Decision::Denied(denial) => denial.kind(),
    };
    assert_eq!(denied(Request::get(format!("/a?token={ticket}")).body(()).unwrap()), Kind::Missing);
    assert_eq!(denied(Request::get("/a").header("X-API-Key", &ticket).body(()).unwrap()), Kind::Unknown);
    assert_eq!(denied(handshake("/a").header("Authorization", format!("Bearer {ticket}")).body(()).unwrap()), Kind::Unknown);
    assert_eq!(denied(handshake(&format!("/a?token={ticket}&token={ticket}")).body(()).unwrap()), Kind::Duplicate);
    assert!(world.open(&ticket).is_ok(), "none of these has used it up");
}

#[test]
fn beside_a_key_a_ticket_is_a_conflict() {
    let world = world(POLICY);
    let (_, key) = world.key();
    let ticket = world.ticket(&key);
    let request = handshake(&format!("/ws?token={ticket}")).header("X-API-Key", &key).body(()).unwrap();
    let Decision::Denied(denial) = block_on(world.guard.decide(&request)) else { panic!("two credentials") };
    assert_eq!(denial.kind(), Kind::Conflict);
    assert!(world.open(&ticket).is_ok(), "it was not looked at");
}

#[test]
fn a_ticket_holds_until_its_last_nanosecond() {
    for (wait, expected) in
        [(Duration::from_secs(300) - Duration::from_nanos(1), Ok(())), (Duration::from_secs(300), Err(Kind::Expired))]
    {
        let world = world(POLICY);
        let ticket = world.ticket(&world.key().1);
        world.clock.advance(wait);
        assert_eq!(world.open(&ticket).map(drop), expected, "after {wait:?}");
    }
}

#[test]
fn whatever_ends_a_key_ends_its_tickets() {
    let world = world(POLICY);
    type End<'w> = (&'static str, &'w dyn Fn(&KeyId), Kind);
    let ends: [End<'_>; 3] = [
        ("revoked", &|id| drop(block_on(world.keys.revoke(id)).unwrap()), Kind::Unknown),
        ("disabled", &|id| drop(block_on(world.keys.set_disabled(id, true)).unwrap()), Kind::Unknown),
        ("rotated", &|id| drop(block_on(world.keys.rotate(id, Duration::from_secs(3600))).unwrap()), Kind::Unknown),
    ];
    for (what, end, kind) in ends {
        let (id, key) = world.key();
        let ticket = world.ticket(&key);
        end(&id);
        assert_eq!(world.open(&ticket).map(drop), Err(kind), "{what}");
    }
}

#[test]
fn a_ticket_of_the_previous_secret_ends_with_its_grace() {
    for (wait, is_open) in [(59, true), (60, false), (61, false)] {
        let world = world(POLICY);
        let (id, old) = world.key();
        let new = block_on(world.keys.rotate(&id, Duration::from_secs(60))).unwrap().secret().expose().to_owned();
        let (of_old, of_new) = (world.ticket(&old), world.ticket(&new));
        world.clock.advance(Duration::from_secs(wait));
        assert_eq!(world.open(&of_old).is_ok(), is_open, "after {wait} s");
        assert!(world.open(&of_new).is_ok());
    }
}

#[test]
fn another_servers_tickets_and_those_of_another_run_are_unknown() {
    let shared = secret();
    let one = world_of(POLICY, Tickets::new(shared.clone()));
    let (_, key) = one.key();
    let ticket = one.ticket(&key);
    let build = |tickets: Tickets| {
        let policy = Policy::from_toml("policy.toml", POLICY).unwrap();
        Guard::builder(policy).store(one.store.clone()).clock(one.clock.clone()).tickets(tickets).build().unwrap()
    };
    assert_eq!(open(&build(Tickets::new(secret())), &ticket).map(drop), Err(Kind::Unknown));
    // The secret is the same, and what was used before is not known here: it could be a replay.
    assert_eq!(open(&build(Tickets::new(shared)), &ticket).map(drop), Err(Kind::Expired));
    assert!(one.open(&ticket).is_ok());
}

#[test]
fn a_server_secret_is_changed_without_losing_tickets() {
    let (old, new) = (secret(), secret());
    let policy = "[tickets]\nsingle_use = false";
    let before = world_of(policy, Tickets::new(old.clone()));
    let ticket = before.ticket(&before.key().1);
    let build = |tickets: Tickets| {
        let policy = Policy::from_toml("policy.toml", policy).unwrap();
        Guard::builder(policy).store(before.store.clone()).clock(before.clock.clone()).tickets(tickets).build().unwrap()
    };
    let during = build(Tickets::new(new.clone()).previous(old));
    assert!(open(&during, &ticket).is_ok());
    assert!(open(&during, &ticket).is_ok(), "single_use is off");
    assert_eq!(open(&build(Tickets::new(new)), &ticket).map(drop), Err(Kind::Unknown));
}

#[test]
fn a_reload_goes_on_with_the_tickets_that_are_out() {
    let one_secret = secret();
    let world = world_of(POLICY, Tickets::new(one_secret.clone()));
    let (_, key) = world.key();
    let (used, unused) = (world.ticket(&key), world.ticket(&key));
    assert!(world.open(&used).is_ok());
    let policy = Policy::from_toml("policy.toml", POLICY).unwrap();
    let next = Guard::builder(policy).store(world.store.clone()).clock(world.clock.clone());
    let next = next.tickets(Tickets::new(one_secret)).sharing(&world.guard).build().unwrap();
    assert_eq!(open(&next, &used).map(drop), Err(Kind::Revoked));
    assert!(open(&next, &unused).is_ok());
}

#[test]
fn tickets_are_made_for_keys_in_headers_only() {
    let world = world(&format!("sources = [{{ header = 'X-API-Key' }}, {{ query = 'key' }}, {{ cookie = 'key' }}]\n{POLICY}"));
    let (_, key) = world.key();
    for request in [
        Request::post(format!("/auth/token?key={key}")).body(()).unwrap(),
        Request::post("/auth/token").header("Cookie", format!("key={key}")).body(()).unwrap(),
    ] {
        let Decision::Allowed(pass) = block_on(world.guard.decide(&request)) else { panic!("a good key") };
        assert_eq!(block_on(pass.ticket("/auth/token")).status(), StatusCode::FORBIDDEN);
    }
    let pass = world.open(&world.ticket(&key)).unwrap();
    assert_eq!(block_on(pass.ticket("/auth/token")).status(), StatusCode::FORBIDDEN, "a ticket begets none");
    assert_eq!(world.exchange("wrong").status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn bad_tickets_are_charged_and_told() {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    let (store, written) = (MemoryStore::new(), Written::default());
    let policy = Policy::from_toml("policy.toml", "[limits]\nfailures = '3/hour'\n[tickets]\nquery = 'token'").unwrap();
    let guard =
        Guard::builder(policy).store(store.clone()).clock(clock.clone()).audit(Lines::new(written.clone(), LineFormat::Json));
    let guard = guard.tickets(Tickets::new(secret())).build().unwrap();
    let key = block_on(Keys::new(store).clock(clock.clone()).create(NewKey::named("socket"))).unwrap();
    let ask = |ticket: &str| {
        let mut request = handshake(&format!("/ws?token={ticket}")).body(()).unwrap();
        request.extensions_mut().insert(keyward::Peer("203.0.113.9".parse().unwrap()));
        match block_on(guard.decide(&request)) {
            Decision::Allowed(_) => None,
            Decision::Denied(denial) => Some(denial.kind()),
        }
    };
    let ticket = {
        let mut request = Request::post("/auth/token").header("X-API-Key", key.secret().expose()).body(()).unwrap();
        request.extensions_mut().insert(keyward::Peer("203.0.113.9".parse().unwrap()));
        let Decision::Allowed(pass) = block_on(guard.decide(&request)) else { panic!("a good key") };
        ticket_in(&block_on(pass.ticket("/auth/token")))
    };
    assert_eq!(ask(&ticket), None);
    assert_eq!(ask(&ticket), Some(Kind::Revoked));
    assert_eq!(ask("a.b.c"), Some(Kind::Malformed));
    assert_eq!(ask(&ticket), Some(Kind::Revoked));
    assert_eq!(ask(&ticket), Some(Kind::FailuresLimited));
    let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[2]["reason"], "revoked");
    assert_eq!(lines[2]["key_id"], key.record().id.as_str());
    assert_eq!(lines[2]["source"], "query");
    assert!(lines.iter().all(|line| !line.to_string().contains(&ticket)));
}

#[test]
fn explain_uses_nothing_up() {
    let world = world(POLICY);
    let ticket = world.ticket(&world.key().1);
    let request = handshake(&format!("/ws?token={ticket}")).body(()).unwrap();
    for _ in 0..2 {
        let told = serde_json::to_value(block_on(world.guard.explain(&request))).unwrap();
        assert_eq!(told["decision"], "allow", "{told}");
        assert_eq!(told["candidates"][0]["source"], "query");
    }
    assert!(world.open(&ticket).is_ok());
    let told = serde_json::to_value(block_on(world.guard.explain(&request))).unwrap();
    assert_eq!((told["decision"].as_str(), told["denial"].as_str()), (Some("deny"), Some("revoked")));
}

#[test]
fn a_decision_that_may_wait_uses_no_ticket_up() {
    let world = world(POLICY);
    let ticket = world.ticket(&world.key().1);
    let request = handshake(&format!("/ws?token={ticket}")).body(()).unwrap();
    assert!(world.guard.try_decide(&request).is_none());
    assert!(world.open(&ticket).is_ok());
}

#[test]
fn plain_tickets_are_the_one_configured_keys() {
    const KEY: &str = "kN3vQ8xWz5RtY7uPb2LmC9dFg6HjA4sE";
    let policy =
        "authenticators = ['configured']\n[[configured_keys]]\nenv = 'API_KEY'\n[tickets]\nplain = true\nsingle_use = false";
    let build = |key: &'static str| {
        let policy = Policy::from_toml("policy.toml", policy).unwrap();
        Guard::builder(policy).environment(move |_| Some(key.into())).build()
    };
    let guard = build(KEY).unwrap();
    let ticket = ticket_in(&exchange(&guard, KEY));
    for _ in 0..2 {
        assert_eq!(open(&guard, &ticket).unwrap().principal().unwrap().name(), "API_KEY");
    }
    let other = build("Zq9wX2cV7bN4mK1jH6gF3dS8aP5oI0uY").unwrap();
    assert_eq!(open(&other, &ticket).map(drop), Err(Kind::Unknown));
    for weak in ["short", "kN3vQ8xWz5RtY7uPb2LmC9dFg6HjA4s", "secretsecretsecretsecretsecretsecret"] {
        let error = build(weak).unwrap_err().to_string();
        assert!(error.contains("API_KEY") && !error.contains(weak), "{error}");
    }
}

#[test]
fn a_policy_with_tickets_needs_a_secret() {
    let policy = Policy::from_toml("policy.toml", POLICY).unwrap();
    let error = Guard::builder(policy).store(MemoryStore::new()).build().unwrap_err().to_string();
    assert!(error.contains("tickets") && error.contains("GuardBuilder::tickets"), "{error}");
    for (bad, what) in [
        ("[tickets]\nplain = true", "single_use"),
        ("[tickets]\nplain = true\nsingle_use = false", "configured key"),
        ("[tickets]\nissuer = ''", "issuer"),
        ("[websocket]\nconnections_per_key = 0", "connections_per_key"),
    ] {
        let error = Policy::from_toml("policy.toml", bad).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn the_clock_is_the_guards() {
    let world = world(POLICY);
    let ticket = world.ticket(&world.key().1);
    // Civil time goes back by an hour: the ticket would be one from the future.
    world.clock.set(Timestamp::from_unix_seconds(1_800_000_000 - 3_600));
    assert_eq!(world.open(&ticket).map(drop), Err(Kind::NotYetValid));
}
