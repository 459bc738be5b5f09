//! Within its limits, or not (R9).

use std::net::IpAddr;

use smallvec::SmallVec;

use super::{Authorised, Principal};
use crate::guard::Parts;
use crate::head::Head;
use crate::limit::{Bucket, Charge, Quota, Taking, Whose};
use crate::order::{Patience, Stop, Trail};
use crate::policy::LimitRules;

/// Proof that everything was counted that a request has to be counted under.
pub(crate) struct Counted {
    /// `None`: nothing has to be counted.
    charge: Option<Charge>,
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
        let buckets = buckets(rules, principal.limits().unwrap_or(&rules.per_key), principal, trail.client.address);
        if buckets.is_empty() {
            return Ok(Self { charge: None });
        }
        let taking = Taking { now: trail.now, buckets: &buckets, peek: trail.trace.is_some() };
        let charge = patience.get(guard.limits.take(&taking)).await?;
        trail.retry_after = charge.refused_for;
        trail.standings.clone_from(&charge.standings);
        trail.note("limits", || match charge.refused_for {
            Some(wait) => format!("limited for {wait:?}"),
            None => "within".to_owned(),
        });
        Ok(Self { charge: Some(charge) })
    }

    pub(super) fn is_refused(&self) -> bool {
        self.charge.as_ref().is_some_and(|charge| charge.refused_for.is_some())
    }
}

/// Everything that is counted for a principal (R9.2).
pub(crate) fn buckets<'a>(
    rules: &'a LimitRules,
    per_key: &'a [Quota],
    principal: &'a Principal,
    client: Option<IpAddr>,
) -> SmallVec<[Bucket<'a>; 2]> {
    let key = match principal.key_id() {
        Some(id) => Whose::Key(id),
        None => Whose::Identity(principal.authenticator(), principal.id()),
    };
    let all = [
        (Some(key), per_key),
        (principal.owner().map(Whose::Owner), &rules.per_owner),
        (client.map(Whose::Address), &rules.per_address),
        (Some(Whose::Policy), &rules.per_policy),
    ];
    let counted = all.into_iter().filter(|(_, quotas)| !quotas.is_empty());
    counted.filter_map(|(whose, quotas)| Some(Bucket { whose: whose?, quotas })).collect()
}
