//! Authenticators of your own, beside keys: a session, a JWT, a certificate.

use std::fmt;

use http::HeaderName;

use crate::answer::Answer;
use crate::clock::Now;
use crate::decision::Kind;
use crate::limit::Quota;
use crate::network::AddressList;
use crate::scope::Scope;
use crate::store::Presented;

/// Asked in the policy's order about what a request presents.
///
/// The safe wrong answer is [`Verdict::NotMine`] for what it does not know, and a fault where it cannot tell. It can add an
/// identity; it cannot overturn what another authenticator refused, nor skip the policy's networks, scopes and limits.
pub trait Authenticator: Send + Sync {
    /// The name under which the policy's `authenticators` lists it. `session` is the one of sign-in sessions.
    fn name(&self) -> &str;

    /// A cookie that carries a session. It is no source: it conflicts with nothing, and a dead or doubled one is absent (R6.4).
    fn cookie(&self) -> Option<&str> {
        None
    }

    /// Other headers that [`Authenticator::ambient`] needs.
    fn headers(&self) -> &[HeaderName] {
        &[]
    }

    /// Who the request comes from without any credential: by its session cookie, its headers or its connection. Asked once, in
    /// this authenticator's turn, before the candidates. Anything but [`Verdict::Is`] is absent.
    fn ambient(&self, ambient: &Ambient<'_>) -> Answer<Verdict> {
        let _ = ambient;
        Answer::ready(Verdict::NotMine)
    }

    /// Who a presented credential belongs to.
    fn authenticate(&self, presented: &Presented<'_>, now: Now) -> Answer<Verdict> {
        let _ = (presented, now);
        Answer::ready(Verdict::NotMine)
    }
}

/// What surrounds a request's credentials.
pub struct Ambient<'r> {
    pub(crate) now: Now,
    pub(crate) cookie: Option<&'r [u8]>,
    pub(crate) headers: Vec<(&'r HeaderName, &'r [u8])>,
    pub(crate) connection_identity: Option<&'r str>,
}

impl<'r> Ambient<'r> {
    /// The time of the decision.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The value of the authenticator's cookie, if there is exactly one.
    pub fn cookie(&self) -> Option<&'r [u8]> {
        self.cookie
    }

    /// Whether a browser may have sent by itself what it shows (R13).
    pub(crate) fn holds_cookies(&self) -> bool {
        self.cookie.is_some() || self.headers.iter().any(|(name, _)| **name == http::header::COOKIE)
    }

    /// Every value of one of the authenticator's headers.
    pub fn header(&self, name: &HeaderName) -> impl Iterator<Item = &'r [u8]> {
        self.headers.iter().filter(move |(header, _)| *header == name).map(|(_, value)| *value)
    }

    /// Who the connection's own security has proved the client to be.
    pub fn connection_identity(&self) -> Option<&'r str> {
        self.connection_identity
    }
}

impl fmt::Debug for Ambient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient(hidden)")
    }
}

/// What an authenticator says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Verdict {
    /// It does not know the credential: the next authenticator is asked.
    NotMine,
    /// It is this identity.
    Is(Box<Identity>),
    /// It knows the credential, and it is dead. No other authenticator is asked about it.
    Refused(Refusal),
}

/// Why a known credential is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It has been ended.
    Revoked,
    /// It is switched off.
    Disabled,
    /// It cannot be one.
    Malformed,
}

impl Refusal {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Expired => Kind::Expired,
            Self::NotYetValid => Kind::NotYetValid,
            Self::Revoked => Kind::Revoked,
            Self::Disabled => Kind::Disabled,
            Self::Malformed => Kind::Malformed,
        }
    }
}

/// Somebody, as an authenticator of yours knows them.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// A stable id, unique to the authenticator.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// A label that routes may demand.
    pub kind: Option<String>,
    /// Whose quotas it shares.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// From where it is accepted. `None`: from anywhere.
    pub networks: Option<AddressList>,
    /// Its own quotas, instead of the policy's `per_key`.
    pub limits: Option<Vec<Quota>>,
}
