//! What it may do (R13, R8).

use super::{Allowed, Counted, Principal, Shut, Verified};
use crate::decision::Kind;
use crate::head::Head;
use crate::network::Client;
use crate::path::{PathPattern, RulePath};
use crate::scope::Requirement;

/// Proof that a principal may do what the request asks for.
pub(crate) struct Authorised {
    principal: Principal,
    cost: u32,
}

/// A principal that may not do what the request asks for.
pub(crate) struct Unauthorised<'g> {
    pub(crate) kind: Kind,
    pub(crate) principal: Principal,
    /// The requirement whose scopes it lacks.
    pub(crate) unmet: Option<&'g Requirement>,
}

impl Authorised {
    /// In this order: a cookie's origin (R13), the record's networks and its paths (R8.4), the kind, the scopes (R8.1). What the gate found that the
    /// request demands comes with the gate's proof, so that it cannot be left behind. `cookie_may_count` is asked only where a
    /// cookie does.
    pub(crate) fn check<'g>(
        verified: Verified,
        shut: Shut<'g>,
        client: &Client,
        head: &(impl Head + ?Sized),
        cookie_may_count: impl FnOnce() -> bool,
    ) -> Result<Self, Unauthorised<'g>> {
        let failed = if verified.is_by_cookie() && !cookie_may_count() {
            Some((Kind::Origin, None))
        } else {
            Self::lacks(verified.principal(), &shut, client, head)
        };
        let (principal, cost) = (verified.into_principal(), shut.cost());
        match failed {
            Some((kind, unmet)) => Err(Unauthorised { kind, principal, unmet }),
            None => Ok(Self { principal, cost }),
        }
    }

    fn lacks<'g>(
        principal: &Principal,
        shut: &Shut<'g>,
        client: &Client,
        head: &(impl Head + ?Sized),
    ) -> Option<(Kind, Option<&'g Requirement>)> {
        if let Some(networks) = principal.networks() {
            if client.address.is_none() {
                return Some((Kind::Unavailable, None));
            }
            if !client.is_in(networks) {
                return Some((Kind::Address, None));
            }
        }
        if let Some(kind) = principal.resource_pattern().and_then(|pattern| outside(pattern, head)) {
            return Some((kind, None));
        }
        shut.requirements().find_map(|requirement| Some((unmet(principal, requirement)?, Some(requirement))))
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    /// How many permissions the request takes of each quota.
    pub(crate) fn cost(&self) -> u32 {
        self.cost
    }

    /// Within its limits: the end of the decision. Who was refused, otherwise.
    pub(crate) fn charged(self, counted: Counted) -> Result<Allowed, Principal> {
        if counted.is_refused() { Err(self.principal) } else { Ok(Allowed::to(self.principal)) }
    }
}

/// Whether a key that is bound to paths is elsewhere (R8.4). The path is read anew, since a policy without path rules reads it
/// leniently; and where servers could take it for one inside and for one outside, it is neither (R1.2).
fn outside(pattern: &PathPattern, head: &(impl Head + ?Sized)) -> Option<Kind> {
    let Ok(path) = RulePath::read(head.method(), head.path(), head.query(), true) else { return Some(Kind::Path) };
    let is_inside = pattern.matches(&path);
    if path.other_readings().any(|reading| pattern.matches_reading(&reading) != is_inside) {
        return Some(Kind::Path);
    }
    (!is_inside).then_some(Kind::Route)
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
