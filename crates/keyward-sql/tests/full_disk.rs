//! SQLite where there is no room: what was acknowledged is there, what was not is told, and with room it goes on.
//!
//! This program is the test, and by an environment variable the process that it starts on a file system of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

mod common;

use common::Folder;
use keyward::store::Filter;
use keyward::{Keys, NewKey};
use keyward_sql::SqliteStore;

const DATABASE: &str = "KEYWARD_TEST_FULL_DISK";

/// On a file system of 2 MiB, where this user may make one; else with the limit of a file's size.
#[test]
fn a_change_that_finds_no_room_is_told_and_nothing_else_is_lost() {
    if let Some(database) = std::env::var_os(DATABASE) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(fill(PathBuf::from(database)));
    }
    let folder = Folder::new();
    let small = folder.join("small");
    std::fs::create_dir(&small).unwrap();
    common::set_mode(&small, 0o700);
    let own = std::env::current_exe().unwrap();
    let mut ran = 0;
    for (shell, script) in [
        (&["unshare", "--mount", "sh"][..], "mount -t tmpfs -o size=2m,mode=0700 none \"$1\" || exit 77; exec \"$0\""),
        // The signal that comes with the limit would end the process before it is told.
        (&["sh"][..], "trap '' XFSZ; ulimit -f 2048; exec \"$0\""),
    ] {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", script]).arg(&own).arg(&small).env(DATABASE, small.join("keys.db"));
        let Ok(output) = command.output() else { continue };
        if output.status.code() == Some(77) {
            continue;
        }
        ran += 1;
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{shell:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(ran > 0, "this test needs `sh`");
}

async fn there(path: &Path) -> Vec<String> {
    let store = SqliteStore::open(path).await.unwrap();
    let keys = Keys::new(store.clone());
    let mut ids: Vec<String> =
        keys.list(&Filter::default(), None, 100_000).await.unwrap().iter().map(|record| record.id.to_string()).collect();
    ids.sort_unstable();
    store.close().await.unwrap();
    ids
}

async fn fill(path: PathBuf) {
    let ballast = path.with_file_name("ballast");
    std::fs::write(&ballast, vec![0; 256 * 1024]).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let keys = Keys::new(store.clone());
    let mut ids = Vec::new();
    let fault = loop {
        match keys.create(NewKey::named("k".repeat(200))).await {
            Ok(made) => ids.push(made.record().id),
            Err(fault) => break fault.to_string(),
        }
        assert!(ids.len() < 50_000, "there is room for ever");
    };
    assert!(!ids.is_empty());
    assert!(fault.contains("make room") || fault.contains("its disk fails"), "{fault}");
    // Nothing is half made, and what is there can be read.
    assert!(keys.get(&ids[0]).await.unwrap().is_some());
    let revoked = keys.revoke(&ids[0]).await;
    let listed = keys.list(&Filter::default(), None, 100_000).await.unwrap();
    assert_eq!(listed.len(), ids.len());
    drop(store);
    // With a limit of a file's size, more room comes of nothing but a process without it.
    let has_own_file_system = fault.contains("make room");
    if has_own_file_system {
        std::fs::remove_file(&ballast).unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        let keys = Keys::new(store.clone());
        keys.revoke(&ids[0]).await.unwrap();
        keys.create(NewKey::named("with room")).await.map(|made| ids.push(made.record().id)).unwrap();
        store.close().await.unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        assert!(Keys::new(store.clone()).get(&ids[0]).await.unwrap().unwrap().is_revoked());
        store.close().await.unwrap();
        let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.sort_unstable();
        assert_eq!(there(&path).await, ids);
    } else if revoked.is_ok() {
        let store = SqliteStore::builder(&path).read_only().open().await.unwrap();
        assert!(Keys::new(store).get(&ids[0]).await.unwrap().unwrap().is_revoked());
    }
}
