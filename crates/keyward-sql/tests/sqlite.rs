//! What is SQLite's own: the file, whose it is, who else has it open, and what is left after a restored backup.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Folder, Listener, denied, guard, mode, number, other, script, set_mode, time_until};
use keyward::clock::ManualClock;
use keyward::key::State;
use keyward::store::{Filter, KeyStore, News, RecordStore, Update};
use keyward::{Answer, Guard, Keys, Kind, NewKey, Policy, Timestamp};
use keyward_sql::{OpenErrorKind, SqliteStore};
use sqlx::AssertSqlSafe;

fn copy_database(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    for beside in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(to.with_extension(format!("db{beside}")));
    }
    set_mode(to, 0o600);
}

#[tokio::test]
async fn a_new_database_is_nobody_elses_and_keys_are_there_again() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let made = Keys::new(store.clone()).create(NewKey::named("n\0\u{1f511}\\0'\"%_")).await.unwrap();
    for name in ["keys.db", "keys.db-wal", "keys.db-shm", "keys.db.revocations"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    store.close().await.unwrap();
    assert!(Keys::new(store).get(&made.record().id).await.unwrap_err().to_string().contains("closed"));

    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(denied(&guard(store.clone()), made.secret().expose()).await, None);
    let record = Keys::new(store.clone()).get(&made.record().id).await.unwrap().unwrap();
    assert_eq!(record.name, made.record().name);
    assert!(store.binds("kw"));
}

#[tokio::test]
async fn what_others_can_reach_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let refused = async |mend: &str| {
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), OpenErrorKind::File, "{error}");
        assert!(error.to_string().contains(mend), "{error}");
    };
    for bad in [0o640, 0o604, 0o620] {
        set_mode(&path, bad);
        refused("`chmod 600 ").await;
    }
    set_mode(&path, 0o600);
    // The sticky bit keeps nobody from making a `-wal` beside the database.
    for bad in [0o770, 0o707, 0o722, 0o1777] {
        set_mode(path.parent().unwrap(), bad);
        refused("`chmod go-w ").await;
        SqliteStore::builder(&path).insecure_shared_folder().open().await.unwrap().close().await.unwrap();
    }
    for good in [0o755, 0o700] {
        set_mode(path.parent().unwrap(), good);
        SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    }
    for ending in ["-wal", "-journal", ".revocations"] {
        let beside = folder.join(&format!("keys.db{ending}"));
        let kept = std::fs::read(&beside).ok();
        let _ = std::fs::remove_file(&beside);
        std::os::unix::fs::symlink(folder.join("elsewhere"), &beside).unwrap();
        refused("no plain file").await;
        std::fs::remove_file(&beside).unwrap();
        std::fs::write(&beside, kept.clone().unwrap_or_default()).unwrap();
        set_mode(&beside, 0o644);
        refused("`chmod 600 ").await;
        std::fs::remove_file(&beside).unwrap();
        if let Some(kept) = kept {
            std::fs::write(&beside, kept).unwrap();
            set_mode(&beside, 0o600);
        }
    }
    assert!(!folder.join("elsewhere").exists());
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    // Only root can give files away; for others this file is theirs, and stays so.
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_ok() {
        refused("run this as its owner").await;
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    }
    let behind = folder.join("behind.db");
    std::fs::rename(&path, &behind).unwrap();
    std::os::unix::fs::symlink(&behind, &path).unwrap();
    refused("symbolic link").await;
}

#[tokio::test]
async fn what_is_somebody_elses_stays_as_it_is() {
    let folder = Folder::new();
    let cases: [(&str, &str, OpenErrorKind); 3] = [
        ("other.db", "PRAGMA journal_mode = WAL; CREATE TABLE things (name TEXT)", OpenErrorKind::Foreign),
        ("application.db", "PRAGMA application_id = 7; CREATE TABLE keyward_store (version INTEGER)", OpenErrorKind::Foreign),
        ("text.db", "", OpenErrorKind::Foreign),
    ];
    for (name, sql, kind) in cases {
        let path = folder.join(name);
        if sql.is_empty() {
            std::fs::write(&path, "no database at all, however long it may be").unwrap();
        } else {
            script(&path, sql).await;
        }
        set_mode(&path, 0o600);
        let before = std::fs::read(&path).unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().ends_with("nothing was changed"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
        let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(beside, 1, "something was left beside {name}");
    }
}

#[tokio::test]
async fn a_newer_schema_is_left_alone() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    script(&path, "UPDATE keyward_store SET version = 99").await;
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(error.kind(), OpenErrorKind::Version);
    assert!(error.to_string().contains("version 99"), "{error}");
    assert_eq!(number(&path, "SELECT version FROM keyward_store").await, 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_many_make_at_once_is_made_once() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let opening: Vec<_> = (0..8).map(|_| tokio::spawn(SqliteStore::open(path.clone()))).collect();
    for opened in opening {
        let store = opened.await.unwrap().unwrap();
        Keys::new(store).create(NewKey::named("one of eight")).await.unwrap();
    }
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_keys").await, 8);
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_store").await, 1);
}

#[tokio::test]
async fn reading_only_changes_nothing() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let missing = SqliteStore::builder(&path).read_only().open().await.unwrap_err();
    assert_eq!(missing.kind(), OpenErrorKind::File);
    assert!(!path.exists());

    let store = SqliteStore::open(&path).await.unwrap();
    let made = Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap();
    let reader = SqliteStore::builder(&path).read_only().open().await.unwrap();
    assert_eq!(denied(&guard(reader.clone()), made.secret().expose()).await, None);
    let refused = Keys::new(reader.clone()).revoke(&made.record().id).await.unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");
    Keys::new(store).revoke(&made.record().id).await.unwrap();
    time_until(&guard(reader), made.secret().expose(), Some(Kind::Revoked)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_by_another_process_holds_within_the_bound() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let (one, two) = (SqliteStore::open(&path).await.unwrap(), SqliteStore::open(&path).await.unwrap());
    assert_eq!(two.revocation_bound(), Duration::from_secs(1));
    let made = Keys::new(one.clone()).create(NewKey::named("k")).await.unwrap();
    let elsewhere = guard(two.clone());
    assert_eq!(denied(&elsewhere, made.secret().expose()).await, None);
    let revoked = Keys::new(one).revoke(&made.record().id).await.unwrap();
    let took = time_until(&elsewhere, made.secret().expose(), Some(Kind::Revoked)).await;
    assert!(took <= revoked.holds_everywhere_within(), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_of_changes() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(SqliteStore::open(&path).await.unwrap());
    let listener = Arc::new(Listener::default());
    let news: Arc<dyn News> = listener.clone();
    store.watch(Arc::downgrade(&news));
    listener.rounds(1).await;

    let kept = keys.create(NewKey::named("kept")).await.unwrap().record().id;
    let ended = keys.create(NewKey::named("ended")).await.unwrap().record().id;
    keys.revoke(&ended).await.unwrap();
    let prefix = "elsewhere";
    keys.create(NewKey::named("third").prefix(prefix).unwrap()).await.unwrap();
    listener.rounds(2).await;
    assert!(listener.changed.lock().unwrap().contains(&kept));
    assert!(listener.revoked.lock().unwrap().contains(&ended));
    assert!(!listener.everything.load(Ordering::SeqCst));
    assert!(store.binds(prefix), "a prefix that was bound elsewhere is bound here");

    keys.purge(&ended).await.unwrap();
    listener.rounds(2).await;
    assert!(listener.changed.lock().unwrap().contains(&ended), "a key that was purged elsewhere is unknown here, too");

    // Uses are no news.
    let told = listener.changed.lock().unwrap().len();
    script(&path, "UPDATE keyward_usage SET count = count + 1").await;
    listener.rounds(2).await;
    assert_eq!(listener.changed.lock().unwrap().len(), told);

    // An older copy was put in its place.
    script(&path, "UPDATE keyward_store SET revision = 1").await;
    listener.rounds(2).await;
    assert!(listener.everything.load(Ordering::SeqCst));

    let gone = Arc::downgrade(&listener);
    drop((news, listener));
    let begun = Instant::now();
    while gone.strong_count() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the watch does not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn an_answer_is_lazy_and_needs_no_runtime_of_the_callers() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(SqliteStore::open(&path)).unwrap();
    let outside = pollster::block_on(SqliteStore::open(&path)).unwrap_err();
    assert_eq!(outside.kind(), OpenErrorKind::Runtime);

    let keys = Keys::new(store.clone());
    let made = pollster::block_on(keys.create(NewKey::named("k"))).unwrap();
    let id = made.record().id;
    let update = |name: &str| {
        let change = keyward::store::Change::Update(Box::new(Update { name: Some(name.into()), ..Update::default() }));
        let by = keyward::store::Attribution { actor: "test".into(), at: keyward::Timestamp::EPOCH };
        match store.change(&id, change, by) {
            Answer::Pending(later) => later,
            Answer::Ready(_) => panic!("a database is somewhere else"),
        }
    };
    let name = || pollster::block_on(keys.get(&id)).unwrap().unwrap().name.to_string();
    drop(update("never polled"));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(name(), "k");

    // Whoever asked goes away in the middle: all of it is made.
    let mut asked = update("polled once");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(asked.as_mut().poll(&mut context).is_pending());
    drop(asked);
    let begun = Instant::now();
    while name() != "polled once" {
        assert!(begun.elapsed() < Duration::from_secs(10), "it was not made");
        std::thread::sleep(Duration::from_millis(5));
    }

    drop(runtime);
    let gone = pollster::block_on(keys.get(&id)).unwrap_err().to_string();
    assert!(gone.contains("runtime"), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_the_file_up_makes_a_fault_and_harms_nothing() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::builder(&path).deadline(Duration::from_millis(300)).open().await.unwrap();
    let keys = Keys::new(store);
    let made = keys.create(NewKey::named("k")).await.unwrap();
    let mut other = other(&path).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let begun = Instant::now();
    let fault = keys.revoke(&made.record().id).await.unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(5), "{fault}");
    assert!(fault.contains("did not answer within"), "{fault}");
    assert!(keys.get(&made.record().id).await.unwrap().is_some(), "readers wait for nobody");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    while keys.revoke(&made.record().id).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "the writer does not come back");
    }
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_journal WHERE action = 'revoke'").await, 1);
}

#[tokio::test]
async fn a_restored_backup_brings_no_revoked_key_back() {
    let folder = Folder::new();
    let (path, backup, file) = (folder.join("keys.db"), folder.join("backup.db"), folder.join("keys.db.revocations"));
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let before = keys.create(NewKey::named("revoked before")).await.unwrap();
    let after = keys.create(NewKey::named("revoked after")).await.unwrap();
    let kept = keys.create(NewKey::named("kept")).await.unwrap();
    keys.revoke(&before.record().id).await.unwrap();
    store.close().await.unwrap();
    copy_database(&path, &backup);
    let store = SqliteStore::open(&path).await.unwrap();
    let revoking = Keys::new(store.clone());
    let revoked = revoking.revoke(&after.record().id).await.unwrap();
    let revoking = revoking.journal(0, 100).await.unwrap().pop().unwrap();
    store.close().await.unwrap();
    copy_database(&backup, &path);

    // Who only reads cannot make it again, and sees it as made.
    let reading = SqliteStore::builder(&path).read_only().open().await.unwrap();
    assert_eq!(denied(&guard(reading.clone()), after.secret().expose()).await, Some(Kind::Revoked));
    let at = revoked.record().revoked_at();
    assert_eq!(Keys::new(reading.clone()).get(&after.record().id).await.unwrap().unwrap().revoked_at(), at);
    let live = Filter { state: Some((State::Live, Timestamp::from_system(std::time::SystemTime::now()))), ..Filter::default() };
    let names: Vec<_> = Keys::new(reading.clone()).list(&live, None, 10).await.unwrap().iter().map(|k| k.name.clone()).collect();
    assert_eq!(names, ["kept".into()]);
    reading.close().await.unwrap();
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_keys WHERE revoked IS NOT NULL").await, 1);
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let again = keys.get(&after.record().id).await.unwrap().unwrap();
    assert_eq!(again.revoked_at(), revoked.record().revoked_at());
    assert!(!keys.get(&kept.record().id).await.unwrap().unwrap().is_revoked());
    let last = keys.journal(0, 100).await.unwrap().pop().unwrap();
    assert_eq!((&*last.actor, &*last.action, last.key), (&*revoking.actor, "revoke", after.record().id));
    store.close().await.unwrap();

    // Without the file, nobody would know.
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[..good.len() - 1]).unwrap();
    for _ in 0..2 {
        let lost = SqliteStore::open(&path).await.unwrap_err();
        assert_eq!(lost.kind(), OpenErrorKind::LostRevocations);
        assert!(lost.to_string().contains("accept_lost_revocations()"), "{lost}");
        let _ = std::fs::remove_file(&file);
    }
    SqliteStore::builder(&path).accept_lost_revocations().open().await.unwrap().close().await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    Keys::new(store.clone()).revoke(&kept.record().id).await.unwrap();
    store.close().await.unwrap();
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_backup_from_before_the_first_revocation_does_not_open_without_the_file() {
    let folder = Folder::new();
    let (path, backup, file) = (folder.join("keys.db"), folder.join("backup.db"), folder.join("keys.db.revocations"));
    let store = SqliteStore::open(&path).await.unwrap();
    let made = Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap();
    store.close().await.unwrap();
    copy_database(&path, &backup);
    let store = SqliteStore::open(&path).await.unwrap();
    Keys::new(store.clone()).revoke(&made.record().id).await.unwrap();
    store.close().await.unwrap();
    let list = std::fs::read(&file).unwrap();

    copy_database(&backup, &path);
    let first_line = list.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (header, lines) = list.split_at(first_line);
    let garbage = [header, b"garbage\n", lines].concat();
    let another = [b"keyward revocations of 00\n", lines].concat();
    let other_file = b"my own notes, which are of some length and no list of revocations at all".to_vec();
    for (content, told) in [
        (None, "is missing"),
        (Some(garbage), "line 2 of"),
        (Some(another), "another database"),
        (Some(other_file), "is no list"),
        (Some(header[..20].to_vec()), "is missing"),
    ] {
        let _ = std::fs::remove_file(&file);
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
            set_mode(&file, 0o600);
        }
        for builder in [SqliteStore::builder(&path), SqliteStore::builder(&path).read_only()] {
            let error = builder.open().await.unwrap_err();
            assert_eq!(error.kind(), OpenErrorKind::LostRevocations, "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
    }
    std::fs::write(&file, &list).unwrap();
    set_mode(&file, 0o600);
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(Keys::new(store.clone()).get(&made.record().id).await.unwrap().unwrap().is_revoked());
}

#[tokio::test]
async fn a_new_database_takes_no_file_that_is_somebody_elses() {
    let folder = Folder::new();
    let (path, file) = (folder.join("keys.db"), folder.join("keys.db.revocations"));
    // Half a first line, as a power cut leaves it, is finished.
    std::fs::write(&file, "keyward rev\0\0").unwrap();
    set_mode(&file, 0o600);
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("keyward revocations of "));
    for content in ["my own notes", "keyward revocations of 00\n"] {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&file, content).unwrap();
        let error = SqliteStore::open(&path).await.unwrap_err();
        assert!(error.kind() == OpenErrorKind::LostRevocations && error.to_string().contains("move it away"), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn damage_is_a_fault_and_not_an_unknown_key() {
    for damage in ["DELETE FROM keyward_keys", "UPDATE keyward_secrets SET slot = NULL WHERE slot = 'current'"] {
        let folder = Folder::new();
        let path = folder.join("keys.db");
        let store = SqliteStore::open(&path).await.unwrap();
        let keys = Keys::new(store.clone());
        let made = keys.create(NewKey::named("k")).await.unwrap();
        let rotated = keys.rotate(&made.record().id, Duration::from_secs(3_600)).await.unwrap();
        store.close().await.unwrap();
        script(&path, damage).await;
        let guard = guard(SqliteStore::open(&path).await.unwrap());
        assert_eq!(denied(&guard, made.secret().expose()).await, Some(Kind::Unavailable), "{damage}");
        let current = denied(&guard, rotated.secret().expose()).await;
        // A secret in no slot is one that was retired.
        let expected = if damage.starts_with("DELETE") { Kind::Unavailable } else { Kind::Unknown };
        assert_eq!(current, Some(expected), "{damage}");
    }
}

#[tokio::test]
async fn a_damaged_record_can_be_revoked_and_the_damage_is_told() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let id = Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap().record().id;
    store.close().await.unwrap();
    script(&path, "UPDATE keyward_keys SET scopes = 'x'").await;
    let store = SqliteStore::open(&path).await.unwrap();
    for _ in 0..2 {
        let fault = Keys::new(store.clone()).acting_as("ada").revoke(&id).await.unwrap_err().to_string();
        assert!(fault.contains("is damaged") && fault.contains("revoked all the same"), "{fault}");
    }
    store.close().await.unwrap();
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_keys WHERE revoked IS NOT NULL").await, 1);
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_journal WHERE action = 'revoke' AND actor = 'ada'").await, 1);
    assert_eq!(std::fs::read_to_string(folder.join("keys.db.revocations")).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn looking_at_a_database_that_is_not_made_yet_says_so() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    std::fs::write(&path, "").unwrap();
    set_mode(&path, 0o600);
    let error = SqliteStore::builder(&path).read_only().open().await.unwrap_err();
    assert!(error.kind() == OpenErrorKind::Version && error.to_string().contains("open it for writing once"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_while_keys_are_revoked_is_no_alarm() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.push(keys.create(NewKey::named("k")).await.unwrap().record().id);
    }
    let revoking = tokio::spawn(async move {
        for id in ids {
            keys.revoke(&id).await.unwrap();
        }
    });
    while !revoking.is_finished() {
        SqliteStore::builder(&path).read_only().open().await.unwrap().close().await.unwrap();
    }
    revoking.await.unwrap();
}

#[tokio::test]
async fn one_damaged_record_keeps_a_restored_database_from_nothing() {
    let folder = Folder::new();
    let (path, backup) = (folder.join("keys.db"), folder.join("backup.db"));
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let mut ids = Vec::new();
    for name in ["damaged", "good"] {
        ids.push(keys.create(NewKey::named(name)).await.unwrap().record().id);
    }
    store.close().await.unwrap();
    copy_database(&path, &backup);
    let store = SqliteStore::open(&path).await.unwrap();
    for id in &ids {
        Keys::new(store.clone()).revoke(id).await.unwrap();
    }
    store.close().await.unwrap();
    copy_database(&backup, &path);
    script(&path, "UPDATE keyward_keys SET scopes = 'x' WHERE name = 'damaged'").await;
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(Keys::new(store.clone()).get(&ids[0]).await.is_err());
    assert!(Keys::new(store.clone()).get(&ids[1]).await.unwrap().unwrap().is_revoked());
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_keys WHERE revoked IS NOT NULL").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_under_a_running_process_brings_no_revoked_key_back() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let made = keys.create(NewKey::named("k")).await.unwrap();
    keys.revoke(&made.record().id).await.unwrap();
    store.close().await.unwrap();
    // Started after the revocation, and never asked about the key.
    let store = SqliteStore::open(&path).await.unwrap();
    let guard = guard(store.clone());
    script(&path, "UPDATE keyward_keys SET revoked = NULL; UPDATE keyward_store SET revision = revision - 1").await;
    let took = time_until(&guard, made.secret().expose(), Some(Kind::Revoked)).await;
    assert!(took <= store.revocation_bound(), "{took:?}");
    assert!(Keys::new(store).get(&made.record().id).await.unwrap().unwrap().is_revoked());
}

#[tokio::test]
async fn a_file_that_was_replaced_is_no_answer() {
    let folder = Folder::new();
    let (path, backup) = (folder.join("keys.db"), folder.join("backup.db"));
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let made = keys.create(NewKey::named("k")).await.unwrap();
    script(&path, &format!("VACUUM INTO '{}'", backup.display())).await;
    let guard = guard(store);
    assert_eq!(denied(&guard, made.secret().expose()).await, None);
    std::fs::rename(&backup, &path).unwrap();
    let fault = keys.revoke(&made.record().id).await.unwrap_err().to_string();
    assert!(fault.contains("was replaced or removed"), "{fault}");
    time_until(&guard, made.secret().expose(), Some(Kind::Unavailable)).await;
}

#[tokio::test]
async fn uses_are_written_on_close_and_are_no_change() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::builder(&path).usage_every(Duration::from_secs(3600)).open().await.unwrap();
    let keys = Keys::new(store.clone());
    let made = keys.create(NewKey::named("k")).await.unwrap();
    let revision = number(&path, "SELECT revision FROM keyward_store").await;
    let guard = guard(store.clone());
    for _ in 0..3 {
        assert_eq!(denied(&guard, made.secret().expose()).await, None);
    }
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_usage").await, 0);
    assert_eq!(keys.usage(&[made.record().id]).await.unwrap()[0].count, 3);
    assert_eq!(denied(&guard, made.secret().expose()).await, None);
    store.close().await.unwrap();
    assert_eq!(number(&path, "SELECT count FROM keyward_usage").await, 4);
    assert_eq!(number(&path, "SELECT revision FROM keyward_store").await, revision);
}

#[tokio::test]
async fn a_row_for_each_of_thirty_days_and_no_more() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let (busy, idle) = (keys.create(NewKey::named("busy")).await.unwrap(), keys.create(NewKey::named("idle")).await.unwrap());
    let clock = ManualClock::at(Timestamp::EPOCH);
    let policy = Policy::from_toml("test.toml", "").unwrap();
    let guard = Guard::builder(policy).store(store.clone()).clock(clock.clone()).build().unwrap();
    clock.advance(Duration::from_secs(10 * 86_400));
    assert_eq!(denied(&guard, idle.secret().expose()).await, None);
    for _ in 10..50 {
        for _ in 0..2 {
            assert_eq!(denied(&guard, busy.secret().expose()).await, None);
        }
        keys.usage(&[busy.record().id]).await.unwrap();
        clock.advance(Duration::from_secs(86_400));
    }
    // What is forgotten is so for every key, also for one that is not used any more.
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_usage_days").await, 30);
    assert_eq!(number(&path, "SELECT min(day) FROM keyward_usage_days").await, 20);
    assert_eq!(number(&path, "SELECT sum(count) FROM keyward_usage").await, 81);
    keys.revoke(&busy.record().id).await.unwrap();
    keys.purge(&busy.record().id).await.unwrap();
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_usage_days").await, 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn every_statement_of_a_lookup_and_of_a_check_goes_by_an_index() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut connection = other(&path).await;
    for sql in [
        "SELECT 1 FROM keyward_secrets WHERE digest = x'00' AND pepper = 0 AND slot IS NOT NULL",
        "SELECT 1 FROM keyward_secrets WHERE handle = 'h' AND slot IS NOT NULL",
        "SELECT 1 FROM keyward_keys k JOIN keyward_secrets c ON c.key_id = k.id AND c.slot = 'current' LEFT JOIN keyward_secrets p ON p.key_id = k.id AND p.slot = 'previous' WHERE k.id = 'i'",
        "WITH given (digest, pepper) AS (VALUES (?, ?), (?, ?)) SELECT t.digest FROM given CROSS JOIN keyward_secrets t WHERE t.digest = given.digest AND t.pepper = given.pepper",
        "SELECT 1 FROM keyward_keys WHERE foreign_prefix = x'00' AND revoked IS NULL",
        "SELECT id, revoked FROM keyward_keys WHERE revision > 7 UNION ALL SELECT key_id, NULL FROM keyward_journal WHERE number > 7 AND action = 'purge' LIMIT 10001",
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&mut connection).await.unwrap();
        let scans: Vec<&String> = plan.iter().map(|(.., step)| step).filter(|step| step.starts_with("SCAN")).collect();
        // The values that are given, and the one row of the store.
        assert!(scans.iter().all(|step| ["SCAN given", "SCAN s", "SCAN 2-ROW VALUES CLAUSE", "SCAN 2 CONSTANT ROWS"].contains(&step.as_str())), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn filters_take_wildcards_for_what_they_are() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.join("keys.db")).await.unwrap();
    let keys = Keys::new(store);
    for prefix in ["a_b", "axb"] {
        keys.create(NewKey::named(prefix).prefix(prefix).unwrap()).await.unwrap();
    }
    let count = async |prefix: &str| {
        let filter = Filter { prefix: Some(prefix.into()), ..Filter::default() };
        keys.list(&filter, None, 10).await.unwrap().len()
    };
    assert_eq!((count("a_").await, count("a%").await, count("A").await, count("a").await, count("").await), (1, 0, 0, 2, 2));
}
