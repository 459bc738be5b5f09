//! What an application's clients see: ids that are numbers, and errors in the policy's own shape and words.

use keyward::Policy;
use serde_json::{Value, json};

use crate::client::{Caller, KEYS, ORIGIN, Service};

#[test]
fn keys_are_called_by_numbers_in_every_answer_and_every_path() {
    let service = Service::with(|builder| builder.numbered_keys());
    let (ada, bob) = (Caller::bearer(&service.sign_up("ada@example.com")), Caller::bearer(&service.sign_up("bob@example.com")));
    for (number, who) in [(1, &ada), (2, &bob), (3, &ada)] {
        let made = service.json("POST", KEYS, who, r#"{"name":"k","scopes":["read:all"]}"#);
        assert_eq!((made.status, &made.document()["id"]), (201, &json!(number)), "{made:?}");
        let told = made.document();
        assert!(told["key"].is_string() && told["name"] == "k" && told["scopes"] == json!(["read:all"]), "{told}");
    }
    let ids = |reply: &crate::client::Reply| {
        reply.document()["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect::<Vec<Value>>()
    };
    let first = service.get(&format!("{KEYS}?limit=1"), &ada);
    assert_eq!((ids(&first), &first.document()["next"]), (vec![json!(1)], &json!("1")));
    assert_eq!(ids(&service.get(&format!("{KEYS}?limit=1&after=1"), &ada)), [json!(3)]);
    assert_eq!(service.get(&format!("{KEYS}?after=01"), &ada).wrong_fields(), ["after"]);

    let one = format!("{KEYS}/3");
    assert_eq!(service.get(&one, &ada).document()["id"], json!(3));
    assert_eq!(service.json("PATCH", &one, &ada, r#"{"name":"nightly"}"#).document()["id"], json!(3));
    assert_eq!(service.json("POST", &format!("{one}/rotate"), &ada, "{}").document()["id"], json!(3));
    assert_eq!(service.delete(&one, &ada).document()["id"], json!(3));
    assert_eq!(service.get(&one, &ada).document()["state"], "revoked");
    // Somebody else's is not there, and neither is any other spelling, the store's own included.
    for path in ["2", "4", "0", "03", "+3", "000000000003", "3.0", "-3"] {
        assert_eq!(service.get(&format!("{KEYS}/{path}"), &ada).status, 404, "{path}");
    }
}

#[test]
fn pages_call_keys_by_their_numbers() {
    let service = Service::with(|builder| builder.numbered_keys());
    let token = service.sign_up("ada@example.com");
    assert_eq!(service.json("POST", KEYS, &Caller::bearer(&token), r#"{"name":"k"}"#).status, 201);
    let ada = Caller::cookie(&token);
    let list = service.get("/dashboard/keys", &ada);
    assert!(list.text().contains("/dashboard/keys/1\""), "{}", list.text());
    assert_eq!(service.get("/dashboard/keys/1", &ada).status, 200);
    assert!(!list.text().contains("000000000001"));
}

#[test]
fn a_key_that_was_made_elsewhere_keeps_its_id() {
    let service = Service::with(|builder| builder.numbered_keys());
    let first = Caller::bearer(&service.ownerless_key(&["keys:manage"]));
    let listed = service.get(KEYS, &first).document();
    let id = listed["items"][0]["id"].as_str().expect("a text");
    assert_eq!(service.get(&format!("{KEYS}/{id}"), &first).document()["id"], id);
    assert_eq!(service.json("POST", KEYS, &first, r#"{"name":"k"}"#).document()["id"], json!(1));
}

#[test]
fn errors_are_told_in_the_member_and_the_words_of_the_policy() {
    for (body, member) in [("detail", "detail"), ("error", "error")] {
        let policy = Policy::builder()
            .public_url(ORIGIN)
            .body(body)
            .text_missing("Authentication required")
            .text_unauthorized("Invalid API key")
            .text_forbidden_scope("Insufficient permissions for this operation")
            .build()
            .unwrap();
        let service = Service::with(|builder| builder.policy(policy));
        let ada = Caller::bearer(&service.sign_up("ada@example.com"));
        let (_, key) = service.make_key(&ada, r#"{"name":"k","scopes":["read:all"]}"#);
        for (caller, status, text) in [
            (Caller::nobody(), 401, "Authentication required"),
            (Caller::bearer("no such key"), 401, "Invalid API key"),
            (Caller::bearer("kws_none"), 401, "Invalid API key"),
            (Caller::bearer(&key), 403, "Insufficient permissions for this operation"),
        ] {
            for (method, path) in [("GET", KEYS), ("POST", KEYS), ("DELETE", "/api/v1/user/api-keys/1")] {
                let refused = service.send(method, path, &caller, &[], "");
                assert_eq!((refused.status, refused.document()), (status, json!({ member: text })), "{method} {path}");
            }
        }
        let missing = service.get("/api/v1/user/api-keys/none", &ada);
        assert_eq!((missing.status, missing.document()), (404, json!({ member: "There is nothing here." })));
        assert_eq!(missing.header("content-type"), "application/json");
        let wrong = service.json("POST", KEYS, &ada, r#"{"name":"","scopes":["admin"]}"#);
        assert_eq!(wrong.wrong_fields(), ["name", "scopes[0]"]);
        assert!(wrong.document()[member].as_str().unwrap().contains("`scopes[0]` is not yours to give"), "{wrong:?}");
        assert_eq!(wrong.document().as_object().unwrap().len(), 2);
    }
}
