//! The policy: what a guard decides by. Written as TOML or built in code, checked once, never changed afterwards.
//!
//! `docs/policy.md` lists every name with its default.

mod builder;
mod check;
mod error;
mod file;

pub use builder::PolicyBuilder;
pub use error::{ConfigError, ConfigFault};
pub use file::{Route, Source};

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::HeaderName;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::limit::Quota;
use crate::network::{AddressList, ClientHeader, TrustedProxies};
use crate::path::{PathPattern, RulePath};
use crate::scope::Requirement;
use crate::source::{self, SourceKind};

/// A checked policy.
///
/// ```
/// use keyward::Policy;
///
/// let policy = Policy::from_toml("policy.toml", "[limits]\nper_key = [\"100/hour\"]")?;
/// let mistake = Policy::from_toml("policy.toml", "[limits]\nper_key = [\"lots\"]").unwrap_err();
/// assert!(mistake.to_string().starts_with("policy.toml:2: limits.per_key[0]: "));
/// # Ok::<(), keyward::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Policy {
    pub(crate) sources: Vec<source::Source>,
    pub(crate) resolution: Resolution,
    /// As written; `None`: the default order, of which only what exists is asked.
    pub(crate) authenticators: Option<Vec<String>>,
    pub(crate) configured_keys: Vec<ConfiguredKeys>,
    pub(crate) realm: Box<str>,
    pub(crate) open_paths: Vec<PathPattern>,
    pub(crate) preflight_passes: bool,
    pub(crate) public_origin: Option<Box<str>>,
    pub(crate) insecure_allow_without_keys: bool,
    pub(crate) network: NetworkRules,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) client_header: Option<ClientHeader>,
    pub(crate) limits: LimitRules,
    pub(crate) failures: Option<Quota>,
    /// Whether the policy itself says what the failure budget is, be it "off".
    pub(crate) failures_are_said: bool,
    pub(crate) routes: Vec<RouteRule>,
    pub(crate) response: ResponseRules,
    pub(crate) websocket: WebSocketRules,
    pub(crate) tickets: Option<TicketRules>,
    pub(crate) audit_required: bool,
    pub(crate) audit_format: AuditFormat,
    pub(crate) report_only: ReportOnly,
    /// Whether R1.2's stricter checks hold.
    pub(crate) has_path_rules: bool,
}

/// R12, R13.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebSocketRules {
    /// The code with which a denied handshake is closed. `None`: it is refused.
    pub(crate) close_code: Option<u16>,
    /// Origins beside the own one whose handshakes may carry cookies.
    pub(crate) origins: Vec<Box<str>>,
    /// How many connections a key may hold open in this process.
    pub(crate) connections_per_key: Option<u32>,
}

/// R14.
#[derive(Debug, Clone)]
pub(crate) struct TicketRules {
    /// The query parameter, which is stripped like a key's.
    pub(crate) parameter: Box<str>,
    pub(crate) lifetime: Duration,
    pub(crate) issuer: Box<str>,
    pub(crate) single_use: bool,
    /// The one configured key signs them itself (R14.3).
    pub(crate) plain: bool,
}

impl Default for TicketRules {
    fn default() -> Self {
        Self {
            parameter: "token".into(),
            lifetime: crate::ticket::LONGEST_LIFETIME,
            issuer: "keyward".into(),
            single_use: true,
            plain: false,
        }
    }
}

/// How one of several candidates is chosen (R6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    RejectConflict,
    FirstPresent,
    FirstValid,
}

#[derive(Debug, Clone)]
pub(crate) struct ConfiguredKeys {
    pub(crate) variable: String,
    pub(crate) kind: Option<Box<str>>,
    pub(crate) scopes: Vec<crate::scope::Scope>,
    pub(crate) separator: Option<String>,
}

/// R4.
#[derive(Debug, Clone, Default)]
pub(crate) struct NetworkRules {
    /// `None`: anybody.
    pub(crate) allow: Option<AddressList>,
    pub(crate) deny: AddressList,
}

impl NetworkRules {
    pub(crate) fn is_anybody(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// Whether whoever could be let in is kept out.
    pub(crate) fn are_for_nobody(&self) -> bool {
        let all = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let allowed = self.allow.as_ref().map_or(&all[..], AddressList::networks);
        allowed.iter().all(|network| self.deny.covers(network))
    }

    /// What these and the outer ones let in together.
    pub(crate) fn within(&self, outer: &Self) -> Self {
        let narrower = |one: &IpNet, other: &IpNet| {
            if other.contains(one) { Some(*one) } else { one.contains(other).then_some(*other) }
        };
        let allow = match (&self.allow, &outer.allow) {
            (Some(inner), Some(outer)) => {
                let pairs =
                    inner.networks().iter().flat_map(|one| outer.networks().iter().filter_map(move |other| narrower(one, other)));
                Some(AddressList::of(pairs.collect()))
            }
            (allow, None) | (None, allow) => allow.clone(),
        };
        Self { allow, deny: AddressList::of([self.deny.networks(), outer.deny.networks()].concat()) }
    }

    pub(crate) fn admits(&self, client: &crate::network::Client) -> bool {
        self.allow.as_ref().is_none_or(|allowed| client.is_in(allowed)) && !client.is_denied_by(&self.deny)
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct LimitRules {
    pub(crate) per_key: Vec<Quota>,
    pub(crate) per_owner: Vec<Quota>,
    pub(crate) per_address: Vec<Quota>,
    pub(crate) per_policy: Vec<Quota>,
}

impl LimitRules {
    pub(crate) fn is_nothing(&self) -> bool {
        self.per_key.is_empty() && self.per_owner.is_empty() && self.per_address.is_empty() && self.per_policy.is_empty()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct RouteRule {
    pub(crate) pattern: PathPattern,
    /// Empty: every method.
    pub(crate) methods: Vec<Box<str>>,
    pub(crate) requirement: Requirement,
    /// Beside the policy's.
    pub(crate) network: NetworkRules,
    pub(crate) optional: bool,
}

impl RouteRule {
    fn takes(&self, method: &str) -> bool {
        let named = |name: &str| self.methods.iter().any(|listed| **listed == *name);
        self.methods.is_empty() || named(method) || (method == "HEAD" && named("GET"))
    }
}

/// What the routes say about one request (R1.3).
pub(crate) enum RouteMatch<'p> {
    /// No route names the path: a valid key and no scope.
    Unnamed,
    Route(&'p RouteRule),
    /// Some route names the path, none under this method: a forgotten method must not be an open door.
    MethodNotNamed,
    /// Some servers would take the path for another one, of which other rules hold.
    Ambiguous,
}

pub(crate) fn route<'p>(routes: &'p [RouteRule], method: &str, path: &RulePath<'_>) -> RouteMatch<'p> {
    let found = find(routes, method, |pattern| pattern.matches(path));
    // Where there is no route, there is none to be led to, and nothing to be copied for it.
    if !routes.is_empty()
        && path.other_readings().any(|reading| find(routes, method, |pattern| pattern.matches_reading(&reading)) != found)
    {
        return RouteMatch::Ambiguous;
    }
    match found {
        Found::Unnamed => RouteMatch::Unnamed,
        Found::MethodNotNamed => RouteMatch::MethodNotNamed,
        Found::Route(index) => RouteMatch::Route(&routes[index]),
    }
}

#[derive(PartialEq, Eq)]
enum Found {
    Unnamed,
    MethodNotNamed,
    Route(usize),
}

fn find(routes: &[RouteRule], method: &str, matches: impl Fn(&PathPattern) -> bool) -> Found {
    let mut named = false;
    for (index, route) in routes.iter().enumerate().filter(|(_, route)| matches(&route.pattern)) {
        if route.takes(method) {
            return Found::Route(index);
        }
        named = true;
    }
    if named { Found::MethodNotNamed } else { Found::Unnamed }
}

#[derive(Debug, Clone)]
pub(crate) struct ResponseRules {
    pub(crate) body: BodyStyle,
    pub(crate) texts: Texts,
    /// Of every 401, instead of the one that the sources suggest.
    pub(crate) challenge: Option<http::HeaderValue>,
    pub(crate) request_id_header: HeaderName,
    /// On every answer.
    pub(crate) fixed_headers: Vec<(HeaderName, http::HeaderValue)>,
    pub(crate) draft_rate_limit: bool,
    pub(crate) legacy_rate_limit: bool,
    pub(crate) strip_credentials: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyStyle {
    Problem,
    Detail,
    Error,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    pub(crate) missing: Option<Box<str>>,
    pub(crate) unauthorized: Option<Box<str>>,
    pub(crate) forbidden_address: Option<Box<str>>,
    pub(crate) forbidden_scope: Option<Box<str>>,
    pub(crate) limited: Option<Box<str>>,
    pub(crate) conflict: Option<Box<str>>,
    pub(crate) unavailable: Option<Box<str>>,
}

/// How `keyward serve` writes its audit lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditFormat {
    /// One JSON object a line.
    Json,
    /// One line of `name=value` pairs.
    Text,
}

/// Rules that are decided and told, and not enforced.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReportOnly {
    pub(crate) network: NetworkRules,
    pub(crate) limits: LimitRules,
    pub(crate) routes: Vec<RouteRule>,
}

impl Policy {
    /// Reads a policy file's text; `name` stands in error messages. An empty text is a good policy.
    ///
    /// # Errors
    /// Everything that is wrong, with line and mend.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, ConfigError> {
        check::from_toml(name, text)
    }

    /// Starts from the default policy: Bearer, then `X-API-Key`, `reject-conflict`, problem+json.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// With this failure budget, unless the policy itself says what `limits.failures` is, be it `off`: for programs that face
    /// everybody.
    #[must_use]
    pub fn with_default_failures(mut self, quota: Quota) -> Self {
        if !self.failures_are_said {
            self.failures = Some(quota);
        }
        self
    }

    /// Taking tickets in the parameter `token`, unless the policy itself has `[tickets]` or keys in a parameter of that name: for
    /// programs that have a token endpoint.
    #[must_use]
    pub fn with_default_tickets(mut self) -> Self {
        let is_taken = |source: &source::Source| matches!(&source.place, source::Place::Query { name } if &**name == "token");
        if self.tickets.is_none() && !self.sources.iter().any(is_taken) {
            let rules = TicketRules::default();
            self.sources.push(source::Source::of_tickets(rules.parameter.clone()));
            self.tickets = Some(rules);
        }
        self
    }

    /// The policy of what looks after keys (R16), where this one is an application's: whatever it says, keys stand in
    /// `Authorization: Bearer` or `X-API-Key`, different ones are a conflict, sessions and stored keys alone are asked, and nothing
    /// is open. Networks, proxies, the failure budget, the own origin, the audit's mode and the look of answers stay as they are.
    #[must_use]
    pub fn for_management(&self) -> Self {
        Self {
            sources: source::Source::usual(),
            resolution: Resolution::RejectConflict,
            authenticators: None,
            configured_keys: Vec::new(),
            open_paths: Vec::new(),
            preflight_passes: false,
            insecure_allow_without_keys: false,
            limits: LimitRules::default(),
            routes: Vec::new(),
            websocket: WebSocketRules::default(),
            tickets: None,
            report_only: ReportOnly::default(),
            has_path_rules: false,
            ..self.clone()
        }
    }

    /// With this as the own origin (R13), unless the policy itself says what `access.public_url` is.
    ///
    /// # Errors
    /// As for `access.public_url`.
    pub fn with_default_public_url(self, url: &str) -> Result<Self, ConfigError> {
        if self.public_origin.is_some() {
            return Ok(self);
        }
        let public_origin = Self::builder().public_url(url).build()?.public_origin;
        Ok(Self { public_origin, ..self })
    }

    /// The own origin (R13): what `access.public_url` begins with, like `https://api.example.com`.
    pub fn public_origin(&self) -> Option<&str> {
        self.public_origin.as_deref()
    }

    /// What errors are told in, where they are no problem documents (RFC 9457) but objects of one member: `detail` or `error`.
    pub fn error_member(&self) -> Option<&'static str> {
        match self.response.body {
            BodyStyle::Problem => None,
            BodyStyle::Detail => Some("detail"),
            BodyStyle::Error => Some("error"),
        }
    }

    /// Whether this peer's word about a request is taken (`network.trusted_proxies`). Anybody's is, where proxies are trusted by their
    /// number (`network.trusted_hops`).
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(peer)
    }

    /// The header in which request ids are read and echoed (R1.1).
    pub fn request_id_header(&self) -> &HeaderName {
        &self.response.request_id_header
    }

    /// Where a key may stand, in order of priority: the kind of place, the name of its header, cookie, parameter or subprotocol,
    /// and the scheme that a header's value begins with. For texts that tell people how to send a key.
    pub fn sources(&self) -> impl Iterator<Item = (SourceKind, &str, Option<&str>)> {
        self.sources.iter().filter(|source| !source.holds_tickets).map(|source| {
            let scheme = match &source.place {
                source::Place::Header { scheme, .. } => scheme.as_deref(),
                _ => None,
            };
            (source.kind(), source.name(), scheme)
        })
    }

    /// Whether audit events must be written before an allowed request goes on (`audit.mode = "required"`).
    pub fn audit_is_required(&self) -> bool {
        self.audit_required
    }

    /// How the policy wants audit lines written, where a program writes them.
    pub fn audit_format(&self) -> AuditFormat {
        self.audit_format
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("sources", &self.sources.len())
            .field("resolution", &self.resolution)
            .field("routes", &self.routes.len())
            .finish_non_exhaustive()
    }
}
