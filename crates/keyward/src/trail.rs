//! What a decision leaves behind on its way: all that its one event and its answer need.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::answer::Fault;
use crate::clock::Now;
use crate::decision::{Kind, Principal};
use crate::explain::Trace;
use crate::guard::Parts;
use crate::head::Head;
use crate::key::{Abandoned, Record};
use crate::limit::{Debtor, FailureBudget, QuotaStanding};
use crate::network::Client;
use crate::path::RulePath;
use crate::proof::Allowed;
use crate::request_id::RequestId;
use crate::resolve::{Extracted, extract};
use crate::scope::Requirement;
use crate::sockets::SocketPlace;
use crate::source::SourceKind;

/// All that the one event and the answer need, filled as far as the decision got.
pub(crate) struct Trail<'r, H: ?Sized> {
    pub(crate) head: &'r H,
    pub(crate) now: Now,
    pub(crate) request_id: RequestId,
    pub(crate) path: Option<RulePath<'r>>,
    pub(crate) client: Client,
    /// What the guard itself demands, beside the policy's routes.
    pub(crate) extra: &'r [Requirement],
    pub(crate) extra_optional: bool,
    /// Whether any source held anything. `None`: nobody has looked yet.
    pub(crate) presented: Option<bool>,
    pub(crate) source: Option<SourceKind>,
    /// The dead record of the first candidate.
    pub(crate) dead: Option<Arc<Record>>,
    /// Who was verified, and denied all the same.
    pub(crate) denied: Option<Principal>,
    /// The requirement that was not met.
    pub(crate) unmet: Option<&'r Requirement>,
    /// Candidates that were found bad, in their order (R3.1).
    pub(crate) bad: SmallVec<[Kind; 2]>,
    /// Why it could not be decided.
    pub(crate) fault: Option<Fault>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) standings: SmallVec<[QuotaStanding; 1]>,
    pub(crate) socket_place: Option<Arc<SocketPlace>>,
    /// The first rule that would have denied, were it enforced.
    pub(crate) report: Option<Kind>,
    pub(crate) open_access: bool,
    /// `explain`: consume nothing, tell everything.
    pub(crate) trace: Option<Box<Trace>>,
}

impl<'r, H: Head + ?Sized> Trail<'r, H> {
    pub(crate) fn begin(
        guard: &Parts,
        head: &'r H,
        extra: &'r [Requirement],
        extra_optional: bool,
        trace: Option<Box<Trace>>,
    ) -> Self {
        Self {
            head,
            now: guard.clock.now(),
            request_id: RequestId::choose(guard.plan.request_id(head), &*guard.random),
            path: None,
            client: Client::default(),
            extra,
            extra_optional,
            presented: None,
            source: None,
            dead: None,
            denied: None,
            unmet: None,
            bad: SmallVec::new(),
            fault: None,
            retry_after: None,
            standings: SmallVec::new(),
            socket_place: None,
            report: None,
            open_access: false,
            trace,
        }
    }

    pub(crate) fn extra_is_nothing(&self) -> bool {
        self.extra.iter().all(Requirement::is_nothing)
    }

    pub(crate) fn find_client(&mut self, guard: &Parts) {
        let policy = &guard.policy;
        self.client =
            Client::find(self.head.peer(), &policy.trusted_proxies, policy.client_header, || guard.plan.client_lines(self.head));
        let client = self.client;
        self.note("client address", || match client.address {
            Some(address) if client.flagged => format!("{address}, flagged: the way to the client could not be read to its end"),
            Some(address) => address.to_string(),
            None => "unknown".to_owned(),
        });
    }

    /// Warns of a proxy that names no client.
    pub(crate) fn tell_unnamed_client(&self, guard: &Parts) {
        if let (true, None, Some(header)) = (self.client.is_unnamed, &self.trace, guard.policy.client_header) {
            guard.unnamed_clients.tell(&self.client, header, self.now.steady);
        }
    }

    /// R2.3. Sharing one bucket among all whose address is unknown would let one of them lock out the others.
    pub(crate) fn no_peer(&mut self) -> Kind {
        self.unavailable(Fault::new(
            "a rule needs the client's address and the server gave none: insert `keyward::Peer` into the request's extensions, or serve axum with `into_make_service_with_connect_info::<SocketAddr>()`",
        ))
    }

    /// Whether candidates were presented, for an event that is made before they were looked for.
    pub(crate) fn has_presented(&self, guard: &Parts) -> bool {
        self.presented.unwrap_or_else(|| match &self.path {
            Some(path) => !find_candidates(guard, self.head, path).is_empty(),
            // The path cannot be read: every source counts.
            None => guard
                .policy
                .sources
                .iter()
                .enumerate()
                .any(|(index, source)| source.holds_anything(self.head, guard.plan.source_header(index))),
        })
    }

    /// Why it cannot be decided: for the operator alone.
    pub(crate) fn unavailable(&mut self, fault: Fault) -> Kind {
        self.fault.get_or_insert(fault);
        Kind::Unavailable
    }

    pub(crate) fn report(&mut self, kind: Kind) {
        self.report.get_or_insert(kind);
        self.note("report only", || format!("would be denied: {kind}"));
    }

    pub(crate) fn note(&mut self, step: &'static str, outcome: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.step(step, outcome());
        }
    }

    pub(crate) fn told(&mut self, what: &'static str) {
        self.note("path", || what.to_owned());
    }

    /// Whose failure budget is charged. A trusted proxy's own address never is; but who sends what makes the way to them
    /// unreadable, and so hides behind the proxy's address, shares a budget with the others who do.
    pub(crate) fn budget_of(&self) -> Option<Debtor> {
        let address = self.client.address.filter(|_| self.client.flagged || !self.client.is_proxy)?;
        Some(Debtor { address, flagged: self.client.flagged })
    }

    /// What charges the client for a bad key whose verification it did not wait for.
    pub(crate) fn abandoned(&self, guard: &Parts) -> Option<Abandoned> {
        let (budget, debtor, now) = (guard.failures.clone()?, self.budget_of()?, self.now.steady);
        Some(Box::new(move || {
            let _ = budget.charge(debtor, now);
        }))
    }

    /// How long until the client's failure budget takes one more, if it is spent (R3.2).
    pub(crate) fn budget_spent(&self, guard: &Parts) -> Option<Duration> {
        guard.failures.as_ref()?.spent(self.budget_of()?, self.now.steady)
    }

    /// Whether [`Trail::charge_failures`] has to wait for somebody.
    pub(crate) fn charges_elsewhere(&self, guard: &Parts) -> bool {
        !self.bad.is_empty() && guard.failures.as_ref().is_some_and(FailureBudget::may_wait) && self.budget_of().is_some()
    }

    /// Charges the failure budget for every bad candidate. A denial that its first candidate could not be charged for is
    /// `failures-limited` instead.
    pub(crate) async fn charge_failures(&mut self, guard: &Parts, end: Result<Allowed, Kind>) -> Result<Allowed, Kind> {
        let (Some(budget), Some(debtor)) = (&guard.failures, self.budget_of()) else { return end };
        let mut first = None;
        for _ in 0..self.bad.len() {
            let mut charged = match self.trace {
                None => Ok(budget.charge(debtor, self.now.steady)),
                Some(_) => Ok(budget.spent(debtor, self.now.steady).map_or(Ok(()), Err)),
            };
            if charged == Ok(Ok(())) && self.trace.is_none() {
                charged = budget.charge_shared(debtor, self.now).await;
            }
            first.get_or_insert(charged);
        }
        match (end, first) {
            (Err(kind), Some(Ok(Err(wait)))) if kind.is_a_bad_key() => {
                self.retry_after = Some(wait);
                Err(Kind::FailuresLimited)
            }
            // Whether it had to be 429 is unknown, and a guess more is what the budget is there to prevent.
            (Err(kind), Some(Err(fault))) if kind.is_a_bad_key() => Err(self.unavailable(fault)),
            (end, _) => end,
        }
    }
}

pub(crate) fn find_candidates<'r, H: Head + ?Sized>(guard: &'r Parts, head: &'r H, path: &RulePath<'_>) -> Extracted<'r> {
    extract(&guard.policy.sources, head, path, guard.plan.handshaking(head), |source| guard.plan.source_header(source))
}
