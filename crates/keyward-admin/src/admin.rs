//! From a request to its answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use keyward::account::AccountStore;
use keyward::audit::AuditSink;
use keyward::browser::Sender;
use keyward::clock::Clock;
use keyward::key::KeyPrefix;
use keyward::scope::Scope;
use keyward::{Decision, Guard, Keys, Pass, Random, scopes};

use crate::accounts::{Accounts, Hashing, Lockout, Registration};
use crate::actor::{Actor, Who};
use crate::answer::Answer;
use crate::audit::{FailedAttempts, Journals};
use crate::builder::AdminBuilder;
use crate::dashboard;
use crate::fault::Refusal;
use crate::incoming::Incoming;
use crate::keys::{Collection, KeyIds};
use crate::sessions::{self, FormToken, SESSION_COOKIE, Sessions};

/// Accounts, sessions and the management of keys: a request in, a response out. Clones share it.
#[derive(Clone)]
pub struct Admin(pub(crate) Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) guard: Guard,
    /// The same, where nobody has to be signed in.
    pub(crate) optional: Guard,
    pub(crate) keys: Keys,
    pub(crate) accounts: Arc<dyn AccountStore>,
    pub(crate) upkeep: Accounts,
    pub(crate) own_sessions: Sessions,
    /// The guard that keys are used at, where it was told.
    pub(crate) application: Option<Guard>,
    /// Whether people sign in here, and not elsewhere.
    pub(crate) has_accounts: bool,
    pub(crate) key_ids: KeyIds,
    pub(crate) hashing: Hashing,
    pub(crate) lockout: Lockout,
    pub(crate) settings: Settings,
    /// What is kept for listings of what happened.
    pub(crate) journals: Journals,
    pub(crate) attempts: FailedAttempts,
    /// Also of the guard's events.
    pub(crate) sink: Arc<dyn AuditSink>,
    /// When sessions that are over were removed last, on the steady clock.
    pub(crate) swept: AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) registration: Registration,
    pub(crate) idle: Duration,
    pub(crate) longest_session: Duration,
    /// What every account holds and may give.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) key_prefix: KeyPrefix,
    pub(crate) sign_in_page: Box<str>,
    pub(crate) start_page: Box<str>,
}

impl Admin {
    /// The largest body that is read, in bytes. Larger ones are 413, so that an adapter may stop reading there.
    pub const LARGEST_BODY: usize = Incoming::LARGEST_BODY;

    /// Starts from the keys that are looked after, and the place of those who look after them.
    pub fn builder(keys: Keys, accounts: impl AccountStore + 'static) -> AdminBuilder {
        AdminBuilder::new(keys, Arc::new(accounts))
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Who is signed in, for the application's own guard: `guard.authenticator(admin.sessions())`.
    pub fn sessions(&self) -> Sessions {
        self.0.own_sessions.clone()
    }

    /// The paths that are answered here, each with all that lies below it.
    pub const PLACES: [&str; 6] =
        ["/api/v1/auth", "/api/v1/user", "/api/v1/agent-keys", "/api/v1/accounts", "/api/v1/audit", dashboard::PLACE];

    /// Whether a path, as the client sent it, is one of [`PLACES`](Self::PLACES) or below one.
    pub fn is_place(path: &str) -> bool {
        let is_at = |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        Self::PLACES.into_iter().any(is_at)
    }

    /// Answers a request. Its extension [`Peer`](keyward::Peer) says who is at the other end of the connection. Never panics, and
    /// answers whatever path it is given.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let parts = &*self.0;
        let member = parts.guard.policy().error_member();
        let is_head = request.method() == Method::HEAD;
        let is_page = dashboard::is_below(request.uri().path());
        let request = match Incoming::new(request) {
            Ok(request) => request,
            Err(refusal) if is_page => return dashboard::refused_unread(&refusal),
            Err(refusal) => return refusal.into_answer(member),
        };
        // Who is not signed in is led to where people do.
        let guard = if is_page || is_open(request.path()) { &parts.optional } else { &parts.guard };
        let pass = match guard.decide(&request.head).await {
            Decision::Allowed(pass) => pass,
            Decision::Denied(denial) if is_page => return dashboard::denied(denial, is_head),
            Decision::Denied(denial) => return denial.into_response(),
        };
        let mut answer = if is_page {
            parts.answer_page(&request, &pass).await
        } else {
            parts.answer(&request, &pass).await.unwrap_or_else(|refusal| refusal.into_answer(member))
        };
        pass.headers().apply(answer.headers_mut());
        if is_head {
            *answer.body_mut() = Bytes::new();
        }
        answer
    }
}

/// Signing up, in and out need nobody who is signed in.
fn is_open(path: &str) -> bool {
    matches!(path, "/api/v1/auth/register" | "/api/v1/auth/login" | "/api/v1/auth/logout")
}

impl Parts {
    async fn answer(&self, request: &Incoming, pass: &Pass) -> Result<Answer, Refusal> {
        let actor = pass.principal().map(|principal| Actor::of(principal, request));
        self.demand_own_form(request, actor.as_ref())?;
        let path = request.path().strip_prefix("/api/v1/").ok_or(Refusal::NotFound)?;
        let segments: Vec<&str> = path.split('/').collect();
        if let ["auth", place] = segments[..] {
            return self.answer_auth(place, request, pass, actor.as_ref()).await;
        }
        let Some(actor) = &actor else { return Err(denied(pass, request)) };
        match segments[..] {
            ["user", "api-keys", ref rest @ ..] => {
                self.demand_managing(request, pass, actor).await?;
                self.answer_keys(Collection::All, rest, request, actor).await
            }
            ["agent-keys", ref rest @ ..] => {
                self.demand_managing(request, pass, actor).await?;
                self.answer_keys(Collection::Agents, rest, request, actor).await
            }
            ["user", ref rest @ ..] if self.has_accounts => self.answer_user(rest, request, pass, actor).await,
            ["audit", ref rest @ ..] => self.answer_audit(rest, request, actor).await,
            ["accounts", ref rest @ ..] if self.has_accounts => self.answer_accounts(rest, request, actor).await,
            _ => Err(Refusal::NotFound),
        }
    }

    /// What the guard says of a key without `keys:manage`, in the policy's words. People look after what is theirs without it.
    async fn demand_managing(&self, request: &Incoming, pass: &Pass, actor: &Actor) -> Result<(), Refusal> {
        if let Who::Key = actor.who
            && let Some(Err(denial)) = self.guard.requiring(scopes!["keys:manage"]).within(pass, &request.head)
        {
            return Err(Refusal::Denied(Box::new(denial.wait().await?.into_response())));
        }
        Ok(())
    }

    async fn answer_auth(&self, place: &str, request: &Incoming, pass: &Pass, actor: Option<&Actor>) -> Result<Answer, Refusal> {
        if !self.has_accounts || !matches!(place, "register" | "login" | "logout") {
            return Err(Refusal::NotFound);
        }
        if request.head.method != Method::POST {
            return Err(Refusal::Method("POST"));
        }
        if self.is_foreign(request) {
            return Err(FOREIGN);
        }
        match place {
            "register" => self.register(request, pass).await,
            "login" => self.sign_in(request, pass).await,
            _ => self.sign_out(actor).await,
        }
    }

    async fn answer_user(&self, rest: &[&str], request: &Incoming, pass: &Pass, actor: &Actor) -> Result<Answer, Refusal> {
        let fields = || request.json_object(true);
        match (rest, request.head.method.as_str()) {
            ([], "GET" | "HEAD") => self.own_account(actor).await,
            ([], "PATCH") => self.rename_own_account(actor, &fields()?).await,
            ([], "DELETE") => self.delete_own_account(actor, &fields()?, request, pass).await,
            ([], _) => Err(Refusal::Method("GET, HEAD, PATCH, DELETE")),
            (["password"], "POST") => self.change_own_password(actor, &fields()?, request, pass).await,
            (["password"], _) => Err(Refusal::Method("POST")),
            (["sessions"], "GET" | "HEAD") => self.own_sessions(actor).await,
            (["sessions"], "DELETE") => self.end_other_sessions(actor).await,
            (["sessions"], _) => Err(Refusal::Method("GET, HEAD, DELETE")),
            (["sessions", id], "DELETE") => self.end_own_session(actor, id).await,
            (["sessions", _], _) => Err(Refusal::Method("DELETE")),
            _ => Err(Refusal::NotFound),
        }
    }

    async fn answer_accounts(&self, rest: &[&str], request: &Incoming, actor: &Actor) -> Result<Answer, Refusal> {
        let fields = || request.json_object(true);
        match (rest, request.head.method.as_str()) {
            ([], "GET" | "HEAD") => self.list_accounts(actor, &request.query()?).await,
            ([], "POST") => self.create_account(actor, &fields()?).await,
            ([], _) => Err(Refusal::Method("GET, HEAD, POST")),
            ([id], "PATCH") => self.change_account(actor, id, &fields()?).await,
            ([id], "DELETE") => self.delete_account(actor, id).await,
            ([_], _) => Err(Refusal::Method("PATCH, DELETE")),
            _ => Err(Refusal::NotFound),
        }
    }

    /// R13, where no session says whose request it is, and the guard saw nothing to judge: whether another site's page sent it.
    pub(crate) fn is_foreign(&self, request: &Incoming) -> bool {
        Sender::of(request.headers(), self.guard.policy()) == Sender::OtherPage
    }

    /// R13: a form that came with a cookie, and with no word of the browser about where from, has to carry the session's token.
    fn demand_own_form(&self, request: &Incoming, actor: Option<&Actor>) -> Result<(), Refusal> {
        let needs_token = !request.is_safe()
            && actor.is_some_and(|actor| actor.is_by_cookie)
            && request.could_be_a_form()
            && !request.headers().contains_key(header::ORIGIN)
            && !request.headers().contains_key("sec-fetch-site");
        if !needs_token {
            return Ok(());
        }
        let form = request.form().map_err(|_| FOREIGN)?;
        match sessions::cookie(request.headers(), SESSION_COOKIE).map(FormToken::of) {
            Some(token) if token.is(form.get(FormToken::FIELD)) => Ok(()),
            _ => Err(FOREIGN),
        }
    }
}

pub(crate) const FOREIGN: Refusal =
    Refusal::Forbidden("This was not sent by a page of this site, or its form is out of date: load the page again.");

/// The guard's own answer to a request without a credential.
fn denied(pass: &Pass, request: &Incoming) -> Refusal {
    Refusal::Denied(Box::new(pass.demand(request.path()).into_response()))
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::Admin;

    #[test]
    fn a_place_is_whole_segments_as_they_were_sent() {
        for path in
            ["/api/v1/user", "/api/v1/user/", "/api/v1/user/api-keys/1", "/dashboard", "/dashboard/", "/api/v1/auth/login"]
        {
            assert!(Admin::is_place(path), "{path}");
        }
        for path in
            ["/", "", "/api/v1", "/api/v1/users", "/dashboards", "/Dashboard", "/api/v1/%75ser", "//dashboard", "dashboard"]
        {
            assert!(!Admin::is_place(path), "{path}");
        }
    }
}
