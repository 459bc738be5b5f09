//! Keys of agents: what they have beside other keys, and where they are listed.

use serde_json::{Value, json};

use crate::client::{ACCOUNTS, AGENT_KEYS, Caller, KEYS, PASSWORD, Reply, Service};

const ADA: &str = "ada@example.com";

/// A new agent's key: its id, and the key itself.
fn make(service: &Service, caller: &Caller, more: &Value) -> (String, String) {
    let made = service.json("POST", AGENT_KEYS, caller, &with_names(more).to_string());
    assert_eq!(made.status, 201, "{made:?}");
    (made.at("id"), made.at("key"))
}

fn with_names(more: &Value) -> Value {
    let mut body = json!({"name": "k", "app": "billing", "agent": "collector"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn names(reply: &Reply) -> (Value, Value) {
    let document = reply.document();
    (document["app"].clone(), document["agent"].clone())
}

#[test]
fn from_a_new_one_to_its_end() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let body = json!({
        "name": "nightly", "app": "billing", "agent": "collector", "resource_pattern": "/apps/7/*", "scopes": ["read:all"],
        "expires_in_hours": 12, "metadata": {"team": "a"},
    });
    let made = service.json("POST", AGENT_KEYS, &ada, &body.to_string());
    assert_eq!((made.status, made.header("cache-control")), (201, "no-store"), "{made:?}");
    let (told, id, key) = (made.document(), made.at("id"), made.at("key"));
    for (field, value) in [
        ("app", json!("billing")),
        ("agent", json!("collector")),
        ("resource_pattern", json!("/apps/7/*")),
        ("kind", json!("agent")),
        ("scopes", json!(["read:all"])),
        ("expires_at", json!("2027-01-15T20:00:00.000Z")),
        ("metadata", json!({"team": "a"})),
        ("owner", json!(service.id_of(&ada))),
    ] {
        assert_eq!(told[field], value, "{field}");
    }
    assert!(key.starts_with("agent_") && key.starts_with(&made.at("key_prefix")), "{told}");

    let one = format!("{AGENT_KEYS}/{id}");
    let shown = service.get(&one, &ada);
    assert_eq!((shown.status, names(&shown)), (200, (json!("billing"), json!("collector"))));
    assert!(shown.document()["key"].is_null());
    let change = r#"{"agent":"sorter","resource_pattern":null,"metadata":{"team":"b"},"expires_at":null}"#;
    let changed = service.json("PATCH", &one, &ada, change);
    assert_eq!((changed.status, names(&changed)), (200, (json!("billing"), json!("sorter"))));
    let told = changed.document();
    assert_eq!(
        (&told["resource_pattern"], &told["expires_at"], &told["metadata"]),
        (&Value::Null, &Value::Null, &json!({"team": "b"}))
    );
    let second = service.json("POST", &format!("{one}/rotate"), &ada, r#"{"grace_seconds":60}"#);
    assert_eq!((second.status, names(&second)), (200, (json!("billing"), json!("sorter"))));
    assert!(second.at("key").starts_with("agent_") && second.at("key") != key);
    assert!(service.knows(&Caller::bearer(&key)) && service.knows(&Caller::bearer(&second.at("key"))));

    let ended = service.delete(&one, &ada);
    assert_eq!((ended.status, ended.text()), (204, ""));
    assert!(!service.knows(&Caller::bearer(&key)) && !service.knows(&Caller::bearer(&second.at("key"))));
    assert_eq!(service.delete(&one, &ada).status, 204, "again is no fault");
    assert_eq!(service.get(&one, &ada).at("state"), "revoked");
    assert_eq!(service.json("PATCH", &one, &ada, r#"{"app":"x"}"#).status, 409);
}

#[test]
fn every_fault_is_told_at_once() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    for (body, wrong) in [
        (json!({}), vec!["name", "app", "agent"]),
        (json!({"name": " ", "app": " ", "agent": ""}), vec!["name", "app", "agent"]),
        (json!({"name": "k", "app": null, "agent": 7}), vec!["app", "agent"]),
        (json!({"name": "k", "app": "x".repeat(257), "agent": "x".repeat(256)}), vec!["app"]),
        (with_names(&json!({"kind": "service", "owner": "bob", "expires_in_days": 1})), vec!["expires_in_days", "kind", "owner"]),
        (with_names(&json!({"expires_in_hours": 0})), vec!["expires_in_hours"]),
        (with_names(&json!({"expires_in_hours": 1, "expires_at": "2030-01-01T00:00:00Z"})), vec!["expires_in_hours"]),
        (with_names(&json!({"metadata": {"app": "other", "agent": "other", "x": "y"}})), vec!["metadata.app", "metadata.agent"]),
        (with_names(&json!({"limits": ["9/second"], "scopes": ["admin"]})), vec!["limits", "scopes[0]"]),
    ] {
        assert_eq!(service.json("POST", AGENT_KEYS, &ada, &body.to_string()).wrong_fields(), wrong, "{body}");
    }
    for pattern in ["apps/7/*", "", "/apps/*/jobs", "/apps//7", "/apps/../7", "/a b", "/apps/{app}/*", "/%61pps", "/apps?x=1"] {
        let body = with_names(&json!({"resource_pattern": pattern})).to_string();
        assert_eq!(service.json("POST", AGENT_KEYS, &ada, &body).wrong_fields(), ["resource_pattern"], "{pattern}");
    }
    let (id, _) = make(&service, &ada, &json!({}));
    let change = r#"{"app":null,"agent":" ","resource_pattern":7,"kind":null,"prefix":"x"}"#;
    let changed = service.json("PATCH", &format!("{AGENT_KEYS}/{id}"), &ada, change);
    assert_eq!(changed.wrong_fields(), ["kind", "prefix", "resource_pattern", "app", "agent"]);
    let listed = service.get(&format!("{AGENT_KEYS}?limit=0&kind=service"), &ada);
    assert_eq!(listed.wrong_fields(), ["kind", "limit"]);
}

#[test]
fn a_listing_of_agents_keys_holds_no_others_and_the_one_of_all_keys_holds_both() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let bob = Caller::bearer(&service.sign_up("bob@example.com"));
    let (mut agents, mut all) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        agents.push(make(&service, &ada, &json!({})).0);
        all.push(service.make_key(&ada, r#"{"name":"k"}"#).0);
        make(&service, &bob, &json!({}));
    }
    all.extend(agents.clone());
    for (list, mut expected) in [(AGENT_KEYS, agents.clone()), (KEYS, all.clone())] {
        expected.sort();
        for limit in [1, 2, 5, 11] {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let page = service.get(&format!("{list}?limit={limit}{after}"), &ada);
                assert!(page.status == 200 && page.ids().len() <= limit, "{page:?}");
                seen.extend(page.ids());
                match page.document()["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            seen.sort();
            assert_eq!(seen, expected, "{list} by {limit}");
        }
    }
    let items = service.get(AGENT_KEYS, &ada).document()["items"].clone();
    assert!(items.as_array().unwrap().iter().all(|item| item["app"] == "billing" && item["agent"] == "collector"), "{items}");
    assert_eq!(service.delete(&format!("{AGENT_KEYS}/{}", agents[0]), &ada).status, 204);
    assert_eq!(service.get(&format!("{AGENT_KEYS}?state=revoked"), &ada).ids(), [agents[0].clone()]);

    // Another key is not there, whoever's it is, and nothing comes of asking.
    let (plain, key) = service.make_key(&ada, r#"{"name":"k"}"#);
    let one = format!("{AGENT_KEYS}/{plain}");
    let asked = [
        service.get(&one, &ada).status,
        service.json("PATCH", &one, &ada, r#"{"app":"x"}"#).status,
        service.json("POST", &format!("{one}/rotate"), &ada, "{}").status,
        service.delete(&one, &ada).status,
    ];
    assert_eq!(asked, [404; 4]);
    assert!(service.knows(&Caller::bearer(&key)));
    // By the other way an agent's key is one's own like any.
    assert_eq!(service.delete(&format!("{KEYS}/{}", agents[1]), &ada).at("id"), agents[1]);
}

#[test]
fn those_that_nobody_owns_are_listed_alone_too() {
    let service = Service::new();
    let nobodys = Caller::bearer(&service.ownerless_key(&["keys:manage"]));
    let ada = Caller::bearer(&service.sign_up(ADA));
    make(&service, &ada, &json!({}));
    let (id, _) = make(&service, &nobodys, &json!({}));
    assert_eq!(service.get(AGENT_KEYS, &nobodys).ids(), [id]);
    assert_eq!(service.get(KEYS, &nobodys).ids().len(), 2);
}

#[test]
fn what_an_agent_is_called_stays_whoever_writes_the_metadata_anew() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let (id, _) = make(&service, &ada, &json!({"metadata": {"team": "a"}}));
    let (agent, all) = (format!("{AGENT_KEYS}/{id}"), format!("{KEYS}/{id}"));
    assert_eq!(service.get(&all, &ada).document()["metadata"], json!({"app": "billing", "agent": "collector", "team": "a"}));
    assert_eq!(service.json("PATCH", &all, &ada, r#"{"metadata":{}}"#).status, 200);
    let told = service.get(&agent, &ada);
    assert_eq!((names(&told), &told.document()["metadata"]), ((json!("billing"), json!("collector")), &json!({})));
    assert_eq!(service.json("PATCH", &all, &ada, r#"{"metadata":{"app":"sales"}}"#).status, 200);
    assert_eq!(names(&service.get(&agent, &ada)), (json!("sales"), json!("collector")));
    assert_eq!(service.json("PATCH", &agent, &ada, r#"{"agent":"sorter"}"#).status, 200);
    assert_eq!(service.json("PATCH", &agent, &ada, r#"{"metadata":{"team":"b"}}"#).status, 200);
    let told = service.get(&agent, &ada);
    assert_eq!((names(&told), &told.document()["metadata"]), ((json!("sales"), json!("sorter")), &json!({"team": "b"})));
    // Of a key that is no agent's they are metadata like others.
    let (plain, _) = service.make_key(&ada, r#"{"name":"k","metadata":{"app":"x"}}"#);
    let changed = service.json("PATCH", &format!("{KEYS}/{plain}"), &ada, r#"{"metadata":{}}"#);
    assert_eq!(changed.document()["metadata"], json!({}));
}

#[test]
fn only_administrators_make_another_key_an_agents_or_an_agents_another() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up(ADA));
    let (plain, _) = service.make_key(&ada, r#"{"name":"k"}"#);
    let (agent, _) = make(&service, &ada, &json!({}));
    for (id, kind) in [(&plain, r#"{"kind":"agent"}"#), (&agent, r#"{"kind":null}"#)] {
        assert_eq!(service.json("PATCH", &format!("{KEYS}/{id}"), &ada, kind).wrong_fields(), ["kind"]);
        assert_eq!(service.json("PATCH", &format!("{KEYS}/{id}"), &root, kind).status, 200);
    }
    assert_eq!(service.get(AGENT_KEYS, &ada).ids(), std::slice::from_ref(&plain));
    assert_eq!(names(&service.get(&format!("{AGENT_KEYS}/{plain}"), &ada)), (Value::Null, Value::Null));
    assert_eq!(service.get(&format!("{AGENT_KEYS}/{agent}"), &ada).status, 404);
}

#[test]
fn a_key_that_looks_after_keys_looks_after_agents_keys_too() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let ada = Caller::bearer(&service.sign_up(ADA));
    let manages = Caller::bearer(&service.make_key(&ada, r#"{"name":"k","scopes":["keys:manage","read:all"]}"#).1);
    let (own, _) = make(&service, &manages, &json!({"scopes": ["read:all"]}));
    let (stronger, _) = make(&service, &ada, &json!({"scopes": ["write:all"]}));
    let (limited, _) = make(&service, &ada, &json!({}));
    assert_eq!(service.json("PATCH", &format!("{AGENT_KEYS}/{limited}"), &root, r#"{"limits":["9/second"]}"#).status, 200);
    let may = |id: &str| {
        let one = format!("{AGENT_KEYS}/{id}");
        let changed = service.json("PATCH", &one, &manages, r#"{"agent":"n"}"#).status;
        assert_eq!(service.json("POST", &format!("{one}/rotate"), &manages, "{}").status, changed);
        changed
    };
    assert_eq!((may(&own), may(&stronger), may(&limited)), (200, 403, 403));
    let beyond = with_names(&json!({"scopes": ["write:all"]})).to_string();
    assert_eq!(service.json("POST", AGENT_KEYS, &manages, &beyond).wrong_fields(), ["scopes[0]"]);
}

/// Else it could make itself a key that is bound to nothing.
#[test]
fn a_key_that_is_bound_to_paths_looks_after_no_keys() {
    let service = Service::new();
    let nobodys = Caller::bearer(&service.ownerless_key(&["keys:manage"]));
    let made = service.json("POST", ACCOUNTS, &nobodys, &json!({"email": "root@example.com", "password": PASSWORD}).to_string());
    assert_eq!(made.status, 201);
    let root = Caller::bearer(&service.token("root@example.com"));
    for pattern in ["/*", "/api/*", "/api/v1/user/*", "/api/v1/agent-keys"] {
        for scope in ["keys:manage", "keys:*"] {
            let (_, key) = make(&service, &root, &json!({"scopes": [scope], "resource_pattern": pattern}));
            let bound = Caller::bearer(&key);
            for path in [KEYS, AGENT_KEYS] {
                assert_eq!(service.get(path, &bound).status, 403, "{pattern}");
                assert_eq!(service.json("POST", path, &bound, &with_names(&json!({})).to_string()).status, 403, "{pattern}");
            }
        }
    }
    // And nobody's key makes no account.
    let fresh = Service::new();
    let nobodys = Caller::bearer(&fresh.ownerless_key(&["keys:manage"]));
    let (_, key) = make(&fresh, &nobodys, &json!({"scopes": ["keys:manage"], "resource_pattern": "/*"}));
    let account = json!({"email": "eve@example.com", "password": PASSWORD}).to_string();
    assert_eq!(fresh.json("POST", ACCOUNTS, &Caller::bearer(&key), &account).status, 403);
}

#[test]
fn a_bound_key_is_elsewhere_outside_its_paths() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let (id, key) = make(&service, &ada, &json!({"scopes": ["keys:manage"], "resource_pattern": "/jobs/*"}));
    let bound = Caller::bearer(&key);
    let denied = service.get(KEYS, &bound);
    assert_eq!((denied.status, &denied.document()["code"]), (403, &json!("forbidden")));
    assert_eq!(service.json("PATCH", &format!("{AGENT_KEYS}/{id}"), &ada, r#"{"resource_pattern":null}"#).status, 200);
    assert_eq!(service.get(KEYS, &bound).status, 200);
}
