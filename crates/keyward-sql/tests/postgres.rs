//! What is PostgreSQL's own: several nodes, and a server that goes away, hangs, or comes back as it was before.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{Listener, denied, guard, time_until};
use keyward::store::{Filter, News, RecordStore};
use keyward::{Keys, Kind, NewKey};
use keyward_behaviour::services::postgres::Postgres;
use keyward_sql::{OpenErrorKind, PostgresStore};

/// One server for the tests that do it no harm.
fn database() -> (&'static Postgres, String) {
    static SERVER: std::sync::OnceLock<Postgres> = std::sync::OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start().unwrap());
    (server, server.create_database().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_make_the_tables_once() {
    let (server, url) = database();
    let starting: Vec<_> = (0..8)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::builder(url).connections(3).connect().await })
        })
        .collect();
    for started in starting {
        let store = started.await.unwrap().unwrap();
        Keys::new(store.clone()).create(NewKey::named("n\0\u{1f511}\\0'\"%_")).await.unwrap();
        store.close().await.unwrap();
    }
    assert_eq!(server.query(&url, "SELECT count(DISTINCT name), count(*) FROM keyward_keys").unwrap(), "1|8");
    let store = PostgresStore::connect(&url).await.unwrap();
    let record = Keys::new(store).list(&Filter::default(), None, 1).await.unwrap().pop().unwrap();
    assert_eq!(&*record.name, "n\0\u{1f511}\\0'\"%_");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schemas_of_one_database_are_two_stores() {
    let (server, url) = database();
    server.query(&url, "CREATE SCHEMA one; CREATE SCHEMA two").unwrap();
    let open = async |schema: &str| PostgresStore::connect(&format!("{url}?options=-csearch_path%3D{schema}")).await.unwrap();
    let (one, two) = (open("one").await, open("two").await);
    let made = Keys::new(one).create(NewKey::named("k")).await.unwrap();
    assert!(Keys::new(two).get(&made.record().id).await.unwrap().is_none());
    assert_eq!(server.query(&url, "SELECT count(*) FROM one.keyward_keys").unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_tells_no_password() {
    let (server, url) = database();
    let (before, after) = url.split_once('@').unwrap();
    for (bad, kind) in [
        (format!("{before}hunter2@{after}"), OpenErrorKind::Database),
        ("postgres://u:hunter2@[::1:hunter2/d".to_owned(), OpenErrorKind::Address),
        ("postgres://u:hunter2@127.0.0.1:1/d".to_owned(), OpenErrorKind::Database),
        ("hunter2".to_owned(), OpenErrorKind::Address),
        (format!("{url}?pass=hunter2"), OpenErrorKind::Address),
        (format!("{url}?sslmod=require"), OpenErrorKind::Address),
        ("postgres://u:12?hunter2@127.0.0.1:1/d".to_owned(), OpenErrorKind::Address),
    ] {
        let builder = PostgresStore::builder(bad.as_str()).acquire_timeout(Duration::from_secs(2));
        assert!(!format!("{builder:?}").contains("hunter2"));
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    server.query(&url, "CREATE TABLE keyward_store (version BIGINT); INSERT INTO keyward_store VALUES (99)").unwrap();
    let newer = PostgresStore::connect(&url).await.unwrap_err();
    assert_eq!(newer.kind(), OpenErrorKind::Version, "{newer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_opened_to_look_makes_nothing_and_changes_nothing() {
    let (server, url) = database();
    let empty = PostgresStore::builder(&url).read_only().connect().await.unwrap_err();
    assert_eq!(empty.kind(), OpenErrorKind::Version, "{empty}");
    assert!(empty.to_string().contains("search_path"), "{empty}");
    assert_eq!(server.query(&url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").unwrap(), "0");

    let store = PostgresStore::connect(&url).await.unwrap();
    let made = Keys::new(store).create(NewKey::named("k")).await.unwrap();
    let revision = server.query(&url, "SELECT revision FROM keyward_store").unwrap();
    let looking = PostgresStore::builder(&url).read_only().connect().await.unwrap();
    let guard = guard(looking.clone());
    assert_eq!(denied(&guard, made.secret().expose()).await, None);
    let fault = Keys::new(looking.clone()).revoke(&made.record().id).await.unwrap_err();
    assert!(fault.to_string().contains("read-only"), "{fault}");
    looking.close().await.unwrap();
    assert_eq!(server.query(&url, "SELECT count(*) FROM keyward_usage").unwrap(), "0");
    assert_eq!(server.query(&url, "SELECT revision FROM keyward_store").unwrap(), revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_there_is_no_connection_is_told_at_once() {
    let (_, url) = database();
    let begun = Instant::now();
    for (bad, told) in [
        ("postgres://u@127.0.0.1:1/d".to_owned(), "refused"),
        (url.replace("postgres://", "postgres://nobody-"), "nobody-"),
        (format!("{}/not-there", url.rsplit_once('/').unwrap().0), "createdb"),
    ] {
        let error = PostgresStore::connect(&bad).await.unwrap_err();
        assert_eq!(error.kind(), OpenErrorKind::Database);
        assert!(error.to_string().contains(told), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "it was waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_on_the_disk_whatever_the_servers_default() {
    let server = Postgres::start_with(&[("synchronous_commit", "off")]).unwrap();
    let url = server.create_database().unwrap();
    let store = PostgresStore::connect(&url).await.unwrap();
    let made = Keys::new(store).create(NewKey::named("k")).await.unwrap();
    server.kill().unwrap();
    server.start_again().unwrap();
    let sql = format!("SELECT name FROM keyward_keys WHERE id = '{}'", made.record().id);
    assert_eq!(server.query(&url, &sql).unwrap(), "k");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_nodes_revocation_is_heard_of_at_once_and_holds_within_the_bound() {
    let (_, url) = database();
    let (one, two) = (PostgresStore::connect(&url).await.unwrap(), PostgresStore::connect(&url).await.unwrap());
    assert_eq!(two.revocation_bound(), Duration::from_secs(5));
    let keys = Keys::new(one);
    let elsewhere = guard(two);
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let made = keys.create(NewKey::named("k")).await.unwrap();
        assert_eq!(denied(&elsewhere, made.secret().expose()).await, None);
        let revoked = keys.revoke(&made.record().id).await.unwrap();
        let took = time_until(&elsewhere, made.secret().expose(), Some(Kind::Revoked)).await;
        assert!(took <= revoked.holds_everywhere_within(), "{took:?}");
        fastest = fastest.min(took);
    }
    // A round a second would do it by itself.
    assert!(fastest < Duration::from_millis(500), "{fastest:?}: notifications are not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_notifications_makes_no_flood_of_queries() {
    let (server, url) = database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let listener = Arc::new(Listener::default());
    let news: Arc<dyn News> = listener.clone();
    store.watch(Arc::downgrade(&news));
    listener.rounds(1).await;
    let (begun, before) = (Instant::now(), listener.rounds.load(Ordering::SeqCst));
    let flood = "DO $$ BEGIN FOR i IN 1..200 LOOP PERFORM pg_notify('keyward', i::text); PERFORM pg_sleep(0.001); COMMIT; END LOOP; END $$";
    for _ in 0..4 {
        server.query(&url, flood).unwrap();
    }
    let rounds = listener.rounds.load(Ordering::SeqCst) - before;
    let most = begun.elapsed().as_millis() / 50 + 2;
    assert!(rounds as u128 <= most, "{rounds} rounds in {:?}", begun.elapsed());
    assert!(rounds >= 2, "nobody listens");
    assert!(!listener.everything.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_old_records_are_no_answer_and_then_all_goes_on() {
    let server = Postgres::start().unwrap();
    let url = server.create_database().unwrap();
    let store = PostgresStore::builder(&url)
        .max_staleness(Duration::from_millis(500))
        .deadline(Duration::from_secs(1))
        .acquire_timeout(Duration::from_secs(1))
        .connect()
        .await
        .unwrap();
    let made = Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap();
    let guard = guard(store.clone());
    assert_eq!(denied(&guard, made.secret().expose()).await, None);

    server.pause().unwrap();
    time_until(&guard, made.secret().expose(), Some(Kind::Unavailable)).await;
    let begun = Instant::now();
    assert!(Keys::new(store.clone()).revoke(&made.record().id).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    server.resume().unwrap();
    let first = denied(&guard, made.secret().expose()).await;
    time_until(&guard, made.secret().expose(), None).await;

    server.kill().unwrap();
    time_until(&guard, made.secret().expose(), Some(Kind::Unavailable)).await;
    server.start_again().unwrap();
    time_until(&guard, made.secret().expose(), None).await;
    // The connections that broke are not what the first to ask gets to feel.
    for _ in 0..20 {
        Keys::new(store.clone()).get(&made.record().id).await.unwrap();
    }
    assert!(first.is_none() || first == Some(Kind::Unavailable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_node_knows_what_a_restored_server_has_lost() {
    let server = Postgres::start().unwrap();
    let url = server.create_database().unwrap();
    let store = PostgresStore::connect(&url).await.unwrap();
    let keys = Keys::new(store.clone());
    let made = keys.create(NewKey::named("k")).await.unwrap();
    server.stop().unwrap();
    let backup = server.back_up().unwrap();
    server.start_again().unwrap();
    let guard = guard(store.clone());
    time_until(&guard, made.secret().expose(), None).await;
    loop {
        if keys.revoke(&made.record().id).await.is_ok() {
            break;
        }
    }
    server.stop().unwrap();
    server.restore(&backup).unwrap();
    server.start_again().unwrap();
    let begun = Instant::now();
    while server.query(&url, "SELECT count(revoked) FROM keyward_keys").unwrap() == "0" {
        let answer = denied(&guard, made.secret().expose()).await;
        assert!(answer == Some(Kind::Revoked) || answer == Some(Kind::Unavailable), "{answer:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "the revocation is not written again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_many_nodes_lose_nothing() {
    let (server, url) = database();
    let (one, two) = (PostgresStore::connect(&url).await.unwrap(), PostgresStore::connect(&url).await.unwrap());
    let id = Keys::new(one.clone()).create(NewKey::named("k")).await.unwrap().record().id;
    let changing: Vec<_> = [one, two]
        .into_iter()
        .flat_map(|store| [Keys::new(store.clone()), Keys::new(store)])
        .map(|keys| {
            tokio::spawn(async move {
                for _ in 0..10 {
                    keys.rotate(&id, Duration::from_secs(60)).await.unwrap();
                }
            })
        })
        .collect();
    for changed in changing {
        changed.await.unwrap();
    }
    let counted = "SELECT count(*), count(slot), max(number) FROM keyward_secrets";
    assert_eq!(server.query(&url, counted).unwrap(), "41|2|40");
    assert_eq!(server.query(&url, "SELECT count(*), count(DISTINCT number) FROM keyward_journal").unwrap(), "41|41");
}
