//! Doors that were open once, each found by somebody who tried.

use std::ffi::OsString;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use http::Request;
use keyward::audit::{AuditEvent, AuditSink, Ring};
use keyward::clock::{Clock, ManualClock, SystemClock};
use keyward::import::{ImportedKey, from_json_lines};
use keyward::key::{KeyDigest, Pepper, Peppers};
use keyward::store::Filter;
use keyward::{
    Ambient, Answer, Authenticator, Decision, Fault, Guard, GuardBuilder, Identity, Job, Keys, Kind, MemoryStore, NewKey, Pass,
    Peer, Policy, Timestamp, Verdict, scopes,
};

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
fn row(row: &str) -> ImportedKey {
    keyward::import::keys_file(row).next().unwrap().unwrap()
}

#[test]
fn optional_guard_must_not_open_a_scoped_route() {
    let guard = builder("[[routes]]\npath = \"/admin/*\"\nscopes = [\"admin\"]").store(MemoryStore::new()).build().unwrap();
    let request = with(Request::get("/admin/users"));
    assert_eq!(kind(&guard.decide_blocking(&request)), Some(Kind::Missing));
    assert_eq!(kind(&guard.optional().decide_blocking(&request)), Some(Kind::Missing), "anonymous let into a scoped route");
}

#[test]
fn optional_guard_must_not_open_a_kinds_route() {
    let guard = builder("[[routes]]\npath = \"/admin/*\"\nkinds = [\"admin\"]").store(MemoryStore::new()).build().unwrap();
    assert_eq!(kind(&guard.optional().decide_blocking(&with(Request::get("/admin/users")))), Some(Kind::Missing));
}

#[test]
fn requiring_twice_demands_both() {
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a").scope("b").unwrap());
    let guard = builder("").store(store).build().unwrap();
    let both = guard.requiring(scopes!["a"]).requiring(scopes!["b"]);
    assert_eq!(kind(&both.decide_blocking(&get(&key))), Some(Kind::Scope), "the first requirement was dropped");
}

#[test]
fn a_plain_guard_within_an_optional_one_still_needs_a_key() {
    let guard = builder("").store(MemoryStore::new()).build().unwrap();
    let request = with(Request::get("/private"));
    let outer = pass(guard.optional().decide_blocking(&request));
    assert!(matches!(guard.within(&outer, &request), Some(Err(_))), "nobody passed the guard that is not optional");
}

#[test]
fn a_revoked_key_cannot_come_back_by_import_after_a_pepper_was_added() {
    let store = MemoryStore::new();
    let old = || Pepper::new(1, &[1; 32]).unwrap();
    let new = || Pepper::new(2, &[2; 32]).unwrap();
    let first = Keys::new(store.clone()).peppers(Peppers::new([old()]).unwrap());
    let made = pollster::block_on(first.create(NewKey::named("a"))).unwrap();
    pollster::block_on(first.revoke(&made.record().id)).unwrap();
    let key = made.secret().expose().to_owned();
    let peppers = Peppers::new([old(), new()]).unwrap();
    let guard = builder("").store(store.clone()).peppers(peppers.clone()).build().unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), Some(Kind::Revoked));
    let again = pollster::block_on(Keys::new(store).peppers(peppers).import(row(&format!("{{\"key\":\"{key}\"}}"))));
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), Some(Kind::Revoked), "import said {again:?}");
}

#[test]
fn a_purged_key_cannot_be_imported_again_as_argon2id() {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    let made = pollster::block_on(keys.create(NewKey::named("a"))).unwrap();
    pollster::block_on(keys.revoke(&made.record().id)).unwrap();
    pollster::block_on(keys.purge(&made.record().id)).unwrap();
    let key = made.secret().expose().to_owned();
    let guard = builder("").store(store.clone()).build().unwrap();
    let again = pollster::block_on(keys.import(row(&format!("{{\"key\":\"{key}\",\"handle\":\"{}\"}}", &key[..10]))));
    assert!(kind(&guard.decide_blocking(&get(&key))).is_some(), "import said {again:?}, and the purged key is live");
}

#[test]
fn a_reload_cannot_enter_open_access() {
    let policy = "[access]\ninsecure_allow_without_keys = true\n[[configured_keys]]\nenv = \"A\"";
    let first = builder(policy).environment(|_| Some(OsString::from("some-key"))).build().unwrap();
    assert_eq!(kind(&first.decide_blocking(&with(Request::get("/")))), Some(Kind::Missing));
    let reloaded = builder(policy).environment(|_| None).sharing(&first).build();
    if let Ok(reloaded) = reloaded {
        assert_eq!(kind(&reloaded.decide_blocking(&with(Request::get("/")))), Some(Kind::Missing), "open after a reload");
    }
}

#[test]
fn two_guards_that_share_counters_do_not_refill_each_other() {
    let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::EPOCH));
    let key = made(&store, NewKey::named("a"));
    let daily = builder("[limits]\nper_key = [\"3/day\"]").store(store.clone()).clock(clock.clone()).build().unwrap();
    let quick = builder("[limits]\nper_key = [\"1/second\"]").store(store).clock(clock.clone()).sharing(&daily).build().unwrap();
    for _ in 0..3 {
        assert_eq!(kind(&daily.decide_blocking(&get(&key))), None);
    }
    assert_eq!(kind(&daily.decide_blocking(&get(&key))), Some(Kind::Limited));
    let _ = quick.decide_blocking(&get(&key));
    clock.advance(Duration::from_secs(2));
    assert_eq!(kind(&daily.decide_blocking(&get(&key))), Some(Kind::Limited), "3/day was forgotten after two seconds");
}

#[test]
fn a_changed_limit_forgets_nothing_when_changed_back() {
    let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::EPOCH));
    let key = made(&store, NewKey::named("a"));
    let mut guard = builder("[limits]\nper_key = [\"100/day\"]").store(store.clone()).clock(clock.clone()).build().unwrap();
    for _ in 0..100 {
        assert_eq!(kind(&guard.decide_blocking(&get(&key))), None);
    }
    for limit in ["1/second", "100/day"] {
        guard = builder(&format!("[limits]\nper_key = [\"{limit}\"]"))
            .store(store.clone())
            .clock(clock.clone())
            .sharing(&guard)
            .build()
            .unwrap();
        let _ = guard.decide_blocking(&get(&key));
        clock.advance(Duration::from_secs(2));
    }
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), Some(Kind::Limited), "100 spent of 100/day, four seconds ago");
}

#[test]
fn imported_keys_can_be_rotated() {
    for text in [
        r#"{"key":"customer_1-some-secret-thing","handle":"customer_1"}"#,
        r#"{"key":"acme_0123456789abcdefghij"}"#,
        r#"{"key":"fw_key_0123456789abcdefghij0123"}"#,
    ] {
        let keys = Keys::new(MemoryStore::new());
        let record = pollster::block_on(keys.import(row(text))).unwrap();
        let rotated = pollster::block_on(keys.rotate(&record.id, Duration::from_secs(60)));
        assert!(rotated.is_ok(), "{text}: {}", rotated.unwrap_err());
    }
}

#[test]
fn the_id_of_a_configured_key_is_no_hash_of_it_that_can_be_tested() {
    let guard = builder("[[configured_keys]]\nenv = \"A\"").environment(|_| Some(OsString::from("letmein"))).build().unwrap();
    let pass = pass(guard.decide_blocking(&get("letmein")));
    let twice = KeyDigest::sha256(&KeyDigest::sha256(b"letmein").to_bytes()).to_bytes();
    let guess: String = twice[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_ne!(pass.principal().unwrap().id(), guess, "the id in every audit line confirms a guessed key offline");
}

#[test]
fn an_empty_limit_list_is_no_licence() {
    assert!(
        from_json_lines(r#"{"key":"k0123456789abcdef","limit":[]}"#).next().unwrap().is_err(),
        "limit: [] switches the policy's per_key off"
    );
}

struct Failing;
impl AuditSink for Failing {
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        Answer::fault(Fault::new("full"))
    }
}
#[derive(Clone, Default)]
struct Later(Arc<AtomicUsize>);
impl AuditSink for Later {
    fn may_wait(&self) -> bool {
        true
    }
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        let count = self.0.clone();
        Answer::Pending(Box::pin(async move {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }))
    }
}
#[test]
fn every_event_goes_to_both_sinks() {
    let later = Later::default();
    let guard = builder("").store(MemoryStore::new()).audit((Failing, later.clone())).build().unwrap();
    let _ = guard.decide_blocking(&get("x"));
    assert_eq!(later.0.load(Ordering::SeqCst), 1, "the second sink never saw the event");
}

#[test]
fn a_cancelled_argon2id_guess_is_charged() {
    let store = MemoryStore::new();
    pollster::block_on(Keys::new(store.clone()).import(row(r#"{"key":"customer1-secret","handle":"customer1"}"#))).unwrap();
    let (started, jobs): (Arc<AtomicUsize>, Arc<Mutex<Vec<Job>>>) = Default::default();
    let (counting, keep) = (started.clone(), jobs.clone());
    let guard = builder("[limits]\nfailures = \"2/day\"").store(store);
    let guard = guard
        .workers(move |job: Job| {
            counting.fetch_add(1, Ordering::SeqCst);
            keep.lock().unwrap().push(job)
        })
        .build()
        .unwrap();
    for guess in 0..10 {
        let request = get(&format!("customer1-guess{guess}"));
        let mut future = Box::pin(guard.decide(&request));
        // Pending while the budget lasts; denied untried afterwards.
        let is_pending = future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
        assert_eq!(is_pending, guess < 2);
        drop(future);
        if let Some(job) = jobs.lock().unwrap().pop() {
            job();
        }
    }
    assert!(
        started.load(Ordering::SeqCst) <= 2,
        "{} verifications were had under a budget of 2/day",
        started.load(Ordering::SeqCst)
    );
}

#[test]
fn the_first_readings_of_a_clock_are_of_today() {
    let today = Timestamp::from_unix_seconds(1_600_000_000);
    let mut wrong = 0;
    for _ in 0..500 {
        let clock = Arc::new(SystemClock::new());
        let go = Arc::new(AtomicUsize::new(0));
        let (clock2, go2) = (clock.clone(), go.clone());
        let other = move || {
            go2.fetch_add(1, Ordering::SeqCst);
            while go2.load(Ordering::SeqCst) < 2 {}
            (0..20).any(|_| clock2.now().wall < today)
        };
        let thread = std::thread::spawn(other);
        go.fetch_add(1, Ordering::SeqCst);
        while go.load(Ordering::SeqCst) < 2 {}
        let mine = (0..20).any(|_| clock.now().wall < today);
        wrong += usize::from(mine) + usize::from(thread.join().unwrap());
    }
    assert_eq!(wrong, 0, "readings in 1970: every expired key is live there");
}

#[test]
fn dot_segments_with_parameters_do_not_leave_an_open_path() {
    let guard = builder("[access]\nopen_paths = [\"/docs/*\"]").store(MemoryStore::new()).build().unwrap();
    for path in ["/docs/..;/admin", "/docs/.;/x", "/docs/%2e%2e;/admin"] {
        assert!(kind(&guard.decide_blocking(&with(Request::get(path)))).is_some(), "{path}");
    }
}

#[test]
fn everything_is_not_opened_by_a_name_that_does_not_say_insecure() {
    assert!(Policy::from_toml("p", "[access]\nopen_paths = [\"/*\"]").is_err());
}

#[test]
fn a_configured_key_works_or_is_refused_at_the_start() {
    let store = MemoryStore::new();
    let _ = made(&store, NewKey::named("a"));
    let guard = builder("[[configured_keys]]\nenv = \"A\"")
        .store(store)
        .environment(|_| Some(OsString::from("kw_my-admin-key-of-old-times")))
        .build();
    if let Ok(guard) = guard {
        assert_eq!(kind(&guard.decide_blocking(&get("kw_my-admin-key-of-old-times"))), None);
    }
}

#[test]
fn required_and_a_ring_that_drops() {
    let (ring, _reader) = Ring::new(1);
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a"));
    let guard = builder("[audit]\nmode = \"required\"").store(store).audit(ring).build();
    if let Ok(guard) = guard {
        let kinds: Vec<_> = (0..64).map(|_| kind(&guard.decide_blocking(&get(&key)))).collect();
        assert!(kinds.contains(&Some(Kind::Unavailable)), "63 requests were allowed without a record");
    }
}

#[derive(Clone, Default)]
struct Status(Arc<Mutex<Vec<(String, String)>>>);
impl AuditSink for Status {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        self.0.lock().unwrap().push((event.reason.to_owned(), event.key_status.to_owned()));
        Answer::ready(())
    }
}
#[test]
fn key_status_of_an_ambiguous_path() {
    let status = Status::default();
    let guard = builder("[access]\nopen_paths = [\"/x\"]").store(MemoryStore::new()).audit(status.clone()).build().unwrap();
    let _ = guard.decide_blocking(&with(Request::get("/a/../b").header("x-api-key", "k")));
    assert_eq!(status.0.lock().unwrap()[0], ("path".to_owned(), "present".to_owned()));
}

struct ReadsCookies;
impl Authenticator for ReadsCookies {
    fn name(&self) -> &str {
        "session"
    }
    fn headers(&self) -> &[http::HeaderName] {
        const COOKIE: [http::HeaderName; 1] = [http::header::COOKIE];
        &COOKIE
    }
    fn ambient(&self, ambient: &Ambient<'_>) -> Answer<Verdict> {
        let known = ambient.header(&http::header::COOKIE).next().is_some();
        Answer::ready(if known {
            Verdict::Is(Box::new(Identity { id: "a".into(), ..Identity::default() }))
        } else {
            Verdict::NotMine
        })
    }
}
#[test]
fn cookies_read_as_a_header_are_cookies() {
    let guard = builder("").authenticator(ReadsCookies).build().unwrap();
    let request = with(
        Request::post("/")
            .header("cookie", "s=1")
            .header("origin", "https://evil.example")
            .header("sec-fetch-site", "cross-site"),
    );
    assert_eq!(kind(&guard.decide_blocking(&request)), Some(Kind::Origin));
}

#[test]
fn a_bad_candidate_before_a_fault_is_charged() {
    let store = MemoryStore::new();
    pollster::block_on(Keys::new(store.clone()).import(row(r#"{"key":"customer1-secret","handle":"customer1"}"#))).unwrap();
    let guard =
        builder("resolution = \"first-valid\"\n[limits]\nfailures = \"1/day\"").store(store).argon2_at_once(0).build().unwrap();
    let request = with(Request::get("/").header("authorization", "Bearer guess").header("x-api-key", "customer1-x"));
    assert_eq!(kind(&guard.decide_blocking(&request)), Some(Kind::Unavailable));
    assert_eq!(kind(&guard.decide_blocking(&get("unknown"))), Some(Kind::FailuresLimited));
}

#[test]
fn a_handle_leaves_enough_of_the_key() {
    assert!(
        pollster::block_on(Keys::new(MemoryStore::new()).import(row(r#"{"key":"123456789","handle":"12345678"}"#))).is_err(),
        "all but one character are public"
    );
}

#[test]
fn halves_of_everybody() {
    assert!(
        Policy::from_toml(
            "p",
            "[network]\ntrusted_proxies = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\nclient_address_header = \"Forwarded\""
        )
        .is_err()
    );
}

#[test]
fn a_ticket_parameter_that_is_a_source() {
    assert!(Policy::from_toml("p", "sources = [{ query = \"token\" }]\n[tickets]\nquery = \"token\"").is_err());
}

#[test]
fn a_client_that_hides_behind_a_broken_forwarded_has_a_budget() {
    let policy =
        "[network]\ntrusted_proxies = [\"192.0.2.0/24\"]\nclient_address_header = \"Forwarded\"\n[limits]\nfailures = \"2/day\"";
    let guard = builder(policy).store(MemoryStore::new()).build().unwrap();
    // The attacker sends `for="`, its proxy appends `, for=203.0.113.5`.
    let ask = || {
        kind(&guard.decide_blocking(&with(
            Request::get("/").header("x-api-key", "guess").header("forwarded", "for=\", for=203.0.113.5"),
        )))
    };
    let kinds: Vec<_> = (0..50).map(|_| ask()).collect();
    assert_ne!(kinds[49], Some(Kind::Unknown), "fifty guesses under a budget of two");
}

#[test]
fn a_second_remembered_argon2id_key_is_still_a_key() {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    pollster::block_on(keys.import(row(r#"{"key":"customer1-secret","handle":"customer1"}"#))).unwrap();
    pollster::block_on(keys.import(row(r#"{"key":"customer2-secret","handle":"customer2"}"#))).unwrap();
    let disabled = pollster::block_on(keys.list(&Filter::default(), None, 9)).unwrap()[0].clone();
    let guard = builder("resolution = \"first-valid\"").store(store).build().unwrap();
    for key in ["customer1-secret", "customer2-secret"] {
        assert_eq!(kind(&guard.decide_blocking(&get(key))), None);
    }
    pollster::block_on(keys.set_disabled(&disabled.id, true)).unwrap();
    let (dead, live) = if kind(&guard.decide_blocking(&get("customer1-secret"))).is_some() {
        ("customer1-secret", "customer2-secret")
    } else {
        ("customer2-secret", "customer1-secret")
    };
    // Both are remembered: nothing has to be verified.
    let request = with(Request::get("/").header("authorization", format!("Bearer {dead}")).header("x-api-key", live));
    assert_eq!(kind(&guard.decide_blocking(&request)), None);
}

#[test]
fn a_sink_that_waits_although_it_said_it_never_does_charges_once() {
    struct Liar;
    impl AuditSink for Liar {
        fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
            let mut once = false;
            Answer::Pending(Box::pin(std::future::poll_fn(move |context| {
                if once {
                    return std::task::Poll::Ready(Ok(()));
                }
                once = true;
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            })))
        }
    }
    let store = MemoryStore::new();
    let key = made(&store, NewKey::named("a").limit("2/day").unwrap());
    let guard = builder("").store(store).audit(Liar).build().unwrap();
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), None);
    assert_eq!(kind(&guard.decide_blocking(&get(&key))), None, "each request was charged twice");
}

fn bad(n: u32) -> Request<()> {
    get(&format!("wrong-key-number-{n}"))
}

#[test]
fn failure_budget_reload_locks_out_for_hours() {
    let clock = ManualClock::at(Timestamp::EPOCH);
    let b = |q: &str| builder(&format!("[limits]\nfailures = \"{q}\"")).store(MemoryStore::new()).clock(clock.clone());
    let old = b("1000/day").build().unwrap();
    for n in 0..500 {
        assert_eq!(kind(&old.decide_blocking(&bad(n))), Some(Kind::Unknown));
    }
    let new = b("10/minute").sharing(&old).build().unwrap();
    clock.advance(Duration::from_secs(3600));
    assert_eq!(kind(&new.decide_blocking(&bad(1))), Some(Kind::Unknown), "10/minute still spent after an hour");
}

#[test]
fn failure_budget_reload_refills() {
    let clock = ManualClock::at(Timestamp::EPOCH);
    let b = |q: &str| builder(&format!("[limits]\nfailures = \"{q}\"")).store(MemoryStore::new()).clock(clock.clone());
    let old = b("10/minute").build().unwrap();
    for n in 0..10 {
        assert_eq!(kind(&old.decide_blocking(&bad(n))), Some(Kind::Unknown));
    }
    let new = b("10/day").sharing(&old).build().unwrap();
    assert_eq!(kind(&new.decide_blocking(&bad(1))), Some(Kind::FailuresLimited), "ten were charged, and ten more are given");
}

#[test]
fn encoded_semicolon_behind_dots() {
    let guard = builder("[access]\nopen_paths=[\"/docs/*\"]").store(MemoryStore::new()).build().unwrap();
    assert!(kind(&guard.decide_blocking(&with(Request::get("/docs/..%3b/admin")))).is_some());
}

struct AwayAmbient;
impl Authenticator for AwayAmbient {
    fn name(&self) -> &str {
        "jwt"
    }
    fn ambient(&self, _: &Ambient<'_>) -> Answer<Verdict> {
        Answer::fault(Fault::new("down"))
    }
}
#[test]
fn a_fault_of_a_later_ambient_is_a_free_guess() {
    let (sink, mut reader) = Ring::new(64);
    let _ = &mut reader;
    let guard = builder("[limits]\nfailures = \"2/day\"")
        .store(MemoryStore::new())
        .authenticator(AwayAmbient)
        .audit(sink)
        .build()
        .unwrap();
    let kinds: Vec<_> = (0..4).map(|n| kind(&guard.decide_blocking(&bad(n)))).collect();
    let sound = builder("[limits]\nfailures = \"2/day\"").store(MemoryStore::new()).sharing(&guard).build().unwrap();
    assert_eq!(kind(&sound.decide_blocking(&bad(9))), Some(Kind::FailuresLimited), "{kinds:?} and nothing was charged");
}

#[test]
fn required_audit_with_the_default_sink() {
    assert!(
        builder("[audit]\nmode = \"required\"").store(MemoryStore::new()).build().is_err(),
        "tracing without a subscriber keeps nothing"
    );
}

#[test]
fn display_prefix_of_a_passphrase() {
    let shown = keyward::key::display_prefix("correct_horse_battery_staplestaplestaple");
    assert!(shown.len() <= 4, "{shown}");
}

#[test]
fn entropy_that_cannot_be() {
    assert!(from_json_lines(r#"{"key":"k","entropy_bits":128}"#).next().unwrap().is_err());
}

#[test]
fn foreign_key_before_prefix_and_then_create() {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    let imported = pollster::block_on(keys.import(row(r#"{"key":"kw_abcdefghijklmnopq"}"#))).unwrap();
    pollster::block_on(keys.revoke(&imported.id)).unwrap();
    let made = pollster::block_on(keys.create(NewKey::named("a")));
    assert!(made.is_ok(), "no key can be made, since a revoked import begins like it: {}", made.unwrap_err());
}

#[test]
fn short_last_word_slips_past_bind() {
    let store = MemoryStore::new();
    let keys = Keys::new(store.clone());
    pollster::block_on(keys.import(row(r#"{"key":"acme_prod_short12345"}"#))).unwrap();
    let made = pollster::block_on(keys.create(NewKey::named("a").prefix("acme_prod").unwrap()));
    assert!(made.is_err(), "the prefix was bound although a stored key becomes malformed by it");
}

#[test]
fn lines_at_least_under_required() {
    let sink = keyward::audit::Lines::new(Vec::new(), keyward::audit::LineFormat::Json).at_least(keyward::audit::Level::Warning);
    assert!(builder("[audit]\nmode = \"required\"").store(MemoryStore::new()).audit(sink).build().is_err());
}
#[test]
fn same_window_twice_in_a_record() {
    assert!(keyward::import::keys_file(r#"{"key":"k","limit":["10/minute","5/60s"]}"#).next().unwrap().is_err());
}

#[test]
fn a_demand_in_answer_to_a_head_has_a_length_and_no_body() {
    let guard = builder("[access]\nopen_paths = [\"/open\"]").store(MemoryStore::new()).build().unwrap();
    let demanded = |method| pass(guard.decide_blocking(&with(Request::builder().method(method).uri("/open")))).demand("/open");
    let (to_get, to_head) = (demanded("GET"), demanded("HEAD"));
    assert!(to_head.body().is_empty() && !to_get.body().is_empty());
    // Ids are all of one length.
    assert_eq!(to_head.headers()[http::header::CONTENT_LENGTH], to_get.body().len().to_string());
}

#[test]
fn a_preflight_is_no_key_to_a_handler_whose_own_guard_demands_one() {
    let guard = builder("").store(MemoryStore::new()).build().unwrap();
    let preflight = with(
        Request::builder().method("OPTIONS").header("origin", "https://page.test").header("access-control-request-method", "GET"),
    );
    let passed = pass(guard.decide_blocking(&preflight));
    let demands = guard.requiring(scopes!["reports:read"]);
    let Some(Err(denial)) = demands.within(&passed, &preflight) else { panic!("let through to the handler") };
    assert_eq!(pollster::block_on(denial.wait()).unwrap().kind(), Kind::Missing);
    assert!(matches!(guard.within(&passed, &preflight), Some(Ok(()))), "a guard that demands nothing more");
}
