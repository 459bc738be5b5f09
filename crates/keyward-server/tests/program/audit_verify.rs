//! `keyward audit verify`: names the first line that is broken, in a file that `keyward serve` wrote.

use std::fs;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::server::Server;
use crate::{Ran, run};

const KEY: &str = "a-key-of-its-own-0123456789abcdef";

/// A folder with `audit.jsonl` of a few lines: a start, five decisions, an end.
pub(crate) fn written(arguments: &[&str]) -> Folder {
    let folder = Folder::with("keys.jsonl", &format!("{{\"key\":\"{KEY}\"}}"));
    write_more(&folder, arguments);
    folder
}

pub(crate) fn write_more(folder: &Folder, arguments: &[&str]) {
    let server = Server::start(folder, &[&["--keys", "keys.jsonl", "--audit", "audit.jsonl"], arguments].concat());
    for number in 0..5 {
        let header = if number % 2 == 0 { format!("X-API-Key: {KEY}") } else { "X-API-Key: wrong".to_owned() };
        assert_eq!(server.get("/whoami", &[&header]).status, if number % 2 == 0 { 200 } else { 401 });
    }
    assert_eq!(server.stop("TERM").0, Some(0));
}

pub(crate) fn write_key(folder: &Folder, name: &str, key: &str) {
    folder.write(name, key);
    #[cfg(unix)]
    fs::set_permissions(folder.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

pub(crate) fn lines(folder: &Folder) -> Vec<String> {
    fs::read_to_string(folder.join("audit.jsonl")).unwrap().split_inclusive('\n').map(str::to_owned).collect()
}

pub(crate) fn events(folder: &Folder) -> Vec<Value> {
    lines(folder).iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

pub(crate) fn verify(folder: &Folder, arguments: &[&str]) -> Ran {
    run(folder, &[&["audit", "verify", "audit.jsonl"], arguments].concat(), "")
}

fn broken(folder: &Folder, arguments: &[&str]) -> (i32, Value) {
    let ran = verify(folder, &[&["--json"], arguments].concat());
    (ran.status, ran.json()["broken"]["line"].clone())
}

#[test]
fn a_file_as_it_was_written_is_whole() {
    let folder = written(&[]);
    let ran = verify(&folder, &["--json"]);
    let told = ran.json();
    assert_eq!((ran.status, &told["whole"], &told["lines"], &told["broken"]), (0, &json!(true), &json!(7), &Value::Null));
    let last = events(&folder).pop().unwrap();
    assert_eq!((&told["head"], &last["event"]), (&last["hash"], &json!("audit_stopped")));
    let head = told["head"].as_str().unwrap();
    assert_eq!(verify(&folder, &[]).out, format!("audit.jsonl: whole: 7 lines, the last one's hash is {head}\n"));
    let text = lines(&folder).concat();
    assert_eq!(run(&folder, &["audit", "verify", "-"], &text).status, 0);
}

#[test]
fn the_first_line_that_is_broken_is_named() {
    let folder = written(&[]);
    let whole = lines(&folder);
    let moved = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        folder.write("audit.jsonl", lines.concat());
        broken(&folder, &[])
    };
    assert_eq!(moved(&|lines| drop(lines.remove(3))), (1, json!(4)), "deleted");
    assert_eq!(moved(&|lines| drop(lines.remove(0))), (1, json!(1)), "the first one deleted");
    assert_eq!(moved(&|lines| lines.insert(3, lines[1].clone())), (1, json!(4)), "inserted");
    assert_eq!(moved(&|lines| lines.insert(3, "{\"event\":\"mine\"}\n".to_owned())), (1, json!(4)), "inserted without a hash");
    assert_eq!(moved(&|lines| lines[2] = lines[2].replace("\"/whoami\"", "\"/secret\"")), (1, json!(3)), "changed");
    assert_eq!(moved(&|lines| lines[6] = lines[6].replace("stopped", "started")), (1, json!(7)), "the last one changed");
    assert_eq!(moved(&|lines| lines.swap(4, 5)), (1, json!(5)), "swapped");
    assert_eq!(moved(&|lines| lines[5].truncate(80)), (1, json!(6)), "one cut short, with the next behind it");
    assert_eq!(moved(&|lines| lines[6].truncate(80)), (1, json!(7)), "the last one cut short");
    assert_eq!(moved(&|_| {}), (0, Value::Null));

    let mut lines = whole.clone();
    lines.remove(3);
    folder.write("audit.jsonl", lines.concat());
    let ran = verify(&folder, &[]);
    assert!(
        ran.status == 1 && ran.out.starts_with("audit.jsonl:4: broken: ") && ran.out.contains("1 line is missing"),
        "{ran:?}"
    );
}

#[test]
fn lines_taken_away_at_the_end_are_seen_by_a_hash_that_was_kept() {
    let folder = written(&[]);
    let told = verify(&folder, &["--json"]).json();
    let head = told["head"].as_str().unwrap();
    let whole = lines(&folder);
    folder.write("audit.jsonl", whole[..6].concat());
    assert_eq!(verify(&folder, &[]).status, 0, "by itself it is whole");
    let ran = verify(&folder, &["--expect", head]);
    assert!(ran.status == 1 && ran.out.contains(head) && ran.out.contains("broken"), "{ran:?}");
    let told = verify(&folder, &["--json", "--expect", head]).json();
    assert_eq!((&told["whole"], &told["expected"]), (&json!(false), &json!([{ "hash": head, "line": null }])));

    // An older head is there for as long as nothing was rewritten.
    folder.write("audit.jsonl", whole.concat());
    write_more(&folder, &[]);
    let told = verify(&folder, &["--json", "--expect", head]).json();
    assert_eq!((&told["whole"], &told["lines"], &told["expected"][0]["line"]), (&json!(true), &json!(14), &json!(7)));
    folder.write("audit.jsonl", "");
    assert_eq!((verify(&folder, &[]).status, verify(&folder, &["--expect", head]).status), (0, 1));
}

#[cfg(unix)]
#[test]
fn a_keyed_chain_takes_its_key() {
    let folder = Folder::with("keys.jsonl", &format!("{{\"key\":\"{KEY}\"}}"));
    write_key(&folder, "audit.key", "kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs=\n");
    write_key(&folder, "other.key", "Zq4mT9xW1sLkV7yBnE2cRgU8hJd0fPaO5iXwN3vKzMs=\n");
    write_more(&folder, &["--audit-key-file", "audit.key"]);
    let with_key = ["--key-file", "audit.key"];
    assert_eq!((verify(&folder, &with_key).status, events(&folder)[3]["hmac"].as_str().unwrap().len()), (0, 64));
    let without = verify(&folder, &[]);
    assert!(without.status == 2 && without.err.contains("--key-file"), "{without:?}");
    assert_eq!(broken(&folder, &["--key-file", "other.key"]), (1, json!(1)));

    // A plain chain can be computed anew by who can write the file. It does not pass for a keyed one.
    let forged = written(&[]);
    folder.write("audit.jsonl", lines(&forged).concat());
    assert_eq!(broken(&folder, &with_key), (1, json!(1)));
    assert_eq!(verify(&folder, &[]).status, 0);
}

#[test]
fn what_cannot_be_checked_is_wrong_usage() {
    let folder = written(&[]);
    folder.write("weak.key", "hunter2");
    #[cfg(unix)]
    fs::set_permissions(folder.join("weak.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    for arguments in [
        &["audit", "verify", "none.jsonl"][..],
        &["audit", "verify", "."],
        &["audit", "verify"],
        &["audit", "verify", "audit.jsonl", "--expect", "abc"],
        &["audit", "verify", "audit.jsonl", "--key-file", "weak.key"],
        &["audit", "verify", "audit.jsonl", "--key-file", "none.key"],
    ] {
        let ran = run(&folder, arguments, "");
        assert!(ran.status == 2 && !ran.err.is_empty() && ran.out.is_empty() && !ran.err.contains("hunter2"), "{ran:?}");
    }
}
