//! Within its limits, or not (R9).

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Authorised, Principal};
use crate::answer::Fault;
use crate::guard::Parts;
use crate::head::Head;
use crate::key::Record;
use crate::limit::{Bucket, Charge, Quota, QuotaStanding, Taking, Whose};
use crate::order::{Patience, Stop};
use crate::policy::LimitRules;
use crate::trail::Trail;

/// Proof that everything was counted that a request has to be counted under.
pub(crate) struct Counted {
    is_refused: bool,
}

impl Counted {
    /// Takes one permission of every quota, or none.
    pub(crate) async fn count<H: Head + ?Sized>(
        guard: &Parts,
        trail: &mut Trail<'_, H>,
        authorised: &Authorised,
        patience: Patience,
    ) -> Result<Self, Stop> {
        let (rules, principal) = (&guard.policy.limits, authorised.principal());
        if !Self::has_place(guard, trail, principal) {
            return Ok(Self { is_refused: true });
        }
        let buckets = buckets(rules, principal.limits().unwrap_or(&rules.per_key), principal, trail.client.address);
        if buckets.is_empty() {
            return Ok(Self { is_refused: false });
        }
        let taking = Taking { now: trail.now, buckets: &buckets, cost: authorised.cost(), peek: trail.trace.is_some() };
        let Charge { refused_for, standings } = patience.get(guard.limits.take(&taking)).await?;
        trail.retry_after = refused_for;
        trail.standings = standings;
        tell_apart(&mut trail.standings);
        trail.note("limits", || match refused_for {
            Some(wait) => format!("limited for {wait:?}"),
            None => "within".to_owned(),
        });
        Ok(Self { is_refused: refused_for.is_some() })
    }

    /// Whether the key may open one more connection; the place is taken, before any permission is.
    fn has_place<H: Head + ?Sized>(guard: &Parts, trail: &mut Trail<'_, H>, principal: &Principal) -> bool {
        let Some(most) = guard.policy.websocket.connections_per_key.filter(|_| guard.plan.may_open_websocket(trail.head)) else {
            return true;
        };
        let has_place = if trail.trace.is_some() {
            guard.sockets.has_place(principal, most)
        } else {
            trail.socket_place = guard.sockets.reserve(principal, most).map(Arc::new);
            trail.socket_place.is_some()
        };
        trail.note("connections", || if has_place { "within".to_owned() } else { format!("{most} are open") });
        has_place
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_refused
    }
}

/// No two quotas of one answer have one name. Within a record, and within a policy, none do; a record's own that is called like
/// one of the policy's is told as one without a name.
fn tell_apart(standings: &mut [QuotaStanding]) {
    for index in 1..standings.len() {
        let (before, rest) = standings.split_at_mut(index);
        if let Some(name) = rest.first().and_then(|later| later.quota.name()) {
            before.iter_mut().filter(|earlier| earlier.quota.name() == Some(name)).for_each(|earlier| {
                earlier.quota = earlier.quota.unnamed();
            });
        }
    }
}

/// How the quotas of a stored key stand, before any request: its own, and those that it shares with its owner's other keys.
pub(crate) async fn quotas_of(guard: &Parts, record: &Record) -> Result<Vec<QuotaStanding>, Fault> {
    let rules = &guard.policy.limits;
    let of_owner = record.owner.as_deref().map(|owner| (Whose::Owner(owner), &rules.per_owner[..]));
    let buckets = std::iter::once((Whose::Key(record.id), record.limits.as_deref().unwrap_or(&rules.per_key))).chain(of_owner);
    let buckets = buckets.filter(|(_, quotas)| !quotas.is_empty()).map(|(whose, quotas)| Bucket { whose, quotas });
    let buckets: SmallVec<[Bucket<'_>; 2]> = buckets.collect();
    if buckets.is_empty() {
        return Ok(Vec::new());
    }
    let taking = Taking { now: guard.clock.now(), buckets: &buckets, cost: 1, peek: true };
    let Charge { refused_for, mut standings } = guard.limits.take(&taking).wait().await?;
    tell_apart(&mut standings);
    if refused_for.is_none() {
        // What was looked at is how they would stand after a request.
        for standing in &mut standings {
            standing.remaining = standing.remaining.saturating_add(1).min(standing.quota.count());
            standing.full_in = standing.full_in.saturating_sub(standing.quota.window() / standing.quota.count());
        }
    }
    Ok(standings.into_vec())
}

/// Everything that is counted for a principal (R9.2).
pub(crate) fn buckets<'a>(
    rules: &'a LimitRules,
    per_key: &'a [Quota],
    principal: &'a Principal,
    client: Option<IpAddr>,
) -> SmallVec<[Bucket<'a>; 1]> {
    let mut buckets = SmallVec::new();
    let mut count = |whose, quotas: &'a [Quota]| {
        if !quotas.is_empty() {
            buckets.push(Bucket { whose, quotas });
        }
    };
    match principal.key_id() {
        Some(id) => count(Whose::Key(id), per_key),
        None => count(Whose::Identity(principal.authenticator(), principal.id()), per_key),
    }
    if let Some(owner) = principal.owner() {
        count(Whose::Owner(owner), &rules.per_owner);
    }
    // A guard with such a quota lets nobody in whose address is unknown (R2.3).
    if let Some(address) = client {
        count(Whose::Address(address), &rules.per_address);
    }
    count(Whose::Policy, &rules.per_policy);
    buckets
}
