//! The contract of stores, for the one in memory: changes stepped beside a naive model, and against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use keyward::clock::ManualClock;
use keyward::import::from_json_lines;
use keyward::key::KeyId;
use keyward::store::{Filter, Refused, Update};
use keyward::{Decision, Guard, Keys, KeysError, Kind, MemoryStore, NewKey, Policy, Timestamp};
use proptest::prelude::*;

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

#[derive(Debug, Clone)]
enum Step {
    Create,
    Rotate { which: usize, grace: u64 },
    Revoke { which: usize },
    Disable { which: usize, off: bool },
    Rename { which: usize },
    Purge { which: usize },
    Import { which: usize },
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0..6_usize;
    prop_oneof![
        2 => Just(Step::Create),
        4 => (which.clone(), prop::sample::select(vec![0_u64, 1, 10])).prop_map(|(which, grace)| Step::Rotate { which, grace }),
        2 => which.clone().prop_map(|which| Step::Revoke { which }),
        2 => (which.clone(), any::<bool>()).prop_map(|(which, off)| Step::Disable { which, off }),
        1 => which.clone().prop_map(|which| Step::Rename { which }),
        1 => which.clone().prop_map(|which| Step::Purge { which }),
        2 => which.prop_map(|which| Step::Import { which }),
        3 => prop::sample::select(vec![1_u64, 9, 10]).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

/// What is known of one key, in the plainest way.
#[derive(Debug, Default, Clone)]
struct Known {
    /// Every secret it ever had, the oldest first.
    secrets: Vec<String>,
    grace_ends: u64,
    revoked: bool,
    disabled: bool,
    purged: bool,
}

impl Known {
    fn expected(&self, secret: usize, now: u64) -> Result<(), Kind> {
        let age = self.secrets.len() - 1 - secret;
        if self.purged || age > 1 {
            Err(Kind::Unknown)
        } else if self.revoked {
            Err(Kind::Revoked)
        } else if self.disabled {
            Err(Kind::Disabled)
        } else if age == 1 && now >= self.grace_ends {
            Err(Kind::Expired)
        } else {
            Ok(())
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_secret_that_ever_was_is_answered_as_the_model_says(steps in prop::collection::vec(step(), 1..30)) {
        let clock = ManualClock::at(Timestamp::EPOCH);
        let store = MemoryStore::new();
        let keys = Keys::new(store.clone()).clock(clock.clone());
        let guard = guard(&store, &clock);
        let (mut known, mut ids): (Vec<Known>, Vec<KeyId>) = (Vec::new(), Vec::new());
        let mut now = 0;
        for step in steps {
            let target = |which: usize| (!ids.is_empty()).then(|| which % ids.len());
            match step {
                Step::Create => {
                    let made = wait(keys.create(NewKey::named("k"))).unwrap();
                    ids.push(made.record().id);
                    known.push(Known { secrets: vec![made.secret().expose().to_owned()], ..Known::default() });
                }
                Step::Rotate { which, grace } => if let Some(at) = target(which) {
                    let expected = if known[at].purged { Some(Refused::NotFound) } else if known[at].revoked { Some(Refused::Revoked) } else { None };
                    match wait(keys.rotate(&ids[at], Duration::from_secs(grace))) {
                        Ok(made) => {
                            prop_assert!(expected.is_none());
                            prop_assert_eq!(made.record().id, ids[at]);
                            known[at].secrets.push(made.secret().expose().to_owned());
                            known[at].grace_ends = now + grace;
                        }
                        Err(error) => prop_assert_eq!(Some(error), expected.map(KeysError::Refused)),
                    }
                },
                Step::Revoke { which } => if let Some(at) = target(which) {
                    prop_assert_eq!(wait(keys.revoke(&ids[at])).is_ok(), !known[at].purged);
                    known[at].revoked = true;
                },
                Step::Disable { which, off } => if let Some(at) = target(which) {
                    let changed = wait(keys.set_disabled(&ids[at], off)).is_ok();
                    prop_assert_eq!(changed, !known[at].purged && !known[at].revoked);
                    if changed { known[at].disabled = off; }
                },
                Step::Rename { which } => if let Some(at) = target(which) {
                    let update = Update { name: Some("\u{1f511} neu".into()), ..Update::default() };
                    prop_assert_eq!(wait(keys.update(&ids[at], update)).is_ok(), !known[at].purged && !known[at].revoked);
                },
                Step::Purge { which } => if let Some(at) = target(which) {
                    let purged = wait(keys.purge(&ids[at])).is_ok();
                    prop_assert_eq!(purged, known[at].revoked && !known[at].purged);
                    known[at].purged |= purged;
                },
                // No secret that ever was comes back by importing it.
                Step::Import { which } => if let Some(at) = target(which) {
                    let secret = known[at].secrets[which % known[at].secrets.len()].clone();
                    let row = format!(r#"{{"key":"{secret}","entropy_bits":190}}"#);
                    let imported = wait(keys.import(from_json_lines(&row).next().unwrap().unwrap()));
                    prop_assert_eq!(imported.unwrap_err(), KeysError::Refused(Refused::SecretTaken));
                },
                Step::Pass { seconds } => {
                    now += seconds;
                    clock.advance(Duration::from_secs(seconds));
                }
            }
            for (known, id) in known.iter().zip(&ids) {
                for (index, secret) in known.secrets.iter().enumerate() {
                    prop_assert_eq!(ask(&guard, secret), known.expected(index, now).map(|()| *id));
                }
            }
            let listed: BTreeSet<KeyId> = wait(keys.list(&Filter::default(), None, 1_000)).unwrap().iter().map(|record| record.id).collect();
            let expected: BTreeSet<KeyId> = known.iter().zip(&ids).filter(|(known, _)| !known.purged).map(|(_, id)| *id).collect();
            prop_assert_eq!(listed, expected);
        }
    }
}

#[test]
fn revoking_wins_over_every_concurrent_change_and_holds_from_its_acknowledgement_on() {
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

#[test]
fn shapes_that_collide_with_generated_keys_are_refused_whichever_comes_first() {
    let import = |keys: &Keys, key: &str| {
        let row = format!(r#"{{"key":"{key}","entropy_bits":128}}"#);
        wait(keys.import(from_json_lines(&row).next().unwrap().unwrap())).map(|record| record.id)
    };
    let keys = Keys::new(MemoryStore::new());
    assert!(import(&keys, "acme_not-generated-here").is_ok());
    let refused = wait(keys.create(NewKey::named("k").prefix("acme").unwrap()));
    assert_eq!(refused.unwrap_err(), KeysError::Refused(Refused::LooksGenerated));

    let keys = Keys::new(MemoryStore::new());
    wait(keys.create(NewKey::named("k").prefix("acme").unwrap())).unwrap();
    assert_eq!(import(&keys, "acme_not-generated-here"), Err(KeysError::Refused(Refused::LooksGenerated)));
    assert!(import(&keys, "acme_live_not-generated-here").is_ok());
}

#[test]
fn handles_never_begin_one_another() {
    let keys = Keys::new(MemoryStore::new());
    let import = |key: &str, handle: &str| {
        let row = format!(r#"{{"key":"{key}","handle":"{handle}"}}"#);
        wait(keys.import(from_json_lines(&row).next().unwrap().unwrap())).map(|_| ())
    };
    assert_eq!(import("customer1-secret", "customer1"), Ok(()));
    assert_eq!(import("customer1-other", "customer1"), Err(KeysError::Refused(Refused::SecretTaken)));
    assert_eq!(import("customer12-secret", "customer12"), Err(KeysError::Refused(Refused::HandleTaken)));
    assert_eq!(import("customer-secret", "customer"), Err(KeysError::Refused(Refused::HandleTaken)));
    assert_eq!(import("customer2-secret", "customer2"), Ok(()));
}

#[test]
fn pages_go_through_every_key_once() {
    let keys = Keys::new(MemoryStore::new());
    let all: BTreeMap<KeyId, ()> = (0..25).map(|_| (wait(keys.create(NewKey::named("k"))).unwrap().record().id, ())).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = wait(keys.list(&Filter::default(), after, 10)).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page.iter().map(|record| record.id));
    }
    assert_eq!(seen, all.into_keys().collect::<Vec<_>>());
}
