//! `keyward explain`.

use serde_json::Value;

use crate::folder::Folder;
use crate::{Ran, keyward, run, run_command};

const KEYS: &str = concat!(
    r#"{"key":"CANARY-alpha-0123456789","name":"nightly export","kind":"service","owner":"ada","scopes":["reports:read"]}"#,
    "\n",
    r#"{"key":"CANARY-gamma-0123456789","expires_at":"2030-01-01T00:00:00Z"}"#,
    "\n\n",
    r#"{"key":"CANARY-local-0123456789","allowed_ips":["10.0.0.0/8"],"limit":"1/hour"}"#,
    "\n",
    r#"{"key":"CANARY-bound-0123456789","resource_pattern":"/jobs/*"}"#,
);
const POLICY: &str = "[[routes]]\npath = \"/reports/*\"\nscopes = [\"reports:read\"]\n";

fn folder() -> Folder {
    let folder = Folder::with("keys.jsonl", KEYS);
    folder.write("p.toml", POLICY);
    folder
}

fn explain(more: &[&str], request: &str) -> Ran {
    let ran = run(&folder(), &[&["explain", "--keys", "keys.jsonl", "--policy", "p.toml"], more].concat(), request);
    assert!(!ran.out.contains("CANARY") && !ran.err.contains("CANARY"), "a key was told: {ran:?}");
    ran
}

fn explain_json(more: &[&str], request: &str) -> (i32, Value) {
    let ran = explain(&[&["--json"], more].concat(), request);
    (ran.status, serde_json::from_str(&ran.out).unwrap())
}

#[test]
fn an_allowed_request() {
    let request = "GET /reports/7?x=CANARY HTTP/1.1\nHost: a\nAuthorization: Bearer CANARY-alpha-0123456789\n\n";
    let (status, told) = explain_json(&["--peer", "203.0.113.9"], request);
    assert_eq!(status, 0);
    assert_eq!((&told["decision"], &told["status"], &told["denial"]), (&"allow".into(), &200.into(), &Value::Null));
    assert_eq!(told["client_ip"], "203.0.113.9");
    assert_eq!(told["principal"]["name"], "nightly export");
    assert_eq!(told["principal"]["scopes"], serde_json::json!(["reports:read"]));
    assert_eq!(told["candidates"][0]["source"], "bearer");
    assert_eq!(told["candidates"][0]["outcome"], "valid");
    assert!(told["steps"].as_array().unwrap().iter().all(|step| step["step"].is_string() && step["outcome"].is_string()));
    assert_eq!(told["response"]["status"], 200);

    let ran = explain(&[], request);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("allow\nGET /reports/7 from 127.0.0.1\n"), "{}", ran.out);
    assert!(ran.out.contains("\n  name      nightly export\n  kind      service\n  owner     ada\n"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "colours are for terminals");
}

#[test]
fn denied_requests() {
    for (head, status, denial) in [
        ("GET / HTTP/1.1", 401, "missing"),
        ("GET / HTTP/1.1\nX-API-Key: CANARY-other-0123456789", 401, "unknown"),
        ("GET / HTTP/1.1\r\nX-API-Key: CANARY-alpha-0123456789\r\nX-API-Key: b", 400, "duplicate"),
        ("GET / HTTP/1.1\nX-API-Key: CANARY-alpha-0123456789\nAuthorization: Bearer b", 400, "conflict"),
        ("GET / HTTP/1.1\nX-API-Key: CANARY-local-0123456789", 403, "address"),
        ("GET /reports/7 HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789", 403, "scope"),
        ("GET /reports/../x HTTP/1.1\nX-API-Key: CANARY-alpha-0123456789", 400, "path"),
    ] {
        let (exit, told) = explain_json(&["--now", "2029-12-31T23:59:59Z"], head);
        assert_eq!(exit, 1, "{head}");
        assert_eq!(
            (&told["decision"], &told["status"], &told["denial"]),
            (&"deny".into(), &status.into(), &denial.into()),
            "{head}"
        );
        assert_eq!(told["response"]["status"], status);
        assert_eq!(told["response"]["body"]["status"], status);
    }
    let ran = explain(&[], "GET / HTTP/1.1\n\n");
    assert!(
        ran.out.starts_with("deny: missing\nGET / from 127.0.0.1\nno place that the policy names holds a key; ")
            && ran.out.contains("\nanswer: 401 Unauthorized\n"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("www-authenticate  Bearer realm=\"api\""), "{}", ran.out);
}

#[test]
fn time_and_peer_are_the_ones_that_were_named() {
    let request = "GET / HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789\n\n";
    assert_eq!(explain_json(&["--now", "2029-12-31T23:59:59Z"], request).0, 0);
    let (status, told) = explain_json(&["--now", "2030-01-01T00:00:00Z"], request);
    assert_eq!((status, &told["denial"]), (1, &"expired".into()));
    assert_eq!(explain_json(&["--peer", "10.9.8.7"], "GET / HTTP/1.1\nX-API-Key: CANARY-local-0123456789\n\n").0, 0);
}

#[test]
fn configured_keys_come_from_the_environment() {
    let folder = Folder::with("p.toml", "[[configured_keys]]\nenv = \"TEST_KEYS\"\nseparator = \",\"\n");
    let mut command = keyward();
    command.current_dir(&*folder).args(["explain", "--policy", "p.toml", "--json"]).env("TEST_KEYS", "first-key,second-key");
    let ran = run_command(&mut command, "GET / HTTP/1.1\nX-API-Key: second-key\n\n");
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, &told["principal"]["authenticator"]), (0, &"configured".into()));
}

#[test]
fn what_is_no_request_is_2() {
    for text in ["", "CANARY", "GET /\n\n", "GET / HTTP/1.1\nCANARY\n\n", "GET / HTTP/2\n\n", "GET /a CANARY HTTP/1.1\n\n"] {
        let ran = explain(&[], text);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{text}");
        assert!(ran.err.starts_with("no HTTP request: "), "{}", ran.err);
    }
}

#[test]
fn a_request_cannot_write_to_the_terminal() {
    let ran = explain(&[], "GET /%1b[31m HTTP/1.1\nX-Request-ID: \u{9b}31m\n\n");
    assert!(!ran.out.contains(['\u{1b}', '\u{9b}']), "{:?}", ran.out);
}

#[test]
fn a_denial_is_told_with_its_reason() {
    let policy = concat!(
        "[network]\ndeny = [\"192.0.2.1\"]\n",
        "[[routes]]\npath = \"/reports/*\"\nmethods = [\"GET\"]\nscopes = [\"reports:read\"]\n",
        "[[routes]]\npath = \"/admin\"\nkinds = [\"admin\"]\n",
        "[[routes]]\npath = \"/any\"\nany_scope = [\"a:b\", \"c:d\"]\n",
    );
    let folder = folder();
    folder.write("why.toml", policy);
    for (head, peer, reason) in [
        ("GET / HTTP/1.1", "127.0.0.1", "it looks in Authorization: Bearer, the header x-api-key\n"),
        ("GET / HTTP/1.1\nX-API-Key: a\nX-API-Key: b", "127.0.0.1", "the header x-api-key is there more than once"),
        ("GET / HTTP/1.1\nX-API-Key: other", "127.0.0.1", "no authenticator knows the key in the header x-api-key: store asked"),
        (
            "GET / HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789",
            "192.0.2.1",
            "the policy's `network.allow` does not hold 192.0.2.1",
        ),
        ("GET / HTTP/1.1\nX-API-Key: CANARY-local-0123456789", "127.0.0.1", "its own `allowed_ips` do not hold 127.0.0.1"),
        ("GET /admin HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789", "127.0.0.1", "not among the `kinds` of the route"),
        (
            "GET /reports/1 HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789",
            "127.0.0.1",
            "all that the route demands: reports:read\n",
        ),
        ("GET /any HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789", "127.0.0.1", "none of the scopes in the route's `any_scope`"),
        ("POST /reports/1 HTTP/1.1", "127.0.0.1", "whose path is /reports/1 does not list POST"),
        (
            "GET /any HTTP/1.1\nX-API-Key: CANARY-bound-0123456789",
            "127.0.0.1",
            "the key is valid, but /any is not under its own `resource_pattern`",
        ),
        ("GET /reports//1 HTTP/1.1", "127.0.0.1", "can be read in more than one way"),
        ("CONNECT a:1 HTTP/1.1", "127.0.0.1", "CONNECT has no path"),
    ] {
        let arguments =
            ["explain", "--keys", "keys.jsonl", "--policy", "why.toml", "--peer", peer, "--now", "2029-01-01T00:00:00Z"];
        let ran = run(&folder, &arguments, head);
        let (beginning, _) = ran.out.split_once("\n\n").unwrap();
        assert!(ran.status == 1 && format!("{beginning}\n").contains(reason), "{head}: {}", ran.out);
        assert!(!ran.out.contains("CANARY"), "{}", ran.out);
    }
    let ran = run(
        &folder,
        &["explain", "--keys", "keys.jsonl", "--now", "2031-01-01T00:00:00Z"],
        "GET / HTTP/1.1\nX-API-Key: CANARY-gamma-0123456789",
    );
    assert!(ran.out.contains("is known, and its `expires_at`"), "{}", ran.out);
}

#[test]
fn who_cannot_be_told_from_a_proxy_is_told_so() {
    let folder = folder();
    let trust = "[network]\ntrusted_proxies = [\"192.0.2.1\"]\nclient_address_header = \"X-Forwarded-For\"\n";
    let flagged = "the way to the client could not be read beyond 192.0.2.1, and who is flagged for that fails every allow-list and every deny-list that is not empty";
    for (networks, head, told_as) in [
        ("allow = [\"192.0.2.0/24\"]", "GET / HTTP/1.1\nX-Forwarded-For: a", flagged),
        ("deny = [\"203.0.113.9\"]", "GET / HTTP/1.1\nX-Forwarded-For: a", flagged),
        ("", "GET / HTTP/1.1\nX-Forwarded-For: a\nX-API-Key: CANARY-local-0123456789", flagged),
        (
            "allow = [\"192.0.2.0/24\"]",
            "GET / HTTP/1.1\nX-Forwarded-For: 10.0.0.1",
            "the policy's `network.allow` does not hold 10.0.0.1",
        ),
    ] {
        folder.write("p.toml", format!("{trust}{networks}\n"));
        let arguments = ["explain", "--keys", "keys.jsonl", "--policy", "p.toml", "--peer", "192.0.2.1"];
        let ran = run(&folder, &arguments, head);
        assert!(
            ran.status == 1 && ran.out.lines().nth(2).is_some_and(|line| line.starts_with(told_as)),
            "{networks}: {}",
            ran.out
        );
        let ran = run(&folder, &[&arguments[..], &["--json"]].concat(), head);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&document["denial"], document["client_is_flagged"].as_bool()), (&"address".into(), Some(told_as == flagged)));
    }
}
