//! The gate: what is decided before any credential is looked at (R1, R2, R4).

use super::Allowed;
use crate::decision::Kind;
use crate::guard::Parts;
use crate::head::Head;
use crate::path::RulePath;
use crate::policy::{self, RouteMatch};
use crate::scope::Requirement;
use crate::trail::Trail;

/// The gate is open, and the request goes on as nobody; or it is shut, and a credential is needed.
pub(crate) enum Gate<'g> {
    Open(Allowed),
    Shut(Shut<'g>),
}

/// Proof that target, route and networks were looked at. Candidates are asked for with it.
pub(crate) struct Shut<'g> {
    /// The route's.
    requirement: Option<&'g Requirement>,
    /// The guard's own.
    extra: &'g [Requirement],
    optional: bool,
    optional_here: bool,
}

impl<'g> Gate<'g> {
    /// In this order: the target's form (R1.2), open paths and preflights (R1.4, R1.5), the routes (R1.3), whether the client is
    /// known (R2), the policy's networks (R4).
    pub(crate) fn admit<H: Head + ?Sized>(guard: &'g Parts, trail: &mut Trail<'g, H>) -> Result<Self, Kind> {
        let (policy, head) = (&guard.policy, trail.head);
        // Who asks is found first, so that every event can tell it; it is judged in its turn, below.
        trail.find_client(guard);
        // What a guard of one route demands in addition is not taken back by the policy's calling its path open.
        let demands_more = !trail.extra_is_nothing();
        let path = RulePath::read(head.method(), head.path(), head.query(), policy.has_path_rules);
        let path = trail.path.insert(path.map_err(|_| Kind::Path)?);
        if !demands_more && policy.open_paths.iter().any(|open| open.matches_as_sent(path)) {
            trail.told("open path");
            return Ok(Self::Open(Allowed::open_path()));
        }
        if policy.preflight_passes && guard.plan.is_preflight(head) {
            trail.told("preflight");
            return Ok(Self::Open(Allowed::preflight()));
        }
        let route = match policy::route(&policy.routes, head.method(), path) {
            RouteMatch::Unnamed => None,
            RouteMatch::Route(route) => Some(route),
            RouteMatch::MethodNotNamed => return Err(Kind::Route),
            RouteMatch::Ambiguous => return Err(Kind::Path),
        };
        let (requirement, optional) = (route.map(|route| &route.requirement), route.is_some_and(|route| route.optional));
        let here = route.map(|route| &route.network).filter(|network| !network.is_anybody());
        // Not on open paths: proxies ask there themselves whether the service is well.
        trail.tell_unnamed_client(guard);
        if (guard.needs_client || here.is_some()) && trail.client.address.is_none() {
            return Err(trail.no_peer());
        }
        if !policy.network.admits(&trail.client) || here.is_some_and(|network| !network.admits(&trail.client)) {
            return Err(Kind::Address);
        }
        if !policy.report_only.network.admits(&trail.client) {
            trail.report(Kind::Address);
        }
        trail.note("networks", || "admitted".to_owned());
        if guard.open {
            // R15: nobody has a key, so nobody is asked for one; but nobody holds a scope either.
            let needs_nothing = requirement.is_none_or(Requirement::is_nothing) && trail.extra_is_nothing();
            trail.open_access = true;
            return if needs_nothing { Ok(Self::Open(Allowed::without_keys())) } else { Err(Kind::Missing) };
        }
        Ok(Self::Shut(Shut { requirement, extra: trail.extra, optional, optional_here: trail.extra_optional }))
    }
}

impl<'g> Shut<'g> {
    /// Nothing was presented: nobody, where that is allowed (R8.3), or a denial.
    pub(crate) fn missing(self) -> Result<Allowed, Kind> {
        let needs_nothing = self.requirements().all(Requirement::is_nothing);
        match (self.optional, self.optional_here) {
            (true, _) if needs_nothing => Ok(Allowed::anonymous(true)),
            (false, true) if needs_nothing => Ok(Allowed::anonymous(false)),
            _ => Err(Kind::Missing),
        }
    }

    /// How many permissions the request takes of each quota.
    pub(super) fn cost(&self) -> u32 {
        self.requirements().map(|requirement| requirement.cost).max().unwrap_or(0).max(1)
    }

    /// All that is demanded of whoever comes.
    pub(super) fn requirements(&self) -> impl Iterator<Item = &'g Requirement> {
        self.requirement.into_iter().chain(self.extra)
    }
}
