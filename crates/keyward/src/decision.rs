//! What comes of a request.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use crate::answer::Fault;
use crate::guard::Parts;
use crate::limit::{Debtor, QuotaStanding};
use crate::proof::Allowed;
pub use crate::proof::Principal;
use crate::request_id::RequestId;
use crate::respond;
pub use crate::respond::Denial;
use crate::sockets::{LiveSocket, SocketPlace};

/// What comes of a request: it may go on, or it is answered.
#[derive(Debug)]
#[must_use = "a decision that is dropped protects nothing"]
#[expect(clippy::large_enum_variant, reason = "a box would be allocated for every request that is let in")]
pub enum Decision {
    /// It may go on.
    Allowed(Pass),
    /// It is answered with the denial, and reaches no handler.
    Denied(Denial),
}

/// Why a request was denied (R10). The names are those of `explain` and of audit events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// No credential, where one is needed.
    Missing,
    /// No key can look like that.
    Malformed,
    /// One source holds two.
    Duplicate,
    /// Two sources hold different ones.
    Conflict,
    /// Nobody knows it.
    Unknown,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// It has been ended.
    Revoked,
    /// It is switched off.
    Disabled,
    /// The target can be read in more than one way.
    Path,
    /// The path has routes, none under this method.
    Route,
    /// Not from there.
    Address,
    /// A key of another kind.
    Kind,
    /// It lacks a scope.
    Scope,
    /// A cookie, sent by another site's page.
    Origin,
    /// A quota is spent.
    Limited,
    /// Too many bad keys from there.
    FailuresLimited,
    /// It could not be decided.
    Unavailable,
}

impl Kind {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::Disabled => "disabled",
            Self::Path => "path",
            Self::Route => "route",
            Self::Address => "address",
            Self::Kind => "kind",
            Self::Scope => "scope",
            Self::Origin => "origin",
            Self::Limited => "limited",
            Self::FailuresLimited => "failures-limited",
            Self::Unavailable => "unavailable",
        }
    }

    /// Whether the failure budget is charged for it (R3.1): the six kinds that clients cannot tell apart.
    pub(crate) fn is_a_bad_key(self) -> bool {
        matches!(self, Self::Malformed | Self::Unknown | Self::Expired | Self::NotYetValid | Self::Revoked | Self::Disabled)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that may go on: who it is, and what its answer has to carry.
///
/// Only a guard makes one.
#[derive(Clone)]
pub struct Pass {
    pub(crate) guard: Arc<Parts>,
    pub(crate) allowed: Allowed,
    pub(crate) request_id: RequestId,
    pub(crate) client: Option<IpAddr>,
    /// Whose failure budget a bad login is charged to.
    pub(crate) debtor: Option<Debtor>,
    pub(crate) standings: SmallVec<[QuotaStanding; 1]>,
    /// Whether the URL holds a credential, whoever won.
    pub(crate) secret_in_query: bool,
    /// Whether a denial in place of the answer has to do without a body.
    pub(crate) is_head: bool,
    /// What the connection counts as, if this is a handshake and connections are limited.
    pub(crate) socket_place: Option<Arc<SocketPlace>>,
}

impl Pass {
    /// Who it is. `None`: nobody, on an open path, a preflight, an optional route, or where a policy is open to all.
    pub fn principal(&self) -> Option<&Principal> {
        self.allowed.principal()
    }

    /// The request's id.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// The client's address, seen through the trusted proxies.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// How long until the client may try another login, if its failure budget is spent (R3.2): then none is looked at. `None`, too,
    /// where bad keys are not counted.
    pub fn failures_spent(&self) -> Option<Duration> {
        self.guard.failures.as_ref()?.spent(self.debtor?, self.guard.clock.now().steady)
    }

    /// Charges a bad login to the failure budget that the client's bad keys are charged to (R3.1), by whoever signs people in. Tells how
    /// long until there is room for it, where there is none any more: the answer is 429 then, and not 401 (R3.2).
    ///
    /// # Errors
    /// A fault of limits that several processes share: whether it had to be 429 is unknown.
    pub async fn charge_bad_login(&self) -> Result<Option<Duration>, Fault> {
        let (Some(budget), Some(debtor)) = (&self.guard.failures, self.debtor) else { return Ok(None) };
        let now = self.guard.clock.now();
        Ok(match budget.charge(debtor, now.steady) {
            Ok(()) => budget.charge_shared(debtor, now).await?.err(),
            Err(wait) => Some(wait),
        })
    }

    /// How the quotas stand that the request was charged to.
    pub fn quotas(&self) -> &[QuotaStanding] {
        &self.standings
    }

    /// For a handshake that is let in: what says when the connection has to end, because the key did. Adapters hand it to
    /// handlers.
    pub fn live_socket(&self) -> LiveSocket {
        LiveSocket::of(self)
    }

    /// What the answer has to carry.
    pub fn headers(&self) -> AnswerHeaders {
        respond::answer_headers(self)
    }

    /// The policy's answer to a request without a credential, for a handler that demands a principal where the policy let
    /// nobody in. The path is the one that the client sent, for a [`Renderer`](crate::Renderer).
    pub fn demand(&self, path: &str) -> Denial {
        respond::deny_later(self, Kind::Missing, path)
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("principal", &self.principal()).field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// Headers for the answer to an allowed request.
#[derive(Debug, Clone)]
pub struct AnswerHeaders {
    pub(crate) guard: Arc<Parts>,
    pub(crate) own: SmallVec<[(HeaderName, HeaderValue); 3]>,
    pub(crate) cache_control: Option<(bool, HeaderValue)>,
}

impl AnswerHeaders {
    /// Sets them on an answer. The policy's security headers and `Cache-Control: private` only where the handler set none of that
    /// name; `no-store` in any case.
    pub fn apply(self, headers: &mut http::HeaderMap) {
        for (name, value) in &self.guard.policy.response.fixed_headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        for (name, value) in self.own {
            headers.insert(name, value);
        }
        if let Some((always, value)) = self.cache_control
            && (always || !headers.contains_key(http::header::CACHE_CONTROL))
        {
            headers.insert(http::header::CACHE_CONTROL, value);
        }
    }

    /// The same for frameworks with headers of their own: each header, and whether it yields to one that the handler set.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue, bool)> {
        let fixed = self.guard.policy.response.fixed_headers.iter().map(|(name, value)| (name, value, true));
        let own = self.own.iter().map(|(name, value)| (name, value, false));
        let cache = self.cache_control.iter().map(|(always, value)| (&http::header::CACHE_CONTROL, value, !always));
        fixed.chain(own).chain(cache)
    }
}
