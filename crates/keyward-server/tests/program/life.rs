//! The whole life of a key, on each kind of database: made, used, rotated, revoked, while a server runs and across its restarts.

use std::time::{Duration, Instant};

use keyward_behaviour::services::postgres::Postgres;
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::keys::Keys;
use crate::run;
use crate::server::Server;

/// What the server answers to a key.
fn ask(server: &Server, key: &Value) -> u16 {
    server.get("/whoami", &[&format!("X-API-Key: {}", key.as_str().unwrap())]).status
}

fn start(keys: &Keys) -> Server {
    Server::start(&keys.folder, &["--database", &keys.database])
}

fn live(keys: &Keys) {
    let made = keys.create("nightly export", &["--scope", "reports:read", "--owner", "ada"]);
    let id = made["id"].as_str().unwrap();
    let server = start(keys);
    let who = server.get("/whoami", &[&format!("Authorization: Bearer {}", made["key"].as_str().unwrap())]).json();
    assert_eq!((&who["id"], &who["name"], &who["owner"]), (&made["id"], &json!("nightly export"), &json!("ada")));

    // Made, and rotated, while the server runs.
    let late = keys.create("late", &[]);
    let rotated = keys.succeed(&["rotate", "--json", id]).json();
    let asked = [&made["key"], &rotated["key"], &late["key"]].map(|key| ask(&server, key));
    assert_eq!(asked, [200; 3]);

    let revoked = Instant::now();
    let told = keys.succeed(&["revoke", "--json", id]).json();
    let within = Duration::from_secs(told["holds_everywhere_within_seconds"].as_u64().unwrap());
    while [&made["key"], &rotated["key"]].map(|key| ask(&server, key)) != [401; 2] {
        assert!(revoked.elapsed() < within, "a revoked key is refused within {within:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ask(&server, &late["key"]), 200);
    let (status, first) = server.stop("TERM");
    assert_eq!((status, first.matches("bootstrap key, shown").count()), (Some(0), 1));

    // Uses that were not written yet when the server was stopped are written by then.
    let shown = keys.succeed(&["show", "--json", id]).json();
    assert_eq!((&shown["state"], shown["current"]["usage"]["count"].as_u64() >= Some(1)), (&json!("revoked"), true), "{shown}");
    assert!(shown["previous"]["usage"]["network"] == "127.0.0.0/24" && shown["last_used_at"].is_string(), "{shown}");
    assert!(keys.succeed(&["show", id]).out.contains(" as "), "{shown}");

    let server = start(keys);
    let asked = [&made["key"], &rotated["key"], &late["key"]].map(|key| ask(&server, key));
    assert_eq!(asked, [401, 401, 200]);
    let (_, second) = server.stop("TERM");
    assert!(!second.contains("bootstrap key, shown"), "{second}");
    for key in [&made["key"], &rotated["key"], &late["key"]] {
        assert!(![&first, &second].iter().any(|errors| errors.contains(key.as_str().unwrap())), "a key was told");
    }
}

#[test]
fn on_sqlite() {
    live(&Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() });
}

#[test]
fn on_postgresql_and_its_password_is_never_told() {
    let server = Postgres::start_with(&[("fsync", "off")]).unwrap();
    let url = server.create_database().unwrap();
    let (_, after) = url.split_once("://").unwrap();
    let (credentials, shown) = after.split_once('@').unwrap();
    let (_, password) = credentials.split_once(':').unwrap();
    let keys = Keys { folder: Folder::new(), database: url.clone() };
    live(&keys);

    let started = start(&keys);
    let (_, errors) = started.stop("TERM");
    assert!(errors.contains(&format!("keys: postgres://{shown}\n")) && !errors.contains(password), "{errors}");
    let ran = run(&keys.folder, &["explain", "--database", &url], "GET / HTTP/1.1\n\n");
    assert_eq!((ran.status, ran.err.as_str()), (1, ""));

    // A wrong password, a wrong name and a server that is gone are faults, and told without it.
    let wrong = url.replace(password, "CANARY");
    let missing = format!("{}/missing", url.rsplit_once('/').unwrap().0);
    let refused = |url: &str| {
        for arguments in [&["keys", "list"][..], &["serve", "--listen", ":0"]] {
            let ran = run(&keys.folder, &[arguments, &["--database", url]].concat(), "GET / HTTP/1.1\n\n");
            assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran:?}");
            assert!(ran.err.starts_with("--database: "), "{ran:?}");
            assert!(![password, "CANARY"].iter().any(|secret| ran.err.contains(secret)), "{ran:?}");
        }
    };
    refused(&wrong);
    refused(&missing);
    server.stop().unwrap();
    refused(&url);
    assert_eq!(keys.folder.names(), [""; 0]);
}

/// One process writes the file, so a key is looked after while no server runs.
#[test]
fn on_a_json_file() {
    let keys = Keys { folder: Folder::new(), database: "json:keys.json".to_owned() };
    let made = keys.create("nightly export", &[]);
    let id = made["id"].as_str().unwrap();
    let server = start(&keys);
    assert_eq!(ask(&server, &made["key"]), 200);

    // Whoever wants to change it meanwhile is told who has it, and how to go on; whoever looks is let.
    for arguments in [&["keys", "revoke", id][..], &["keys", "create", "--name", "b"], &["serve", "--listen", ":0"]] {
        let ran = run(&keys.folder, &[arguments, &["--database", &keys.database]].concat(), "");
        assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{ran:?}");
        assert!(ran.err.starts_with("--database: keys.json ") && ran.err.contains("process"), "{ran:?}");
    }
    assert_eq!(keys.succeed(&["list"]).out.lines().count(), 2);
    assert_eq!(keys.verify(&made["key"], &[]), (0, Value::Null));
    let (status, first) = server.stop("TERM");
    assert_eq!((status, first.matches("bootstrap key, shown").count()), (Some(0), 1));
    let shown = keys.succeed(&["show", "--json", id]).json();
    assert_eq!((&shown["current"]["usage"]["count"], &shown["current"]["usage"]["source"]), (&json!(1), &json!("header")));

    let rotated = keys.succeed(&["rotate", "--json", id]).json();
    let server = start(&keys);
    assert_eq!([&made["key"], &rotated["key"]].map(|key| ask(&server, key)), [200; 2]);
    let (_, second) = server.stop("TERM");
    keys.succeed(&["revoke", id]);
    let server = start(&keys);
    assert_eq!([&made["key"], &rotated["key"]].map(|key| ask(&server, key)), [401; 2]);
    let (_, third) = server.stop("TERM");
    for errors in [&first, &second, &third] {
        assert!(![&made, &rotated].iter().any(|made| errors.contains(made["key"].as_str().unwrap())), "a key was told");
    }
    assert!(![&second, &third].iter().any(|errors| errors.contains("bootstrap key")));
}

#[test]
fn a_backup_that_is_restored_brings_no_revoked_key_back() {
    let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
    let made = keys.create("a", &[]);
    std::fs::copy(keys.folder.join("keys.db"), keys.folder.join("backup")).unwrap();
    keys.succeed(&["revoke", made["id"].as_str().unwrap()]);
    std::fs::copy(keys.folder.join("backup"), keys.folder.join("keys.db")).unwrap();
    let server = start(&keys);
    assert_eq!(ask(&server, &made["key"]), 401);
    drop(server);

    // Where the file is gone that knew of it, somebody has to accept that.
    std::fs::remove_file(keys.folder.join("keys.db.revocations")).unwrap();
    let ran = keys.run(&["create", "--name", "b"], "");
    assert!(ran.status == 3 && ran.err.contains("--accept-lost-revocations"), "{ran:?}");
    keys.succeed(&["create", "--name", "b", "--accept-lost-revocations"]);
    keys.create("c", &[]);
}

/// A database that cannot be used is told with its mend, and left as it is.
#[test]
fn a_file_that_is_no_database_is_refused() {
    for database in ["sqlite:keys", "json:keys"] {
        let keys = Keys { folder: Folder::with("keys", "CANARY, and no database at all\n"), database: database.to_owned() };
        #[cfg(unix)]
        std::fs::set_permissions(keys.folder.join("keys"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for arguments in [&["keys", "list"][..], &["keys", "create", "--name", "a"], &["serve", "--listen", ":0"], &["explain"]] {
            let ran = run(&keys.folder, &[arguments, &["--database", database]].concat(), "GET / HTTP/1.1\n\n");
            assert!(matches!(ran.status, 2 | 3) && ran.out.is_empty() && ran.err.starts_with("--database: "), "{ran:?}");
            assert!(!ran.err.contains("CANARY"), "{ran:?}");
        }
        assert_eq!(std::fs::read_to_string(keys.folder.join("keys")).unwrap(), "CANARY, and no database at all\n");
    }
}

#[cfg(unix)]
#[test]
fn a_database_that_others_can_read_is_refused() {
    for database in ["sqlite:keys", "json:keys"] {
        let keys = Keys { folder: Folder::new(), database: database.to_owned() };
        keys.create("a", &[]);
        std::fs::set_permissions(keys.folder.join("keys"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        for arguments in [&["keys", "list"][..], &["serve", "--listen", ":0"]] {
            let ran = run(&keys.folder, &[arguments, &["--database", database]].concat(), "");
            assert!(ran.status == 2 && ran.err.starts_with("--database: ") && ran.err.contains("chmod"), "{ran:?}");
        }
    }
}
