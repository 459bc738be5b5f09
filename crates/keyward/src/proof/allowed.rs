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
    /// Without a credential, where the policy's route, or else the guard alone, makes one optional.
    Anonymous {
        by_policy: bool,
    },
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

    pub(super) fn anonymous(by_policy: bool) -> Self {
        Self { how: How::Anonymous { by_policy } }
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
            How::Anonymous { .. } => "anonymous",
            How::WithoutKeys => "open-access",
            How::To(_) => "valid",
        }
    }

    /// What whoever was allowed lacks of further requirements: a guard within another asks for more without deciding again.
    pub(crate) fn lacks<'d>(&self, requirements: &'d [Requirement], optional: bool) -> Option<(Kind, Option<&'d Requirement>)> {
        let needs_nothing = requirements.iter().all(Requirement::is_nothing);
        match &self.how {
            How::To(principal) => {
                requirements.iter().find_map(|requirement| Some((unmet(principal, requirement)?, Some(requirement))))
            }
            // A preflight goes as far as to the layers that answer it, and no further: a handler whose own guard demands something
            // would otherwise run for anybody who asks by OPTIONS.
            How::Preflight | How::OpenPath | How::WithoutKeys | How::Anonymous { by_policy: true } if needs_nothing => None,
            // Another guard let nobody in; this one only does so if it was told to.
            How::Anonymous { by_policy: false } if needs_nothing && optional => None,
            _ => Some((Kind::Missing, None)),
        }
    }

    /// What a principal would lack of a requirement that is only reported.
    pub(crate) fn lacks_of(principal: &Principal, requirement: &Requirement) -> Option<Kind> {
        unmet(principal, requirement)
    }
}
