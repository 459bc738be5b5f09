//! Every page and every form of the dashboard for everybody: what is somebody else's is not there, what is an administrator's is
//! forbidden to others, and no key gets in.

use std::collections::BTreeSet;

use crate::attacks::form_token;
use crate::client::{ACCOUNTS, Caller, FORM, PASSWORD, Reply, Service, form};

/// Those who ask, in the order of the table. Who may end what is asked about, or what they ask with, comes last.
const VISITORS: [&str; 6] = [
    "nobody",
    "a session of an account that is switched off",
    "an administrator's key with keys:manage and admin",
    "another user",
    "its owner",
    "an administrator",
];

/// Method, path, fields, and what each visitor is answered. `{key}`, `{session}` and `{account}` are Ada's, the owner.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], [u16; VISITORS.len()]);

const NO_FIELDS: &[(&str, &str)] = &[];
const NEW_PASSWORD: &str = "seven teal walruses";
const SIGN_IN: &[(&str, &str)] = &[("email", "ada@example.com"), ("password", PASSWORD)];
const SIGN_UP: &[(&str, &str)] = &[("email", "n@example.com"), ("password", PASSWORD), ("confirm_password", PASSWORD)];
const CHANGED: &[(&str, &str)] =
    &[("current_password", PASSWORD), ("new_password", NEW_PASSWORD), ("confirm_password", NEW_PASSWORD)];

const ROWS: [Row; 50] = [
    // To sign in and up is everybody's; who is signed in already is led on.
    ("GET", "/dashboard/login", NO_FIELDS, [200, 200, 200, 303, 303, 303]),
    ("POST", "/dashboard/login", SIGN_IN, [303, 303, 303, 303, 303, 303]),
    ("GET", "/dashboard/register", NO_FIELDS, [200, 200, 200, 200, 200, 200]),
    ("POST", "/dashboard/register", SIGN_UP, [303, 303, 303, 303, 303, 303]),
    ("GET", "/dashboard/keyward.css", NO_FIELDS, [200, 200, 200, 200, 200, 200]),
    ("GET", "/dashboard/keyward.js", NO_FIELDS, [200, 200, 200, 200, 200, 200]),
    ("GET", "/dashboard", NO_FIELDS, [303, 303, 403, 303, 303, 303]),
    ("GET", "/dashboard/keys", NO_FIELDS, [303, 303, 403, 200, 200, 200]),
    ("POST", "/dashboard/keys", &[("name", "k")], [303, 303, 403, 201, 201, 201]),
    ("GET", "/dashboard/keys/new", NO_FIELDS, [303, 303, 403, 200, 200, 200]),
    ("GET", "/dashboard/keys/{key}", NO_FIELDS, [303, 303, 403, 404, 200, 200]),
    ("POST", "/dashboard/keys/{key}/rotate", &[("grace_seconds", "0")], [303, 303, 403, 404, 200, 200]),
    ("GET", "/dashboard/keys/{key}/disable", NO_FIELDS, [303, 303, 403, 404, 200, 200]),
    ("POST", "/dashboard/keys/{key}/disable", NO_FIELDS, [303, 303, 403, 404, 303, 303]),
    ("GET", "/dashboard/keys/{key}/enable", NO_FIELDS, [303, 303, 403, 404, 200, 200]),
    ("POST", "/dashboard/keys/{key}/enable", NO_FIELDS, [303, 303, 403, 404, 303, 303]),
    ("GET", "/dashboard/keys/{key}/revoke", NO_FIELDS, [303, 303, 403, 404, 200, 200]),
    ("POST", "/dashboard/keys/{key}/revoke", NO_FIELDS, [303, 303, 403, 404, 303, 303]),
    ("GET", "/dashboard/keys/{key}/nothing", NO_FIELDS, [303, 303, 403, 404, 404, 404]),
    ("GET", "/dashboard/audit", NO_FIELDS, [303, 303, 403, 200, 200, 200]),
    ("GET", "/dashboard/sessions", NO_FIELDS, [303, 303, 403, 200, 200, 200]),
    ("POST", "/dashboard/sessions/end-others", NO_FIELDS, [303, 303, 403, 303, 303, 303]),
    ("POST", "/dashboard/sessions/{session}/end", NO_FIELDS, [303, 303, 403, 404, 303, 404]),
    ("GET", "/dashboard/account", NO_FIELDS, [303, 303, 403, 200, 200, 200]),
    ("POST", "/dashboard/account/name", &[("first_name", "A"), ("last_name", "B")], [303, 303, 403, 303, 303, 303]),
    ("POST", "/dashboard/account/password", CHANGED, [303, 303, 403, 303, 303, 303]),
    // The last administrator stays.
    ("POST", "/dashboard/account/delete", &[("password", PASSWORD)], [303, 303, 403, 303, 303, 409]),
    ("GET", "/dashboard/all-keys", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("GET", "/dashboard/all-keys?owner={account}", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("GET", "/dashboard/accounts", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts", SIGN_UP, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/new", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("GET", "/dashboard/accounts/{account}", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("GET", "/dashboard/accounts/{account}/disable", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts/{account}/disable", NO_FIELDS, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/{account}/enable", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts/{account}/enable", NO_FIELDS, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/{account}/make-administrator", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts/{account}/make-administrator", NO_FIELDS, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/{account}/withdraw-administrator", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts/{account}/withdraw-administrator", NO_FIELDS, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/{account}/end-sessions", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts/{account}/end-sessions", NO_FIELDS, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/{account}/delete", NO_FIELDS, [303, 303, 403, 403, 403, 200]),
    ("POST", "/dashboard/accounts/{account}/delete", NO_FIELDS, [303, 303, 403, 403, 403, 303]),
    ("GET", "/dashboard/accounts/{account}/nothing", NO_FIELDS, [303, 303, 403, 404, 404, 404]),
    ("GET", "/dashboard/nothing", NO_FIELDS, [303, 303, 403, 404, 404, 404]),
    // What there is, under another method.
    ("PUT", "/dashboard/keys", NO_FIELDS, [405, 405, 405, 405, 405, 405]),
    ("GET", "/dashboard/keys/{key}/rotate", NO_FIELDS, [303, 303, 403, 405, 405, 405]),
    ("POST", "/dashboard/logout", NO_FIELDS, [303, 303, 403, 303, 303, 303]),
];

/// Who asks, by a header or a cookie, and what the forms of their pages carry.
struct Visitor {
    caller: Caller,
    token: String,
}

impl Visitor {
    fn signed_in(session: &str) -> Self {
        Self { caller: Caller::cookie(session), token: form_token(session) }
    }

    /// A browser with the cookie that ties the forms of strangers to it.
    fn stranger(caller: Caller) -> Self {
        let value = "one-browser";
        Self { caller: caller.with("cookie", format!("__Host-keyward_form={value}")), token: form_token(value) }
    }
}

struct Tenants {
    service: Service,
    visitors: Vec<Visitor>,
    key: String,
    session: String,
    account: String,
}

fn tenants() -> Tenants {
    let service = Service::new();
    let root = service.first_administrator("root@example.com");
    let (ada, bob, eve) =
        (service.sign_up("ada@example.com"), service.sign_up("bob@example.com"), service.sign_up("eve@example.com"));
    let as_root = Caller::bearer(&root);
    let gone = format!("{ACCOUNTS}/{}", service.id_of(&Caller::bearer(&eve)));
    assert_eq!(service.json("PATCH", &gone, &as_root, r#"{"disabled":true}"#).status, 200);
    let (_, key) = service.make_key(&as_root, r#"{"name":"k","scopes":["keys:manage","admin"]}"#);
    let doomed = Caller::bearer(&service.token("ada@example.com"));
    let sessions = service.get("/api/v1/user/sessions", &doomed).document();
    let session = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
    let session = session["id"].as_str().unwrap().to_owned();
    let visitors = vec![
        Visitor::stranger(Caller::nobody()),
        // Its cookie is worth nothing, so that its forms are a stranger's.
        Visitor::stranger(Caller::cookie(&eve)),
        Visitor::stranger(Caller::bearer(&key)),
        Visitor::signed_in(&bob),
        Visitor::signed_in(&ada),
        Visitor::signed_in(&root),
    ];
    let asked_about = service.make_key(&Caller::bearer(&ada), r#"{"name":"asked about"}"#).0;
    Tenants { key: asked_about, session, account: service.id_of(&Caller::bearer(&ada)), visitors, service }
}

impl Tenants {
    fn ask(&self, visitor: &Visitor, (method, path, fields, _): &Row) -> Reply {
        let path = path.replace("{key}", &self.key).replace("{session}", &self.session).replace("{account}", &self.account);
        if *method == "GET" {
            return self.service.send(method, &path, &visitor.caller, &[], "");
        }
        let fields = form(&[&[("form_token", visitor.token.as_str())], *fields].concat());
        self.service.send(method, &path, &visitor.caller, &[FORM], fields)
    }
}

#[test]
fn every_page_and_form_for_everybody() {
    let looked_at = tenants();
    for row in &ROWS {
        let fresh = (row.0 != "GET").then(tenants);
        let tenants = fresh.as_ref().unwrap_or(&looked_at);
        for ((name, visitor), expected) in VISITORS.iter().zip(&tenants.visitors).zip(row.3) {
            let reply = tenants.ask(visitor, row);
            assert_eq!(reply.status, expected, "{} {} by {name}: {}", row.0, row.1, reply.text());
            // Who is not signed in is led to where people do, and nothing was done.
            let is_turned_away = !row.1.contains("/log") && !row.1.contains("/register") && expected == 303;
            let is_known = !matches!(*name, "nobody" | "a session of an account that is switched off");
            assert_eq!(is_turned_away && !is_known, reply.header("location").starts_with("/dashboard/login?next="), "{row:?}");
        }
    }
}

/// The routes as the source writes them: `(["sessions", id, "end"], true) =>`, where `true` is a POST.
fn routes_in_the_source() -> BTreeSet<String> {
    let source = include_str!("../../src/dashboard/mod.rs");
    let arms = source.lines().map(str::trim).filter(|line| line.starts_with("([") && line.contains(") =>"));
    let mut routes = BTreeSet::new();
    for arm in arms.filter(|arm| !arm.contains("Refusal::")) {
        let (patterns, _) = arm.split_once(") =>").unwrap();
        let (patterns, method) = patterns[1..].rsplit_once(", ").unwrap();
        let methods: &[&str] = match method {
            "false" => &["GET"],
            "true" => &["POST"],
            "_" => &["GET", "POST"],
            // Whoever is signed in or not: `(["logout"], None) if is_post`.
            "None" => continue,
            other => panic!("no test knows what {other} is in {arm}"),
        };
        for pattern in patterns.split(" | ") {
            let segments =
                pattern.trim_matches(['[', ']']).split(", ").filter(|segment| !segment.is_empty() && *segment != "\"\"");
            let path: String = segments
                .map(|segment| format!("/{}", if segment.starts_with('"') { segment.trim_matches('"') } else { "{}" }))
                .collect();
            routes.extend(methods.iter().map(|method| format!("{method} {path}")));
        }
    }
    routes
}

/// What the sources call the last segment of `/keys/{}/{}` and `/accounts/{}/{}`.
fn actions(source: &str) -> Vec<String> {
    let paths = source.lines().filter_map(|line| line.trim().split_once(" => \"")?.1.strip_suffix("\","));
    let actions: Vec<String> = paths.map(str::to_owned).collect();
    assert!(actions.len() >= 3, "{actions:?}");
    actions
}

#[test]
fn no_page_or_form_is_missing_in_the_table() {
    let in_table: BTreeSet<String> = ROWS
        .iter()
        .filter(|row| !row.1.contains("nothing") && !row.3.contains(&405))
        .map(|(method, path, ..)| {
            let path = path.split('?').next().unwrap().strip_prefix("/dashboard").unwrap();
            format!("{method} {}", path.replace("{key}", "{}").replace("{session}", "{}").replace("{account}", "{}"))
        })
        .collect();
    let mut in_source = BTreeSet::new();
    for route in routes_in_the_source() {
        match route.split_once("/{}/{}") {
            None => _ = in_source.insert(route),
            Some((start, _)) => {
                let source = match start.split_once('/').unwrap().1 {
                    "keys" => include_str!("../../src/dashboard/key_action.rs"),
                    "accounts" => include_str!("../../src/dashboard/account_action.rs"),
                    other => panic!("no test knows the actions of {other}"),
                };
                in_source.extend(actions(source).iter().map(|action| format!("{start}/{{}}/{action}")));
            }
        }
    }
    in_source.extend(["GET /keyward.css".to_owned(), "GET /keyward.js".to_owned()]);
    assert_eq!(in_source, in_table);
}

#[test]
fn forms_do_nothing_without_the_token_of_whoever_sends_them() {
    let tenants = tenants();
    let [bob, ada, root] = &tenants.visitors[3..] else { panic!("three people") };
    for row in ROWS.iter().filter(|row| row.0 == "POST") {
        for (sender, token) in [(ada, ""), (ada, bob.token.as_str()), (root, ""), (root, &*ada.token)] {
            let visitor = Visitor { caller: sender.caller.clone(), token: token.to_owned() };
            assert_eq!(tenants.ask(&visitor, row).status, 403, "{} {}", row.0, row.1);
        }
    }
    let ask = |visitor: &Visitor, path: &str| tenants.service.get(path, &visitor.caller).status;
    assert_eq!((ask(ada, "/dashboard/keys"), ask(root, "/dashboard/accounts")), (200, 200), "they are still signed in");
    assert_eq!(ask(root, &format!("/dashboard/accounts/{}", tenants.account)), 200, "and nothing is gone");
}

#[test]
fn what_administrators_do_to_an_account_takes_hold() {
    let tenants = tenants();
    let (service, [_, ada, root]) = (&tenants.service, &tenants.visitors[3..]) else { panic!("three people") };
    let one = format!("/dashboard/accounts/{}", tenants.account);
    let act = |action: &str| {
        let fields = form(&[("form_token", &root.token)]);
        let reply = service.send("POST", &format!("{one}/{action}"), &root.caller, &[FORM], fields);
        assert_eq!((reply.status, reply.header("location")), (303, &*format!("{one}?done={action}")));
        service.get(reply.header("location"), &root.caller).text().to_owned()
    };
    assert!(service.knows(&ada.caller));
    assert!(act("end-sessions").contains("All sessions of the account have ended."));
    assert!(!service.knows(&ada.caller));

    let before = Caller::bearer(&service.token("ada@example.com"));
    assert!(act("make-administrator").contains("badge-admin"));
    assert!(!service.knows(&before), "an id from before is worth nothing after it");
    let as_admin = Caller::bearer(&service.token("ada@example.com"));
    assert_eq!(service.get(ACCOUNTS, &as_admin).status, 200);
    assert!(!act("withdraw-administrator").contains("badge-admin"));
    assert!(!service.knows(&as_admin));

    assert!(act("disable").contains("badge-disabled"));
    assert_eq!(service.log_in("ada@example.com", PASSWORD).status, 401);
    assert!(!act("enable").contains("badge-disabled"));
    assert_eq!(service.log_in("ada@example.com", PASSWORD).status, 303);

    // An address alone says nothing of what was not done.
    assert!(!service.get(&format!("{one}?done=disable"), &root.caller).text().contains("has been disabled"));
    let own = format!("/dashboard/accounts/{}", service.id_of(&root.caller));
    for action in ["disable", "withdraw-administrator", "end-sessions", "delete"] {
        let path = format!("{own}/{action}");
        assert_eq!(service.get(&path, &root.caller).status, 409, "{action}");
        let fields = form(&[("form_token", &root.token)]);
        assert_eq!(service.send("POST", &path, &root.caller, &[FORM], fields).status, 409, "{action}");
    }
}
