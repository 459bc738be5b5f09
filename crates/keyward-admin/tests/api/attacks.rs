//! What has been tried at services like this one.

use std::task::{Context, Waker};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use keyward::Policy;
use keyward_admin::{Admin, SESSION_COOKIE};
use serde_json::json;
use sha2::Sha256;

use crate::client::{ACCOUNTS, Caller, FORM, JSON, KEYS, ORIGIN, PASSWORD, SESSIONS, Service, USER, form};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const LOG_IN: &str = "/api/v1/auth/login";
const LOG_OUT: &str = "/api/v1/auth/logout";
const CHANGE_PASSWORD: &str = "/api/v1/user/password";
const MOMENT: Duration = Duration::from_nanos(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// What pages of a session have in their forms.
pub(crate) fn form_token(session: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(session.as_bytes()).unwrap();
    mac.update(b"keyward-form-v1");
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[test]
fn a_planted_cookie_is_never_signed_in() {
    let service = Service::new();
    service.register(ADA, PASSWORD);
    let credentials = [("email", ADA), ("password", PASSWORD)];
    let made_up = format!("kws_{}", "A".repeat(43));
    let new = service.form(LOG_IN, &Caller::cookie(&made_up), &credentials).session();
    assert_ne!(new, made_up);
    assert!(!service.knows(&Caller::cookie(&made_up)) && !service.knows(&Caller::bearer(&made_up)));

    // One that was good: the attacker's own, in the victim's browser.
    let planted = service.sign_up("eve@example.com");
    let victims = service.form(LOG_IN, &Caller::cookie(&planted), &credentials).session();
    assert_eq!(service.get(USER, &Caller::cookie(&victims)).at("email"), ADA);
    assert!(!service.knows(&Caller::cookie(&planted)) && !service.knows(&Caller::bearer(&planted)));

    // And one's own from before.
    let next = service.form(LOG_IN, &Caller::cookie(&victims), &credentials).session();
    assert!(next != victims && !service.knows(&Caller::cookie(&victims)) && service.knows(&Caller::cookie(&next)));
    // A wrong password ends nothing.
    assert_eq!(service.form(LOG_IN, &Caller::cookie(&next), &[("email", ADA), ("password", "no geese")]).status, 401);
    assert!(service.knows(&Caller::cookie(&next)));
}

#[test]
fn another_sites_page_changes_nothing() {
    let service = Service::new();
    let root = service.first_administrator("root@example.com");
    let browser = Caller::silent_cookie(&root);
    let (key, _) = service.make_key(&browser, r#"{"name":"ci"}"#);
    let session = service.get(SESSIONS, &browser).ids().remove(0);
    service.register(ADA, PASSWORD);
    let account = service.id_of(&Caller::bearer(&service.token(ADA)));
    let (key, session, account) = (format!("{KEYS}/{key}"), format!("{SESSIONS}/{session}"), format!("{ACCOUNTS}/{account}"));
    let password = json!({ "password": PASSWORD }).to_string();
    let passwords = json!({"current_password": PASSWORD, "new_password": "seven teal walruses"}).to_string();
    let new_account = json!({"email": BOB, "password": PASSWORD}).to_string();
    let log_in = form(&[("email", ADA), ("password", PASSWORD)]);
    let register = form(&[("email", "eve@example.com"), ("password", PASSWORD)]);
    let rotate = format!("{key}/rotate");
    let changes = [
        ("POST", "/api/v1/auth/register", FORM, &*register),
        ("POST", LOG_IN, FORM, &log_in),
        ("POST", LOG_OUT, FORM, ""),
        ("PATCH", USER, JSON, r#"{"first_name":"Eve"}"#),
        ("DELETE", USER, JSON, &password),
        ("POST", CHANGE_PASSWORD, JSON, &passwords),
        ("DELETE", SESSIONS, JSON, ""),
        ("DELETE", &session, JSON, ""),
        ("POST", KEYS, JSON, r#"{"name":"eve"}"#),
        ("PATCH", &key, JSON, r#"{"name":"eve"}"#),
        ("DELETE", &key, JSON, ""),
        ("POST", &rotate, JSON, "{}"),
        ("POST", ACCOUNTS, JSON, &new_account),
        ("PATCH", &account, JSON, r#"{"is_admin":true}"#),
        ("DELETE", &account, JSON, ""),
    ];
    let everything = || {
        let paths = [USER, SESSIONS, "/api/v1/user/api-keys?owner=*", ACCOUNTS];
        paths.map(|path| service.get(path, &browser).document())
    };
    let before = everything();
    let foreign = [
        &[("origin", "https://evil.example")][..],
        &[("origin", "http://keys.example.com")],
        &[("origin", "https://keys.example.com:444")],
        &[("origin", "https://evil.keys.example.com")],
        &[("origin", "null")],
        &[("origin", ORIGIN), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
        // The own origin is what the policy says, whatever host is asked.
        &[("origin", "https://evil.example"), ("host", "evil.example"), ("x-forwarded-host", "evil.example")],
    ];
    for headers in foreign {
        for (method, path, content_type, body) in changes {
            let headers = [&[content_type], headers].concat();
            let refused = service.send(method, path, &browser, &headers, body.to_owned());
            assert_eq!(refused.status, 403, "{method} {path} {headers:?}: {refused:?}");
            assert!(!refused.headers.contains_key("set-cookie"), "{refused:?}");
            if content_type == FORM && path != LOG_OUT {
                // Nor is somebody signed in or up who has no session yet.
                let refused = service.send(method, path, &Caller::nobody(), &headers, body.to_owned());
                assert!(refused.status == 403 && !refused.headers.contains_key("set-cookie"), "{path} {headers:?}: {refused:?}");
            }
        }
    }
    assert_eq!(everything(), before);
    // What no browser sends by itself is not concerned.
    let headers = [JSON, ("origin", "https://evil.example")];
    assert_eq!(service.send("POST", KEYS, &Caller::bearer(&root), &headers, r#"{"name":"k"}"#).status, 201);
}

#[test]
fn a_form_that_does_not_say_from_where_carries_its_sessions_token() {
    let service = Service::new();
    let (token, other) = (service.sign_up(ADA), service.token(ADA));
    let browser = Caller::silent_cookie(&token);
    let bobs = service.sign_up(BOB);
    for wrong in ["", "x", &form_token(&other), &form_token(&bobs), &form_token(&token)[1..], &token] {
        let refused = service.form(LOG_OUT, &browser, &[("form_token", wrong)]);
        assert_eq!(refused.status, 403, "{wrong}");
    }
    assert_eq!(service.form(LOG_OUT, &browser, &[]).status, 403);
    let twice = [("form_token", &*form_token(&token)), ("form_token", &form_token(&token))];
    assert_eq!(service.form(LOG_OUT, &browser, &twice).status, 403);
    // JSON that is disguised as what a form can send.
    for disguise in
        ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "TEXT/PLAIN; charset=utf-8"]
    {
        let sent = service.send("POST", KEYS, &browser, &[("content-type", disguise)], r#"{"name":"eve"}"#);
        assert_eq!(sent.status, 403, "{disguise}");
        // From a page of ours it is what the route does not take.
        let sent = service.send("POST", KEYS, &Caller::cookie(&token), &[("content-type", disguise)], r#"{"name":"eve"}"#);
        assert_eq!(sent.status, 415, "{disguise}");
    }
    assert!(service.get(KEYS, &browser).ids().is_empty());
    assert_eq!(service.json("POST", KEYS, &browser, r#"{"name":"k"}"#).status, 201, "JSON needs no token");
    assert_eq!(service.form(LOG_OUT, &browser, &[("form_token", &form_token(&token))]).status, 303);
    assert!(!service.knows(&browser));
}

#[test]
fn a_session_cookie_that_is_there_twice_is_absent() {
    let service = Service::new();
    let (token, eves) = (service.sign_up(ADA), service.sign_up("eve@example.com"));
    let ada = format!("{SESSION_COOKIE}={token}");
    let nobody = Caller::nobody();
    for second in [format!("{SESSION_COOKIE}={eves}"), ada.clone(), format!("{SESSION_COOKIE}="), format!("{SESSION_COOKIE}=x")] {
        for (first, second) in [(&ada, &second), (&second, &ada)] {
            let line = format!("{first}; {second}");
            for headers in [&[("cookie", &*line)][..], &[("cookie", first), ("cookie", second)]] {
                assert_eq!(service.send("GET", USER, &nobody, headers, "").status, 401, "{headers:?}");
                let user = service.send("GET", USER, &Caller::bearer(&token), headers, "");
                assert_eq!((user.status, user.at("email").as_str()), (200, ADA), "a session as Bearer is not concerned");
            }
        }
    }
    for other in ["__Host-keyward_sessio=x", "__host-keyward_session=x", "keyward_session=x"] {
        let line = format!("{other}; {ada}");
        assert_eq!(service.send("GET", USER, &nobody, &[("cookie", &line)], "").status, 200, "{other}");
    }
}

#[test]
fn next_leads_to_nobody_else() {
    let service = Service::new();
    service.register(ADA, PASSWORD);
    let long = format!("/{}", "a".repeat(2_048));
    for next in [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/x\r\nset-cookie: a=b",
        "/\u{ff0f}evil.example",
        "",
        &long,
    ] {
        let reply = service.form(LOG_IN, &Caller::nobody(), &[("email", ADA), ("password", PASSWORD), ("next", next)]);
        assert_eq!((reply.status, reply.header("location")), (303, "/dashboard"), "{next:?}");
        assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 1, "{next:?}");
    }
    for next in ["/", "/dashboard/keys?after=1", &long[..2_048]] {
        let reply = service.form(LOG_IN, &Caller::nobody(), &[("email", ADA), ("password", PASSWORD), ("next", next)]);
        assert_eq!((reply.status, reply.header("location")), (303, next));
    }
}

#[test]
fn the_eleventh_guess_waits_a_quarter_of_an_hour_and_nobody_else_does() {
    let service = Service::new();
    let session = Caller::bearer(&service.sign_up(ADA));
    service.register(BOB, PASSWORD);
    service.clock.advance(HOUR / 2);
    let guess = |email: &str, password: &str| {
        let reply = service.log_in(email, password);
        (reply.status, reply.header("retry-after").to_owned(), reply.body)
    };
    for turn in 0..10 {
        let (known, unknown) = (guess(ADA, "no dozen mauve geese"), guess("nobody@example.com", "no dozen mauve geese"));
        assert_eq!(known.0, 401, "{turn}");
        assert_eq!(known, unknown, "{turn}");
    }
    let (right, wrong, unknown) = (guess(ADA, PASSWORD), guess(ADA, "x"), guess("nobody@example.com", PASSWORD));
    assert_eq!((right.0, &*right.1), (429, "900"));
    assert_eq!((&right, &right), (&wrong, &unknown));
    // However the address is written.
    assert_eq!(guess(" ADA@EXAMPLE.COM ", PASSWORD).0, 429);
    assert_eq!(service.get(USER, &session).status, 200, "who is signed in stays so");
    assert_eq!(guess(BOB, PASSWORD).0, 303, "another account is not concerned");
    service.come_from([192, 0, 2, 2]);
    assert_eq!(guess(ADA, PASSWORD).0, 303, "nor is another client");
    service.come_from([192, 0, 2, 1]);
    service.clock.advance(15 * MINUTE - MOMENT);
    assert_eq!(guess(ADA, PASSWORD).0, 429);
    service.clock.advance(MOMENT);
    assert_eq!(guess(ADA, PASSWORD).0, 303);
    assert_eq!(guess(ADA, "x").0, 401);
}

#[test]
fn an_open_browser_guesses_no_more_often() {
    for (method, path, body) in [
        ("POST", CHANGE_PASSWORD, r#"{"current_password":"PASSWORD","new_password":"seven teal walruses"}"#),
        ("DELETE", USER, r#"{"password":"PASSWORD"}"#),
    ] {
        let service = Service::new();
        let ada = Caller::cookie(&service.sign_up(ADA));
        for _ in 0..10 {
            assert_eq!(service.json(method, path, &ada, body).status, 400, "{path}");
        }
        let body = body.replace("PASSWORD", PASSWORD);
        assert_eq!(service.json(method, path, &ada, &body).status, 429, "{path}");
        assert_eq!(service.log_in(ADA, PASSWORD).status, 429, "it is the same count as at the sign-in page");
        assert_eq!(service.get(USER, &ada).status, 200);
        service.clock.advance(15 * MINUTE);
        assert_eq!(service.json(method, path, &ada, &body).status, 204, "{path}");
    }
}

/// Whoever knows the old password, too, and was a little slower, must not have the last word.
#[test]
fn of_two_who_change_one_password_at_once_one_does() {
    let service = Service::new();
    let owner = Caller::bearer(&service.sign_up(ADA));
    let thief = Caller::bearer(&service.token(ADA));
    let change = |new: &str| json!({"current_password": PASSWORD, "new_password": new}).to_string();
    let slower = service.answering("POST", CHANGE_PASSWORD, &thief, &[JSON], change("nine rust-red foxes"));
    let mut slower = std::pin::pin!(slower);
    // The account was read, and its password is being verified.
    assert!(slower.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(service.json("POST", CHANGE_PASSWORD, &owner, &change("seven teal walruses")).status, 204);
    let refused = pollster::block_on(slower);
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(service.log_in(ADA, "nine rust-red foxes").status, 401);
    assert_eq!(service.log_in(ADA, "seven teal walruses").status, 303);
}

#[test]
fn a_session_that_is_not_used_ends_after_an_hour() {
    for (wait, lives) in [(HOUR - MOMENT, true), (HOUR, false), (HOUR + MOMENT, false)] {
        let service = Service::new();
        let token = service.sign_up(ADA);
        service.clock.advance(wait);
        assert_eq!(service.knows(&Caller::bearer(&token)), lives, "{wait:?}");
        assert_eq!(service.knows(&Caller::cookie(&token)), lives, "{wait:?}");
    }
    let service = Service::with(|builder| builder.session_times(MINUTE * 5, HOUR));
    let ada = Caller::bearer(&service.sign_up(ADA));
    for _ in 0..3 {
        service.clock.advance(MINUTE * 5 - MOMENT);
        assert!(service.knows(&ada), "use makes it last");
    }
    service.clock.advance(MINUTE * 5);
    assert!(!service.knows(&ada));
}

#[test]
fn a_session_ends_after_a_day_however_much_it_is_used() {
    let service = Service::new();
    let ada = Caller::cookie(&service.sign_up(ADA));
    for _ in 0..47 {
        service.clock.advance(HOUR / 2);
        assert!(service.knows(&ada));
    }
    service.clock.advance(HOUR / 2 - MOMENT);
    assert!(service.knows(&ada));
    service.clock.advance(MOMENT);
    assert!(!service.knows(&ada));
}

#[test]
fn every_fault_is_told_at_once() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let fields = [("email", "no address"), ("password", "short"), ("confirm_password", "shorter"), ("first_name", "a\u{0}b")];
    let refused = service.form("/api/v1/auth/register", &Caller::nobody(), &fields);
    assert_eq!(refused.wrong_fields(), ["email", "first_name", "password", "confirm_password"]);
    let key = json!({"name": 1, "scopes": ["read:all", "not a scope", 3, "admin"], "expires_at": "tomorrow", "expires_in_days": 0,
        "allowed_ips": ["192.0.2.0/24", "300.1.1.1"], "metadata": {"a": 1}, "kind": "x", "limits": "x", "prefix": "-", "nme": "x"});
    let mut wrong = service.json("POST", KEYS, &ada, &key.to_string()).wrong_fields();
    wrong.sort();
    wrong.dedup();
    let expected = [
        "allowed_ips[1]",
        "expires_at",
        "expires_in_days",
        "kind",
        "limits",
        "metadata",
        "name",
        "nme",
        "prefix",
        "scopes[1]",
        "scopes[2]",
    ];
    assert_eq!(wrong, expected);
    assert!(service.get(KEYS, &ada).ids().is_empty());
    let refused = service.json("POST", CHANGE_PASSWORD, &ada, r#"{"new_password":1,"x":2}"#);
    assert_eq!(refused.wrong_fields(), ["current_password", "new_password", "x"]);
}

/// `[]` is neither nobody nor anybody, neither no quota nor the policy's: stores take a key that is for nobody for damage.
#[test]
fn an_empty_list_means_nothing() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let (id, _) = service.make_key(&root, r#"{"name":"k","allowed_ips":null,"limits":null}"#);
    let empty = r#"{"name":"k","allowed_ips":[],"limits":[]}"#;
    assert_eq!(service.json("POST", KEYS, &root, empty).wrong_fields(), ["allowed_ips", "limits"]);
    let changed = service.json("PATCH", &format!("{KEYS}/{id}"), &root, empty);
    assert_eq!(changed.wrong_fields(), ["allowed_ips", "limits"]);
    assert_eq!(service.get(KEYS, &root).ids(), [id]);
}

#[test]
fn a_body_is_read_up_to_its_bound() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let padded = |length: usize| r#"{"name":"k"}"#.to_owned() + &" ".repeat(length - 12);
    assert_eq!(service.json("POST", KEYS, &ada, &padded(Admin::LARGEST_BODY)).status, 201);
    assert_eq!(service.json("POST", KEYS, &ada, &padded(Admin::LARGEST_BODY + 1)).status, 413);
    // Before anybody is looked up.
    assert_eq!(service.json("POST", KEYS, &Caller::nobody(), &padded(Admin::LARGEST_BODY + 1)).status, 413);
    let fields = (0..65).map(|number| format!("f{number}=x")).collect::<Vec<_>>().join("&");
    assert_eq!(service.send("POST", LOG_IN, &Caller::nobody(), &[FORM], fields).status, 400);
}

#[test]
fn what_cannot_be_read_is_not_repeated() {
    let service = Service::new();
    let ada = Caller::bearer(&service.sign_up(ADA));
    let deep = "[".repeat(60_000);
    let bodies: [&[u8]; 12] = [
        b"hunter2hunter2",
        b"{\"name\":\"hunter2hunter2",
        b"{\"hunter2hunter2",
        b"{\"name\":hunter2hunter2}",
        b"{\"name\":\"hunter2hunter2\"}}",
        b"{\"name\":\"hunter2hunter2\",}",
        b"{\"name\":\"\\uhunter2hunter2\"}",
        b"{\"name\":\"hunter2hunter2\xff\"}",
        b"\"hunter2hunter2\"",
        b"[{\"name\":\"hunter2hunter2\"}]",
        // Of a field that is there twice, one reader takes the first and another the last.
        b"{\"name\":\"hunter2hunter2\",\"name\":\"hunter2hunter2\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        for (method, path) in [("POST", KEYS), ("PATCH", USER), ("POST", CHANGE_PASSWORD), ("DELETE", USER)] {
            let reply = service.send(method, path, &ada, &[JSON], body.to_vec());
            assert!(reply.status == 400 && !reply.text().contains("hunter2"), "{method} {path}: {reply:?}");
        }
    }
    for body in [&b"email=hunter2hunter2&email=hunter2hunter2"[..], b"hunter2hunter2=%ff", b"password=hunter2hunter2%ff"] {
        let reply = service.send("POST", LOG_IN, &Caller::nobody(), &[FORM], body.to_vec());
        assert!(reply.status == 400 && !reply.text().contains("hunter2"), "{reply:?}");
    }
}

#[test]
fn another_method_is_told_which_there_are() {
    let service = Service::new();
    let root = Caller::bearer(&service.first_administrator("root@example.com"));
    let (id, _) = service.make_key(&root, r#"{"name":"k"}"#);
    let (key, rotate) = (format!("{KEYS}/{id}"), format!("{KEYS}/{id}/rotate"));
    for (path, allowed) in [
        ("/api/v1/auth/register", "POST"),
        (LOG_IN, "POST"),
        (LOG_OUT, "POST"),
        (USER, "GET, HEAD, PATCH, DELETE"),
        (CHANGE_PASSWORD, "POST"),
        (SESSIONS, "GET, HEAD, DELETE"),
        ("/api/v1/user/sessions/x", "DELETE"),
        (KEYS, "GET, HEAD, POST"),
        (&key, "GET, HEAD, PATCH, DELETE"),
        (&rotate, "POST"),
        (ACCOUNTS, "GET, HEAD, POST"),
        ("/api/v1/accounts/x", "PATCH, DELETE"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"] {
            if !allowed.split(", ").any(|known| known == method) {
                let reply = service.send(method, path, &root, &[], "");
                assert_eq!((reply.status, reply.header("allow")), (405, allowed), "{method} {path}");
                assert_eq!(reply.body.is_empty(), method == "HEAD", "{method} {path}");
            }
        }
    }
    for path in [
        "/api/v1/user/",
        "/api/v1/user//api-keys",
        "/api/v1/user/api-keys/",
        "/api/v1/auth",
        "/api/v1/auth/",
        "/api/v1/auth/Login",
        "/api/v1/userx",
        "/API/v1/user",
        "/",
    ] {
        let reply = service.get(path, &root);
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[test]
fn bad_logins_and_bad_keys_are_one_failure_budget() {
    let policy =
        Policy::from_toml("policy.toml", "[access]\npublic_url = \"https://keys.example.com\"\n[limits]\nfailures = \"3/hour\"");
    let service = Service::with(|builder| builder.policy(policy.unwrap()));
    service.sign_up(ADA);
    // A right one costs nothing, a bad key as much as a bad login, whatever was wrong with it.
    assert_eq!(service.log_in(ADA, PASSWORD).status, 303);
    assert_eq!(service.log_in(ADA, "another mauve goose").status, 401);
    assert_eq!(service.get(USER, &Caller::bearer("kw_nothing")).status, 401);
    assert_eq!(service.log_in("nobody at all", PASSWORD).status, 401);
    // R3.2: nothing is tried any more, be it right or wrong.
    for password in [PASSWORD, "another mauve goose"] {
        let refused = service.log_in(ADA, password);
        assert_eq!((refused.status, refused.header("retry-after")), (429, "1200"), "{password}");
    }
    assert_eq!(service.get(USER, &Caller::bearer("kw_nothing")).status, 429);
    service.come_from([192, 0, 2, 99]);
    assert_eq!(service.log_in(ADA, PASSWORD).status, 303);
}
