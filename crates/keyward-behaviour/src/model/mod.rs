//! An independent reading of the rules of a decision.
//!
//! Plain, slow, and without a single type of the core: where the two disagree, one of them is wrong, and only the
//! text of the rules says which. A comparison of an adapter with the core could never find a fault of the core.
//!
//! What it leaves out: sessions (R6.4), tickets (R14), stores that are away, Argon2id (R7.3), previous slots of
//! rotated keys (R7.4) and what happens inside an opened WebSocket. Those have tests beside their parts, and named cases over real
//! sockets.
//!
//! One module a group of rules; [`Model::decide`] has their order.

pub mod address;
pub mod answer;
pub mod authorize;
pub mod candidates;
pub mod choose;
pub mod failures;
pub mod happening;
pub mod key;
pub mod limits;
pub mod networks;
pub mod origin;
pub mod policy;
pub mod request;
pub mod target;
pub mod time;
pub mod verify;
pub mod websocket;

use std::collections::BTreeMap;

use self::{
    address::{ClientAddress, bucket},
    answer::{ModelAnswer, ModelDenial, ModelEvent},
    authorize::{Demands, Refusal},
    candidates::Candidate,
    choose::Choice,
    happening::Happening,
    key::ModelKey,
    limits::{Charge, Quota, Quotas, Standing, Subject},
    policy::{ModelPolicy, RateLimitHeaders, Route},
    request::ModelRequest,
    target::{Routing, Target},
    time::Moment,
    verify::{KnownKeys, ModelPrincipal, Verified},
};

/// A policy with its keys, and everything that was charged so far.
#[derive(Clone, Debug)]
pub struct Model {
    policy: ModelPolicy,
    known: KnownKeys,
    quotas: Quotas,
    /// How far civil time is ahead of the clock that never steps.
    civil_ahead: Moment,
}

/// How far a decision got, for the audit event and the answer.
#[derive(Clone, Debug, Default)]
struct Trail {
    client: Option<ClientAddress>,
    key_present: Option<bool>,
    source: Option<&'static str>,
    target: Option<Target>,
}

/// A request that was let through.
enum Pass {
    /// R1.5: without an event.
    Unguarded,
    /// With one.
    Guarded(Option<ModelPrincipal>, Vec<Standing>),
}

impl Model {
    /// A service that has just been started.
    pub fn new(policy: ModelPolicy, stored: Vec<ModelKey>, environment: BTreeMap<String, String>) -> Model {
        Model { policy, known: KnownKeys { stored, environment }, quotas: Quotas::default(), civil_ahead: 0 }
    }

    /// Lets something happen that is no request.
    pub fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Limits { key, limits } => {
                let stored = self.known.stored.iter_mut().filter(|stored| stored.key == *key);
                stored.for_each(|stored| stored.limits.clone_from(limits));
            }
            Happening::ClockStep(by) => self.civil_ahead += by,
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &ModelPolicy {
        &self.policy
    }

    /// Decides a request at a moment, and remembers what it charged. Moments are those of a clock that never steps.
    pub fn decide(&mut self, request: &ModelRequest, now: Moment) -> ModelAnswer {
        self.decide_demanding(request, &Demands::default(), now)
    }

    /// Decides a request of which the server around the guard demands more than the policy does.
    pub fn decide_demanding(&mut self, request: &ModelRequest, more: &Demands, now: Moment) -> ModelAnswer {
        let mut trail = Trail::default();
        let end = self.judge(request, more, now, &mut trail);
        let mut answer = match &end {
            Err(denial) => self.deny(request, denial),
            Ok(pass) => self.pass(request, pass, &trail),
        };
        answer.request_id = target::request_id(&self.policy, request);
        answer.client_ip = trail.client.map(|client| client.address);
        // R9.3: told only where the key was good.
        let standings = match &end {
            Err(denial) if denial.kinds == ["limited"] && answer.close.is_none() => denial.spent.clone(),
            Ok(Pass::Guarded(_, standings)) => standings.clone(),
            _ => Vec::new(),
        };
        if self.policy.sends(RateLimitHeaders::Legacy) {
            answer.legacy_rate_limits.clone_from(&standings);
        }
        if self.policy.sends(RateLimitHeaders::Draft) {
            answer.rate_limits = standings;
        }
        if !matches!(end, Ok(Pass::Unguarded)) {
            answer.event = Some(ModelEvent {
                allowed: end.is_ok(),
                reasons: answer.kinds.clone(),
                key_present: trail.key_present,
                source: trail.source,
            });
        }
        answer
    }

    /// The order of a decision.
    fn judge(&mut self, request: &ModelRequest, more: &Demands, now: Moment, trail: &mut Trail) -> Result<Pass, ModelDenial> {
        // R1: the target, open paths, preflights, routes.
        let target = target::target(request).ok_or_else(|| ModelDenial::of("path"))?;
        trail.target = Some(target.clone());
        let path = if self.policy.has_path_rules() {
            target::path_for_rules(&target.path).ok_or_else(|| ModelDenial::of("path"))?
        } else {
            target.path.clone()
        };
        if target::is_open(&self.policy, &target.path) || target::is_passing_preflight(&self.policy, request) {
            return Ok(Pass::Unguarded);
        }
        if !target::all_read_the_same_route(&self.policy, &request.method, &path) {
            return Err(ModelDenial::of("path"));
        }
        let (demands, here) = match target::route(&self.policy, &request.method, &path) {
            Routing::Route(route) => (Demands::of(&route).and(more), Some(route)),
            Routing::Unnamed => (more.clone(), None),
            Routing::Forbidden => return Err(ModelDenial::of("route")),
        };

        // R2, R4: the client's address and the policy's networks.
        let client = address::client(&self.policy, request);
        trail.client = client;
        self.pass_networks(client, here.as_ref())?;

        // R15: a service without keys.
        if self.known.is_open_without_keys(&self.policy) && !demands.need_a_key() {
            return Ok(Pass::Guarded(None, Vec::new()));
        }

        // R5, R6: candidates.
        let found = candidates::find(&self.policy, request, &target, &path).map_err(|unreadable| {
            trail.key_present = Some(true);
            ModelDenial { kinds: unreadable.0, ..ModelDenial::default() }
        })?;
        trail.key_present = Some(!found.is_empty());
        let tried = match choose::choose(self.policy.resolution, found) {
            Choice::Missing if demands.optional && !demands.need_a_key() => return Ok(Pass::Guarded(None, Vec::new())),
            Choice::Missing => return Err(ModelDenial::of("missing")),
            Choice::Conflict => return Err(ModelDenial::of("conflict")),
            Choice::Try(tried) => tried,
        };

        // R7, R3: verifying, and charging what failed.
        let verified = self.verify(&tried, client, now, trail)?;

        // R8, R13: what the key may do.
        authorize::authorize(&self.policy, request, &target.path, client, &demands, &verified).map_err(
            |refusal| match refusal {
                Refusal::Origin => ModelDenial::of("origin"),
                Refusal::Address => ModelDenial::of("address"),
                Refusal::AddressUnknown => ModelDenial::of("unavailable"),
                Refusal::Elsewhere => ModelDenial::of("route"),
                Refusal::Ambiguous => ModelDenial::of("path"),
                Refusal::Kind => ModelDenial::of("kind"),
                Refusal::Scope(scope) => ModelDenial { scope, ..ModelDenial::of("scope") },
            },
        )?;

        // R9: limits.
        let charges = self.charges(&verified, client);
        match self.quotas.take(&charges, demands.cost.max(1).into(), now) {
            Ok(standings) => Ok(Pass::Guarded(Some(verified.principal), standings)),
            Err(spent) => Err(ModelDenial { spent, ..ModelDenial::of("limited") }),
        }
    }

    /// R2.3, R4: the policy's networks and the route's.
    fn pass_networks(&self, client: Option<ClientAddress>, here: Option<&Route>) -> Result<(), ModelDenial> {
        let network = &self.policy.network;
        let mut lists = vec![(network.allow.as_deref(), network.deny.as_slice())];
        lists.extend(here.map(|route| (route.allow.as_deref(), route.deny.as_slice())));
        let names_somebody =
            |(allow, deny): &(Option<&[String]>, &[String])| allow.is_some_and(|list| list != ["*"]) || !deny.is_empty();
        let needs_address = lists.iter().any(names_somebody)
            || failures::budget(&self.policy).is_some()
            || !self.policy.limits.per_address.is_empty();
        match client {
            None if needs_address => Err(ModelDenial::of("unavailable")),
            None => Ok(()),
            Some(client) if lists.iter().all(|(allow, deny)| networks::passes(*allow, deny, client)) => Ok(()),
            Some(_) => Err(ModelDenial::of("address")),
        }
    }

    fn verify(
        &mut self,
        tried: &[Candidate],
        client: Option<ClientAddress>,
        now: Moment,
        trail: &mut Trail,
    ) -> Result<Verified, ModelDenial> {
        let verdict = self.known.ask(&self.policy, tried, now + self.civil_ahead);
        let mut refused_charges = Vec::new();
        for _ in &verdict.bad {
            refused_charges.push(failures::charge(&self.policy, &mut self.quotas, client, now).err());
        }
        match verdict.winner {
            Some(verified) => {
                trail.source = Some(verified.candidate.source.word());
                Ok(*verified)
            }
            None => {
                let (first, badness) = &verdict.bad[0];
                trail.source = Some(first.source.word());
                Err(match refused_charges.swap_remove(0) {
                    Some(spent) => ModelDenial { spent, ..ModelDenial::of("failures-limited") },
                    None => ModelDenial { kinds: badness.clone(), ..ModelDenial::default() },
                })
            }
        }
    }

    /// R9.1, R9.2: everything that one good request costs.
    fn charges(&self, verified: &Verified, client: Option<ClientAddress>) -> Vec<Charge> {
        let limits = &self.policy.limits;
        let per_key = if verified.limits.is_empty() { &limits.per_key } else { &verified.limits };
        let mut charges = Vec::new();
        let mut add = |subject: Subject, quotas: &[String]| {
            if !quotas.is_empty() {
                charges.push((subject, quotas.iter().map(|quota| Quota::parse(quota)).collect()));
            }
        };
        add(Subject::Key(verified.identity.clone()), per_key);
        if let Some(owner) = &verified.principal.owner {
            add(Subject::Owner(owner.clone()), &limits.per_owner);
        }
        if let Some(client) = client {
            add(Subject::Address(bucket(client.address)), &limits.per_address);
        }
        add(Subject::Policy, &limits.per_policy);
        charges
    }

    /// R10, R12.1: the answer of a denied request. A handshake that is closed tells nothing but its reason.
    fn deny(&self, request: &ModelRequest, denial: &ModelDenial) -> ModelAnswer {
        match websocket::close(&self.policy, request, denial.own_text(&self.policy)) {
            Some(close) => ModelAnswer { status: 101, kinds: denial.kinds.clone(), close: Some(close), ..ModelAnswer::default() },
            None => denial.render(&self.policy),
        }
    }

    /// R10.2, R10.3: the answer of whatever reaches the handler.
    fn pass(&self, request: &ModelRequest, pass: &Pass, trail: &Trail) -> ModelAnswer {
        let target = trail.target.as_ref().expect("nothing passes without a target");
        let sources = self.policy.sources();
        let by_query = candidates::holds_query_credential(&sources, target);
        let (principal, guarded) = match pass {
            Pass::Unguarded => (None, false),
            Pass::Guarded(principal, _) => (principal.clone(), true),
        };
        let stripped = self.policy.response.strip_credentials;
        ModelAnswer {
            status: 200,
            principal,
            cache_control: match (by_query, guarded) {
                (true, _) => Some("no-store"),
                (false, true) => Some("private"),
                (false, false) => None,
            },
            query: candidates::query_without_credentials(&sources, target),
            saw_credential: match (stripped, guarded) {
                (true, true) => Some(false),
                (true, false) => None,
                (false, _) => Some(candidates::holds_header_credential(&sources, request)),
            },
            ..ModelAnswer::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{answer::RetryAfter, time::SECOND, *};

    fn model(policy: &str, keys: &[&str]) -> Model {
        let keys = keys.iter().map(|line| ModelKey::from_json_line(line).unwrap()).collect();
        Model::new(ModelPolicy::from_toml(policy).unwrap(), keys, BTreeMap::new())
    }

    fn ask(model: &mut Model, text: &str, now: Moment) -> ModelAnswer {
        model.decide(&ModelRequest::parse(text, Some("192.0.2.1".parse().unwrap())), now)
    }

    #[test]
    fn the_order_of_refusals() {
        let mut model = model(
            "[network]\ndeny = ['192.0.2.1']\n[access]\nopen_paths = ['/open']\n[[routes]]\npath = '/r'\nmethods = ['GET']",
            &[],
        );
        assert_eq!(ask(&mut model, "GET /open/../r\n\n", 0).kind(), Some("path"));
        assert_eq!(ask(&mut model, "GET /open\n\n", 0).status, 200);
        assert_eq!(ask(&mut model, "POST /r\n\n", 0).kind(), Some("route"));
        assert_eq!(ask(&mut model, "GET /r\nX-API-Key: a\nX-API-Key: b\n\n", 0).kind(), Some("address"));
    }

    #[test]
    fn a_spent_budget_changes_only_what_would_be_charged() {
        let mut model = model("[limits]\nfailures = '1/minute'", &[r#"{"key":"good"}"#]);
        assert_eq!(ask(&mut model, "GET /\nX-API-Key: bad\n\n", 0).status, 401);
        let limited = ask(&mut model, "GET /\nX-API-Key: bad\n\n", SECOND);
        assert_eq!((limited.kind(), limited.retry_after), (Some("failures-limited"), RetryAfter::Seconds(59)));
        assert!(limited.rate_limits.is_empty());
        assert_eq!(ask(&mut model, "GET /\n\n", SECOND).kind(), Some("missing"));
        assert_eq!(ask(&mut model, "GET /\nX-API-Key: bad\nAuthorization: Bearer x\n\n", SECOND).kind(), Some("conflict"));
        assert_eq!(ask(&mut model, "GET /\nX-API-Key: good\n\n", SECOND).status, 200);
        assert_eq!(ask(&mut model, "GET /\nX-API-Key: bad\n\n", 60 * SECOND).status, 401);
    }

    #[test]
    fn first_valid_answers_with_the_first_kind() {
        let mut model = model(
            "resolution = 'first-valid'\n[limits]\nfailures = '2/minute'",
            &[r#"{"key":"good"}"#, r#"{"key":"old","expires_at":"1970-01-01T00:00:00Z"}"#],
        );
        let answer = ask(&mut model, "GET /\nAuthorization: Bearer old\nX-API-Key: bad\n\n", 0);
        assert_eq!((answer.status, answer.kind()), (401, Some("expired")));
        let answer = ask(&mut model, "GET /\nAuthorization: Bearer bad\nX-API-Key: good\n\n", 0);
        assert_eq!(answer.status, 200, "the budget is spent, but a later candidate wins");
        let answer = ask(&mut model, "GET /\nAuthorization: Bearer bad\n\n", 0);
        assert_eq!(answer.status, 429);
    }

    #[test]
    fn what_is_open_leaves_no_event() {
        let mut model = model("[access]\nopen_paths = ['/open']", &[]);
        assert_eq!(ask(&mut model, "GET /open\n\n", 0).event, None);
        assert!(ask(&mut model, "GET /%6fpen\n\n", 0).event.is_some());
    }

    #[test]
    fn no_peer_is_a_fault_only_where_a_rule_needs_one() {
        let request = ModelRequest::parse("GET /\n\n", None);
        let status = |policy: &str| model(policy, &[]).decide(&request, 0).status;
        assert_eq!(status(""), 401);
        assert_eq!(status("[network]\nallow = ['*']"), 401);
        assert_eq!(status("[network]\nallow = ['0.0.0.0/0']"), 503);
        assert_eq!(status("[limits]\nfailures = '1/minute'"), 503);
        assert_eq!(status("[limits]\nper_address = ['1/minute']"), 503);
        assert_eq!(status("[limits]\nper_key = ['1/minute']"), 401);
        assert_eq!(status("[[routes]]\npath = '/*'\ndeny = ['10.0.0.1']"), 401, "another route's networks");
        assert_eq!(status("[[routes]]\npath = '/'\nallow = ['*']"), 401);
        assert_eq!(status("[[routes]]\npath = '/'\ndeny = ['10.0.0.1']"), 503);
    }
}
