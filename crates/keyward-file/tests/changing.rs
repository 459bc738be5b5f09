//! Changes, uses, and what others do to the file meanwhile.

mod support;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use keyward::clock::Clock;
use keyward::key::{Pepper, Peppers};
use keyward::store::{Attribution, Change, Filter, RecordStore, Refused, Update};
use keyward::{Answer, Keys, KeysError, Kind, NewKey};
use keyward_file::FileStore;

use support::{Folder, ask, clock, create, guard, set_mode, until, wait};

/// Longer than the file goes without being looked at.
const A_LOOK: Duration = Duration::from_millis(250);

fn reader(folder: &Folder) -> FileStore {
    FileStore::builder(folder.keys()).read_only().open().unwrap()
}

#[test]
fn what_was_acknowledged_is_there_when_the_file_is_opened_again() {
    let folder = Folder::new();
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    let (kept, kept_key) = create(&keys, "kept");
    let (ended, ended_key) = create(&keys, "ended");
    wait(keys.revoke(&ended)).unwrap();
    drop(keys);

    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let guard = guard(&store, &clock);
    assert_eq!(ask(&guard, &kept_key), Ok(kept));
    assert_eq!(ask(&guard, &ended_key), Err(Kind::Revoked));
    let rows = wait(Keys::new(store).journal(0, 10)).unwrap();
    assert_eq!(rows.iter().map(|row| &*row.action).collect::<Vec<_>>(), ["create", "create", "revoke"]);
}

#[test]
fn what_was_refused_writes_nothing() {
    let folder = Folder::new();
    let store = FileStore::open(folder.keys()).unwrap();
    let keys = Keys::new(store.clone());
    let (id, _) = create(&keys, "k");
    wait(keys.revoke(&id)).unwrap();
    let before = (fs::read(folder.keys()).unwrap(), fs::metadata(folder.keys()).unwrap().modified().unwrap());
    assert_eq!(wait(keys.update(&id, Update::default())).unwrap_err(), KeysError::Refused(Refused::Revoked));
    assert_eq!(wait(keys.revoke(&"nobody".parse().unwrap())).unwrap_err(), KeysError::Refused(Refused::NotFound));
    // Revoked once more, which is no fault and no change.
    wait(keys.revoke(&id)).unwrap();
    store.flush().unwrap();
    assert_eq!(before, (fs::read(folder.keys()).unwrap(), fs::metadata(folder.keys()).unwrap().modified().unwrap()));
}

#[test]
fn changes_from_many_threads_are_all_made_while_others_look() {
    let folder = Folder::new();
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let keys = Keys::new(store.clone());
    let (old, old_key) = create(&keys, "old");
    let guard_of_reader = guard(&reader(&folder), &clock);
    let (guard, is_over) = (guard(&store, &clock), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!((ask(&guard, &old_key), ask(&guard_of_reader, &old_key)), (Ok(old), Ok(old)));
                clock.advance(A_LOOK);
            }
        });
        let making: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let (id, key) = create(&keys, "new");
                        assert_eq!(ask(&guard, &key), Ok(id), "as soon as it is acknowledged");
                    }
                })
            })
            .collect();
        let made: Vec<_> = making.into_iter().map(|thread| thread.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        looking.join().unwrap();
        made.into_iter().for_each(|made| made.unwrap());
    });
    drop((store, keys, guard));
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    assert_eq!(wait(keys.list(&Filter::default(), None, 100)).unwrap().len(), 81);
}

#[test]
fn nothing_happens_before_somebody_waits_and_then_it_does_even_if_they_leave() {
    let folder = Folder::new();
    let store = FileStore::open(folder.keys()).unwrap();
    let (id, _) = create(&Keys::new(store.clone()), "k");
    let revoke = |actor: &str| {
        let by = Attribution { actor: actor.into(), at: clock().now().wall };
        store.change(&id, Change::Revoke(keyward::key::Epoch::from_bytes([1; 16])), by)
    };
    drop(revoke("nobody"));
    std::thread::sleep(Duration::from_millis(50));
    let is_revoked = || wait(Keys::new(reader(&folder)).get(&id)).unwrap().unwrap().is_revoked();
    assert!(!is_revoked());

    let Answer::Pending(mut later) = revoke("who left") else { panic!("a change was made at once") };
    assert!(matches!(later.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
    drop(later);
    until("the revocation is written", is_revoked);
}

#[test]
fn a_reader_sees_what_the_writer_does_and_changes_nothing() {
    let folder = Folder::new();
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    let (reader, clock) = (reader(&folder), clock());
    let guard = guard(&reader, &clock);
    let (id, key) = create(&keys, "k");
    assert_eq!(ask(&guard, &key), Ok(id), "the first look of all");
    wait(keys.revoke(&id)).unwrap();
    clock.advance(A_LOOK - Duration::from_nanos(1));
    assert_eq!(ask(&guard, &key), Ok(id), "not looked again yet");
    clock.advance(Duration::from_nanos(1));
    assert_eq!(ask(&guard, &key), Err(Kind::Revoked));

    let before = fs::read(folder.keys()).unwrap();
    let reading = Keys::new(reader.clone());
    let faults = [
        wait(reading.create(NewKey::named("n").prefix("other").unwrap())).unwrap_err(),
        wait(reading.create(NewKey::named("n"))).unwrap_err(),
        wait(reading.rotate(&id, Duration::ZERO)).unwrap_err(),
        wait(reading.revoke(&id)).unwrap_err(),
        wait(reading.purge(&id)).unwrap_err(),
    ];
    for fault in &faults[..2] {
        assert!(
            fault.to_string().contains("opened to be read only: make the change through the process that writes it"),
            "{fault}"
        );
    }
    assert_eq!(faults[2], KeysError::Refused(Refused::Revoked));
    assert!(matches!(faults[3], KeysError::Fault(_)) && matches!(faults[4], KeysError::Fault(_)));
    reader.flush().unwrap();
    assert_eq!(fs::read(folder.keys()).unwrap(), before);

    // What a reader could not revoke goes on.
    let (other, other_key) = create(&keys, "other");
    assert_eq!(wait(reading.list(&Filter::default(), None, 9)).unwrap().len(), 2, "a listing looks each time");
    wait(reading.revoke(&other)).unwrap_err();
    assert_eq!(ask(&guard, &other_key), Ok(other));
}

#[test]
fn while_the_file_cannot_be_read_there_is_no_answer() {
    let folder = Folder::new();
    let store = FileStore::open(folder.keys()).unwrap();
    let (id, key) = create(&Keys::new(store.clone()), "k");
    let good = fs::read(folder.keys()).unwrap();
    let clock = clock();
    for store in [store, reader(&folder)] {
        let (guard, keys) = (guard(&store, &clock), Keys::new(store.clone()));
        let assert_none = |what: &str| {
            clock.advance(A_LOOK);
            assert_eq!(ask(&guard, &key), Err(Kind::Unavailable), "{what}");
            assert_eq!(ask(&guard, "some-other-key-0123456789"), Err(Kind::Unavailable), "{what}: nor is a key unknown");
            for fault in [wait(keys.get(&id)).unwrap_err(), wait(keys.create(NewKey::named("n"))).unwrap_err()] {
                let text = fault.to_string();
                assert!(matches!(fault, KeysError::Fault(_)) && text.contains("api-keys.json"), "{what}: {text}");
            }
        };
        let assert_good = || {
            clock.advance(A_LOOK);
            assert_eq!(ask(&guard, &key), Ok(id));
        };
        for bad in [&b""[..], b"{", &good[..good.len() - 1]] {
            folder.restore(bad);
            assert_none("damaged");
            assert!(fs::read(folder.keys()).unwrap() == bad, "it is not written over");
            folder.restore(&good);
            assert_good();
            // And in place, as an editor does it.
            fs::write(folder.keys(), bad).unwrap();
            assert_none("damaged in place");
            fs::write(folder.keys(), &good).unwrap();
            assert_good();
        }
        fs::remove_file(folder.keys()).unwrap();
        assert_none("away");
        assert!(!folder.keys().exists(), "it is not made anew");
        folder.restore(&good);
        assert_good();
        set_mode(&folder.keys(), 0o644);
        assert_none("open to others");
        set_mode(&folder.keys(), 0o600);
        assert_good();
        let aside = folder.path().join("aside");
        fs::rename(folder.keys(), &aside).unwrap();
        std::os::unix::fs::symlink(&aside, folder.keys()).unwrap();
        assert_none("a link");
        fs::rename(&aside, folder.keys()).unwrap();
        assert_good();
        // What is wrong with the folder is mended without touching the file.
        set_mode(folder.path(), 0o777);
        fs::rename(folder.keys(), &aside).unwrap();
        fs::rename(&aside, folder.keys()).unwrap();
        assert_none("exposed");
        set_mode(folder.path(), 0o700);
        assert_good();
    }
}

#[test]
fn a_revocation_that_was_asked_for_while_nothing_could_be_written_holds_when_it_can() {
    let folder = Folder::new();
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let (guard, keys) = (guard(&store, &clock), Keys::new(store.clone()));
    let (id, key) = create(&keys, "k");
    let good = fs::read(folder.keys()).unwrap();
    folder.restore(b"{");
    let fault = wait(keys.revoke(&id)).unwrap_err().to_string();
    assert!(fault.contains("is damaged") && fault.contains("nothing was changed"), "{fault}");
    folder.restore(&good);
    clock.advance(A_LOOK);
    assert_eq!(ask(&guard, &key), Err(Kind::Revoked));
    until("it is written after all", || wait(Keys::new(reader(&folder)).get(&id)).unwrap().unwrap().is_revoked());
}

#[test]
fn a_backup_brings_no_revoked_key_back_into_a_running_process() {
    let folder = Folder::new();
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let (guard_of_writer, keys) = (guard(&store, &clock), Keys::new(store.clone()));
    let reader_of_it = reader(&folder);
    let guard_of_reader = guard(&reader_of_it, &clock);
    let (revoked, revoked_key) = create(&keys, "revoked");
    let (purged, purged_key) = create(&keys, "purged");
    let (rotated, rotated_key) = create(&keys, "kept");
    let backup = fs::read(folder.keys()).unwrap();
    for id in [revoked, purged] {
        wait(keys.revoke(&id)).unwrap();
    }
    wait(keys.purge(&purged)).unwrap();
    let assert_refused = |when: &str| {
        clock.advance(A_LOOK);
        for guard in [&guard_of_reader, &guard_of_writer] {
            assert_eq!(ask(guard, &revoked_key), Err(Kind::Revoked), "{when}");
            assert!(matches!(ask(guard, &purged_key), Err(Kind::Revoked | Kind::Unknown)), "{when}");
            assert_eq!(ask(guard, &rotated_key), Ok(rotated), "{when}");
        }
    };
    assert_refused("before");
    folder.restore(&backup);
    assert_refused("the backup is there");
    let states = || {
        let keys = Keys::new(reader(&folder));
        [revoked, purged].map(|id| wait(keys.get(&id)).unwrap().is_some_and(|record| record.is_revoked()))
    };
    until("the revocations are written back", || states() == [true, true]);
    let rows = wait(keys.journal(0, 100)).unwrap();
    let again: Vec<_> = rows.iter().filter(|row| &*row.actor == "known revocation").map(|row| (&*row.action, row.key)).collect();
    assert_eq!(again, [("revoke", revoked), ("revoke", purged)]);
    drop((store, keys, guard_of_writer));
    let guard = guard(&FileStore::open(folder.keys()).unwrap(), &clock);
    for key in [&revoked_key, &purged_key] {
        assert_eq!(ask(&guard, key), Err(Kind::Revoked), "and in the next process");
    }
}

#[test]
fn a_change_that_is_refused_still_corrects_the_file() {
    let folder = Folder::new();
    let store = FileStore::open(folder.keys()).unwrap();
    let keys = Keys::new(store.clone());
    let (id, _) = create(&keys, "k");
    let backup = fs::read(folder.keys()).unwrap();
    wait(keys.revoke(&id)).unwrap();
    folder.restore(&backup);
    // It is the first to see the backup.
    let by = Attribution { actor: "who".into(), at: clock().now().wall };
    assert_eq!(wait(store.purge(&"nobody".parse().unwrap(), by).wait()).unwrap(), Err(Refused::NotFound));
    assert!(wait(Keys::new(reader(&folder)).get(&id)).unwrap().unwrap().is_revoked());
}

#[test]
fn uses_are_counted_at_once_and_written_later() {
    let folder = Folder::new();
    let (store, clock) = (FileStore::builder(folder.keys()).usage_every(Duration::from_secs(9)).open().unwrap(), clock());
    let (guard, keys) = (guard(&store, &clock), Keys::new(store.clone()));
    let (id, key) = create(&keys, "k");
    let count = |keys: &Keys| wait(keys.usage(&[id])).unwrap().first().map(|usage| (usage.count, usage.last_used));
    let written = || count(&Keys::new(reader(&folder)));
    let now = || clock.now().wall;
    assert_eq!((count(&keys), written()), (None, None));
    for uses in 1..=3 {
        assert_eq!(ask(&guard, &key), Ok(id));
        assert_eq!((count(&keys), written()), (Some((uses, now())), None));
    }
    // With the first use after so long.
    clock.advance(Duration::from_secs(9));
    assert_eq!(ask(&guard, &key), Ok(id));
    assert_eq!(count(&keys), Some((4, now())));
    until("uses are written by the way", || written() == Some((4, now())));
    // With a change.
    assert_eq!(ask(&guard, &key), Ok(id));
    create(&keys, "another");
    assert_eq!((count(&keys), written()), (Some((5, now())), Some((5, now()))));
    // When asked for.
    assert_eq!(ask(&guard, &key), Ok(id));
    store.flush().unwrap();
    assert_eq!((count(&keys), written()), (Some((6, now())), Some((6, now()))));
    // With the last clone.
    assert_eq!(ask(&guard, &key), Ok(id));
    drop((guard, keys, store));
    assert_eq!(written(), Some((7, now())));
}

#[test]
fn of_two_uses_at_one_instant_the_later_says_from_where() {
    let folder = Folder::new();
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let (guard, keys) = (guard(&store, &clock), Keys::new(store.clone()));
    let (id, key) = create(&keys, "k");
    for address in [[192, 0, 2, 7], [198, 51, 100, 7], [203, 0, 113, 7]] {
        let request = http::Request::get("/").header("x-api-key", &key).extension(keyward::Peer(address.into()));
        assert!(matches!(guard.decide_blocking(&request.body(()).unwrap()), keyward::Decision::Allowed(_)));
        // The uses are on their way into the file, and not in it.
        wait(keys.purge(&id)).unwrap_err();
        let network = || wait(keys.usage(&[id])).unwrap()[0].network.unwrap().to_string();
        let expected = format!("{}.{}.{}.0", address[0], address[1], address[2]);
        assert_eq!(network(), expected);
        if address[0] == 198 {
            store.flush().unwrap();
            assert_eq!(network(), expected);
        }
    }
}

#[test]
fn uses_of_a_purged_key_are_gone() {
    let folder = Folder::new();
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let (guard, keys) = (guard(&store, &clock), Keys::new(store.clone()));
    let (id, key) = create(&keys, "k");
    assert_eq!(ask(&guard, &key), Ok(id));
    wait(keys.revoke(&id)).unwrap();
    wait(keys.purge(&id)).unwrap();
    assert_eq!(wait(keys.usage(&[id])).unwrap(), []);
    assert!(fs::read_to_string(folder.keys()).unwrap().contains("\"usage\": []"));
}

#[test]
fn a_key_under_an_old_pepper_is_written_under_the_new_one_when_it_is_used() {
    let folder = Folder::new();
    let pepper = |version: u16| Pepper::new(version, &[version as u8; 32]).unwrap();
    let (old, both) = (Peppers::new([pepper(1)]).unwrap(), Peppers::new([pepper(2), pepper(1)]).unwrap());
    let (store, clock) = (FileStore::open(folder.keys()).unwrap(), clock());
    let made: Vec<_> = (0..5).map(|_| create(&Keys::new(store.clone()).peppers(old.clone()), "k")).collect();
    let policy = keyward::Policy::from_toml("policy.toml", "").unwrap();
    let guard = keyward::Guard::builder(policy).store(store.clone()).clock(clock.clone()).peppers(both).build().unwrap();
    for (id, key) in &made {
        assert_eq!(ask(&guard, key), Ok(*id));
    }
    let keys = Keys::new(store);
    let rehashed = || {
        let rows = wait(keys.journal(0, 100)).unwrap();
        rows.iter().filter(|row| &*row.action == "rehash" && &*row.actor == "rehash on use").count()
    };
    until("all are rehashed", || rehashed() == made.len());
    let text = fs::read_to_string(folder.keys()).unwrap();
    assert_eq!(text.matches("\"secret\": \"hmac-sha256:2:").count(), made.len());
    for (id, key) in &made {
        assert_eq!(ask(&guard, key), Ok(*id));
    }
    assert_eq!(rehashed(), made.len(), "once each");
}
