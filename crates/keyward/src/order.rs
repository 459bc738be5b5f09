//! The order in which a request is decided. Each line of [`judge`] consumes the proof that the line before it made; each `?` is
//! a denial. `docs/rules.md` has the rules by number.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::answer::{Answer, Fault};
use crate::authenticator::{Ambient, Verdict as Word};
use crate::clock::Now;
use crate::decision::{Kind, Principal};
use crate::explain::{CandidateTold, Trace};
use crate::guard::{Asked, NamedAuthenticator, Parts};
use crate::head::Head;
use crate::key::{self, Abandoned, Record};
use crate::limit::{Debtor, Limits, QuotaStanding, Taking};
use crate::network::Client;
use crate::path::RulePath;
use crate::policy::{self, RouteMatch};
use crate::proof::{Allowed, Authorised, Counted, Gate, Shut, Unauthorised, Verdict, Verified, buckets};
use crate::request_id::RequestId;
use crate::resolve::{Candidate, Candidates, Extracted, extract, resolve};
use crate::scope::Requirement;
use crate::source::SourceKind;
use crate::store::Presented;

/// How a decision ends before its end.
pub(crate) enum Stop {
    Denied(Kind),
    /// Somebody would have to be waited for. Nothing has been charged or told.
    WouldWait,
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
        result.map_err(|fault| Stop::Denied(unavailable(&fault)))
    }
}

/// A fault is never an answer about a key (promise 2), and its text is for the operator alone.
fn unavailable(fault: &Fault) -> Kind {
    tracing::error!(target: "keyward", %fault, "a request could not be decided");
    Kind::Unavailable
}

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
    pub(crate) retry_after: Option<Duration>,
    pub(crate) standings: SmallVec<[QuotaStanding; 2]>,
    /// The first rule that would have denied, were it enforced.
    pub(crate) report: Option<Kind>,
    pub(crate) open_access: bool,
    /// `explain`: consume nothing, tell everything.
    pub(crate) trace: Option<Trace>,
}

impl<'r, H: Head + ?Sized> Trail<'r, H> {
    pub(crate) fn begin(
        guard: &Parts,
        head: &'r H,
        extra: &'r [Requirement],
        extra_optional: bool,
        trace: Option<Trace>,
    ) -> Self {
        Self {
            head,
            now: guard.clock.now(),
            request_id: RequestId::choose(guard.plan.request_id(head), &*guard.random),
            path: None,
            client: Client { address: None, flagged: false, is_proxy: false },
            extra,
            extra_optional,
            presented: None,
            source: None,
            dead: None,
            denied: None,
            unmet: None,
            bad: SmallVec::new(),
            retry_after: None,
            standings: SmallVec::new(),
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

    /// R2.3. Sharing one bucket among all whose address is unknown would let one of them lock out the others.
    pub(crate) fn no_peer(&self) -> Kind {
        unavailable(&Fault::new(
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
    fn budget_of(&self) -> Option<Debtor> {
        let address = self.client.address.filter(|_| self.client.flagged || !self.client.is_proxy)?;
        Some(Debtor { address, flagged: self.client.flagged })
    }

    /// What charges the client for a bad key whose verification it did not wait for.
    fn abandoned(&self, guard: &Parts) -> Option<Abandoned> {
        let (budget, debtor, now) = (guard.failures.clone()?, self.budget_of()?, self.now.steady);
        Some(Box::new(move || {
            let _ = budget.charge(debtor, now);
        }))
    }

    /// How long until the client's failure budget takes one more, if it is spent (R3.2).
    fn budget_spent(&self, guard: &Parts) -> Option<Duration> {
        guard.failures.as_ref()?.spent(self.budget_of()?, self.now.steady)
    }

    /// Charges the failure budget for every bad candidate. A denial that its first candidate could not be charged for is
    /// `failures-limited` instead.
    pub(crate) fn charge_failures(&mut self, guard: &Parts, end: Result<Allowed, Kind>) -> Result<Allowed, Kind> {
        let (Some(budget), Some(debtor)) = (&guard.failures, self.budget_of()) else { return end };
        let mut first = None;
        for _ in 0..self.bad.len() {
            let charged = match self.trace {
                None => budget.charge(debtor, self.now.steady),
                Some(_) => budget.spent(debtor, self.now.steady).map_or(Ok(()), Err),
            };
            first.get_or_insert(charged);
        }
        match (end, first) {
            (Err(kind), Some(Err(wait))) if kind.is_a_bad_key() => {
                self.retry_after = Some(wait);
                Err(Kind::FailuresLimited)
            }
            (end, _) => end,
        }
    }
}

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
    let counted = Counted::count(guard, trail, &authorised, patience).await?;
    match authorised.charged(counted) {
        Ok(allowed) => {
            if let Some(principal) = allowed.principal() {
                try_new_limits(guard, trail, principal);
            }
            Ok(allowed)
        }
        Err(principal) => {
            trail.denied = Some(principal);
            Err(Kind::Limited.into())
        }
    }
}

fn find_candidates<'r, H: Head + ?Sized>(guard: &'r Parts, head: &'r H, path: &RulePath<'_>) -> Extracted<'r> {
    let is_websocket = guard.plan.asks_for_websocket && guard.plan.is_websocket(head);
    extract(&guard.policy.sources, head, path, is_websocket, |source| guard.plan.source_header(source))
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

/// What has come of one candidate so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    NotAsked,
    /// No authenticator that was asked knows it. Damaged: it begins like a key that was generated here, and is not one (R7.1).
    Unknown {
        is_damaged: bool,
    },
    /// An authenticator knows it, and it is dead; or it is malformed.
    Dead(Kind),
}

struct Tried<'r> {
    candidate: Candidate<'r>,
    digests: SmallVec<[key::KeyDigest; 1]>,
    standing: Standing,
}

/// R6.3: authenticators are the outer order, candidates the inner. `None`: there was nothing to verify.
async fn authenticate<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    _shut: &Shut<'_>,
    candidates: Candidates<'r>,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    let mut tried: SmallVec<[Tried<'r>; 1]> = SmallVec::new();
    for candidate in candidates {
        tried.push(Tried { candidate, digests: SmallVec::new(), standing: Standing::NotAsked });
    }
    // At most one Argon2id verification a request (R7.3).
    let mut may_be_slow = true;
    for authenticator in &guard.authenticators {
        if let Asked::Own(own) = &authenticator.asked {
            let ambient = guard.plan.ambient(&**own, trail.head, trail.now);
            let by_cookie = ambient.holds_cookies();
            if let Some(verified) = ask_ambient(&**own, authenticator, &ambient, by_cookie, patience).await? {
                trail.source = None;
                trail.presented = Some(true);
                trail.note("authentication", || {
                    format!("{}: valid, without a credential of the sources", authenticator.name.as_str())
                });
                return Ok(Some(finish(trail, &tried, usize::MAX, verified)));
            }
        }
        for index in 0..tried.len() {
            let verdict = match try_one(guard, trail, authenticator, &mut tried[index], &mut may_be_slow, patience).await {
                Ok(verdict) => verdict,
                Err(stop) => {
                    // What ends the decision says nothing about this candidate; those before it were bad (R3.1).
                    charge_bad(trail, &tried, index);
                    return Err(stop);
                }
            };
            let kind = tried[index].candidate.kind;
            trail.note("authentication", || {
                let outcome = match (&verdict, tried[index].standing) {
                    (Some(_), _) => "valid".to_owned(),
                    (None, Standing::Dead(kind)) => kind.to_string(),
                    (None, _) => "unknown".to_owned(),
                };
                format!("{} asked about {kind}: {outcome}", authenticator.name.as_str())
            });
            if let Some(verified) = verdict {
                trail.source = Some(kind);
                return Ok(Some(finish(trail, &tried, index, verified)));
            }
        }
    }
    let Some(first) = tried.first() else { return Ok(None) };
    let kind = match first.standing {
        Standing::Dead(kind) => kind,
        Standing::Unknown { is_damaged: true } => Kind::Malformed,
        Standing::NotAsked | Standing::Unknown { .. } => Kind::Unknown,
    };
    charge_bad(trail, &tried, usize::MAX);
    tell_candidates(trail, &tried, usize::MAX);
    Err(kind.into())
}

/// Somebody won: the others that were asked about and found bad are charged all the same (R3.1).
fn finish<H: Head + ?Sized>(trail: &mut Trail<'_, H>, tried: &[Tried<'_>], winner: usize, verified: Verified) -> Verified {
    charge_bad(trail, tried, winner);
    trail.dead = None;
    tell_candidates(trail, tried, winner);
    verified
}

fn charge_bad<H: Head + ?Sized>(trail: &mut Trail<'_, H>, tried: &[Tried<'_>], winner: usize) {
    let losers = tried.iter().enumerate().filter(|(index, _)| *index != winner);
    trail.bad.extend(losers.filter_map(|(_, tried)| match tried.standing {
        Standing::NotAsked => None,
        Standing::Unknown { is_damaged } => Some(if is_damaged { Kind::Malformed } else { Kind::Unknown }),
        Standing::Dead(kind) => Some(kind),
    }));
}

fn tell_candidates<H: Head + ?Sized>(trail: &mut Trail<'_, H>, tried: &[Tried<'_>], winner: usize) {
    let Some(trace) = &mut trail.trace else { return };
    for (index, tried) in tried.iter().enumerate() {
        let outcome = match tried.standing {
            _ if index == winner => "valid",
            Standing::NotAsked => "not asked",
            Standing::Unknown { is_damaged: true } => "malformed",
            Standing::Unknown { .. } => "unknown",
            Standing::Dead(kind) => kind.as_str(),
        };
        trace.came_to(tried.candidate.source, outcome);
    }
}

async fn ask_ambient(
    own: &dyn crate::authenticator::Authenticator,
    authenticator: &NamedAuthenticator,
    ambient: &Ambient<'_>,
    by_cookie: bool,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    match patience.get(own.ambient(ambient)).await? {
        Word::Is(identity) => Ok(Some(Verified::by_identity(*identity, &authenticator.name, None, by_cookie))),
        // A dead session is absent (R6.4).
        Word::NotMine | Word::Refused(_) => Ok(None),
    }
}

/// Asks one authenticator about one candidate, unless it is decided already.
async fn try_one<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    authenticator: &NamedAuthenticator,
    tried: &mut Tried<'r>,
    may_be_slow: &mut bool,
    patience: Patience,
) -> Result<Option<Verified>, Stop> {
    if matches!(tried.standing, Standing::Dead(_)) {
        return Ok(None);
    }
    let Tried { candidate, digests, standing } = tried;
    if candidate.credential.is_malformed() {
        *standing = Standing::Dead(Kind::Malformed);
        return Ok(None);
    }
    if *standing == Standing::NotAsked {
        *standing = Standing::Unknown { is_damaged: false };
    }
    if digests.is_empty() {
        *digests = guard.peppers.digests(candidate.credential.expose());
    }
    let presented = Presented::new(&candidate.credential, digests);
    let store = match &authenticator.asked {
        Asked::Own(own) => {
            let answer = untried_if_spent(guard, trail, own.authenticate(&presented, trail.now))?;
            return Ok(match patience.get(answer).await? {
                Word::Is(identity) => Some(Verified::by_identity(*identity, &authenticator.name, Some(candidate.kind), false)),
                Word::Refused(refusal) => {
                    *standing = Standing::Dead(refusal.kind());
                    None
                }
                Word::NotMine => None,
            });
        }
        Asked::Store(store) => &**store,
    };
    // In memory, looking first costs a good key nothing; a wrong check must not cost a trip (R7.1).
    let is_damaged = || key::is_damaged(presented.expose(), |prefix| store.binds(prefix));
    let record = match store.find(&presented) {
        Answer::Ready(found) => found.map_err(|fault| unavailable(&fault))?,
        Answer::Pending(_) if is_damaged() => None,
        pending @ Answer::Pending(_) => patience.get(untried_if_spent(guard, trail, pending)?).await?,
    };
    let Some(record) = record else {
        // Not dead: a configured key may look like a generated one, and is asked about in its turn.
        if is_damaged() {
            *standing = Standing::Unknown { is_damaged: true };
        }
        return Ok(None);
    };
    let mut verdict = Verified::by_record(&presented, record, &authenticator.name, candidate.kind, trail.now.wall);
    if let Verdict::Slow(slow) = verdict {
        let answer = slow.ask(&guard.verifications, || trail.abandoned(guard));
        // What is remembered takes no time.
        if matches!(answer, Answer::Pending(_)) && !std::mem::take(may_be_slow) {
            return Ok(None);
        }
        let matches = patience.get(untried_if_spent(guard, trail, answer)?).await?;
        verdict = slow.settle(matches, trail.now.wall);
    }
    match verdict {
        Verdict::Genuine(verified) => return Ok(Some(verified)),
        Verdict::Dead(kind, record) => {
            *standing = Standing::Dead(kind);
            trail.dead.get_or_insert(record);
        }
        Verdict::NotIts | Verdict::Slow(_) => {}
    }
    Ok(None)
}

/// R3.2: where the client's failure budget is spent, whatever needs a trip or Argon2id is not tried.
fn untried_if_spent<H: Head + ?Sized, T>(guard: &Parts, trail: &mut Trail<'_, H>, answer: Answer<T>) -> Result<Answer<T>, Kind> {
    if let (Answer::Pending(_), Some(wait)) = (&answer, trail.budget_spent(guard)) {
        trail.retry_after = Some(wait);
        return Err(Kind::FailuresLimited);
    }
    Ok(answer)
}

fn authorise<'r, H: Head + ?Sized>(
    guard: &'r Parts,
    trail: &mut Trail<'r, H>,
    shut: Shut<'r>,
    verified: Verified,
) -> Result<Authorised, Kind> {
    let cookie_may_count = || guard.plan.cookie_may_count(&guard.policy, trail.head);
    let authorised = Authorised::check(verified, shut, &trail.client, cookie_may_count);
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
            RouteMatch::Route(route) => lacks(&route.requirement),
            RouteMatch::MethodNotNamed => Some(Kind::Route),
            RouteMatch::Unnamed => None,
        };
        if let Some(kind) = told {
            trail.report(kind);
        }
    }
    Ok(authorised)
}

/// Rules that are only reported (after the enforced ones, so that they never charge for a refused request).
fn try_new_limits<H: Head + ?Sized>(guard: &Parts, trail: &mut Trail<'_, H>, principal: &Principal) {
    let rules = &guard.policy.report_only.limits;
    if rules.is_nothing() {
        return;
    }
    let buckets = buckets(rules, &rules.per_key, principal, trail.client.address);
    if buckets.is_empty() {
        return; // An owner's quota, and a key without an owner.
    }
    let taking = Taking { now: trail.now, buckets: &buckets, peek: trail.trace.is_some() };
    if let Answer::Ready(Ok(charge)) = guard.report_only_limits.take(&taking)
        && charge.refused_for.is_some()
    {
        trail.report(Kind::Limited);
    }
}
