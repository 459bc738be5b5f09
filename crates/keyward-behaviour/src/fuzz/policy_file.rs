//! Policy files: a policy or a complaint with a line, never a panic; and no file opens a door that it does not name.
//!
//! What is no TOML must be refused. A policy that is accepted is put to work on a few requests without a credential. Where the
//! model knows all its names, it says what becomes of them; where it does not, nothing may pass that no word in the file allows.

use std::ffi::OsString;

use keyward::{Decision, Guard, MemoryStore, Policy};

use super::step::{at_once, step};
use crate::{
    generate::{Asked, World},
    in_process,
    model::{policy::ModelPolicy, request::ModelRequest},
};

/// Words of which a file that lets nobody through without a key has none.
const OPENING: [&str; 3] = ["open_paths", "optional", "insecure_allow_without_keys"];

/// Without credentials, and none a preflight.
const REQUESTS: [&str; 6] = [
    "GET /",
    "POST /reports/1\nContent-Length: 0",
    "GET /healthz",
    "OPTIONS /a",
    "GET /a?b=c\nOrigin: https://evil.test\nUpgrade: websocket\nConnection: Upgrade",
    "GET /%2e%2e/healthz",
];

/// Runs one input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy = match Policy::from_toml("policy.toml", text) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.faults().is_empty(), "{text:?} is refused without a fault");
            for fault in error.faults() {
                assert!(!fault.problem.is_empty(), "{text:?} is refused without a word");
                let lines = text.split('\n').count();
                let line = fault.line.unwrap_or_else(|| panic!("{text}\nis refused without a line: {error}"));
                assert!((1..=lines).contains(&line), "{text}\nhas no line {line}: {error}");
            }
            assert!(error.to_string().contains("policy.toml"), "{error}");
            return;
        }
    };
    assert!(text.parse::<toml::Table>().is_ok(), "{text}\nis accepted and no TOML");

    let guard = Guard::builder(policy).store(MemoryStore::new()).environment(|_| Some(OsString::from("root"))).build();
    let guard = match guard {
        Ok(guard) => guard,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "{text}\nis refused without a word");
            return;
        }
    };
    let may_open = OPENING.iter().any(|word| text.contains(word));
    for request in requests() {
        let head = in_process::in_http_types(&request).expect("the target's own requests can be said");
        let decision = at_once(guard.decide(&head));
        if let Decision::Allowed(pass) = &decision {
            assert!(pass.principal().is_none(), "{text}\nmakes somebody of nobody: {request:?}");
            assert!(may_open, "{text}\nlets {request:?} through, and no word of it says so");
        }
    }
    if let Ok(policy) = ModelPolicy::from_toml(text) {
        let environment = policy.configured_keys.iter().map(|keys| (keys.env.clone(), "root".to_owned())).collect();
        let steps = requests().map(|request| Asked { wait: 0, happenings: Vec::new(), request }).collect();
        step(&World { policy, keys: Vec::new(), environment, steps });
    }
}

fn requests() -> impl Iterator<Item = ModelRequest> {
    REQUESTS.into_iter().map(|text| ModelRequest::parse(text, Some([192, 0, 2, 1].into())))
}
