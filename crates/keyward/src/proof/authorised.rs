//! What it may do (R13, R8).

use super::{Allowed, Counted, Principal, Verified};
use crate::decision::Kind;
use crate::network::Client;
use crate::scope::Requirement;

/// Proof that a principal may do what the request asks for.
pub(crate) struct Authorised {
    principal: Principal,
}

/// What a request demands of its principal.
pub(crate) struct Demands<'d> {
    pub(crate) client: &'d Client,
    /// The route's, and the guard's own.
    pub(crate) requirements: [Option<&'d Requirement>; 2],
    /// Whether a cookie may count for this request (R13). Asked only where one does.
    pub(crate) cookie_may_count: &'d dyn Fn() -> bool,
}

impl Authorised {
    /// In this order: a cookie's origin (R13), the record's networks, the kind, the scopes (R8.1).
    pub(crate) fn check(verified: Verified, demands: &Demands<'_>) -> Result<Self, (Kind, Principal)> {
        let failed = if verified.is_by_cookie() && !(demands.cookie_may_count)() {
            Some(Kind::Origin)
        } else {
            Self::lacks(verified.principal(), demands)
        };
        let principal = verified.into_principal();
        match failed {
            Some(kind) => Err((kind, principal)),
            None => Ok(Self { principal }),
        }
    }

    fn lacks(principal: &Principal, demands: &Demands<'_>) -> Option<Kind> {
        if let Some(networks) = principal.networks() {
            if demands.client.address.is_none() {
                return Some(Kind::Unavailable);
            }
            if !demands.client.is_in(networks) {
                return Some(Kind::Address);
            }
        }
        demands.requirements.iter().flatten().find_map(|requirement| unmet(principal, requirement))
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Within its limits: the end of the decision. Who was refused, otherwise.
    pub(crate) fn charged(self, counted: Counted) -> Result<Allowed, Principal> {
        if counted.is_refused() { Err(self.principal) } else { Ok(Allowed::to(self.principal)) }
    }
}

/// What a principal lacks of one requirement: the kind before the scopes.
pub(super) fn unmet(principal: &Principal, requirement: &Requirement) -> Option<Kind> {
    if !requirement.accepts_kind(principal.kind()) {
        Some(Kind::Kind)
    } else if !requirement.accepts_scopes(principal.scopes()) {
        Some(Kind::Scope)
    } else {
        None
    }
}
