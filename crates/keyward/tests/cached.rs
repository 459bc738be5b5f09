//! Records that are kept in front of a store: how long, how many, and what becomes of them when others change the store.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::Request;
use keyward::clock::ManualClock;
use keyward::import::from_json_lines;
use keyward::key::{KeyId, Pepper, Peppers, Record};
use keyward::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, News, Presented, RecordStore, Refused, SlotUsage, Use,
};
use keyward::{Answer, Cached, Decision, Fault, Guard, Keys, Kind, Made, MemoryStore, NewKey, Policy, Timestamp};

/// A store that is somewhere else: each lookup is a trip, which can be counted, held up and made to fail.
#[derive(Clone, Default)]
struct Far(Arc<FarParts>);

#[derive(Default)]
struct FarParts {
    store: Mutex<MemoryStore>,
    trips: AtomicUsize,
    fails: AtomicBool,
    /// Trips that have read and have not come back yet.
    held: AtomicBool,
    news: Mutex<Option<Weak<dyn News>>>,
}

impl Far {
    fn store(&self) -> MemoryStore {
        self.0.store.lock().unwrap().clone()
    }

    fn trips(&self) -> usize {
        self.0.trips.swap(0, Ordering::SeqCst)
    }

    fn news(&self) -> Arc<dyn News> {
        self.0.news.lock().unwrap().as_ref().unwrap().upgrade().unwrap()
    }

    fn keys(&self) -> Keys {
        Keys::new(self.store())
    }
}

impl KeyStore for Far {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let (parts, found) = (self.0.clone(), self.store().find(presented));
        Answer::Pending(Box::pin(async move {
            parts.trips.fetch_add(1, Ordering::SeqCst);
            // As it was when it was read, as a row from a database is.
            let found = found.wait().await?.map(|record| {
                let (copy, _) = keyward::store::StoredRecord::of(&record, None).read().unwrap();
                Arc::new(copy)
            });
            std::future::poll_fn(|context| match parts.held.load(Ordering::SeqCst) {
                true => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                false => Poll::Ready(()),
            })
            .await;
            if parts.fails.load(Ordering::SeqCst) { Err(Fault::new("the store is away")) } else { Ok(found) }
        }))
    }

    fn used(&self, used: &Use<'_>) {
        self.store().used(used);
    }
}

impl RecordStore for Far {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        self.store().insert(insert, by)
    }
    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        self.store().get(id)
    }
    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        self.store().list(filter, after, limit)
    }
    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        self.store().change(id, change, by)
    }
    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        self.store().purge(id, by)
    }
    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        self.store().bind(prefix)
    }
    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        self.store().usage(ids)
    }
    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.store().journal(after, limit)
    }
    fn watch(&self, news: Weak<dyn News>) {
        *self.0.news.lock().unwrap() = Some(news);
    }
}

struct Scene {
    far: Far,
    clock: ManualClock,
    cached: Cached<Far>,
    guard: Guard,
}

const SECOND: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_nanos(1);

impl Scene {
    fn new() -> Self {
        Self::with_capacity(1_000)
    }

    fn with_capacity(capacity: usize) -> Self {
        let (far, clock) = (Far::default(), ManualClock::at(Timestamp::EPOCH));
        clock.advance(60 * SECOND);
        let cached = Cached::builder().capacity(capacity).max_staleness(5 * SECOND).clock(clock.clone()).over(far.clone());
        let guard = Guard::builder(Policy::from_toml("policy.toml", "").unwrap());
        let guard = guard.store(cached.clone()).clock(clock.clone()).build().unwrap();
        Self { far, clock, cached, guard }
    }

    /// Made behind the cache's back, as another process would.
    fn made_elsewhere(&self) -> Made {
        wait(self.far.keys().clock(self.clock.clone()).create(NewKey::named("k"))).unwrap()
    }

    fn ask(&self, key: &str) -> Result<KeyId, Kind> {
        judge(wait(self.guard.decide(&request(key))))
    }

    fn ask_key(&self, made: &Made) -> Result<KeyId, Kind> {
        self.ask(made.secret().expose())
    }
}

fn request(key: &str) -> Request<()> {
    Request::get("/").header("x-api-key", key).body(()).unwrap()
}

fn judge(decision: Decision) -> Result<KeyId, Kind> {
    match decision {
        Decision::Allowed(pass) => Ok(pass.principal().unwrap().key_id().unwrap()),
        Decision::Denied(denial) => Err(denial.kind()),
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn poll<T>(future: &mut Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn a_record_is_fetched_once_until_it_has_grown_old_to_the_instant() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    for _ in 0..3 {
        assert_eq!(scene.ask_key(&made), Ok(made.record().id));
    }
    assert_eq!(scene.far.trips(), 1);
    scene.clock.advance(5 * SECOND);
    assert!(scene.ask_key(&made).is_ok());
    assert_eq!(scene.far.trips(), 0);
    scene.clock.advance(INSTANT);
    assert!(scene.ask_key(&made).is_ok());
    assert_eq!(scene.far.trips(), 1);
}

#[test]
fn what_has_grown_old_is_never_used_while_the_store_is_away() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    assert!(scene.ask_key(&made).is_ok());
    scene.far.0.fails.store(true, Ordering::SeqCst);
    scene.clock.advance(5 * SECOND);
    assert!(scene.ask_key(&made).is_ok());
    scene.clock.advance(INSTANT);
    assert_eq!(scene.ask_key(&made), Err(Kind::Unavailable));
    assert_eq!(scene.ask("never-seen"), Err(Kind::Unavailable));
    scene.far.0.fails.store(false, Ordering::SeqCst);
    assert!(scene.ask_key(&made).is_ok());
}

#[test]
fn trips_are_counted_and_what_memory_answers_is_not() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    let told = || {
        let told = scene.cached.statistics();
        (told.records, told.trips, told.failed)
    };
    assert_eq!(told(), (0, 0, 0));
    for _ in 0..3 {
        assert!(scene.ask_key(&made).is_ok());
    }
    assert_eq!(told(), (1, 1, 0));
    scene.far.0.fails.store(true, Ordering::SeqCst);
    assert_eq!(scene.ask("never-seen"), Err(Kind::Unavailable));
    assert_eq!(told(), (1, 2, 1));
}

#[test]
fn word_that_nothing_changed_keeps_records_young() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    assert!(scene.ask_key(&made).is_ok());
    scene.far.trips();
    for _ in 0..10 {
        scene.clock.advance(4 * SECOND);
        let news = scene.far.news();
        news.verified(news.now());
        assert!(scene.ask_key(&made).is_ok());
    }
    assert_eq!(scene.far.trips(), 0);
}

#[test]
fn what_is_kept_is_records_and_not_decisions() {
    let scene = Scene::new();
    let new = NewKey::named("k").expires_at(Timestamp::from_unix_seconds(62));
    let made = wait(scene.far.keys().create(new)).unwrap();
    assert!(scene.ask_key(&made).is_ok());
    scene.clock.advance(2 * SECOND - INSTANT);
    assert!(scene.ask_key(&made).is_ok());
    scene.clock.advance(INSTANT);
    assert_eq!(scene.ask_key(&made), Err(Kind::Expired));
    assert_eq!(scene.far.trips(), 1);
}

#[test]
fn a_change_told_by_the_store_takes_hold_with_the_next_request() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    assert!(scene.ask_key(&made).is_ok());
    wait(scene.far.keys().revoke(&made.record().id)).unwrap();
    assert!(scene.ask_key(&made).is_ok(), "it cannot be known yet");
    scene.far.news().changed(&[made.record().id]);
    assert_eq!(scene.ask_key(&made), Err(Kind::Revoked));

    let made = scene.made_elsewhere();
    assert!(scene.ask_key(&made).is_ok());
    wait(scene.far.keys().revoke(&made.record().id)).unwrap();
    scene.far.news().all_changed();
    assert_eq!(scene.ask_key(&made), Err(Kind::Revoked));
}

#[test]
fn changes_made_here_take_hold_at_once() {
    let scene = Scene::new();
    let keys = Keys::new(scene.cached.clone()).clock(scene.clock.clone());
    assert_eq!(scene.ask("kw_unknown"), Err(Kind::Unknown));
    let made = wait(keys.create(NewKey::named("k"))).unwrap();
    assert!(scene.ask_key(&made).is_ok());
    let rotated = wait(keys.rotate(&made.record().id, Duration::ZERO)).unwrap();
    assert_eq!(scene.ask_key(&made), Err(Kind::Expired));
    assert!(scene.ask_key(&rotated).is_ok());
    let again = wait(keys.rotate(&made.record().id, SECOND)).unwrap();
    assert_eq!(scene.ask_key(&made), Err(Kind::Unknown));
    assert!(scene.ask_key(&rotated).is_ok() && scene.ask_key(&again).is_ok());
    let revoked = wait(keys.revoke(&made.record().id)).unwrap();
    assert_eq!(revoked.holds_everywhere_within(), 5 * SECOND);
    assert_eq!(scene.ask_key(&again), Err(Kind::Revoked));
    wait(keys.purge(&made.record().id)).unwrap();
    assert_eq!(scene.ask_key(&again), Err(Kind::Unknown));
}

#[test]
fn that_a_key_is_unknown_is_kept_for_less_than_a_second_and_not_past_a_creation_here() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    let elsewhere = Far::default();
    std::mem::swap(&mut *scene.far.0.store.lock().unwrap(), &mut *elsewhere.0.store.lock().unwrap());
    for _ in 0..3 {
        assert_eq!(scene.ask_key(&made), Err(Kind::Unknown));
    }
    assert_eq!(scene.far.trips(), 1);
    std::mem::swap(&mut *scene.far.0.store.lock().unwrap(), &mut *elsewhere.0.store.lock().unwrap());
    scene.clock.advance(SECOND - INSTANT);
    assert_eq!(scene.ask_key(&made), Err(Kind::Unknown));
    scene.clock.advance(INSTANT);
    assert!(scene.ask_key(&made).is_ok());
}

#[test]
fn guesses_evict_nobody_and_are_kept_in_bounds() {
    let scene = Scene::with_capacity(10);
    let made = scene.made_elsewhere();
    assert!(scene.ask_key(&made).is_ok());
    for guess in 0..20_000 {
        assert_eq!(scene.ask(&format!("guess-{guess}")), Err(Kind::Unknown));
    }
    scene.far.trips();
    assert!(scene.ask_key(&made).is_ok());
    assert_eq!(scene.far.trips(), 0);
    // The latest guess is remembered, the first is not.
    assert_eq!(scene.ask("guess-19999"), Err(Kind::Unknown));
    assert_eq!(scene.far.trips(), 0);
    assert_eq!(scene.ask("guess-0"), Err(Kind::Unknown));
    assert_eq!(scene.far.trips(), 1);
}

#[test]
fn no_more_records_than_allowed_are_kept_and_the_used_ones_stay() {
    let scene = Scene::with_capacity(10);
    let all: Vec<Made> = (0..40).map(|_| scene.made_elsewhere()).collect();
    for made in &all {
        assert!(scene.ask_key(made).is_ok());
        assert!(scene.ask_key(&all[0]).is_ok());
    }
    assert!(format!("{:?}", scene.cached).starts_with("Cached(10 records"));
    scene.far.trips();
    assert!(scene.ask_key(&all[0]).is_ok());
    assert_eq!(scene.far.trips(), 0, "the one that is always used was evicted");
    assert!(scene.ask_key(&all[1]).is_ok());
    assert_eq!(scene.far.trips(), 1);
}

#[test]
fn many_requests_for_one_cold_key_make_one_trip() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    scene.far.0.held.store(true, Ordering::SeqCst);
    let requests: Vec<_> = (0..50).map(|_| request(made.secret().expose())).collect();
    let mut decisions: Vec<_> = requests.iter().map(|request| Box::pin(scene.guard.decide(request))).collect();
    for decision in &mut decisions {
        assert!(poll(&mut decision.as_mut()).is_none());
    }
    assert_eq!(scene.far.0.trips.load(Ordering::SeqCst), 1);
    scene.far.0.held.store(false, Ordering::SeqCst);
    for decision in decisions {
        assert!(judge(wait(decision)).is_ok());
    }
    assert_eq!(scene.far.trips(), 1);
}

#[test]
fn who_waits_for_a_trip_is_not_left_behind_when_its_maker_goes_away() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    scene.far.0.held.store(true, Ordering::SeqCst);
    let request = request(made.secret().expose());
    let mut first = Box::pin(scene.guard.decide(&request));
    let mut second = Box::pin(scene.guard.decide(&request));
    let mut third = Box::pin(scene.guard.decide(&request));
    assert!(poll(&mut first.as_mut()).is_none() && poll(&mut second.as_mut()).is_none() && poll(&mut third.as_mut()).is_none());
    drop(first);
    scene.far.0.held.store(false, Ordering::SeqCst);
    assert!(judge(wait(second)).is_ok());
    assert!(judge(wait(third)).is_ok());
    assert_eq!(scene.far.trips(), 2);
}

#[test]
fn what_was_read_before_a_change_is_not_kept_after_it() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    scene.far.0.held.store(true, Ordering::SeqCst);
    let request = request(made.secret().expose());
    let mut reading = pin!(scene.guard.decide(&request));
    assert!(poll(&mut reading).is_none());
    // The row was read; now it is revoked elsewhere, which is told; only then does the row arrive.
    wait(scene.far.keys().revoke(&made.record().id)).unwrap();
    scene.far.news().changed(&[made.record().id]);
    scene.far.0.held.store(false, Ordering::SeqCst);
    // This request began before the revocation.
    assert!(judge(wait(reading)).is_ok());
    assert_eq!(scene.ask_key(&made), Err(Kind::Revoked));
}

#[test]
fn a_trip_that_took_longer_than_a_revocation_may_is_no_answer() {
    for (took, answer) in [(5 * SECOND, None), (5 * SECOND + INSTANT, Some(Kind::Unavailable))] {
        let scene = Scene::new();
        let made = scene.made_elsewhere();
        scene.far.0.held.store(true, Ordering::SeqCst);
        let request = request(made.secret().expose());
        let mut reading = pin!(scene.guard.decide(&request));
        assert!(poll(&mut reading).is_none());
        scene.clock.advance(took);
        scene.far.0.held.store(false, Ordering::SeqCst);
        assert_eq!(judge(wait(reading)).err(), answer);
    }
}

#[test]
fn who_asks_after_a_change_joins_no_trip_that_began_before_it() {
    let scene = Scene::new();
    let keys = Keys::new(scene.cached.clone()).clock(scene.clock.clone());
    let made = wait(keys.create(NewKey::named("k"))).unwrap();
    scene.far.0.held.store(true, Ordering::SeqCst);
    let request = request(made.secret().expose());
    let mut before = pin!(scene.guard.decide(&request));
    assert!(poll(&mut before).is_none());
    wait(keys.set_disabled(&made.record().id, true)).unwrap();
    let mut after = pin!(scene.guard.decide(&request));
    assert!(poll(&mut after).is_none());
    scene.far.0.held.store(false, Ordering::SeqCst);
    assert!(judge(wait(before)).is_ok());
    assert_eq!(judge(wait(after)), Err(Kind::Disabled));
}

#[test]
fn a_revocation_that_was_known_outlives_a_store_that_has_lost_it() {
    for by_news in [false, true] {
        let scene = Scene::new();
        let made = scene.made_elsewhere();
        let backup = scene.far.store().snapshot();
        wait(scene.far.keys().revoke(&made.record().id)).unwrap();
        match by_news {
            true => scene.far.news().revoked(&[made.record().id]),
            false => assert_eq!(scene.ask_key(&made), Err(Kind::Revoked)),
        }
        *scene.far.0.store.lock().unwrap() = MemoryStore::from_snapshot(&backup).unwrap();
        scene.far.news().all_changed();
        assert_eq!(scene.ask_key(&made), Err(Kind::Revoked));
        // And it is written into the store once more.
        assert!(wait(scene.far.keys().get(&made.record().id)).unwrap().unwrap().is_revoked());
    }
}

#[test]
fn low_entropy_keys_are_kept_by_their_handle_and_wrong_ones_hide_nothing() {
    let scene = Scene::new();
    let import = |row: &str| wait(scene.far.keys().import(from_json_lines(row).next().unwrap().unwrap())).unwrap();
    let slow = import(r#"{"key":"customer1-secret","handle":"customer1"}"#);
    for _ in 0..3 {
        assert_eq!(scene.ask("customer1-secret"), Ok(slow.id));
        assert_eq!(scene.ask("customer1-wrong!"), Err(Kind::Unknown));
    }
    assert_eq!(scene.far.trips(), 2);
    // A strong key that begins with the handle is found by its digest although the handle is at hand.
    let digest = keyward::key::KeyDigest::sha256(b"customer1-0123456789abcdefghij").to_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let strong = import(&format!(r#"{{"sha256":"{hex}","entropy_bits":128}}"#));
    assert_eq!(scene.ask("customer1-0123456789abcdefghij"), Ok(strong.id));
    wait(scene.far.keys().revoke(&slow.id)).unwrap();
    scene.far.news().changed(&[slow.id]);
    assert_eq!(scene.ask("customer1-secret"), Err(Kind::Revoked));
}

#[test]
fn no_staleness_asks_each_time() {
    let (far, clock) = (Far::default(), ManualClock::at(Timestamp::EPOCH));
    let cached = Cached::builder().max_staleness(Duration::ZERO).clock(clock.clone()).over(far.clone());
    let guard = Guard::builder(Policy::from_toml("policy.toml", "").unwrap()).store(cached).clock(clock).build().unwrap();
    let made = wait(far.keys().create(NewKey::named("k"))).unwrap();
    for _ in 0..3 {
        assert!(judge(wait(guard.decide(&request(made.secret().expose())))).is_ok());
        assert!(judge(wait(guard.decide(&request("unknown")))).is_err());
    }
    assert_eq!(far.trips(), 6);
}

#[test]
fn a_used_key_gets_its_digest_under_the_newest_pepper() {
    let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::EPOCH));
    let pepper = |version: u16| Pepper::new(version, &[version as u8; 32]).unwrap();
    let guard = |peppers: Peppers| {
        Guard::builder(Policy::from_toml("policy.toml", "").unwrap())
            .store(store.clone())
            .clock(clock.clone())
            .peppers(peppers)
            .build()
            .unwrap()
    };
    let old = Peppers::new([pepper(1)]).unwrap();
    let both = Peppers::new([pepper(1), pepper(2)]).unwrap();
    let new = Peppers::new([pepper(2)]).unwrap();
    let keys = Keys::new(store.clone()).peppers(old.clone()).clock(clock.clone());
    let ask = |guard: &Guard, made: &Made| judge(wait(guard.decide(&request(made.secret().expose()))));
    let (used, unused) = (wait(keys.create(NewKey::named("used"))).unwrap(), wait(keys.create(NewKey::named("unused"))).unwrap());
    // The secret in its grace is rehashed as well.
    let rotated = wait(keys.rotate(&used.record().id, SECOND)).unwrap();
    for made in [&used, &rotated] {
        assert!(ask(&guard(both.clone()), made).is_ok());
    }
    for made in [&used, &rotated] {
        assert!(ask(&guard(new.clone()), made).is_ok());
        assert_eq!(ask(&guard(old.clone()), made), Err(Kind::Unknown));
    }
    assert_eq!(ask(&guard(new), &unused), Err(Kind::Unknown));
    assert!(ask(&guard(old), &unused).is_ok());
    // The digest that it had is not anybody's ever again.
    let record = wait(keys.get(&used.record().id)).unwrap().unwrap();
    assert_eq!((record.current.number, record.previous.as_ref().unwrap().number), (1, 0));
    let taken = store.snapshot().retired.len();
    assert_eq!(taken, 2);
}

#[test]
fn of_two_records_that_one_key_opens_the_one_under_the_newer_pepper_decides_whatever_is_kept() {
    let (far, clock) = (Far::default(), ManualClock::at(Timestamp::EPOCH));
    let peppers = Peppers::new([Pepper::new(1, &[1; 32]).unwrap()]).unwrap();
    let cached = Cached::builder().clock(clock.clone()).over(far.clone());
    let guard = Guard::builder(Policy::from_toml("policy.toml", "").unwrap());
    let guard = guard.store(cached).clock(clock.clone()).peppers(peppers.clone()).build().unwrap();
    let keys = far.keys().clock(clock).peppers(peppers);
    let first = wait(keys.create(NewKey::named("under the pepper"))).unwrap();
    // Taken over by its plain digest: that it is the same key cannot be known.
    let digest = keyward::key::KeyDigest::sha256(first.secret().expose().as_bytes()).to_bytes();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let row = format!(r#"{{"sha256":"{hex}","entropy_bits":128}}"#);
    let second = wait(keys.import(from_json_lines(&row).next().unwrap().unwrap())).unwrap();
    let rotated = wait(keys.rotate(&second.id, 60 * SECOND)).unwrap();
    wait(keys.revoke(&first.record().id)).unwrap();
    assert!(judge(wait(guard.decide(&request(rotated.secret().expose())))).is_ok());
    assert_eq!(judge(wait(guard.decide(&request(first.secret().expose())))), Err(Kind::Revoked));
}

#[test]
fn uses_are_told_by_secret_and_by_network() {
    let scene = Scene::new();
    let made = scene.made_elsewhere();
    let keys = scene.far.keys().clock(scene.clock.clone());
    assert_eq!(wait(keys.usage(&[made.record().id])).unwrap(), []);
    let from = |key: &Made, peer: &str| {
        let mut request = request(key.secret().expose());
        request.extensions_mut().insert(keyward::Peer(peer.parse().unwrap()));
        judge(wait(scene.guard.decide(&request)))
    };
    assert!(from(&made, "203.0.113.9").is_ok());
    scene.clock.advance(SECOND);
    assert!(from(&made, "2001:db8:1:2::3").is_ok());
    let last = scene.clock_now();
    let rotated = wait(keys.rotate(&made.record().id, 60 * SECOND)).unwrap();
    scene.far.news().changed(&[made.record().id]);
    scene.clock.advance(SECOND);
    assert!(from(&rotated, "198.51.100.7").is_ok());
    // Denied requests are no uses.
    assert!(scene.ask("unknown").is_err());
    let mut usage = wait(keys.usage(&[made.record().id])).unwrap();
    usage.sort_by_key(|usage| usage.number);
    let told: Vec<_> = usage.iter().map(|usage| (usage.number, usage.count, usage.network.unwrap().to_string())).collect();
    assert_eq!(told, [(0, 2, "2001:db8:1::".to_owned()), (1, 1, "198.51.100.0".to_owned())]);
    assert_eq!(usage[0].last_used, last);
    assert_eq!(usage[1].source, Some(keyward::SourceKind::Header));
}

impl Scene {
    fn clock_now(&self) -> Timestamp {
        use keyward::clock::Clock;
        self.clock.now().wall
    }
}

impl std::fmt::Debug for Far {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Far")
    }
}
