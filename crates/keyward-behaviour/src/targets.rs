//! R1.2 through the real router of a framework: spellings on which routers and rules disagree.
//!
//! Middleware sees `/%61pi/reports/1`, and one router takes it to the handler of `/api/reports/{id}` while another does not.
//! Whatever a framework does, no handler may be reached by a request that its rule refuses.

use std::{collections::BTreeMap, io};

use keyward::{Guard, Policy};

use crate::{
    harness::StartRouter,
    model::{Model, key::ModelKey, policy::ModelPolicy, request::ModelRequest},
    service::{listener, store},
    wire::{self, Protocol},
};

/// What the routes are behind. They are, in whatever way the framework's router writes and nests them, for every method that
/// it can give to one handler: `/api/reports` answers `reports`, `/api/reports/{id}` answers `report`, `/healthz` answers
/// `healthz`, everything below `/docs/` answers `docs`; nothing else is a route, but for `/nested/reports`, which answers `nested`
/// from a nested router that has the guard to itself, where the framework has such.
const POLICY: &str = "
sources = [{ header = 'X-API-Key' }]
[access]
open_paths = ['/healthz', '/docs/*']
[[routes]]
path = '/api/reports'
methods = ['GET']
scopes = ['reports:list']
[[routes]]
path = '/api/reports/*'
methods = ['GET']
scopes = ['reports:read']
[[routes]]
path = '/api/*'
scopes = ['api']
[[routes]]
path = '/nested/reports'
methods = ['GET']
scopes = ['reports:list']
";

/// Who asks: nobody, somebody who may do nothing, and those who may see one of the handlers.
const KEYS: [(&str, &str); 4] = [("", ""), ("nothing", ""), ("lister", "reports:list"), ("reader", "reports:read")];

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "OPTIONS"];

const TARGETS: [&str; 77] = [
    "/API/reports/1",
    "/api/../api/reports/1",
    "/api/reports/%",
    "/api/reports/%2e%2e/reports/1",
    "/api/reports/%zz",
    "/api/reports/..%2f1",
    "/api/reports/1?x",
    "/docs/%2e%2e/api/reports/1",
    "/docs/..;/api/reports/1",
    "/api%3b/reports",
    "/api/reports%3f",
    "/nested/reports",
    "/nested/reports/",
    "/nested/%72eports",
    "/nested//reports",
    "/api/reports",
    "/api/reports/",
    "/api/reports/1",
    "/api/reports/1/",
    "/api/reports/1/2",
    "/api",
    "/api/",
    "/API/reports",
    "/api/Reports/1",
    "/%61pi/reports/1",
    "/a%70i/reports",
    "/api/%72eports/1",
    "/api/%72eports",
    "/api/reports/%31",
    "/api/report%73/1",
    "/api/%2572eports/1",
    "/api//reports/1",
    "//api/reports/1",
    "//api/reports",
    "/api/reports//1",
    "/api/reports//",
    "/./api/reports/1",
    "/api/./reports/1",
    "/api/reports/.",
    "/api/x/../reports/1",
    "/api/x/%2e%2e/reports/1",
    "/api/x/.%2e/reports",
    "/x/../api/reports",
    "/api/reports/..",
    "/api/reports/../reports/1",
    "/api%2freports/1",
    "/api%2Freports",
    "/api/reports%2f1",
    "/api/reports%5c1",
    "/api\\reports\\1",
    "/api/reports\\1",
    "/api/reports/1%00",
    "/api/reports%00",
    "/api/reports;x=1",
    "/api/reports;/1",
    "/api;/reports/1",
    "/api/reports/1;x",
    "/api/reports/1?",
    "/api/reports?x=/healthz",
    "/healthz?/api/reports/1",
    "/healthz",
    "/healthz/",
    "/%68ealthz",
    "/healthz/../api/reports/1",
    "/healthz%2f..%2fapi%2freports",
    "/docs/a",
    "/docs/",
    "/docs",
    "/docs/../api/reports/1",
    "/docs/..%2fapi/reports",
    "/docs/%2e%2e/api/reports",
    "/docs/./../api/reports/1",
    "/docs//a",
    "http://api.test/api/reports/1",
    "http://healthz/api/reports",
    "http://api.test",
    "/nowhere",
];

/// How many targets there are; each is asked with every method and every key.
pub fn count() -> usize {
    TARGETS.len()
}

/// Asks for every target, with every method, by everybody.
///
/// # Errors
/// Every handler that was reached past its rule, and every denial that is not the model's.
pub async fn run(start: StartRouter, http2: bool) -> Result<(), String> {
    let lines: Vec<String> = KEYS
        .iter()
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, scope)| {
            let scopes: Vec<&str> = scope.split_whitespace().collect();
            serde_json::json!({ "key": key, "scopes": scopes }).to_string()
        })
        .collect();
    let told = |problem: &dyn std::fmt::Display| problem.to_string();
    let policy = Policy::from_toml("policy.toml", POLICY).map_err(|error| told(&error))?;
    let guard = Guard::builder(policy).store(store("keys", &lines.join("\n")).await?).build().map_err(|error| told(&error))?;
    let running = start(guard, listener()?).map_err(|error| told(&error))?;
    let model_policy = ModelPolicy::from_toml(POLICY).map_err(|error| told(&error))?;
    let keys = lines.iter().map(|line| ModelKey::from_json_line(line)).collect::<Result<_, _>>()?;
    let mut model = Model::new(model_policy, keys, BTreeMap::new());
    let mut found = Vec::new();
    let protocols = if http2 { &[Protocol::Http1, Protocol::Http2][..] } else { &[Protocol::Http1] };
    for target in TARGETS {
        for method in METHODS {
            for (key, scope) in KEYS {
                let key = if key.is_empty() { String::new() } else { format!("\nX-API-Key: {key}") };
                let request = ModelRequest::parse(&format!("{method} {target}{key}"), Some([127, 0, 0, 1].into()));
                let expected = model.decide(&request, crate::cases::START).status;
                for protocol in protocols {
                    if *protocol == Protocol::Http2 && !wire::can_be_said_in_http2(&request) {
                        continue;
                    }
                    let problem = match wire::send(running.address(), &request, *protocol).await {
                        Ok(answer) => problem(expected, scope, answer.status, &String::from_utf8_lossy(&answer.body)),
                        // A parser that does not even answer has let nothing through.
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                        Err(error) => Some(error.to_string()),
                    };
                    found.extend(problem.map(|problem| format!("{protocol:?} {request:?}{problem}")));
                }
            }
        }
    }
    if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
}

/// What is wrong with an answer, where the model expects this status of the guard.
fn problem(expected: u16, scope: &str, status: u16, handler: &str) -> Option<String> {
    let scope_of_handler = match handler {
        "reports" | "nested" => "reports:list",
        "report" => "reports:read",
        _ => scope,
    };
    match expected {
        _ if scope_of_handler != scope => Some(format!("reached the handler `{handler}` past its rule")),
        200 if matches!(status, 200 | 400 | 404 | 405) => None,
        // A parser's own refusal.
        _ if status == 400 || status == expected => None,
        _ => Some(format!("expected {expected}, got {status} {handler}")),
    }
}
