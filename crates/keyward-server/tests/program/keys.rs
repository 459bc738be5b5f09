//! `keyward keys`, but for `import`.

use std::io::Read;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::{Ran, keyward, run, succeed};

/// Every kind of database that needs no server has to behave alike.
pub(crate) const DATABASES: [&str; 2] = ["sqlite:keys.db", "json:keys.json"];

/// A folder and a database in it.
pub(crate) struct Keys {
    pub(crate) folder: Folder,
    pub(crate) database: String,
}

impl Keys {
    pub(crate) fn each(test: impl Fn(&Self)) {
        for database in DATABASES {
            test(&Self { folder: Folder::new(), database: database.to_owned() });
        }
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &str) -> Ran {
        run(&self.folder, &[&["keys", "--database", &self.database], arguments].concat(), input)
    }

    pub(crate) fn succeed(&self, arguments: &[&str]) -> Ran {
        succeed(&self.folder, &[&["keys", "--database", &self.database], arguments].concat(), "")
    }

    /// Makes a key; its document.
    pub(crate) fn create(&self, name: &str, more: &[&str]) -> Value {
        self.succeed(&[&["create", "--json", "--name", name], more].concat()).json()
    }

    fn listed(&self, more: &[&str]) -> Vec<String> {
        let document = self.succeed(&[&["list", "--json"], more].concat()).json();
        document["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Exit status and denial.
    pub(crate) fn verify(&self, key: &Value, more: &[&str]) -> (i32, Value) {
        let ran = self.run(&[&["verify", "--json"], more].concat(), key.as_str().unwrap());
        (ran.status, ran.json()["denial"].clone())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn a_new_key_is_alone_on_standard_output() {
    Keys::each(|keys| {
        let ran = keys.succeed(&["create", "--name", "nightly export", "--expires", "90d"]);
        let key = ran.out.strip_suffix('\n').unwrap();
        assert_eq!(keyward::key::parse(key).unwrap().as_str(), "kw");
        assert!(
            ran.err.contains("(nightly export), shown this once:") && ran.err.contains("it is accepted until 20"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains(key), "{}", ran.err);
        let listed = keys.succeed(&["list"]).out;
        assert!(listed.contains("nightly export") && !listed.contains(key), "{listed}");
    });
}

#[test]
fn all_that_a_key_is_made_with_is_there() {
    Keys::each(|keys| {
        let more = [
            &["--prefix", "acme_ci", "--kind", "service", "--scope", "a:b", "--scope", "c:*", "--owner", "ada"][..],
            &["--expires", "2040-01-01T00:00:00Z", "--not-before", "2020-01-01T00:00:00Z", "--allow-ip", "10.0.0.0/8"],
            &["--allow-ip", "::1", "--limit", "100/hour", "--limit", "5/minute", "--metadata", "team=x=y", "--metadata", "b="],
        ];
        let mut made = keys.create("a", &more.concat());
        let key = made.as_object_mut().unwrap().remove("key").unwrap();
        assert_eq!(keyward::key::parse(text(&key)).unwrap().as_str(), "acme_ci");
        assert!(text(&key).starts_with(text(&made["key_prefix"])));
        for (field, value) in [
            ("name", json!("a")),
            ("kind", json!("service")),
            ("owner", json!("ada")),
            ("scopes", json!(["a:b", "c:*"])),
            ("state", json!("live")),
            ("expires_at", json!("2040-01-01T00:00:00.000Z")),
            ("not_before", json!("2020-01-01T00:00:00.000Z")),
            ("allowed_ips", json!(["10.0.0.0/8", "::1/128"])),
            ("limits", json!(["100/hour", "5/minute"])),
            ("metadata", json!({"team": "x=y", "b": ""})),
        ] {
            assert_eq!(made[field], value, "{field}");
        }
        assert_eq!(keys.succeed(&["show", "--json", text(&made["id"])]).json(), made);
        let shown = keys.succeed(&["show", text(&made["id"])]).out;
        for line in
            ["metadata team    x=y", "scopes           a:b c:*", "networks         10.0.0.0/8 ::1/128", "last used        never"]
        {
            let line = line.split_whitespace().collect::<Vec<_>>();
            assert!(shown.lines().any(|shown| shown.split_whitespace().collect::<Vec<_>>() == line), "{line:?}: {shown}");
        }
        assert!(shown.contains("stored as sha256, never used"), "{shown}");
    });
}

#[test]
fn what_somebody_meant_by_a_network_or_a_quota_is_told() {
    let folder = Folder::new();
    for (flag, value, told) in [
        ("--allow-ip", "*", "--allow-ip: `*` is no address and no network: leave the list out for anybody"),
        ("--allow-ip", "[::1]", "write an IPv6 address without brackets and port, like 2001:db8::7"),
        ("--allow-ip", "fe80::1%eth0", "leave out the zone, from the `%` on"),
        ("--allow-ip", "10.0.0.1,10.0.0.2", "write each for itself; on a command line, repeat the flag"),
        ("--allow-ip", "0.0.0.0", "`0.0.0.0` is nobody's address: for all, write `0.0.0.0/0`"),
        ("--limit", "-1/hour", "--limit: `-1/hour` is no quota: write COUNT/unit"),
        ("--limit", "0/hour", "--limit: `0/hour` gives nothing: write a COUNT of at least 1"),
        ("--limit", "key-60s=1/hour", "--limit: `key-60s` is reserved"),
    ] {
        let ran = run(&folder, &["keys", "create", "--name", "a", flag, value], "");
        assert!(ran.status == 2 && ran.err.contains(told), "{value}: {}", ran.err);
    }
}

#[test]
fn what_cannot_be_a_key_is_wrong_usage() {
    let long = format!("a={}", "x".repeat(64 * 1024));
    let folder = Folder::new();
    for arguments in [
        &["create"][..],
        &["create", "--name", " "],
        &["create", "--name", "a", "--prefix", "Acme"],
        &["create", "--name", "a", "--scope", "*"],
        &["create", "--name", "a", "--expires", "soon"],
        &["create", "--name", "a", "--expires", "9999-01-01T00:00:00Z"],
        &["create", "--name", "a", "--not-before", "99999999999999999999w"],
        &["create", "--name", "a", "--metadata", &long],
        &["create", "--name", "a", "--expires", "1d", "--not-before", "2d"],
        &["create", "--name", "a", "--allow-ip", "10.0.0.0/33"],
        &["create", "--name", "a", "--allow-ip", "0.0.0.0"],
        &["create", "--name", "a", "--allow-ip", "::/80"],
        &["create", "--name", "a", "--limit", "often"],
        &["create", "--name", "a", "--limit", "5/minute", "--limit", "9/60s"],
        &["create", "--name", "a", "--metadata", "x"],
        &["create", "--name", "a", "--metadata", "=x"],
        &["list", "--state", "dead"],
        &["list", "--limit", "0"],
        &["list", "--after", "no id"],
        &["list", "--created-from", "yesterday"],
        &["show"],
        &["show", "no id"],
        &["revoke"],
        &["revoke", "a", "no id"],
        &["revoke", "a", "--owner", "ada"],
        &["revoke", "--list", "missing.txt"],
        &["revoke", "--owner", "", "--yes"],
        &["revoke", "--prefix", "", "--yes"],
        &["rotate", "a", "--grace", "1y"],
        &["rotate", "no id"],
        &["import"],
        &["import", "missing.csv"],
        &["import", "-", "--format", "xml"],
        &["import", "-", "--handle-length", "7", "--format", "plain"],
        &["import", "-", "--handle-length", "8", "--entropy-bits", "128", "--format", "plain"],
        &["import", "-", "--format", "plain"],
        &["import", "-", "--entropy-bits", "128"],
        &["verify"],
        &["verify", "--peer", "nobody"],
        &["purge"],
        &["purge", "--revoked-before", "long"],
        &["dance"],
        &["list", "--database", "memory:"],
        &["show", "a", "--database", "sqlite:missing.db"],
        &["revoke", "a", "--database", "json:missing.json"],
    ] {
        let ran = run(&folder, &[&["keys"], arguments].concat(), "");
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked"), "{ran:?}");
    }
    assert_eq!(folder.names(), [""; 0], "nothing is made for it");
}

#[test]
fn whoever_only_looks_makes_nothing() {
    let folder = Folder::new();
    let runs = [
        (&["keys", "list"][..], 0),
        (&["keys", "list", "--json"], 0),
        (&["keys", "show", "a"], 1),
        (&["keys", "revoke", "a"], 1),
        (&["keys", "rotate", "a"], 1),
        (&["keys", "verify"], 1),
        (&["keys", "purge", "--revoked-before", "1d"], 0),
        (&["explain"], 1),
    ];
    for (arguments, status) in runs {
        let ran = run(&folder, arguments, "GET / HTTP/1.1\n\n");
        assert_eq!(ran.status, status, "{arguments:?}: {ran:?}");
        assert_eq!(folder.names(), [""; 0], "{arguments:?}");
    }
    let ran = run(&folder, &["explain", "--database", "sqlite:missing.db"], "GET / HTTP/1.1\n\n");
    assert!(ran.status == 2 && ran.err.contains("--database: there is no sqlite:missing.db; name one that is there"), "{ran:?}");
}

#[test]
fn explain_looks_into_the_database_that_serve_would_use() {
    let folder = Folder::new();
    let key = succeed(&folder, &["keys", "create", "--name", "a"], "").out;
    let request = format!("GET / HTTP/1.1\nX-API-Key: {key}\n");
    assert_eq!(run(&folder, &["explain"], &request).status, 0);
    assert_eq!(run(&folder, &["explain", "--database", "memory:"], &request).status, 1);
    Keys::each(|keys| {
        let made = keys.create("a", &[]);
        let request = format!("GET / HTTP/1.1\nX-API-Key: {}\n\n", text(&made["key"]));
        let ran = run(&keys.folder, &["explain", "--json", "--database", &keys.database], &request);
        assert_eq!((ran.status, &ran.json()["principal"]["id"]), (0, &made["id"]));
        assert_eq!(keys.succeed(&["show", "--json", text(&made["id"])]).json()["last_used_at"], Value::Null);
    });
}

#[test]
fn lists_are_filtered() {
    Keys::each(|keys| {
        let before = keys.create("one", &["--owner", "ada", "--prefix", "acme"])["created_at"].clone();
        keys.create("two", &["--owner", "ada", "--expires", "2020-01-01T00:00:00Z"]);
        let revoked = keys.create("three", &["--owner", "bob"]);
        keys.create("four", &["--not-before", "1d"]);
        keys.succeed(&["revoke", text(&revoked["id"])]);
        for (filter, names) in [
            (&[][..], &["one", "two", "three", "four"][..]),
            (&["--owner", "ada"], &["one", "two"]),
            (&["--owner", "nobody"], &[]),
            (&["--state", "live"], &["one"]),
            (&["--state", "expired"], &["two"]),
            (&["--state", "revoked"], &["three"]),
            (&["--state", "not-yet-valid"], &["four"]),
            (&["--prefix", "acme_"], &["one"]),
            (&["--prefix", "kw"], &["two", "three", "four"]),
            (&["--owner", "ada", "--state", "expired"], &["two"]),
            (&["--created-from", "1h"], &["one", "two", "three", "four"]),
            (&["--created-before", "1h"], &[]),
            (&["--created-before", text(&before)], &[]),
            (&["--created-from", "2100-01-01T00:00:00Z"], &[]),
        ] {
            assert_eq!(keys.listed(filter), names, "{filter:?}");
        }
        let lines = keys.succeed(&["list", "--owner", "bob"]).out;
        let fields: Vec<&str> = lines.strip_suffix('\n').unwrap().split('\t').collect();
        assert_eq!(fields.len(), 9, "{lines}");
        assert_eq!(
            (fields[0], fields[1], fields[3], fields[4], fields[5]),
            (text(&revoked["id"]), "three", "bob", "-", "revoked")
        );
        assert_eq!((fields[2], fields[7], fields[8]), (format!("{}…", text(&revoked["key_prefix"])).as_str(), "-", "-"));
    });
}

#[test]
fn long_lists_come_in_pages() {
    Keys::each(|keys| {
        let rows: String = (0..1_201)
            .map(|row| format!("{{\"key\":\"key-number-{row:020}\",\"entropy_bits\":128,\"name\":\"{row}\"}}\n"))
            .collect();
        keys.folder.write("rows.jsonl", rows);
        keys.succeed(&["import", "rows.jsonl"]);
        let all = keys.listed(&[]);
        assert_eq!(all.len(), 1_201);
        assert_eq!(keys.succeed(&["list"]).out.lines().count(), 1_201);

        let (mut paged, mut after) = (Vec::new(), None::<String>);
        loop {
            let from = after.as_ref().map_or(Vec::new(), |after| vec!["--after", after]);
            let page = keys.succeed(&[&["list", "--json", "--limit", "600"], &from[..]].concat()).json();
            paged.extend(page["keys"].as_array().unwrap().iter().map(|key| text(&key["name"]).to_owned()));
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(paged, all);
        // Exactly as many as there are is the last page.
        assert_eq!(keys.succeed(&["list", "--json", "--limit", "1201"]).json()["next"], Value::Null);
        assert_eq!(keys.succeed(&["list", "--json", "--limit", "500"]).json()["keys"].as_array().unwrap().len(), 500);
    });
}

#[test]
fn a_reader_of_a_list_that_has_seen_enough_is_no_fault() {
    let keys = Keys { folder: Folder::new(), database: "json:keys.json".to_owned() };
    let rows: String = (0..3_000).map(|row| format!("key-number-{row:020}\n")).collect();
    keys.folder.write("rows.txt", rows);
    keys.succeed(&["import", "rows.txt", "--entropy-bits", "128"]);
    let mut command = keyward();
    command.current_dir(&*keys.folder).args(["keys", "list", "--database", "json:keys.json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut few = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut few).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn a_rotated_key_keeps_its_id_and_its_old_secret_for_its_grace() {
    Keys::each(|keys| {
        let made = keys.create("a", &["--prefix", "acme"]);
        let id = text(&made["id"]);
        let ran = keys.succeed(&["rotate", id]);
        let second = json!(ran.out.trim_end());
        assert_eq!(keyward::key::parse(text(&second)).unwrap().as_str(), "acme");
        assert!(ran.err.contains("the old secret is accepted until 20") && ran.err.contains(&format!("keyward keys show {id}")));
        assert_eq!((keys.verify(&made["key"], &[]).0, keys.verify(&second, &[]).0), (0, 0));

        let third = keys.succeed(&["rotate", "--json", "--grace", "0s", id]).json();
        assert_eq!((&third["id"], third["previous"]["grace_ends_at"].is_string()), (&made["id"], true));
        assert_eq!(keys.verify(&made["key"], &[]), (1, "unknown".into()));
        assert_eq!(keys.verify(&second, &[]), (1, "expired".into()));
        assert_eq!(keys.verify(&third["key"], &[]).0, 0);
        let shown = keys.succeed(&["show", id]).out;
        assert!(shown.contains("current secret") && shown.contains("previous secret"), "{shown}");

        keys.succeed(&["revoke", id]);
        let ran = keys.run(&["rotate", id], "");
        assert!(ran.status == 1 && ran.out.is_empty() && ran.err.contains("which is final"), "{ran:?}");
        assert_eq!(keys.run(&["rotate", "nobody"], "").status, 1);
    });
}

#[test]
fn revoking_is_told_with_when_it_holds() {
    Keys::each(|keys| {
        let (one, two) = (keys.create("one", &[]), keys.create("two", &[]));
        let ran = keys.succeed(&["revoke", text(&one["id"])]);
        assert!(ran.out.starts_with(&format!("{}: revoked; it holds ", text(&one["id"]))), "{}", ran.out);
        assert_eq!(keys.verify(&one["key"], &[]), (1, "revoked".into()));

        // Again is no fault; what is not there is, and keeps nobody from being revoked.
        let ran = keys.run(&["revoke", "--json", "nobody", text(&one["id"]), text(&two["id"])], "");
        let told = ran.json();
        assert_eq!((ran.status, &told["revoked"], &told["not_found"]), (1, &json!([one["id"], two["id"]]), &json!(["nobody"])));
        assert!(told["holds_everywhere_within_seconds"].is_u64(), "{told}");
        assert!(ran.err.starts_with("nobody: there is no key with this id"), "{}", ran.err);
    });
}

#[test]
fn many_keys_are_revoked_only_by_somebody_who_means_it() {
    Keys::each(|keys| {
        for (name, owner, prefix) in [("one", "ada", "acme"), ("two", "ada", "other"), ("three", "bob", "acme")] {
            keys.create(name, &["--owner", owner, "--prefix", prefix]);
        }
        let ran = keys.run(&["revoke", "--owner", "ada"], "y\n");
        assert!(ran.status == 2 && ran.err.contains("this would revoke 2 keys") && ran.err.contains("--yes"), "{ran:?}");
        assert_eq!(keys.listed(&["--state", "live"]).len(), 3);

        let ran = keys.succeed(&["revoke", "--json", "--owner", "ada", "--prefix", "acme", "--yes"]).json();
        assert_eq!(ran["revoked"].as_array().unwrap().len(), 1);
        assert_eq!(keys.listed(&["--state", "live"]), ["two", "three"]);
        let ran = keys.succeed(&["revoke", "--created-from", "1h", "--yes"]);
        assert!(ran.out.contains("2 keys revoked; it holds "), "{}", ran.out);
        // With nobody left there is nothing to ask about.
        assert_eq!(keys.succeed(&["revoke", "--created-from", "1h"]).out, "no key was left to revoke\n");
    });
}

#[test]
fn a_list_of_revocations_is_made_again() {
    Keys::each(|keys| {
        let (one, two) = (keys.create("one", &[]), keys.create("two", &[]));
        keys.folder.write("bad.txt", format!("{}\n\nno id\n", text(&one["id"])));
        let ran = keys.run(&["revoke", "--list", "bad.txt"], "");
        assert!(ran.status == 2 && ran.err.starts_with("bad.txt:3: a key id is "), "{ran:?}");
        assert_eq!(keys.listed(&["--state", "live"]).len(), 2, "a slip in one id revokes nobody");

        let list = format!("{}\r\n\n  {}\nnobody\n", text(&one["id"]), text(&two["id"]));
        let ran = keys.run(&["revoke", "--list", "-"], &list);
        assert!(ran.status == 1 && ran.out.lines().count() == 2, "{ran:?}");
        assert_eq!(keys.listed(&["--state", "live"]).len(), 0);
        keys.folder.write("empty.txt", "\n");
        assert_eq!(keys.succeed(&["revoke", "--list", "empty.txt"]).out, "0 keys revoked\n");
    });
}

#[test]
fn purged_keys_are_gone_and_cannot_come_back() {
    Keys::each(|keys| {
        let (gone, stays) = (keys.create("gone", &[]), keys.create("stays", &[]));
        keys.succeed(&["revoke", text(&gone["id"])]);
        assert_eq!(keys.succeed(&["purge", "--revoked-before", "1h", "--json"]).json(), json!({"purged": 0}));
        let ran = keys.run(&["purge", "--revoked-before", "0s"], "");
        assert!(ran.status == 2 && ran.err.contains("remove 1 key "), "{ran:?}");
        assert_eq!(keys.succeed(&["purge", "--revoked-before", "0s", "--yes"]).out, "1 key removed\n");
        assert_eq!((keys.listed(&[]), keys.verify(&stays["key"], &[]).0), (vec!["stays".to_owned()], 0));
        assert_eq!(keys.run(&["show", text(&gone["id"])], "").status, 1);
        let row = json!({"key": gone["key"], "entropy_bits": 190}).to_string();
        assert_eq!(keys.run(&["import", "-"], &row).status, 1);
    });
}

#[test]
fn verify_tells_whose_a_key_is_and_what_becomes_of_it() {
    Keys::each(|keys| {
        let live = keys.create("live", &["--owner", "ada"]);
        let ran = keys.run(&["verify"], &format!("{}\r\nanother line", text(&live["key"])));
        assert!(
            ran.status == 0 && ran.out.starts_with("valid\n") && ran.out.contains("ada") && ran.out.contains(text(&live["id"])),
            "{ran:?}"
        );
        assert!(!ran.out.contains(text(&live["key"])) && ran.err.is_empty(), "{ran:?}");

        let expired = keys.create("expired", &["--expires", "2020-01-01T00:00:00Z"]);
        let early = keys.create("early", &["--not-before", "1d"]);
        let local = keys.create("local", &["--allow-ip", "10.0.0.0/8"]);
        let bound = keys.create("bound", &["--resource-pattern", "/jobs/*"]);
        let (rest, last) = text(&live["key"]).split_at(text(&live["key"]).len() - 1);
        let damaged = json!(format!("{rest}{}", if last == "x" { "y" } else { "x" }));
        let stranger = json!(keyward::key::generate(&"kw".parse().unwrap(), &keyward::SystemRandom).unwrap().expose());
        let long = json!("k".repeat(1_025));
        for (key, peer, denial, is_known) in [
            (&live["key"], None, Value::Null, true),
            (&expired["key"], None, "expired".into(), true),
            (&early["key"], None, "not-yet-valid".into(), true),
            (&local["key"], None, Value::Null, true),
            (&local["key"], Some("10.1.2.3"), Value::Null, true),
            (&local["key"], Some("192.0.2.1"), "address".into(), true),
            (&bound["key"], None, Value::Null, true),
            (&damaged, None, "malformed".into(), false),
            (&stranger, None, "unknown".into(), false),
            (&long, None, "malformed".into(), false),
            (&json!("with a blank"), None, "malformed".into(), false),
            (&json!("with-an-ä"), None, "malformed".into(), false),
            (&json!("with-a-\u{1}"), None, "malformed".into(), false),
        ] {
            let peer = peer.map_or(Vec::new(), |peer| vec!["--peer", peer]);
            let ran = keys.run(&[&["verify", "--json"], &peer[..]].concat(), text(key));
            let told = ran.json();
            assert_eq!((&told["denial"], told["key"].is_object()), (&denial, is_known), "{key}: {ran:?}");
            assert_eq!((ran.status, told["valid"] == true), (i32::from(!denial.is_null()), denial.is_null()));
            assert!(!ran.out.contains(text(key)) && ran.err.is_empty(), "{ran:?}");
        }
        assert_eq!(keys.succeed(&["show", "--json", text(&live["id"])]).json()["last_used_at"], Value::Null);
    });
}

#[test]
fn a_key_on_the_command_line_is_refused_with_the_reason() {
    let ran = run(&Folder::new(), &["keys", "verify", "CANARY"], "");
    assert!(
        ran.status == 2 && ran.err.contains("can be read by everybody on this machine") && !ran.err.contains("CANARY"),
        "{ran:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_new_key_that_reaches_nobody_is_told_with_its_mend() {
    use std::fs::File;
    let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
    let made = keys.create("old", &[]);
    for (arguments, mend) in [
        (&["create", "--name", "a"][..], "`keyward keys revoke "),
        (&["create", "--name", "a", "--json"], "`keyward keys revoke "),
        (&["rotate", text(&made["id"])], "`keyward keys rotate "),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = keyward();
        command.current_dir(&*keys.folder).args(["keys", "--database", &keys.database]).args(arguments);
        let ran = Ran::from(command.stdout(full).stderr(Stdio::piped()).output().unwrap());
        assert!(ran.status == 3 && ran.err.contains("is lost: ") && ran.err.contains(mend), "{ran:?}");
    }
}

#[test]
fn the_journal_tells_who_did_it() {
    let keys = Keys { folder: Folder::new(), database: "json:keys.json".to_owned() };
    let mut command = keyward();
    command.current_dir(&*keys.folder).args(["keys", "--database", &keys.database, "create", "--name", "a"]).env("USER", "ada");
    assert!(command.output().unwrap().status.success());
    let text = std::fs::read_to_string(keys.folder.join("keys.json")).unwrap();
    assert!(text.contains("keyward keys (ada)"), "{text}");
}

#[test]
fn a_time_that_is_too_far_away_is_told_as_that() {
    let folder = Folder::new();
    for far in ["9999-01-01T00:00:00Z", "2262-04-12T00:00:00Z", "250y", "99999999999999999999d", "400000d", "106752d", "86500d"] {
        for (command, flag) in [(&["create", "--name", "a"][..], "--expires"), (&["create", "--name", "a"], "--not-before")] {
            let ran = run(&folder, &[&["keys"], command, &[flag, far]].concat(), "");
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
            let told = if far == "250y" { "write a span like 90d" } else { "times end in April 2262" };
            assert!(ran.err.contains(told) && ran.err.contains(flag), "{ran:?}");
        }
    }
    let ran = run(&folder, &["keys", "rotate", "a", "--grace", "99999999999999999999h"], "");
    assert!(ran.status == 2 && ran.err.contains("times end in April 2262"), "{ran:?}");
    assert_eq!(folder.names(), [""; 0]);
    succeed(&folder, &["keys", "create", "--name", "a", "--expires", "80000d"], "");
    succeed(&folder, &["keys", "create", "--name", "a", "--expires", "2262-04-11T00:00:00Z"], "");
}

/// The bounds of a record, each on it and one beyond.
#[test]
fn a_key_holds_so_much_and_no_more() {
    let many = |flag: &str, count: usize, value: &dyn Fn(usize) -> String| -> Vec<String> {
        (0..count).flat_map(|number| [flag.to_owned(), value(number)]).collect()
    };
    let text = |flag: &str, length: usize| vec![flag.to_owned(), "ä".repeat(length / 2) + &"x".repeat(length % 2)];
    let scope = |number: usize| format!("s{number}");
    let network = |number: usize| format!("10.0.0.{number}");
    let quota = |number: usize| format!("5/{}s", number + 1);
    let entry = |number: usize| format!("{number}=x");
    // Names and values together: "a", and what is behind the `=`.
    let metadata = |length: usize| vec!["--metadata".to_owned(), format!("a={}", "x".repeat(length - 1))];
    for (flag, good, bad) in [
        ("--name", text("--name", 1_024), text("--name", 1_025)),
        ("--kind", text("--kind", 1_024), text("--kind", 1_025)),
        ("--owner", text("--owner", 1_024), text("--owner", 1_025)),
        ("--scope", many("--scope", 256, &scope), many("--scope", 257, &scope)),
        ("--allow-ip", many("--allow-ip", 256, &network), many("--allow-ip", 257, &|number| format!("10.0.1.{}", number % 256))),
        ("--limit", many("--limit", 16, &quota), many("--limit", 17, &quota)),
        ("--metadata", many("--metadata", 64, &entry), many("--metadata", 65, &entry)),
        ("--metadata", metadata(16_384), metadata(16_385)),
    ] {
        let folder = Folder::new();
        let create = |more: &[String]| {
            let name = if flag == "--name" { &[][..] } else { &["--name", "a"] };
            let more: Vec<&str> = more.iter().map(String::as_str).collect();
            run(&folder, &[&["keys", "create"], name, &more[..]].concat(), "")
        };
        let ran = create(&bad);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{flag}: {}", ran.err);
        assert!(ran.err.starts_with(&format!("{flag}: ")) && ran.err.contains("at most") && ran.err.len() < 200, "{}", ran.err);
        assert_eq!(folder.names(), [""; 0], "nothing is made for it");
        let ran = create(&good);
        assert_eq!(ran.status, 0, "{flag}: {}", ran.err);
    }
}

#[test]
fn what_others_wrote_cannot_disguise_itself_in_a_listing() {
    Keys::each(|keys| {
        let name = "a\u{202e}\u{2028}\u{200b}\u{feff}\u{1b}[31m\\n\tz";
        let made = keys.create(name, &["--owner", "\u{2067}ada"]);
        assert_eq!(made["name"], name, "a program gets it as it is");
        let told = "a\\u{202e}\\u{2028}\\u{200b}\\u{feff}\\u{1b}[31m\\\\n\\tz";
        for arguments in [&["list"][..], &["show", text(&made["id"])]] {
            let shown = keys.succeed(arguments).out;
            assert!(shown.contains(told) && shown.contains("\\u{2067}ada"), "{shown:?}");
            assert!(!shown.contains(['\u{202e}', '\u{2028}', '\u{200b}', '\u{feff}', '\u{1b}', '\u{2067}']), "{shown:?}");
        }
        let ran = keys.succeed(&["create", "--name", name]);
        assert!(ran.err.contains(told), "told once, and not escaped twice: {ran:?}");
    });
}

/// In an emergency, what cannot be read must keep no other key alive.
#[test]
fn a_damaged_record_keeps_no_other_key_from_being_revoked() {
    for (bulk, is_json, journal) in
        [(true, false, false), (true, true, false), (false, false, true), (false, true, true), (true, false, true)]
    {
        let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
        let first = keys.create("first", &["--owner", "ada"]);
        let bad = keys.create("bad", &["--owner", "ada", "--metadata", "bad=CANARY"]);
        let last = keys.create("last", &["--owner", "ada"]);
        let other = keys.create("other", &["--owner", "bob"]);
        let file = keys.folder.join("keys.db");
        let (mut bytes, good) = (std::fs::read(&file).unwrap(), b"{\"bad\":\"CANARY\"}");
        // What the journal tells of it may be damaged as well.
        let is_meant = |at: usize| journal || !bytes[..at].ends_with(b"\"metadata\":");
        let places: Vec<usize> =
            (0..bytes.len() - good.len()).filter(|&at| bytes[at..].starts_with(good) && is_meant(at)).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|&at| bytes[at] = b'x');
        std::fs::write(&file, bytes).unwrap();

        let ids = [&first, &bad, &last].map(|key| text(&key["id"]));
        let which: &[&str] = if bulk { &["--owner", "ada", "--yes"] } else { &ids };
        let ran = keys.run(&[&["revoke"][..], which, if is_json { &["--json"] } else { &[] }].concat(), "");
        assert_eq!(ran.status, 3, "{ran:?}");
        assert!(ran.err.contains(ids[1]) && ran.err.contains("damaged") && !ran.err.contains("CANARY"), "{ran:?}");
        if is_json {
            assert_eq!(ran.json()["revoked"], json!([first["id"], last["id"]]));
            assert_eq!(ran.json()["failed"], json!([bad["id"]]));
        } else {
            assert!(ran.out.contains(ids[0]) && ran.out.contains(ids[2]) && !ran.out.contains(ids[1]), "{ran:?}");
            assert!(!bulk || ran.out.contains("2 keys revoked; "), "{ran:?}");
        }
        assert_eq!(keys.verify(&first["key"], &[]), (1, "revoked".into()));
        assert_eq!(keys.verify(&last["key"], &[]), (1, "revoked".into()));
        assert_eq!(keys.verify(&other["key"], &[]).0, 0);
    }
}

/// A program that reads the document must not take half of it for all.
#[test]
fn a_list_that_fails_late_is_no_document() {
    let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
    let rows: String = (0..1_100).map(|row| format!("key-number-{row:020}\n")).collect();
    keys.folder.write("rows.txt", rows);
    keys.succeed(&["import", "rows.txt", "--entropy-bits", "128"]);
    keys.create("late", &["--metadata", "late=CANARY"]);
    // One record behind the first pages is damaged on the disk.
    let file = keys.folder.join("keys.db");
    let (mut bytes, good) = (std::fs::read(&file).unwrap(), b"{\"late\":\"CANARY\"}");
    let places: Vec<usize> = (0..bytes.len() - good.len()).filter(|&at| bytes[at..].starts_with(good)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|&at| bytes[at] = b'x');
    std::fs::write(&file, bytes).unwrap();

    let ran = keys.run(&["list", "--json"], "");
    assert_eq!((ran.status, ran.out.as_str()), (3, ""), "{}", ran.err);
    assert!(!ran.err.is_empty() && !ran.err.contains("CANARY"), "{}", ran.err);
    assert_eq!(keys.succeed(&["list", "--json", "--limit", "900"]).json()["keys"].as_array().unwrap().len(), 900);
    // For people, what was read is worth something, and so is that there is more.
    let ran = keys.run(&["list"], "");
    assert!(ran.status == 3 && ran.out.lines().count() >= 500 && !ran.err.is_empty(), "{} {}", ran.status, ran.err);
}

#[cfg(unix)]
#[test]
fn a_long_list_needs_room_for_a_while_and_says_so() {
    let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
    let rows: String = (0..15_000).map(|row| format!("key-number-{row:020}\n")).collect();
    keys.folder.write("rows.txt", rows);
    keys.succeed(&["import", "rows.txt", "--entropy-bits", "128"]);
    let list = |folder: &str| {
        let mut command = keyward();
        command.current_dir(&*keys.folder).args(["keys", "list", "--json", "--database", &keys.database]);
        Ran::from(command.env("TMPDIR", folder).output().unwrap())
    };
    let ran = list(keys.folder.to_str().unwrap());
    assert_eq!((ran.status, ran.json()["keys"].as_array().unwrap().len()), (0, 15_000));
    assert!(!keys.folder.names().iter().any(|name| name.contains("tmp")), "{:?}", keys.folder.names());
    let ran = list("/nowhere");
    assert!(ran.status == 3 && ran.out.is_empty() && ran.err.contains("TMPDIR"), "{ran:?}");
    // What is short is kept in memory.
    let mut command = keyward();
    command.current_dir(&*keys.folder).args(["keys", "list", "--json", "--limit", "100", "--database", &keys.database]);
    assert_eq!(command.env("TMPDIR", "/nowhere").output().unwrap().status.code(), Some(0));
}
