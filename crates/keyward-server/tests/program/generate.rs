//! `keyward generate`.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::folder::Folder;
use crate::{keyward, run};

#[test]
fn keys_are_well_formed_and_different() {
    let ran = run(&Folder::new(), &["generate", "--prefix", "acme_live", "--count", "50"], "");
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let keys: HashSet<&str> = ran.out.lines().collect();
    assert_eq!(keys.len(), 50);
    assert!(keys.iter().all(|key| keyward::key::parse(key).unwrap().as_str() == "acme_live"));

    let ran = run(&Folder::new(), &["generate"], "");
    assert_eq!(keyward::key::parse(ran.out.trim_end()).unwrap().as_str(), "kw");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let mut child =
        keyward().args(["generate", "--count", "100000"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((child.wait().unwrap().code(), errors.as_str()), (Some(0), ""));
}
