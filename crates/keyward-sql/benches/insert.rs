//! How many keys a second are added in one transaction, with all that is checked, and how long a lookup takes then.
//!
//! `cargo bench -p keyward-sql --bench insert -- 1000000`, and `sqlite` or `postgres` behind it for one of them.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::time::Instant;

use keyward::key::{Epoch, KeyDigest, KeyId, Record, Slot, StoredSecret};
use keyward::store::{Attribution, Insert, Insertion, RecordStore, WhereRefused};
use keyward::{Random, SystemRandom, Timestamp};
use keyward_behaviour::services::postgres::Postgres;
use keyward_sql::{PostgresStore, SqliteStore};

#[tokio::main]
async fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let wants = |name: &str| std::env::args().all(|argument| argument == name || !["sqlite", "postgres"].contains(&&*argument));
    if wants("sqlite") {
        sqlite(count).await;
    }
    if wants("postgres") {
        postgres(count).await;
    }
}

async fn sqlite(count: usize) {
    let folder = std::env::temp_dir().join(format!("keyward-bench-{:x}", SystemRandom.identifier()));
    std::fs::create_dir(&folder).expect("a folder");
    let sqlite = SqliteStore::open(folder.join("keys.db")).await.expect("a store");
    measure("SQLite", &sqlite, count).await;
    sqlite.close().await.expect("closed");
    std::fs::remove_dir_all(folder).expect("removed");
}

async fn postgres(count: usize) {
    let server = Postgres::start().expect("a server");
    let postgres = PostgresStore::connect(&server.create_database().expect("a database")).await.expect("a store");
    measure("PostgreSQL", &postgres, count).await;
    postgres.close().await.expect("closed");
}

async fn measure(name: &str, store: &impl RecordStore, count: usize) {
    for round in 0..2 {
        let insertions: Vec<Insertion> = (0..count).map(|number| insertion(round, number)).collect();
        let ids: Vec<KeyId> = insertions.iter().step_by(count / 1_000 + 1).map(|insertion| insertion.record.id).collect();
        let by = Attribution { actor: "bench".into(), at: Timestamp::EPOCH };
        let begun = Instant::now();
        let inserted = store.insert(Insert::many(insertions, WhereRefused::AddNone), by).wait().await.expect("inserted");
        assert_eq!((inserted.records.len(), inserted.refused.len()), (count, 0));
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        for id in &ids {
            assert!(store.get(id).wait().await.expect("an answer").is_some());
        }
        let lookup = begun.elapsed().as_secs_f64() * 1e6 / ids.len() as f64;
        println!("{name:>10}: {rate:>7.0} keys a second added to {}; a lookup takes {lookup:.0} µs then", count * round);
    }
}

fn insertion(round: usize, number: usize) -> Insertion {
    let now = Timestamp::from_unix_seconds(1_700_000_000 + number as i64);
    let digest = KeyDigest::sha256(format!("{round} {number}").as_bytes());
    let slot = Slot::new(StoredSecret::Digest(digest), format!("kw_{:04x}", number & 0xffff));
    let mut record = Record::new(KeyId::new(now, &SystemRandom), format!("key {number}"), now, Epoch::from_bytes([7; 16]), slot);
    record.owner = Some(format!("owner {}", number % 1_000).into());
    record.scopes = vec!["reports:read".parse().expect("a scope"), "reports:write".parse().expect("a scope")];
    Insertion::new(record)
}
