//! The same program on four frameworks: whatever is asked, they answer alike.

mod support;

use std::process::Command;

use support::{Answer, Server, command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_secure-data");
const FRAMEWORKS: [&str; 4] = ["axum", "actix", "warp", "hyper"];
const KEY: &str = "mysecretapikey";

fn on(framework: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = command(PROGRAM, variables);
    command.args(["--framework", framework]);
    command
}

fn started() -> Vec<(&'static str, Server)> {
    FRAMEWORKS.map(|name| (name, Server::run(on(name, &[("SECURE_DATA_KEY", KEY)])))).into()
}

/// What a client can tell answers apart by: everything but the date, and how the connection is kept.
fn seen(answer: &Answer) -> (u16, Vec<String>, &str) {
    let lines = answer.head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let mut headers: Vec<String> = lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| name != "date" && name != "connection")
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    headers.sort_unstable();
    (answer.status, headers, &answer.body)
}

const DATA: &str = r#"{"data":"for those with a key"}"#;
const MISSING: &str = r#"{"detail":"Not authenticated"}"#;
const WRONG: &str = r#"{"detail":"Invalid API key"}"#;
const DUPLICATE: &str = r#"{"detail":"The request holds more than one API key: send one, once."}"#;
const PLAIN_PATHS: &str = r#"{"detail":"The request's path can be read in more than one way: send it in its plain spelling."}"#;
const NOT_ALLOWED: &str = r#"{"detail":"Method Not Allowed"}"#;

const BY_HEADER: &str = "/secure-data";
const BY_COOKIE: &str = "/secure-data/cookie";
const BY_QUERY: &str = "/secure-data/query";

/// Method, target, header lines; status and body.
const TABLE: &[(&str, &str, &[&str], u16, &str)] = &[
    // The right key, in its place.
    ("GET", BY_HEADER, &["X-API-Key: mysecretapikey"], 200, DATA),
    ("GET", BY_HEADER, &["x-api-KEY:  mysecretapikey "], 200, DATA),
    ("GET", BY_COOKIE, &["Cookie: X-API-KEY=mysecretapikey"], 200, DATA),
    ("GET", BY_COOKIE, &["Cookie: a=b; X-API-KEY=mysecretapikey; c=d"], 200, DATA),
    ("GET", "/secure-data/query?x-api-key=mysecretapikey", &[], 200, DATA),
    ("GET", "/secure-data/query?a=b&x-api-key=%6dysecretapikey", &[], 200, DATA),
    ("HEAD", BY_HEADER, &["X-API-Key: mysecretapikey"], 200, ""),
    // A wrong one.
    ("GET", BY_HEADER, &["X-API-Key: wrong"], 401, WRONG),
    ("GET", BY_HEADER, &["X-API-Key: MYSECRETAPIKEY"], 401, WRONG),
    ("GET", BY_HEADER, &["X-API-Key:"], 401, WRONG),
    ("GET", BY_COOKIE, &["Cookie: X-API-KEY=wrong"], 401, WRONG),
    ("GET", BY_COOKIE, &["Cookie: X-API-KEY="], 401, WRONG),
    ("GET", "/secure-data/query?x-api-key=wrong", &[], 401, WRONG),
    ("GET", "/secure-data/query?x-api-key=", &[], 401, WRONG),
    ("HEAD", BY_HEADER, &["X-API-Key: wrong"], 401, ""),
    // None.
    ("GET", BY_HEADER, &[], 401, MISSING),
    ("GET", BY_COOKIE, &[], 401, MISSING),
    ("GET", BY_QUERY, &[], 401, MISSING),
    ("GET", BY_HEADER, &["Authorization: Bearer mysecretapikey"], 401, MISSING),
    // The right one, in another route's place, or under another name.
    ("GET", BY_HEADER, &["Cookie: X-API-KEY=mysecretapikey"], 401, MISSING),
    ("GET", "/secure-data?x-api-key=mysecretapikey", &[], 401, MISSING),
    ("GET", BY_COOKIE, &["X-API-Key: mysecretapikey"], 401, MISSING),
    ("GET", "/secure-data/cookie?x-api-key=mysecretapikey", &[], 401, MISSING),
    ("GET", BY_QUERY, &["X-API-Key: mysecretapikey"], 401, MISSING),
    ("GET", BY_QUERY, &["Cookie: X-API-KEY=mysecretapikey"], 401, MISSING),
    ("GET", BY_COOKIE, &["Cookie: x-api-key=mysecretapikey"], 401, MISSING),
    ("GET", BY_COOKIE, &["Cookie: X-API-Key=mysecretapikey"], 401, MISSING),
    ("GET", "/secure-data/query?X-API-KEY=mysecretapikey", &[], 401, MISSING),
    ("GET", BY_HEADER, &["X_API_Key: mysecretapikey"], 401, MISSING),
    // What stands in another route's place is nobody's business.
    ("GET", "/secure-data?x-api-key=wrong", &["X-API-Key: mysecretapikey", "Cookie: X-API-KEY=wrong"], 200, DATA),
    // Two, though they be equal.
    ("GET", BY_HEADER, &["X-API-Key: mysecretapikey", "X-API-Key: mysecretapikey"], 400, DUPLICATE),
    ("GET", BY_COOKIE, &["Cookie: X-API-KEY=mysecretapikey; X-API-KEY=mysecretapikey"], 400, DUPLICATE),
    ("GET", "/secure-data/query?x-api-key=mysecretapikey&x-api-key=mysecretapikey", &[], 400, DUPLICATE),
    // Routers read such a path in their own ways, and none of them is asked without a key.
    ("GET", "/%73ecure-data", &[], 401, MISSING),
    ("GET", "/%73ecure-data", &["Cookie: X-API-KEY=mysecretapikey"], 401, MISSING),
    // Only reading is offered, and only who has a key learns it.
    ("POST", BY_HEADER, &["X-API-Key: mysecretapikey", "Content-Length: 0"], 405, NOT_ALLOWED),
    ("DELETE", BY_HEADER, &["X-API-Key: mysecretapikey"], 405, NOT_ALLOWED),
    ("POST", BY_HEADER, &["Content-Length: 0"], 401, MISSING),
    ("POST", BY_HEADER, &["X-API-Key: wrong", "Content-Length: 0"], 401, WRONG),
    // No key has a place on an unknown path.
    ("GET", "/other", &[], 401, MISSING),
    ("GET", "/other", &["X-API-Key: mysecretapikey"], 401, MISSING),
    ("GET", "/secure-data/other", &["X-API-Key: mysecretapikey"], 401, MISSING),
    ("GET", "/", &["X-API-Key: mysecretapikey"], 401, MISSING),
    ("GET", "/secure-data/../secure-data", &["X-API-Key: mysecretapikey"], 400, PLAIN_PATHS),
    ("GET", "//secure-data", &["X-API-Key: mysecretapikey"], 400, PLAIN_PATHS),
];

#[test]
fn all_four_answer_alike() {
    let servers = started();
    for (method, target, lines, status, body) in TABLE {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let answers = servers.iter().map(|(name, server)| {
            let request =
                format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: r\r\n{lines}Connection: close\r\n\r\n");
            (*name, server.send(&request))
        });
        let answers: Vec<_> = answers.collect();
        for (name, answer) in &answers {
            assert_eq!((answer.status, answer.body.as_str()), (*status, *body), "{name}: {method} {target} {lines}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{name}: {answer:?}");
            assert_eq!(answer.header("x-request-id"), Some("r"), "{name}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), (*status == 401).then_some("APIKey"), "{name}: {answer:?}");
            assert_eq!(answer.header("allow"), (*status == 405).then_some("GET,HEAD"), "{name}: {answer:?}");
        }
        let (first, rest) = answers.split_first().unwrap();
        for other in rest {
            assert_eq!(seen(&first.1), seen(&other.1), "{} and {}: {method} {target} {lines}", first.0, other.0);
        }
    }
    for (name, server) in servers {
        let (_, output) = server.stop();
        assert!(!output.contains(KEY), "{name} tells the key:\n{output}");
        assert!(output.contains("api_key_rejected"), "{name}:\n{output}");
    }
}

#[test]
fn who_tries_many_keys_is_stopped_on_all_four() {
    for (name, server) in started() {
        for _ in 0..30 {
            assert_eq!(server.get(BY_HEADER, &["X-API-Key: wrong"]).status, 401, "{name}");
        }
        let stopped = server.get(BY_HEADER, &["X-API-Key: wrong"]);
        assert_eq!(stopped.status, 429, "{name}: the peer's address is known");
        assert!(stopped.header("retry-after").is_some(), "{stopped:?}");
        assert_eq!(server.get(BY_HEADER, &[&format!("X-API-Key: {KEY}")]).status, 200, "{name}");
    }
}

#[test]
fn without_a_key_none_of_them_starts() {
    for name in FRAMEWORKS {
        for variables in [&[][..], &[("SECURE_DATA_KEY", "")], &[("SECURE_DATA_KEY", " ")]] {
            let output = on(name, variables).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(told.contains("secure-data: configured_keys: nobody could be let in: SECURE_DATA_KEY is not set"), "{told}");
            assert!(output.stdout.is_empty(), "it never listened");
        }
    }
}

#[test]
fn a_framework_has_to_be_named() {
    for arguments in [&[][..], &["--framework", "rocket"]] {
        let output = command(PROGRAM, &[("SECURE_DATA_KEY", KEY)]).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("--framework"), "{told}");
    }
}
