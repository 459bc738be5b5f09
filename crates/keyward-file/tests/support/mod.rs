//! What the tests of the file store share.
#![allow(dead_code, reason = "no test uses all of it")]

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use keyward::clock::ManualClock;
use keyward::key::KeyId;
use keyward::store::KeyStore;
use keyward::{Decision, Fault, Guard, Keys, Kind, NewKey, Policy, Random, Timestamp};

/// A folder of its own for each test, which goes away with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("keyward-file-{}-{number}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.0.join("api-keys.json")
    }

    /// The names of all that is in it, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// The keys as they were, put in the place of those that are there, as a restored backup is.
    pub(crate) fn restore(&self, bytes: &[u8]) {
        let copy = self.0.join("copy");
        fs::write(&copy, bytes).unwrap();
        set_mode(&copy, 0o600);
        fs::rename(copy, self.keys()).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::at("2026-05-01T12:00:00Z".parse::<Timestamp>().unwrap())
}

pub(crate) fn guard(store: &(impl KeyStore + Clone + 'static), clock: &ManualClock) -> Guard {
    Guard::builder(Policy::from_toml("policy.toml", "").unwrap()).store(store.clone()).clock(clock.clone()).build().unwrap()
}

pub(crate) fn ask(guard: &Guard, key: &str) -> Result<KeyId, Kind> {
    match guard.decide_blocking(&Request::get("/").header("x-api-key", key).body(()).unwrap()) {
        Decision::Allowed(pass) => Ok(pass.principal().unwrap().key_id().unwrap()),
        Decision::Denied(denial) => Err(denial.kind()),
    }
}

/// Makes a key: its id and the key itself.
pub(crate) fn create(keys: &Keys, name: &str) -> (KeyId, String) {
    let made = wait(keys.create(NewKey::named(name))).unwrap();
    (made.record().id, made.secret().expose().to_owned())
}

/// Waits for what another thread does, and fails where it does not.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The same numbers in every run. Clones go on with each other's.
#[derive(Clone, Default)]
pub(crate) struct Counting(Arc<AtomicU64>);

impl Random for Counting {
    fn secret(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }

    fn identifier(&self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}

impl Counting {
    fn next(&self) -> u64 {
        // Spread, so that generated secrets differ all over.
        let mut number = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}
