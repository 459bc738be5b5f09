//! A service, and those who send it something.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use keyward::account::{AccountStore, MemoryAccounts};
use keyward::clock::ManualClock;
use keyward::{Keys, MemoryStore, NewKey, Peer, Policy, Timestamp};
use keyward_admin::{Admin, AdminBuilder, SESSION_COOKIE};
use pollster::block_on as wait;
use serde_json::Value;

pub(crate) const ORIGIN: &str = "https://keys.example.com";
pub(crate) const PASSWORD: &str = "a dozen mauve geese";
pub(crate) const KEYS: &str = "/api/v1/user/api-keys";
pub(crate) const AGENT_KEYS: &str = "/api/v1/agent-keys";
pub(crate) const USER: &str = "/api/v1/user";
pub(crate) const SESSIONS: &str = "/api/v1/user/sessions";
pub(crate) const ACCOUNTS: &str = "/api/v1/accounts";
pub(crate) const AUDIT: &str = "/api/v1/audit";
pub(crate) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");

pub(crate) struct Service {
    admin: Admin,
    pub(crate) clock: ManualClock,
    keys: Keys,
    peer: Cell<IpAddr>,
    /// All that was ever answered, head and body.
    answered: RefCell<Vec<String>>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What somebody proves with a request who they are: nothing, or a header or two.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller(Vec<(&'static str, String)>);

impl Service {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(set: impl FnOnce(AdminBuilder) -> AdminBuilder) -> Self {
        Self::over(MemoryAccounts::new(), set)
    }

    pub(crate) fn over(accounts: impl AccountStore + 'static, set: impl FnOnce(AdminBuilder) -> AdminBuilder) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let keys = Keys::new(MemoryStore::new()).clock(clock.clone());
        let policy = Policy::builder().public_url(ORIGIN).build().unwrap();
        let builder = Admin::builder(keys.clone(), accounts).policy(policy).clock(clock.clone());
        let admin = set(builder).build().unwrap();
        Self { admin, clock, keys, peer: Cell::new([192, 0, 2, 1].into()), answered: RefCell::default() }
    }

    /// What it says of itself.
    #[cfg(feature = "openapi")]
    pub(crate) fn document(&self) -> utoipa::openapi::OpenApi {
        self.admin.openapi()
    }

    /// From now on requests come from here.
    pub(crate) fn come_from(&self, peer: impl Into<IpAddr>) {
        self.peer.set(peer.into());
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        caller: &Caller,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        wait(self.answering(method, path, caller, headers, body))
    }

    /// The answer, for who wants something to happen before it is there.
    pub(crate) fn answering(
        &self,
        method: &str,
        path: &str,
        caller: &Caller,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> impl Future<Output = Reply> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &caller.0 {
            request = request.header(*name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.into()).unwrap();
        request.extensions_mut().insert(Peer(self.peer.get()));
        let asked = format!("{method} {path}");
        async move { self.heard(&asked, self.admin.answer(request).await) }
    }

    fn heard(&self, asked: &str, answer: Response<Bytes>) -> Reply {
        let (head, body) = answer.into_parts();
        let reply = Reply { status: head.status.as_u16(), headers: head.headers, body };
        let kept = if asked.contains(" /dashboard/keyward.") { "public, max-age=3600" } else { "no-store" };
        assert_eq!(reply.header("cache-control"), kept, "{asked}");
        let lines = reply.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        self.answered.borrow_mut().push(format!("{}\n{}", lines.collect::<String>(), reply.text()));
        reply
    }

    pub(crate) fn get(&self, path: &str, caller: &Caller) -> Reply {
        self.send("GET", path, caller, &[], "")
    }

    pub(crate) fn delete(&self, path: &str, caller: &Caller) -> Reply {
        self.send("DELETE", path, caller, &[], "")
    }

    pub(crate) fn json(&self, method: &str, path: &str, caller: &Caller, body: &str) -> Reply {
        self.send(method, path, caller, &[JSON], body.to_owned())
    }

    pub(crate) fn form(&self, path: &str, caller: &Caller, fields: &[(&str, &str)]) -> Reply {
        self.send("POST", path, caller, &[FORM], form(fields))
    }

    pub(crate) fn register(&self, email: &str, password: &str) -> Reply {
        let fields = [("email", email), ("password", password), ("confirm_password", password)];
        self.form("/api/v1/auth/register", &Caller::nobody(), &fields)
    }

    pub(crate) fn log_in(&self, email: &str, password: &str) -> Reply {
        self.form("/api/v1/auth/login", &Caller::nobody(), &[("email", email), ("password", password)])
    }

    /// The token of a new session of an account with the usual password.
    pub(crate) fn token(&self, email: &str) -> String {
        self.log_in(email, PASSWORD).session()
    }

    /// The token of the first session of a new account.
    pub(crate) fn sign_up(&self, email: &str) -> String {
        assert_eq!(self.register(email, PASSWORD).status, 303, "{email}");
        self.token(email)
    }

    /// A key that nobody owns, as a program's first start makes one.
    pub(crate) fn ownerless_key(&self, scopes: &[&str]) -> String {
        let new = scopes.iter().fold(NewKey::named("first"), |new, scope| new.scope(scope).unwrap());
        wait(self.keys.create(new)).unwrap().secret().expose().to_owned()
    }

    /// A key that the command line made for somebody.
    pub(crate) fn key_of(&self, owner: &str, scopes: &[&str]) -> String {
        let new = scopes.iter().fold(NewKey::named("theirs").owner(owner), |new, scope| new.scope(scope).unwrap());
        wait(self.keys.create(new)).unwrap().secret().expose().to_owned()
    }

    /// The session of a new administrator: the first account.
    pub(crate) fn first_administrator(&self, email: &str) -> String {
        let first = Caller::bearer(&self.ownerless_key(&["keys:manage"]));
        let made = self.json("POST", ACCOUNTS, &first, &format!(r#"{{"email":"{email}","password":"{PASSWORD}"}}"#));
        assert_eq!((made.status, &made.document()["is_admin"]), (201, &Value::Bool(true)), "{made:?}");
        self.token(email)
    }

    /// A new key: its id, and the key itself.
    pub(crate) fn make_key(&self, caller: &Caller, fields: &str) -> (String, String) {
        let made = self.json("POST", KEYS, caller, fields);
        assert_eq!(made.status, 201, "{made:?}");
        (made.at("id"), made.at("key"))
    }

    /// Whether the guard knows a key or a session, whatever it may do.
    pub(crate) fn knows(&self, caller: &Caller) -> bool {
        let status = self.get(KEYS, caller).status;
        assert!(matches!(status, 200 | 401 | 403), "{status}");
        status != 401
    }

    pub(crate) fn id_of(&self, caller: &Caller) -> String {
        self.get(USER, caller).at("id")
    }

    /// The answers that a text ever was in.
    pub(crate) fn answers_with(&self, text: &str) -> Vec<String> {
        self.answered.borrow().iter().filter(|answer| answer.contains(text)).cloned().collect()
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn at(&self, field: &str) -> String {
        self.document()[field].as_str().unwrap_or_else(|| panic!("no text at {field}: {self:?}")).to_owned()
    }

    /// The ids of a listing.
    pub(crate) fn ids(&self) -> Vec<String> {
        let document = self.document();
        let items = document["items"].as_array().unwrap_or_else(|| panic!("no items: {self:?}"));
        items.iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The fields that are told to be wrong.
    pub(crate) fn wrong_fields(&self) -> Vec<String> {
        assert_eq!(self.status, 400, "{self:?}");
        let document = self.document();
        let faults = document["errors"].as_array().unwrap_or_else(|| panic!("no errors: {self:?}"));
        faults.iter().map(|fault| fault["field"].as_str().unwrap().to_owned()).collect()
    }

    /// The new session that is set as a cookie.
    pub(crate) fn session(&self) -> String {
        let line = self.header("set-cookie");
        let (pair, attributes) = line.split_once("; ").unwrap_or_else(|| panic!("no cookie: {self:?}"));
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
        let (name, token) = pair.split_once('=').unwrap();
        assert!(name == SESSION_COOKIE && name.starts_with("__Host-") && token.starts_with("kws_"), "{line}");
        token.to_owned()
    }
}

impl Caller {
    pub(crate) fn nobody() -> Self {
        Self::default()
    }

    pub(crate) fn bearer(secret: &str) -> Self {
        Self(vec![("authorization", format!("Bearer {secret}"))])
    }

    /// A browser on a page of ours.
    pub(crate) fn cookie(token: &str) -> Self {
        Self(vec![("cookie", format!("{SESSION_COOKIE}={token}")), ("origin", ORIGIN.to_owned())])
    }

    /// With one more header, or one more cookie.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        match self.0.iter_mut().find(|(there, _)| *there == name && name == "cookie") {
            Some((_, cookies)) => *cookies = format!("{cookies}; {value}"),
            None => self.0.push((name, value)),
        }
        self
    }

    /// A browser that does not say from where.
    pub(crate) fn silent_cookie(token: &str) -> Self {
        Self(vec![("cookie", format!("{SESSION_COOKIE}={token}"))])
    }
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
