//! The shape of keys: what is generated reads back, what has one other character does not, and nothing else is taken for one.
//!
//! An input is `PREFIX RANDOM…` or any text. As text, core and model must agree on whether it is a generated key. As a prefix
//! with the bytes of a random generator, a key is made, and each single edit of what follows the prefix must be refused, as
//! malformed, by a guard that knows the key.

use http::Request;
use keyward::{
    Decision, Fault, Guard, Keys, MemoryStore, Policy, Random, import,
    key::{self, KeyPrefix},
};

use super::step::at_once;
use crate::model::key::{checksum, generated_shape};

/// Runs one input.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    compare_text(&text);
    let (prefix, random) = text.split_once(' ').unwrap_or((&text, ""));
    if let Ok(prefix) = prefix.parse::<KeyPrefix>() {
        round_trip(&prefix, random.as_bytes());
    }
}

fn compare_text(text: &str) {
    let modelled = generated_shape(text).filter(|shape| shape.check == checksum(shape.secret) && may_begin_a_key(shape.prefix));
    let parsed = key::parse(text);
    assert_eq!(modelled.map(|shape| shape.prefix), parsed.as_ref().map(KeyPrefix::as_str), "the prefix of {text:?}");
    assert_eq!(key::check(text), checksum(text), "the check of {text:?}");
    let shown = key::display_prefix(text);
    assert!(text.starts_with(&shown), "{shown:?} is shown of {text:?}");
    match parsed {
        Some(prefix) => assert_eq!(shown.len(), prefix.as_str().len() + 5, "{shown:?} is shown of {text:?}"),
        None => assert!(shown.len() <= text.len() / 3, "{shown:?} is too much of {text:?}"),
    }
}

/// A prefix has at most 32 characters, and `kws` is sessions' (R6.4).
fn may_begin_a_key(prefix: &str) -> bool {
    prefix.len() <= 32 && prefix != "kws"
}

fn round_trip(prefix: &KeyPrefix, random: &[u8]) {
    let made = key::generate(prefix, &Bytes(random.to_vec())).expect("these bytes never run dry");
    let made = made.expose();
    let rest = made.strip_prefix(&format!("{prefix}_")).unwrap_or_else(|| panic!("{made:?} does not begin with {prefix}"));
    assert_eq!(rest.len(), 38, "{made}");
    assert_eq!(key::parse(made).as_ref(), Some(prefix), "{made}");
    compare_text(made);

    let edited = edited(made, prefix.as_str().len() + 1, random);
    assert_eq!(key::parse(&edited), None, "{edited} is one edit from {made}");
    let guard = guard_of(made);
    assert_eq!(kind(&guard, made), None, "{made} is not let in");
    assert_eq!(kind(&guard, &edited).as_deref(), Some("malformed"), "{edited} is one edit from {made}");
}

/// One other letter or digit behind the prefix: which, and where, is up to the last two bytes.
fn edited(made: &str, from: usize, random: &[u8]) -> String {
    let choice = |from_end: usize| random.len().checked_sub(from_end).map_or(0, |at| usize::from(random[at]));
    let at = from + choice(1) % (made.len() - from);
    let others: Vec<u8> =
        (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z').filter(|byte| *byte != made.as_bytes()[at]).collect();
    let mut edited = made.as_bytes().to_vec();
    edited[at] = others[choice(2) % others.len()];
    String::from_utf8(edited).expect("letters and digits are text")
}

fn guard_of(made: &str) -> Guard {
    let store = MemoryStore::new();
    let row = serde_json::json!({ "key": made }).to_string();
    let imported = import::keys_file(&row).next().expect("there is one row").expect("a generated key is a good row");
    at_once(Keys::new(store.clone()).import(imported)).expect("a generated key is imported");
    let policy = Policy::from_toml("policy.toml", "").expect("an empty policy is a good one");
    Guard::builder(policy).store(store).build().expect("the guard has all its parts")
}

/// Why the key is denied; `None` if it is let in.
fn kind(guard: &Guard, credential: &str) -> Option<String> {
    let head = Request::get("/").header("X-API-Key", credential).body(()).expect("letters, digits and _ make a header");
    match at_once(guard.decide(&head)) {
        Decision::Allowed(_) => None,
        Decision::Denied(denial) => Some(denial.kind().to_string()),
    }
}

/// The fuzzer's bytes as a random generator: over and over, with other bytes between so that rejection sampling ends.
struct Bytes(Vec<u8>);

impl Random for Bytes {
    fn secret(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = match self.0.get(index) {
                Some(chosen) => *chosen,
                None => (index % 248) as u8,
            };
        }
        // At least one of each draw is taken.
        if let Some(last) = bytes.last_mut() {
            *last %= 248;
        }
        Ok(())
    }

    fn identifier(&self) -> u128 {
        0
    }
}
