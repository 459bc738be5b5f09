//! The guard: one policy with its parts, ready to decide. The only reader of the clock; async without a runtime.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::HeaderName;

use crate::answer::{Answer, Fault};
use crate::audit::{AuditEvent, AuditSink, TracingSink, shown_path};
use crate::authenticator::Authenticator;
use crate::clock::{Clock, SystemClock};
use crate::configured;
use crate::decision::{Decision, Kind, Pass};
use crate::explain::Explanation;
use crate::head::{Head, OwnedHead};
use crate::key::{Peppers, Record, Verifications};
use crate::limit::{FailureBudget, Limits, LocalLimits, QuotaStanding};
use crate::network::UnnamedClients;
use crate::order::{Patience, Stop, judge};
use crate::plan::HeaderPlan;
use crate::policy::{ConfigError, Policy};
use crate::proof::{Allowed, AuthenticatorName, quotas_of};
use crate::random::{Random, SystemRandom};
use crate::request_id::RequestId;
use crate::respond::{self, Renderer};
use crate::scope::Requirement;
use crate::seldom::Seldom;
use crate::sockets::Sockets;
use crate::store::KeyStore;
use crate::ticket::{Signing, Tickets};
use crate::trail::Trail;
use crate::workers::{ThreadPerJob, Workers};

/// Decides requests by one policy. Cheap to clone; clones share stores, limits and audit.
///
/// ```
/// use keyward::{Decision, Guard, Keys, MemoryStore, NewKey, Policy};
///
/// # pollster::block_on(async {
/// let store = MemoryStore::new();
/// let guard = Guard::builder(Policy::from_toml("policy.toml", "")?).store(store.clone()).build()?;
/// let made = Keys::new(store).create(NewKey::named("docs")).await?;
///
/// let request = http::Request::get("/").header("X-API-Key", made.secret().expose()).body(())?;
/// match guard.decide(&request).await {
///     Decision::Allowed(pass) => assert_eq!(pass.principal().unwrap().name(), "docs"),
///     Decision::Denied(denial) => panic!("{}", denial.kind()),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Guard {
    parts: Arc<Parts>,
    /// All of them have to be met.
    extra: Arc<[Requirement]>,
    optional: bool,
}

/// What all clones share.
pub(crate) struct Parts {
    pub(crate) policy: Policy,
    pub(crate) plan: HeaderPlan,
    pub(crate) authenticators: Vec<NamedAuthenticator>,
    pub(crate) peppers: Peppers,
    pub(crate) verifications: Verifications,
    /// R14. `None`: no tickets are taken.
    pub(crate) signing: Option<Signing>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) limits: Arc<dyn Limits>,
    pub(crate) report_only_limits: LocalLimits,
    pub(crate) failures: Option<FailureBudget>,
    pub(crate) sink: Arc<dyn AuditSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) renderer: Option<Arc<dyn Renderer>>,
    /// Whether some rule needs the client's address (R2.3).
    pub(crate) needs_client: bool,
    pub(crate) unnamed_clients: UnnamedClients,
    /// What could not be decided.
    pub(crate) faults: Seldom,
    /// R15, decided once.
    pub(crate) open: bool,
}

pub(crate) struct NamedAuthenticator {
    pub(crate) name: AuthenticatorName,
    pub(crate) asked: Asked,
}

pub(crate) enum Asked {
    Store(Arc<dyn KeyStore>),
    Own(Arc<dyn Authenticator>),
}

impl Guard {
    /// Starts a guard over a policy.
    pub fn builder(policy: Policy) -> GuardBuilder {
        GuardBuilder {
            policy,
            store: None,
            own: Vec::new(),
            environment: None,
            peppers: Peppers::default(),
            workers: Arc::new(ThreadPerJob),
            argon2_at_once: 2,
            tickets: None,
            limits: Arc::new(LocalLimits::new()),
            shared: None,
            sink: Arc::new(TracingSink::new()),
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            renderer: None,
        }
    }

    /// Decides a request: charges its limits, tells the audit.
    pub async fn decide(&self, head: &(dyn Head + Sync)) -> Decision {
        // A decision that waits never gives up; were it to, it would be denied.
        self.run(head, Patience::Waits).await.unwrap_or_else(|| self.unavailable(head))
    }

    /// Decides a request if nothing has to be waited for. `None`: ask [`Guard::decide`]; nothing was charged or told.
    pub fn try_decide(&self, head: &dyn Head) -> Option<Decision> {
        if self.parts.sink.may_wait() {
            return None;
        }
        let decision = pin!(self.run(head, Patience::GivesUp));
        match decision.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(decision) => decision,
            Poll::Pending => None,
        }
    }

    /// As [`Guard::decide`], over a copy of the head: a future that borrows nothing, for adapters that cannot lend the request
    /// while they wait.
    pub fn decide_owned(&self, head: &dyn Head) -> impl Future<Output = Decision> + Send + 'static {
        let (guard, head) = (self.clone(), OwnedHead::copy(head, self.headers()));
        async move { guard.decide(&head).await }
    }

    /// As [`Guard::decide`], for a server without a runtime: blocks this thread while it waits.
    pub fn decide_blocking(&self, head: &(dyn Head + Sync)) -> Decision {
        self.try_decide(head).unwrap_or_else(|| pollster::block_on(self.decide(head)))
    }

    /// Decides by the same steps and tells each; charges nothing, tells no audit.
    pub async fn explain(&self, head: &(dyn Head + Sync)) -> Explanation {
        let parts = &*self.parts;
        let mut trail = Trail::begin(parts, head, &self.extra, self.optional, Some(Box::default()));
        let end = match judge(parts, &mut trail, Patience::Waits).await {
            Ok(allowed) => Ok(allowed),
            Err(Stop::Denied(kind)) => Err(kind),
            Err(Stop::Faulted(fault)) => Err(trail.unavailable(fault)),
            Err(Stop::WouldWait) => Err(Kind::Unavailable),
        };
        let end = trail.charge_failures(parts, end).await;
        parts.tell_fault(&trail);
        let mut trace = *trail.trace.take().unwrap_or_default();
        let client = trail.client;
        trace.step("answer", end.as_ref().map_or_else(|kind| kind.to_string(), |allowed| allowed.reason().to_owned()));
        Explanation::new(trace, client, self.answer(&mut trail, end))
    }

    /// This guard, demanding more of everybody whom it lets in: beside what it demanded before.
    #[must_use]
    pub fn requiring(&self, requirement: Requirement) -> Self {
        Self { extra: self.extra.iter().cloned().chain([requirement]).collect(), ..self.clone() }
    }

    /// This guard, letting requests without any credential through, as nobody. Bad credentials are denied all the same.
    #[must_use]
    pub fn optional(&self) -> Self {
        Self { optional: true, ..self.clone() }
    }

    /// Asks for more where a guard around this one has decided already: no second decision, no second charge, and a second event
    /// only if this one denies. `None`: that pass is another guard's, and this one has to decide itself. An `Err` holds the
    /// denial, at once or as soon as its event is recorded.
    pub fn within(&self, pass: &Pass, head: &dyn Head) -> Option<Result<(), Answer<respond::Denial>>> {
        if !Arc::ptr_eq(&self.parts, &pass.guard) {
            return None;
        }
        let Some((kind, unmet)) = pass.allowed.lacks(&self.extra, self.optional) else { return Some(Ok(())) };
        let mut trail = Trail::begin(&self.parts, head, &self.extra, false, None);
        trail.request_id = pass.request_id.clone();
        trail.client.address = pass.client;
        trail.presented = Some(pass.principal().is_some());
        trail.source = pass.principal().and_then(crate::Principal::source);
        trail.denied = pass.principal().cloned();
        trail.unmet = unmet;
        let told = self.parts.sink.record(&AuditEvent::of(&self.parts, &trail, &shown_path(head.path()), &Err(kind)));
        let denial = respond::denied(&self.parts, &trail, kind);
        let log = |told: Result<(), Fault>| {
            if let Err(fault) = told {
                tracing::error!(target: "keyward", %fault, "an audit event was not recorded");
            }
        };
        Some(Err(match told {
            Answer::Ready(told) => {
                log(told);
                Answer::ready(denial)
            }
            Answer::Pending(later) => Answer::Pending(Box::pin(async move {
                log(later.await);
                Ok(denial)
            })),
        }))
    }

    /// The headers that [`Head::header`] is asked for, in the order of [`Wanted::index`](crate::Wanted::index).
    pub fn headers(&self) -> &[HeaderName] {
        self.parts.plan.names()
    }

    /// The id of a request (R1.1), for answers that a program gives by itself, before it asks for a decision: the client's own where
    /// it is harmless, as a decision would have it, else a new one.
    pub fn request_id(&self, head: &dyn Head) -> RequestId {
        RequestId::choose(self.parts.plan.request_id(head), &*self.parts.random)
    }

    /// What is taken out of requests before a handler sees them.
    pub fn strip(&self) -> crate::strip::Strip<'_> {
        crate::strip::Strip::new(&self.parts.policy)
    }

    /// How the quotas of a stored key stand now, for people who look at it; nothing is taken. They are the key's own, or else the
    /// policy's `per_key`, and behind them those that all keys of its owner share.
    ///
    /// # Errors
    /// The fault, when it cannot be told.
    pub async fn quotas_of(&self, record: &Record) -> Result<Vec<QuotaStanding>, Fault> {
        quotas_of(&self.parts, record).await
    }

    /// How many bad keys were charged to failure budgets (R3.1), in this process, by this guard and those that count together with it:
    /// for a page of metrics. `None` without a failure budget.
    pub fn failures_charged(&self) -> Option<u64> {
        self.parts.failures.as_ref().map(FailureBudget::charged)
    }

    /// The policy.
    pub fn policy(&self) -> &Policy {
        &self.parts.policy
    }

    async fn run<H: Head + ?Sized>(&self, head: &H, patience: Patience) -> Option<Decision> {
        let parts = &*self.parts;
        let mut trail = Trail::begin(parts, head, &self.extra, self.optional, None);
        let end = match judge(parts, &mut trail, patience).await {
            Err(Stop::WouldWait) => return None,
            Err(Stop::Denied(kind)) => Err(kind),
            Err(Stop::Faulted(fault)) => Err(trail.unavailable(fault)),
            Ok(allowed) => Ok(allowed),
        };
        // A denial that came before the limits; behind them there was nothing to charge.
        if patience == Patience::GivesUp && trail.charges_elsewhere(parts) {
            return None;
        }
        Some(self.tell(&mut trail, end, patience).await)
    }

    /// Charges the failure budget, makes the one event, answers. Nothing can end a decision without passing here.
    async fn tell<H: Head + ?Sized>(&self, trail: &mut Trail<'_, H>, end: Result<Allowed, Kind>, patience: Patience) -> Decision {
        let parts = &*self.parts;
        let mut end = trail.charge_failures(parts, end).await;
        parts.tell_fault(trail);
        if !end.as_ref().is_ok_and(Allowed::is_unguarded) {
            let told = parts.sink.record(&AuditEvent::of(parts, trail, &shown_path(trail.head.path()), &end));
            let told = match (told, patience) {
                (Answer::Ready(told), _) => told,
                (Answer::Pending(later), Patience::Waits) => later.await,
                // Giving up here would charge the request a second time.
                (Answer::Pending(_), Patience::GivesUp) => {
                    Err(Fault::new("an audit sink has to be waited for although its `may_wait` says never"))
                }
            };
            if let Err(fault) = told {
                tracing::error!(target: "keyward", %fault, "an audit event was not recorded");
                // R11.1: a denial keeps its status.
                if parts.policy.audit_required && end.is_ok() {
                    end = Err(Kind::Unavailable);
                }
            }
        }
        if let Ok(allowed) = &end {
            self.note_use(trail, allowed);
        }
        self.answer(trail, end)
    }

    /// Tells the store that one of its keys was let in.
    fn note_use<H: Head + ?Sized>(&self, trail: &Trail<'_, H>, allowed: &Allowed) {
        let Some(used) = allowed.principal().and_then(|who| who.used(trail.now.wall, trail.client.address)) else { return };
        if let Some(store) = self.parts.store() {
            store.used(&used);
        }
    }

    fn answer<H: Head + ?Sized>(&self, trail: &mut Trail<'_, H>, end: Result<Allowed, Kind>) -> Decision {
        match end {
            Err(kind) => Decision::Denied(respond::denied(&self.parts, trail, kind)),
            Ok(allowed) => Decision::Allowed(Pass {
                guard: self.parts.clone(),
                allowed,
                request_id: trail.request_id.clone(),
                client: trail.client.address,
                debtor: trail.budget_of(),
                standings: std::mem::take(&mut trail.standings),
                is_head: trail.head.method() == "HEAD",
                socket_place: trail.socket_place.take(),
                secret_in_query: trail.head.query().is_some_and(|query| self.strip().query_holds_any(query)),
            }),
        }
    }

    fn unavailable(&self, head: &dyn Head) -> Decision {
        let trail = Trail::begin(&self.parts, head, &[], false, None);
        Decision::Denied(respond::denied(&self.parts, &trail, Kind::Unavailable))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("policy", &self.parts.policy).field("requiring", &self.extra).finish_non_exhaustive()
    }
}

impl Parts {
    /// The store of keys, if it is asked.
    pub(crate) fn store(&self) -> Option<&Arc<dyn KeyStore>> {
        self.authenticators.iter().find_map(|authenticator| match authenticator {
            NamedAuthenticator { name: AuthenticatorName::Store, asked: Asked::Store(store) } => Some(store),
            _ => None,
        })
    }

    /// Logs, once a second at most, why requests cannot be decided: what fails does so for each of them, and each has its audit event.
    fn tell_fault<H: Head + ?Sized>(&self, trail: &Trail<'_, H>) {
        const SECOND: u64 = 1_000_000_000;
        if let Some(fault) = &trail.fault
            && let Some(requests) = self.faults.due(trail.now.steady, SECOND)
        {
            let request_id = trail.request_id.as_str();
            tracing::error!(target: "keyward", %fault, request_id, requests, "requests could not be decided; this is the last of them");
        }
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parts(of a guard)")
    }
}

/// Puts a guard together.
#[must_use]
pub struct GuardBuilder {
    policy: Policy,
    store: Option<Arc<dyn KeyStore>>,
    own: Vec<Arc<dyn Authenticator>>,
    environment: Option<Box<configured::Lookup>>,
    peppers: Peppers,
    workers: Arc<dyn Workers>,
    argon2_at_once: usize,
    tickets: Option<Tickets>,
    limits: Arc<dyn Limits>,
    shared: Option<Arc<Parts>>,
    sink: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    renderer: Option<Arc<dyn Renderer>>,
}

impl GuardBuilder {
    /// The keys.
    pub fn store(mut self, store: impl KeyStore + 'static) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// An authenticator of your own. The policy's `authenticators` give its turn; without them sessions come first, others last.
    pub fn authenticator(mut self, own: impl Authenticator + 'static) -> Self {
        self.own.push(Arc::new(own));
        self
    }

    /// Where configured keys are read, once: `|name| std::env::var_os(name)`. The core reads no environment by itself.
    pub fn environment(mut self, lookup: impl Fn(&str) -> Option<OsString> + 'static) -> Self {
        self.environment = Some(Box::new(lookup));
        self
    }

    /// Peppers for digests: the same as those of [`Keys`](crate::Keys).
    pub fn peppers(mut self, peppers: Peppers) -> Self {
        self.peppers = peppers;
        self
    }

    /// Threads for Argon2id, like `|job| drop(tokio::task::spawn_blocking(job))`. Without: a new thread for each verification.
    pub fn workers(mut self, workers: impl Workers + 'static) -> Self {
        self.workers = Arc::new(workers);
        self
    }

    /// How many Argon2id verifications run at once (2), each with up to 64 MiB. More are answered 503.
    pub fn argon2_at_once(mut self, at_once: usize) -> Self {
        self.argon2_at_once = at_once;
        self
    }

    /// What tickets are signed with. A policy with `[tickets]` needs it, unless a configured key signs them.
    pub fn tickets(mut self, tickets: Tickets) -> Self {
        self.tickets = Some(tickets);
        self
    }

    /// Where quotas are counted. Without: in this process.
    pub fn limits(mut self, limits: impl Limits + 'static) -> Self {
        self.limits = Arc::new(limits);
        self
    }

    /// Counts quotas, failures and open connections together with another guard, and goes on with its tickets: for a policy that
    /// is reloaded, or several in one process that have the same limits. What was charged there is charged here: a quota of a
    /// window that is new starts with what was taken under the others. Whether the key of an open connection is still good is asked of
    /// the store of the guard that let it in, for as long as it is open.
    pub fn sharing(mut self, other: &Guard) -> Self {
        self.limits = other.parts.limits.clone();
        self.shared = Some(other.parts.clone());
        self
    }

    /// Where audit events go. Without: to `tracing`, target `keyward::audit`.
    pub fn audit(mut self, sink: impl AuditSink + 'static) -> Self {
        self.sink = Arc::new(sink);
        self
    }

    /// Another clock.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Another source of randomness.
    pub fn random(mut self, random: impl Random + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }

    /// Bodies of your own for denials. Status and challenge stay.
    pub fn renderer(mut self, renderer: impl Renderer + 'static) -> Self {
        self.renderer = Some(Arc::new(renderer));
        self
    }

    /// Puts it together.
    ///
    /// # Errors
    /// A policy that these parts cannot carry out: an authenticator that nobody provides, configured keys without a lookup or
    /// none set, or a random generator that cannot be read.
    pub fn build(self) -> Result<Guard, ConfigError> {
        let policy = self.policy;
        if matches!(policy.trusted_proxies, crate::network::TrustedProxies::Everybody) {
            tracing::warn!(target: "keyward", "insecure_trust_all_proxies is set: anybody can choose the address that they are known by");
        }
        if let crate::network::TrustedProxies::Hops(hops) = policy.trusted_proxies {
            tracing::warn!(target: "keyward", %hops, "trusted_hops is set: whoever can reach this service other than through exactly so many proxies can choose the address that they are known by");
        }
        let names_proxies = !matches!(policy.trusted_proxies, crate::network::TrustedProxies::Nobody);
        if names_proxies && policy.client_header.is_none() {
            tracing::warn!(target: "keyward", "trusted_proxies is set and client_address_header is not: every client behind a proxy has the proxy's address, to which no failure is charged");
        }
        if policy.client_header.is_some() && !names_proxies {
            tracing::warn!(target: "keyward", "client_address_header is set and trusted_proxies is not: the header is never read");
        }
        let configured = configured::read(&policy.configured_keys, self.environment.as_deref())?;
        let authenticators = order_authenticators(policy.authenticators.as_deref(), self.store, self.own, configured.store)?;
        let only_configured = matches!(authenticators[..], [NamedAuthenticator { name: AuthenticatorName::Configured, .. }]);
        // R15: a guard that takes over from one that asked for keys asks for keys.
        let may_open = self.shared.as_ref().is_none_or(|before| before.open);
        let open = policy.insecure_allow_without_keys && only_configured && configured.is_empty && may_open;
        if open {
            tracing::warn!(target: "keyward", "OPEN ACCESS: no key is configured, so every request is let in as nobody; set the variables that configured_keys name");
        } else if policy.insecure_allow_without_keys {
            tracing::warn!(target: "keyward", "insecure_allow_without_keys is set and has no effect: keys are asked for, since there are some, or others than configured ones, or this guard takes over from one that asked");
        }
        if !open && only_configured && configured.is_empty {
            let variables: Vec<&str> = policy.configured_keys.iter().map(|keys| keys.variable.as_str()).collect();
            return Err(ConfigError::one(
                "configured_keys",
                format!("nobody could be let in: {} is not set", variables.join(" or ")),
                "set it, add a store, or say `access.insecure_allow_without_keys = true` for development",
            ));
        }
        if policy.audit_required && self.sink.may_drop() {
            return Err(ConfigError::one(
                "audit.mode",
                "`required` needs a sink that keeps what it is given, and this one may drop events",
                "use `audit::Lines`, or write \"best-effort\"",
            ));
        }
        let random_failed = |fault: Fault| ConfigError::one("", fault.to_string(), "");
        let own = authenticators.iter().filter_map(|authenticator| match &authenticator.asked {
            Asked::Own(own) => Some(&**own),
            Asked::Store(_) => None,
        });
        let needs_client = !policy.network.is_anybody()
            || !policy.report_only.network.is_anybody()
            || !policy.limits.per_address.is_empty()
            || !policy.report_only.limits.per_address.is_empty()
            || policy.failures.is_some();
        let limits = self.limits;
        let shared_failures = self.shared.as_ref().and_then(|other| other.failures.as_ref());
        let failures = policy.failures.map(|quota| {
            let now = self.clock.now().steady;
            shared_failures.map_or_else(|| FailureBudget::new(quota, &limits), |shared| shared.sharing(quota, now))
        });
        let before = self.shared.as_ref().and_then(|other| other.signing.as_ref());
        let signing = Signing::new(policy.tickets.as_ref(), self.tickets, configured.only, &self.random, before)?;
        let sockets = self.shared.as_ref().map_or_else(|| Sockets::new(self.clock.clone()), |other| other.sockets.clone());
        let parts = Parts {
            plan: HeaderPlan::new(&policy, own),
            authenticators,
            peppers: self.peppers,
            verifications: Verifications::new(self.workers, self.argon2_at_once, &*self.random).map_err(random_failed)?,
            signing,
            sockets,
            limits,
            report_only_limits: LocalLimits::new(),
            failures,
            sink: self.sink,
            clock: self.clock,
            random: self.random,
            renderer: self.renderer,
            needs_client,
            unnamed_clients: UnnamedClients::default(),
            faults: Seldom::default(),
            open,
            policy,
        };
        Ok(Guard { parts: Arc::new(parts), extra: Arc::new([]), optional: false })
    }
}

impl fmt::Debug for GuardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBuilder").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// R6.3: in the policy's order; by default `session`, `store`, `configured`, then others of the user's own.
fn order_authenticators(
    order: Option<&[String]>,
    store: Option<Arc<dyn KeyStore>>,
    own: Vec<Arc<dyn Authenticator>>,
    configured: Option<Arc<dyn KeyStore>>,
) -> Result<Vec<NamedAuthenticator>, ConfigError> {
    let mut available: Vec<NamedAuthenticator> = own
        .into_iter()
        .map(|own| NamedAuthenticator { name: AuthenticatorName::Own(own.name().into()), asked: Asked::Own(own) })
        .collect();
    let session = available.iter().position(|own| own.name.as_str() == "session").map(|index| available.remove(index));
    let own = std::mem::take(&mut available);
    available.extend(session);
    available.extend(store.map(|store| NamedAuthenticator { name: AuthenticatorName::Store, asked: Asked::Store(store) }));
    available
        .extend(configured.map(|store| NamedAuthenticator { name: AuthenticatorName::Configured, asked: Asked::Store(store) }));
    available.extend(own);
    let mend = "give the guard a store, configured keys or an authenticator of that name";
    if let Some(order) = order {
        let mut ordered = Vec::new();
        for (index, name) in order.iter().enumerate() {
            match available.iter().position(|found| found.name.as_str() == name) {
                Some(at) => ordered.push(available.remove(at)),
                // Contract files name the usual three; what a program does not have is not asked.
                None if matches!(name.as_str(), "session" | "store" | "configured") => {}
                None => {
                    return Err(ConfigError::one(
                        format!("authenticators[{index}]"),
                        format!("nothing is called `{name}`"),
                        mend,
                    ));
                }
            }
        }
        if let Some(left_out) = available.first() {
            tracing::warn!(target: "keyward", authenticator = left_out.name.as_str(), "the policy's `authenticators` leave this one out: it is never asked");
        }
        available = ordered;
    }
    if available.is_empty() {
        return Err(ConfigError::one("authenticators", "nobody could ever be authenticated", mend));
    }
    Ok(available)
}
