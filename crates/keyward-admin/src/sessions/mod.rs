//! Who is signed in, by a cookie or as Bearer (R6.4).

mod form_token;

pub(crate) use form_token::FormToken;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use keyward::account::{AccountStore, SessionDigest, SignedIn};
use keyward::browser::only_cookie;
use keyward::clock::Now;
use keyward::scope::Scope;
use keyward::store::Presented;
use keyward::{Ambient, Answer, Authenticator, Identity, Verdict};

use crate::actor::Actor;

/// The cookie that carries a session. By its prefix browsers take it from this host alone, over HTTPS, for all paths.
pub const SESSION_COOKIE: &str = "__Host-keyward_session";

/// A session that is used is noted at most so often.
const NOTED_EVERY: Duration = Duration::from_secs(60);

/// Who is signed in, for a guard of your own: the policy's authenticator `session`.
///
/// An account's principal has its id as id and owner, its address as name, the kind `account`, the scopes that every account holds,
/// and `admin` where it is an administrator's.
#[derive(Clone)]
pub struct Sessions(Arc<Parts>);

struct Parts {
    accounts: Arc<dyn AccountStore>,
    idle: Duration,
    scopes: Vec<Scope>,
}

impl Sessions {
    pub(crate) fn new(accounts: Arc<dyn AccountStore>, idle: Duration, scopes: Vec<Scope>) -> Self {
        Self(Arc::new(Parts { accounts, idle, scopes }))
    }

    /// Whose session a token is, if it is a live one.
    fn look(&self, token: &str, now: Now) -> Answer<Verdict> {
        let Some(digest) = SessionDigest::of(token) else { return Answer::ready(Verdict::NotMine) };
        let parts = self.0.clone();
        Answer::Pending(Box::pin(async move {
            let Some(signed_in) = parts.accounts.session(&digest).wait().await? else { return Ok(Verdict::NotMine) };
            if signed_in.account.is_disabled || !signed_in.session.is_live(now.wall, parts.idle) {
                return Ok(Verdict::NotMine);
            }
            if now.wall.since(signed_in.session.last_seen) >= NOTED_EVERY {
                parts.accounts.saw_session(&digest, now.wall).wait().await?;
            }
            Ok(Verdict::Is(Box::new(parts.identity(&signed_in))))
        }))
    }
}

impl Parts {
    fn identity(&self, signed_in: &SignedIn) -> Identity {
        let account = &signed_in.account;
        let mut scopes = self.scopes.clone();
        if account.is_admin {
            scopes.extend(Actor::ADMIN.parse::<Scope>());
        }
        Identity {
            id: account.id.to_string(),
            name: account.address.to_string(),
            kind: Some("account".to_owned()),
            owner: Some(account.id.to_string()),
            scopes,
            ..Identity::default()
        }
    }
}

impl Authenticator for Sessions {
    fn name(&self) -> &str {
        "session"
    }

    fn cookie(&self) -> Option<&str> {
        Some(SESSION_COOKIE)
    }

    fn ambient(&self, ambient: &Ambient<'_>) -> Answer<Verdict> {
        match ambient.cookie().and_then(|value| std::str::from_utf8(value).ok()) {
            Some(token) => self.look(token, ambient.now()),
            None => Answer::ready(Verdict::NotMine),
        }
    }

    fn authenticate(&self, presented: &Presented<'_>, now: Now) -> Answer<Verdict> {
        self.look(presented.expose(), now)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("idle", &self.0.idle).field("scopes", &self.0.scopes).finish_non_exhaustive()
    }
}

/// The one value of a cookie, where it is a text.
pub(crate) fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    only_cookie(headers, name).and_then(|value| std::str::from_utf8(value).ok())
}

/// Sets the cookie; it goes with the browser, and the session has an end of its own.
pub(crate) fn set_cookie(token: &str) -> HeaderValue {
    let line = format!("{SESSION_COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Lax");
    // A token is ASCII.
    HeaderValue::from_str(&line).map_or(forget_cookie(), sensitive)
}

/// Removes the cookie.
pub(crate) fn forget_cookie() -> HeaderValue {
    HeaderValue::from_static("__Host-keyward_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax")
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
