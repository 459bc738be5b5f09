//! Every route for everybody: what is somebody else's is not there, and what is given is never more than the giver has (R16).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::client::{ACCOUNTS, AGENT_KEYS, Caller, FORM, JSON, KEYS, PASSWORD, Reply, Service, form};

/// Those who ask, in the order of the table. People, who may end what they ask with, or what is asked about, come last.
const CALLERS: [&str; 11] = [
    "nobody",
    "an expired key",
    "a revoked key",
    "a key without keys:manage",
    "a key with keys:manage",
    "another owner's key with keys:manage",
    "nobody's key with keys:manage",
    "an administrator's key with keys:manage and admin",
    "another user",
    "its owner",
    "an administrator",
];

/// Method, path, body, and what each caller is answered. `{key}`, `{agent}`, `{session}` and `{account}` are Ada's.
type Row = (&'static str, &'static str, Body, [u16; CALLERS.len()]);

enum Body {
    None,
    Json(&'static str),
    Form(&'static str),
}
use Body::{Form, Json, None};

const ACCOUNT: &str = r#"{"email":"new@example.com","password":"a dozen mauve geese"}"#;
const AGENT: &str = r#"{"name":"k","app":"a","agent":"g"}"#;
const PASSWORDS: &str = r#"{"current_password":"a dozen mauve geese","new_password":"seven teal walruses"}"#;

const ROWS: [Row; 28] = [
    // Open to everybody; yet a credential that is there has to be a good one.
    (
        "POST",
        "/api/v1/auth/register",
        Form("email=n%40example.com&password=a+dozen+mauve+geese"),
        [303, 401, 401, 303, 303, 303, 303, 303, 303, 303, 303],
    ),
    (
        "POST",
        "/api/v1/auth/login",
        Form("email=ada%40example.com&password=a+dozen+mauve+geese"),
        [303, 401, 401, 303, 303, 303, 303, 303, 303, 303, 303],
    ),
    ("POST", "/api/v1/auth/logout", Form(""), [303, 401, 401, 303, 303, 303, 303, 303, 303, 303, 303]),
    // One's own account, whoever asks: no key's business.
    ("GET", "/api/v1/user", None, [401, 401, 401, 403, 403, 403, 403, 403, 200, 200, 200]),
    ("PATCH", "/api/v1/user", Json(r#"{"first_name":"A"}"#), [401, 401, 401, 403, 403, 403, 403, 403, 200, 200, 200]),
    (
        "DELETE",
        "/api/v1/user",
        Json(r#"{"password":"a dozen mauve geese"}"#),
        [401, 401, 401, 403, 403, 403, 403, 403, 204, 204, 204],
    ),
    ("POST", "/api/v1/user/password", Json(PASSWORDS), [401, 401, 401, 403, 403, 403, 403, 403, 204, 204, 204]),
    ("GET", "/api/v1/user/sessions", None, [401, 401, 401, 403, 403, 403, 403, 403, 200, 200, 200]),
    ("DELETE", "/api/v1/user/sessions", None, [401, 401, 401, 403, 403, 403, 403, 403, 204, 204, 204]),
    ("DELETE", "/api/v1/user/sessions/{session}", None, [401, 401, 401, 403, 403, 403, 403, 403, 404, 204, 404]),
    ("GET", "/api/v1/user/api-keys", None, [401, 401, 401, 403, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/api/v1/user/api-keys", Json(r#"{"name":"k"}"#), [401, 401, 401, 403, 201, 201, 201, 201, 201, 201, 201]),
    ("GET", "/api/v1/user/api-keys/{key}", None, [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("PATCH", "/api/v1/user/api-keys/{key}", Json(r#"{"name":"n"}"#), [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("DELETE", "/api/v1/user/api-keys/{key}", None, [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("POST", "/api/v1/user/api-keys/{key}/rotate", None, [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("GET", "/api/v1/agent-keys", None, [401, 401, 401, 403, 200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/api/v1/agent-keys", Json(AGENT), [401, 401, 401, 403, 201, 201, 201, 201, 201, 201, 201]),
    ("GET", "/api/v1/agent-keys/{agent}", None, [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("PATCH", "/api/v1/agent-keys/{agent}", Json(r#"{"agent":"n"}"#), [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("DELETE", "/api/v1/agent-keys/{agent}", None, [401, 401, 401, 403, 204, 404, 404, 404, 404, 204, 204]),
    ("POST", "/api/v1/agent-keys/{agent}/rotate", None, [401, 401, 401, 403, 200, 404, 404, 404, 404, 200, 200]),
    ("GET", "/api/v1/audit", None, [401, 401, 401, 403, 200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/api/v1/audit/failed-attempts", None, [401, 401, 401, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("GET", "/api/v1/accounts", None, [401, 401, 401, 403, 403, 403, 403, 403, 403, 403, 200]),
    ("POST", "/api/v1/accounts", Json(ACCOUNT), [401, 401, 401, 403, 403, 403, 409, 403, 403, 403, 201]),
    (
        "PATCH",
        "/api/v1/accounts/{account}",
        Json(r#"{"disabled":false}"#),
        [401, 401, 401, 403, 403, 403, 403, 403, 403, 403, 200],
    ),
    ("DELETE", "/api/v1/accounts/{account}", None, [401, 401, 401, 403, 403, 403, 403, 403, 403, 403, 204]),
];

struct Tenants {
    service: Service,
    callers: Vec<Caller>,
    key: String,
    agent: String,
    session: String,
    account: String,
}

/// Who they are where people come with a session as this makes one of a token.
fn tenants(present: fn(&str) -> Caller) -> Tenants {
    let service = Service::new();
    let root = present(&service.first_administrator("root@example.com"));
    let (ada, doomed) = (service.sign_up("ada@example.com"), Caller::bearer(&service.token("ada@example.com")));
    let ada = present(&ada);
    let bob = present(&service.sign_up("bob@example.com"));
    let make = |caller: &Caller, fields: &str| {
        let (id, key) = service.make_key(caller, fields);
        (id, Caller::bearer(&key))
    };
    let manage = r#"{"name":"k","scopes":["keys:manage"]}"#;
    let (_, expired) = make(&ada, r#"{"name":"k","scopes":["keys:manage"],"expires_at":"2027-01-15T08:01:00Z"}"#);
    let (revoked_id, revoked) = make(&ada, manage);
    assert!(service.knows(&expired) && service.knows(&revoked));
    assert_eq!(service.delete(&format!("{KEYS}/{revoked_id}"), &ada).status, 200);
    service.clock.advance(Duration::from_secs(60));
    let callers = vec![
        Caller::nobody(),
        expired,
        revoked,
        make(&ada, r#"{"name":"k","scopes":["read:all","write:all"]}"#).1,
        make(&ada, manage).1,
        make(&bob, manage).1,
        Caller::bearer(&service.ownerless_key(&["keys:manage"])),
        make(&root, r#"{"name":"k","scopes":["keys:manage","admin"]}"#).1,
        bob.clone(),
        ada.clone(),
        root,
    ];
    let sessions = service.get("/api/v1/user/sessions", &doomed).document();
    let session = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    let (account, session) = (service.id_of(&ada), session["id"].as_str().unwrap().to_owned());
    let key = make(&ada, r#"{"name":"asked about"}"#).0;
    let agent = service.json("POST", AGENT_KEYS, &ada, AGENT).at("id");
    Tenants { key, agent, session, account, callers, service }
}

impl Tenants {
    fn ask(&self, caller: &Caller, (method, path, body, _): &Row) -> Reply {
        let path = path.replace("{key}", &self.key).replace("{agent}", &self.agent);
        let path = path.replace("{session}", &self.session).replace("{account}", &self.account);
        match body {
            None => self.service.send(method, &path, caller, &[], ""),
            Json(text) => self.service.json(method, &path, caller, text),
            Form(text) => self.service.send(method, &path, caller, &[FORM], *text),
        }
    }
}

fn walk(present: fn(&str) -> Caller) {
    for row in &ROWS {
        let tenants = tenants(present);
        for ((name, caller), expected) in CALLERS.iter().zip(&tenants.callers).zip(row.3) {
            let reply = tenants.ask(caller, row);
            assert_eq!(reply.status, expected, "{} {} by {name}: {reply:?}", row.0, row.1);
            // Which scope a key lacks, the guard says as well (R10).
            let is_about_keys = row.1.starts_with("/api/v1/user/api-keys") || row.1.starts_with("/api/v1/agent-keys");
            let is_scope = expected == 403 && *name == "a key without keys:manage" && is_about_keys;
            let challenge = reply.header("www-authenticate");
            assert_eq!(!challenge.is_empty(), expected == 401 || is_scope, "{} {} by {name}: {reply:?}", row.0, row.1);
            assert_eq!(challenge.contains("scope=\"keys:manage\""), is_scope, "{} {} by {name}", row.0, row.1);
        }
    }
}

#[test]
fn every_route_for_everybody_with_a_session_as_bearer() {
    walk(Caller::bearer);
}

#[test]
fn every_route_for_everybody_with_a_session_as_cookie() {
    walk(Caller::cookie);
}

/// The routes as the sources write them: `(["sessions", id], "DELETE") =>`.
fn routes_in_the_sources() -> BTreeSet<String> {
    let sources = concat!(
        include_str!("../../src/admin.rs"),
        include_str!("../../src/keys/mod.rs"),
        include_str!("../../src/audit/mod.rs")
    );
    let mut routes = BTreeSet::new();
    let mut places_of_fn: &[&str] = &[];
    for line in sources.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once("async fn answer_") {
            places_of_fn = match rest.split('(').next().unwrap() {
                "auth" => &["/auth"],
                "user" => &["/user"],
                "accounts" => &["/accounts"],
                "audit" => &["/audit"],
                "keys" => &["/user/api-keys", "/agent-keys"],
                other => panic!("no test knows the routes of answer_{other}"),
            };
        }
        if let Some(places) = line.split_once("!matches!(place, ").map(|(_, rest)| rest.split(')').next().unwrap()) {
            routes.extend(places.split(" | ").map(|name| format!("POST /auth/{}", name.trim_matches('"'))));
        }
        let arm = line.strip_prefix("([").and_then(|arm| arm.split_once("], \""));
        let Some((segments, rest)) = arm else { continue };
        let segments = segments.split(", ").filter(|segment| !segment.is_empty());
        let path: String = segments
            .map(|segment| format!("/{}", if segment.starts_with('"') { segment.trim_matches('"') } else { "{}" }))
            .collect();
        let methods = rest.split_once(") =>").unwrap().0.split(" | ").map(|method| method.trim_matches('"'));
        for method in methods.filter(|method| *method != "HEAD") {
            routes.extend(places_of_fn.iter().map(|place| format!("{method} {place}{path}")));
        }
    }
    routes
}

#[test]
fn no_route_is_missing_in_the_table() {
    let in_table: BTreeSet<String> = ROWS
        .iter()
        .map(|(method, path, ..)| {
            let path =
                ["{key}", "{agent}", "{session}", "{account}"].iter().fold((*path).to_owned(), |path, id| path.replace(id, "{}"));
            format!("{method} {}", path.strip_prefix("/api/v1").unwrap())
        })
        .collect();
    assert_eq!(routes_in_the_sources(), in_table);
}

#[cfg(feature = "openapi")]
#[test]
fn no_route_is_missing_in_the_document() {
    let document = serde_json::to_value(Service::new().document()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap().replace("{id}", "{}");
        described.extend(item.as_object().unwrap().keys().map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(routes_in_the_sources(), described);
}

#[test]
fn what_is_somebody_elses_looks_like_what_is_not_there() {
    let tenants = tenants(Caller::bearer);
    let (service, bob) = (&tenants.service, &tenants.callers[8]);
    let missing = "0".repeat(tenants.key.len());
    for (method, path, body, _) in ROWS.iter().filter(|row| row.1.contains("{key}") || row.1.contains("{agent}")) {
        let ask = |id: &str| {
            let path = path.replace("{key}", id).replace("{agent}", id);
            let reply = match body {
                Json(text) => service.json(method, &path, bob, text),
                _ => service.send(method, &path, bob, &[], ""),
            };
            (reply.status, reply.body)
        };
        for somebody_elses in [&tenants.key, &tenants.agent] {
            assert_eq!(ask(somebody_elses), ask(&missing), "{method} {path}");
            assert_eq!(ask(somebody_elses), ask("no-id"), "{method} {path}");
        }
    }
    for list in [KEYS, AGENT_KEYS] {
        let listed = service.get(&format!("{list}?owner={}", tenants.account), bob);
        assert_eq!(listed.wrong_fields(), ["owner"]);
        let listed = service.get(&format!("{list}?after={}", tenants.key), bob);
        assert!(!listed.text().contains(&tenants.account), "{listed:?}");
    }
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up("ada@example.com"));
    let (own, key) = service.make_key(&ada, r#"{"name":"k","scopes":["keys:manage","read:all"]}"#);
    let (plain, _) = service.make_key(&ada, r#"{"name":"k"}"#);
    let key = Caller::bearer(&key);
    for (caller, scopes, wrong) in [
        (&key, json!(["read:all", "write:all"]), vec!["scopes[1]"]),
        (&key, json!(["admin", "keys:manage", "metrics:read"]), vec!["scopes[0]", "scopes[2]"]),
        (&ada, json!(["read:all", "admin"]), vec!["scopes[1]"]),
        (&ada, json!(["metrics:read", "keys:manage"]), vec!["scopes[0]"]),
        (&ada, json!(["*"]), vec!["scopes[0]"]),
        (&ada, json!(["keys:*"]), vec!["scopes[0]"]),
    ] {
        let new = service.json("POST", KEYS, caller, &json!({"name": "k", "scopes": scopes}).to_string());
        assert_eq!(new.wrong_fields(), wrong, "{scopes}");
        // Nor later, to one key or the other: its own included.
        for id in [&own, &plain] {
            let changed = service.json("PATCH", &format!("{KEYS}/{id}"), caller, &json!({ "scopes": scopes }).to_string());
            assert_eq!(changed.wrong_fields(), wrong, "{scopes}");
        }
    }
    let special = r#"{"name":"k","kind":"batch","limits":["900/second"]}"#;
    for caller in [&ada, &key] {
        assert_eq!(service.json("POST", KEYS, caller, special).wrong_fields(), ["kind", "limits"]);
        for field in [r#"{"kind":"batch"}"#, r#"{"kind":null}"#, r#"{"limits":["9/second"]}"#, r#"{"limits":null}"#] {
            assert_eq!(service.json("PATCH", &format!("{KEYS}/{own}"), caller, field).wrong_fields().len(), 1, "{field}");
        }
    }
    assert_eq!(service.json("POST", KEYS, &root, special).status, 201);
    assert_eq!(service.json("POST", KEYS, &root, r#"{"name":"k","scopes":["admin","metrics:read"]}"#).status, 201);
    // `admin` is people's to give, even where a key holds it.
    let (_, admins) = service.make_key(&root, r#"{"name":"k","scopes":["keys:manage","admin"]}"#);
    let new = service.json("POST", KEYS, &Caller::bearer(&admins), r#"{"name":"k","scopes":["admin"]}"#);
    assert_eq!(new.wrong_fields(), ["scopes[0]"]);
}

#[test]
fn a_stronger_key_is_neither_changed_nor_taken_over() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up("ada@example.com"));
    let (_, key) = service.make_key(&ada, r#"{"name":"k","scopes":["keys:manage","read:all"]}"#);
    let key = Caller::bearer(&key);
    let (writes, _) = service.make_key(&ada, r#"{"name":"k","scopes":["write:all"]}"#);
    let (special, _) = service.make_key(&ada, r#"{"name":"k"}"#);
    let (limited, _) = service.make_key(&ada, r#"{"name":"k"}"#);
    let (raised, _) = service.make_key(&ada, r#"{"name":"k"}"#);
    assert_eq!(service.json("PATCH", &format!("{KEYS}/{special}"), &root, r#"{"kind":"batch"}"#).status, 200);
    assert_eq!(service.json("PATCH", &format!("{KEYS}/{limited}"), &root, r#"{"limits":["9/second"]}"#).status, 200);
    assert_eq!(service.json("PATCH", &format!("{KEYS}/{raised}"), &root, r#"{"scopes":["admin"]}"#).status, 200);
    let may = |caller: &Caller, id: &str| {
        let one = format!("{KEYS}/{id}");
        let changed = service.json("PATCH", &one, caller, r#"{"name":"n"}"#).status;
        assert_eq!(service.json("POST", &format!("{one}/rotate"), caller, "{}").status, changed);
        assert_eq!(service.json("PATCH", &one, caller, r#"{"scopes":[]}"#).status, changed);
        changed
    };
    assert_eq!((may(&key, &writes), may(&key, &special), may(&key, &raised)), (403, 403, 403));
    assert_eq!(may(&key, &limited), 403);
    assert_eq!(may(&ada, &raised), 403, "what an administrator raised is more than its owner has");
    assert_eq!((may(&ada, &writes), may(&ada, &special), may(&root, &raised)), (200, 200, 200));
    // To end one is never more.
    assert_eq!(service.delete(&format!("{KEYS}/{raised}"), &key).status, 200);
}

#[test]
fn an_owner_is_never_taken_from_a_body() {
    let tenants = tenants(Caller::bearer);
    let service = &tenants.service;
    for (name, caller) in CALLERS.iter().zip(&tenants.callers).filter(|(_, caller)| service.get(KEYS, caller).status == 200) {
        let body = json!({"name": "k", "owner": tenants.account}).to_string();
        assert_eq!(service.json("POST", KEYS, caller, &body).wrong_fields(), ["owner"], "{name}");
        let (id, _) = service.make_key(caller, r#"{"name":"k"}"#);
        let changed = service.json("PATCH", &format!("{KEYS}/{id}"), caller, &body);
        assert_eq!(changed.wrong_fields(), ["owner"], "{name}");
    }
    let ownerless = &tenants.callers[6];
    assert!(service.json("POST", KEYS, ownerless, r#"{"name":"k"}"#).document()["owner"].is_null());
    assert_eq!(service.json("POST", KEYS, &tenants.callers[4], r#"{"name":"k"}"#).at("owner"), tenants.account);
}

#[test]
fn nobody_makes_themselves_an_administrator() {
    let service = Service::new();
    let fields = [("email", "eve@example.com"), ("password", PASSWORD), ("is_admin", "true")];
    service.send("POST", "/api/v1/auth/register", &Caller::nobody(), &[FORM], form(&fields));
    let eve = Caller::bearer(&service.token("eve@example.com"));
    assert_eq!(service.get("/api/v1/user", &eve).document()["is_admin"], false);
    let own = format!("{ACCOUNTS}/{}", service.id_of(&eve));
    assert_eq!(service.send("PATCH", &own, &eve, &[JSON], r#"{"is_admin":true}"#).status, 403);
    let account = json!({"email": "mallory@example.com", "password": PASSWORD, "is_admin": true}).to_string();
    assert_eq!(service.json("POST", ACCOUNTS, &eve, &account).status, 403);
}
