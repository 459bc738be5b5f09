//! `/auth` and `/auth?nginx`.

use serde_json::Value;

use crate::folder::Folder;
use crate::server::{Answer, Server};

const KEYS: &str = concat!(
    r#"{"key":"alpha-0123456789","name":"nightly export","scopes":["reports:read","reports:list"]}"#,
    "\n",
    r#"{"key":"once-0123456789","limit":"1/hour"}"#,
    "\n",
    r#"{"key":"local-0123456789","allowed_ips":["198.51.100.7"]}"#,
);
const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { query = "api_key" }]
[access]
open_paths = ["/docs/*"]
[network]
trusted_proxies = ["127.0.0.1/32"]
client_address_header = "X-Forwarded-For"
deny = ["203.0.113.0/24"]
[[routes]]
path = "/reports/*"
methods = ["GET"]
scopes = ["reports:read"]
[[routes]]
path = "/admin"
scopes = ["admin"]
"#;
const ALPHA: &str = "X-API-Key: alpha-0123456789";
const GET: &str = "X-Forwarded-Method: GET";
const WHERE: &str = "X-Forwarded-Uri: /reports/7?x=y";
const ORIGINAL_GET: &str = "X-Original-Method: GET";
const ORIGINAL_WHERE: &str = "X-Original-URL: http://example.com/reports/7?x=y";

fn start(policy: &str) -> (Folder, Server) {
    let folder = Folder::with("keys.jsonl", KEYS);
    folder.write("p.toml", policy);
    let server = Server::start(&folder, &["--keys", "keys.jsonl", "--policy", "p.toml"]);
    (folder, server)
}

fn identity(answer: &Answer) -> [Option<&str>; 3] {
    ["x-keyward-principal", "x-keyward-key-id", "x-keyward-scopes"].map(|name| answer.header(name))
}

#[test]
fn the_described_request_is_decided_and_told_once() {
    let (_folder, server) = start(POLICY);
    for method in ["GET", "POST", "HEAD", "PROPFIND"] {
        let answer =
            server.send(method, "/auth", &[GET, WHERE, "X-Forwarded-Proto: https", "X-Forwarded-Host: example.com", ALPHA]);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{method}");
        let [Some(principal), Some(key), Some(scopes)] = identity(&answer) else { panic!("{answer:?}") };
        assert_eq!((principal, key.len(), scopes), (key, 32, "reports:read reports:list"));
        assert!(answer.header("x-request-id").is_some());
    }
    let answer = server.get("/auth?nginx", &[ORIGINAL_GET, ORIGINAL_WHERE, ALPHA]);
    assert_eq!((answer.status, answer.header("x-keyward-status")), (200, Some("200")));

    let (_, errors) = server.stop("TERM");
    let events: Vec<Value> = errors.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(events.len(), 5, "{errors}");
    assert!(events.iter().all(|event| event["path"] == "/reports/7" && event["method"] == "GET"), "{errors}");
}

#[test]
fn every_denial_is_the_one_of_the_described_request() {
    let (_folder, server) = start(POLICY);
    for (method, target, headers, status, for_nginx, challenge) in [
        ("GET", "/reports/7", &[][..], 401, 401, Some("Bearer realm=\"api\"")),
        ("GET", "/reports/7", &["Authorization: Bearer b"], 401, 401, Some("Bearer realm=\"api\", error=\"invalid_token\"")),
        (
            "GET",
            "/reports/7",
            &[ALPHA, "Authorization: Bearer b"],
            400,
            403,
            Some("Bearer realm=\"api\", error=\"invalid_request\""),
        ),
        ("POST", "/reports/7", &[ALPHA], 403, 403, None),
        ("GET", "/admin", &[ALPHA], 403, 403, Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"admin\"")),
        ("GET", "/reports/../admin", &[ALPHA], 400, 403, None),
        ("GET", "/x", &[ALPHA, "X-Forwarded-For: 203.0.113.9"], 403, 403, None),
        ("GET", "/x", &["X-API-Key: local-0123456789"], 403, 403, None),
        ("GET", "/x", &["X-API-Key: local-0123456789", "X-Forwarded-For: 198.51.100.7"], 200, 200, None),
        ("GET", "/x?api_key=alpha-0123456789", &[], 200, 200, None),
    ] {
        let described = [format!("X-Forwarded-Method: {method}"), format!("X-Forwarded-Uri: {target}")];
        let lines: Vec<&str> = described.iter().map(String::as_str).chain(headers.iter().copied()).collect();
        let answer = server.get("/auth", &lines);
        assert_eq!((answer.status, answer.header("www-authenticate")), (status, challenge), "{lines:?}");
        assert_eq!(answer.header("x-keyward-status"), None);
        assert_eq!(answer.header("x-keyward-principal").is_some(), status == 200);

        let described = [format!("X-Original-Method: {method}"), format!("X-Original-URL: {target}")];
        let lines: Vec<&str> = described.iter().map(String::as_str).chain(headers.iter().copied()).collect();
        let answer = server.get("/auth?nginx", &lines);
        assert_eq!((answer.status, answer.header("www-authenticate")), (for_nginx, challenge), "{lines:?}");
        assert_eq!(answer.header("x-keyward-status"), Some(status.to_string().as_str()), "{lines:?}");
    }
}

#[test]
fn nginx_is_told_limits_and_faults_as_403() {
    let (_folder, server) = start(POLICY);
    let once = "X-API-Key: once-0123456789";
    assert_eq!(server.get("/auth", &[GET, WHERE.replace("reports", "other").as_str(), once]).status, 200);
    let limited = server.get("/auth", &[GET, "X-Forwarded-Uri: /other", once]);
    assert_eq!(limited.status, 429);
    let for_nginx = server.get("/auth?nginx", &[ORIGINAL_GET, "X-Original-URL: /other", once]);
    assert_eq!((for_nginx.status, for_nginx.header("x-keyward-status")), (403, Some("429")));
    assert!(limited.header("retry-after").is_some() && for_nginx.header("retry-after").is_some());

    let folder = Folder::with("keys.jsonl", KEYS);
    folder.write("p.toml", format!("{POLICY}\n[audit]\nmode = \"required\"\n"));
    let server = Server::start_unheard(&folder, &["--keys", "keys.jsonl", "--policy", "p.toml"]);
    assert_eq!(server.get("/auth", &[GET, WHERE, ALPHA]).status, 503);
    let for_nginx = server.get("/auth?nginx", &[ORIGINAL_GET, ORIGINAL_WHERE, ALPHA]);
    assert_eq!((for_nginx.status, for_nginx.header("x-keyward-status")), (403, Some("503")));
}

#[test]
fn whoever_is_let_in_as_nobody_has_empty_ids() {
    let (_folder, server) = start(POLICY);
    let preflight = ["X-Forwarded-Method: OPTIONS", WHERE, "Origin: https://a.example", "Access-Control-Request-Method: GET"];
    for headers in [&[GET, "X-Forwarded-Uri: /docs/a"][..], &preflight] {
        // What the client says of itself is not what the proxy passes on.
        let answer = server.get("/auth", &[headers, &["X-Keyward-Principal: admin"]].concat());
        assert_eq!((answer.status, identity(&answer)), (200, [Some(""); 3]));
    }
}

#[test]
fn a_description_that_is_missing_repeated_or_unreadable_is_400() {
    let (_folder, server) = start(POLICY);
    for headers in [
        &[][..],
        &[GET],
        &[WHERE],
        &[GET, GET, WHERE],
        &[GET, WHERE, WHERE],
        &[GET, WHERE, "X-Forwarded-Uri: /docs/a"],
        &["X-Forwarded-Method: GET, POST", WHERE],
        &["X-Forwarded-Method:", WHERE],
        &[GET, "X-Forwarded-Uri:"],
        &[GET, "X-Forwarded-Uri: docs/a"],
        &[GET, "X-Forwarded-Uri: *"],
        &[GET, "X-Forwarded-Uri: /docs/a#/../../reports/7"],
        &[GET, "X-Forwarded-Uri: http://a?/docs/a"],
        &[GET, "X-Forwarded-Uri: http://example.com"],
        &[GET, "X-Forwarded-Uri: /docs/ä"],
        // The other family does not stand in for it.
        &[ORIGINAL_GET, ORIGINAL_WHERE],
        &[GET, ORIGINAL_WHERE],
    ] {
        let answer = server.get("/auth", &[headers, &[ALPHA]].concat());
        assert_eq!((answer.status, answer.header("content-type")), (400, Some("application/problem+json")), "{headers:?}");
        assert_eq!(answer.json()["status"], 400);
        assert_eq!(answer.header("x-keyward-principal"), None);

        let swap = |line: &&str| {
            line.replace("X-Forwarded-Uri", "X-Swap")
                .replace("X-Original-URL", "X-Forwarded-Uri")
                .replace("X-Swap", "X-Original-URL")
        };
        let swap_method = |line: String| {
            line.replace("X-Forwarded-Method", "X-Swap")
                .replace("X-Original-Method", "X-Forwarded-Method")
                .replace("X-Swap", "X-Original-Method")
        };
        let lines: Vec<String> = headers.iter().map(swap).map(swap_method).chain([ALPHA.to_owned()]).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let answer = server.get("/auth?nginx", &lines);
        assert_eq!((answer.status, answer.header("x-keyward-status")), (403, Some("400")), "{lines:?}");
    }
}

#[test]
fn the_other_family_is_ignored() {
    let (_folder, server) = start(POLICY);
    // A client that adds the other family's headers is decided by the proxy's own.
    let open = ["X-Original-Method: GET", "X-Original-URL: /docs/a", "X-Original-URL: /docs/b"];
    assert_eq!(server.get("/auth", &[&open[..], &[GET, WHERE]].concat()).status, 401);
    let open = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /docs/a"];
    assert_eq!(server.get("/auth?nginx", &[&open[..], &[ORIGINAL_GET, ORIGINAL_WHERE]].concat()).status, 401);
}

#[test]
fn only_trusted_proxies_are_answered() {
    for policy in ["", "[network]\ntrusted_proxies = [\"10.0.0.0/8\"]\n", "[access]\nopen_paths = [\"/auth\", \"/docs\"]\n"] {
        let (_folder, server) = start(policy);
        let answer = server.get("/auth", &[GET, WHERE, ALPHA]);
        assert_eq!((answer.status, answer.header("content-type")), (403, Some("application/problem+json")));
        assert!(answer.json()["detail"].as_str().unwrap().contains("127.0.0.1 is not in the policy's `network.trusted_proxies`"));
        let answer = server.get("/auth?nginx", &[ORIGINAL_GET, ORIGINAL_WHERE, ALPHA, "X-Forwarded-For: 127.0.0.1"]);
        assert_eq!((answer.status, answer.header("x-keyward-status")), (403, Some("403")));
        assert_eq!(identity(&answer), [None; 3]);
    }
}

/// R1.1: what the server answers by itself carries an id like a denial, and so does its line in the log.
#[test]
fn own_answers_carry_the_request_id() {
    let (_folder, trusting) = start(POLICY);
    let (_other, wary) = start("[response]\nrequest_id_header = \"X-Correlation-ID\"\n");
    for (server, header, status) in [(&trusting, "X-Request-ID", 400), (&wary, "X-Correlation-ID", 403)] {
        for target in ["/auth", "/auth?nginx"] {
            let answer = server.get(target, &[&format!("{header}: told-{status}"), "X-API-Key: CANARY-0123456789"]);
            let own = format!("told-{status}");
            assert_eq!(answer.header(&header.to_ascii_lowercase()), Some(&*own), "{target}");
            assert_eq!((answer.json()["status"].as_u64(), answer.json()["request_id"].as_str()), (Some(status), Some(&*own)));
            // Harmful or doubled, it is another one.
            for lines in [vec![format!("{header}: a b")], vec![format!("{header}: a"), format!("{header}: b")]] {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                let answer = server.get(target, &lines);
                assert_eq!(answer.header(&header.to_ascii_lowercase()).map(str::len), Some(36), "{lines:?}");
            }
        }
    }
    for (server, status, says) in [
        (trusting, 400, "a proxy's description of a request is refused: X-Forwarded-Method is missing."),
        (wary, 403, "forward-auth was asked by a peer that is not in `network.trusted_proxies`"),
    ] {
        let (_, errors) = server.stop("TERM");
        let id = format!("told-{status}");
        let line = |line: &&str| line.contains("WARN") && line.contains(says) && line.contains(&id) && line.contains("127.0.0.1");
        assert!(errors.lines().any(|text| line(&text)), "{errors}");
        assert!(!errors.contains("CANARY"));
    }
}

#[test]
fn a_handshake_is_refused_and_not_closed() {
    let (_folder, server) = start(&format!("{POLICY}\n[websocket]\non_denial = \"close\"\n"));
    let handshake = ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="];
    assert_eq!(server.get("/auth", &[&[GET, "X-Forwarded-Uri: /socket"][..], &handshake].concat()).status, 401);
}
