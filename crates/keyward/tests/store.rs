//! What only the store in memory can get wrong: its index, and copies of records that somebody holds. What every store promises
//! is asked by `keyward-behaviour`'s suite of stores.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use keyward::clock::ManualClock;
use keyward::key::KeyId;
use keyward::store::Update;
use keyward::{Decision, Guard, Keys, Kind, MemoryStore, NewKey, Policy, Timestamp};

fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn ask(guard: &Guard, key: &str) -> Result<KeyId, Kind> {
    match guard.decide_blocking(&Request::get("/").header("x-api-key", key).body(()).unwrap()) {
        Decision::Allowed(pass) => Ok(pass.principal().unwrap().key_id().unwrap()),
        Decision::Denied(denial) => Err(denial.kind()),
    }
}

fn guard(store: &MemoryStore, clock: &ManualClock) -> Guard {
    Guard::builder(Policy::from_toml("policy.toml", "").unwrap()).store(store.clone()).clock(clock.clone()).build().unwrap()
}

#[test]
fn a_copy_of_a_record_from_before_a_revocation_is_revoked_too_whatever_is_changed_meanwhile() {
    let clock = ManualClock::at(Timestamp::EPOCH);
    for _ in 0..100 {
        let store = MemoryStore::new();
        let keys = Keys::new(store.clone());
        let made = wait(keys.create(NewKey::named("k"))).unwrap();
        let (id, first) = (made.record().id, made.secret().expose().to_owned());
        // A copy from before the revocation: it must know of it too.
        let before = wait(keys.get(&id)).unwrap().unwrap();
        let guard = guard(&store, &clock);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _ = wait(keys.update(&id, Update { name: Some("n".into()), ..Update::default() }));
                        let _ = wait(keys.rotate(&id, Duration::from_secs(3_600)));
                    }
                });
            }
            scope.spawn(|| {
                wait(keys.revoke(&id)).unwrap();
                assert!(matches!(ask(&guard, &first), Err(Kind::Revoked | Kind::Unknown)));
            });
        });
        assert!(before.is_revoked());
        assert!(wait(keys.get(&id)).unwrap().unwrap().is_revoked());
        assert!(ask(&guard, &first).is_err());
    }
}

#[test]
fn a_lookup_during_a_rotation_sees_the_old_version_or_the_new_one_and_never_neither() {
    let (store, clock) = (MemoryStore::new(), ManualClock::at(Timestamp::EPOCH));
    let keys = Keys::new(store.clone()).clock(clock.clone());
    let made = wait(keys.create(NewKey::named("k"))).unwrap();
    let (id, guard) = (made.record().id, guard(&store, &clock));
    let published = RwLock::new(made.secret().expose().to_owned());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2_000 {
                // Rotated while readers ask; told to them once none of them asks about a secret that is older.
                let rotated = wait(keys.rotate(&id, Duration::from_secs(3_600))).unwrap();
                rotated.secret().expose().clone_into(&mut published.write().unwrap());
            }
            done.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let _ = wait(keys.update(&id, Update { name: Some("n".into()), ..Update::default() }));
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let secret = published.read().unwrap();
                    assert_eq!(ask(&guard, &secret), Ok(id));
                    drop(secret);
                    std::thread::yield_now();
                }
            });
        }
    });
}
