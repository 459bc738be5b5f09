//! What a guard does with parts that wait, fail or are its user's own. The rules themselves are tested by the behaviour suite.

use std::ffi::OsString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Request;
use keyward::audit::{AuditEvent, AuditSink};
use keyward::clock::{ManualClock, Now};
use keyward::import::keys_file;
use keyward::key::Record;
use keyward::limit::{Charge, Limits, LocalLimits, Taking, Whose};
use keyward::store::{Filter, KeyStore, Presented};
use keyward::{
    Ambient, Answer, Authenticator, Decision, Fault, Guard, GuardBuilder, Identity, Keys, Kind, MemoryStore, NewKey, Pass, Peer,
    Policy, Refusal, Timestamp, Verdict, scopes,
};

/// Keeps `outcome reason (report_only)` of every event.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl AuditSink for Told {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let report = event.report_only.map(|kind| format!(" ({kind})")).unwrap_or_default();
        self.0.lock().unwrap().push(format!("{} {}{report}", event.outcome, event.reason));
        Answer::ready(())
    }
}

fn builder(policy: &str) -> GuardBuilder {
    Guard::builder(Policy::from_toml("policy.toml", policy).unwrap())
}

fn with(builder: http::request::Builder) -> Request<()> {
    builder.extension(Peer([192, 0, 2, 1].into())).body(()).unwrap()
}

fn get(key: &str) -> Request<()> {
    with(Request::get("/").header("x-api-key", key))
}

fn kind(decision: &Decision) -> Option<Kind> {
    match decision {
        Decision::Allowed(_) => None,
        Decision::Denied(denial) => Some(denial.kind()),
    }
}

fn pass(decision: Decision) -> Pass {
    match decision {
        Decision::Allowed(pass) => pass,
        Decision::Denied(denial) => panic!("denied: {}", denial.kind()),
    }
}

fn made(store: &MemoryStore, new: NewKey) -> String {
    pollster::block_on(Keys::new(store.clone()).create(new)).unwrap().secret().expose().to_owned()
}

fn imported(store: &MemoryStore, row: &str) {
    pollster::block_on(Keys::new(store.clone()).import(keys_file(row).next().unwrap().unwrap())).unwrap();
}

/// A store that is always somewhere else.
struct Distant {
    store: MemoryStore,
    trips: Arc<AtomicUsize>,
    fails: bool,
}

impl KeyStore for Distant {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let (found, trips, fails) = (self.store.find(presented), self.trips.clone(), self.fails);
        Answer::Pending(Box::pin(async move {
            trips.fetch_add(1, Ordering::SeqCst);
            if fails { Err(Fault::new("the database is away")) } else { found.wait().await }
        }))
    }

    fn binds(&self, prefix: &str) -> bool {
        self.store.binds(prefix)
    }
}

#[test]
fn what_would_wait_is_not_decided_by_trying_and_nothing_is_charged_or_told() {
    let (store, told, trips) = (MemoryStore::new(), Told::default(), Arc::new(AtomicUsize::new(0)));
    let key = made(&store, NewKey::named("a").limit("1/hour").unwrap());
    let guard = builder("").store(Distant { store, trips: trips.clone(), fails: false }).audit(told.clone()).build().unwrap();
    assert!(guard.try_decide(&get(&key)).is_none());
    assert!(guard.try_decide(&get(&key)).is_none());
    assert_eq!((trips.load(Ordering::SeqCst), told.take().len()), (0, 0));
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), None);
    assert_eq!(kind(&pollster::block_on(guard.decide_owned(&get(&key)))), Some(Kind::Limited));
    assert_eq!(told.take(), ["allow valid", "deny limited"]);
}

#[test]
fn a_store_that_fails_is_503_even_if_a_later_authenticator_knows_the_key() {
    let store = Distant { store: MemoryStore::new(), trips: Arc::default(), fails: true };
    let guard = builder("[[configured_keys]]\nenv = \"KEYS\"").store(store);
    let guard = guard.environment(|_| Some(OsString::from("configured-key"))).build().unwrap();
    let Decision::Denied(denial) = guard.decide_blocking(&get("configured-key")) else { panic!("a fault is never a pass") };
    assert_eq!((denial.kind(), denial.status().as_u16()), (Kind::Unavailable, 503));
    assert_eq!(denial.headers()["retry-after"], "1");
    assert!(!String::from_utf8_lossy(denial.body()).contains("database"));
}

#[test]
fn a_wrong_check_costs_no_trip() {
    let (store, trips) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let mut key = made(&store, NewKey::named("a"));
    let last = if key.ends_with('a') { 'b' } else { 'a' };
    key.pop();
    key.push(last);
    let guard = builder("").store(Distant { store, trips: trips.clone(), fails: false }).build().unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), Some(Kind::Malformed));
    assert_eq!(trips.load(Ordering::SeqCst), 0);
}

#[test]
fn where_the_failure_budget_is_spent_nothing_travels_and_memory_still_answers() {
    let (store, trips) = (MemoryStore::new(), Arc::new(AtomicUsize::new(0)));
    let key = made(&store, NewKey::named("a"));
    let policy = "[limits]\nfailures = \"1/minute\"";
    let near = builder(policy).store(store.clone()).build().unwrap();
    let far = builder(policy).store(Distant { store, trips: trips.clone(), fails: false }).build().unwrap();
    for guard in [&near, &far] {
        assert_eq!(kind(&guard.decide_blocking(&get("nobody-knows"))), Some(Kind::Unknown));
        assert_eq!(kind(&guard.decide_blocking(&get("nobody-knows"))), Some(Kind::FailuresLimited));
        assert_eq!(kind(&guard.decide_blocking(&with(Request::get("/")))), Some(Kind::Missing));
    }
    assert_eq!(trips.load(Ordering::SeqCst), 1);
    assert_eq!(kind(&near.decide_blocking(&get(&key))), None);
    assert_eq!(kind(&far.decide_blocking(&get(&key))), Some(Kind::FailuresLimited));
    assert_eq!(trips.load(Ordering::SeqCst), 1);
}

#[test]
fn a_low_entropy_key_is_verified_once_and_remembered_until_it_is_rotated_or_revoked() {
    let store = MemoryStore::new();
    imported(&store, r#"{"key":"customer1-secret","handle":"customer1","name":"legacy"}"#);
    let started = Arc::new(AtomicUsize::new(0));
    let counter = started.clone();
    let workers = move |job: keyward::Job| {
        counter.fetch_add(1, Ordering::SeqCst);
        std::thread::spawn(job);
    };
    let guard = builder("").store(store.clone()).workers(workers).build().unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get("customer1-wrong"))), Some(Kind::Unknown));
    assert!(guard.try_decide(&get("customer1-secret")).is_none());
    assert_eq!(kind(&guard.decide_blocking(&get("customer1-secret"))), None);
    assert_eq!(started.load(Ordering::SeqCst), 2);
    assert!(matches!(guard.try_decide(&get("customer1-secret")), Some(Decision::Allowed(_))));
    assert_eq!(kind(&guard.decide_blocking(&get("customer2-secret"))), Some(Kind::Unknown));
    assert_eq!(started.load(Ordering::SeqCst), 2);

    let keys = Keys::new(store);
    let id = pollster::block_on(keys.list(&Filter::default(), None, 10)).unwrap()[0].id;
    let rotated = pollster::block_on(keys.rotate(&id, Duration::from_secs(3_600))).unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get(rotated.secret().expose()))), None);
    assert!(pass(guard.decide_blocking(&get("customer1-secret"))).principal().unwrap().is_by_previous_secret());
    pollster::block_on(keys.revoke(&id)).unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get("customer1-secret"))), Some(Kind::Revoked));
    assert_eq!(kind(&guard.decide_blocking(&get(rotated.secret().expose()))), Some(Kind::Revoked));
}

#[test]
fn at_most_one_slow_verification_a_request() {
    let store = MemoryStore::new();
    imported(&store, r#"{"key":"customer1-secret","handle":"customer1"}"#);
    imported(&store, r#"{"key":"customer2-secret","handle":"customer2"}"#);
    let started = Arc::new(AtomicUsize::new(0));
    let counter = started.clone();
    let workers = move |job: keyward::Job| {
        counter.fetch_add(1, Ordering::SeqCst);
        job();
    };
    let guard = builder("resolution = \"first-valid\"").store(store).workers(workers).build().unwrap();
    let request =
        with(Request::get("/").header("authorization", "Bearer customer1-wrong").header("x-api-key", "customer2-secret"));
    assert_eq!(kind(&guard.decide_blocking(&request)), Some(Kind::Unknown));
    assert_eq!(started.load(Ordering::SeqCst), 1);
}

/// Sessions by cookie, and by Bearer with their prefix.
struct Sessions;

impl Sessions {
    fn verdict(token: &[u8]) -> Verdict {
        match token {
            b"alice" | b"kws_alice" => {
                let scopes = vec!["reports:read".parse().unwrap()];
                Verdict::Is(Box::new(Identity { id: "alice".into(), name: "Alice".into(), scopes, ..Identity::default() }))
            }
            b"kws_dead" => Verdict::Refused(Refusal::Expired),
            _ => Verdict::NotMine,
        }
    }
}

impl Authenticator for Sessions {
    fn name(&self) -> &str {
        "session"
    }

    fn cookie(&self) -> Option<&str> {
        Some("session")
    }

    fn ambient(&self, ambient: &Ambient<'_>) -> Answer<Verdict> {
        Answer::ready(ambient.cookie().map_or(Verdict::NotMine, Self::verdict))
    }

    fn authenticate(&self, presented: &Presented<'_>, _: Now) -> Answer<Verdict> {
        Answer::ready(Self::verdict(presented.expose().as_bytes()))
    }
}

#[test]
fn sessions_are_asked_in_their_turn_and_conflict_with_nothing() {
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("key"));
    let sessions = |order: &str| {
        let policy = format!("{order}\n[access]\npublic_url = \"https://own.example\"");
        builder(&policy).store(store.clone()).authenticator(Sessions).build().unwrap()
    };
    let guard = sessions("");
    let who = |guard: &Guard, request: &Request<()>| match guard.decide_blocking(request) {
        Decision::Allowed(pass) => pass.principal().unwrap().name().to_owned(),
        Decision::Denied(denial) => denial.kind().to_string(),
    };
    let cookie = |cookie: &str| Request::get("/").header("cookie", cookie);
    let store_first = sessions("authenticators = [\"store\", \"session\"]");
    assert_eq!(who(&guard, &with(cookie("session=alice"))), "Alice");
    assert_eq!(who(&guard, &with(cookie("session=alice").header("x-api-key", &key))), "Alice");
    assert_eq!(who(&store_first, &with(cookie("session=alice").header("x-api-key", &key))), "key");
    assert_eq!(who(&guard, &with(cookie("session=mallory").header("x-api-key", &key))), "key");
    assert_eq!(who(&guard, &with(cookie("session=alice; session=alice"))), "missing");
    assert_eq!(who(&guard, &with(cookie("session=mallory"))), "missing");
    assert_eq!(who(&guard, &with(Request::get("/").header("authorization", "Bearer kws_alice"))), "Alice");
    assert_eq!(who(&guard, &with(Request::get("/").header("authorization", "Bearer kws_dead"))), "expired");
    // R13: the browser sends the cookie by itself, so the origin decides; a Bearer is sent on purpose.
    let post = |name: &str, value: &str| with(Request::post("/").header("cookie", "session=alice").header(name, value));
    assert_eq!(who(&guard, &post("origin", "https://own.example")), "Alice");
    assert_eq!(who(&guard, &post("origin", "https://other.example")), "origin");
    assert_eq!(who(&guard, &post("sec-fetch-site", "cross-site")), "origin");
    let bearer = Request::post("/").header("authorization", "Bearer kws_alice").header("origin", "https://other.example");
    assert_eq!(who(&guard, &with(bearer)), "Alice");
}

#[test]
fn new_rules_can_be_tried_before_they_are_enforced() {
    let (store, told) = (MemoryStore::new(), Told::default());
    let key = made(&store, NewKey::named("a"));
    let policy = r#"
        [report_only.network]
        deny = ["203.0.113.0/24"]
        [report_only.limits]
        per_key = ["1/hour"]
        [[report_only.routes]]
        path = "/reports/*"
        scopes = ["reports:read"]
    "#;
    let guard = builder(policy).store(store).audit(told.clone()).build().unwrap();
    let ask = |path: &str, peer: [u8; 4]| {
        let request = Request::get(path).header("x-api-key", &key).extension(Peer(peer.into())).body(()).unwrap();
        assert_eq!(kind(&guard.decide_blocking(&request)), None);
        told.take().remove(0)
    };
    assert_eq!(ask("/", [192, 0, 2, 1]), "allow valid");
    assert_eq!(ask("/", [192, 0, 2, 1]), "allow valid (limited)");
    assert_eq!(ask("/reports/1", [192, 0, 2, 1]), "allow valid (scope)");
    assert_eq!(ask("/reports/1", [203, 0, 113, 1]), "allow valid (address)");
}

/// An audit whose disk is full.
struct FullDisk;

impl AuditSink for FullDisk {
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        Answer::fault(Fault::new("no space left"))
    }
}

#[test]
fn a_required_audit_that_fails_makes_503_of_an_allowed_request_and_leaves_denials() {
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a"));
    let guard =
        |mode: &str| builder(&format!("[audit]\nmode = \"{mode}\"")).store(store.clone()).audit(FullDisk).build().unwrap();
    assert_eq!(kind(&guard("required").decide_blocking(&get(&key))), Some(Kind::Unavailable));
    assert_eq!(kind(&guard("required").decide_blocking(&get("unknown"))), Some(Kind::Unknown));
    assert_eq!(kind(&guard("best-effort").decide_blocking(&get(&key))), None);
}

#[test]
fn a_guard_within_another_asks_for_more_and_does_not_decide_again() {
    let (store, told) = (MemoryStore::new(), Told::default());
    let key = made(&store, NewKey::named("a").scope("reports:*").unwrap().limit("1/hour").unwrap());
    let guard = builder("[access]\nopen_paths = [\"/open\"]").store(store.clone()).audit(told.clone()).build().unwrap();
    let outer = pass(guard.decide_blocking(&get(&key)));
    let request = get(&key);
    let within = |guard: Guard, pass: &Pass| match guard.within(pass, &request) {
        None => panic!("another guard's"),
        Some(Ok(())) => None,
        Some(Err(Answer::Ready(Ok(denial)))) => Some(denial),
        Some(Err(_)) => panic!("this sink never waits"),
    };
    assert!(within(guard.requiring(scopes!["reports:read"]), &outer).is_none());
    let denial = within(guard.requiring(scopes!["admin"]), &outer).unwrap();
    assert_eq!(denial.headers()["www-authenticate"], "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"admin\"");
    assert_eq!(told.take(), ["allow valid", "deny scope"]);
    let open = pass(guard.decide_blocking(&with(Request::get("/open"))));
    assert_eq!(within(guard.requiring(scopes!["admin"]), &open).unwrap().kind(), Kind::Missing);
    assert!(within(guard.clone(), &open).is_none());
    // Alone, it does not let an open path through either.
    assert_eq!(kind(&guard.requiring(scopes!["admin"]).decide_blocking(&with(Request::get("/open")))), Some(Kind::Missing));
    // Another guard's pass proves nothing to this one.
    assert!(builder("").store(store).build().unwrap().within(&outer, &get("")).is_none());
}

#[test]
fn without_keys_it_is_open_only_where_that_was_asked_for() {
    let policy = |insecure: bool| {
        format!(
            "[access]\ninsecure_allow_without_keys = {insecure}\n[[configured_keys]]\nenv = \"A\"\nseparator = \",\"\n[[routes]]\npath = \"/scoped\"\nscopes = [\"x\"]"
        )
    };
    let build = |insecure, value: Option<&'static str>| {
        builder(&policy(insecure)).environment(move |_| value.map(OsString::from)).build()
    };
    for blank in [None, Some(""), Some("  \t")] {
        let guard = build(true, blank).unwrap();
        assert!(pass(guard.decide_blocking(&with(Request::get("/")))).principal().is_none());
        assert_eq!(kind(&guard.decide_blocking(&with(Request::get("/scoped")))), Some(Kind::Missing));
        assert!(build(false, blank).unwrap_err().to_string().contains("A is not set"));
    }
    for insecure in [true, false] {
        assert!(build(insecure, Some(" , ,")).unwrap_err().to_string().starts_with("A: "));
    }
    let guarded = build(true, Some("one, two")).unwrap();
    assert_eq!(kind(&guarded.decide_blocking(&with(Request::get("/")))), Some(Kind::Missing));
    assert_eq!(kind(&guarded.decide_blocking(&get("two"))), None);
    let beside_a_store = builder(&policy(true)).environment(|_| None).store(MemoryStore::new()).build().unwrap();
    assert_eq!(kind(&beside_a_store.decide_blocking(&with(Request::get("/")))), Some(Kind::Missing));
}

#[test]
fn explaining_consumes_nothing() {
    let (store, told) = (MemoryStore::new(), Told::default());
    let key = made(&store, NewKey::named("a").limit("1/hour").unwrap());
    let guard = builder("[limits]\nfailures = \"1/hour\"").store(store).audit(told.clone()).build().unwrap();
    for _ in 0..3 {
        let explanation = pollster::block_on(guard.explain(&get(&key)));
        assert_eq!((explanation.decision, explanation.principal.unwrap().name.as_str()), ("allow", "a"));
        let explanation = pollster::block_on(guard.explain(&get("unknown")));
        assert_eq!((explanation.decision, explanation.denial, explanation.status), ("deny", Some("unknown"), 401));
        assert_eq!(explanation.candidates[0].outcome, "unknown");
    }
    assert!(told.take().is_empty());
    assert_eq!(kind(&guard.decide_blocking(&get("unknown"))), Some(Kind::Unknown));
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), None);
    assert_eq!(pollster::block_on(guard.explain(&get(&key))).denial, Some("limited"));
    assert_eq!(pollster::block_on(guard.explain(&get("unknown"))).denial, Some("failures-limited"));
}

#[test]
fn explaining_tells_what_came_of_each_candidate() {
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a"));
    // A key that was made here, with one character of its check changed.
    let last = if key.ends_with('a') { "b" } else { "a" };
    let damaged = format!("{}{last}", &key[..key.len() - 1]);
    let policy = "resolution = \"first-valid\"\nsources = [{ header = \"a\" }, { header = \"b\" }, { header = \"c\" }]";
    let guard = builder(policy).store(store).build().unwrap();
    let outcomes = |keys: [&str; 3]| {
        let [a, b, c] = keys;
        let request = Request::get("/").header("a", a).header("b", b).header("c", c).body(()).unwrap();
        let told = pollster::block_on(guard.explain(&request));
        (told.decision, told.candidates.iter().map(|candidate| candidate.outcome.to_string()).collect::<Vec<_>>().join(", "))
    };
    assert_eq!(outcomes([&damaged, "unknown", &key]), ("allow", "malformed, unknown, valid".to_owned()));
    assert_eq!(outcomes([&damaged, "unknown", "other"]), ("deny", "malformed, unknown, unknown".to_owned()));
}

#[test]
fn where_a_rule_needs_the_address_and_there_is_none_it_is_503() {
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a"));
    let bound = made(&store, NewKey::named("b").allow_ips(["192.0.2.0/24"]).unwrap());
    let nowhere = |key: &str| Request::get("/").header("x-api-key", key).body(()).unwrap();
    for policy in [
        "[network]\nallow = [\"10.0.0.0/8\"]",
        "[network]\ndeny = [\"10.0.0.0/8\"]",
        "[limits]\nfailures = \"9/minute\"",
        "[limits]\nper_address = [\"9/minute\"]",
    ] {
        let guard = builder(policy).store(store.clone()).build().unwrap();
        assert_eq!(kind(&guard.decide_blocking(&nowhere(&key))), Some(Kind::Unavailable), "{policy}");
    }
    let guard = builder("").store(store).build().unwrap();
    assert_eq!(kind(&guard.decide_blocking(&nowhere(&key))), None);
    assert_eq!(kind(&guard.decide_blocking(&nowhere(&bound))), Some(Kind::Unavailable));
    assert_eq!(kind(&guard.decide_blocking(&get(&bound))), None);
}

#[test]
fn grace_and_expiry_end_at_their_instant() {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_000));
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone()).clock(clock.clone());
    let guard = builder("").store(store).clock(clock.clone()).build().unwrap();
    let new = NewKey::named("a").not_before(Timestamp::from_unix_seconds(1_001)).expires_at(Timestamp::from_unix_seconds(2_000));
    let made = pollster::block_on(keys.create(new)).unwrap();
    let id = made.record().id;
    let at = |nanoseconds: i64, key: &str| {
        clock.set(Timestamp::from_unix_nanoseconds(nanoseconds));
        kind(&guard.decide_blocking(&get(key)))
    };
    let (first, second) = (made.secret().expose(), 1_000_000_000);
    assert_eq!(at(1_001 * second - 1, first), Some(Kind::NotYetValid));
    assert_eq!(at(1_001 * second, first), None);
    let rotated = pollster::block_on(keys.rotate(&id, Duration::from_secs(60))).unwrap();
    assert_eq!(at(1_061 * second - 1, first), None);
    assert_eq!(at(1_061 * second, first), Some(Kind::Expired));
    assert_eq!(at(1_061 * second, rotated.secret().expose()), None);
    assert_eq!(at(2_000 * second - 1, rotated.secret().expose()), None);
    assert_eq!(at(2_000 * second, rotated.secret().expose()), Some(Kind::Expired));
    // Rotating again ends the older secret at once.
    clock.set(Timestamp::from_unix_seconds(1_002));
    pollster::block_on(keys.rotate(&id, Duration::from_secs(3_600))).unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get(first))), Some(Kind::Unknown));
}

#[test]
fn guards_can_share_what_is_charged() {
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a"));
    let policy = "[limits]\nper_key = [\"2/day\"]\nfailures = \"2/day\"";
    let first = builder(policy).store(store.clone()).build().unwrap();
    let second = builder(policy).store(store.clone()).sharing(&first).build().unwrap();
    for guard in [&first, &second] {
        assert_eq!(kind(&guard.decide_blocking(&get(&key))), None);
        assert_eq!(kind(&guard.decide_blocking(&get("unknown"))), Some(Kind::Unknown));
    }
    for guard in [&first, &second] {
        assert_eq!(kind(&guard.decide_blocking(&get(&key))), Some(Kind::Limited));
        assert_eq!(kind(&guard.decide_blocking(&get("unknown"))), Some(Kind::FailuresLimited));
    }
    // What was refused because the budget is spent is charged to nobody.
    assert_eq!((first.failures_charged(), second.failures_charged()), (Some(2), Some(2)));
    let unbounded = builder("[limits]\nfailures = \"off\"").store(store.clone()).build().unwrap();
    assert_eq!(unbounded.failures_charged(), None);
    // A reloaded policy with another limit forgets nothing that was charged (R9.4).
    let reloaded = builder("[limits]\nper_key = [\"3/day\"]\nfailures = \"3/day\"").store(store).sharing(&first).build().unwrap();
    assert_eq!(kind(&reloaded.decide_blocking(&get(&key))), None);
    assert_eq!(kind(&reloaded.decide_blocking(&get(&key))), Some(Kind::Limited));
}

#[test]
fn no_header_of_credentials_can_carry_ids() {
    for name in [
        "X-API-Key",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "WWW-Authenticate",
        "RateLimit",
        "X-RateLimit-Limit",
        "Content-Length",
        "Connection",
        "Upgrade",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "sec-websocket-key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Version",
        "a b",
    ] {
        let policy = format!("[response]\nrequest_id_header = \"{name}\"");
        assert!(Policy::from_toml("policy.toml", &policy).is_err(), "{name}");
    }
    let other_way_round = "sources = [{ header = \"X-Trace\" }]\n[response]\nrequest_id_header = \"X-Trace\"";
    assert_eq!(Policy::from_toml("policy.toml", other_way_round).unwrap_err().faults()[0].line, Some(1));
}

#[test]
fn a_principal_tells_which_scopes_it_holds() {
    let store = MemoryStore::new();
    let scoped = NewKey::named("scoped").scope("reports:*").unwrap().scope("jobs:run").unwrap();
    let made = pollster::block_on(Keys::new(store.clone()).create(scoped)).unwrap();
    let guard = builder("").store(store).build().unwrap();
    let request = Request::get("/").header("x-api-key", made.secret().expose()).body(()).unwrap();
    let Decision::Allowed(pass) = guard.decide_blocking(&request) else { panic!("a good key is let in") };
    let holds = |scope| pass.principal().unwrap().has_scope(scope);
    assert!(holds("jobs:run") && holds("reports:read") && holds("reports:read:all"));
    assert!(!holds("jobs") && !holds("jobs:run:now") && !holds("reports") && !holds("other"));
}

/// Counts at once what a request takes, and lets nobody know of a bad key before a while: as shared limits do that are away.
#[derive(Clone, Default)]
struct HalfAway(LocalLimits, Arc<AtomicUsize>);

impl Limits for HalfAway {
    fn take(&self, taking: &Taking<'_>) -> Answer<Charge> {
        if matches!(taking.buckets[0].whose, Whose::Failures { .. }) {
            self.1.fetch_add(1, Ordering::SeqCst);
            return Answer::Pending(Box::pin(async { Ok(Charge { refused_for: None, standings: Default::default() }) }));
        }
        self.0.take(taking)
    }

    fn counts_failures(&self) -> bool {
        true
    }
}

#[test]
fn trying_to_decide_takes_nothing_where_a_bad_key_beside_a_good_one_is_counted_elsewhere() {
    let (store, limits) = (MemoryStore::new(), HalfAway::default());
    let key = made(&store, NewKey::named("k"));
    let policy = "resolution = \"first-valid\"\n[limits]\nper_key = [\"3/hour\"]\nfailures = \"9/hour\"";
    let guard = builder(policy).store(store).limits(limits.clone()).build().unwrap();
    let request = with(
        Request::get("/")
            .header("authorization", "Bearer nobody-has-this")
            .header("x-api-key", &key)
            .extension(Peer([192, 0, 2, 1].into())),
    );
    for left in [2, 1, 0] {
        assert!(guard.try_decide(&request).is_none(), "a bad key is counted elsewhere");
        assert_eq!(pass(guard.decide_blocking(&request)).quotas()[0].remaining, left);
    }
    assert_eq!(kind(&guard.decide_blocking(&request)), Some(Kind::Limited));
    assert_eq!(limits.1.load(Ordering::SeqCst), 4);
}

#[test]
fn to_look_at_quotas_takes_nothing() {
    let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::EPOCH));
    let keys = Keys::new(store.clone());
    let make = |new: NewKey| pollster::block_on(keys.create(new)).unwrap();
    let ada = make(NewKey::named("ada's").owner("ada"));
    let own = make(NewKey::named("ada's other").owner("ada").limit("2/minute").unwrap());
    let nobodys = make(NewKey::named("nobody's"));
    let policy = "[limits]\nper_key = [\"3/minute\", \"60/hour\"]\nper_owner = [\"100/day\"]\nper_policy = [\"1000/day\"]";
    let guard = builder(policy).store(store).clock(clock.clone()).build().unwrap();
    let standings = |made: &keyward::Made| {
        let standings = pollster::block_on(guard.quotas_of(made.record())).unwrap();
        standings.iter().map(|standing| (standing.whose, standing.remaining, standing.full_in)).collect::<Vec<_>>()
    };
    let seconds = Duration::from_secs;
    let full = Duration::ZERO;
    // However often it is looked at.
    for _ in 0..5 {
        assert_eq!(standings(&ada), [("key", 3, full), ("key", 60, full), ("owner", 100, full)]);
    }
    assert_eq!(standings(&nobodys), [("key", 3, full), ("key", 60, full)]);
    assert_eq!(kind(&guard.decide_blocking(&get(own.secret().expose()))), None);
    assert_eq!(standings(&own), [("key", 1, seconds(30)), ("owner", 99, seconds(864))]);
    for _ in 0..3 {
        assert_eq!(kind(&guard.decide_blocking(&get(ada.secret().expose()))), None);
    }
    // Of one that refuses, the others stand as they are as well.
    assert_eq!(standings(&ada), [("key", 0, seconds(60)), ("key", 57, seconds(180)), ("owner", 96, seconds(4 * 864))]);
    assert_eq!(kind(&guard.decide_blocking(&get(ada.secret().expose()))), Some(Kind::Limited));
    clock.advance(seconds(20));
    assert_eq!(standings(&ada)[0], ("key", 1, seconds(40)));
    assert_eq!(kind(&guard.decide_blocking(&get(ada.secret().expose()))), None);
}
