//! The end of the chain: the request may go on.

use super::Principal;
use super::authorised::unmet;
use crate::decision::Kind;
use crate::scope::Requirement;

/// Proof that a request may go on, and as whom.
#[derive(Clone)]
pub(crate) struct Allowed {
    how: How,
}

#[derive(Clone)]
enum How {
    /// An open path: no event, no charge.
    OpenPath,
    /// The same for a preflight.
    Preflight,
    /// An optional route without a credential.
    Anonymous,
    /// R15.
    WithoutKeys,
    To(Principal),
}

impl Allowed {
    pub(super) fn open_path() -> Self {
        Self { how: How::OpenPath }
    }

    pub(super) fn preflight() -> Self {
        Self { how: How::Preflight }
    }

    pub(super) fn anonymous() -> Self {
        Self { how: How::Anonymous }
    }

    pub(super) fn without_keys() -> Self {
        Self { how: How::WithoutKeys }
    }

    pub(super) fn to(principal: Principal) -> Self {
        Self { how: How::To(principal) }
    }

    pub(crate) fn principal(&self) -> Option<&Principal> {
        match &self.how {
            How::To(principal) => Some(principal),
            _ => None,
        }
    }

    /// Whether the guard stood aside, and the answer is none of its business.
    pub(crate) fn is_unguarded(&self) -> bool {
        matches!(self.how, How::OpenPath | How::Preflight)
    }

    /// The reason that audit events tell.
    pub(crate) fn reason(&self) -> &'static str {
        match self.how {
            How::OpenPath => "open-path",
            How::Preflight => "preflight",
            How::Anonymous => "anonymous",
            How::WithoutKeys => "open-access",
            How::To(_) => "valid",
        }
    }

    /// What whoever was allowed lacks of a further requirement: a guard within another asks for more without deciding again.
    pub(crate) fn lacks(&self, requirement: &Requirement) -> Option<Kind> {
        match &self.how {
            _ if requirement.is_nothing() => None,
            // A browser's preflight never carries a key, and what follows it is asked for one.
            How::Preflight => None,
            How::To(principal) => unmet(principal, requirement),
            _ => Some(Kind::Missing),
        }
    }

    /// What a principal would lack of a requirement that is only reported.
    pub(crate) fn lacks_of(principal: &Principal, requirement: &Requirement) -> Option<Kind> {
        unmet(principal, requirement)
    }
}
