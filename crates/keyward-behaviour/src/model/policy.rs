//! The policy as the model knows it: the names of the policy file, in types of the model's own.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A policy, with a field for each name of the policy file that the model covers.
///
/// Sessions, tickets and the audit's delivery are not modelled: their rules need parts that live outside a decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelPolicy {
    /// Where a credential may stand, in order of priority; none written means the default list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<Source>>,
    /// How one of several candidates is chosen.
    #[serde(skip_serializing_if = "is_default")]
    pub resolution: Resolution,
    /// Who is asked about a candidate, in order; none written means the default list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticators: Option<Vec<AuthenticatorName>>,
    /// Keys that stand in environment variables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub configured_keys: Vec<ConfiguredKeys>,
    /// Who gets in without a key, and under which name the service knows itself.
    pub access: Access,
    /// The client's address and the lists it must pass.
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network,
    /// Quotas and the failure budget.
    #[serde(skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// What a path demands beyond a valid key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// What an answer looks like.
    #[serde(skip_serializing_if = "is_default")]
    pub response: Response,
    /// What is special about handshakes.
    #[serde(skip_serializing_if = "is_default")]
    pub websocket: WebSocket,
    /// How events are delivered, which changes no decision but where they cannot be.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub audit: toml::Table,
}

/// One place where a credential may stand, with what limits it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenSource", into = "WrittenSource")]
pub struct Source {
    /// The place.
    pub place: Place,
    /// Whether the source counts on handshakes only.
    pub only_websocket: bool,
    /// The paths on which the source counts; empty for all.
    pub paths: Vec<String>,
}

/// A place where a credential may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header, with a scheme before the credential or without.
    Header {
        /// The header's name.
        name: String,
        /// The scheme that must lead the value.
        scheme: Option<String>,
    },
    /// A cookie of this name.
    Cookie(String),
    /// A query parameter of this name.
    Query(String),
    /// An offered WebSocket subprotocol that begins with this name and a dot.
    Subprotocol(String),
}

/// A source as the policy file writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenSource {
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subprotocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<String>>,
}

/// How one of several candidates is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// More than one different credential is refused.
    #[default]
    RejectConflict,
    /// Only the first source that holds anything counts.
    FirstPresent,
    /// The next is tried after a bad one.
    FirstValid,
}

/// Who can be asked about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticatorName {
    /// The keys that are stored.
    Store,
    /// The keys in environment variables.
    Configured,
}

/// Keys that stand in one environment variable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfiguredKeys {
    /// The variable.
    pub env: String,
    /// What separates several keys in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// The label on the principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The scopes of each key in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// Who gets in without a key, and under which name the service knows itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// The realm that challenges name. Always written, since its default is free.
    pub realm: String,
    /// Paths that need no key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_paths: Vec<String>,
    /// What happens to preflights.
    #[serde(skip_serializing_if = "is_default")]
    pub preflight: Preflight,
    /// The own origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Whether everybody gets in when no key is configured.
    #[serde(skip_serializing_if = "is_default")]
    pub insecure_allow_without_keys: bool,
}

impl Default for Access {
    fn default() -> Access {
        Access {
            realm: "api".to_owned(),
            open_paths: Vec::new(),
            preflight: Preflight::Pass,
            public_url: None,
            insecure_allow_without_keys: false,
        }
    }
}

/// What happens to preflights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preflight {
    /// They pass as anonymous.
    #[default]
    Pass,
    /// They are guarded like any request.
    Guard,
}

/// The client's address and the lists it must pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Who may come; none written is anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Who may not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// Whose word about the client's address counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<String>,
    /// Whether everybody's word about the client's address counts.
    #[serde(skip_serializing_if = "is_default")]
    pub insecure_trust_all_proxies: bool,
    /// How many proxies every request passes, where they are not told by their addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_hops: Option<usize>,
    /// The one header in which they say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address_header: Option<String>,
}

/// Quotas and the failure budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Quotas of each key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_key: Vec<String>,
    /// Quotas of each owner.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_owner: Vec<String>,
    /// Quotas of each client address.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_address: Vec<String>,
    /// Quotas of all keys together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_policy: Vec<String>,
    /// The failure budget; none written or `off` is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<String>,
}

/// What a path demands beyond a valid key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// The path pattern.
    pub path: String,
    /// The methods it is about; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Scopes that are all demanded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Scopes of which one is demanded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub any_scope: Vec<String>,
    /// Kinds of which one is demanded; empty for any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Whether a missing key passes as anonymous.
    #[serde(skip_serializing_if = "is_default")]
    pub optional: bool,
    /// Who may come here; none written is anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Who may not come here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
    /// How many permissions a request takes of each quota; none written is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u32>,
}

/// What an answer looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Response {
    /// The shape of a denial's body.
    #[serde(skip_serializing_if = "is_default")]
    pub body: BodyShape,
    /// Own text of a missing key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Own text of a bad key, and of a missing one that has no text of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unauthorized: Option<String>,
    /// Own text of a refused address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forbidden_address: Option<String>,
    /// Own text of a missing scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forbidden_scope: Option<String>,
    /// Own text of a spent limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limited: Option<String>,
    /// Own text of a conflict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// Own text of a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable: Option<String>,
    /// Own challenge of every 401.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// The header that carries the request id.
    #[serde(skip_serializing_if = "is_default_request_id_header")]
    pub request_id_header: String,
    /// Whether the fixed security headers are sent.
    #[serde(skip_serializing_if = "is_default")]
    pub security_headers: bool,
    /// The value of `Strict-Transport-Security`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hsts: Option<String>,
    /// Which families of rate-limit headers are sent; none written is the draft's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_headers: Option<Vec<RateLimitHeaders>>,
    /// Whether handlers are kept from seeing credentials.
    #[serde(skip_serializing_if = "is_true")]
    pub strip_credentials: bool,
}

impl Default for Response {
    fn default() -> Response {
        Response {
            body: BodyShape::Problem,
            missing: None,
            unauthorized: None,
            forbidden_address: None,
            forbidden_scope: None,
            limited: None,
            conflict: None,
            unavailable: None,
            challenge: None,
            request_id_header: "X-Request-ID".to_owned(),
            security_headers: false,
            hsts: None,
            rate_limit_headers: None,
            strip_credentials: true,
        }
    }
}

/// The shape of a denial's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyShape {
    /// RFC 9457.
    #[default]
    Problem,
    /// `{"detail": …}`.
    Detail,
    /// `{"error": …}`.
    Error,
}

/// A family of rate-limit headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateLimitHeaders {
    /// `RateLimit` and `RateLimit-Policy`.
    Draft,
    /// `X-RateLimit-*`.
    Legacy,
}

/// What is special about handshakes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSocket {
    /// Origins that may bring a cookie to a handshake, beside the own one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<String>,
    /// What becomes of a handshake that is denied.
    #[serde(skip_serializing_if = "is_default")]
    pub on_denial: OnDenial,
    /// The code with which it is closed; none written is 1008.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_code: Option<u16>,
    /// How many connections a key may hold open. The model opens none, and so none is too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_key: Option<u32>,
}

/// What becomes of a handshake that is denied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDenial {
    /// It is answered with the denial.
    #[default]
    Refuse,
    /// It is completed, and closed at once.
    Close,
}

impl ModelPolicy {
    /// The policy file that says the same.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field of a policy has a form in TOML")
    }

    /// Reads a policy file.
    ///
    /// # Errors
    /// Says what the model does not understand. The model does not judge a policy: contradictions pass.
    pub fn from_toml(text: &str) -> Result<ModelPolicy, toml::de::Error> {
        toml::from_str(text)
    }

    /// The sources in force.
    pub fn sources(&self) -> Vec<Source> {
        self.sources
            .clone()
            .unwrap_or_else(|| vec![Source::everywhere(Place::Bearer), Source::everywhere(Place::header("X-API-Key"))])
    }

    /// Those who are asked, in order.
    pub fn authenticators(&self) -> Vec<AuthenticatorName> {
        self.authenticators.clone().unwrap_or_else(|| vec![AuthenticatorName::Store, AuthenticatorName::Configured])
    }

    /// Whether Bearer is among the sources, which decides how a challenge is written.
    pub fn has_bearer(&self) -> bool {
        self.sources().iter().any(|source| source.place == Place::Bearer)
    }

    /// Whether any rule of the policy looks at the path.
    pub fn has_path_rules(&self) -> bool {
        !self.access.open_paths.is_empty()
            || !self.routes.is_empty()
            || self.sources().iter().any(|source| !source.paths.is_empty())
    }

    /// Whether this family of rate-limit headers is sent.
    pub fn sends(&self, family: RateLimitHeaders) -> bool {
        match &self.response.rate_limit_headers {
            None => family == RateLimitHeaders::Draft,
            Some(families) => families.contains(&family),
        }
    }

    /// Whether this address is one of the trusted proxies. Where these are counted, anybody's is.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.network.insecure_trust_all_proxies || self.network.trusted_hops.is_some() || self.names_as_proxy(address)
    }

    /// Whether the policy names this address as a proxy's, and does not only believe everybody.
    pub fn names_as_proxy(&self, address: IpAddr) -> bool {
        super::networks::any_contains(&self.network.trusted_proxies, address)
    }
}

impl Source {
    /// A source that counts on every request.
    pub fn everywhere(place: Place) -> Source {
        Source { place, only_websocket: false, paths: Vec::new() }
    }

    /// The word that audit events and explanations use for the place.
    pub fn word(&self) -> &'static str {
        match self.place {
            Place::Bearer => "bearer",
            Place::Header { .. } => "header",
            Place::Cookie(_) => "cookie",
            Place::Query(_) => "query",
            Place::Subprotocol(_) => "subprotocol",
        }
    }
}

impl Place {
    /// A header that holds the credential alone.
    pub fn header(name: &str) -> Place {
        Place::Header { name: name.to_owned(), scheme: None }
    }
}

impl TryFrom<WrittenSource> for Source {
    type Error = String;

    fn try_from(written: WrittenSource) -> Result<Source, String> {
        let places = [
            written.bearer.filter(|wanted| *wanted).map(|_| Place::Bearer),
            written.header.map(|name| Place::Header { name, scheme: written.scheme }),
            written.cookie.map(Place::Cookie),
            written.query.map(Place::Query),
            written.subprotocol.map(Place::Subprotocol),
        ];
        let mut places = places.into_iter().flatten();
        let (Some(place), None) = (places.next(), places.next()) else {
            return Err("a source names exactly one place".to_owned());
        };
        let only_websocket = match written.only.as_deref() {
            None => false,
            Some("websocket") => true,
            Some(other) => return Err(format!("`only` knows websocket, not {other}")),
        };
        Ok(Source { place, only_websocket, paths: written.paths.unwrap_or_default() })
    }
}

impl From<Source> for WrittenSource {
    fn from(source: Source) -> WrittenSource {
        let mut written = WrittenSource {
            only: source.only_websocket.then(|| "websocket".to_owned()),
            paths: (!source.paths.is_empty()).then_some(source.paths),
            ..WrittenSource::default()
        };
        match source.place {
            Place::Bearer => written.bearer = Some(true),
            Place::Header { name, scheme } => {
                written.header = Some(name);
                written.scheme = scheme;
            }
            Place::Cookie(name) => written.cookie = Some(name),
            Place::Query(name) => written.query = Some(name),
            Place::Subprotocol(name) => written.subprotocol = Some(name),
        }
        written
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}

fn is_default_request_id_header(name: &str) -> bool {
    name == "X-Request-ID"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_bearer_then_x_api_key() {
        let policy = ModelPolicy::from_toml("").unwrap();
        assert_eq!(policy, ModelPolicy::default());
        assert_eq!(policy.sources()[1].place, Place::header("X-API-Key"));
        assert!(policy.has_bearer());
        assert!(!policy.has_path_rules());
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let text = r#"
            sources = [
              { bearer = true },
              { header = "Authorization", scheme = "ApiKey" },
              { query = "api_key", only = "websocket" },
              { header = "X-Job-Key", paths = ["/jobs/*"] },
            ]
            resolution = "first-valid"
            authenticators = ["configured", "store"]
            [[configured_keys]]
            env = "KEYS"
            separator = ","
            [access]
            open_paths = ["/healthz"]
            [limits]
            per_key = ["2/minute"]
            [[routes]]
            path = "/reports/*"
            methods = ["GET"]
            allow = ["10.0.0.0/8"]
            deny = ["10.1.0.0/16"]
            cost = 5
            [response]
            challenge = "APIKey"
            strip_credentials = false
            [websocket]
            on_denial = "close"
            close_code = 4001
            connections_per_key = 3
        "#;
        let policy = ModelPolicy::from_toml(text).unwrap();
        assert_eq!(ModelPolicy::from_toml(&policy.to_toml()).unwrap(), policy);
        assert!(policy.has_path_rules());
        assert!(!policy.response.strip_credentials);
    }

    #[test]
    fn a_source_has_one_place() {
        assert!(ModelPolicy::from_toml(r#"sources = [{ bearer = true, cookie = "a" }]"#).is_err());
        assert!(ModelPolicy::from_toml("sources = [{}]").is_err());
    }
}
