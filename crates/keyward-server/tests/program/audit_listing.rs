//! `/api/v1/audit` over real databases: what the journals keep, across restarts, and what the server has seen of those who failed.

use keyward_behaviour::services::postgres::Postgres;
use serde_json::{Value, json};

use crate::administration::{FORM, JSON, bootstrap, session_of};
use crate::audit_verify::{events, verify};
use crate::folder::Folder;
use crate::keys::Keys;
use crate::server::Server;

const RIGHT: &str = "email=ada%40example.com&password=a+dozen+mauve+geese";
const WRONG: &str = "email=ada%40example.com&password=canary+missed+13+operas";

fn told(server: &Server, path: &str, cookie: &str) -> Vec<(String, String, String)> {
    let answer = server.get(path, &[cookie]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |item: &Value, field: &str| item[field].as_str().unwrap_or("-").to_owned();
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| (text(item, "subject"), text(item, "action"), text(item, "outcome"))).collect()
}

fn of(triples: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    triples.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect()
}

fn listed(keys: &Keys) {
    let arguments = ["--database", &keys.database, "--audit", "audit.jsonl"];
    let key = bootstrap(&Server::start(&keys.folder, &arguments).stop("TERM").1);
    let server = Server::start(&keys.folder, &arguments);
    let account = r#"{"email":"ada@example.com","password":"a dozen mauve geese"}"#;
    assert_eq!(server.send_body("POST", "/api/v1/accounts", &[&key, JSON], account).status, 201);
    assert_eq!(server.send_body("POST", "/api/v1/auth/login", &[FORM], WRONG).status, 401);
    let cookie = format!("Cookie: {}", session_of(&server.send_body("POST", "/api/v1/auth/login", &[FORM], RIGHT)));
    let made = server.send_body("POST", "/api/v1/user/api-keys", &[&cookie, JSON], r#"{"name":"=1+1"}"#).json();
    for _ in 0..2 {
        assert_eq!(server.get("/whoami", &["X-API-Key: no-such-key"]).status, 401);
    }
    let sign_ins = [("sign-in", "sign-in", "success"), ("sign-in", "sign-in", "failure")];
    let changes = [("key", "create", "success"), ("account", "create", "success"), ("key", "create", "success")];
    let all = [&changes[..1], &sign_ins, &changes[1..]].concat();
    assert_eq!(told(&server, "/api/v1/audit", &cookie), of(&all));
    let oldest: Vec<_> = all.iter().rev().copied().collect();
    assert_eq!(told(&server, "/api/v1/audit?order=oldest", &cookie), of(&oldest));
    assert_eq!(told(&server, "/api/v1/audit?outcome=failure", &cookie), of(&sign_ins[1..]));
    let id = made["id"].as_str().unwrap();
    assert_eq!(told(&server, &format!("/api/v1/audit?key={id}"), &cookie), of(&changes[..1]));
    // The first key of a database is nobody's, and so is what it sees: itself.
    let own = server.get("/api/v1/audit", &[&key]).json();
    assert_eq!((own["items"].as_array().unwrap().len(), &own["items"][0]["actor"]), (1, &json!("keyward serve")));
    let table = server.get("/api/v1/audit?format=csv&subject=key", &[&cookie]);
    assert!(table.status == 200 && table.body.contains(",'=1+1,"), "{table:?}");
    let failed = server.get("/api/v1/audit/failed-attempts", &[&cookie]).json();
    let counts = &failed["items"][0];
    assert_eq!(
        (&counts["address"], &counts["bad_keys"], &counts["bad_passwords"]),
        (&json!("127.0.0.1"), &json!(2), &json!(1)),
        "{failed}"
    );
    assert_eq!(server.get("/api/v1/audit/failed-attempts", &[&key]).status, 403);
    server.stop("TERM");

    // What was changed is in the database; who signed in is in the audit file.
    let server = Server::start(&keys.folder, &arguments);
    assert_eq!(told(&server, "/api/v1/audit", &cookie), of(&changes));
    server.stop("TERM");
    let names: Vec<String> = events(&keys.folder).iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    let count = |name: &str| names.iter().filter(|found| *found == name).count();
    assert_eq!((count("sign_in_accepted"), count("sign_in_rejected")), (1, 1), "{names:?}");
    assert_eq!(verify(&keys.folder, &[]).status, 0);
    let text = std::fs::read_to_string(keys.folder.join("audit.jsonl")).unwrap();
    assert!(!text.contains("canary") && !text.contains("mauve"), "{text}");
}

#[test]
fn on_sqlite() {
    listed(&Keys { folder: Folder::new(), database: "sqlite:keys.db".to_owned() });
}

#[test]
fn on_postgresql() {
    let server = Postgres::start_with(&[("fsync", "off")]).unwrap();
    listed(&Keys { folder: Folder::new(), database: server.create_database().unwrap() });
}

/// A JSON file keeps keys and their journal, and no accounts.
#[test]
fn on_a_json_file() {
    let folder = Folder::new();
    let arguments = ["--database", "json:keys.json"];
    let key = bootstrap(&Server::start(&folder, &arguments).stop("TERM").1);
    let server = Server::start(&folder, &arguments);
    let made = server.send_body("POST", "/api/v1/user/api-keys", &[&key, JSON], r#"{"name":"ci"}"#);
    assert_eq!(made.status, 201);
    assert_eq!(told(&server, "/api/v1/audit", &key), of(&[("key", "create", "success"), ("key", "create", "success")]));
    assert_eq!(told(&server, "/api/v1/audit?subject=account", &key), []);
}
