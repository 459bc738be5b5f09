//! The generator of llms.txt files as its document describes it: the real program, over real sockets, with tokens that other
//! languages' libraries read and make.

mod support;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use keyward_behaviour::services::Installed;
use serde_json::{Value, json};
use support::websocket::{Ended, Socket, closed_at_once};
use support::{Answer, Server, command};

const LLMSTXT: &str = env!("CARGO_BIN_EXE_llmstxt");
const KEY: &str = "D/C3ZDTFuT+bRp9AhhKExH1iMObvENfX+zCuyhSpgPs=";
const ANOTHER_KEY: &str = "nYw1Q8zv0KcT4uXhJ6rGm3sBfE7dPaLo2iUq9ZtVxRk=";
const UNAUTHORIZED: &str = r#"{"detail":"Unauthorized"}"#;

/// The libraries of other languages that `tests/interop` pins.
fn interop() -> Installed<'static> {
    Installed::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop").as_ref(), env!("CARGO_TARGET_TMPDIR").as_ref())
}

fn start() -> Server {
    with_key(KEY)
}

fn with_key(key: &str) -> Server {
    Server::start(LLMSTXT, &[("API_KEY", key)])
}

fn post(server: &Server, target: &str, headers: &[&str]) -> Answer {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    server.send(&format!("POST {target} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n"))
}

fn token(server: &Server, key: &str) -> String {
    let answer = post(server, "/auth/token", &[&format!("X-API-Key: {key}")]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    body["token"].as_str().unwrap().to_owned()
}

/// A value as it stands in a query.
fn escaped(value: &[u8]) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02x}");
        text
    })
}

fn by_token(token: &str) -> String {
    format!("/ws/crawl?token={}", escaped(token.as_bytes()))
}

fn by_key(key: &str) -> String {
    format!("/ws/crawl?api_key={}", escaped(key.as_bytes()))
}

/// That a socket opens, and answers.
fn assert_opens(server: &Server, target: &str, why: &str) {
    let mut socket = Socket::open(server.address, target, &[]).unwrap();
    socket.send("no order");
    let Ended { texts, close } = socket.until_closed();
    assert!(matches!(&texts[..], [text] if text.starts_with(r#"{"type":"error""#)), "{why}: {texts:?} {close:?}");
    assert_eq!(close, Some((1000, String::new())), "{why}");
}

fn assert_denied(server: &Server, target: &str, why: &str) {
    assert_eq!(closed_at_once(server.address, target, &[]), (1008, "Unauthorized".to_owned()), "{why}");
}

#[test]
fn every_request_of_the_document() {
    let server = start();
    let key = format!("X-API-Key: {KEY}");
    let health = server.get("/health", &[]);
    assert_eq!((health.status, health.body.as_str()), (200, r#"{"status":"ok"}"#));
    assert_eq!(health.header("content-type"), Some("application/json"));

    let answer = post(&server, "/auth/token", &[&key]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let token = body["token"].as_str().unwrap();
    assert_eq!(body, json!({ "token": token, "expires_in": 300 }));
    assert_eq!(token.split('.').count(), 3);

    let by_query = format!("/auth/token?api_key={}", escaped(KEY.as_bytes()));
    for (target, headers) in [
        ("/auth/token", &[][..]),
        ("/auth/token", &["X-API-Key: wrong"]),
        ("/auth/token", &["X-API-Key:"]),
        ("/auth/token", &[&format!("X-API-Key: {}", &KEY[1..])]),
        // Keys in URLs are for sockets, and a token is no key.
        (&by_query, &[]),
        ("/auth/token", &[&format!("X-API-Key: {token}")]),
        (&format!("/auth/token?token={token}"), &[]),
    ] {
        let answer = post(&server, target, headers);
        assert_eq!((answer.status, answer.body.as_str()), (401, UNAUTHORIZED), "{target} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn a_token_or_the_key_opens_the_socket() {
    let server = start();
    let token = token(&server, KEY);
    assert_opens(&server, &by_token(&token), "a token");
    assert_opens(&server, &format!("/ws/crawl?token={token}"), "nothing of it has to be escaped");
    assert_opens(&server, &by_token(&token), "it is good for five minutes, as often as one likes");
    assert_opens(&server, &by_key(KEY), "the key");
    let socket = Socket::open(server.address, "/ws/crawl", &[&format!("X-API-Key: {KEY}")]).unwrap();
    assert_eq!(socket.answer.status(), 101);
}

#[test]
fn everything_else_is_closed_by_1008() {
    let server = start();
    let token = token(&server, KEY);
    for (target, why) in [
        ("/ws/crawl".to_owned(), "nothing"),
        ("/ws/crawl?token=".to_owned(), "an empty token"),
        ("/ws/crawl?api_key=".to_owned(), "an empty key"),
        (by_key("wrong"), "a wrong key"),
        (by_key(ANOTHER_KEY), "a wrong key of the right form"),
        (by_key(&token), "a token is no key"),
        (by_token(KEY), "a key is no token"),
        (by_token("wrong"), "no token"),
        (by_token("a.b.c"), "three parts of nothing"),
        (by_token(".."), "three parts that are empty"),
        (by_token(&token.to_uppercase()), "another token"),
        (by_token(&format!("{token}=")), "padded"),
        (by_token(&format!("{token}.{token}")), "twice"),
        (by_token(&format!("Bearer {token}")), "with a scheme"),
        (by_token(&format!(" {token}")), "with a blank"),
        (by_token(&".".repeat(1000)), "dots"),
        (format!("/ws/crawl?TOKEN={token}"), "in capitals"),
        (format!("/nowhere?token={}x", escaped(token.as_bytes())), "elsewhere"),
    ] {
        assert_denied(&server, &target, why);
    }
    let two = "The request holds more than one API key: send one, once.";
    for target in [
        format!("{}&token={token}", by_token(&token)),
        format!("{}&api_key={}", by_token(&token), escaped(KEY.as_bytes())),
        format!("{}&token=wrong", by_key(KEY)),
    ] {
        assert_eq!(closed_at_once(server.address, &target, &[]), (1008, two.to_owned()), "{target}");
    }
}

/// Every flipped bit of a token makes a bad one, wherever it stands.
#[test]
fn no_bit_of_a_token_can_be_changed() {
    let server = start();
    let token = token(&server, KEY);
    for place in 0..token.len() {
        for bit in 0..8 {
            let mut flipped = token.clone().into_bytes();
            flipped[place] ^= 1 << bit;
            assert_denied(&server, &format!("/ws/crawl?token={}", escaped(&flipped)), &format!("bit {bit} of byte {place}"));
        }
    }
    assert_opens(&server, &by_token(&token), "as it was");
}

#[test]
fn changing_the_key_ends_its_tokens() {
    let (before, after) = (start(), with_key(ANOTHER_KEY));
    let token = token(&before, KEY);
    assert_denied(&after, &by_token(&token), "a token of the old key");
    // The key alone signs them: a server that has it knows tokens of others.
    assert_opens(&start(), &by_token(&token), "a token of another server with this key");
}

/// A library of another language reads our token, and makes some of its own.
fn exchange_tokens_with(library: impl FnOnce(&str) -> String, fewest: usize) {
    let server = start();
    let token = token(&server, KEY);
    let answer = library(&json!({ "key": KEY, "token": token }).to_string());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["header"], json!({ "alg": "HS256", "typ": "JWT" }));
    let seconds = |name: &str| answer["claims"][name].as_u64().unwrap();
    assert_eq!(answer["claims"], json!({ "exp": seconds("exp"), "iat": seconds("iat"), "type": "websocket" }));
    assert_eq!(seconds("exp") - seconds("iat"), 300);

    let tokens = |name: &str| answer[name].as_object().unwrap().clone();
    let (good, bad) = (tokens("good"), tokens("bad"));
    assert!(good.len() >= 3 && bad.len() >= fewest, "{answer}");
    for (name, token) in &good {
        assert_opens(&server, &by_token(token.as_str().unwrap()), name);
    }
    for (name, token) in &bad {
        assert_denied(&server, &by_token(token.as_str().unwrap()), name);
    }
}

#[test]
fn tokens_are_exchanged_with_pyjwt() {
    exchange_tokens_with(|job| interop().python("pyjwt.py", job), 20);
}

#[test]
fn tokens_are_exchanged_with_jose() {
    exchange_tokens_with(|job| interop().node("jose.mjs", job), 10);
}

#[test]
fn so_many_crawls_go_on_at_once_and_no_more() {
    let server = start();
    let token = token(&server, KEY);
    let order = format!(r#"{{"url":"http://{}/demo/"}}"#, server.address);
    let begin = || {
        let mut socket = Socket::open(server.address, &by_token(&token), &[]).unwrap();
        socket.send(&order);
        let first = socket.text();
        (socket, first)
    };
    // They do not read on, so that they do not end.
    let going_on: Vec<Socket> = (0..8).map(|_| begin().0).collect();
    let (ninth, told) = begin();
    assert!(told.contains("too many crawls"), "{told}");
    assert_eq!(ninth.until_closed().close, Some((1013, "try again later".to_owned())));
    drop(going_on);
    let until = Instant::now() + Duration::from_secs(20);
    while begin().1.contains("too many crawls") {
        assert!(Instant::now() < until, "the places of those that have gone");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_demo_pages_are_crawled_and_told_as_an_llms_txt() {
    let server = start();
    let site = format!("http://{}/demo/", server.address);
    let mut socket = Socket::open(server.address, &by_token(&token(&server, KEY)), &[]).unwrap();
    socket.send(&json!({ "url": site, "maxPages": 50, "descLength": 500, "enableAutoUpdate": false }).to_string());
    let Ended { texts, close } = socket.until_closed();
    assert_eq!(close, Some((1000, String::new())));
    let told: Vec<Value> = texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let of = |kind: &str| -> Vec<&str> {
        told.iter().filter(|told| told["type"] == kind).map(|told| told["content"].as_str().unwrap()).collect()
    };
    let pages = ["", "install.html", "guides/first-table.html", "reference.html", "guides/", "guides/harbours.html"];
    assert_eq!(of("url"), pages.map(|page| format!("{site}{page}")));
    let logs = of("log");
    for left_out in [
        "https://example.com/tidewater",
        "http://169.254.169.254/latest/meta-data/",
        "../health",
        "javascript:history.back()",
        "//localhost:9/demo/",
    ] {
        assert!(logs.iter().any(|log| log.contains(&format!("the link {left_out:?} is not followed"))), "{left_out}: {logs:?}");
    }
    assert!(logs.contains(&&*format!("{site}status.html is left out: it is a redirect, and those are not followed")), "{logs:?}");
    assert!(logs.contains(&&*format!("{site}guides/winter.html is left out: the answer is 404")), "{logs:?}");
    assert_eq!(told.last().unwrap()["type"], "result");
    assert_eq!(
        of("result"),
        [format!(
            "# Tidewater\n\
             \n\
             > Tide tables for small harbours, computed where you are.\n\
             \n\
             ## Pages\n\
             \n\
             - [Tidewater]({site}): Tide tables for small harbours, computed where you are.\n\
             - [Installing Tidewater]({site}install.html): What it needs, and how it gets onto a machine.\n\
             - [Your first table]({site}guides/first-table.html): From nothing to the tides of this week in five minutes.\n\
             - [Commands & options]({site}reference.html): Every command of Tidewater: table, harbour & moon.\n\
             - [Guides]({site}guides/)\n\
             - [Harbours of your own]({site}guides/harbours.html): Where no table is published: three measurements are enough for a start.\n"
        )]
    );
}

#[test]
fn a_client_bounds_pages_and_descriptions() {
    let server = start();
    let site = format!("http://{}/demo/install.html", server.address);
    let mut socket = Socket::open(server.address, &by_key(KEY), &[]).unwrap();
    socket.send(&json!({ "url": site, "maxPages": 1, "descLength": 13 }).to_string());
    let texts = socket.until_closed().texts;
    let last: Value = serde_json::from_str(texts.last().unwrap()).unwrap();
    let text =
        format!("# Installing Tidewater\n\n> What it needs…\n\n## Pages\n\n- [Installing Tidewater]({site}): What it needs…\n");
    assert_eq!(last, json!({ "type": "result", "content": text }));
}

/// More of them, and each fetch counted, are among the program's own tests.
#[test]
fn nothing_but_the_demo_pages_is_fetched() {
    let server = start();
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let (own, other) = (server.address.port(), trap.local_addr().unwrap().port());
    for url in [
        format!("http://127.0.0.1:{other}/demo/"),
        format!("http://localhost:{other}/demo/"),
        format!("http://127.0.0.1:{own}@127.0.0.1:{other}/demo/"),
        format!("http://user@127.0.0.1:{own}/demo/"),
        format!("http://127%2e0%2e0%2e1:{own}/demo/"),
        format!("http://127.0.0.1.evil:{own}/demo/"),
        format!("http://localhost:{own}/demo/"),
        format!("http://[::1]:{own}/demo/"),
        format!("http://[::ffff:127.0.0.1]:{own}/demo/"),
        format!("https://127.0.0.1:{own}/demo/"),
        format!("http://127.0.0.1:{own}/health"),
        format!("http://127.0.0.1:{own}/demo/%2e%2e/health"),
        format!("http://127.0.0.1:{own}/ws/crawl?api_key={KEY}"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        let mut socket = Socket::open(server.address, &by_key(KEY), &[]).unwrap();
        socket.send(&json!({ "url": url }).to_string());
        let texts = socket.until_closed().texts;
        assert!(matches!(&texts[..], [text] if text.starts_with(r#"{"type":"error""#)), "{url}: {texts:?}");
    }
    assert!(trap.accept().is_err());
}

#[test]
fn what_is_no_order_is_told() {
    let server = start();
    for order in ["", "{", "[]", "{}", r#"{"url":7}"#, r#"{"url":"x","maxPages":-1}"#] {
        let mut socket = Socket::open(server.address, &by_key(KEY), &[]).unwrap();
        socket.send(order);
        assert!(socket.text().contains("the first message says what to crawl"), "{order}");
        assert_eq!(socket.until_closed(), Ended { texts: vec![], close: Some((1000, String::new())) });
    }
}

#[test]
fn only_the_demo_pages_and_the_health_check_are_open() {
    let server = start();
    for target in ["/demo/", "/demo/index.html", "/demo/install.html", "/demo/guides/", "/demo/guides/first-table.html"] {
        let answer = server.get(target, &[]);
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")), "{target}");
    }
    assert_eq!(server.get("/demo/nowhere", &[]).status, 404);
    let key = format!("X-API-Key: {KEY}");
    for target in ["/", "/docs", "/ws/crawl", "/auth/token", "/healthz", "/demonstration"] {
        let answer = server.get(target, &[]);
        assert_eq!((answer.status, answer.body.as_str()), (401, UNAUTHORIZED), "{target}");
    }
    for (target, status) in [("/", 404), ("/ws/crawl", 400), ("/auth/token", 405), ("/docs", 404)] {
        let answer = server.get(target, &[&key]);
        assert_eq!(answer.status, status, "{target}");
        assert!(answer.body.starts_with(r#"{"detail":""#), "{target}: {}", answer.body);
    }
}

#[test]
fn no_output_ever_holds_a_key_or_a_token() {
    let server = start();
    let token = token(&server, KEY);
    assert_opens(&server, &by_token(&token), "a token");
    assert_opens(&server, &by_key(KEY), "the key");
    assert_denied(&server, &by_token(&format!("{token}c4nary")), "a bad token");
    assert_denied(&server, &by_key("c4nary"), "a bad key");
    server.get(&format!("/nowhere?token={token}&api_key=c4nary"), &[]);
    let (status, output) = server.stop();
    assert_eq!(status, Some(0), "{output}");
    assert!(output.contains("/ws/crawl"), "each decision is told:\n{output}");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [KEY, signature, "c4nary", &escaped(KEY.as_bytes()), &escaped(signature.as_bytes())] {
        assert!(!output.contains(secret), "{output}");
    }
}

/// The exit status of a program that does not start, and what it said. One that starts is ended.
fn ended(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut child = command(LLMSTXT, variables).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    // It has ended already, if it is right.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_key_that_must_not_sign_anything_is_named_and_nothing_starts() {
    for key in [
        None,
        Some(""),
        Some("  "),
        Some("short-c4nary"),
        // 31 bytes, and 32.
        Some("D/C3ZDTFuT+bRp9AhhKExH1iMObvENf"),
        Some("c4narycccccccccccccccccccccccccc"),
        // It stands in a manual.
        Some("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
        Some("changemechangemechangemechangeme"),
        Some("01234567890123456789012345678901"),
        Some("c4nary with blanks, and 32 bytes of it"),
    ] {
        let variables: Vec<_> = key.map(|key| ("API_KEY", key)).into_iter().collect();
        let (status, text) = ended(&variables);
        assert_eq!(status, Some(2), "{key:?}: {text}");
        assert!(text.contains("API_KEY") && !text.contains("listening"), "{key:?}: {text}");
        assert!(!text.contains("c4nary") && !text.contains("09d25e09"), "{text}");
    }
    // 32 bytes are enough.
    assert_eq!(with_key("D/C3ZDTFuT+bRp9AhhKExH1iMObvENfX").get("/health", &[]).status, 200);
}

#[test]
fn a_wrong_or_taken_port_is_named() {
    for port in ["99999", "http", ""] {
        let (status, text) = ended(&[("API_KEY", KEY), ("PORT", port)]);
        assert_eq!(status, Some(2), "{text}");
        assert!(text.contains("PORT"), "{text}");
    }
    let server = start();
    let port = server.address.port().to_string();
    let (status, text) = ended(&[("API_KEY", KEY), ("PORT", &port)]);
    assert_eq!(status, Some(3), "{text}");
    assert!(text.contains(&server.address.to_string()), "{text}");
}
