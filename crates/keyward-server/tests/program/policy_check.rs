//! `keyward policy check`.

use serde_json::Value;

use crate::folder::Folder;
use crate::run;

#[test]
fn good_policies_are_ok() {
    let folder = Folder::with("every-name.toml", include_str!("every-name.toml"));
    folder.write("empty.toml", "");
    for file in ["every-name.toml", "empty.toml"] {
        let ran = run(&folder, &["policy", "check", file], "");
        assert_eq!((ran.status, ran.out.as_str(), ran.err.as_str()), (0, "ok\n", ""));
    }
    let ran = run(&folder, &["policy", "check", "--json", "empty.toml"], "");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, document["ok"].as_bool(), document["errors"].as_array().unwrap().len()), (0, Some(true), 0));
}

#[test]
fn every_error_is_told_with_its_line_and_mend() {
    let folder = Folder::with("p.toml", "resolution = \"guess\"\n\n[limits]\nper_key = [\"5/minute\", \"lots\"]\n");
    let ran = run(&folder, &["policy", "check", "p.toml"], "");
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("p.toml:1: resolution: `guess` is not known; write \"reject-conflict\"")));
    assert!(lines.iter().any(|line| line.starts_with("p.toml:4: limits.per_key[1]: `lots` is no quota")));

    let ran = run(&folder, &["policy", "check", "--json", "p.toml"], "");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, document["ok"].as_bool(), document["file"].as_str()), (2, Some(false), Some("p.toml")));
    let errors = document["errors"].as_array().unwrap();
    assert!(errors.iter().any(|error| error["line"] == 1 && error["field"] == "resolution"));
    assert!(errors.iter().all(|error| error["problem"].is_string() && error["mend"].is_string()));
}

#[test]
fn unknown_names_and_what_is_no_toml_have_a_line() {
    for (text, begins) in [
        ("\ncolour = \"red\"\n", "p.toml:2: colour: unknown field `colour`"),
        ("[access]\nrealm = \n", "p.toml:2: "),
        ("[[", "p.toml:1: "),
    ] {
        let ran = run(&Folder::with("p.toml", text), &["policy", "check", "p.toml"], "");
        assert_eq!(ran.status, 2);
        assert!(ran.err.starts_with(begins) && ran.err.contains("; "), "{}", ran.err);
    }
}

#[test]
fn a_file_cannot_write_to_the_terminal() {
    let ran = run(&Folder::with("p.toml", "resolution = \"\\u001b[31m\"\n"), &["policy", "check", "p.toml"], "");
    assert_eq!(ran.status, 2);
    assert!(!ran.err.contains('\u{1b}'), "{:?}", ran.err);
}
