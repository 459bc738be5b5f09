//! Whole services put together from parts: each byte chooses one, so that nearly every input is a good policy with keys and a
//! sequence of requests that spends its quotas.
//!
//! It gets to the rules at the end of a decision, where text seldom gets; `decision` is for what nobody thought of writing into
//! these tables. Steering the suite's own generator with the fuzzer's bytes was tried and refused: it divides them among all its
//! alternatives, taken or not, and they are gone before the first request.

use std::collections::BTreeMap;

use super::step::step;
use crate::{
    compare::leaks,
    generate::{Asked, World},
    model::{
        key::{self, ModelKey},
        policy::ModelPolicy,
        request::ModelRequest,
        time::{Moment, SECOND},
    },
};

/// Parts of a policy, of each of which one is taken, in this order: what stands in a table has to follow its head.
const POLICY: [&[&str]; 14] = [
    &["", "resolution = 'first-valid'\n", "resolution = 'first-present'\n"],
    &[
        "",
        "sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'k' }, { query = 'api_key' }]\n",
        "sources = [{ query = 'api_key' }, { cookie = 'k' }, { header = 'Authorization', scheme = 'ApiKey' }, { bearer = true }]\n",
        "sources = [{ query = 'api_key', only = 'websocket' }, { header = 'X-API-Key', paths = ['/jobs/*'] }, { subprotocol = 'auth' }]\n",
        "sources = [{ cookie = 'k' }]\n",
        "sources = [{ header = 'X-API-Key' }, { subprotocol = 'auth' }, { bearer = true }]\n",
    ],
    &[
        "authenticators = ['store']\n",
        "authenticators = ['store', 'configured']\n[[configured_keys]]\nenv = 'ROOT'\nkind = 'admin'\nscopes = ['reports:*']\n",
        "authenticators = ['configured', 'store']\n[[configured_keys]]\nenv = 'ROOT'\nseparator = ','\n",
        "authenticators = ['configured']\n[[configured_keys]]\nenv = 'NONE'\n[[configured_keys]]\nenv = 'ROOT'\nseparator = ','\n",
    ],
    &["[access]\nrealm = 'api'\n"],
    &["", "open_paths = ['/healthz', '/docs/*']\n", "open_paths = ['/docs/*', '/']\n"],
    &["", "preflight = 'guard'\n"],
    &["", "public_url = 'https://own.test'\n"],
    &[
        "[network]\n",
        "[network]\nallow = ['127.0.0.0/30', '203.0.113.0/24']\n",
        "[network]\ndeny = ['127.0.0.2', '2001:db8::/32']\n",
        "[network]\nallow = ['0.0.0.0/0']\ndeny = ['198.51.100.7']\n",
    ],
    &[
        "",
        "trusted_proxies = ['127.0.0.3', '10.0.0.0/8']\nclient_address_header = 'X-Forwarded-For'\n",
        "trusted_proxies = ['127.0.0.3', '10.0.0.0/8']\nclient_address_header = 'Forwarded'\n",
        "insecure_trust_all_proxies = true\nclient_address_header = 'X-Real-IP'\n",
    ],
    &[
        "[limits]\n",
        "[limits]\nper_key = ['2/minute']\n",
        "[limits]\nper_key = ['1/10s', '3/hour']\nper_owner = ['2/minute']\n",
        "[limits]\nper_address = ['1/s', '5/minute']\nper_policy = ['4/minute']\n",
    ],
    // A guard's first failure makes a table of some MiB, which takes longer than all else in a world.
    &["", "", "", "", "failures = '1/minute'\n", "failures = '2/10s'\n"],
    &["", "[[routes]]\npath = '/reports/*'\nmethods = ['GET']\nscopes = ['reports:read']\n"],
    &[
        "",
        "[[routes]]\npath = '/jobs/1'\nkinds = ['service', 'admin']\nscopes = ['reports:read', 'jobs:run']\n[[routes]]\npath = '/jobs/*'\nany_scope = ['jobs:run']\n",
        "[[routes]]\npath = '/front'\noptional = true\n[[routes]]\npath = '/reports/*'\nmethods = ['POST']\nkinds = ['admin']\n",
    ],
    &[
        "",
        "[response]\nbody = 'detail'\nunauthorized = 'own text'\n[websocket]\non_denial = 'close'\n",
        "[response]\nbody = 'error'\nstrip_credentials = false\nrate_limit_headers = []\n[websocket]\nallowed_origins = ['https://friend.test']\non_denial = 'close'\nclose_code = 4001\n",
    ],
];

/// What each stored key may be given; the first is nothing.
const CONDITIONS: [&str; 14] = [
    "",
    r#","kind":"service""#,
    r#","kind":"admin","owner":"olga""#,
    r#","owner":"olga","scopes":["reports:read"]"#,
    r#","scopes":["reports:*","jobs:run"]"#,
    r#","revoked":true"#,
    r#","disabled":true"#,
    r#","revoked":true,"disabled":true"#,
    r#","expires_at":"2024-01-01T00:00:05Z""#,
    r#","not_before":"2024-01-01T00:00:05Z""#,
    r#","not_before":"2024-01-01T00:00:01Z","expires_at":"2024-01-01T00:00:10Z""#,
    r#","allowed_ips":["127.0.0.1","203.0.113.0/24"]"#,
    r#","limit":"1/10s""#,
    r#","resource_pattern":"/jobs/*""#,
];

const STORED: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
const METHODS: [&str; 6] = ["GET", "POST", "HEAD", "OPTIONS", "PUT", "get"];
const TARGETS: [&str; 22] = [
    "/a",
    "/reports/1",
    "/jobs/1",
    "/jobs/2",
    "/front",
    "/healthz",
    "/docs/a",
    "/",
    "/a?api_key=alpha",
    "/a?api_key=%62eta&x=1",
    "/jobs/1?x=%zz&api_key=&y",
    "/healthz?%61pi_key=alpha",
    "/scoped/reports:read/a",
    "/optional/a",
    "/%72eports/1/",
    "/reports/../a",
    "/docs//a",
    "/docs/..;/a",
    "/jobs%2F1",
    "http://api.test/reports/1",
    "*",
    "/a?api_key=alpha&api_key=alpha",
];
const HEADERS: [&str; 38] = [
    "X-API-Key: alpha",
    "X-API-Key: beta",
    "X-API-Key: gamma",
    "X-API-Key: delta",
    "X-API-Key: root",
    "X-API-Key: wrong",
    "X-API-Key: ",
    "X-API-Key: al pha",
    "Authorization: Bearer alpha",
    "Authorization: bearer  beta",
    "Authorization: Bearer wrong",
    "Authorization: Bearer",
    "Authorization: ApiKey gamma",
    "Authorization: Basic YTpi",
    "Cookie: k=alpha",
    "Cookie: a=b; k=beta",
    "Cookie: k=wrong; k=wrong",
    "Origin: https://own.test",
    "Origin: https://friend.test",
    "Origin: https://evil.test",
    "Origin: null",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-origin",
    "Access-Control-Request-Method: PUT",
    "Content-Length: 1",
    "X-Request-ID: good-id",
    "X-Request-ID: bad id",
    "X-Forwarded-For: 203.0.113.9",
    "X-Forwarded-For: 198.51.100.7, 10.1.1.1",
    "X-Forwarded-For: rubbish, 10.1.1.1",
    "X-Real-IP: 2001:db8::1",
    "Forwarded: for=203.0.113.9;by=\"a,b\"",
    "Forwarded: for=unknown",
    "Forwarded: for=\"[2001:db8::1]:80\", for=10.0.0.1",
    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: chat, auth.YWxwaGE",
    "Sec-WebSocket-Protocol: auth.YWxwaGE",
    "X-Job-Key: alpha",
];
const PEERS: [Option<[u8; 4]>; 4] = [Some([127, 0, 0, 1]), Some([127, 0, 0, 2]), Some([127, 0, 0, 3]), None];
const WAITS: [Moment; 8] = [0, 0, 1, SECOND, 5 * SECOND - 1, 5 * SECOND, 10 * SECOND, 60 * SECOND];

/// Requests of one world.
const MOST_STEPS: usize = 24;

/// Runs one input.
pub fn run(data: &[u8]) {
    let world = world(data);
    let answers = step(&world);
    let secrets = world.secrets();
    for received in answers {
        let found = leaks(&secrets, &received, &[]);
        assert!(found.is_empty(), "{world:?}\n{}", found.join("\n"));
    }
}

/// The world that the bytes choose: as many requests as there are bytes for.
pub fn world(data: &[u8]) -> World {
    let mut choices = Choices(data);
    let policy: String = POLICY.iter().map(|parts| *choices.of(parts)).collect();
    let policy = ModelPolicy::from_toml(&policy).expect("the parts of a policy fit together");
    let mut keys: Vec<ModelKey> = STORED.iter().map(|credential| key_with_condition(credential, &mut choices)).collect();
    keys.push(key_with_condition(&key::generated("kw", "0123456789abcdefghijABCDEFGHIJ01"), &mut choices));
    let environment = BTreeMap::from([("ROOT".to_owned(), "root,delta".to_owned())]);
    let mut steps: Vec<Asked> = Vec::new();
    while !choices.0.is_empty() && steps.len() < MOST_STEPS {
        let wait = *choices.of(&WAITS);
        // The same once more is what spends a quota.
        let request = match steps.last() {
            Some(last) if choices.next() % 2 == 1 => last.request.clone(),
            _ => request(&mut choices),
        };
        steps.push(Asked { wait, happenings: Vec::new(), request });
    }
    World { policy, keys, environment, steps }
}

fn key_with_condition(credential: &str, choices: &mut Choices<'_>) -> ModelKey {
    let line = format!(r#"{{"key":"{credential}","name":"{}"{}}}"#, &credential[..1], choices.of(&CONDITIONS));
    ModelKey::from_json_line(&line).expect("a credential and a condition are a key")
}

fn request(choices: &mut Choices<'_>) -> ModelRequest {
    let peer = choices.of(&PEERS).map(Into::into);
    let mut text = format!("{} {}", choices.of(&METHODS), choices.of(&TARGETS));
    for _ in 0..choices.next() % 5 {
        text.push('\n');
        text.push_str(choices.of::<&str>(&HEADERS));
    }
    ModelRequest::parse(&text, peer)
}

/// The fuzzer's bytes, one for each choice; the first of everything after the last of them.
struct Choices<'d>(&'d [u8]);

impl Choices<'_> {
    fn next(&mut self) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first)
    }

    fn of<'t, T>(&mut self, table: &'t [T]) -> &'t T {
        &table[self.next() % table.len()]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{cases::START, model::Model, suite};

    /// Tables that hardly ever reach a rule prove nothing about it.
    #[test]
    fn every_outcome_can_be_chosen() {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for number in 0..3_000_u32 {
            let noise = |index: u32| {
                ((number * 911 + index).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(40_503) >> 24) as u8
            };
            let world = world(&(0..160).map(noise).collect::<Vec<u8>>());
            let mut model = Model::new(world.policy, world.keys, world.environment);
            let mut now = START;
            for step in world.steps {
                now += step.wait;
                let answer = suite::decide(&mut model, &step.request, now);
                seen.insert(answer.kind().unwrap_or("passed"));
                seen.extend(answer.close.map(|_| "closed"));
            }
        }
        for kind in [
            "passed",
            "missing",
            "malformed",
            "duplicate",
            "conflict",
            "unknown",
            "expired",
            "not-yet-valid",
            "disabled",
            "revoked",
            "path",
            "route",
            "address",
            "kind",
            "scope",
            "origin",
            "limited",
            "failures-limited",
            "unavailable",
            "closed",
        ] {
            assert!(seen.contains(kind), "{kind}: {seen:?}");
        }
    }
}
