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
        assert_eq!((ran.status, ran.out.as_str()), (0, "ok\n"));
        assert_eq!(ran.err.is_empty(), file == "empty.toml", "{}", ran.err);
    }
    let ran = run(&folder, &["policy", "check", "--json", "empty.toml"], "");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, document["ok"].as_bool(), document["errors"].as_array().unwrap().len()), (0, Some(true), 0));
    assert_eq!(document["warnings"].as_array().unwrap().len(), 0);
}

#[test]
fn what_is_not_carried_out_is_a_warning() {
    let folder = Folder::with("every-name.toml", include_str!("every-name.toml"));
    let ran = run(&folder, &["policy", "check", "every-name.toml"], "");
    let places: Vec<_> = ran.err.lines().map(|line| line.split(": ").take(3).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(places, ["every-name.toml:12 warning authenticators", "every-name.toml:42 warning routes.path"]);

    let ran = run(&folder, &["policy", "check", "--json", "every-name.toml"], "");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, document["ok"].as_bool(), ran.err.as_str()), (0, Some(true), ""));
    let warnings = document["warnings"].as_array().unwrap();
    assert_eq!((warnings.len(), &warnings[1]["line"], &warnings[1]["field"]), (2, &42.into(), &"routes.path".into()));
    assert!(warnings.iter().all(|warning| warning["problem"].is_string() && warning["mend"].is_string()));
}

/// What is good here has to start there, and what does not start there must not be good here.
#[test]
fn what_serve_refuses_is_not_ok() {
    for (text, place) in [
        ("\nauthenticators = [\"stores\"]\n", "p.toml:2: authenticators[0]: nothing is called `stores`"),
        ("authenticators = [\"session\"]\n", "p.toml:1: authenticators: nobody could ever be authenticated"),
        ("authenticators = [\"configured\"]\n", "p.toml:1: authenticators: nobody could ever be authenticated"),
    ] {
        let folder = Folder::with("p.toml", text);
        let checked = run(&folder, &["policy", "check", "p.toml"], "");
        assert_eq!((checked.status, checked.out.as_str()), (2, ""), "{text}");
        assert!(checked.err.lines().any(|line| line.starts_with(place)), "{}", checked.err);
        let served = run(&folder, &["serve", "--listen", ":0", "--policy", "p.toml"], "");
        assert_eq!(served.status, 2);
        assert!(served.err.lines().any(|line| line.starts_with(place)), "{}", served.err);

        let ran = run(&folder, &["policy", "check", "--json", "p.toml"], "");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.status, document["ok"].as_bool()), (2, Some(false)));
        assert!(document["errors"][0]["line"].is_number());
    }
}

#[test]
fn variables_are_taken_to_be_set() {
    let text = "authenticators = [\"configured\"]\n[[configured_keys]]\nenv = \"NOT_SET_HERE\"\n[audit]\nmode = \"required\"\n";
    let ran = run(&Folder::with("p.toml", text), &["policy", "check", "p.toml"], "");
    assert_eq!((ran.status, ran.out.as_str()), (0, "ok\n"), "{}", ran.err);
}

#[test]
fn standard_input_is_checked_and_what_cannot_be_read_is_a_document() {
    let folder = Folder::new();
    assert_eq!(run(&folder, &["policy", "check", "-"], "").out, "ok\n");
    let ran = run(&folder, &["policy", "check", "-"], "\nresolution = \"guess\"\n");
    assert!(ran.status == 2 && ran.err.starts_with("-:2: resolution: "), "{ran:?}");

    folder.write("latin.toml", b"realm = \"\xe9\"");
    for (file, problem) in [("missing.toml", "cannot read missing.toml: "), ("latin.toml", "cannot read latin.toml: ")] {
        let ran = run(&folder, &["policy", "check", "--json", file], "");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.status, document["ok"].as_bool()), (2, Some(false)));
        assert!(document["errors"][0]["problem"].as_str().unwrap().starts_with(problem), "{document}");
    }
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
