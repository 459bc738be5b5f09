//! The policy built in code: the same data as the file, checked by the same code.

use super::file::{ConfiguredKeysFile, PolicyFile, Route, Source};
use super::{ConfigError, Policy, check};

/// Builds a [`Policy`]. What is not said keeps the default that `docs/policy.md` names.
///
/// ```
/// use keyward::Policy;
/// use keyward::policy::{Route, Source};
///
/// let policy = Policy::builder()
///     .sources([Source::bearer(), Source::header("X-API-Key")])
///     .per_key(["100/hour"])
///     .routes([Route::new("/reports/*").methods(["GET"]).scopes(["reports:read"])])
///     .build()?;
/// # Ok::<(), keyward::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct PolicyBuilder(PolicyFile);

fn texts<S: Into<String>>(items: impl IntoIterator<Item = S>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident => $($field:ident).+;)+) => {$(
        $(#[$doc])*
        pub fn $name<S: Into<String>>(mut self, items: impl IntoIterator<Item = S>) -> Self {
            self.0.$($field).+ = texts(items).into();
            self
        }
    )+};
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident => $($field:ident).+;)+) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: impl Into<String>) -> Self {
            self.0.$($field).+ = Some(value.into());
            self
        }
    )+};
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident => $($field:ident).+;)+) => {$(
        $(#[$doc])*
        pub fn $name(mut self, on: bool) -> Self {
            self.0.$($field).+ = on.into();
            self
        }
    )+};
}

impl PolicyBuilder {
    /// Where a key may stand, in order of priority.
    pub fn sources(mut self, sources: impl IntoIterator<Item = Source>) -> Self {
        self.0.sources = Some(sources.into_iter().collect());
        self
    }

    /// What some paths demand; the first that matches wins.
    pub fn routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.0.routes = routes.into_iter().collect();
        self
    }

    /// Keys from an environment variable; several where `separator` is given. Call again for more variables.
    pub fn configured_keys(
        mut self,
        variable: impl Into<String>,
        separator: Option<&str>,
        kind: Option<&str>,
        scopes: &[&str],
    ) -> Self {
        self.0.configured_keys.push(ConfiguredKeysFile {
            env: variable.into(),
            kind: kind.map(Into::into),
            scopes: texts(scopes.iter().copied()),
            separator: separator.map(Into::into),
        });
        self
    }

    /// How many proxies of your own, 1 to 16, every request passes: the client is the address that the outermost of them wrote,
    /// counted from the right of `client_address_header`. Only where **nobody** can reach the service other than through exactly
    /// so many: whoever can chooses the address that they are known by.
    pub fn trusted_hops(mut self, hops: u32) -> Self {
        self.0.network.trusted_hops = Some(hops);
        self
    }

    /// The code that closes a refused WebSocket where `on_denial` is `close`.
    pub fn websocket_close_code(mut self, code: u16) -> Self {
        self.0.websocket.close_code = Some(code);
        self
    }

    /// How many connections a key may hold open in this process; more handshakes are answered 429.
    pub fn connections_per_key(mut self, connections: u32) -> Self {
        self.0.websocket.connections_per_key = Some(connections);
        self
    }

    /// The one configured key signs tickets itself (R14.3), so that any library that knows the key makes and reads them. They can be
    /// used until they expire.
    pub fn plain_tickets(mut self) -> Self {
        self.0.tickets.plain = true;
        self.0.tickets.single_use = Some(false);
        self
    }

    /// Routes that are decided and told in the audit event, and not enforced.
    pub fn report_only_routes(mut self, routes: impl IntoIterator<Item = Route>) -> Self {
        self.0.report_only.routes = routes.into_iter().collect();
        self
    }

    words! {
        /// `reject-conflict`, `first-present` or `first-valid`.
        resolution => resolution;
        /// The realm of challenges.
        realm => access.realm;
        /// `pass` or `guard` CORS preflights.
        preflight => access.preflight;
        /// The service's own origin, like `https://api.example.com`.
        public_url => access.public_url;
        /// `X-Forwarded-For`, `Forwarded` or `X-Real-IP`: the one header that trusted proxies name the client in.
        client_address_header => network.client_address_header;
        /// How many bad keys one address may try, or `off`.
        failures => limits.failures;
        /// `problem`, `detail` or `error`.
        body => response.body;
        /// The text of a missing key's 401; where only `unauthorized` is given, that one.
        text_missing => response.missing;
        /// The text of a bad key's 401.
        text_unauthorized => response.unauthorized;
        /// The text of a forbidden address's 403.
        text_forbidden_address => response.forbidden_address;
        /// The text of every other 403.
        text_forbidden_scope => response.forbidden_scope;
        /// The text of a 429.
        text_limited => response.limited;
        /// The text of a conflict's or duplicate's 400.
        text_conflict => response.conflict;
        /// The text of a 503.
        text_unavailable => response.unavailable;
        /// The `WWW-Authenticate` of every 401, like `APIKey`, instead of the one that the sources suggest.
        challenge => response.challenge;
        /// The header of request ids.
        request_id_header => response.request_id_header;
        /// The `Strict-Transport-Security` of every answer.
        hsts => response.hsts;
        /// `refuse` or `close`.
        websocket_on_denial => websocket.on_denial;
        /// The query parameter of tickets.
        ticket_query => tickets.query;
        /// How long a ticket lives, from `1s` to `300s`.
        ticket_lifetime => tickets.lifetime;
        /// The issuer that tickets name.
        ticket_issuer => tickets.issuer;
        /// `best-effort` or `required`.
        audit_mode => audit.mode;
        /// `json` or `text`.
        audit_format => audit.format;
    }

    lists! {
        /// The order in which authenticators are asked: `session`, `store`, `configured`, or names of your own.
        authenticators => authenticators;
        /// Paths that need no key, as the client spells them: exact, or `/x/*` for everything below.
        open_paths => access.open_paths;
        /// From where requests are taken.
        allow => network.allow;
        /// From where they are not.
        deny => network.deny;
        /// Whose word about the client's address is taken.
        trusted_proxies => network.trusted_proxies;
        /// Quotas of each key.
        per_key => limits.per_key;
        /// Quotas shared by all keys of an owner.
        per_owner => limits.per_owner;
        /// Quotas of each client address.
        per_address => limits.per_address;
        /// Quotas shared by everybody.
        per_policy => limits.per_policy;
        /// `draft`, `legacy`, both or none.
        rate_limit_headers => response.rate_limit_headers;
        /// Origins, beside the own one, whose WebSocket handshakes may carry cookies.
        websocket_allowed_origins => websocket.allowed_origins;
        /// As `allow`, told and not enforced.
        report_only_allow => report_only.network.allow;
        /// As `deny`, told and not enforced.
        report_only_deny => report_only.network.deny;
        /// As `per_key`, told and not enforced.
        report_only_per_key => report_only.limits.per_key;
        /// As `per_owner`, told and not enforced.
        report_only_per_owner => report_only.limits.per_owner;
        /// As `per_address`, told and not enforced.
        report_only_per_address => report_only.limits.per_address;
        /// As `per_policy`, told and not enforced.
        report_only_per_policy => report_only.limits.per_policy;
    }

    switches! {
        /// Lets everybody in where no configured key is set (R15). For development.
        insecure_allow_without_keys => access.insecure_allow_without_keys;
        /// Takes anybody's word about the client's address. For a service that only proxies can reach.
        insecure_trust_all_proxies => network.insecure_trust_all_proxies;
        /// The usual security headers on every answer.
        security_headers => response.security_headers;
        /// Whether a ticket opens one connection only (the default).
        ticket_single_use => tickets.single_use;
        /// Whether handlers see no credential (the default). Query credentials are always removed.
        strip_credentials => response.strip_credentials;
    }

    /// Checks and finishes.
    ///
    /// # Errors
    /// Everything that is wrong, with field and mend.
    pub fn build(self) -> Result<Policy, ConfigError> {
        check::check(self.0).map_err(|faults| ConfigError { file: None, faults })
    }
}
