//! Exit status, help and environment.

use crate::folder::Folder;
use crate::{keyward, run, run_command};

#[test]
fn wrong_usage_is_2() {
    let folder = Folder::new();
    for arguments in [
        &[][..],
        &["dance"],
        &["serve", "--colour", "red"],
        &["serve", "--listen", "8080"],
        &["serve", "--listen", "300.1.1.1:1"],
        &["serve", "--max-connections", "0"],
        &["serve", "--policy", "missing.toml"],
        &["serve", "--keys", "missing.jsonl"],
        &["serve", "--database", "mysql://me:CANARY@db/keys"],
        &["serve", "--pepper-file", "missing"],
        &["explain", "--now", "yesterday"],
        &["explain", "--peer", "nobody"],
        &["policy"],
        &["policy", "check", "missing.toml"],
        &["generate", "--count", "0"],
        &["generate", "--prefix", "Not Good"],
        &["scan"],
        &["completions", "abacus"],
    ] {
        let ran = run(&folder, arguments, "");
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("CANARY") && !ran.err.contains("panicked"), "{ran:?}");
    }
}

#[test]
fn what_is_no_database_is_told_with_all_that_are() {
    for (database, problem) in [
        ("redis://:CANARY@db", "--database: `redis` databases are not available; "),
        ("CANARY", "--database: this is no URL of a database; "),
        ("me:CANARY@db/keys", "--database: "),
        ("sqlite:", "--database: `sqlite:` needs the path of a file; "),
        ("postgres:CANARY", "--database: `postgres:` goes on with `//`; "),
    ] {
        for command in
            [&["serve"][..], &["explain"], &["keys", "list"], &["keys", "create", "--name", "a"], &["accounts", "list"]]
        {
            let ran = run(&Folder::new(), &[command, &["--database", database]].concat(), "");
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
            let forms = ["sqlite:PATH", "postgres://", "json:PATH", "memory:"];
            assert!(ran.err.starts_with(problem) && forms.iter().all(|form| ran.err.contains(form)), "{}", ran.err);
            assert!(!ran.err.contains("CANARY"), "{}", ran.err);
        }
    }
}

#[test]
fn wrong_usage_does_not_repeat_a_password_or_a_key() {
    let (folder, url) = (Folder::new(), "postgres://me:CANARY@db/keys");
    let key = keyward::key::generate(&"acme".parse().unwrap(), &keyward::SystemRandom).unwrap();
    for arguments in [
        &["serve", url][..],
        &["keys", "list", url],
        &["serve", "--database-url", url],
        &["serve", "--databases=postgres://me:CANARY@db/keys"],
        &["keys", "create", "--name", "a", key.expose()],
        &["keys", "revoke", key.expose()],
        &["keys", "show", key.expose()],
        &["keys", "update", key.expose(), "--name", "a"],
        &["keys", "list", "--after", key.expose()],
        &["keys", "verify", key.expose()],
        &["keys", "verify", "CANARY"],
        &["accounts", "list", url],
        &["accounts", "show", key.expose()],
    ] {
        let ran = run(&folder, arguments, "");
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{ran:?}");
        assert!(!ran.err.is_empty() && !ran.err.contains("CANARY") && !ran.err.contains(key.expose()), "{}", ran.err);
    }
}

#[test]
fn every_command_helps_with_an_example() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["keys", "--help"],
        &["keys", "create", "--help"],
        &["keys", "list", "--help"],
        &["keys", "show", "--help"],
        &["keys", "revoke", "--help"],
        &["keys", "rotate", "--help"],
        &["keys", "update", "--help"],
        &["keys", "import", "--help"],
        &["keys", "verify", "--help"],
        &["keys", "purge", "--help"],
        &["accounts", "--help"],
        &["accounts", "create", "--help"],
        &["accounts", "list", "--help"],
        &["accounts", "show", "--help"],
        &["accounts", "disable", "--help"],
        &["accounts", "enable", "--help"],
        &["accounts", "make-admin", "--help"],
        &["accounts", "make-user", "--help"],
        &["accounts", "set-password", "--help"],
        &["accounts", "delete", "--help"],
        &["explain", "--help"],
        &["policy", "check", "--help"],
        &["generate", "--help"],
        &["scan", "--help"],
        &["completions", "--help"],
    ] {
        let ran = run(&Folder::new(), arguments, "");
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("Examples:\n  "), "{}", ran.out);
    }
}

#[test]
fn all_that_serve_answers_is_in_its_help_and_on_its_page() {
    let help = run(&Folder::new(), &["serve", "--help"], "").out;
    let (_, page) = include_str!("../../../../docs/server.md").split_once("\n## What it answers\n").unwrap();
    let (page, _) = page.split_once("\n## ").unwrap();
    let own = ["/healthz", "/whoami", "/auth/token", "/auth?nginx"];
    for place in own.into_iter().chain(keyward_admin::Admin::PLACES) {
        assert!(help.contains(place) && page.contains(place), "{place}");
    }
}

#[test]
fn flags_and_environment_agree() {
    let folder = Folder::with("p.toml", "resolution = \"guess\"\n");
    let by_variable = |name: &str, value: &str| run_command(keyward().current_dir(&*folder).arg("serve").env(name, value), "");
    for (name, flag, value) in [
        ("KEYWARD_POLICY", "--policy", "p.toml"),
        ("KEYWARD_DATABASE", "--database", "redis://db"),
        ("KEYWARD_LISTEN", "--listen", "nowhere"),
        ("KEYWARD_LISTEN", "--listen", "300.1.1.1:1"),
        ("KEYWARD_PEPPER_FILE", "--pepper-file", "missing"),
        ("KEYWARD_MAX_CONNECTIONS", "--max-connections", "0"),
    ] {
        let (by_variable, by_flag) = (by_variable(name, value), run(&folder, &["serve", flag, value], ""));
        assert_eq!((by_variable.status, by_flag.status), (2, 2), "{name}");
        // But for the name: whoever set a variable looks for no flag.
        assert_eq!(by_variable.err.replace(name, flag), by_flag.err, "{name}");
    }
    let missing = by_variable("KEYWARD_POLICY", "missing.toml");
    assert!(missing.err.starts_with("KEYWARD_POLICY: cannot read missing.toml: "), "{}", missing.err);
    for bad in ["a=b=c", "verbose", "info,verbose"] {
        let ran = by_variable("KEYWARD_LOG", bad);
        assert!(ran.status == 2 && ran.err.starts_with("KEYWARD_LOG: ") && ran.err.contains("write a level"), "{ran:?}");
    }
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let mut command = keyward();
    let folder = Folder::new();
    command.current_dir(&*folder).args(["explain"]).env("KEYWARD_POLICY", "").env("KEYWARD_DATABASE", "");
    command.env("KEYWARD_PEPPER_FILE", "").env("KEYWARD_LOG", "");
    let ran = run_command(&mut command, "GET / HTTP/1.1\n\n");
    assert_eq!((ran.status, ran.err.as_str()), (1, ""));
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = run(&Folder::new(), &["completions", shell], "");
        assert_eq!(ran.status, 0);
        for word in ["explain", "rotate", "not-before", "pepper-file", "set-password", "make-admin"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
}
