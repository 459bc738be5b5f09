//! What is a database's own of accounts and sessions: how their tables come into an older database, what they do not disturb, and
//! what is made together.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::{Folder, Listener, denied, guard, number, other, script};
use keyward::account::{Account, AccountChange, AccountId, AccountRefused, AccountStore, PasswordHash, Session};
use keyward::store::{Attribution, News, RecordStore};
use keyward::{Keys, NewKey, SystemRandom, Timestamp};
use keyward_behaviour::services::postgres::Postgres;
use keyward_sql::{OpenErrorKind, PostgresStore, SqliteStore};
use sqlx::{AssertSqlSafe, Connection, Executor as _, PgConnection};

/// One server for all.
fn database() -> (&'static Postgres, String) {
    static SERVER: std::sync::OnceLock<Postgres> = std::sync::OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start().unwrap());
    (server, server.create_database().unwrap())
}

fn account(name: &str) -> Account {
    let phc = "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$rbv34aBxhlwTkcoidUYmV0YxDlh05K1kwZ7GjPhpqXk";
    Account {
        id: AccountId::new(Timestamp::EPOCH, &SystemRandom),
        address: format!("{name}@example.com").parse().unwrap(),
        first_name: name.into(),
        last_name: "".into(),
        password: PasswordHash::from_phc(phc).unwrap(),
        is_admin: false,
        is_disabled: false,
        created: Timestamp::EPOCH,
    }
}

fn session(account: &Account) -> Session {
    let (_, digest) = Session::token(&SystemRandom).unwrap();
    let at = Timestamp::from_unix_seconds(1);
    Session { digest, account: account.id, created: at, last_seen: at, expires: at, network: None, agent: "".into() }
}

fn by() -> Attribution {
    Attribution { actor: "ada".into(), at: Timestamp::EPOCH }
}

async fn add(store: &impl AccountStore, name: &str) -> Account {
    let account = account(name);
    store.add_account(account.clone(), false, by()).wait().await.unwrap().unwrap();
    account
}

async fn begin(store: &impl AccountStore, account: &Account) -> Session {
    let session = session(account);
    store.add_session(session.clone(), account.password.clone()).wait().await.unwrap().unwrap();
    session
}

/// Takes a database back to the first version of the schema, as it was released, with an account that somebody put there by hand.
fn to_first_version() -> String {
    let (_, tables) =
        include_str!("../src/schema.sql").split_once("-- People who look after keys, and their sessions.\n").unwrap();
    format!(
        "ALTER TABLE keyward_keys DROP COLUMN resource_pattern; DROP TABLE keyward_usage_days; DROP TABLE keyward_account_store; DROP TABLE keyward_account_journal; DROP TABLE keyward_sessions; DROP TABLE keyward_accounts; \
         {tables} \
         INSERT INTO keyward_accounts VALUES ('old', 'old@example.com', '', '', '', 1, 0); \
         INSERT INTO keyward_sessions VALUES ('\\x00', 'old', 0, 0, 0); \
         UPDATE keyward_store SET version = 1"
    )
}

#[tokio::test]
async fn an_older_sqlite_database_gets_the_tables_and_keeps_its_keys() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let made = Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap();
    let revoked = Keys::new(store.clone()).create(NewKey::named("r")).await.unwrap();
    Keys::new(store.clone()).revoke(&revoked.record().id).await.unwrap();
    store.close().await.unwrap();
    script(&path, &to_first_version().replace("'\\x00'", "x'00'")).await;

    let refused = SqliteStore::builder(&path).read_only().open().await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Version);
    assert!(refused.to_string().contains("version 1 of the schema and needs 4: open it for writing once"), "{refused}");
    assert_eq!(number(&path, "SELECT version FROM keyward_store").await, 1);
    assert_eq!(number(&path, "SELECT count(*) FROM keyward_accounts").await, 1);

    let opening: Vec<_> = (0..4).map(|_| tokio::spawn(SqliteStore::open(path.clone()))).collect();
    for opened in opening {
        let store = opened.await.unwrap().unwrap();
        assert_eq!(denied(&guard(store.clone()), made.secret().expose()).await, None);
        assert!(denied(&guard(store.clone()), revoked.secret().expose()).await.is_some());
        assert_eq!(store.journal(0, 10).wait().await.unwrap().len(), 3);
    }
    assert_eq!(number(&path, "SELECT version FROM keyward_store").await, 4);
    let store = SqliteStore::open(&path).await.unwrap();
    assert!(store.accounts(None, 10).wait().await.unwrap().is_empty());
    let grace = account("grace");
    store.add_account(grace.clone(), true, by()).wait().await.unwrap().unwrap();
    let session = begin(&store, &grace).await;
    store.close().await.unwrap();

    let looking = SqliteStore::builder(&path).read_only().open().await.unwrap();
    assert_eq!(looking.session(&session.digest).wait().await.unwrap().unwrap().session, session);
    let fault = looking.end_session(&session.digest).wait().await.unwrap_err();
    assert!(fault.to_string().contains("read-only"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_postgres_database_gets_the_tables_and_keeps_its_keys() {
    let (server, url) = database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let made = Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap();
    store.close().await.unwrap();
    let first = to_first_version().replace(" INTEGER", " BIGINT").replace(" BLOB", " BYTEA").replace(") STRICT;", ");");
    server.query(&url, &first).unwrap();

    let refused = PostgresStore::builder(&url).read_only().connect().await.unwrap_err();
    assert_eq!(refused.kind(), OpenErrorKind::Version);
    assert!(refused.to_string().contains("version 1 of the schema and needs 4: open it for writing once"), "{refused}");
    assert_eq!(server.query(&url, "SELECT version FROM keyward_store").unwrap(), "1");

    let opening: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            tokio::spawn(async move { PostgresStore::builder(url).connections(4).connect().await })
        })
        .collect();
    for opened in opening {
        let store = opened.await.unwrap().unwrap();
        assert_eq!(denied(&guard(store.clone()), made.secret().expose()).await, None);
        store.close().await.unwrap();
    }
    assert_eq!(server.query(&url, "SELECT version FROM keyward_store").unwrap(), "4");
    let store = PostgresStore::connect(&url).await.unwrap();
    assert!(store.accounts(None, 10).wait().await.unwrap().is_empty());
    let grace = add(&store, "grace").await;
    let session = begin(&store, &grace).await;
    let looking = PostgresStore::builder(&url).read_only().connect().await.unwrap();
    assert_eq!(looking.session(&session.digest).wait().await.unwrap().unwrap().session, session);
    let fault = looking.end_session(&session.digest).wait().await.unwrap_err();
    assert!(fault.to_string().contains("read-only"), "{fault}");
}

#[tokio::test]
async fn who_signs_in_makes_nobody_read_keys_again() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    Keys::new(store.clone()).create(NewKey::named("k")).await.unwrap();
    let counters = "SELECT revision * 1000 + journalled FROM keyward_store";
    let before = number(&path, counters).await;
    let listener = Arc::new(Listener::default());
    let news: Arc<dyn News> = listener.clone();
    store.watch(Arc::downgrade(&news));
    listener.rounds(1).await;
    // That the key was made.
    listener.changed.lock().unwrap().clear();
    let grace = add(&store, "grace").await;
    let session = begin(&store, &grace).await;
    store.saw_session(&session.digest, Timestamp::from_unix_seconds(2)).wait().await.unwrap();
    store.change_account(&grace.id, AccountChange::Admin(true), by()).wait().await.unwrap().unwrap();
    listener.rounds(2).await;
    assert_eq!(number(&path, counters).await, before);
    assert!(listener.changed.lock().unwrap().is_empty());
    assert!(!listener.everything.load(Ordering::SeqCst));
}

/// Nothing of a change is made whose row in the journal cannot be written.
async fn is_made_together(store: &impl AccountStore, break_journal: impl AsyncFnOnce()) {
    let grace = add(store, "grace").await;
    let session = begin(store, &grace).await;
    break_journal().await;
    let changes = [AccountChange::Disabled(true), AccountChange::Admin(true)];
    for change in changes {
        store.change_account(&grace.id, change, by()).wait().await.unwrap_err();
    }
    store.remove_account(&grace.id, by()).wait().await.unwrap_err();
    let alan = account("alan");
    store.add_account(alan.clone(), false, by()).wait().await.unwrap_err();
    assert!(store.account(&alan.id).wait().await.unwrap().is_none());
    let found = store.session(&session.digest).wait().await.unwrap().unwrap();
    assert_eq!((found.session, &*found.account), (session, &grace));
    assert_eq!(store.account_journal(0, 10).wait().await.unwrap().len(), 1);
}

#[tokio::test]
async fn in_sqlite_a_change_and_its_row_and_what_it_ends_are_made_together() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let sql = "CREATE TRIGGER broken BEFORE INSERT ON keyward_account_journal BEGIN SELECT RAISE(ABORT, 'broken'); END";
    is_made_together(&store, async || script(&path, sql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgres_a_change_and_its_row_and_what_it_ends_are_made_together() {
    let (server, url) = database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let sql = "ALTER TABLE keyward_account_journal ADD CHECK (number < 0) NOT VALID";
    is_made_together(&store, async || drop(server.query(&url, sql).unwrap())).await;
}

/// Whoever registers must not learn by its cost that an address is taken.
#[tokio::test(flavor = "multi_thread")]
async fn in_postgres_an_address_that_is_taken_costs_as_many_statements_and_a_commit() {
    let (server, url) = database();
    PostgresStore::connect(&url).await.unwrap().close().await.unwrap();
    let name = url.rsplit('/').next().unwrap();
    server.query(&url, &format!("ALTER DATABASE {name} SET log_statement = 'all'")).unwrap();
    let store = PostgresStore::connect(&url).await.unwrap();
    let statements = async |name: &str| {
        let before = server.log().len();
        let added = store.add_account(account(name), false, by()).wait().await.unwrap();
        let log = server.log()[before..].to_owned();
        // The watcher asks about keys meanwhile.
        let is_of_accounts =
            |line: &&str| ["keyward_account", "BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| line.contains(word));
        let lines: Vec<String> =
            log.lines().filter(|line| line.contains("LOG:  ")).filter(is_of_accounts).map(str::to_owned).collect();
        (added.is_ok(), lines)
    };
    let (is_added, free) = statements("grace").await;
    let (is_added_again, taken) = statements("grace").await;
    assert!(is_added && !is_added_again && free.len() >= 6, "{free:#?}");
    assert_eq!(free.len(), taken.len(), "{free:#?} {taken:#?}");
    assert!([&free, &taken].iter().all(|lines| lines.last().unwrap().ends_with("COMMIT")), "{free:#?} {taken:#?}");
    a_number_is_left_out(&store).await;
}

#[tokio::test]
async fn in_sqlite_an_address_that_is_taken_costs_a_commit() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.join("keys.db")).await.unwrap();
    add(&store, "grace").await;
    let refused = store.add_account(account("grace"), false, by()).wait().await.unwrap();
    assert_eq!(refused, Err(AccountRefused::AddressTaken));
    a_number_is_left_out(&store).await;
}

/// The number of an account that was refused was committed, and no row of the journal has it.
async fn a_number_is_left_out(store: &impl AccountStore) {
    add(store, "alan").await;
    let numbers: Vec<u64> = store.account_journal(0, 10).wait().await.unwrap().iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_waits_for_nobody() {
    let (_, url) = database();
    let store = PostgresStore::connect(&url).await.unwrap();
    let grace = add(&store, "grace").await;
    let (held, free) = (begin(&store, &grace).await, begin(&store, &grace).await);
    let mut somebody = PgConnection::connect(&url).await.unwrap();
    let mut holding = somebody.begin().await.unwrap();
    let lock = sqlx::query("SELECT 1 FROM keyward_sessions WHERE digest = $1 FOR UPDATE").bind(held.digest.to_bytes().to_vec());
    holding.execute(lock).await.unwrap();
    let later = Timestamp::from_unix_seconds(2);
    assert_eq!(store.sweep_sessions(later, Timestamp::EPOCH).wait().await.unwrap(), 1);
    assert!(store.session(&free.digest).wait().await.unwrap().is_none());
    holding.rollback().await.unwrap();
    assert_eq!(store.sweep_sessions(later, Timestamp::EPOCH).wait().await.unwrap(), 1);
    assert!(store.session(&held.digest).wait().await.unwrap().is_none());
}

#[tokio::test]
async fn damage_is_a_fault_and_not_a_missing_account() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let grace = add(&store, "grace").await;
    let session = begin(&store, &grace).await;
    for (damage, tells) in
        [("UPDATE keyward_accounts SET password = 'x'", "`password`"), ("UPDATE keyward_accounts SET address = 'x'", "`address`")]
    {
        script(&path, damage).await;
        let fault = store.session(&session.digest).wait().await.unwrap_err();
        assert!(fault.to_string().contains(tells) && fault.to_string().contains(grace.id.as_str()), "{fault}");
        let faults = store.account(&grace.id).wait().await.is_err() && store.accounts(None, 10).wait().await.is_err();
        assert!(faults && store.add_session(self::session(&grace), grace.password.clone()).wait().await.is_err());
        script(
            &path,
            &format!("UPDATE keyward_accounts SET password = '{}', address = '{}'", grace.password.phc(), grace.address),
        )
        .await;
    }
    script(&path, "UPDATE keyward_sessions SET network = 'x'").await;
    let fault = store.session(&session.digest).wait().await.unwrap_err();
    assert!(fault.to_string().contains("`network`"), "{fault}");
    // What is damaged can be ended all the same.
    assert!(store.end_session(&session.digest).wait().await.unwrap());
}

#[tokio::test]
async fn no_token_is_in_the_file() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let grace = add(&store, "grace").await;
    let (token, digest) = Session::token(&SystemRandom).unwrap();
    let session = Session { digest, ..session(&grace) };
    store.add_session(session, grace.password.clone()).wait().await.unwrap().unwrap();
    let has = |needle: &[u8]| {
        let files = ["keys.db", "keys.db-wal"].map(|name| std::fs::read(folder.join(name)).unwrap());
        files.iter().any(|file| file.windows(needle.len()).any(|window| window == needle))
    };
    assert!(has(&digest.to_bytes()), "what is looked for would be found");
    assert!(!has(&token.expose().as_bytes()["kws_".len()..]));
}

const BY_AN_INDEX: [&str; 7] = [
    "SELECT 1 FROM keyward_sessions s JOIN keyward_accounts a ON a.id = s.account_id WHERE s.digest = $1",
    "SELECT 1 FROM keyward_sessions s WHERE s.account_id = 'a'",
    "SELECT 1 FROM keyward_accounts a WHERE a.address = 'a'",
    "SELECT 1 FROM keyward_accounts a WHERE a.id > 'a' ORDER BY a.id LIMIT 10",
    "SELECT digest FROM keyward_sessions WHERE expires < 7 ORDER BY expires LIMIT 500",
    "SELECT digest FROM keyward_sessions WHERE last_seen < 7 ORDER BY last_seen LIMIT 500",
    "DELETE FROM keyward_sessions WHERE digest IN ($1, $2, $3)",
];

#[tokio::test]
async fn in_sqlite_every_lookup_and_the_sweep_go_by_an_index() {
    let folder = Folder::new();
    let path = folder.join("keys.db");
    SqliteStore::open(&path).await.unwrap().close().await.unwrap();
    let mut connection = other(&path).await;
    for sql in BY_AN_INDEX {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain).fetch_all(&mut connection).await.unwrap();
        let goes = plan.iter().all(|(.., step)| !step.starts_with("SCAN") && !step.contains("TEMP B-TREE"));
        assert!(goes && !plan.is_empty(), "{sql}: {plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgres_every_lookup_and_the_sweep_go_by_an_index() {
    let (server, url) = database();
    PostgresStore::connect(&url).await.unwrap().close().await.unwrap();
    // As every connection of a store has it.
    let settings = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off";
    for sql in BY_AN_INDEX {
        let sql = ["$1", "$2", "$3"].iter().fold(sql.to_owned(), |sql, place| sql.replace(place, "'\\x00'::bytea"));
        let plan = server.query(&url, &format!("{settings}; EXPLAIN {sql}")).unwrap();
        assert!(plan.contains("Index") && !plan.contains("Seq Scan"), "{sql}: {plan}");
        assert!(plan.contains("Index Cond"), "{sql}: {plan}");
    }
}
