//! Questions about a workspace's code as the document describes them: the real program, over real sockets and a real folder.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use support::person::{FORM, JSON, PASSWORD, bearer, bootstrap, cookie, log_in, make_administrator, register, session};
use support::{Answer, Server, command};
use tempfile::TempDir;

const CODESPIDER: &str = env!("CARGO_BIN_EXE_codespider");
const ASK: &str = "/api/ask";
const KEYS: &str = "/api/v1/user/api-keys";
const QUESTION: &str = r#"{"workspaceId":"workspace-123","question":"How does this code work?"}"#;

const INVALID: &str = r#"{"error":"Invalid API key"}"#;
const ADDRESS: &str = r#"{"error":"Access denied from this IP address"}"#;
const LIMITED: &str = r#"{"error":"Rate limit exceeded"}"#;

const ADMIN_KEY: &str = "your-secure-admin-api-key-here-of-40-chars";
const CLIENTS: &str = "client-key-1, client-key-2,client-key-3";

/// The program in a folder of its own.
struct Codespider {
    server: Server,
    folder: TempDir,
}

impl std::ops::Deref for Codespider {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Codespider {
    fn start(variables: &[(&str, &str)]) -> Self {
        Self::in_folder(TempDir::new().unwrap(), variables)
    }

    fn in_folder(folder: TempDir, variables: &[(&str, &str)]) -> Self {
        let workspaces = folder.path().join("workspaces");
        let mut variables = variables.to_vec();
        variables.push(("WORKSPACES", workspaces.to_str().unwrap()));
        Self { server: Server::start(CODESPIDER, &variables), folder }
    }

    /// With the keys of the document.
    fn with_keys() -> Self {
        Self::start(&[("ADMIN_API_KEY", ADMIN_KEY), ("VALID_API_KEYS", CLIENTS)])
    }

    fn ask(&self, headers: &[&str]) -> Answer {
        let headers = [&[JSON], headers].concat();
        self.server.ask("POST", ASK, &headers, QUESTION)
    }

    /// Stops it, and starts it again over the same folder.
    fn again(self, variables: &[(&str, &str)]) -> Self {
        let (status, _) = self.server.stop();
        assert_eq!(status, Some(0));
        Self::in_folder(self.folder, variables)
    }

    /// The administrator's session; their account is made where there is none.
    fn administrator(&self) -> String {
        assert_eq!(make_administrator(self, "root@example.com").status, 201);
        session(self, "root@example.com")
    }

    fn new_key(&self, who: &str) -> Value {
        let made = self.server.ask("POST", KEYS, &[who, JSON], r#"{"name":"made in the dashboard"}"#);
        assert_eq!(made.status, 201, "{made:?}");
        made.json()
    }

    fn origin(&self) -> String {
        format!("Origin: http://localhost:{}", self.server.address.port())
    }

    /// The audit lines of the API so far, once there are so many.
    fn events(&self, count: usize) -> Vec<Value> {
        let events = || {
            let output = self.server.output();
            let lines = output.lines().filter(|line| line.starts_with('{'));
            let events = lines.map(|line| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("{line}")));
            events.filter(|event| event["path"] == ASK).collect::<Vec<_>>()
        };
        // Lines are collected beside this.
        for _ in 0..2_000 {
            if events().len() >= count {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        events()
    }
}

fn api_key(key: &str) -> String {
    format!("x-api-key: {key}")
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, &answer.body)
}

#[test]
fn every_request_of_the_document() {
    let server = Codespider::with_keys();
    for key in [ADMIN_KEY, "client-key-1", "client-key-2", "client-key-3"] {
        for header in [api_key(key), bearer(key), format!("X-API-Key: {key}"), format!("authorization: bearer {key}")] {
            let answer = server.ask(&[&header]);
            assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{header} {answer:?}");
            let answer = answer.json();
            assert_eq!(answer["workspaceId"], "workspace-123");
            assert!(answer["answer"].as_str().unwrap().contains("README.md:5"), "{answer}");
        }
    }
    for key in ["another-key", "client-key-1,client-key-2", "client-key-10", "client-key-1 client-key-2"] {
        assert_eq!(told(&server.ask(&[&api_key(key)])), (401, INVALID), "{key}");
        assert_eq!(told(&server.ask(&[&bearer(key)])), (401, INVALID), "{key}");
    }
    assert_eq!(told(&server.ask(&[])), (401, INVALID));
    // Another key in each header: neither is guessed at.
    assert_eq!(server.ask(&[&api_key("client-key-1"), &bearer("client-key-2")]).status, 400);
}

#[test]
fn an_answer_has_the_files_and_the_lines_it_comes_from() {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/codespider/workspace");
    let server = Codespider::with_keys();
    let answered = |question: &str| {
        let body = json!({ "workspaceId": "workspace-123", "question": question }).to_string();
        let answer = server.server.ask("POST", ASK, &[JSON, &api_key("client-key-1")], &body);
        assert_eq!(answer.status, 200, "{question} {answer:?}");
        answer.json()
    };
    for (question, file) in [
        ("How does this code work?", "README.md"),
        ("What happens when the carrier fails three times?", "src/carrier.js"),
        ("How long are parcels kept?", "src/store.js"),
        ("Which error is 502?", "docs/errors.md"),
    ] {
        let answer = answered(question);
        let sources = answer["sources"].as_array().unwrap();
        assert!((1..=8).contains(&sources.len()), "{question} {answer}");
        assert!(sources.iter().any(|source| source["file"] == file), "{question} {answer}");
        for source in sources {
            let text = fs::read_to_string(format!("{workspace}/{}", source["file"].as_str().unwrap())).unwrap();
            let line = usize::try_from(source["line"].as_u64().unwrap()).unwrap();
            assert_eq!(text.lines().nth(line - 1).unwrap().trim(), source["text"].as_str().unwrap(), "{question}");
        }
    }
    let nothing = answered("Do zebras dance?");
    assert_eq!(
        (&nothing["sources"], &nothing["answer"]),
        (&json!([]), &json!("Nothing in this workspace mentions: zebra, dance."))
    );
}

#[test]
fn wrong_input_is_told_in_the_documents_shape() {
    let server = Codespider::with_keys();
    let key = api_key("client-key-1");
    let ask = |workspace: &str, question: &str| json!({ "workspaceId": workspace, "question": question }).to_string();
    let (long, large) = (ask("workspace-123", &"x".repeat(2_001)), ask("workspace-123", &"x".repeat(17_000)));
    for (method, target, kind, body, status) in [
        ("POST", ASK, JSON, "", 400),
        ("POST", ASK, JSON, "{", 400),
        ("POST", ASK, JSON, "[]", 400),
        ("POST", ASK, JSON, "{}", 400),
        ("POST", ASK, JSON, r#"{"workspaceId":"workspace-123"}"#, 400),
        ("POST", ASK, JSON, r#"{"workspaceId":1,"question":"x"}"#, 400),
        ("POST", ASK, JSON, &ask("workspace-123", " \n"), 400),
        ("POST", ASK, JSON, &long, 400),
        ("POST", ASK, JSON, &large, 413),
        ("POST", ASK, JSON, &ask("workspace-124", "x"), 404),
        ("POST", ASK, JSON, &ask("../../etc", "x"), 404),
        ("POST", ASK, JSON, &ask("", "x"), 404),
        ("POST", ASK, FORM, "question=x", 415),
        ("GET", ASK, JSON, "", 405),
        ("PUT", ASK, JSON, QUESTION, 405),
        ("GET", "/api/other", JSON, "", 404),
        ("GET", "/api/ask/", JSON, "", 404),
    ] {
        let answer = server.server.ask(method, target, &[&key, kind], body);
        assert_eq!(answer.status, status, "{method} {target} {body:.60} {answer:?}");
        assert!(answer.json()["error"].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
        // Without a key there is nothing to be learnt about bodies, methods and paths.
        let refused = server.server.ask(method, target, &[kind], body);
        assert_eq!(told(&refused), (401, INVALID), "{method} {target}");
    }
    let exact = ask("workspace-123", &"x".repeat(2_000));
    assert_eq!(server.server.ask("POST", ASK, &[&key, JSON], &exact).status, 200);
}

#[test]
fn who_asks_is_looked_for_in_the_documents_order() {
    let server = Codespider::with_keys();
    let token = server.administrator();
    let made = server.new_key(&bearer(&token));
    let generated = made["key"].as_str().unwrap().to_owned();
    // The generated key is in both variables, and one key is the administrator's and a client's.
    let clients = format!("client-key-1,{generated},{ADMIN_KEY}");
    let variables = [("ADMIN_API_KEY", ADMIN_KEY), ("VALID_API_KEYS", clients.as_str())];
    let server = server.again(&variables);
    let (by_cookie, own, session) = (cookie(&token), server.origin(), bearer(&token));
    let [store, admin, client] = [&generated, ADMIN_KEY, "client-key-1"].map(api_key);
    let asked = [
        (&[by_cookie.as_str(), &own, &client][..], "session", "root@example.com"),
        (&[&by_cookie, &own], "session", "root@example.com"),
        (&[&session], "session", "root@example.com"),
        (&[&store], "store", "made in the dashboard"),
        (&[&admin], "configured", "ADMIN_API_KEY"),
        (&[&client], "configured", "VALID_API_KEYS[0]"),
    ];
    for (headers, ..) in &asked {
        assert_eq!(server.ask(headers).status, 200, "{headers:?}");
    }
    for (event, (headers, authenticator, name)) in server.events(asked.len()).iter().zip(&asked) {
        assert_eq!((&event["authenticator"], &event["name"]), (&json!(authenticator), &json!(name)), "{headers:?}");
    }
    // What the dashboard revoked, no variable brings back.
    let one = format!("{KEYS}/{}", made["id"].as_str().unwrap());
    assert_eq!(server.server.ask("DELETE", &one, &[&bearer(&token)], "").status, 200);
    assert_eq!(told(&server.ask(&[&api_key(&generated)])), (401, INVALID));
    // A dead session is nobody, so that the next is asked.
    assert_eq!(server.server.ask("POST", "/api/v1/auth/logout", &[&bearer(&token)], "").status, 303);
    assert_eq!(server.ask(&[&by_cookie, &own, &api_key("client-key-1")]).status, 200);
    assert_eq!(told(&server.ask(&[&by_cookie, &own])), (401, INVALID));
    assert_eq!(told(&server.ask(&[&bearer(&token)])), (401, INVALID));
}

#[test]
fn each_client_has_so_many_requests_an_hour() {
    let server = Codespider::start(&[("ADMIN_API_KEY", ADMIN_KEY), ("VALID_API_KEYS", CLIENTS), ("API_RATE_LIMIT", "3")]);
    let token = server.administrator();
    let generated = server.new_key(&bearer(&token))["key"].as_str().unwrap().to_owned();
    for key in ["client-key-1", "client-key-2", ADMIN_KEY, &generated, &token] {
        // Bad keys are somebody else's.
        assert_eq!(server.ask(&[&api_key("another-key")]).status, 401);
        // Wherever it stands, it is one key.
        let headers = [bearer(key), if key == token { bearer(key) } else { api_key(key) }];
        for (turn, header) in headers.iter().cycle().take(3).enumerate() {
            let answer = server.ask(&[header]);
            assert_eq!(answer.status, 200, "{turn} {key}");
            assert!(answer.header("ratelimit").is_some_and(|left| left.contains(&format!("r={}", 2 - turn))), "{answer:?}");
        }
        for header in &headers {
            let limited = server.ask(&[header]);
            assert_eq!(told(&limited), (429, LIMITED), "{key}");
            let wait: u64 = limited.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=1_200).contains(&wait), "an hour for three is one each 20 minutes: {wait}");
        }
    }
    // The dashboard goes on, for who would raise the limit of a key.
    assert_eq!(server.get("/dashboard/keys", &[&cookie(&token)]).status, 200);
}

#[test]
fn addresses_are_allowed_by_the_connection_and_by_trusted_proxies_alone() {
    let key = api_key("client-key-1");
    let forwarded = |addresses: &str| format!("X-Forwarded-For: {addresses}");
    let ask = |variables: &[(&str, &str)], headers: &[&str]| {
        let server = Codespider::start(&[&[("VALID_API_KEYS", CLIENTS)], variables].concat());
        let answer = server.ask(&[&[key.as_str()], headers].concat());
        (answer.status, answer.body)
    };
    let listed = ("ALLOWED_IPS", "192.168.1.100,10.0.0.50");
    for (variables, headers, status) in [
        (&[][..], &[][..], 200),
        (&[("ALLOWED_IPS", "*")], &["X-Forwarded-For: 203.0.113.9"], 200),
        (&[("ALLOWED_IPS", "127.0.0.1")], &[], 200),
        (&[("ALLOWED_IPS", "127.0.0.0/8")], &["X-Forwarded-For: 203.0.113.9"], 200),
        (&[listed], &[], 403),
        // Nobody is believed who is no proxy of ours.
        (&[listed], &["X-Forwarded-For: 192.168.1.100"], 403),
        (&[listed], &["X-Real-IP: 192.168.1.100", "Forwarded: for=192.168.1.100"], 403),
    ] {
        assert_eq!(ask(variables, headers).0, status, "{variables:?} {headers:?}");
    }
    let server = Codespider::start(&[("VALID_API_KEYS", CLIENTS), listed, ("TRUSTED_PROXIES", "127.0.0.1,172.16.0.0/12")]);
    for (headers, status) in [
        (&[forwarded("192.168.1.100")][..], 200),
        (&[forwarded("10.0.0.50")], 200),
        (&[forwarded("::ffff:10.0.0.50")], 200),
        (&[forwarded("10.0.0.50:4711")], 200),
        (&[forwarded("203.0.113.9, 192.168.1.100, 172.16.0.1")], 200),
        (&[forwarded("203.0.113.9"), forwarded("192.168.1.100")], 200),
        (&[forwarded("10.0.0.51")], 403),
        // What a client says comes first, and what the proxy saw comes last.
        (&[forwarded("192.168.1.100, 203.0.113.9")], 403),
        (&[forwarded("192.168.1.100"), forwarded("203.0.113.9")], 403),
        (&[forwarded("192.168.1.100, unknown")], 403),
        (&[forwarded("")], 403),
        (&["X-Real-IP: 192.168.1.100".to_owned()], 403),
        (&[], 403),
    ] {
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        let answer = server.ask(&[&[key.as_str()], &headers[..]].concat());
        assert_eq!(answer.status, status, "{headers:?}");
        if status == 403 {
            assert_eq!(answer.body, ADDRESS, "{headers:?}");
            // Before anything else is looked at.
            assert_eq!(told(&server.ask(&[&["x-api-key: another-key"], &headers[..]].concat())), (403, ADDRESS));
            assert_eq!(told(&server.ask(&headers)), (403, ADDRESS));
        }
    }
    // The dashboard is no way around.
    assert_eq!(server.get("/dashboard/login", &[&forwarded("203.0.113.9")]).status, 403);
    assert_eq!(server.get("/dashboard/login", &[&forwarded("10.0.0.50")]).status, 200);
}

/// The fields of the forms of a page.
fn form_token(page: &str) -> &str {
    page.split_once("name=\"form_token\" value=\"").expect("a form").1.split_once('"').unwrap().0
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

#[test]
fn a_key_is_generated_used_rotated_and_revoked_in_the_dashboard() {
    let server = Codespider::start(&[]);
    assert_eq!(server.get("/", &[]).header("location"), Some("/dashboard"));
    let led = server.get("/dashboard", &[]);
    assert_eq!((led.status, led.header("location")), (303, Some("/dashboard/login?next=%2Fdashboard")));
    assert_eq!(make_administrator(&server, "root@example.com").status, 201);

    // As a browser does it: the form with its cookie and its token.
    let page = server.get("/dashboard/login", &[]);
    let (name_and_value, _) = page.header("set-cookie").unwrap().split_once(';').unwrap();
    let (browser, own) = (format!("Cookie: {name_and_value}"), server.origin());
    let fields = form(&[("form_token", form_token(&page.body)), ("email", "root@example.com"), ("password", PASSWORD)]);
    let signed_in = server.server.ask("POST", "/dashboard/login", &[&browser, &own, FORM], &fields);
    assert_eq!((signed_in.status, signed_in.header("location")), (303, Some("/dashboard")), "{signed_in:?}");
    let cookie = format!("Cookie: {}", signed_in.header("set-cookie").unwrap().split_once(';').unwrap().0);

    let list = server.get("/dashboard/keys", &[&cookie]);
    assert!(list.body.contains("<h1>Account Security</h1>") && list.body.contains("Generate API Key"), "{}", list.body);
    let new = server.get("/dashboard/keys/new", &[&cookie]);
    let fields = form(&[("form_token", form_token(&new.body)), ("name", "Nightly"), ("expires_in_days", "90")]);
    let shown = server.server.ask("POST", "/dashboard/keys", &[&cookie, &own, FORM], &fields);
    assert_eq!((shown.status, shown.header("cache-control")), (201, Some("no-store")));
    let key_in = |page: &str| {
        let begin = page.find("cs_key_").unwrap_or_else(|| panic!("no key: {page}"));
        let end = page[begin..].find(|other: char| !other.is_ascii_alphanumeric() && other != '_').unwrap();
        page[begin..begin + end].to_owned()
    };
    let key = key_in(&shown.body);
    assert_eq!(server.ask(&[&api_key(&key)]).status, 200);
    let listed = server.get("/dashboard/keys", &[&cookie]).body;
    assert!(listed.contains("Nightly") && !listed.contains(&key), "a key is shown once");

    let place = listed.split_once("href=\"/dashboard/keys/").map(|(_, rest)| rest);
    let id = place.and_then(|rest| rest.split("href=\"/dashboard/keys/").find(|rest| !rest.starts_with("new"))).unwrap();
    let one = format!("/dashboard/keys/{}", id.split_once('"').unwrap().0);
    let token = form_token(&server.get(&one, &[&cookie]).body).to_owned();
    let rotate = form(&[("form_token", &token), ("grace_seconds", "0")]);
    let rotated = server.server.ask("POST", &format!("{one}/rotate"), &[&cookie, &own, FORM], &rotate);
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let second = key_in(&rotated.body);
    assert_eq!(told(&server.ask(&[&api_key(&key)])), (401, INVALID));
    assert_eq!(server.ask(&[&api_key(&second)]).status, 200);
    let planted = server.server.ask("POST", &format!("{one}/revoke"), &[&cookie, "Origin: https://evil.example", FORM], &rotate);
    assert_eq!((planted.status, server.ask(&[&api_key(&second)]).status), (403, 200));
    let revoke = form(&[("form_token", &token)]);
    assert_eq!(server.server.ask("POST", &format!("{one}/revoke"), &[&cookie, &own, FORM], &revoke).status, 303);
    assert_eq!(told(&server.ask(&[&api_key(&second)])), (401, INVALID));
}

#[test]
fn keys_accounts_and_sessions_survive_a_restart_and_only_digests_are_kept() {
    let server = Codespider::start(&[]);
    let token = server.administrator();
    let (live, dead) = (server.new_key(&bearer(&token)), server.new_key(&bearer(&token)));
    let one = format!("{KEYS}/{}", dead["id"].as_str().unwrap());
    assert_eq!(server.server.ask("DELETE", &one, &[&bearer(&token)], "").status, 200);
    let keys = [live["key"].as_str().unwrap(), dead["key"].as_str().unwrap()];

    let file = server.folder.path().join("workspaces/api-keys.json");
    let kept = fs::read_to_string(&file).unwrap();
    assert!(serde_json::from_str::<Value>(&kept).is_ok() && keys.iter().all(|key| !kept.contains(&key[7..])), "{kept}");
    for path in [file.as_path(), file.parent().unwrap()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o077, 0, "{path:?} is this user's alone");
    }
    let server = server.again(&[]);
    assert_eq!(server.ask(&[&api_key(keys[0])]).status, 200);
    assert_eq!(told(&server.ask(&[&api_key(keys[1])])), (401, INVALID));
    assert_eq!(server.ask(&[&bearer(&token)]).status, 200, "somebody who is signed in stays so");
    assert_eq!(log_in(&server, "root@example.com", PASSWORD).status, 303);
    assert!(!server.output().contains("bootstrap key"), "it is made once");
}

#[test]
fn nobody_signs_up_and_administrators_make_accounts() {
    let server = Codespider::start(&[]);
    let refused = register(&server, "john@example.com");
    assert_eq!(refused.status, 403);
    assert!(refused.json()["error"].as_str().unwrap().contains("an administrator makes accounts"), "{refused:?}");
    let root = bearer(&server.administrator());
    assert_eq!(make_administrator(&server, "second@example.com").status, 409);
    let account = json!({ "email": "john@example.com", "password": PASSWORD }).to_string();
    assert_eq!(server.server.ask("POST", "/api/v1/accounts", &[&root, JSON], &account).status, 201);
    let john = session(&server, "john@example.com");
    let (own, by_cookie) = (server.origin(), cookie(&john));
    assert_eq!(server.ask(&[&by_cookie, &own]).status, 200);
    // A page of another site asks in vain.
    for foreign in ["Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(server.ask(&[&by_cookie, foreign]).status, 403, "{foreign}");
    }
    // Keys are their makers', and end with their account.
    let key = server.new_key(&bearer(&john))["key"].as_str().unwrap().to_owned();
    assert_eq!(server.ask(&[&api_key(&key)]).status, 200);
    let accounts = server.get("/api/v1/accounts", &[&root]).json();
    let johns = accounts["items"].as_array().unwrap().iter().find(|account| account["email"] == "john@example.com").unwrap();
    let one = format!("/api/v1/accounts/{}", johns["id"].as_str().unwrap());
    assert_eq!(server.server.ask("DELETE", &one, &[&root], "").status, 204);
    assert_eq!(told(&server.ask(&[&api_key(&key)])), (401, INVALID));
    assert_eq!(told(&server.ask(&[&bearer(&john)])), (401, INVALID));
}

#[test]
fn every_attempt_is_logged_and_no_secret() {
    let server = Codespider::with_keys();
    let first = bootstrap(&server).rsplit(' ').next().unwrap().to_owned();
    let token = server.administrator();
    let key = server.new_key(&bearer(&token))["key"].as_str().unwrap().to_owned();
    log_in(&server, "root@example.com", "quite another mauve goose");
    log_in(&server, "nobody@example.com", "quite another mauve goose");
    let attempts = [
        (api_key("client-key-1"), "valid"),
        (api_key(ADMIN_KEY), "valid"),
        (api_key(&key), "valid"),
        (bearer(&token), "valid"),
        (api_key("another-key"), "unknown"),
        (bearer("kws_canary"), "unknown"),
        (format!("{}x", api_key(&key)), "malformed"),
        ("X-Other: 1".to_owned(), "missing"),
    ];
    for (header, _) in &attempts {
        server.ask(&[header]);
    }
    let events = server.events(attempts.len());
    assert_eq!(events.len(), attempts.len());
    for (event, (_, reason)) in events.iter().zip(&attempts) {
        assert_eq!(
            (&event["reason"], &event["client_ip"], &event["method"]),
            (&json!(reason), &json!("127.0.0.1"), &json!("POST"))
        );
    }
    let (_, output) = server.server.stop();
    let count = |words: &str| output.matches(words).count();
    assert_eq!((count("\"sign_in_accepted\""), count("\"sign_in_rejected\"")), (1, 2), "{output}");
    assert_eq!(count(&first), 2, "once by itself, and once in a command");
    for secret in [ADMIN_KEY, "client-key", "another-key", "canary", "mauve", &token, &key] {
        assert!(!output.contains(secret), "{secret} is in {output}");
    }
}

#[test]
fn a_wrong_variable_or_folder_is_named() {
    let run = |variables: &[(&str, &str)]| {
        let folder = TempDir::new().unwrap();
        let output = command(CODESPIDER, variables).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (variable, value) in [
        ("PORT", "CANARY"),
        ("API_RATE_LIMIT", "CANARY"),
        ("API_RATE_LIMIT", "0"),
        ("ALLOWED_IPS", "CANARY"),
        ("ALLOWED_IPS", ","),
        ("TRUSTED_PROXIES", "*"),
        ("VALID_API_KEYS", ","),
        ("ADMIN_API_KEY", "CANARY of two words"),
        ("PUBLIC_URL", "CANARY"),
    ] {
        let (status, text) = run(&[(variable, value)]);
        assert_eq!(status, Some(2), "{variable} {text}");
        assert!(text.contains(variable) && !text.contains("CANARY"), "{text}");
    }
    let server = Codespider::start(&[]);
    let port = server.address.port().to_string();
    let (status, text) = run(&[("PORT", &port)]);
    assert!(status == Some(3) && text.contains("PORT"), "{text}");
    // One process at a time.
    let workspaces = server.folder.path().join("workspaces");
    let (status, text) = run(&[("WORKSPACES", workspaces.to_str().unwrap())]);
    assert!(status == Some(3) && text.contains("WORKSPACES") && text.contains("api-keys.json"), "{text}");
    // Others could exchange the file.
    let open = TempDir::new().unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let (status, text) = run(&[("WORKSPACES", open.path().to_str().unwrap())]);
    assert!(status == Some(2) && text.contains("WORKSPACES"), "{text}");
    let (status, text) = run(&[("WORKSPACES", "/dev/null/x")]);
    assert!(status == Some(3) && text.contains("WORKSPACES"), "{text}");
    // A short administrator's key is warned about, and one of 32 characters is not.
    for (key, warned) in [("x".repeat(31), true), ("x".repeat(32), false)] {
        let server = Codespider::start(&[("ADMIN_API_KEY", &key)]);
        assert_eq!(server.ask(&[&api_key(&key)]).status, 200);
        let (_, output) = server.server.stop();
        assert_eq!(output.contains("has fewer than 32 characters"), warned);
    }
}
