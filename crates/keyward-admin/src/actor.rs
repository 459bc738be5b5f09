//! Who asks for something: made from what the guard verified, and from nothing that a request says (R16).

use http::header;
use keyward::account::{AccountId, SessionDigest};
use keyward::scope::Scope;
use keyward::{Principal, SourceKind};

use crate::incoming::Incoming;
use crate::sessions::{self, SESSION_COOKIE};

/// Who asks for something.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    /// What journals name: `account ID` or `key ID`.
    pub(crate) name: String,
    /// Whose keys these are. `None`: a key that nobody owns, like the first one of a database.
    pub(crate) owner: Option<Box<str>>,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) who: Who,
    /// Whether a browser may have sent by itself what proves it.
    pub(crate) is_by_cookie: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Somebody who signed in here; the session is missing where somebody else's sessions are used.
    Person {
        account: Option<AccountId>,
        session: Option<SessionDigest>,
        is_admin: bool,
    },
    Key,
}

impl Actor {
    /// What looks after everybody's keys.
    pub(crate) const ADMIN: &str = "admin";
    /// What lets a key look after keys.
    pub(crate) const MANAGES_KEYS: &str = "keys:manage";

    pub(crate) fn of(principal: &Principal, request: &Incoming) -> Self {
        let owner = principal.owner().map(Into::into);
        let mut scopes = principal.scopes().to_vec();
        // A key that is bound to paths could make itself one that is not.
        if principal.record().is_some_and(|record| record.resource_pattern.is_some()) {
            scopes.retain(|scope| !scope.covers(Self::MANAGES_KEYS));
        }
        match principal.key_id() {
            Some(id) => Self {
                name: format!("key {id}"),
                owner,
                scopes,
                who: Who::Key,
                is_by_cookie: principal.source() == Some(SourceKind::Cookie),
            },
            None => {
                let token = match principal.source() {
                    None => sessions::cookie(request.headers(), SESSION_COOKIE),
                    Some(_) => bearer(request),
                };
                let session = token.and_then(SessionDigest::of);
                Self {
                    name: format!("account {}", principal.id()),
                    who: Who::Person {
                        account: session.and_then(|_| principal.id().parse().ok()),
                        session,
                        is_admin: principal.has_scope(Self::ADMIN),
                    },
                    owner,
                    scopes,
                    is_by_cookie: principal.source().is_none(),
                }
            }
        }
    }

    pub(crate) fn has_scope(&self, demanded: &str) -> bool {
        self.scopes.iter().any(|scope| scope.covers(demanded))
    }

    /// Whether it looks after everybody's keys: an administrator who signed in, and never a key (R16).
    pub(crate) fn is_admin(&self) -> bool {
        matches!(self.who, Who::Person { is_admin: true, .. })
    }
}

fn bearer(request: &Incoming) -> Option<&str> {
    let line = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = line.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
