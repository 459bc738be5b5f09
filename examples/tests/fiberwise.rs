//! The Fiberwise API as its document describes it: the real program, over real sockets and real databases.

mod support;

use keyward_behaviour::services::postgres::Postgres;
use serde_json::{Value, json};
use support::person::{FORM, JSON, PASSWORD, bearer, bootstrap, cookie, log_in, make_administrator, register, session};
use support::{Answer, Server, command};
use tempfile::TempDir;

const FIBERWISE: &str = env!("CARGO_BIN_EXE_fiberwise");
const KEYS: &str = "/api/v1/user/api-keys";
const AGENTS: &str = "/api/v1/agents";
const STATS: &str = "/api/v1/admin/stats";

const INVALID: &str = r#"{"detail":"Invalid API key"}"#;
const INSUFFICIENT: &str = r#"{"detail":"Insufficient permissions for this operation"}"#;
const REQUIRED: &str = r#"{"detail":"Authentication required"}"#;

/// The program over a database of its own, which is gone with it.
fn started() -> (Server, TempDir) {
    let folder = TempDir::new().unwrap();
    (in_folder(&folder), folder)
}

fn in_folder(folder: &TempDir) -> Server {
    let database = format!("sqlite:{}", folder.path().join("fiberwise.db").display());
    Server::start(FIBERWISE, &[("DATABASE_URL", &database)])
}

/// A person who signed up and in; the header line of their session.
fn person(server: &Server, email: &str) -> String {
    assert_eq!(register(server, email).status, 303);
    bearer(&session(server, email))
}

fn new_key(server: &Server, who: &str, scopes: &[&str]) -> Value {
    let made = server.ask("POST", KEYS, &[who, JSON], &json!({ "name": "My Integration Key", "scopes": scopes }).to_string());
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")), "{made:?}");
    made.json()
}

fn header_of(key: &Value) -> String {
    bearer(key["key"].as_str().unwrap())
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, &answer.body)
}

fn every_request_of_the_document(server: &Server) {
    let registered = register(server, "john@example.com");
    assert_eq!((registered.status, registered.header("location")), (303, Some("/dashboard/login")));
    let signed_in = log_in(server, "john@example.com", PASSWORD);
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/")));
    assert_eq!(server.get("/", &[]).status, 200, "there is the main page");
    let token = session(server, "john@example.com");
    let john = bearer(&token);

    let made = new_key(server, &john, &["read:all", "write:all"]);
    let key = made["key"].as_str().unwrap();
    assert_eq!((&made["id"], &made["name"], &made["expires_at"]), (&json!(1), &json!("My Integration Key"), &Value::Null));
    assert_eq!((&made["scopes"], made["key_prefix"].as_str()), (&json!(["read:all", "write:all"]), key.get(..11)));
    assert!(key.starts_with("fw_key_") && key.len() > 40, "{made}");
    assert!(made["created_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{made}");

    let listed = server.get(KEYS, &[&john]);
    let items = listed.json()["items"].clone();
    assert_eq!((listed.status, &items[0]["id"], &items[0]["name"]), (200, &json!(1), &made["name"]));
    assert!(!listed.body.contains(key), "a key is shown once");

    // As curl sends it, and as JavaScript and Python do.
    for headers in [&[john.as_str()][..], &[&header_of(&made)], &[&header_of(&made), JSON]] {
        assert_eq!(told(&server.get(AGENTS, headers)), (200, "[]"));
    }
    let agent = server.ask("POST", AGENTS, &[&header_of(&made), JSON], r#"{"name":"scout"}"#);
    assert_eq!((agent.status, &agent.json()["id"], &agent.json()["name"]), (201, &json!(1), &json!("scout")));
    assert_eq!(server.get(AGENTS, &[&john]).json()[0], agent.json());

    let revoked = server.ask("DELETE", &format!("{KEYS}/1"), &[&john], "");
    assert_eq!((revoked.status, &revoked.json()["id"]), (200, &json!(1)));
    assert_eq!(told(&server.get(AGENTS, &[&header_of(&made)])), (401, INVALID));
    assert_eq!(server.ask("DELETE", &format!("{KEYS}/2"), &[&john], "").status, 404);

    let out = server.ask("POST", "/api/v1/auth/logout", &[&cookie(&token), FORM, &origin(server)], "");
    assert_eq!((out.status, out.header("location")), (303, Some("/dashboard/login")));
    assert!(out.header("set-cookie").is_some_and(|line| line.contains("Max-Age=0")), "{out:?}");
    assert_eq!(told(&server.get(KEYS, &[&john])), (401, INVALID));
}

/// What a browser on a page of the service says.
fn origin(server: &Server) -> String {
    format!("Origin: http://localhost:{}", server.address.port())
}

#[test]
fn every_request_of_the_document_over_sqlite() {
    every_request_of_the_document(&started().0);
}

#[test]
fn every_request_of_the_document_over_postgresql() {
    let postgres = Postgres::start().unwrap();
    let database = postgres.create_database().unwrap();
    every_request_of_the_document(&Server::start(FIBERWISE, &[("DATABASE_URL", &database)]));
}

#[test]
fn errors_are_the_documents() {
    let (server, _folder) = started();
    let john = person(&server, "john@example.com");
    let reader = header_of(&new_key(&server, &john, &["read:all"]));
    for (method, target, headers, status, body) in [
        ("GET", AGENTS, &[][..], 401, REQUIRED),
        ("POST", AGENTS, &[], 401, REQUIRED),
        ("GET", KEYS, &[], 401, REQUIRED),
        ("POST", KEYS, &[], 401, REQUIRED),
        ("DELETE", "/api/v1/user/api-keys/1", &[], 401, REQUIRED),
        ("GET", STATS, &[], 401, REQUIRED),
        ("GET", "/nope", &[], 401, REQUIRED),
        ("GET", AGENTS, &["Authorization: Bearer fw_key_abc123"], 401, INVALID),
        ("GET", AGENTS, &["Authorization: Bearer kws_abc123"], 401, INVALID),
        ("GET", AGENTS, &["Authorization: Bearer "], 401, INVALID),
        ("GET", KEYS, &["Authorization: Bearer fw_key_abc123"], 401, INVALID),
        ("POST", AGENTS, &[&reader], 403, INSUFFICIENT),
        ("DELETE", AGENTS, &[&reader], 403, INSUFFICIENT),
        ("GET", STATS, &[&reader], 403, INSUFFICIENT),
        ("GET", STATS, &[&john], 403, INSUFFICIENT),
        ("GET", KEYS, &[&reader], 403, INSUFFICIENT),
        ("POST", KEYS, &[&reader], 403, INSUFFICIENT),
        ("GET", "/nope", &[&reader], 404, r#"{"detail":"Not Found"}"#),
        ("GET", "/api/v1/user/api-keys/9", &[&john], 404, r#"{"detail":"There is nothing here."}"#),
    ] {
        let answer = server.ask(method, target, headers, "");
        assert_eq!(told(&answer), (status, body), "{method} {target} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {target}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401 || answer.head.contains("insufficient_scope"));
    }
}

#[test]
fn a_scope_is_what_a_key_may_do_and_no_more() {
    let (server, _folder) = started();
    assert_eq!(make_administrator(&server, "root@example.com").status, 201);
    let root = bearer(&session(&server, "root@example.com"));
    let agent = r#"{"name":"scout"}"#;
    for (scopes, expected) in [
        (&[][..], [403, 403, 403]),
        (&["read:all"], [200, 403, 403]),
        (&["write:all"], [403, 201, 403]),
        (&["read:all", "write:all"], [200, 201, 403]),
        (&["app:access"], [403, 403, 403]),
        (&["admin"], [403, 403, 200]),
        (&["read:all", "write:all", "admin", "app:access"], [200, 201, 200]),
    ] {
        let key = header_of(&new_key(&server, &root, scopes));
        let statuses = [
            server.get(AGENTS, &[&key]).status,
            server.ask("POST", AGENTS, &[&key, JSON], agent).status,
            server.get(STATS, &[&key]).status,
        ];
        assert_eq!(statuses, expected, "{scopes:?}");
    }
    let stats = server.get(STATS, &[&root]);
    assert_eq!((stats.status, &stats.json()["agents"], &stats.json()["owners"]), (200, &json!(3), &json!(1)));
    // Nobody else gives what they have not, and a key with `admin` is no administrator.
    let john = person(&server, "john@example.com");
    for scopes in [json!(["admin"]), json!(["reports:read"]), json!(["*"]), json!(["read"]), json!("read:all"), json!([1])] {
        let refused = server.ask("POST", KEYS, &[&john, JSON], &json!({ "name": "k", "scopes": scopes }).to_string());
        assert!(refused.status == 400 && refused.json()["detail"].as_str().unwrap().contains("scopes"), "{scopes} {refused:?}");
    }
    let key = header_of(&new_key(&server, &root, &["admin"]));
    assert_eq!(told(&server.get(KEYS, &[&key])), (403, INSUFFICIENT));
    assert_eq!(server.get("/api/v1/accounts", &[&key]).status, 403);
}

#[test]
fn a_session_counts_as_cookie_and_as_bearer_and_for_pages_of_this_site_alone() {
    let (server, _folder) = started();
    register(&server, "john@example.com");
    let token = session(&server, "john@example.com");
    let (by_cookie, by_bearer, own) = (cookie(&token), bearer(&token), origin(&server));
    for who in [&by_cookie, &by_bearer] {
        assert_eq!((server.get(AGENTS, &[who]).status, server.get(KEYS, &[who]).status), (200, 200));
    }
    for (target, body) in [(AGENTS, r#"{"name":"scout"}"#), (KEYS, r#"{"name":"k"}"#)] {
        for foreign in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
            let refused = server.ask("POST", target, &[&by_cookie, JSON, foreign], body);
            assert_eq!(told(&refused), (403, INSUFFICIENT), "{target} {foreign}");
        }
        for headers in [&[by_cookie.as_str(), JSON, &own][..], &[&by_cookie, JSON], &[&by_bearer, JSON]] {
            assert_eq!(server.ask("POST", target, headers, body).status, 201, "{target} {headers:?}");
        }
    }
    // A form of any site could be sent like this.
    let form = server.ask("POST", KEYS, &[&by_cookie, FORM], "name=k");
    assert_eq!(form.status, 403, "{form:?}");
    assert_eq!(server.get(KEYS, &[&by_cookie]).json()["items"].as_array().unwrap().len(), 3);
}

#[test]
fn what_belongs_to_somebody_is_nobody_elses() {
    let (server, _folder) = started();
    let (john, jane) = (person(&server, "john@example.com"), person(&server, "jane@example.com"));
    let (johns, janes) = (new_key(&server, &john, &["read:all", "write:all"]), new_key(&server, &jane, &["read:all"]));
    assert_eq!((&johns["id"], &janes["id"]), (&json!(1), &json!(2)));
    assert_eq!(server.ask("POST", AGENTS, &[&header_of(&johns), JSON], r#"{"name":"scout"}"#).status, 201);
    assert_eq!(server.get(AGENTS, &[&john]).json().as_array().unwrap().len(), 1);
    for who in [&jane, &header_of(&janes)] {
        assert_eq!(told(&server.get(AGENTS, &[who])), (200, "[]"));
    }
    let one = format!("{KEYS}/1");
    for (method, target, body) in [
        ("GET", one.clone(), ""),
        ("PATCH", one.clone(), r#"{"name":"mine"}"#),
        ("POST", format!("{one}/rotate"), "{}"),
        ("DELETE", one, ""),
    ] {
        let answer = server.ask(method, &target, &[&jane, JSON], body);
        assert_eq!(told(&answer), (404, r#"{"detail":"There is nothing here."}"#), "{method}");
    }
    assert_eq!(server.get(AGENTS, &[&header_of(&johns)]).status, 200);
}

#[test]
fn numbers_of_keys_stay_through_rotation_and_restart() {
    let folder = TempDir::new().unwrap();
    let (first, second, third) = {
        let server = in_folder(&folder);
        let john = person(&server, "john@example.com");
        let (one, two) = (new_key(&server, &john, &["read:all"]), new_key(&server, &john, &["read:all"]));
        // The old secret ends at once, or with its grace.
        let rotated = server.ask("POST", &format!("{KEYS}/1/rotate"), &[&john, JSON], "{}");
        assert_eq!((rotated.status, &rotated.json()["id"]), (200, &json!(1)));
        assert_eq!(told(&server.get(AGENTS, &[&header_of(&one)])), (401, INVALID));
        let graceful = server.ask("POST", &format!("{KEYS}/2/rotate"), &[&john, JSON], r#"{"grace_seconds":3600}"#);
        for key in [&rotated.json(), &two, &graceful.json()] {
            assert_eq!(server.get(AGENTS, &[&header_of(key)]).status, 200);
        }
        assert_eq!(server.stop().0, Some(0));
        (rotated.json(), two, graceful.json())
    };
    let server = in_folder(&folder);
    let john = bearer(&session(&server, "john@example.com"));
    for key in [&first, &second, &third] {
        assert_eq!(server.get(AGENTS, &[&header_of(key)]).status, 200);
    }
    assert_eq!(new_key(&server, &john, &[])["id"], 3);
    let items = server.get(KEYS, &[&john]).json()["items"].clone();
    let ids: Vec<&Value> = items.as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(server.ask("DELETE", &format!("{KEYS}/2"), &[&john], "").status, 200);
    for (key, status) in [(&first, 200), (&second, 401), (&third, 401)] {
        assert_eq!(server.get(AGENTS, &[&header_of(key)]).status, status);
    }
    assert!(!server.output().contains("bootstrap key"), "it is made once for a database");
}

#[test]
fn an_administrator_is_made_with_the_first_key_and_not_by_coming_first() {
    let (server, _folder) = started();
    let first = person(&server, "first@example.com");
    assert_eq!(told(&server.get(STATS, &[&first])), (403, INSUFFICIENT));
    assert_eq!(server.get("/api/v1/user", &[&first]).json()["is_admin"], false);
    assert_eq!(make_administrator(&server, "late@example.com").status, 409, "there is an account already");
    assert_eq!(log_in(&server, "late@example.com", PASSWORD).status, 401);

    let (server, _folder) = started();
    let made = make_administrator(&server, "root@example.com");
    assert_eq!((made.status, &made.json()["is_admin"]), (201, &json!(true)));
    assert_eq!(make_administrator(&server, "second@example.com").status, 409);
    // The key looks after keys that nobody owns, and nothing else.
    let key = bootstrap(&server);
    assert_eq!((server.get(KEYS, &[&key]).status, server.get("/api/v1/accounts", &[&key]).status), (200, 403));
    assert_eq!(told(&server.get(AGENTS, &[&key])), (403, INSUFFICIENT));
}

#[test]
fn wrong_input_is_told_and_changes_nothing() {
    let (server, _folder) = started();
    let john = person(&server, "john@example.com");
    let long = format!(r#"{{"name":"{}"}}"#, "x".repeat(101));
    let large = format!(r#"{{"name":"x","description":"{}"}}"#, "x".repeat(20_000));
    for (target, kind, body, status) in [
        (AGENTS, JSON, "", 400),
        (AGENTS, JSON, "{", 400),
        (AGENTS, JSON, "[]", 400),
        (AGENTS, JSON, "{}", 400),
        (AGENTS, JSON, r#"{"name":1}"#, 400),
        (AGENTS, JSON, r#"{"name":" "}"#, 400),
        (AGENTS, JSON, r#"{"name":"x","owner":"somebody"}"#, 400),
        (AGENTS, JSON, &long, 400),
        (AGENTS, JSON, &large, 413),
        (AGENTS, FORM, "name=x", 415),
        (KEYS, JSON, "{}", 400),
        (KEYS, JSON, r#"{"name":""}"#, 400),
        (KEYS, JSON, r#"{"name":"x","owner":"somebody"}"#, 400),
        (KEYS, JSON, r#"{"name":"x","kind":"admin"}"#, 400),
        (KEYS, JSON, r#"{"name":"x","expires_at":"tomorrow"}"#, 400),
        (KEYS, JSON, r#"{"name":"x","expires_at":"2020-01-01T00:00:00Z"}"#, 400),
        (KEYS, FORM, "name=x", 415),
        ("/api/v1/auth/register", FORM, "email=x&password=a+dozen+mauve+geese&confirm_password=a+dozen+mauve+geese", 400),
        ("/api/v1/auth/register", FORM, "email=x@example.com&password=short&confirm_password=short", 400),
        ("/api/v1/auth/register", FORM, "email=x@example.com&password=a+dozen+mauve+geese&confirm_password=other", 400),
        ("/api/v1/auth/register", JSON, r#"{"email":"x@example.com"}"#, 415),
        ("/api/v1/auth/login", FORM, "email=john@example.com&password=wrong", 401),
        ("/api/v1/auth/login", FORM, "email=nobody@example.com&password=wrong", 401),
        ("/api/v1/auth/login", FORM, "", 401),
    ] {
        let answer = server.ask("POST", target, &[&john, kind], body);
        assert_eq!(answer.status, status, "{target} {body:.60} {answer:?}");
        assert!(answer.json()["detail"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    for id in ["0", "01", "1.0", "-1", "2147483648", "x", "1/x"] {
        assert_eq!(server.ask("DELETE", &format!("{KEYS}/{id}"), &[&john], "").status, 404, "{id}");
    }
    assert_eq!(server.get(AGENTS, &[&john]).body, "[]");
    assert_eq!(server.get(KEYS, &[&john]).json()["items"], json!([]));
    assert_eq!(log_in(&server, "x@example.com", PASSWORD).status, 401);
}

#[test]
fn keys_that_are_over_or_not_yet_begun_are_like_unknown_ones() {
    let (server, _folder) = started();
    let john = person(&server, "john@example.com");
    let key = new_key(&server, &john, &["read:all"]);
    let one = format!("{KEYS}/1");
    for (change, status) in [
        (json!({ "expires_at": "2020-01-01T00:00:00Z" }), 401),
        (json!({ "expires_at": "2200-01-01T00:00:00Z" }), 200),
        (json!({ "not_before": "2200-01-01T00:00:00Z" }), 401),
        (json!({ "not_before": null }), 200),
        (json!({ "disabled": true }), 401),
        (json!({ "disabled": false }), 200),
        (json!({ "allowed_ips": ["192.0.2.0/24"] }), 403),
        (json!({ "allowed_ips": ["127.0.0.0/8"] }), 200),
        (json!({ "scopes": [] }), 403),
    ] {
        assert_eq!(server.ask("PATCH", &one, &[&john, JSON], &change.to_string()).status, 200, "{change}");
        let answer = server.get(AGENTS, &[&header_of(&key)]);
        assert_eq!(answer.status, status, "{change}");
        if status == 401 {
            assert_eq!(answer.body, INVALID, "{change}");
        }
    }
}

#[test]
fn bad_keys_of_an_address_are_counted_once_for_all_of_the_service() {
    let (server, _folder) = started();
    let mut refused = 0;
    for turn in 0..200 {
        let target = if turn % 2 == 0 { AGENTS } else { KEYS };
        match server.get(target, &[&bearer(&format!("fw_key_wrong{turn}"))]).status {
            401 => {}
            429 => {
                refused += 1;
                // A minute's worth, and what a slow machine got back meanwhile.
                assert!(turn >= 60, "{turn}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused > 60, "only {refused} of 200 were refused");
    assert_eq!(told(&server.get(AGENTS, &[])), (401, REQUIRED), "to have none costs nothing");
}

#[test]
fn no_secret_is_in_the_log() {
    let (server, _folder) = started();
    let key = bootstrap(&server);
    let told = key.rsplit(' ').next().unwrap().to_owned();
    let token = {
        register(&server, "john@example.com");
        session(&server, "john@example.com")
    };
    let made = new_key(&server, &bearer(&token), &["read:all"]);
    server.get(AGENTS, &[&header_of(&made)]);
    server.get(AGENTS, &[&cookie(&token)]);
    log_in(&server, "john@example.com", "quite another mauve goose");
    let (status, output) = server.stop();
    assert_eq!(status, Some(0));
    assert_eq!(output.matches(&told).count(), 2, "once by itself, and once in a command");
    for secret in [made["key"].as_str().unwrap(), &token, "mauve"] {
        assert!(!output.contains(secret), "{output}");
    }
}

#[test]
fn a_wrong_variable_is_named_and_not_repeated() {
    for (variable, value) in
        [("DATABASE_URL", "mysql://me:CANARY@db/x"), ("DATABASE_URL", "CANARY"), ("PORT", "CANARY"), ("PUBLIC_URL", "CANARY")]
    {
        let folder = TempDir::new().unwrap();
        let mut program = command(FIBERWISE, &[(variable, value)]);
        let output = program.current_dir(folder.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{variable} {text}");
        assert!(text.contains(&format!("fiberwise: {variable}: ")) && !text.contains("CANARY"), "{text}");
    }
    let server = in_folder(&TempDir::new().unwrap());
    let folder = TempDir::new().unwrap();
    let port = server.address.port().to_string();
    let output = command(FIBERWISE, &[("PORT", &port)]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("PORT"), "{output:?}");
}
