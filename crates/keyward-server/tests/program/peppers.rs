//! Peppers: a key that was stored with one is never judged without it.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::keys::Keys;
use crate::server::Server;
use crate::{Ran, run};

const FIRST: &str = "CANARY-first-CANARY-first-CANARY-first";
const SECOND: &str = "CANARY-second-CANARY-second-CANARY-second";

/// A file of peppers that only its owner can read.
fn write(keys: &Keys, text: &str) {
    keys.folder.write("peppers", text);
    set_permissions(keys.folder.join("peppers"), Permissions::from_mode(0o600)).unwrap();
}

const WITH: [&str; 2] = ["--pepper-file", "peppers"];

/// Every command that could take a good key for an unknown one, or store one that is never found again.
fn judged(keys: &Keys, id: &str, key: &Value, with: &[&str]) -> Vec<Ran> {
    let key = key.as_str().unwrap();
    let request = format!("GET / HTTP/1.1\nX-API-Key: {key}\n\n");
    let row = json!({ "key": key, "entropy_bits": 128 }).to_string();
    [
        (&["keys", "verify"][..], key),
        (&["keys", "create", "--name", "another"], ""),
        (&["keys", "rotate", id], ""),
        (&["keys", "import", "-"], &row),
        (&["explain"], &request),
        (&["serve", "--listen", "127.0.0.1:0"], ""),
    ]
    .map(|(arguments, input)| run(&keys.folder, &[arguments, &["--database", &keys.database], with].concat(), input))
    .into()
}

#[test]
fn peppered_keys_are_found_with_their_pepper_alone() {
    Keys::each(|keys| {
        keys.folder.write("peppers", format!("# of May\n1 {FIRST}\n"));
        set_permissions(keys.folder.join("peppers"), Permissions::from_mode(0o640)).unwrap();
        let ran = keys.run(&["create", "--name", "a", "--pepper-file", "peppers"], "");
        assert!(ran.status == 2 && ran.err.contains("`chmod 600` it") && !ran.err.contains("CANARY"), "{ran:?}");

        write(keys, &format!("# of May\n1 {FIRST}\n"));
        let made = keys.create("a", &WITH);
        assert_eq!((&made["current"]["stored_as"], &made["current"]["pepper"]), (&json!("hmac-sha256"), &json!(1)));
        assert_eq!(keys.verify(&made["key"], &WITH), (0, Value::Null));
        let request = format!("GET / HTTP/1.1\nX-API-Key: {}\n\n", made["key"].as_str().unwrap());
        assert_eq!(run(&keys.folder, &[&["explain", "--database", &keys.database], &WITH[..]].concat(), &request).status, 0);

        // What is stored with an older pepper is found still.
        write(keys, &format!("1 {FIRST}\n2 {SECOND}\n"));
        assert_eq!(keys.verify(&made["key"], &WITH), (0, Value::Null));
        write(keys, &format!("1 {FIRST}\n1 {SECOND}\nCANARY\n"));
        let ran = keys.run(&["list", "--pepper-file", "peppers"], "");
        assert!(ran.status == 2 && ran.err.starts_with("peppers:3: ") && !ran.err.contains("CANARY"), "{ran:?}");
    });
}

#[test]
fn what_is_stored_without_a_pepper_is_found_with_one() {
    Keys::each(|keys| {
        let plain = keys.create("plain", &[]);
        write(keys, &format!("1 {FIRST}\n"));
        assert_eq!(keys.verify(&plain["key"], &WITH), (0, Value::Null));
        // Looking stores nothing, so it asks for nothing from now on.
        assert_eq!(keys.verify(&plain["key"], &[]), (0, Value::Null));
    });
}

#[test]
fn without_its_pepper_no_key_is_judged() {
    Keys::each(|keys| {
        write(keys, &format!("1 {FIRST}\n"));
        let made = keys.create("a", &WITH);
        let id = made["id"].as_str().unwrap();
        let refused = |with: &[&str], words: &[&str]| {
            for ran in judged(keys, id, &made["key"], with) {
                assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
                assert!(words.iter().all(|word| ran.err.contains(word)) && !ran.err.contains("CANARY"), "{ran:?}");
                assert!(!ran.err.contains(made["key"].as_str().unwrap()), "{ran:?}");
            }
        };
        refused(&[], &["pepper 1", "--pepper-file", "KEYWARD_PEPPER_FILE"]);
        write(keys, &format!("2 {SECOND}\n"));
        refused(&WITH, &["--pepper-file: ", "peppers", "pepper 1", "`1 retired`"]);
        // The version is there, and its secret is another one.
        write(keys, &format!("1 {SECOND}\n"));
        refused(&WITH, &["--pepper-file: ", "peppers", "pepper 1 is not the one"]);
        assert_eq!(keys.succeed(&["list"]).out.lines().count(), 1, "nothing was made meanwhile");

        // Two of them are told together.
        write(keys, &format!("1 {FIRST}\n2 {SECOND}\n"));
        keys.create("b", &WITH);
        refused(&[], &["peppers 1 and 2"]);

        // Whoever looks, or ends a key in a hurry, needs none.
        assert_eq!(keys.succeed(&["show", "--json", id]).json()["current"]["pepper"], 1);
        keys.succeed(&["revoke", id]);
        keys.succeed(&["purge", "--revoked-before", "0s", "--yes"]);

        // A key that is gone does not come back where its pepper is missing, nor where it is there.
        refused(&[], &["peppers 1 and 2"]);
        let row = json!({ "key": made["key"], "entropy_bits": 128 }).to_string();
        let ran = keys.run(&[&["import", "-"], &WITH[..]].concat(), &row);
        assert!(ran.status == 1 && ran.err.contains("is, or was, another record's"), "{ran:?}");
    });
}

/// Two processes that begin a version with different secrets at the same moment: at most one ever stores a key with its own.
#[test]
fn of_two_secrets_that_begin_a_version_at_once_at_most_one_is_used() {
    for _ in 0..6 {
        let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
        keys.create("seed", &[]);
        let files = [("first", FIRST), ("second", SECOND)].map(|(name, secret)| {
            keys.folder.write(name, format!("1 {secret}\n"));
            set_permissions(keys.folder.join(name), Permissions::from_mode(0o600)).unwrap();
            name
        });
        let made = std::thread::scope(|scope| {
            let keys = &keys;
            files
                .map(|file| scope.spawn(move || keys.run(&["create", "--name", file, "--pepper-file", file], "")))
                .map(|ran| ran.join().unwrap())
        });
        assert!(made.iter().filter(|ran| ran.status == 0).count() <= 1, "{made:?}");
        for (ran, file) in made.iter().zip(files) {
            let again = keys.run(&["create", "--name", "again", "--pepper-file", file], "");
            // Who was refused stays so, and who was not does as well.
            assert_eq!((ran.status, again.status), if ran.status == 0 { (0, 0) } else { (2, 2) }, "{ran:?} {again:?}");
            if ran.status == 0 {
                assert_eq!(keys.verify(&json!(ran.out.trim_end()), &["--pepper-file", file]).0, 0);
            } else {
                assert!(ran.out.is_empty() && ran.err.contains("pepper 1 ") && !ran.err.contains("CANARY"), "{ran:?}");
            }
        }
    }
}

#[test]
fn processes_that_begin_a_version_with_one_secret_at_once_all_may() {
    for _ in 0..3 {
        let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
        keys.create("seed", &[]);
        write(&keys, &format!("1 {FIRST}\n"));
        std::thread::scope(|scope| {
            let keys = &keys;
            let made = ["a", "b", "c"].map(|name| scope.spawn(move || keys.create(name, &WITH)));
            made.into_iter().for_each(|made| drop(made.join().unwrap()));
        });
    }
}

#[test]
fn a_pepper_that_is_gone_for_good_can_be_retired() {
    Keys::each(|keys| {
        write(keys, &format!("1 {FIRST}\n"));
        let (old, new) = (keys.create("old", &WITH), {
            write(keys, &format!("1 {FIRST}\n2 {SECOND}\n"));
            keys.create("new", &WITH)
        });
        write(keys, &format!("1 retired\n2 {SECOND}\n"));
        assert_eq!(keys.verify(&new["key"], &WITH), (0, Value::Null));
        assert_eq!(keys.verify(&old["key"], &WITH), (1, "unknown".into()));
        keys.create("another", &WITH);
        // It comes back with its line.
        write(keys, &format!("1 {FIRST}\n2 {SECOND}\n"));
        assert_eq!(keys.verify(&old["key"], &WITH), (0, Value::Null));
        for (bad, place) in [("0 retired", "peppers:1: "), ("x retired", "peppers:1: "), ("1 retired\n1 retired", "peppers: ")] {
            write(keys, bad);
            let ran = keys.run(&["list", "--pepper-file", "peppers"], "");
            assert!(ran.status == 2 && ran.err.starts_with(place), "{ran:?}");
        }
        // Both of them lost: said in as many lines.
        write(keys, "1 retired\n2 retired\n");
        assert_eq!(keys.verify(&new["key"], &WITH), (1, "unknown".into()));
    });
}

/// A server puts digests under its newest pepper while keys are used, and has to say so before.
#[test]
fn a_server_notes_the_pepper_that_it_stores_with() {
    Keys::each(|keys| {
        let made = keys.create("a", &[]);
        let start = |with: &[&str]| Server::start(&keys.folder, &[&["--database", &keys.database], with].concat());
        // The bootstrap key is made without.
        start(&[]).stop("TERM");
        write(keys, &format!("7 {FIRST}\n"));
        let server = start(&WITH);
        assert_eq!(server.get("/whoami", &[&format!("X-API-Key: {}", made["key"].as_str().unwrap())]).status, 200);
        server.stop("TERM");
        let ran = keys.run(&["verify"], made["key"].as_str().unwrap());
        assert!(ran.status == 2 && ran.out.is_empty() && ran.err.contains("pepper 7"), "{ran:?}");
        assert_eq!(keys.verify(&made["key"], &WITH), (0, Value::Null));
    });
}

#[test]
fn keys_of_a_file_are_held_with_peppers_too() {
    let keys = Keys { folder: Folder::with("keys.jsonl", "{\"key\":\"CANARY-alpha-0123456789\"}\n"), database: String::new() };
    write(&keys, &format!("1 {FIRST}\n2 {SECOND}\n"));
    let server = Server::start(&keys.folder, &["--keys", "keys.jsonl", "--pepper-file", "peppers"]);
    for _ in 0..2 {
        assert_eq!(server.get("/whoami", &["X-API-Key: CANARY-alpha-0123456789"]).status, 200);
    }
}

/// What is no file would be waited for without end, or be somebody else's choice.
#[test]
fn only_a_plain_file_holds_peppers() {
    let folder = Folder::new();
    folder.write("folder/file", "");
    assert!(std::process::Command::new("mkfifo").args(["-m", "600"]).arg(folder.join("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("pipe", folder.join("link")).unwrap();
    for name in ["pipe", "link", "folder", "/dev/null", "/dev/zero"] {
        for command in [&["keys", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["explain"]] {
            let ran = run(&folder, &[command, &["--pepper-file", name]].concat(), "");
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
            assert!(ran.err.starts_with("--pepper-file: ") && ran.err.contains(name), "{ran:?}");
        }
    }
    // A link to a file of one's own is what an orchestrator mounts.
    folder.write("real", format!("1 {FIRST}\n"));
    set_permissions(folder.join("real"), Permissions::from_mode(0o400)).unwrap();
    std::os::unix::fs::symlink("real", folder.join("mounted")).unwrap();
    assert_eq!(run(&folder, &["keys", "list", "--pepper-file", "mounted"], "").status, 0);
}
