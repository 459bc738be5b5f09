//! `keyward keys import`.

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::keys::{DATABASES, Keys};

const LONG: &str = "CANARY-0123456789-0123456789";

/// A file's name and text, the flags, the lines that are refused, and how many keys the others are.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [u64], usize);

/// All of a file or nothing, in every format.
const TABLE: [Case; 15] = [
    ("good.jsonl", "{\"key\":\"LONG\",\"entropy_bits\":128}\n\n{\"key\":\"LONGx\",\"entropy_bits\":128}", &[], &[], 2),
    (
        "weak.jsonl",
        "{\"key\":\"LONG\"}\n{\"key\":\"LONGx\",\"entropy_bits\":128}\n{\"key\":\"LONGy\",\"entropy_bits\":64}",
        &[],
        &[1, 3],
        1,
    ),
    (
        "bad.jsonl",
        "LONG\n{\"key\":\"LONG\",\"entropy_bits\":128,\"colour\":1}\n{\"LONG\":1}\n{\"key\":[\"LONG\"]}",
        &[],
        &[1, 2, 3, 4],
        0,
    ),
    (
        "twice.jsonl",
        "{\"key\":\"LONG\",\"entropy_bits\":128}\n{\"key\":\"LONGx\",\"entropy_bits\":128}\n{\"key\":\"LONG\",\"entropy_bits\":128}",
        &[],
        &[3],
        2,
    ),
    (
        "long.jsonl",
        "{\"key\":\"LONG and blanks, but long\",\"entropy_bits\":128}\n{\"key\":\"LONG\",\"entropy_bits\":128}",
        &[],
        &[1],
        1,
    ),
    (
        "handles.jsonl",
        "{\"key\":\"CANARY-1-secret\",\"handle\":\"CANARY-1\"}\n{\"key\":\"CANARY-2\",\"handle\":\"CANARY-2\"}",
        &[],
        &[2],
        1,
    ),
    ("good.csv", "key,entropy_bits,name,scopes\nLONG,128,\"a, b\",a:b c:d\nLONGx,128,,\n", &[], &[], 2),
    (
        "bad.csv",
        "key,entropy_bits,expires_at\nLONG,128,soon\nLONGx,,\nLONGy,128\nLONGz,128,2040-01-01T00:00:00Z\n",
        &[],
        &[2, 3, 4],
        1,
    ),
    ("heading.csv", "LONG\nLONGx\n", &[], &[1], 0),
    (
        "digest.csv",
        "sha256,entropy_bits\nba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad,128\nLONG,128\n",
        &[],
        &[3],
        1,
    ),
    ("good.txt", "LONG\n\n LONGx \n", &["--entropy-bits", "128"], &[], 2),
    ("short.txt", "LONG\nCANARY\n", &["--entropy-bits", "128"], &[2], 1),
    ("handles.txt", "CANARY-1-secret\nCANARY-2-secret\nCANARY-1-other\n", &["--handle-length", "8"], &[3], 2),
    ("tiny.txt", "CANARY-1-secret\nCANARY\n", &["--handle-length", "8"], &[2], 1),
    ("lines", "LONG\nLONGx\n", &["--format", "plain", "--entropy-bits", "128"], &[], 2),
];

#[test]
fn all_rows_are_imported_or_none_and_each_that_is_refused_is_told() {
    for (number, (file, text, flags, bad, good)) in TABLE.into_iter().enumerate() {
        // What the rows mean has nothing to do with where they go.
        let keys = Keys { folder: Folder::new(), database: DATABASES[number % DATABASES.len()].to_owned() };
        keys.folder.write(file, text.replace("LONG", LONG));
        let count = || match keys.folder.names().len() {
            1 => 0,
            _ => keys.succeed(&["list"]).out.lines().count(),
        };
        let ran = keys.run(&[&["import", file], flags].concat(), "");
        assert_eq!(ran.status, i32::from(!bad.is_empty()), "{ran:?}");
        assert!(!ran.err.contains("CANARY") && !ran.out.contains("CANARY"), "{ran:?}");
        let told: Vec<_> =
            ran.err.lines().filter_map(|line| line.strip_prefix(file)?.strip_prefix(':')?.split(':').next()).collect();
        assert_eq!(told, bad.iter().map(u64::to_string).collect::<Vec<_>>(), "{ran:?}");
        if !bad.is_empty() {
            assert!(ran.out == "0 keys imported\n" && ran.err.contains("nothing was imported"), "{ran:?}");
            assert_eq!(count(), 0);
            let ran = keys.run(&[&["import", file, "--skip-bad", "--json"], flags].concat(), "");
            let summary = ran.json();
            assert_eq!((ran.status, &summary["imported"]), (1, &json!(good)), "{ran:?}");
            let lines: Vec<_> = summary["refused"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
            assert_eq!(lines, bad);
            assert!(!ran.out.contains("CANARY") && ran.err.is_empty(), "{ran:?}");
        }
        assert_eq!(count(), good, "{file}");
    }
}

#[test]
fn what_was_imported_is_a_key_like_any_other() {
    Keys::each(|keys| {
        let csv = format!(
            "key,entropy_bits,handle,name,owner,kind,scopes,not_before,expires_at,disabled,revoked,allowed_ips,limit\n\
             {LONG}-one,128,,exporter,ada,service,a:b c:*,2020-01-01T00:00:00Z,2040-01-01T00:00:00Z,,,10.0.0.0/8 ::1,5/minute 100/hour\n\
             {LONG}-two,128,,,,,,,,true,,,\n\
             {LONG}-three,128,,,,,,,,,TRUE,,\n\
             CANARY-4-secret,,CANARY-4,,,,,,,,,,\n"
        );
        let defaults = ["--owner", "bob", "--kind", "partner", "--scope", "d:e"];
        let ran = keys.run(&[&["import", "-", "--format", "csv"], &defaults[..]].concat(), &csv);
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "4 keys imported\n", ""));

        let document = keys.succeed(&["list", "--json"]).json();
        let listed = document["keys"].as_array().unwrap();
        let one = listed.iter().find(|key| key["name"] == "exporter").unwrap();
        for (field, value) in [
            ("owner", json!("ada")),
            ("kind", json!("service")),
            ("scopes", json!(["a:b", "c:*"])),
            ("not_before", json!("2020-01-01T00:00:00.000Z")),
            ("expires_at", json!("2040-01-01T00:00:00.000Z")),
            ("allowed_ips", json!(["10.0.0.0/8", "::1/128"])),
            ("limits", json!(["5/minute", "100/hour"])),
        ] {
            assert_eq!(one[field], value, "{field}");
        }
        let others: Vec<&Value> = listed.iter().filter(|key| key["name"] != "exporter").collect();
        assert!(others.iter().all(|key| key["owner"] == "bob" && key["kind"] == "partner" && key["scopes"] == json!(["d:e"])));
        for (key, verdict) in [
            (format!("{LONG}-one"), (0, Value::Null)),
            (format!("{LONG}-two"), (1, "disabled".into())),
            (format!("{LONG}-three"), (1, "revoked".into())),
            ("CANARY-4-secret".to_owned(), (0, Value::Null)),
            ("CANARY-4-secrex".to_owned(), (1, "unknown".into())),
        ] {
            assert_eq!(keys.verify(&json!(key), &[]), verdict, "{key}");
        }
        let stored: Vec<&Value> = listed.iter().map(|key| &key["current"]["stored_as"]).collect();
        assert_eq!(stored.iter().filter(|stored| ***stored == "argon2id").count(), 1, "{stored:?}");

        // A key that is there, under whatever digest or handle, is not imported again.
        for row in
            [json!({"key": format!("{LONG}-one"), "entropy_bits": 128}), json!({"key": "CANARY-4-other", "handle": "CANARY-4"})]
        {
            let ran = keys.run(&["import", "-"], &row.to_string());
            assert!(ran.status == 1 && ran.err.starts_with("-:1: ") && !ran.err.contains("CANARY"), "{ran:?}");
        }
    });
}

#[test]
fn a_plain_list_has_to_say_how_strong_its_keys_are() {
    Keys::each(|keys| {
        keys.folder.write("keys.txt", LONG);
        let ran = keys.run(&["import", "keys.txt"], "");
        assert!(ran.status == 2 && ran.err.contains("R7.3"), "{ran:?}");
        assert!(ran.err.contains("--entropy-bits 128") && ran.err.contains("--handle-length 8"), "{}", ran.err);
    });
}

#[test]
fn a_row_holds_so_much_and_no_more() {
    Keys::each(|keys| {
        let row = |number: usize, field: &str, value: Value| {
            format!("{}\n", json!({ "key": format!("{LONG}-{number}"), "entropy_bits": 128, field: value }))
        };
        let scopes = |count: usize| (0..count).map(|number| format!("s{number}")).collect::<Value>();
        let quotas = |count: usize| (1..=count).map(|number| format!("5/{number}s")).collect::<Value>();
        let networks = |count: usize| (0..count).map(|number| format!("10.0.{}.1", number % 256)).collect::<Value>();
        let rows = [
            row(1, "name", "x".repeat(1_024).into()),
            row(2, "name", "x".repeat(1_025).into()),
            row(3, "owner", "x".repeat(1_025).into()),
            row(4, "kind", "x".repeat(1_025).into()),
            row(5, "scopes", scopes(256)),
            row(6, "scopes", scopes(257)),
            row(7, "limit", quotas(16)),
            row(8, "limit", quotas(17)),
            row(9, "allowed_ips", networks(256)),
            row(10, "allowed_ips", networks(257)),
        ];
        let ran = keys.run(&["import", "-", "--skip-bad", "--json"], &rows.concat());
        let told = ran.json();
        assert_eq!((ran.status, &told["imported"]), (1, &json!(4)), "{told}");
        for (refused, (line, field)) in told["refused"].as_array().unwrap().iter().zip([
            (2, "`name`"),
            (3, "`owner`"),
            (4, "`kind`"),
            (6, "`scopes`"),
            (8, "`limits`"),
            (10, "`networks`"),
        ]) {
            assert_eq!(refused["line"], line, "{told}");
            let problem = refused["problem"].as_str().unwrap();
            assert!(problem.starts_with(field) && problem.contains("at most") && problem.len() < 200, "{problem}");
        }
    });
}
