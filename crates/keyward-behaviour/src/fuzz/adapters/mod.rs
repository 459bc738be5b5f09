//! Raw bytes into every adapter, in this process: whatever a parser makes of them, nobody gets in without the key.
//!
//! The bytes are what a client sends over one connection; each adapter is given the same. Whatever of the answers comes from a
//! handler must be an open path's, or the key must stand in the bytes. Where the first answer comes from a guard in two
//! adapters, it must be the same; where a parser refuses by itself, it may be any refusal.

mod actix;
mod hyper;
mod wire;

use std::fmt;

use keyward::{Guard, MemoryStore, Policy};
use percent_encoding::percent_decode;
use serde_json::Value;

use self::wire::{Answer, answers};
use super::step::at_once;
use crate::{conformance::Conformance, service::store};

const KEY: &str = "the-only-key-0123456789";

const POLICY: &str = "
sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'k' }, { query = 'api_key' }]
[access]
realm = 'api'
preflight = 'guard'
open_paths = ['/healthz', '/docs/*']
[[routes]]
path = '/reports/*'
methods = ['GET', 'POST']
scopes = ['reports:read']
";

/// What serves the bytes of one connection, and gives what it wrote.
type Serve = Box<dyn Fn(&[u8]) -> Vec<u8>>;

struct Adapter {
    name: &'static str,
    serve: Serve,
}

thread_local! {
    // Never dropped, as the runtime that they run on.
    static ADAPTERS: &'static [Adapter] = Vec::leak(adapters());
}

/// Runs one input.
pub fn run(data: &[u8]) {
    ADAPTERS.with(|adapters| {
        let mut first_guarded: Option<(&str, String)> = None;
        for adapter in *adapters {
            // actix-http (3.20) frames an answer by the method of the last request that it has read: nothing can be told of those
            // before a HEAD that is pipelined.
            if adapter.name == "actix" && data.windows(5).skip(3).any(|window| window == b"HEAD ") {
                continue;
            }
            let written = (adapter.serve)(data);
            let told = Told { sent: data, adapter: adapter.name, written: &written };
            // Parsers skip line ends before a request.
            let begins = data.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or_default();
            let answers = answers(&written, data[begins..].starts_with(b"HEAD "));
            for answer in &answers {
                judge(answer, data, &told);
            }
            let Some(first) = answers.into_iter().next().filter(Answer::is_guarded) else { continue };
            let first = first.comparable();
            match &first_guarded {
                None => first_guarded = Some((adapter.name, first)),
                Some((name, other)) => assert!(
                    *other == first,
                    "two adapters answer differently\n{told}\n--- {name}\n{other}\n--- {}\n{first}",
                    adapter.name
                ),
            }
        }
    });
}

/// Nobody's bytes but the key's own let anybody in, and what got in does not see the key.
fn judge(answer: &Answer, sent: &[u8], told: &Told<'_>) {
    if !(200..300).contains(&answer.status) {
        return;
    }
    assert!(answer.is_guarded(), "an answer that no guard has seen\n{told}");
    if answer.body.is_empty() {
        // A HEAD's; nothing tells who it is for.
        assert!(holds_key(sent) || names_open_path(sent), "a 2xx without the key\n{told}");
        return;
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}\n{told}"));
    if body["principal"].is_null() {
        let path = body["path"].as_str().unwrap_or_default();
        let is_open =
            matches!(path, "/healthz" | "/healthz/") || path.strip_prefix("/docs/").is_some_and(|below| !below.is_empty());
        assert!(is_open, "a 2xx for nobody\n{told}");
    } else {
        assert!(holds_key(sent), "a 2xx without the key\n{told}");
        assert_eq!(body["saw_credential"], false, "the handler sees the credential\n{told}");
    }
}

/// Percent-encoding is all that may stand between the bytes and the key in a source of this policy.
fn holds_key(sent: &[u8]) -> bool {
    let decoded: Vec<u8> = percent_decode(sent).collect();
    [sent, &decoded].iter().any(|bytes| bytes.windows(KEY.len()).any(|window| window == KEY.as_bytes()))
}

fn names_open_path(sent: &[u8]) -> bool {
    [&b"/healthz"[..], b"/docs/"].iter().any(|path| sent.windows(path.len()).any(|window| window == *path))
}

fn adapters() -> Vec<Adapter> {
    let keys = serde_json::json!({ "key": KEY, "name": "n" }).to_string();
    let keys: MemoryStore = at_once(store("keys.jsonl", &keys)).expect("the target's own key is a good one");
    let policy = Policy::from_toml("policy.toml", POLICY).expect("the target's own policy is a good one");
    let guard = Guard::builder(policy).store(keys).build().expect("the guard has all its parts");
    let conformance = Conformance::new(guard.clone(), POLICY).expect("the model knows the target's own policy");
    let serving =
        |name, start: fn(Guard, Conformance) -> Serve| Adapter { name, serve: start(guard.clone(), conformance.clone()) };
    vec![
        serving("hyper", hyper::tower),
        serving("axum", hyper::axum),
        serving("warp", hyper::warp),
        serving("actix", actix::actix),
    ]
}

/// What to tell of an input.
struct Told<'t> {
    sent: &'t [u8],
    adapter: &'t str,
    written: &'t [u8],
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, written) = (self.sent.escape_ascii(), self.written.escape_ascii());
        write!(f, "--- sent\n{sent}\n--- {} answers\n{written}\n--- policy{POLICY}", self.adapter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An adapter that never answers would agree with everybody.
    #[test]
    fn every_adapter_answers_in_memory() {
        let statuses = |sent: &str| {
            ADAPTERS.with(|adapters| {
                let of = |adapter: &Adapter| -> Vec<(u16, bool)> {
                    let written = (adapter.serve)(sent.as_bytes());
                    answers(&written, false).iter().map(|answer| (answer.status, answer.is_guarded())).collect()
                };
                adapters.iter().map(of).collect::<Vec<_>>()
            })
        };
        let with_key = format!("GET /a HTTP/1.1\r\nHost: a\r\nX-API-Key: {KEY}\r\n\r\n");
        let without = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(statuses(&with_key), vec![vec![(200, true)]; 4]);
        assert_eq!(statuses(without), vec![vec![(401, true)]; 4]);
        assert_eq!(statuses(&format!("{with_key}{without}")), vec![vec![(200, true), (401, true)]; 4]);
        assert_eq!(statuses("nonsense\r\n\r\n"), vec![vec![(400, false)]; 4]);
        assert_eq!(statuses("GET /a HTTP"), vec![Vec::new(); 4]);
    }

    #[test]
    fn encodings_do_not_hide_the_key() {
        assert!(holds_key(KEY.as_bytes()));
        assert!(holds_key(KEY.replace('k', "%6b").as_bytes()));
        assert!(!holds_key(KEY.to_uppercase().as_bytes()));
    }
}
