//! The dashboard at its boundary: a request in, a page out.

use bytes::Bytes;
use http::{Request, Response};
use keyward::account::MemoryAccounts;
use keyward::{Keys, MemoryStore, NewKey, Peer, Policy};
use keyward_admin::{Admin, Registration};
use pollster::block_on as wait;

const ORIGIN: &str = "https://keys.example.com";
const PASSWORD: &str = "a dozen mauve geese";

struct Browser<'a> {
    admin: &'a Admin,
    cookies: Vec<(String, String)>,
}

struct Page {
    status: u16,
    location: String,
    text: String,
}

impl Page {
    fn between(&self, before: &str, after: &str) -> &str {
        let rest = self.text.split_once(before).unwrap_or_else(|| panic!("no {before} in {}", self.text)).1;
        rest.split_once(after).unwrap().0
    }

    fn token(&self) -> &str {
        self.between("name=\"form_token\" value=\"", "\"")
    }

    /// The key on the page that shows it.
    fn key(&self) -> &str {
        self.between("aria-label=\"API key\">", "<")
    }

    fn id(&self) -> &str {
        let rest = self.text.rsplit_once("href=\"/dashboard/keys/").unwrap().1;
        rest.split_once('"').unwrap().0
    }
}

impl<'a> Browser<'a> {
    fn new(admin: &'a Admin) -> Self {
        Self { admin, cookies: Vec::new() }
    }

    fn send(&mut self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Page {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == "POST" {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let mut request = request.body(Bytes::from(body.to_owned())).unwrap();
        request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
        let answer = wait(self.admin.answer(request));
        check_headers(path, &answer);
        for line in answer.headers().get_all("set-cookie") {
            let line = line.to_str().unwrap();
            assert!(line.starts_with("__Host-") && line.contains("; Secure; HttpOnly; SameSite="), "{line}");
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(kept, _)| kept != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        Page {
            status: answer.status().as_u16(),
            location: answer.headers().get("location").map(|place| place.to_str().unwrap().to_owned()).unwrap_or_default(),
            text: String::from_utf8(answer.body().to_vec()).unwrap(),
        }
    }

    fn get(&mut self, path: &str) -> Page {
        self.send("GET", path, "", &[])
    }

    fn post(&mut self, from: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = self.get(from).token().to_owned();
        self.send("POST", path, &form(&token, fields), &[("origin", ORIGIN), ("sec-fetch-site", "same-origin")])
    }

    fn sign_in(admin: &'a Admin, email: &str) -> Self {
        let mut browser = Self::new(admin);
        let page = browser.post("/dashboard/login", "/dashboard/login", &[("email", email), ("password", PASSWORD)]);
        assert_eq!((page.status, page.location.as_str()), (303, "/dashboard"));
        browser
    }

    fn signed_up(admin: &'a Admin, email: &str) -> Self {
        let fields = [("email", email), ("password", PASSWORD), ("confirm_password", PASSWORD)];
        let page = Self::new(admin).post("/dashboard/register", "/dashboard/register", &fields);
        assert_eq!(page.location, "/dashboard/login?done=registered");
        Self::sign_in(admin, email)
    }
}

fn form(token: &str, fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("form_token", token).extend_pairs(fields).finish()
}

/// Whatever is answered has them.
fn check_headers(path: &str, answer: &Response<Bytes>) {
    let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
                  frame-ancestors 'none'; base-uri 'none'";
    assert_eq!(header("content-security-policy"), policy, "{path}");
    assert_eq!((header("x-content-type-options"), header("referrer-policy")), ("nosniff", "same-origin"), "{path}");
    if !path.starts_with("/dashboard/keyward.") {
        assert_eq!(header("cache-control"), "no-store", "{path}");
    }
    if header("content-type").starts_with("text/html") {
        let text = String::from_utf8_lossy(answer.body()).to_lowercase();
        for forbidden in [" style=", "<style", "<script>", " onclick=", "href=\"javascript:"] {
            assert!(!text.contains(forbidden), "{path}: {forbidden}");
        }
    }
}

/// Whose first account, made by a key that nobody owns, is the administrator root@example.com.
fn admin(registration: Registration) -> Admin {
    let keys = Keys::new(MemoryStore::new());
    let made = wait(keys.create(NewKey::named("first").scope("keys:manage").unwrap())).unwrap();
    let policy = Policy::builder().public_url(ORIGIN).build().unwrap();
    let admin = Admin::builder(keys, MemoryAccounts::new()).policy(policy).registration(registration).build().unwrap();
    let mut request = Request::post("/api/v1/accounts")
        .header("authorization", format!("Bearer {}", made.secret().expose()))
        .header("content-type", "application/json")
        .body(Bytes::from(format!(r#"{{"email":"root@example.com","password":"{PASSWORD}"}}"#)))
        .unwrap();
    request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
    assert_eq!(wait(admin.answer(request)).status(), 201);
    admin
}

#[test]
fn each_page_for_each_kind_of_visitor() {
    let admin = admin(Registration::Open);
    let (mut ada, mut bob) = (Browser::signed_up(&admin, "ada@example.com"), Browser::signed_up(&admin, "bob@example.com"));
    let (mut nobody, mut root) = (Browser::new(&admin), Browser::sign_in(&admin, "root@example.com"));
    let made = ada.post("/dashboard/keys/new", "/dashboard/keys", &[("name", "nightly"), ("expires_in_days", "90")]);
    assert_eq!(made.status, 201);
    let key = format!("/dashboard/keys/{}", made.id());
    for (path, statuses) in [
        ("/dashboard", [303, 303, 303, 303]),
        ("/dashboard/keys", [303, 200, 200, 200]),
        ("/dashboard/keys/new", [303, 200, 200, 200]),
        (&*key, [303, 200, 404, 200]),
        (&*format!("{key}/revoke"), [303, 200, 404, 200]),
        (&*format!("{key}/rotate"), [303, 405, 405, 405]),
        ("/dashboard/sessions", [303, 200, 200, 200]),
        ("/dashboard/account", [303, 200, 200, 200]),
        ("/dashboard/audit", [303, 200, 200, 200]),
        ("/dashboard/all-keys", [303, 403, 403, 200]),
        ("/dashboard/accounts", [303, 403, 403, 200]),
        ("/dashboard/nothing", [303, 404, 404, 404]),
        ("/dashboard/keys?limit=0", [303, 400, 400, 400]),
        ("/dashboard/login", [200, 303, 303, 303]),
        ("/dashboard/register", [200, 200, 200, 200]),
        ("/dashboard/keyward.css", [200, 200, 200, 200]),
        ("/dashboard/keyward.js", [200, 200, 200, 200]),
    ] {
        let visitors = [&mut nobody, &mut ada, &mut bob, &mut root];
        assert_eq!(visitors.map(|visitor| visitor.get(path).status), statuses, "{path}");
    }
    assert_eq!(nobody.get("/dashboard/keys?limit=2").location, "/dashboard/login?next=%2Fdashboard%2Fkeys%3Flimit%3D2");
    for place in ["rotate", "revoke"] {
        assert_eq!(bob.post("/dashboard/keys", &format!("{key}/{place}"), &[("grace_seconds", "0")]).status, 404);
    }
    assert!(ada.get("/dashboard/audit").text.contains("nightly") && !bob.get("/dashboard/audit").text.contains("nightly"));
}

#[test]
fn forms_need_their_own_token_and_no_foreign_page_sends_them() {
    let admin = admin(Registration::Open);
    let (mut ada, mut root) = (Browser::signed_up(&admin, "ada@example.com"), Browser::sign_in(&admin, "root@example.com"));
    let (own, other) = (ada.get("/dashboard/keys").token().to_owned(), root.get("/dashboard/keys").token().to_owned());
    let fields = [("name", "x"), ("grace_seconds", "0")];
    for path in ["keys", "keys/a/rotate", "keys/a/revoke", "sessions/end-others", "sessions/a/end", "account/name", "logout"]
        .map(|place| format!("/dashboard/{place}"))
    {
        for token in ["", "x", &other] {
            for headers in [&[("origin", ORIGIN)][..], &[]] {
                assert_eq!(ada.send("POST", &path, &form(token, &fields), headers).status, 403, "{path}");
            }
        }
        for header in [("origin", "https://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")] {
            assert_eq!(ada.send("POST", &path, &form(&own, &fields), &[header]).status, 403, "{path} {header:?}");
        }
    }
    for path in ["/dashboard/login", "/dashboard/register"] {
        let token = Browser::new(&admin).get(path).token().to_owned();
        let mut nobody = Browser::new(&admin);
        assert_eq!(nobody.send("POST", path, &form(&token, &fields), &[]).status, 403, "without the cookie");
        nobody.get(path);
        assert_eq!(nobody.send("POST", path, &form(&token, &fields), &[]).status, 403, "another browser's");
    }
    assert!(ada.get("/dashboard/keys").text.contains("No API keys yet"));
}

#[test]
fn a_key_is_in_one_answer_and_is_led_to_its_end() {
    let admin = admin(Registration::Open);
    let mut ada = Browser::signed_up(&admin, "ada@example.com");
    let made = ada.post("/dashboard/keys/new", "/dashboard/keys", &[("name", "nightly"), ("scope read:all", "on")]);
    assert!(made.key().starts_with("kw_") && made.text.matches(made.key()).count() == 1);
    let place = format!("/dashboard/keys/{}", made.id());
    let rotated = ada.post(&place, &format!("{place}/rotate"), &[("grace_seconds", "3600")]);
    assert!(rotated.status == 200 && rotated.text.contains("The old secret is accepted until"));
    assert_ne!(rotated.key(), made.key());
    let bad = ada.post(&place, &format!("{place}/rotate"), &[("grace_seconds", "soon")]);
    assert!(bad.status == 400 && bad.text.contains("aria-describedby=\"grace-fault\""));
    for path in ["/dashboard/keys", &place, &format!("{place}/revoke"), "/dashboard/audit"] {
        let page = ada.get(path);
        assert!(page.status == 200 && !page.text.contains(made.key()) && !page.text.contains(rotated.key()), "{path}");
    }
    let done = format!("{place}?done=revoke");
    assert!(!ada.get(&done).text.contains("has been revoked"), "an address alone says nothing");
    assert_eq!(ada.post(&format!("{place}/revoke"), &format!("{place}/revoke"), &[]).location, done);
    assert!(ada.get(&done).text.contains("has been revoked"));
    assert_eq!(ada.post("/dashboard/keys", &format!("{place}/rotate"), &[("grace_seconds", "0")]).status, 409);
}

#[test]
fn names_are_text() {
    let admin = admin(Registration::Open);
    let mut ada = Browser::signed_up(&admin, "ada@example.com");
    for name in ["<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "\u{202e}gnp.exe", "\u{1f511}"] {
        let made = ada.post("/dashboard/keys/new", "/dashboard/keys", &[("name", name)]);
        assert_eq!(made.status, 201, "{name}");
        let place = format!("/dashboard/keys/{}", made.id());
        for page in [made, ada.get("/dashboard/keys"), ada.get(&place), ada.get("/dashboard/audit")] {
            assert!(!page.text.contains("<script>alert") && !page.text.contains("<img"), "{name}");
        }
        let isolated = format!("<bdi>{}", name.chars().next().filter(|first| !"<\"".contains(*first)).unwrap_or('&'));
        assert!(ada.get(&place).text.contains(&isolated), "{name}");
    }
}

#[test]
fn faults_stand_beside_their_fields_and_passwords_never_come_back() {
    let admin = admin(Registration::Open);
    let mut nobody = Browser::new(&admin);
    let bad = nobody.post("/dashboard/register", "/dashboard/register", &[("email", "ada"), ("password", "password")]);
    assert_eq!(bad.status, 400);
    for part in ["id=\"email-fault\"", "id=\"password-fault\"", "aria-invalid=\"true\"", "value=\"ada\"", "role=\"alert\""] {
        assert!(bad.text.contains(part), "{part}");
    }
    assert!(!bad.text.contains("value=\"password\""));
    let wrong = [("email", "a@example.com"), ("password", "no")];
    let statuses = [(); 11].map(|()| nobody.post("/dashboard/login", "/dashboard/login", &wrong).status);
    assert_eq!((statuses[0], statuses[9], statuses[10]), (401, 401, 429));
    let mut ada = Browser::signed_up(&admin, "ada@example.com");
    let bad = ada.post("/dashboard/keys/new", "/dashboard/keys", &[("name", ""), ("allowed_ips", "203.0.113.0/24\nx")]);
    assert!(bad.status == 400 && bad.text.contains("Name is missing") && bad.text.contains("entry 2"), "{}", bad.text);
    let new = "eleven green herons";
    let fields = |current| [("current_password", current), ("new_password", new), ("confirm_password", new)];
    let mut change = |current| ada.post("/dashboard/account", "/dashboard/account/password", &fields(current));
    assert_eq!(change("no").status, 400);
    assert_eq!(change(PASSWORD).location, "/dashboard/account?done=password");
    assert_eq!(ada.post("/dashboard/account", "/dashboard/account/delete", &[("password", PASSWORD)]).status, 400);
    assert_eq!(ada.post("/dashboard/account", "/dashboard/account/delete", &[("password", new)]).location, "/dashboard/login");
    assert_eq!(ada.get("/dashboard/keys").status, 303);
}

#[test]
fn next_stays_here_and_closed_registration_is_closed() {
    let admin = admin(Registration::Closed);
    let next = |next| {
        let fields = [("email", "root@example.com"), ("password", PASSWORD), ("next", next)];
        Browser::new(&admin).post("/dashboard/login", "/dashboard/login", &fields).location
    };
    assert_eq!(next("/dashboard/audit?limit=2"), "/dashboard/audit?limit=2");
    for foreign in ["//evil.example", "/\\evil.example", "https://evil.example/"] {
        assert_eq!(next(foreign), "/dashboard");
    }
    let mut nobody = Browser::new(&admin);
    assert!(!nobody.get("/dashboard/login?next=//evil.example").text.contains("evil"));
    assert!(!nobody.get("/dashboard/login").text.contains("/dashboard/register"));
    assert_eq!(nobody.get("/dashboard/register").status, 403);
    assert_eq!(nobody.post("/dashboard/login", "/dashboard/register", &[("email", "a@example.com")]).status, 403);
}

#[test]
fn the_audit_log_is_filtered_exported_and_tells_administrators_who_failed() {
    let admin = admin(Registration::Open);
    let mut ada = Browser::signed_up(&admin, "ada@example.com");
    assert_eq!(ada.post("/dashboard/keys/new", "/dashboard/keys", &[("name", "nightly")]).status, 201);
    let wrong = [("email", "ada@example.com"), ("password", "no")];
    assert_eq!(Browser::new(&admin).post("/dashboard/login", "/dashboard/login", &wrong).status, 401);
    let page = ada.get("/dashboard/audit");
    for part in ["Key created", "Account made", "Sign-in failed: wrong password", "127.0.0.1", ">Sign-in</td>"] {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    assert!(!page.text.contains("Failed attempts within a day"), "that is for administrators");
    // The newest first.
    let place = |part: &str| page.text.find(part).unwrap();
    assert!(place("Sign-in failed") < place("Key created") && place("Key created") < place("Account made"));

    let keys = ada.get("/dashboard/audit?subject=key&outcome=&key=&actor=&from=&to=");
    assert!(keys.text.contains("Key created") && !keys.text.contains("Account made"), "a form sends what is empty, too");
    assert!(keys.text.contains("<option value=\"key\" selected>"));
    let export = keys.between("Export: <a href=\"", "\"").replace("&amp;", "&").replace("&#38;", "&");
    assert_eq!(export, "/api/v1/audit?subject=key&format=csv");
    let cookies: Vec<String> = ada.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut request = Request::get(export).header("cookie", cookies.join("; ")).body(Bytes::new()).unwrap();
    request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
    let table = wait(admin.answer(request));
    assert_eq!(table.status(), 200);
    assert!(String::from_utf8_lossy(table.body()).contains(",nightly,"));

    let first = ada.get("/dashboard/audit?limit=2&subject=key");
    assert!(!first.text.contains("Next page"));
    let first = ada.get("/dashboard/audit?limit=1");
    let next = first.between("<a class=\"button\" href=\"", "\"").to_owned();
    assert!(next.starts_with("/dashboard/audit?after=n-"), "{next}");
    assert!(ada.get(&next).text.contains("Key created"));
    assert_eq!(ada.get("/dashboard/audit?from=yesterday").status, 400);

    let mut root = Browser::sign_in(&admin, "root@example.com");
    let all = root.get("/dashboard/audit");
    for part in ["Failed attempts within a day", "nightly", "ada@example.com"] {
        assert!(all.text.contains(part), "{part}");
    }
    let evil = root.get("/dashboard/audit?actor=%3Cscript%3Ealert(1)%3C%2Fscript%3E%22");
    assert!(evil.status == 200 && !evil.text.contains("<script>alert"));
}
