//! Which files are opened, and which are refused.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use keyward::Keys;
use keyward_file::{FileError, FileErrorKind, FileStore};

use support::{Folder, create, set_mode};

fn refused(path: &Path) -> FileError {
    FileStore::open(path).expect_err(&path.display().to_string())
}

fn assert_told(error: &FileError, kind: FileErrorKind, words: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "no `{word}` in: {text}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_file_that_is_not_there_is_made_for_its_owner_alone_and_can_be_read_by_people() {
    let folder = Folder::new();
    drop(FileStore::open(folder.keys()).unwrap());
    assert_eq!(folder.names(), ["api-keys.json", "api-keys.json.lock"]);
    assert_eq!((mode(&folder.keys()), mode(&folder.path().join("api-keys.json.lock"))), (0o600, 0o600));
    let text = fs::read_to_string(folder.keys()).unwrap();
    assert!(text.starts_with("{\n  \"format\": \"keyward-keys\",\n  \"version\": 1,\n  \"checksum\": \"sha256:"), "{text}");
    assert!(text.ends_with("}\n"));

    let told = Command::new("sh").arg("-c").arg("sed 4d \"$0\" | sha256sum").arg(folder.keys()).output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    let checksum = told.split(' ').next().unwrap();
    assert!(checksum.len() == 64 && text.contains(&format!("\"sha256:{checksum}\"")), "{told}{text}");
}

#[test]
fn a_file_is_not_made_without_its_folder_nor_for_a_reader() {
    let folder = Folder::new();
    let nowhere = folder.path().join("nowhere").join("api-keys.json");
    assert_told(&refused(&nowhere), FileErrorKind::Missing, &["folder that is not there", "mkdir"]);
    assert_told(&refused(Path::new("/")), FileErrorKind::Missing, &["names no file"]);
    let error = FileStore::builder(folder.keys()).read_only().open().unwrap_err();
    assert_told(&error, FileErrorKind::Missing, &["is not there"]);
    assert!(folder.names().is_empty());
}

#[test]
fn a_file_that_others_can_read_or_write_is_refused() {
    let folder = Folder::new();
    drop(FileStore::open(folder.keys()).unwrap());
    for open in [0o644, 0o640, 0o620, 0o610, 0o604, 0o602, 0o601, 0o666] {
        set_mode(&folder.keys(), open);
        assert_told(
            &refused(&folder.keys()),
            FileErrorKind::Insecure,
            &["is open to others", &format!("{open:04o}"), "chmod 600"],
        );
        let reader = FileStore::builder(folder.keys()).read_only().insecure_shared_folder().open();
        assert_eq!(reader.unwrap_err().kind(), FileErrorKind::Insecure);
        assert_eq!(mode(&folder.keys()), open, "it is for its owner to mend");
    }
    for closed in [0o600, 0o400, 0o700] {
        set_mode(&folder.keys(), closed);
        FileStore::open(folder.keys()).unwrap();
    }
}

#[test]
fn a_folder_that_others_can_write_to_is_refused_unless_asked_for() {
    let folder = Folder::new();
    for open in [0o720, 0o702, 0o777] {
        set_mode(folder.path(), open);
        assert_told(&refused(&folder.keys()), FileErrorKind::Insecure, &["others can write to", "insecure_shared_folder"]);
        assert!(folder.names().is_empty(), "not even a lock");
    }
    FileStore::builder(folder.keys()).insecure_shared_folder().open().unwrap();
    for safe in [0o1777, 0o755, 0o700] {
        set_mode(folder.path(), safe);
        FileStore::open(folder.keys()).unwrap();
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = Folder::new();
    let real = folder.path().join("real.json");
    drop(FileStore::open(&real).unwrap());
    let path = |name: &str| folder.path().join(name);
    symlink(&real, path("link")).unwrap();
    symlink(path("nothing"), path("dangling")).unwrap();
    fs::create_dir(path("folder")).unwrap();
    let _socket = UnixListener::bind(path("socket")).unwrap();
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(path("pipe")).status().unwrap().success());
    for (name, words) in [
        ("link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("folder", "is not a regular file"),
        ("socket", "is not a regular file"),
        ("pipe", "is not a regular file"),
    ] {
        assert_told(&refused(&path(name)), FileErrorKind::Insecure, &[words]);
        assert_eq!(FileStore::builder(path(name)).read_only().open().unwrap_err().kind(), FileErrorKind::Insecure);
    }
    assert!(!path("nothing").exists());

    // The lock could be led elsewhere as well.
    fs::remove_file(path("real.json.lock")).unwrap();
    symlink(path("elsewhere"), path("real.json.lock")).unwrap();
    assert_told(&refused(&real), FileErrorKind::Insecure, &["real.json.lock is a symbolic link"]);
    assert!(!path("elsewhere").exists());
}

#[test]
fn a_file_of_another_user_is_refused() {
    let folder = Folder::new();
    drop(FileStore::open(folder.keys()).unwrap());
    // Only root can give a file away; to anybody else, one of root's is another user's.
    if fs::metadata(folder.keys()).unwrap().uid() != 0 {
        let error = FileStore::builder("/etc/passwd").read_only().open().unwrap_err();
        return assert_told(&error, FileErrorKind::Insecure, &["belongs to user 0"]);
    }
    let give = |name: &str, user| std::os::unix::fs::chown(folder.path().join(name), Some(user), None).unwrap();
    give("api-keys.json", 12_345);
    let error = refused(&folder.keys());
    assert_told(&error, FileErrorKind::Insecure, &["belongs to user 12345", "runs as user 0", "chown 0 "]);
    assert_eq!(FileStore::builder(folder.keys()).read_only().open().unwrap_err().kind(), FileErrorKind::Insecure);
    give("api-keys.json", 0);
    give("api-keys.json.lock", 12_345);
    assert_told(&refused(&folder.keys()), FileErrorKind::Insecure, &["api-keys.json.lock belongs to user 12345"]);
    give("api-keys.json.lock", 0);
    FileStore::open(folder.keys()).unwrap();
}

#[test]
fn a_second_store_is_refused_until_the_last_clone_of_the_first_is_gone() {
    let folder = Folder::new();
    for _ in 0..100 {
        let store = FileStore::open(folder.keys()).unwrap();
        let clone = store.clone();
        drop(store);
        let in_use = format!("api-keys.json is in use by process {}: stop it, or make the change through it", std::process::id());
        assert_told(&refused(&folder.keys()), FileErrorKind::InUse, &[&in_use]);
        FileStore::builder(folder.keys()).read_only().open().unwrap();
        // Still there for others, and let go of at once, whatever thread was busy last.
        create(&Keys::new(clone), "k");
    }
}

#[test]
fn what_a_killed_process_left_behind_is_removed_and_nothing_else() {
    let folder = Folder::new();
    let foreign =
        ["api-keys.json.new", "api-keys.json.new-", "api-keys.json.new-1-", "api-keys.json.new-1-x", "other.json.new-1-2"];
    for name in foreign.iter().chain(&["api-keys.json.new-1f-18c0ffee"]) {
        fs::write(folder.path().join(name), "{").unwrap();
    }
    FileStore::builder(folder.keys()).read_only().open().unwrap_err();
    assert_eq!(folder.names().len(), 6, "a reader removes nothing");
    FileStore::open(folder.keys()).unwrap();
    let mut expected: Vec<&str> = foreign.into_iter().chain(["api-keys.json", "api-keys.json.lock"]).collect();
    expected.sort_unstable();
    assert_eq!(folder.names(), expected);
}
