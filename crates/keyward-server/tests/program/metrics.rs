//! `/metrics`: who may read it, and what it says of a server that is at work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use keyward_behaviour::services::redis::Redis;

use crate::folder::Folder;
use crate::keys::Keys;
use crate::server::{Answer, Server};

/// Every sample by its name and labels, as they stand there; and that it is Prometheus's text format, version 0.0.4.
pub(crate) fn samples(answer: &Answer) -> BTreeMap<String, f64> {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(answer.body.ends_with('\n'));
    for line in answer.body.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge") && (kind == "counter") == name.ends_with("_total"), "{line}");
            assert_eq!(families.insert(name.to_owned(), kind.to_owned()), None, "{line} is there twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        assert!(families.contains_key(name) && name.starts_with("keyward_") && is_name(name), "{line}");
        for label in labels.strip_suffix('}').unwrap().split(',').filter(|label| !label.is_empty()) {
            let (label, text) = label.split_once("=\"").unwrap();
            let text = text.strip_suffix('"').unwrap();
            // Words of ours, and nothing that a request or a key brought along.
            let is_ours = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            assert!(is_name(label) && (is_ours || label == "version"), "{line}");
        }
        assert_eq!(samples.insert(sample.to_owned(), value.parse().unwrap()), None, "{line} is there twice");
    }
    samples
}

fn bearer(key: &serde_json::Value) -> String {
    format!("Authorization: Bearer {}", key["key"].as_str().unwrap())
}

fn decisions(samples: &BTreeMap<String, f64>, outcome: &str, reason: &str) -> f64 {
    samples[&format!("keyward_decisions_total{{outcome=\"{outcome}\",reason=\"{reason}\"}}")]
}

#[test]
fn what_the_server_does_is_counted_and_no_name_or_label_tells_about_whom() {
    let keys =
        Keys { folder: Folder::with("policy.toml", "[limits]\nper_key = [\"3/hour\"]"), database: "sqlite:keys.db".to_owned() };
    let (collector, other) =
        (keys.create("collector", &["--scope", "metrics:read"]), keys.create("nightly", &["--owner", "ada"]));
    let server =
        Server::start(&keys.folder, &["--database", &keys.database, "--policy", "policy.toml", "--audit", "audit.jsonl"]);
    let scrape = || samples(&server.get("/metrics", &[&bearer(&collector)]));
    let before = scrape();
    assert_eq!(before["keyward_start_time_seconds"].to_bits(), scrape()["keyward_start_time_seconds"].to_bits());
    assert_eq!(before["keyward_connections_limit"] as u64, 10_000);
    assert!(before["keyward_connections_open"] >= 1.0);
    assert!(before.contains_key(&format!("keyward_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), "{before:?}");

    for _ in 0..4 {
        server.get("/whoami", &[&bearer(&other)]);
    }
    for key in ["another-key-0123456789abcdef", "no-such-key-0123456789abcdef"] {
        assert_eq!(server.get("/whoami", &[&format!("X-API-Key: {key}"), "X-Request-ID: CANARY"]).status, 401);
    }
    server.get("/CANARY", &[]);
    server.send_body(
        "POST",
        "/api/v1/auth/login",
        &["Content-Type: application/x-www-form-urlencoded"],
        "email=canary%40example.com&password=CANARY",
    );
    let page = server.get("/metrics", &[&bearer(&collector)]);
    let after = samples(&page);
    let grown = |outcome: &str, reason: &str| decisions(&after, outcome, reason) - decisions(&before, outcome, reason);
    assert_eq!(
        [("deny", "limited"), ("deny", "unknown"), ("deny", "missing"), ("deny", "scope")].map(|(a, b)| grown(a, b) as u64),
        [1, 2, 1, 0]
    );
    // Three that were let in, and the scrapes.
    assert!(grown("allow", "valid") >= 4.0);
    let grown = |name: &str| (after[name] - before[name]) as u64;
    // Two bad keys, and a bad login (R3.1).
    assert_eq!(grown("keyward_failure_budget_charges_total"), 3);
    assert_eq!(grown("keyward_sign_ins_total{outcome=\"rejected\"}"), 1);
    // These two, and the bootstrap key, which was tried.
    assert_eq!(after["keyward_store_cached_records"] as u64, 3);
    assert!(grown("keyward_store_lookups_total{result=\"answered\"}") >= 2);
    assert!(!after.contains_key("keyward_redis_away"), "there is no Redis");
    let ids = [&collector, &other].map(|key| key["id"].as_str().unwrap());
    for hidden in [ids[0], ids[1], "127.0.0.1", "ada", "CANARY", "canary", "kw_", "nightly", "/whoami"] {
        assert!(!page.body.contains(hidden), "{hidden}: {}", page.body);
    }
    // The page is as long as it was, whatever was asked for.
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());

    // As many events as there are lines, but for the start.
    let deadline = Instant::now() + Duration::from_secs(20);
    let recorded = loop {
        let told = scrape()["keyward_audit_events_total{result=\"recorded\"}"] as usize;
        if told >= 10 {
            break told;
        }
        assert!(Instant::now() < deadline);
    };
    server.stop("TERM");
    assert!(std::fs::read_to_string(keys.folder.join("audit.jsonl")).unwrap().lines().count() > recorded);
}

/// R16: whatever the policy says, and however a key is sent elsewhere.
#[test]
fn no_policy_loosens_who_may_read_it() {
    let keys = Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() };
    keys.folder.write(
        "policy.toml",
        r#"
sources = [{ query = "api_key" }, { header = "X-Own-Key" }]
resolution = "first-valid"
[access]
open_paths = ["/metrics", "/metrics/*"]
[[routes]]
path = "/metrics"
optional = true
"#,
    );
    let collector = keys.create("collector", &["--scope", "metrics:read"]);
    let (wider, narrower) = (keys.create("wide", &["--scope", "metrics:*"]), keys.create("narrow", &["--scope", "metrics"]));
    let key = collector["key"].as_str().unwrap();
    let server = Server::start(&keys.folder, &["--database", &keys.database, "--policy", "policy.toml"]);
    let status = |target: &str, headers: &[&str]| server.get(target, headers).status;
    assert_eq!(status("/metrics", &[]), 401);
    assert_eq!(status(&format!("/metrics?api_key={key}"), &[]), 401);
    assert_eq!(status("/metrics", &[&format!("X-Own-Key: {key}")]), 401);
    assert_eq!(status("/metrics", &[&format!("Cookie: api_key={key}")]), 401);
    assert_eq!(status("/metrics", &["Authorization: Bearer kw_nonsense"]), 401);
    assert_eq!(status("/metrics", &[&bearer(&narrower)]), 403);
    assert_eq!(status("/metrics", &[&bearer(&collector), &format!("X-API-Key: {}", wider["key"].as_str().unwrap())]), 400);
    for good in [bearer(&collector), bearer(&wider), format!("X-API-Key: {key}")] {
        assert_eq!(status("/metrics", &[&good]), 200, "{good}");
    }
    let denied = server.get("/metrics", &[&bearer(&narrower)]);
    assert_eq!(
        denied.header("www-authenticate"),
        Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"metrics:read\"")
    );
    assert_eq!(server.send("POST", "/metrics", &[]).status, 401);
    let posted = server.send("POST", "/metrics", &[&bearer(&collector)]);
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    let head = server.send("HEAD", "/metrics", &[&bearer(&collector)]);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let id = collector["id"].as_str().unwrap();
    keys.succeed(&["revoke", id]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while status("/metrics", &[&bearer(&collector)]) != 401 {
        assert!(Instant::now() < deadline, "a revoked key reads on");
    }
}

/// R15: who is let in without keys is let in nowhere here.
#[test]
fn a_server_without_keys_shows_no_metrics() {
    let policy = "authenticators = [\"configured\"]\n[access]\ninsecure_allow_without_keys = true\n[[configured_keys]]\nenv = \"NO_SUCH_KEY\"";
    let folder = Folder::with("policy.toml", policy);
    let server = Server::start(&folder, &["--database", "memory:", "--policy", "policy.toml"]);
    assert_eq!((server.get("/nothing", &[]).status, server.get("/metrics", &[]).status), (404, 401));
}

#[test]
fn redis_that_goes_away_and_comes_back_is_told() {
    let redis = Redis::start().unwrap();
    let keys = Keys {
        folder: Folder::with("policy.toml", "[limits]\nper_key = [\"1000/hour\"]"),
        database: "sqlite:keys.db".to_owned(),
    };
    let (collector, other) = (keys.create("collector", &["--scope", "metrics:read"]), keys.create("other", &[]));
    let url = redis.url();
    let server = Server::start(&keys.folder, &["--database", &keys.database, "--policy", "policy.toml", "--redis", &url]);
    let scrape = || samples(&server.get("/metrics", &[&bearer(&collector)]));
    let ask = || server.get("/whoami", &[&bearer(&other)]).status;
    let number = |name: &str| scrape()[name] as u64;
    let answered = number("keyward_redis_takes_total{result=\"answered\"}");
    assert_eq!(ask(), 200);
    let told = scrape();
    assert_eq!(
        ["keyward_redis_away", "keyward_redis_switches_total", "keyward_redis_tickets_away"].map(|name| told[name] as u64),
        [0; 3]
    );
    assert_eq!(told["keyward_redis_takes_total{result=\"answered\"}"] as u64, answered + 1);
    redis.kill().unwrap();
    let begun = Instant::now();
    while number("keyward_redis_away") == 0 {
        assert_eq!(ask(), 200);
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    let away = number("keyward_redis_answered_away_total");
    assert_eq!((ask(), number("keyward_redis_answered_away_total")), (200, away + 1));
    assert_eq!(number("keyward_redis_switches_total"), 1);
    redis.start_again().unwrap();
    let begun = Instant::now();
    while number("keyward_redis_away") == 1 {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(number("keyward_redis_switches_total"), 2);
}
