//! What the tests of both databases need.

#![allow(dead_code, unreachable_pub, reason = "each test uses what it needs")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keyward::clock::{Clock, SystemClock};
use keyward::key::KeyId;
use keyward::store::{KeyStore, News};
use keyward::{Decision, Guard, Kind, Policy, Random, SystemRandom};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};

/// A folder that goes away with this.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("keyward-sql-{:032x}", SystemRandom.identifier()));
        std::fs::create_dir(&folder).unwrap();
        set_mode(&folder, 0o700);
        Self(folder)
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

pub fn guard(store: impl KeyStore + 'static) -> Guard {
    Guard::builder(Policy::from_toml("test.toml", "").unwrap()).store(store).build().unwrap()
}

/// Why a key is denied; `None` if it is allowed.
pub async fn denied(guard: &Guard, key: &str) -> Option<Kind> {
    let request = http::Request::get("/").header("Authorization", format!("Bearer {key}")).body(()).unwrap();
    match guard.decide(&request).await {
        Decision::Allowed(_) => None,
        Decision::Denied(denial) => Some(denial.kind()),
    }
}

/// How long it takes until something is so; a key is looked for all the time, as in a busy process.
pub async fn time_until(guard: &Guard, key: &str, kind: Option<Kind>) -> Duration {
    let begun = Instant::now();
    while denied(guard, key).await != kind {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is still {:?}", denied(guard, key).await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.elapsed()
}

/// Writes down what it is told.
#[derive(Default)]
pub struct Listener {
    pub clock: SystemClock,
    pub changed: Mutex<Vec<KeyId>>,
    pub revoked: Mutex<Vec<KeyId>>,
    pub everything: AtomicBool,
    pub rounds: AtomicUsize,
}

impl Listener {
    /// Waits for rounds that have begun after this was called, and are over.
    pub async fn rounds(self: &Arc<Self>, count: usize) {
        let (begun, before) = (Instant::now(), self.rounds.load(Ordering::SeqCst));
        while self.rounds.load(Ordering::SeqCst) < before + count + 1 {
            assert!(begun.elapsed() < Duration::from_secs(30), "no rounds");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl News for Listener {
    fn now(&self) -> u64 {
        self.clock.now().steady
    }

    fn changed(&self, ids: &[KeyId]) {
        self.changed.lock().unwrap().extend(ids);
    }

    fn revoked(&self, ids: &[KeyId]) {
        self.revoked.lock().unwrap().extend(ids);
    }

    fn all_changed(&self) {
        self.everything.store(true, Ordering::SeqCst);
    }

    fn verified(&self, _: u64) {
        self.rounds.fetch_add(1, Ordering::SeqCst);
    }
}

/// Somebody else who has the file open.
pub async fn other(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
}

pub async fn script(path: &Path, sql: &str) {
    let mut connection = other(path).await;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub async fn number(path: &Path, sql: &str) -> i64 {
    let mut connection = other(path).await;
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
}
