//! `keyward keys update`.

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::keys::Keys;
use crate::{keyward, run};

const ALL: [&str; 22] = [
    "--kind",
    "service",
    "--scope",
    "a:b",
    "--expires",
    "2040-01-01T00:00:00Z",
    "--not-before",
    "2020-01-01T00:00:00Z",
    "--allow-ip",
    "10.0.0.0/8",
    "--allow-ip",
    "::1",
    "--resource-pattern",
    "/jobs/*",
    "--limit",
    "100/hour",
    "--limit",
    "5/minute",
    "--metadata",
    "team=x",
    "--owner",
    "ada",
];

fn update(keys: &Keys, id: &Value, more: &[&str]) -> Value {
    keys.succeed(&[&["update", "--json", id.as_str().unwrap()], more].concat()).json()
}

/// What was made, but for one field.
fn but_for(made: &Value, field: &str, value: Value) -> Value {
    let mut changed = made.clone();
    changed[field] = value;
    changed
}

#[test]
fn what_is_named_changes_and_all_else_stays() {
    Keys::each(|keys| {
        let mut made = keys.create("a", &ALL);
        let key = made.as_object_mut().unwrap().remove("key").unwrap();
        let id = made["id"].clone();
        for (more, field, value) in [
            (&["--name", "b"][..], "name", json!("b")),
            (&["--kind", "human"], "kind", json!("human")),
            (&["--no-kind"], "kind", json!(null)),
            (&["--scope", "c:d", "--scope", "e:*"], "scopes", json!(["c:d", "e:*"])),
            (&["--no-scopes"], "scopes", json!([])),
            (&["--expires", "2041-01-01T00:00:00Z"], "expires_at", json!("2041-01-01T00:00:00.000Z")),
            (&["--no-expiry"], "expires_at", json!(null)),
            (&["--not-before", "2021-01-01T00:00:00Z"], "not_before", json!("2021-01-01T00:00:00.000Z")),
            (&["--no-start"], "not_before", json!(null)),
            (&["--allow-ip", "127.0.0.1"], "allowed_ips", json!(["127.0.0.1/32"])),
            (&["--any-ip"], "allowed_ips", json!(null)),
            (&["--resource-pattern", "/jobs"], "resource_pattern", json!("/jobs")),
            (&["--any-path"], "resource_pattern", json!(null)),
            (&["--limit", "7/day"], "limits", json!(["7/day"])),
            (&["--no-limits"], "limits", json!(null)),
            (&["--metadata", "b=y=z"], "metadata", json!({"b": "y=z"})),
            (&["--no-metadata"], "metadata", json!({})),
        ] {
            let before = made.clone();
            made = update(keys, &id, more);
            assert_eq!(made, but_for(&before, field, value), "{more:?}");
            assert_eq!(keys.succeed(&["show", "--json", id.as_str().unwrap()]).json(), made, "{more:?}");
        }
        // Its secret stays, and it is accepted with what it has now.
        assert_eq!(keys.verify(&key, &[]), (0, json!(null)));
    });
}

#[test]
fn a_key_is_switched_off_and_on_again() {
    Keys::each(|keys| {
        let made = keys.create("a", &[]);
        assert_eq!(update(keys, &made["id"], &["--disable"])["state"], "disabled");
        assert_eq!(keys.verify(&made["key"], &[]), (1, json!("disabled")));
        // Once more is no fault.
        assert_eq!(update(keys, &made["id"], &["--disable", "--name", "b"])["name"], "b");
        assert_eq!(update(keys, &made["id"], &["--enable"])["state"], "live");
        assert_eq!(keys.verify(&made["key"], &[]), (0, json!(null)));
    });
}

#[test]
fn people_are_shown_what_became_of_it() {
    Keys::each(|keys| {
        let id = keys.create("a", &[])["id"].clone();
        let id = id.as_str().unwrap();
        let ran = keys.succeed(&["update", id, "--name", "weekly export", "--expires", "2020-01-01T00:00:00Z"]);
        let line = |label: &str| ran.out.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_default().trim().to_owned();
        assert_eq!((line("name"), line("state")), ("weekly export".to_owned(), "expired".to_owned()), "{ran:?}");
        assert_eq!(ran.err, "--expires is in the past: this key is not accepted any more\n");
    });
}

#[test]
fn what_cannot_be_is_told_and_changes_nothing() {
    Keys::each(|keys| {
        let made = keys.create("a", &["--not-before", "2030-01-01T00:00:00Z"]);
        let id = made["id"].as_str().unwrap();
        let before = keys.succeed(&["show", "--json", id]).out;
        for (more, told) in [
            (&[][..], "it is not said what to change"),
            (&["--name", " "], "--name: it is empty"),
            (&["--scope", "*"], "--scope: "),
            (&["--limit", "-1/hour"], "--limit: `-1/hour` is no quota"),
            (&["--limit", "1/hour", "--limit", "2/hour"], "--limit: "),
            (&["--allow-ip", "*"], "--allow-ip: "),
            (&["--resource-pattern", "jobs"], "--resource-pattern: does not start with `/`"),
            (&["--resource-pattern", "/jobs", "--any-path"], "cannot be used with"),
            (&["--metadata", "x"], "--metadata: write NAME=VALUE"),
            (&["--expires", "2029-01-01T00:00:00Z"], "--not-before: it is not before --expires"),
            (&["--expires", "9999-01-01T00:00:00Z"], "times end in April 2262"),
            (&["--no-expiry", "--expires", "1d"], "cannot be used with"),
            (&["--enable", "--disable"], "cannot be used with"),
        ] {
            let ran = keys.run(&[&["update", id], more].concat(), "");
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{more:?}: {ran:?}");
            assert!(ran.err.contains(told), "{more:?}: {ran:?}");
        }
        assert_eq!(keys.succeed(&["show", "--json", id]).out, before);
        let gone = keys.run(&["update", "nobody", "--name", "b"], "");
        assert!(gone.status == 1 && gone.err.contains("nobody: there is no key with this id"), "{gone:?}");
        keys.succeed(&["revoke", id]);
        let revoked = keys.run(&["update", id, "--name", "b"], "");
        assert!(revoked.status == 1 && revoked.err.contains("revoked"), "{revoked:?}");
    });
}

#[test]
fn nothing_is_made_for_it() {
    let folder = Folder::new();
    let ran = run(&folder, &["keys", "update", "a", "--name", "b"], "");
    assert_eq!((ran.status, folder.names()), (1, vec![]), "{ran:?}");
}

#[test]
fn the_journal_tells_who_did_it_and_the_key_before_and_after() {
    let keys = Keys { folder: Folder::new(), database: "json:keys.json".to_owned() };
    let id = keys.create("before", &[])["id"].clone();
    let mut command = keyward();
    command.current_dir(&*keys.folder).args(["keys", "--database", &keys.database, "update", id.as_str().unwrap()]);
    assert!(command.args(["--name", "after"]).env("USER", "ada").output().unwrap().status.success());
    let text = std::fs::read_to_string(keys.folder.join("keys.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let row = document["journal"].as_array().unwrap().last().unwrap();
    assert_eq!((&row["actor"], &row["action"]), (&json!("keyward keys (ada)"), &json!("update")), "{row}");
    assert_eq!((&row["before"]["name"], &row["after"]["name"]), (&json!("before"), &json!("after")), "{row}");
}
