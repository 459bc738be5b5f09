//! One look at the dashboard: who looks, and which token their forms carry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use keyward::{Pass, Random};
use zeroize::Zeroizing;

use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::fault::Refusal;
use crate::incoming::Incoming;
use crate::sessions::{self, FormToken, SESSION_COOKIE};

/// What ties the forms of who is not signed in to one browser. By its prefix no other host can plant it.
const FORM_COOKIE: &str = "__Host-keyward_form";

/// One request for a page.
pub(super) struct Visit<'r> {
    pub(super) request: &'r Incoming,
    pub(super) pass: &'r Pass,
    pub(super) actor: Option<Actor>,
    /// Whether people sign in here, and not elsewhere.
    pub(super) has_accounts: bool,
    /// What the person is called.
    name: String,
    token: FormToken,
    /// Whether the token belongs to a cookie that the request had: no form can have been sent before.
    is_token_known: bool,
    new_cookie: Option<HeaderValue>,
}

impl<'r> Visit<'r> {
    pub(super) fn of(parts: &Parts, request: &'r Incoming, pass: &'r Pass) -> Result<Self, Refusal> {
        let actor = pass.principal().map(|principal| Actor::of(principal, request));
        let is_own_session =
            actor.as_ref().is_some_and(|actor| actor.is_by_cookie && matches!(actor.who, Who::Person { session: Some(_), .. }));
        let name = if is_own_session && parts.has_accounts { SESSION_COOKIE } else { FORM_COOKIE };
        let (token, new_cookie) = match sessions::cookie(request.headers(), name).filter(|value| !value.is_empty()) {
            Some(value) => (FormToken::of(value), None),
            None => {
                let value = new_value(&*parts.random)?;
                (FormToken::of(&value), Some(form_cookie(&value)))
            }
        };
        Ok(Self {
            request,
            pass,
            actor,
            has_accounts: parts.has_accounts,
            name: pass.principal().map(|principal| principal.name().to_owned()).unwrap_or_default(),
            token,
            is_token_known: new_cookie.is_none(),
            new_cookie,
        })
    }

    pub(super) fn is_own_token(&self, given: &str) -> bool {
        self.is_token_known && self.token.is(given)
    }

    pub(super) fn new_cookie(&self) -> Option<&HeaderValue> {
        self.new_cookie.as_ref()
    }

    /// What every page has around it; `place` is the entry of the navigation that is marked.
    pub(super) fn frame(&self, place: &'static str) -> Frame<'_> {
        let person = self.actor.as_ref().filter(|actor| matches!(actor.who, Who::Person { .. }));
        Frame {
            token: self.token.as_str(),
            person: person.map(|_| self.name.as_str()),
            is_admin: person.is_some_and(Actor::is_admin),
            has_accounts: self.has_accounts,
            place,
        }
    }
}

/// What every page has around it.
pub(super) struct Frame<'v> {
    pub(super) token: &'v str,
    /// Who is signed in.
    pub(super) person: Option<&'v str>,
    pub(super) is_admin: bool,
    pub(super) has_accounts: bool,
    pub(super) place: &'static str,
}

impl Frame<'_> {
    /// What stands for the person where there is no room for the name.
    pub(super) fn initial(&self) -> String {
        self.person.and_then(|person| person.chars().next()).map(|first| first.to_uppercase().collect()).unwrap_or_default()
    }
}

fn new_value(random: &dyn Random) -> Result<Zeroizing<String>, Refusal> {
    let mut bytes = Zeroizing::new([0; 32]);
    random.secret(&mut *bytes)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

fn form_cookie(value: &str) -> HeaderValue {
    let line = format!("{FORM_COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict");
    let mut line = HeaderValue::from_str(&line).expect("base64url is visible ASCII");
    line.set_sensitive(true);
    line
}
