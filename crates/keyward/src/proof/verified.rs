//! Who it is: a presented key held against a record (R7).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::answer::Fault;
use crate::authenticator::Identity;
use crate::clock::Timestamp;
use crate::decision::Kind;
use crate::key::{Abandoned, Argon2Hash, KeyDigest, KeyId, Record, Slot, Standing, StoredSecret, Verifications};
use crate::limit::Quota;
use crate::network::AddressList;
use crate::path::PathPattern;
use crate::scope::Scope;
use crate::source::SourceKind;
use crate::store::{Presented, Use};
use crate::ticket::keyed::{Through, Ticket};

/// Who a request comes from. Only verification makes one, so holding one is the proof.
///
/// ```compile_fail
/// // Its fields are private, so that nobody else can make one up.
/// fn look(principal: keyward::Principal) {
///     let keyward::Principal { who: _, .. } = principal;
/// }
/// ```
#[derive(Clone)]
pub struct Principal {
    who: Who,
    authenticator: AuthenticatorName,
    source: Option<SourceKind>,
}

#[derive(Clone)]
enum Who {
    /// Boxed, since there is one only while peppers are changed: the digest under which the secret should be stored.
    Key {
        record: Arc<Record>,
        by_previous: bool,
        better_digest: Option<Box<KeyDigest>>,
    },
    Identity(Arc<Identity>),
}

/// Which authenticator knew them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum AuthenticatorName {
    Store,
    Configured,
    /// One of the user's, sessions included.
    Own(Arc<str>),
}

impl AuthenticatorName {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Store => "store",
            Self::Configured => "configured",
            Self::Own(name) => name,
        }
    }
}

impl Principal {
    /// The key's stable id, or the identity's.
    pub fn id(&self) -> &str {
        match &self.who {
            Who::Key { record, .. } => record.id.as_str(),
            Who::Identity(identity) => &identity.id,
        }
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        match &self.who {
            Who::Key { record, .. } => &record.name,
            Who::Identity(identity) => &identity.name,
        }
    }

    /// The label that routes may demand.
    pub fn kind(&self) -> Option<&str> {
        match &self.who {
            Who::Key { record, .. } => record.kind.as_deref(),
            Who::Identity(identity) => identity.kind.as_deref(),
        }
    }

    /// Whose key it is.
    pub fn owner(&self) -> Option<&str> {
        match &self.who {
            Who::Key { record, .. } => record.owner.as_deref(),
            Who::Identity(identity) => identity.owner.as_deref(),
        }
    }

    /// What it may do.
    pub fn scopes(&self) -> &[Scope] {
        match &self.who {
            Who::Key { record, .. } => &record.scopes,
            Who::Identity(identity) => &identity.scopes,
        }
    }

    /// Whether it holds a scope, by name or by a wildcard.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().iter().any(|held| held.covers(scope))
    }

    /// What may be shown of the key; `None` where there is no key.
    pub fn key_prefix(&self) -> Option<&str> {
        match &self.who {
            Who::Key { by_previous: true, record, .. } => record.previous.as_ref().map(|slot| &*slot.prefix),
            Who::Key { record, .. } => Some(&record.current.prefix),
            Who::Identity(_) => None,
        }
    }

    /// The key's id; `None` where there is no key.
    pub fn key_id(&self) -> Option<KeyId> {
        match &self.who {
            Who::Key { record, .. } => Some(record.id),
            Who::Identity(_) => None,
        }
    }

    /// What is stored about the key; `None` where there is no key.
    pub fn record(&self) -> Option<&Arc<Record>> {
        match &self.who {
            Who::Key { record, .. } => Some(record),
            Who::Identity(_) => None,
        }
    }

    /// Which authenticator knew it, as the policy names it.
    pub fn authenticator(&self) -> &str {
        self.authenticator.as_str()
    }

    /// Where its credential stood; `None` for a session cookie or a certificate.
    pub fn source(&self) -> Option<SourceKind> {
        self.source
    }

    /// Whether a previous secret was used, in its grace: the client should be told to change it.
    pub fn is_by_previous_secret(&self) -> bool {
        matches!(self.who, Who::Key { by_previous: true, .. })
    }

    /// Which of the key's secrets was presented.
    pub(crate) fn slot_number(&self) -> Option<u32> {
        match &self.who {
            Who::Key { by_previous: true, record, .. } => record.previous.as_ref().map(|slot| slot.number),
            Who::Key { record, .. } => Some(record.current.number),
            Who::Identity(_) => None,
        }
    }

    /// What a store is told of this use of its key; `None` where it is no store's.
    pub(crate) fn used(&self, at: Timestamp, client: Option<IpAddr>) -> Option<Use<'_>> {
        let (Who::Key { record, by_previous, better_digest }, AuthenticatorName::Store) = (&self.who, &self.authenticator) else {
            return None;
        };
        let slot = if *by_previous { record.previous.as_ref()? } else { &record.current };
        let better_digest = better_digest.as_deref().copied();
        Some(Use { id: &record.id, number: slot.number, at, client, source: self.source, better_digest })
    }

    pub(crate) fn networks(&self) -> Option<&AddressList> {
        match &self.who {
            Who::Key { record, .. } => record.networks.as_ref(),
            Who::Identity(identity) => identity.networks.as_ref(),
        }
    }

    pub(crate) fn resource_pattern(&self) -> Option<&PathPattern> {
        match &self.who {
            Who::Key { record, .. } => record.resource_pattern.as_ref(),
            Who::Identity(_) => None,
        }
    }

    pub(crate) fn limits(&self) -> Option<&[Quota]> {
        match &self.who {
            Who::Key { record, .. } => record.limits.as_deref(),
            Who::Identity(identity) => identity.limits.as_deref(),
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.id())
            .field("name", &self.name())
            .field("kind", &self.kind())
            .field("authenticator", &self.authenticator())
            .finish_non_exhaustive()
    }
}

/// Proof that a credential is genuine and live.
pub(crate) struct Verified {
    principal: Principal,
    by_cookie: bool,
}

/// What a record says about a presented key.
pub(crate) enum Verdict<'v> {
    Genuine(Verified),
    /// It is this record's, which is not live.
    Dead(Kind, Arc<Record>),
    /// It is not this record's: what the store found by a handle, or a store's mistake.
    NotIts,
    /// Argon2id has to be asked.
    Slow(Slow<'v>),
}

impl Verified {
    /// Holds a presented key against a record: constant-time comparison of digests, then the state.
    pub(crate) fn by_record<'v>(
        presented: &Presented<'v>,
        record: Arc<Record>,
        authenticator: &AuthenticatorName,
        source: SourceKind,
        now: Timestamp,
    ) -> Verdict<'v> {
        let matches = |slot: &Slot| match &slot.secret {
            StoredSecret::Digest(stored) => presented.digests().iter().fold(false, |found, digest| found | (digest == stored)),
            StoredSecret::Argon2(_) => false,
        };
        let begins =
            |slot: &Slot| matches!(&slot.secret, StoredSecret::Argon2(hash) if presented.expose().starts_with(hash.handle()));
        // The newest pepper's digest is the first, and what is stored under another one should be stored under that.
        let better = |slot: &Slot| match (&slot.secret, presented.digests()) {
            (StoredSecret::Digest(stored), [newest, ..]) if stored.pepper() != newest.pepper() => Some(Box::new(*newest)),
            _ => None,
        };
        let found = Found { by_previous: false, authenticator: authenticator.clone(), source, better_digest: None };
        if matches(&record.current) {
            return Found { better_digest: better(&record.current), ..found }.judge(record, now);
        }
        let found = Found { by_previous: true, ..found };
        if let Some(previous) = record.previous.as_ref().filter(|slot| matches(slot)) {
            return Found { better_digest: better(previous), ..found }.judge(record, now);
        }
        if begins(&record.current) {
            return Verdict::Slow(Slow { record, found: Found { by_previous: false, ..found }, key: presented.expose() });
        }
        if record.previous.as_ref().is_some_and(begins) {
            return Verdict::Slow(Slow { record, found, key: presented.expose() });
        }
        Verdict::NotIts
    }

    /// Takes a ticket that was found genuine, and judges the secret through which it was made as if it were presented (R14.2).
    pub(crate) fn by_ticket<'v>(
        ticket: Ticket,
        record: Arc<Record>,
        authenticator: &AuthenticatorName,
        now: Timestamp,
    ) -> Verdict<'v> {
        let by_previous = ticket.through == Through::Previous;
        if by_previous && record.previous.is_none() {
            return Verdict::NotIts;
        }
        let authenticator = authenticator.clone();
        Found { by_previous, authenticator, source: SourceKind::Query, better_digest: None }.judge(record, now)
    }

    /// Takes a ticket that the one configured key has signed itself (R14.3).
    pub(crate) fn by_plain_ticket<'v>(record: Arc<Record>, authenticator: &AuthenticatorName, now: Timestamp) -> Verdict<'v> {
        let authenticator = authenticator.clone();
        Found { by_previous: false, authenticator, source: SourceKind::Query, better_digest: None }.judge(record, now)
    }

    /// Takes the word of one of the user's authenticators.
    pub(crate) fn by_identity(
        identity: Identity,
        authenticator: &AuthenticatorName,
        source: Option<SourceKind>,
        by_cookie: bool,
    ) -> Self {
        let principal = Principal { who: Who::Identity(Arc::new(identity)), authenticator: authenticator.clone(), source };
        Self { by_cookie: by_cookie || source == Some(SourceKind::Cookie), principal }
    }

    /// Whether the browser may have sent the credential by itself (R13).
    pub(crate) fn is_by_cookie(&self) -> bool {
        self.by_cookie
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(super) fn into_principal(self) -> Principal {
        self.principal
    }
}

struct Found {
    by_previous: bool,
    authenticator: AuthenticatorName,
    source: SourceKind,
    better_digest: Option<Box<KeyDigest>>,
}

impl Found {
    fn judge<'v>(self, record: Arc<Record>, now: Timestamp) -> Verdict<'v> {
        let slot = match (&record.previous, self.by_previous) {
            (Some(previous), true) => previous,
            _ => &record.current,
        };
        match Standing::of(&record, slot, now) {
            Standing::Dead(kind) => Verdict::Dead(kind, record),
            Standing::Live => {
                let who = Who::Key { record, by_previous: self.by_previous, better_digest: self.better_digest };
                let principal = Principal { who, authenticator: self.authenticator, source: Some(self.source) };
                Verdict::Genuine(Verified { principal, by_cookie: self.source == SourceKind::Cookie })
            }
        }
    }
}

/// A low-entropy key whose handle is a record's: Argon2id decides.
pub(crate) struct Slow<'v> {
    record: Arc<Record>,
    found: Found,
    key: &'v str,
}

impl Slow<'_> {
    /// Starts the verification, or remembers it.
    pub(crate) fn ask(
        &self,
        verifications: &Verifications,
        abandoned: impl FnOnce() -> Option<Abandoned>,
    ) -> crate::answer::Answer<bool> {
        match self.hash() {
            Some(hash) => verifications.verify(hash, self.key.as_bytes(), abandoned),
            None => crate::answer::Answer::fault(Fault::new("a slot without a hash was asked for one")),
        }
    }

    /// Takes the answer.
    pub(crate) fn settle<'v>(self, matches: bool, now: Timestamp) -> Verdict<'v> {
        if matches { self.found.judge(self.record, now) } else { Verdict::NotIts }
    }

    fn hash(&self) -> Option<&Argon2Hash> {
        let slot = if self.found.by_previous { self.record.previous.as_ref()? } else { &self.record.current };
        match &slot.secret {
            StoredSecret::Argon2(hash) => Some(hash),
            StoredSecret::Digest(_) => None,
        }
    }
}
