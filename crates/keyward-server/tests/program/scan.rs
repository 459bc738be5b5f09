//! `keyward scan`.

use keyward::{SystemRandom, key};

use crate::folder::Folder;
use crate::run;

fn key() -> String {
    key::generate(&"acme".parse().unwrap(), &SystemRandom).unwrap().expose().to_owned()
}

#[test]
fn keys_are_told_by_place_and_prefix_only() {
    let (first, second, folder) = (key(), key(), Folder::new());
    folder.write("a/settings.env", format!("# nothing\nKEY={first}\n"));
    folder.write("b.json", format!("{{\"key\": \"{second}\"}}"));
    folder.write("empty", "");
    folder.write(".git/config", format!("{first}\n"));
    folder.write("picture", format!("\0{first}\n"));
    let shown = |key: &str| key::display_prefix(key);

    let ran = run(&folder, &["scan", "."], "");
    assert_eq!(ran.status, 1);
    assert_eq!(ran.out, format!("./a/settings.env:2: {}…\n./b.json:1: {}…\n", shown(&first), shown(&second)));
    assert_eq!(ran.err, "");

    // A file that is named is looked at, wherever it is.
    let ran = run(&folder, &["scan", ".git/config", "empty", "picture"], "");
    assert_eq!((ran.status, ran.out), (1, format!(".git/config:1: {}…\n", shown(&first))));

    let ran = run(&folder, &["scan", "-"], &format!("+ {second}\n"));
    assert_eq!((ran.status, ran.out), (1, format!("-:1: {}…\n", shown(&second))));
}

#[test]
fn nothing_found_is_0_and_a_path_that_is_not_there_is_2() {
    let folder = Folder::new();
    let key = key();
    folder.write("half", &key[..key.len() - 1]);
    assert_eq!(run(&folder, &["scan", "."], "").status, 0);
    let ran = run(&folder, &["scan", "half", "missing"], "");
    assert_eq!(ran.status, 2);
    assert!(ran.err.starts_with("cannot read missing: "), "{}", ran.err);
    folder.write("whole", &key);
    assert_eq!(run(&folder, &["scan", "missing", "whole"], "").status, 1);
}
