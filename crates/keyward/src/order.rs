//! The order in which a request is decided. Each line of [`judge`] consumes the proof that the line before it made; each `?` is
//! a denial. `docs/rules.md` has the rules by number.

use crate::answer::{Answer, Fault};
use crate::authenticate::authenticate;
use crate::decision::{Kind, Principal};
use crate::explain::CandidateTold;
use crate::guard::Parts;
use crate::head::Head;
use crate::limit::{Limits, Taking};
use crate::policy::{self, RouteMatch};
use crate::proof::{Allowed, Authorised, Counted, Gate, Shut, Unauthorised, Verified, buckets};
use crate::resolve::{Candidates, resolve};
use crate::scope::Requirement;
use crate::trail::{Trail, find_candidates};

/// The order: R1 R2 R4, then R5 R6, R3 R7, R13 R8, R9. One caller charges failures (R3), tells the audit (R11) and answers
/// (R10).
pub(crate) async fn judge<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    patience: Patience,
) -> Result<Allowed, Stop> {
    let shut = match Gate::admit(guard, trail)? {
        Gate::Open(allowed) => return Ok(allowed),
        Gate::Shut(shut) => shut,
    };
    let candidates = candidates(guard, trail)?;
    let Some(verified) = authenticate(guard, trail, &shut, candidates, patience).await? else { return Ok(shut.missing()?) };
    let authorised = authorise(guard, trail, shut, verified)?;
    // Before anything is taken: limits that several processes share may count one part at once, and make another wait.
    if patience == Patience::GivesUp && trail.charges_elsewhere(guard) {
        return Err(Stop::WouldWait);
    }
    let cost = authorised.cost();
    let counted = Counted::count(guard, trail, &authorised, patience).await?;
    match authorised.charged(counted) {
        Ok(allowed) => {
            if let Some(principal) = allowed.principal() {
                try_new_limits(guard, trail, principal, cost);
            }
            Ok(allowed)
        }
        Err(principal) => {
            trail.denied = Some(principal);
            Err(Kind::Limited.into())
        }
    }
}

/// How a decision ends before its end.
pub(crate) enum Stop {
    Denied(Kind),
    /// A fault is never an answer about a key (promise 2).
    Faulted(Fault),
    /// Somebody would have to be waited for. Nothing has been charged or told.
    WouldWait,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Faulted(fault)
    }
}

impl From<Kind> for Stop {
    fn from(kind: Kind) -> Self {
        Self::Denied(kind)
    }
}

/// What a decision may do to come to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    Waits,
    GivesUp,
}

impl Patience {
    pub(crate) async fn get<T>(self, answer: Answer<T>) -> Result<T, Stop> {
        let result = match (self, answer) {
            (_, Answer::Ready(result)) => result,
            (Self::GivesUp, Answer::Pending(_)) => return Err(Stop::WouldWait),
            (Self::Waits, Answer::Pending(later)) => later.await,
        };
        result.map_err(Stop::Faulted)
    }
}

fn candidates<'r, H: Head + ?Sized>(guard: &'r Parts, trail: &mut Trail<'r, H>) -> Result<Candidates<'r>, Kind> {
    let Some(path) = &trail.path else { return Err(Kind::Path) };
    let extracted = find_candidates(guard, trail.head, path);
    trail.presented = Some(!extracted.is_empty());
    trail.source = match &extracted.refused {
        Some((source, _)) => guard.policy.sources.get(*source).map(crate::source::Source::kind),
        None => extracted.candidates.first().map(|candidate| candidate.kind),
    };
    if let Some(trace) = &mut trail.trace {
        for candidate in &extracted.candidates {
            let outcome = if candidate.credential.is_malformed() { "malformed" } else { "present" };
            trace.candidate(CandidateTold::new(&guard.policy.sources[candidate.source], candidate.source, outcome));
        }
        if let Some((source, kind)) = extracted.refused {
            trace.candidate(CandidateTold::new(&guard.policy.sources[source], source, kind.as_str()));
        }
        trace.step("candidates", format!("{} found", extracted.candidates.len() + usize::from(extracted.refused.is_some())));
    }
    let resolved = resolve(extracted, guard.policy.resolution);
    trail.note("resolution", || match &resolved {
        Ok(candidates) => format!("{} to try", candidates.len()),
        Err(kind) => kind.to_string(),
    });
    resolved
}

fn authorise<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    shut: Shut<'r>,
    verified: Verified,
) -> Result<Authorised, Kind> {
    let cookie_may_count = || guard.plan.cookie_may_count(&guard.policy, trail.head);
    let authorised = Authorised::check(verified, shut, &trail.client, trail.head, cookie_may_count);
    let authorised = authorised.map_err(|Unauthorised { kind, principal, unmet }| {
        trail.unmet = unmet;
        trail.denied = Some(principal);
        if kind == Kind::Unavailable { trail.no_peer() } else { kind }
    })?;
    trail.note("authorisation", || "authorised".to_owned());
    if !guard.policy.report_only.routes.is_empty()
        && let Some(path) = &trail.path
    {
        let lacks = |requirement: &Requirement| Allowed::lacks_of(authorised.principal(), requirement);
        let told = match policy::route(&guard.policy.report_only.routes, trail.head.method(), path) {
            RouteMatch::Route(route) if trail.client.address.is_some() && !route.network.admits(&trail.client) => {
                Some(Kind::Address)
            }
            RouteMatch::Route(route) => lacks(&route.requirement),
            RouteMatch::MethodNotNamed => Some(Kind::Route),
            RouteMatch::Ambiguous => Some(Kind::Path),
            RouteMatch::Unnamed => None,
        };
        if let Some(kind) = told {
            trail.report(kind);
        }
    }
    Ok(authorised)
}

/// Rules that are only reported (after the enforced ones, so that they never charge for a refused request).
fn try_new_limits<H: Head + ?Sized>(guard: &Parts, trail: &mut Trail<'_, H>, principal: &Principal, cost: u32) {
    let rules = &guard.policy.report_only.limits;
    if rules.is_nothing() {
        return;
    }
    let buckets = buckets(rules, &rules.per_key, principal, trail.client.address);
    if buckets.is_empty() {
        return; // An owner's quota, and a key without an owner.
    }
    let taking = Taking { now: trail.now, buckets: &buckets, cost, peek: trail.trace.is_some() };
    if let Answer::Ready(Ok(charge)) = guard.report_only_limits.take(&taking)
        && charge.refused_for.is_some()
    {
        trail.report(Kind::Limited);
    }
}
