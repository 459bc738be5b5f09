//! What people do, from signing up to the end of their account.

use std::time::Duration;

use serde_json::json;

use crate::client::{ACCOUNTS, Caller, KEYS, PASSWORD, SESSIONS, Service, USER};

const ADA: &str = "ada@example.com";
const MOMENT: Duration = Duration::from_nanos(1);

#[test]
fn a_taken_address_registers_like_a_free_one() {
    let service = Service::new();
    let (free, taken) = (service.register(ADA, PASSWORD), service.register("ADA@example.com", "another dozen geese"));
    assert_eq!((free.status, free.header("location")), (303, "/dashboard/login"));
    assert_eq!((taken.status, &taken.body), (free.status, &free.body));
    // Ids of requests differ, and nothing else does.
    let told = |reply: &crate::client::Reply| {
        let mut headers = reply.headers.clone();
        headers.remove("x-request-id");
        headers
    };
    assert_eq!(told(&free), told(&taken));
    assert!(!free.headers.contains_key("set-cookie"), "who registers is not signed in");
    // The account is the first one's.
    assert_eq!(service.log_in(ADA, "another dozen geese").status, 401);
    assert_eq!(service.log_in(ADA, PASSWORD).status, 303);
}

#[test]
fn a_session_counts_as_cookie_and_as_bearer_until_it_is_ended() {
    let service = Service::new();
    service.register(ADA, PASSWORD);
    let reply = service.log_in(ADA, PASSWORD);
    assert_eq!((reply.status, reply.header("location")), (303, "/dashboard"));
    let token = reply.session();
    for caller in [Caller::cookie(&token), Caller::bearer(&token)] {
        let user = service.get(USER, &caller);
        assert_eq!((user.status, user.at("email").as_str()), (200, ADA));
    }
    let out = service.form("/api/v1/auth/logout", &Caller::cookie(&token), &[]);
    assert_eq!((out.status, out.header("location")), (303, "/dashboard/login"));
    assert!(out.header("set-cookie").contains("=; Path=/; Max-Age=0; Secure; HttpOnly"), "{out:?}");
    for caller in [Caller::cookie(&token), Caller::bearer(&token)] {
        assert_eq!(service.get(USER, &caller).status, 401);
    }
    // As Bearer it can be ended, too; and ending nothing is no fault.
    let token = service.token(ADA);
    assert_eq!(service.form("/api/v1/auth/logout", &Caller::bearer(&token), &[]).status, 303);
    assert!(!service.knows(&Caller::cookie(&token)) && !service.knows(&Caller::bearer(&token)));
    assert_eq!(service.form("/api/v1/auth/logout", &Caller::nobody(), &[]).status, 303);
}

#[test]
fn a_key_is_shown_once() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let made = service.json("POST", KEYS, &ada, r#"{"name":"ci","scopes":["read:all"],"expires_in_days":1}"#);
    assert_eq!((made.status, made.header("cache-control"), made.header("referrer-policy")), (201, "no-store", "no-referrer"));
    let (id, key) = (made.at("id"), made.at("key"));
    let told = made.document();
    assert_eq!(told["scopes"], json!(["read:all"]));
    assert_eq!(
        (told["owner"].as_str().unwrap(), &told["expires_at"]),
        (&*service.id_of(&ada), &json!("2027-01-16T08:00:00.000Z"))
    );
    assert!(key.starts_with(made.at("key_prefix").as_str()) && key.len() > made.at("key_prefix").len() + 20, "{told}");
    assert!(!made.headers.contains_key("location"));
    // It is alive, and without the scope for it looks after nothing.
    assert_eq!(service.get(KEYS, &Caller::bearer(&key)).status, 403);

    let one = format!("{KEYS}/{id}");
    let rotate = format!("{one}/rotate");
    assert_eq!(service.get(&one, &ada).at("id"), id);
    assert_eq!(service.get(KEYS, &ada).ids(), [id]);
    assert_eq!(service.json("PATCH", &one, &ada, r#"{"name":"nightly"}"#).status, 200);
    let second = service.json("POST", &rotate, &ada, "{}").at("key");
    assert_eq!(service.delete(&one, &ada).status, 200);
    assert_eq!(service.get(&one, &ada).at("state"), "revoked");
    assert_eq!((service.answers_with(&key).len(), service.answers_with(&second).len()), (1, 1));
}

#[test]
fn a_listing_has_each_key_once_however_it_is_cut() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let bob = Caller::bearer(&service.sign_up("bob@example.com"));
    let mut made: Vec<String> = (0..5).map(|_| service.make_key(&ada, r#"{"name":"k"}"#).0).collect();
    service.make_key(&bob, r#"{"name":"k"}"#);
    made.sort();
    for limit in [1, 2, 4, 5, 6] {
        let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = service.get(&format!("{KEYS}?limit={limit}{after}"), &ada);
            assert!(page.status == 200 && page.ids().len() <= limit, "{page:?}");
            seen.extend(page.ids());
            pages += 1;
            match page.document()["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        seen.sort();
        assert_eq!((seen, pages), (made.clone(), 5_usize.div_ceil(limit)), "{limit}");
    }
    assert_eq!(service.delete(&format!("{KEYS}/{}", made[0]), &ada).status, 200);
    assert_eq!(service.get(&format!("{KEYS}?state=revoked"), &ada).ids(), [made[0].clone()]);
    assert_eq!(service.get(&format!("{KEYS}?state=live"), &ada).ids().len(), 4);
    let all = service.get(&format!("{KEYS}?limit=0&state=x&page=2&owner=*"), &ada);
    assert_eq!(all.wrong_fields(), ["page", "limit", "state", "owner"], "every fault is told");
}

#[test]
fn a_change_leaves_what_it_does_not_name_and_null_takes_away() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let fields = r#"{"name":"ci","scopes":["read:all","keys:manage"],"expires_in_days":9,"allowed_ips":["192.0.2.0/24"],"metadata":{"team":"a"}}"#;
    let (id, key) = service.make_key(&ada, fields);
    let one = format!("{KEYS}/{id}");
    let told = service.json("PATCH", &one, &ada, r#"{"name":"nightly","expires_at":null,"scopes":["keys:manage"]}"#).document();
    assert_eq!((&told["name"], &told["expires_at"], &told["scopes"]), (&json!("nightly"), &json!(null), &json!(["keys:manage"])));
    assert_eq!((&told["allowed_ips"], &told["metadata"]), (&json!(["192.0.2.0/24"]), &json!({"team": "a"})));
    let key = Caller::bearer(&key);
    assert_eq!(service.get(KEYS, &key).status, 200);
    let disabled = service.json("PATCH", &one, &ada, r#"{"disabled":true}"#);
    assert_eq!((disabled.status, &disabled.document()["disabled"]), (200, &json!(true)));
    assert_eq!(service.get(KEYS, &key).status, 401);
    assert_eq!(service.json("PATCH", &one, &ada, r#"{"disabled":false}"#).status, 200);
    assert_eq!(service.get(KEYS, &key).status, 200);
}

#[test]
fn a_rotated_key_ends_at_once_or_with_its_grace() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let (id, first) = service.make_key(&ada, r#"{"name":"ci"}"#);
    let rotate = format!("{KEYS}/{id}/rotate");
    // No body is no grace.
    let second = service.send("POST", &rotate, &ada, &[], "").at("key");
    assert!(!service.knows(&Caller::bearer(&first)) && service.knows(&Caller::bearer(&second)));
    let third = service.json("POST", &rotate, &ada, r#"{"grace_seconds":60}"#);
    assert_eq!((third.status, third.at("id")), (200, id));
    let third = third.at("key");
    service.clock.advance(Duration::from_secs(60) - MOMENT);
    assert!(service.knows(&Caller::bearer(&second)) && service.knows(&Caller::bearer(&third)));
    service.clock.advance(MOMENT);
    assert!(!service.knows(&Caller::bearer(&second)) && service.knows(&Caller::bearer(&third)));
}

#[test]
fn revoking_twice_is_revoking_once() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let (id, key) = service.make_key(&ada, r#"{"name":"ci"}"#);
    let one = format!("{KEYS}/{id}");
    let first = service.delete(&one, &ada);
    assert_eq!((first.status, first.at("id")), (200, id));
    assert!(!service.knows(&Caller::bearer(&key)));
    service.clock.advance(Duration::from_secs(5));
    let second = service.delete(&one, &ada);
    assert_eq!((second.status, second.document()), (200, first.document()));
    // And it is final.
    assert_eq!(service.json("POST", &format!("{one}/rotate"), &ada, "{}").status, 409);
    assert_eq!(service.json("PATCH", &one, &ada, r#"{"disabled":false}"#).status, 409);
}

#[test]
fn a_new_password_ends_every_session_and_begins_one_with_a_new_id() {
    const NEW: &str = "seven teal walruses";
    let service = Service::new();
    let (asking, other) = (service.sign_up(ADA), service.token(ADA));
    let (ada, path) = (Caller::cookie(&asking), "/api/v1/user/password");
    let body = |current: &str, new: &str| format!(r#"{{"current_password":"{current}","new_password":"{new}"}}"#);
    assert_eq!(service.json("POST", path, &ada, &body("no dozen mauve geese", NEW)).wrong_fields(), ["current_password"]);
    assert_eq!(service.json("POST", path, &ada, &body(PASSWORD, "short")).wrong_fields(), ["new_password"]);
    assert!(service.knows(&ada) && service.knows(&Caller::bearer(&other)));
    let changed = service.json("POST", path, &ada, &body(PASSWORD, NEW));
    assert_eq!(changed.status, 204, "{changed:?}");
    let new = changed.session();
    assert!(![&asking, &other].contains(&&new));
    assert!(!service.knows(&ada) && !service.knows(&Caller::bearer(&other)) && service.knows(&Caller::cookie(&new)));
    assert_eq!((service.log_in(ADA, PASSWORD).status, service.log_in(ADA, NEW).status), (401, 303));
}

#[test]
fn a_new_password_by_bearer_leaves_no_session_that_nobody_holds() {
    const NEW: &str = "seven teal walruses";
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let body = json!({"current_password": PASSWORD, "new_password": NEW}).to_string();
    let changed = service.json("POST", "/api/v1/user/password", &ada, &body);
    assert!(changed.status == 204 && !changed.headers.contains_key("set-cookie"), "{changed:?}");
    assert!(!service.knows(&ada));
    let ada = Caller::bearer(&service.log_in(ADA, NEW).session());
    assert_eq!(service.get(SESSIONS, &ada).ids().len(), 1);
}

#[test]
fn people_rename_themselves() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let told = service.json("PATCH", USER, &ada, r#"{"first_name":"Ada","last_name":"Lovelace"}"#).document();
    assert_eq!((&told["first_name"], &told["last_name"]), (&json!("Ada"), &json!("Lovelace")));
    let told = service.json("PATCH", USER, &ada, r#"{"last_name":"King"}"#).document();
    assert_eq!((&told["first_name"], &told["last_name"]), (&json!("Ada"), &json!("King")));
    let refused = service.json("PATCH", USER, &ada, r#"{"first_name":1,"is_admin":true,"email":"eve@example.com"}"#);
    assert_eq!(refused.wrong_fields(), ["first_name", "email", "is_admin"]);
    assert_eq!(service.get(USER, &ada).document(), told);
}

#[test]
fn people_end_their_sessions_one_by_one_or_all_others() {
    let service = Service::new();
    let tokens: Vec<String> = (0..3).map(|turn| if turn == 0 { service.sign_up(ADA) } else { service.token(ADA) }).collect();
    let callers: Vec<Caller> = tokens.iter().map(|token| Caller::bearer(token)).collect();
    let list = service.get(SESSIONS, &callers[0]).document();
    let items = list["items"].as_array().unwrap();
    assert_eq!((items.len(), items.iter().filter(|item| item["current"] == true).count()), (3, 1));
    assert!(items.iter().all(|item| item["network"] == "192.0.2.0/24"), "{list}");
    let own = |caller: &Caller| {
        let list = service.get(SESSIONS, caller).document();
        let current = list["items"].as_array().unwrap().iter().find(|item| item["current"] == true).unwrap().clone();
        current["id"].as_str().unwrap().to_owned()
    };
    let second = format!("{SESSIONS}/{}", own(&callers[1]));
    assert_eq!(service.delete(&second, &callers[0]).status, 204);
    assert_eq!(service.delete(&second, &callers[0]).status, 404);
    assert!(service.knows(&callers[0]) && !service.knows(&callers[1]) && service.knows(&callers[2]));
    assert_eq!(service.delete(SESSIONS, &callers[0]).status, 204);
    assert!(service.knows(&callers[0]) && !service.knows(&callers[2]));
    assert_eq!(service.get(SESSIONS, &callers[0]).ids(), [own(&callers[0])]);
}

#[test]
fn a_deleted_account_takes_its_keys_and_sessions_with_it() {
    let service = Service::new();
    let (token, other) = (service.sign_up(ADA), service.token(ADA));
    let ada = Caller::cookie(&token);
    let bob = Caller::bearer(&service.sign_up("bob@example.com"));
    let key = Caller::bearer(&service.make_key(&ada, r#"{"name":"ci"}"#).1);
    let bobs = Caller::bearer(&service.make_key(&bob, r#"{"name":"ci"}"#).1);
    assert_eq!(service.json("DELETE", USER, &ada, r#"{"password":"no dozen mauve geese"}"#).wrong_fields(), ["password"]);
    assert!(service.knows(&key));
    let gone = service.json("DELETE", USER, &ada, &json!({"password": PASSWORD}).to_string());
    assert!(gone.status == 204 && gone.header("set-cookie").contains("Max-Age=0"), "{gone:?}");
    for caller in [&ada, &Caller::bearer(&other), &key] {
        assert!(!service.knows(caller), "{caller:?}");
    }
    assert!(service.knows(&bob) && service.knows(&bobs));
    assert_eq!(service.log_in(ADA, PASSWORD).status, 401);
    // Whoever takes the address has nothing of what was there.
    let again = Caller::bearer(&service.sign_up(ADA));
    assert!(service.get(KEYS, &again).ids().is_empty());
}

#[test]
fn the_first_account_is_an_administrators_and_only_the_first() {
    let service = Service::new();
    let account = |email: &str| json!({"email": email, "password": PASSWORD}).to_string();
    let weak = Caller::bearer(&service.ownerless_key(&["read:all"]));
    assert_eq!(service.json("POST", ACCOUNTS, &weak, &account("root@example.com")).status, 403);
    let first = Caller::bearer(&service.ownerless_key(&["keys:manage"]));
    let made = service.json("POST", ACCOUNTS, &first, &account("root@example.com"));
    assert_eq!((made.status, &made.document()["is_admin"]), (201, &json!(true)));
    assert_eq!(service.json("POST", ACCOUNTS, &first, &account("eve@example.com")).status, 409);
    assert_eq!(service.log_in("eve@example.com", PASSWORD).status, 401);

    // Somebody who registered before is an account, too.
    let service = Service::new();
    service.register(ADA, PASSWORD);
    let first = Caller::bearer(&service.ownerless_key(&["keys:manage"]));
    assert_eq!(service.json("POST", ACCOUNTS, &first, &account("root@example.com")).status, 409);
}

#[test]
fn administrators_look_after_everybodys_accounts_and_keys() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let made = service.json("POST", ACCOUNTS, &root, &json!({"email": ADA, "password": PASSWORD}).to_string());
    assert_eq!((made.status, &made.document()["is_admin"]), (201, &json!(false)));
    let ada = Caller::bearer(&service.token(ADA));
    let (id, key) = service.make_key(&ada, r#"{"name":"ci"}"#);
    let (account, key) = (format!("{ACCOUNTS}/{}", made.at("id")), Caller::bearer(&key));

    assert_eq!(service.get(ACCOUNTS, &root).ids().len(), 2);
    let page = service.get(&format!("{ACCOUNTS}?limit=1"), &root);
    let rest = service.get(&format!("{ACCOUNTS}?limit=1&after={}", page.at("next")), &root);
    assert!(page.ids().len() == 1 && rest.ids().len() == 1 && page.ids() != rest.ids());
    assert!(rest.document()["next"].is_null());

    assert!(service.get(KEYS, &root).ids().iter().all(|own| *own != id), "a listing is of one's own, unless others are named");
    assert_eq!(service.get(&format!("{KEYS}?owner={}", made.at("id")), &root).ids(), vec![id.clone()]);
    assert!(service.get(&format!("{KEYS}?owner=*"), &root).ids().contains(&id));
    let limited = service.json("PATCH", &format!("{KEYS}/{id}"), &root, r#"{"kind":"batch","limits":["5/minute"]}"#);
    assert_eq!((limited.status, limited.at("kind").as_str()), (200, "batch"));

    assert_eq!(service.json("PATCH", &account, &root, r#"{"is_admin":true}"#).status, 200);
    assert!(!service.knows(&ada), "a session does not gain rights");
    let ada = Caller::bearer(&service.token(ADA));
    assert_eq!(service.get(ACCOUNTS, &ada).status, 200);
    assert_eq!(service.json("PATCH", &account, &root, r#"{"is_admin":false}"#).status, 200);
    assert!(!service.knows(&ada), "nor does it keep them");
    let ada = Caller::bearer(&service.token(ADA));
    assert_eq!(service.get(ACCOUNTS, &ada).status, 403);
    assert_eq!(service.json("PATCH", &account, &root, r#"{"disabled":true}"#).status, 200);
    assert!(!service.knows(&ada));
    assert_eq!(service.log_in(ADA, PASSWORD).status, 401);
    let own = format!("{ACCOUNTS}/{}", service.id_of(&root));
    assert_eq!(service.json("PATCH", &own, &root, r#"{"is_admin":false}"#).status, 409);
    assert_eq!(service.delete(&own, &root).status, 409);
    assert_eq!(service.delete(&account, &root).status, 204);
    assert!(!service.knows(&key));
    assert_eq!(service.delete(&account, &root).status, 404);
}
