//! The short programs of the documentation do what it says, and are what it shows.

mod support;

use axum::{Router, body::Body, routing::get};
use keyward::{Guard, Keys, MemoryStore, NewKey, Policy};
use tower::ServiceExt;

use support::websocket::{Socket, closed_at_once};
use support::{Server, command};

#[test]
fn the_pages_about_frameworks_begin_with_their_quick_starts() {
    for (page, program) in [
        (include_str!("../../docs/accounts.md"), include_str!("../src/bin/quickstart-accounts.rs")),
        (include_str!("../../docs/actix.md"), include_str!("../src/bin/quickstart-actix.rs")),
        (include_str!("../../docs/axum.md"), include_str!("../src/bin/quickstart-axum.rs")),
        (include_str!("../../docs/warp.md"), include_str!("../src/bin/quickstart-warp.rs")),
        (include_str!("../../docs/websockets.md"), include_str!("../src/bin/quickstart-websocket.rs")),
    ] {
        let (_, program) = program.split_once("\n\n").unwrap();
        let (_, shown) = page.split_once("```rust,no_run\n").unwrap();
        assert!(shown.starts_with(&format!("{program}```")), "the page shows another program than:\n{program}");
    }
}

#[test]
fn the_quick_start_for_actix_prints_a_command_that_works() {
    prints_a_command_that_works(env!("CARGO_BIN_EXE_quickstart-actix"));
}

#[test]
fn the_quick_start_for_axum_prints_a_command_that_works() {
    prints_a_command_that_works(env!("CARGO_BIN_EXE_quickstart-axum"));
}

#[test]
fn the_quick_start_for_warp_prints_a_command_that_works() {
    prints_a_command_that_works(env!("CARGO_BIN_EXE_quickstart-warp"));
}

#[test]
fn the_quick_start_for_websockets_opens_one_for_a_ticket() {
    let server = Server::start(env!("CARGO_BIN_EXE_quickstart-websocket"), &[]);
    assert!(server.get("/", &[]).body.contains("new WebSocket("));
    let output = server.output();
    let key = output.trim_end().rsplit(' ').next().unwrap();
    let exchange = |key: &str| {
        server.send(&format!("POST /auth/token HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"))
    };
    assert_eq!(exchange("another").status, 401);
    let answer: serde_json::Value = serde_json::from_str(&exchange(key).body).unwrap();
    let target = format!("/ws?token={}", answer["token"].as_str().unwrap());
    assert_eq!(Socket::open(server.address, &target, &[]).unwrap().text(), "hello, me");
    // Once.
    assert_eq!(closed_at_once(server.address, &target, &[]), (1008, "The API key is not valid.".to_owned()));
}

#[test]
fn the_quick_start_for_accounts_leads_from_signing_up_to_a_key() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut program = command(env!("CARGO_BIN_EXE_quickstart-accounts"), &[]);
    program.current_dir(folder.path());
    let server = Server::run(program);
    let origin = format!("http://{}", server.address);
    assert_eq!(server.says("open "), format!("open {origin}/dashboard/register"));
    assert!(server.get("/dashboard/register", &[]).body.contains("<form"));
    let form = "email=ada%40example.com&password=a+dozen+mauve+geese&confirm_password=a+dozen+mauve+geese";
    let send = |path: &str, headers: &[&str], body: &str| server.ask("POST", path, headers, body);
    let form_type = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(send("/api/v1/auth/register", &[form_type], form).status, 303);
    let signed_in = send("/api/v1/auth/login", &[form_type], form);
    let cookie = signed_in.header("set-cookie").and_then(|line| line.split(';').next()).unwrap();
    let cookie = format!("Cookie: {cookie}");
    assert_eq!(server.get("/reports", &[&cookie]).body, "hello, ada@example.com\n");
    let own = ["Content-Type: application/json", &cookie, &format!("Origin: {origin}")];
    let made = send("/api/v1/user/api-keys", &own, r#"{"name":"ci"}"#);
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    let key = format!("Authorization: Bearer {}", made["key"].as_str().unwrap());
    assert_eq!(server.get("/reports", &[&key]).body, "hello, ci\n");
    assert_eq!(server.get("/reports", &[]).status, 401);
}

fn prints_a_command_that_works(program: &str) {
    let server = Server::start(program, &[]);
    assert_eq!(server.get("/reports", &[]).status, 401);
    assert_eq!(server.get("/reports", &["Authorization: Bearer kw_wrong"]).status, 401);
    let (address, output) = (server.address, server.output());
    let command = output.lines().find(|line| line.starts_with("curl ")).unwrap();
    let header = command.split('\'').nth(1).unwrap();
    let answer = server.get("/reports", &[header]);
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello, me\n"));
    assert_eq!(command, format!("curl -H '{header}' http://{address}/reports"));
}

#[test]
fn the_core_alone_guards_a_synchronous_server() {
    let server = Server::start(env!("CARGO_BIN_EXE_core-only"), &[("API_KEY", "a-key-of-your-own")]);
    assert_eq!(server.get("/healthz", &[]).body, "ok\n");
    for (target, headers, status, body) in [
        ("/whoami", &["X-API-Key: a-key-of-your-own"][..], 200, "API_KEY (configured), query: none\n"),
        ("/whoami?a=1", &["authorization: bearer a-key-of-your-own"], 200, "API_KEY (configured), query: a=1\n"),
        ("/whoami?a=1&api_key=a-key-of-your-own&b", &[], 200, "API_KEY (configured), query: a=1&b\n"),
        ("http://x/whoami?api_key=a-key-of-your-own", &[], 200, "API_KEY (configured), query: none\n"),
        ("/other", &["X-API-Key: a-key-of-your-own"], 404, "not found\n"),
    ] {
        let answer = server.get(target, headers);
        assert_eq!((answer.status, answer.body.as_str()), (status, body), "{target} {headers:?}");
        assert!(answer.header("x-request-id").is_some() && answer.header("cache-control").is_some(), "{answer:?}");
    }
    for (target, headers, status) in [
        ("/whoami", &[][..], 401),
        ("/whoami", &["X-API-Key: another"], 401),
        ("/whoami", &["X-API-Key: a-key-of-your-own", "X-API-Key: a-key-of-your-own"], 400),
        ("/whoami", &["X-API-Key: a-key-of-your-own", "Authorization: Bearer another"], 400),
        ("/healthz/../whoami", &["X-API-Key: a-key-of-your-own"], 400),
        ("whoami", &["X-API-Key: a-key-of-your-own"], 400),
    ] {
        let answer = server.get(target, headers);
        assert_eq!(answer.status, status, "{target} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    }
    assert_eq!(server.send("nonsense\r\n\r\n").status, 400);
    for (target, get) in [("/healthz", server.get("/healthz", &[])), ("/whoami", server.get("/whoami", &["X-Request-ID: same"]))]
    {
        let head = server.send(&format!("HEAD {target} HTTP/1.1\r\nX-Request-ID: same\r\n\r\n"));
        assert_eq!((head.status, head.body.as_str()), (get.status, ""));
        assert_eq!(head.header("content-length"), Some(get.body.len().to_string().as_str()), "{head:?}");
    }
    for _ in 0..25 {
        server.get("/whoami", &["X-API-Key: another"]);
    }
    assert_eq!(server.get("/whoami", &["X-API-Key: another"]).status, 429);
    assert_eq!(server.get("/whoami", &["X-API-Key: a-key-of-your-own"]).status, 200);
    let (_, output) = server.stop();
    assert!(output.contains("api_key_rejected") && !output.contains("a-key-of-your-own"), "{output}");
}

#[test]
fn without_a_key_the_core_does_not_start() {
    let output = command(env!("CARGO_BIN_EXE_core-only"), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // As it is meant to be read, and no dump of a type.
    assert!(text.contains("core-only: configured_keys") && !text.contains("ConfigError"), "{text}");
}

#[tokio::test]
async fn guards_of_two_policies_inside_each_other_are_as_the_page_about_axum_says() {
    for (strips, status) in [(true, 401), (false, 200)] {
        let store = MemoryStore::new();
        let key = Keys::new(store.clone()).create(NewKey::named("me")).await.unwrap();
        let guard = |strips| {
            let policy = Policy::builder().strip_credentials(strips).build().unwrap();
            Guard::builder(policy).store(store.clone()).build().unwrap()
        };
        let routes = Router::new().route("/", get(|| async { "in" })).layer(keyward_axum::guard(guard(true)));
        let app = keyward_axum::guarded(routes, guard(strips));
        let request = http::Request::get("/").header("X-API-Key", key.secret().expose()).body(Body::empty()).unwrap();
        assert_eq!(app.oneshot(request).await.unwrap().status(), status, "strip_credentials = {strips}");
    }
}
