//! An application with accounts, and who talks to it.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
};

use keyward::{Guard, Keys, MemoryStore, Policy, account::MemoryAccounts};
use keyward_admin::Admin;
use serde_json::Value;

use super::Mount;
use crate::{
    harness::Running,
    model::request::ModelRequest,
    service::listener,
    wire::{self, Protocol, Received},
};

pub(super) const ORIGIN: &str = "https://keys.example.com";
pub(super) const KEYS: &str = "/api/v1/user/api-keys";
pub(super) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
pub(super) const JSON: (&str, &str) = ("Content-Type", "application/json");
pub(super) const SIGN_UP: &str = "email=ada%40example.com&password=a+dozen+mauve+geese&confirm_password=a+dozen+mauve+geese";
pub(super) const SIGN_IN: &str = "email=ada%40example.com&password=a+dozen+mauve+geese";

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// An application that runs until this is dropped.
pub(super) struct Application {
    running: Running,
    protocol: Protocol,
}

impl Application {
    /// Keys and accounts in memory; `network` is that table of the policy.
    pub(super) fn start(mount: Mount, protocol: Protocol, network: &str) -> Result<Self, String> {
        let store = MemoryStore::new();
        let policy = format!("authenticators = ['session', 'store']\n[access]\npublic_url = '{ORIGIN}'\n[network]\n{network}");
        let policy = Policy::from_toml("policy.toml", &policy).map_err(told)?;
        let admin = Admin::builder(Keys::new(store.clone()), MemoryAccounts::new()).policy(policy.clone());
        let guard = Guard::builder(policy).store(store).authenticator(admin.sessions()).build().map_err(told)?;
        let admin = admin.sharing(&guard).build().map_err(told)?;
        let running = (mount.start)(admin, guard, listener()?).map_err(told)?;
        Ok(Self { running, protocol })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(super) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Received, String> {
        self.send_from(LOCAL, method, target, headers, body).await
    }

    pub(super) async fn send_from(
        &self,
        from: IpAddr,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Received, String> {
        let request = request(from, method, target, headers, body);
        wire::send(self.address(), &request, self.protocol).await.map_err(|error| format!("{method} {target}: {error}"))
    }

    /// Signs somebody up and in; the token of the session.
    pub(super) async fn sign_in(&self) -> Result<String, String> {
        let registered = self.send("POST", "/api/v1/auth/register", &[FORM], SIGN_UP).await?;
        is("who signed up", (303, "/dashboard/login"), (registered.status, header(&registered, "location")))?;
        let signed_in = self.send("POST", "/api/v1/auth/login", &[FORM], SIGN_IN).await?;
        is("who signed in", (303, "/dashboard"), (signed_in.status, header(&signed_in, "location")))?;
        let cookie = header(&signed_in, "set-cookie");
        let (pair, attributes) = cookie.split_once("; ").ok_or_else(|| format!("no cookie: {signed_in:?}"))?;
        is("the cookie's attributes", "Path=/; Secure; HttpOnly; SameSite=Lax", attributes)?;
        let (name, token) = pair.split_once('=').ok_or_else(|| format!("no cookie: {signed_in:?}"))?;
        is("the cookie's name", keyward_admin::SESSION_COOKIE, name)?;
        Ok(token.to_owned())
    }
}

pub(super) fn request(from: IpAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> ModelRequest {
    let mut written = vec![("Host".to_owned(), b"api.test".to_vec())];
    written.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
    if !body.is_empty() {
        written.push(("Content-Length".to_owned(), body.len().to_string().into_bytes()));
    }
    ModelRequest {
        method: method.to_owned(),
        target: target.as_bytes().to_vec(),
        headers: written,
        body: body.as_bytes().to_vec(),
        peer: Some(from),
    }
}

/// The one value of a header, or nothing.
pub(super) fn header<'r>(received: &'r Received, name: &str) -> &'r str {
    match received.values(name)[..] {
        [value] => value,
        _ => "",
    }
}

pub(super) fn document(received: &Received) -> Result<Value, String> {
    received.json().ok_or_else(|| format!("no JSON: {received:?}"))
}

pub(super) fn text(document: &Value, name: &str) -> Result<String, String> {
    document[name].as_str().map(str::to_owned).ok_or_else(|| format!("no text at {name}: {document}"))
}

pub(super) fn cookie(token: &str) -> String {
    format!("{}={token}", keyward_admin::SESSION_COOKIE)
}

pub(super) fn bearer(secret: &str) -> String {
    format!("Bearer {secret}")
}

pub(super) fn is<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, got: T) -> Result<(), String> {
    if expected == got { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {got:?}")) }
}

pub(super) fn told(problem: impl Display) -> String {
    problem.to_string()
}
