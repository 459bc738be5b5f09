//! The policy as data: what a TOML file says, and what the builder fills in. Both are checked by the same code, so they
//! cannot mean different things.

use serde::Deserialize;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PolicyFile {
    pub(crate) sources: Option<Vec<Source>>,
    pub(crate) resolution: Option<String>,
    pub(crate) authenticators: Option<Vec<String>>,
    pub(crate) configured_keys: Vec<ConfiguredKeysFile>,
    pub(crate) access: AccessFile,
    pub(crate) network: NetworkFile,
    pub(crate) limits: LimitsFile,
    pub(crate) routes: Vec<Route>,
    pub(crate) response: ResponseFile,
    pub(crate) websocket: WebSocketFile,
    pub(crate) tickets: TicketsFile,
    pub(crate) audit: AuditFile,
    pub(crate) report_only: ReportOnlyFile,
}

/// A place where a credential may stand, for [`PolicyBuilder::sources`](crate::PolicyBuilder::sources).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    pub(crate) bearer: Option<bool>,
    pub(crate) header: Option<String>,
    pub(crate) scheme: Option<String>,
    pub(crate) cookie: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) subprotocol: Option<String>,
    pub(crate) only: Option<String>,
    pub(crate) paths: Vec<String>,
}

impl Source {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    pub fn bearer() -> Self {
        Self { bearer: Some(true), ..Self::default() }
    }

    /// A header whose whole value is the credential. Names count in any case.
    pub fn header(name: impl Into<String>) -> Self {
        Self { header: Some(name.into()), ..Self::default() }
    }

    /// A cookie. Its name counts as written.
    pub fn cookie(name: impl Into<String>) -> Self {
        Self { cookie: Some(name.into()), ..Self::default() }
    }

    /// A query parameter. URLs end up in logs and histories: prefer anything else.
    pub fn query(name: impl Into<String>) -> Self {
        Self { query: Some(name.into()), ..Self::default() }
    }

    /// A WebSocket subprotocol `NAME.<base64url of the credential>` beside a real one.
    pub fn subprotocol(name: impl Into<String>) -> Self {
        Self { subprotocol: Some(name.into()), ..Self::default() }
    }

    /// The header's value has this scheme before the credential.
    #[must_use]
    pub fn with_scheme(mut self, scheme: impl Into<String>) -> Self {
        self.scheme = Some(scheme.into());
        self
    }

    /// Looked at in WebSocket handshakes only.
    #[must_use]
    pub fn only_websocket(mut self) -> Self {
        self.only = Some("websocket".to_owned());
        self
    }

    /// Looked at under these paths only: exact, or `/x/*` for everything below.
    #[must_use]
    pub fn on_paths<P: Into<String>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.paths = paths.into_iter().map(Into::into).collect();
        self
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfiguredKeysFile {
    pub(crate) env: String,
    pub(crate) kind: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) separator: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessFile {
    pub(crate) realm: Option<String>,
    pub(crate) open_paths: Vec<String>,
    pub(crate) preflight: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) insecure_allow_without_keys: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkFile {
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) deny: Vec<String>,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) insecure_trust_all_proxies: bool,
    pub(crate) trusted_hops: Option<u32>,
    pub(crate) client_address_header: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsFile {
    pub(crate) per_key: Vec<String>,
    pub(crate) per_owner: Vec<String>,
    pub(crate) per_address: Vec<String>,
    pub(crate) per_policy: Vec<String>,
    pub(crate) failures: Option<String>,
}

/// What some paths demand, for [`PolicyBuilder::routes`](crate::PolicyBuilder::routes). The first route that matches wins.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    pub(crate) path: String,
    pub(crate) methods: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) any_scope: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) optional: bool,
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) deny: Vec<String>,
    pub(crate) cost: Option<u32>,
}

impl Route {
    /// A path, or `/x/*` for everything below `/x/`, under every method, that needs a valid key and no scope.
    pub fn new(path: impl Into<String>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// Under these methods only; `GET` means `HEAD` too. Other methods of the path are refused, unless another route names
    /// them.
    #[must_use]
    pub fn methods<S: Into<String>>(mut self, methods: impl IntoIterator<Item = S>) -> Self {
        self.methods = methods.into_iter().map(Into::into).collect();
        self
    }

    /// All of these scopes.
    #[must_use]
    pub fn scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// At least one of these scopes.
    #[must_use]
    pub fn any_scope<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.any_scope = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// A key of one of these kinds.
    #[must_use]
    pub fn kinds<S: Into<String>>(mut self, kinds: impl IntoIterator<Item = S>) -> Self {
        self.kinds = kinds.into_iter().map(Into::into).collect();
        self
    }

    /// From these networks only, beside what the policy's networks say.
    #[must_use]
    pub fn allow<N: Into<String>>(mut self, networks: impl IntoIterator<Item = N>) -> Self {
        self.allow = Some(networks.into_iter().map(Into::into).collect());
        self
    }

    /// Not from these networks.
    #[must_use]
    pub fn deny<N: Into<String>>(mut self, networks: impl IntoIterator<Item = N>) -> Self {
        self.deny = networks.into_iter().map(Into::into).collect();
        self
    }

    /// A request takes so many permissions of each quota (1).
    #[must_use]
    pub fn cost(mut self, permissions: u32) -> Self {
        self.cost = Some(permissions);
        self
    }

    /// A request without any credential is let through, as nobody. A bad credential is refused all the same.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ResponseFile {
    pub(crate) body: Option<String>,
    pub(crate) missing: Option<String>,
    pub(crate) unauthorized: Option<String>,
    pub(crate) forbidden_address: Option<String>,
    pub(crate) forbidden_scope: Option<String>,
    pub(crate) limited: Option<String>,
    pub(crate) conflict: Option<String>,
    pub(crate) unavailable: Option<String>,
    pub(crate) challenge: Option<String>,
    pub(crate) request_id_header: Option<String>,
    pub(crate) security_headers: bool,
    pub(crate) hsts: Option<String>,
    pub(crate) rate_limit_headers: Option<Vec<String>>,
    pub(crate) strip_credentials: Option<bool>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WebSocketFile {
    pub(crate) on_denial: Option<String>,
    pub(crate) close_code: Option<u16>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) connections_per_key: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TicketsFile {
    pub(crate) query: Option<String>,
    pub(crate) lifetime: Option<String>,
    pub(crate) issuer: Option<String>,
    pub(crate) single_use: Option<bool>,
    pub(crate) plain: bool,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AuditFile {
    pub(crate) mode: Option<String>,
    pub(crate) format: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReportOnlyFile {
    pub(crate) network: ReportOnlyNetworkFile,
    pub(crate) limits: ReportOnlyLimitsFile,
    pub(crate) routes: Vec<Route>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReportOnlyNetworkFile {
    pub(crate) allow: Option<Vec<String>>,
    pub(crate) deny: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReportOnlyLimitsFile {
    pub(crate) per_key: Vec<String>,
    pub(crate) per_owner: Vec<String>,
    pub(crate) per_address: Vec<String>,
    pub(crate) per_policy: Vec<String>,
}
