//! Files that are not what was written: none is opened, and none is touched.

mod support;

use std::fs;

use keyward::import::from_json_lines;
use keyward::store::WhereRefused;
use keyward::{Keys, NewKey};
use keyward_file::{FileErrorKind, FileStore};
use std::time::Duration;

use support::{Folder, create, set_mode, wait};

/// A file with one key.
fn small(folder: &Folder) -> Vec<u8> {
    create(&Keys::new(FileStore::open(folder.keys()).unwrap()), "small");
    fs::read(folder.keys()).unwrap()
}

/// A file with something in each of its fields.
fn full(folder: &Folder) -> String {
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    let (rotated, _) = create(&keys, "rotated");
    wait(keys.rotate(&rotated, Duration::from_secs(9))).unwrap();
    wait(keys.rotate(&rotated, Duration::from_secs(9))).unwrap();
    let (revoked, _) = create(&keys, "revoked");
    wait(keys.revoke(&revoked)).unwrap();
    wait(keys.create_once("first", NewKey::named("once").scope("a:b").unwrap())).unwrap();
    let rows = r#"{"key":"abcdefghijklmnopqrstuvwxyz","handle":"abcdefghij"}"#;
    let rows = from_json_lines(rows).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(wait(keys.import_all(rows, WhereRefused::AddNone, None)).unwrap().count, 1);
    fs::read_to_string(folder.keys()).unwrap()
}

/// Why a file with this content is not opened, and that it is left alone.
fn told(folder: &Folder, content: &[u8]) -> (FileErrorKind, String) {
    fs::write(folder.keys(), content).unwrap();
    set_mode(&folder.keys(), 0o600);
    let error = FileStore::open(folder.keys()).expect_err("a damaged file was opened");
    let reader = FileStore::builder(folder.keys()).read_only().open().expect_err("a damaged file was read");
    assert_eq!(error.to_string(), reader.to_string());
    assert!(fs::read(folder.keys()).unwrap() == content, "it was changed: {error}");
    (error.kind(), error.to_string())
}

/// The line that the text offers to whoever meant it.
fn offered(told: &str) -> &str {
    told.split_once("let its fourth line be `").expect(told).1.trim_end_matches('`')
}

/// The file with the line that it is said to need.
fn sealed(folder: &Folder, text: &str) -> String {
    let (kind, told) = told(folder, text.as_bytes());
    assert_eq!(kind, FileErrorKind::Damaged, "{told}");
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = offered(&told);
    lines.join("\n") + "\n"
}

#[test]
fn a_file_cut_off_anywhere_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let whole = small(&folder);
    for length in 0..whole.len() {
        let (kind, told) = told(&folder, &whole[..length]);
        assert_eq!(kind, FileErrorKind::Damaged, "{told}");
        assert!(told.contains("restore a backup") && told.contains("revoke again"), "{told}");
    }
    fs::write(folder.keys(), &whole).unwrap();
    FileStore::open(folder.keys()).unwrap();
}

#[test]
fn every_bit_is_guarded() {
    let folder = Folder::new();
    let whole = small(&folder);
    // All bits of the head, which is read before the checksum is; one in each byte of the rest, another one each time.
    let head = whole.split_inclusive(|byte| *byte == b'\n').take(5).map(<[u8]>::len).sum();
    for place in 0..whole.len() {
        for bit in if place < head { 0..8 } else { place % 8..place % 8 + 1 } {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << bit;
            fs::write(folder.keys(), &flipped).unwrap();
            let refused = FileStore::builder(folder.keys()).read_only().open();
            assert!(refused.is_err(), "bit {bit} of byte {place} may be another one");
        }
    }
}

#[test]
fn an_empty_file_is_not_taken_for_a_new_one() {
    let folder = Folder::new();
    for blank in ["", "\n", "{}", "null", "[]", "[\"keyward-keys\",1]"] {
        let (kind, told) = told(&folder, blank.as_bytes());
        assert_eq!(kind, FileErrorKind::Damaged, "{told}");
    }
}

#[test]
fn the_text_says_where_and_how_to_mend_it() {
    let folder = Folder::new();
    let good = full(&folder);
    let checksum = good.lines().nth(3).unwrap().split('"').nth(3).unwrap().to_owned();
    let cases: [(String, &[&str]); 8] = [
        (good[..good.len() / 2].to_owned(), &["line ", "column ", "EOF", "restore a backup"]),
        (good.replacen("\"keys\": [", "\"keys\": [,", 1), &["line 5, column 12", "restore a backup"]),
        (good.replacen("rotated", "renamed", 1), &["line 4 says", &checksum, "the other lines give sha256:", "edited by hand"]),
        (good.replacen(&checksum, "sha256:", 1), &["line 4 is not its checksum", "let its fourth line be"]),
        (good.replacen("keyward-keys", "other-keys", 1), &["does not say `\"format\": \"keyward-keys\"`"]),
        (good.replacen("\"version\": 1", "\"version\": 0", 1), &["does not begin with the lines"]),
        (good.replace('\n', "\r\n"), &["does not begin with the lines"]),
        (good.replacen("  \"format\"", "    \"format\"", 1), &["does not begin with the lines"]),
    ];
    for (text, words) in cases {
        let (kind, told) = told(&folder, text.as_bytes());
        assert_eq!(kind, FileErrorKind::Damaged, "{told}");
        for word in words {
            assert!(told.contains(word), "no `{word}` in: {told}");
        }
    }
}

#[test]
fn a_newer_file_is_for_a_newer_program_whatever_else_it_holds() {
    let folder = Folder::new();
    let good = full(&folder);
    for text in
        [good.replacen("\"version\": 1", "\"version\": 2", 1), r#"{"format":"keyward-keys","version":7,"new":{}}"#.to_owned()]
    {
        let (kind, told) = told(&folder, text.as_bytes());
        assert_eq!(kind, FileErrorKind::Newer, "{told}");
        assert!(told.contains("this program reads version 1") && told.contains("use a newer Keyward"), "{told}");
    }
}

#[test]
fn who_edits_on_purpose_is_told_the_line_to_write() {
    let folder = Folder::new();
    let good = full(&folder);
    let edited = sealed(&folder, &good.replacen("\"name\": \"once\"", "\"name\": \"edited\"", 1));
    fs::write(folder.keys(), &edited).unwrap();
    let keys = Keys::new(FileStore::open(folder.keys()).unwrap());
    let names: Vec<String> =
        wait(keys.list(&Default::default(), None, 10)).unwrap().iter().map(|key| key.name.to_string()).collect();
    assert!(names.contains(&"edited".to_owned()) && !names.contains(&"once".to_owned()), "{names:?}");
}

#[test]
fn a_right_checksum_does_not_make_nonsense_good() {
    let folder = Folder::new();
    let good = full(&folder);
    let json: serde_json::Value = serde_json::from_str(&good).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (first, second) = (text(&json["keys"][0]["id"]), text(&json["keys"][1]["id"]));
    let (secret, other) = (text(&json["keys"][0]["current"]["secret"]), text(&json["keys"][1]["current"]["secret"]));
    let retired = json["retired"].as_array().unwrap().iter().map(text).find(|text| text.starts_with("sha256:")).unwrap();
    let epoch = text(&json["keys"][0]["epoch"]);
    let cases: [(&str, String, &str); 10] = [
        ("two keys with one id", good.replace(&second, &first), "id already"),
        ("two keys with one secret", good.replacen(&other, &secret, 1), "is, or was, another record's"),
        ("a retired secret is back", good.replacen(&secret, &retired, 1), "among the retired ones"),
        ("in other digits", good.replacen(&secret, &retired.replace("sha256:", "").to_uppercase(), 1), "no digest"),
        ("in upper case", good.replacen(&secret[7..], &retired[7..].to_uppercase(), 1), "among the retired ones"),
        ("no epoch", good.replacen(&epoch, "CANARY", 1), "`epoch` is not 32 hexadecimal digits"),
        ("a field of the future", good.replacen("\"keys\": [", "\"CANARY\": 1, \"keys\": [", 1), "line 5, column"),
        ("a missing field", good.replacen("\"keys\": [", "\"prefixes\": [", 1), "line"),
        ("another kind of value", good.replacen("\"keys\": [", "\"keys\": [\"CANARY\",", 1), "another kind"),
        ("the journal goes back", good.replacen("\"number\": 4,", "\"number\": 2,", 1), "`journal` do not grow"),
    ];
    for (what, text, words) in cases {
        assert_ne!(text, good, "{what}");
        let (kind, told) = told(&folder, sealed(&folder, &text).as_bytes());
        assert_eq!(kind, FileErrorKind::Damaged, "{what}: {told}");
        assert!(told.contains(words) && told.contains("edited by hand") && !told.contains("CANARY"), "{what}: {told}");
    }
}
