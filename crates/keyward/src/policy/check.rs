//! From what was written to a policy that can be used: every fault at once, each with its field and its mend.

use http::{HeaderName, HeaderValue, Uri};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigFault};
use super::file::{LimitsFile, PolicyFile, ResponseFile, Route, Source, TicketsFile, WebSocketFile};
use super::*;
use crate::scope::{Demand, Scope};
use crate::source::{Place, is_token_byte};

pub(super) fn from_toml(name: &str, text: &str) -> Result<Policy, ConfigError> {
    let broken = |error: toml::de::Error| ConfigFault {
        line: error.span().map(|span| line_of(text, span.start)),
        field: error.span().and_then(|span| field_at(text, span.start)).unwrap_or_default(),
        problem: error.message().trim_end().replace('\n', ", "),
        mend: "see docs/policy.md for the names and their values".to_owned(),
    };
    let failed = |faults| ConfigError { file: Some(name.to_owned()), faults };
    let file: PolicyFile = toml::from_str(text).map_err(|error| failed(vec![broken(error)]))?;
    check(file).map_err(|mut faults| {
        if let Ok(document) = DeTable::parse(text) {
            for fault in &mut faults {
                fault.line = find(&document, &fault.field).map(|at| line_of(text, at));
            }
        }
        failed(faults)
    })
}

/// Headers of HTTP and of proxies, which can be neither a credential's nor an id's.
const MEANS_SOMETHING_ELSE: [&str; 18] = [
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-connection",
    "sec-websocket-protocol",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-real-ip",
];

/// Ids are echoed and logged, so no header that may hold a secret, nor one that the answer needs, can carry one.
fn may_carry_an_id(name: &HeaderName) -> bool {
    const HOLDS_OR_ANSWERS: [&str; 14] = [
        "authorization",
        "cache-control",
        "content-security-policy",
        "location",
        "permissions-policy",
        "proxy-authorization",
        "ratelimit",
        "ratelimit-policy",
        "referrer-policy",
        "retry-after",
        "set-cookie",
        "strict-transport-security",
        "vary",
        "www-authenticate",
    ];
    let name = name.as_str();
    !MEANS_SOMETHING_ELSE.contains(&name) && !HOLDS_OR_ANSWERS.contains(&name) && !name.starts_with("x-ratelimit-")
}

fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

/// Where in the text a field like `routes[2].path` stands, or the nearest table around it.
fn find(document: &Spanned<DeTable<'_>>, field: &str) -> Option<usize> {
    let mut steps = field.split(['.', '[']).map(|step| step.trim_end_matches(']'));
    let mut value = document.get_ref().get(steps.next()?)?;
    for step in steps {
        let inner = match value.get_ref() {
            DeValue::Table(table) => table.get(step),
            DeValue::Array(array) => step.parse().ok().and_then(|index: usize| array.get(index)),
            _ => None,
        };
        match inner {
            Some(inner) => value = inner,
            None => break,
        }
    }
    Some(value.span().start)
}

/// The field that stands at a place of the text.
fn field_at(text: &str, at: usize) -> Option<String> {
    fn inside(table: &DeTable<'_>, at: usize) -> Option<String> {
        table.iter().find_map(|(name, value)| {
            let deeper = || match value.get_ref() {
                DeValue::Table(table) => inside(table, at).map(|field| format!(".{field}")),
                DeValue::Array(array) => array.iter().enumerate().find_map(|(index, item)| match item.get_ref() {
                    DeValue::Table(table) => inside(table, at).map(|field| format!("[{index}].{field}")),
                    _ => item.span().contains(&at).then(|| format!("[{index}]")),
                }),
                _ => None,
            };
            let name_is_there = name.span().contains(&at).then(String::new);
            let rest = name_is_there.or_else(deeper).or_else(|| value.span().contains(&at).then(String::new))?;
            Some(format!("{}{rest}", name.get_ref()))
        })
    }
    inside(DeTable::parse(text).ok()?.get_ref(), at)
}

pub(super) fn check(file: PolicyFile) -> Result<Policy, Vec<ConfigFault>> {
    let mut checker = Checker::default();
    let policy = checker.policy(file);
    if checker.faults.is_empty() { Ok(policy) } else { Err(checker.faults) }
}

/// Collects faults and goes on with a harmless value, so that one reading finds all of them.
#[derive(Default)]
struct Checker {
    faults: Vec<ConfigFault>,
}

impl Checker {
    fn fault(&mut self, field: impl Into<String>, problem: impl Into<String>, mend: impl Into<String>) {
        self.faults.push(ConfigFault { line: None, field: field.into(), problem: problem.into(), mend: mend.into() });
    }

    /// One of a few words.
    fn word<T: Copy>(&mut self, field: &str, written: Option<&str>, words: &[(&str, T)]) -> T {
        let Some(written) = written else { return words[0].1 };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == written) {
            return *meaning;
        }
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        self.fault(field, format!("`{written}` is not known"), format!("write {}", known.join(" or ")));
        words[0].1
    }

    fn each<T>(&mut self, field: &str, written: &[String], mut read: impl FnMut(&mut Self, &str, &str) -> Option<T>) -> Vec<T> {
        let items = written.iter().enumerate();
        items.filter_map(|(index, text)| read(self, &format!("{field}[{index}]"), text)).collect()
    }

    fn policy(&mut self, file: PolicyFile) -> Policy {
        let sources = match &file.sources {
            None => self.sources(&[Source::bearer(), Source::header("X-API-Key")]),
            Some(sources) => self.sources(sources),
        };
        let open_paths = self.each("access.open_paths", &file.access.open_paths, Self::pattern);
        for (index, _) in open_paths.iter().enumerate().filter(|(_, open)| open.covers_everything()) {
            self.fault(
                format!("access.open_paths[{index}]"),
                "opens everything",
                "name the paths that need no key; to guard nothing, use no guard",
            );
        }
        let routes = self.routes("routes", &file.routes);
        self.routes_below_open_paths(&routes, &open_paths);
        let report_only_routes = self.routes("report_only.routes", &file.report_only.routes);
        let ticket_parameter = self.tickets(&file.tickets);
        let is_ticket =
            |source: &source::Source| matches!(&source.place, Place::Query { name } if Some(name) == ticket_parameter.as_ref());
        if let Some(index) = sources.iter().position(is_ticket) {
            self.fault(format!("sources[{index}].query"), "is the parameter of tickets", "give keys a parameter of their own");
        }
        let response = self.response(&file.response);
        self.ids_apart_from_credentials(&response.request_id_header, &sources);
        let has_path_rules = !(open_paths.is_empty()
            && routes.is_empty()
            && report_only_routes.is_empty()
            && sources.iter().all(|source| source.paths.is_empty()));
        let realm = file.access.realm.unwrap_or_else(|| "api".to_owned());
        if realm.bytes().any(|byte| !(byte == b' ' || byte.is_ascii_graphic()) || b"\"\\".contains(&byte)) {
            self.fault("access.realm", "cannot stand in a challenge", "write visible ASCII without quotes and backslashes");
        }
        let resolution = [
            ("reject-conflict", Resolution::RejectConflict),
            ("first-present", Resolution::FirstPresent),
            ("first-valid", Resolution::FirstValid),
        ];
        let client_header = file.network.client_address_header.as_deref().and_then(|written| {
            let known = [
                ("x-forwarded-for", ClientHeader::XForwardedFor),
                ("forwarded", ClientHeader::Forwarded),
                ("x-real-ip", ClientHeader::XRealIp),
            ];
            let found = known.iter().find(|(name, _)| written.eq_ignore_ascii_case(name));
            if found.is_none() {
                self.fault(
                    "network.client_address_header",
                    format!("`{written}` is not a header that is read for addresses"),
                    "write \"X-Forwarded-For\", \"Forwarded\" or \"X-Real-IP\"",
                );
            }
            found.map(|(_, header)| *header)
        });
        Policy {
            resolution: self.word("resolution", file.resolution.as_deref(), &resolution),
            authenticators: self.authenticators(file.authenticators),
            configured_keys: self.configured_keys(&file.configured_keys),
            realm: realm.into(),
            preflight_passes: self.word(
                "access.preflight",
                file.access.preflight.as_deref(),
                &[("pass", true), ("guard", false)],
            ),
            public_origin: file.access.public_url.as_deref().and_then(|url| self.origin("access.public_url", url)),
            insecure_allow_without_keys: file.access.insecure_allow_without_keys,
            network: self.network("network", file.network.allow.as_deref(), &file.network.deny),
            trusted_proxies: self.trusted_proxies(&file.network.trusted_proxies, file.network.insecure_trust_all_proxies),
            client_header,
            failures: match file.limits.failures.as_deref() {
                None | Some("off") => None,
                Some(written) => self.quota("limits.failures", written),
            },
            failures_are_said: file.limits.failures.is_some(),
            limits: self.limits("limits", &file.limits),
            response,
            websocket_origins: self.websocket(&file.websocket),
            ticket_parameter,
            audit_required: self.word("audit.mode", file.audit.mode.as_deref(), &[("best-effort", false), ("required", true)]),
            audit_format: self.word(
                "audit.format",
                file.audit.format.as_deref(),
                &[("json", AuditFormat::Json), ("text", AuditFormat::Text)],
            ),
            report_only: ReportOnly {
                network: self.network(
                    "report_only.network",
                    file.report_only.network.allow.as_deref(),
                    &file.report_only.network.deny,
                ),
                limits: self.limits(
                    "report_only.limits",
                    &LimitsFile {
                        per_key: file.report_only.limits.per_key,
                        per_owner: file.report_only.limits.per_owner,
                        per_address: file.report_only.limits.per_address,
                        per_policy: file.report_only.limits.per_policy,
                        failures: None,
                    },
                ),
                routes: report_only_routes,
            },
            sources,
            open_paths,
            routes,
            has_path_rules,
        }
    }

    fn pattern(&mut self, field: &str, written: &str) -> Option<PathPattern> {
        match PathPattern::parse(written) {
            Ok(pattern) => Some(pattern),
            Err((problem, mend)) => {
                self.fault(field, format!("`{written}` {problem}"), mend);
                None
            }
        }
    }

    fn sources(&mut self, written: &[Source]) -> Vec<source::Source> {
        if written.is_empty() {
            self.fault(
                "sources",
                "no key could ever be found",
                "name at least one source, or leave `sources` out for Bearer and X-API-Key",
            );
        }
        let mut sources: Vec<source::Source> = Vec::new();
        for (index, source) in written.iter().enumerate() {
            let field = format!("sources[{index}]");
            let Some(place) = self.place(&field, source) else { continue };
            self.clashes(&field, &place, &sources);
            let only_websocket =
                source.only.is_some() && self.word(&format!("{field}.only"), source.only.as_deref(), &[("websocket", true)]);
            let paths = self.each(&format!("{field}.paths"), &source.paths, Self::pattern);
            sources.push(source::Source { place, only_websocket, paths });
        }
        sources
    }

    fn place(&mut self, field: &str, source: &Source) -> Option<Place> {
        let named = [
            source.bearer.is_some(),
            source.header.is_some(),
            source.cookie.is_some(),
            source.query.is_some(),
            source.subprotocol.is_some(),
        ];
        if named.iter().filter(|&&named| named).count() != 1 {
            self.fault(field, "does not name exactly one place", "write one of bearer, header, cookie, query, subprotocol");
            return None;
        }
        if source.scheme.is_some() && source.header.is_none() {
            self.fault(format!("{field}.scheme"), "only a header has a scheme", "leave it out");
        }
        let token = |text: &str| !text.is_empty() && text.bytes().all(is_token_byte);
        if source.bearer == Some(false) {
            self.fault(format!("{field}.bearer"), "`false` names no place", "leave the source out");
            return None;
        }
        if source.bearer.is_some() {
            return Some(Place::Header { name: http::header::AUTHORIZATION, scheme: Some("Bearer".into()), is_bearer: true });
        }
        if let Some(header) = &source.header {
            let name = self.credential_header(&format!("{field}.header"), header)?;
            let scheme = source.scheme.as_deref();
            if scheme.is_some_and(|scheme| !token(scheme)) {
                self.fault(format!("{field}.scheme"), "is no scheme", "write a token of RFC 9110, like \"ApiKey\"");
                return None;
            }
            let is_bearer =
                name == http::header::AUTHORIZATION && scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer"));
            return Some(Place::Header { name, scheme: scheme.map(Into::into), is_bearer });
        }
        if let Some(cookie) = &source.cookie {
            if !token(cookie) {
                self.fault(
                    format!("{field}.cookie"),
                    format!("`{cookie}` is no cookie name"),
                    "write a token of RFC 6265, like \"X-API-KEY\"",
                );
                return None;
            }
            return Some(Place::Cookie { name: cookie.as_str().into() });
        }
        if let Some(query) = &source.query {
            if query.is_empty() {
                self.fault(format!("{field}.query"), "is empty", "name the parameter, like \"api_key\"");
                return None;
            }
            return Some(Place::Query { name: query.as_str().into() });
        }
        let subprotocol = source.subprotocol.as_deref().unwrap_or_default();
        if !token(subprotocol) {
            self.fault(
                format!("{field}.subprotocol"),
                "is no subprotocol name",
                "write a token, like \"base64url.bearer.authorization.keyward\"",
            );
            return None;
        }
        Some(Place::Subprotocol { prefix: subprotocol.into() })
    }

    fn credential_header(&mut self, field: &str, written: &str) -> Option<HeaderName> {
        let Ok(name) = HeaderName::try_from(written) else {
            self.fault(field, format!("`{written}` is no header name"), "write a token of RFC 9110, like \"X-API-Key\"");
            return None;
        };
        if MEANS_SOMETHING_ELSE.contains(&name.as_str()) {
            self.fault(
                field,
                format!("`{written}` means something else in HTTP"),
                "choose a header of your own, or a cookie or subprotocol source",
            );
            return None;
        }
        Some(name)
    }

    fn ids_apart_from_credentials(&mut self, ids: &HeaderName, sources: &[source::Source]) {
        let holds = |source: &source::Source| matches!(&source.place, Place::Header { name, .. } if name == ids);
        if let Some(index) = sources.iter().position(holds) {
            self.fault(
                format!("sources[{index}].header"),
                format!("`{ids}` carries request ids, which are echoed and logged"),
                "give credentials a header of their own",
            );
        }
    }

    fn clashes(&mut self, field: &str, place: &Place, earlier: &[source::Source]) {
        for other in earlier {
            let clash = match (place, &other.place) {
                (Place::Header { name, scheme, .. }, Place::Header { name: other, scheme: before, .. }) if name == other => {
                    match (scheme, before) {
                        (Some(scheme), Some(before)) => scheme.eq_ignore_ascii_case(before),
                        // One of them takes the whole value: it would take the other's scheme for a part of the credential.
                        _ => true,
                    }
                }
                // Neither could be the real subprotocol beside the other (R12.2).
                (Place::Subprotocol { .. }, Place::Subprotocol { .. }) => true,
                (place, other) => place == other,
            };
            if clash {
                self.fault(field, "is read by an earlier source already", "leave one of them out, or give each its own scheme");
                return;
            }
        }
    }

    fn authenticators(&mut self, written: Option<Vec<String>>) -> Option<Vec<String>> {
        let names = written?;
        if names.is_empty() {
            self.fault(
                "authenticators",
                "nobody could ever be authenticated",
                "leave it out for [\"session\", \"store\", \"configured\"]",
            );
        }
        for (index, name) in names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)) {
            self.fault(format!("authenticators[{index}]"), format!("`{name}` is asked twice"), "name each once");
        }
        Some(names)
    }

    fn configured_keys(&mut self, written: &[super::file::ConfiguredKeysFile]) -> Vec<ConfiguredKeys> {
        let mut all = Vec::new();
        for (index, keys) in written.iter().enumerate() {
            let field = format!("configured_keys[{index}]");
            if keys.env.is_empty() || keys.env.contains(['=', '\0']) {
                self.fault(format!("{field}.env"), "names no environment variable", "write its name, like \"ADMIN_API_KEY\"");
            }
            if keys.separator.as_deref() == Some("") {
                self.fault(format!("{field}.separator"), "is empty", "write \",\" or leave it out for a single key");
            }
            all.push(ConfiguredKeys {
                variable: keys.env.clone(),
                kind: keys.kind.as_deref().map(Into::into),
                scopes: self.each(&format!("{field}.scopes"), &keys.scopes, Self::scope),
                separator: keys.separator.clone(),
            });
        }
        all
    }

    fn scope(&mut self, field: &str, written: &str) -> Option<Scope> {
        written.parse().map_err(|error: crate::scope::BadScope| self.fault(field, error.to_string(), "")).ok()
    }

    fn demanded(&mut self, field: &str, written: &str) -> Option<Box<str>> {
        if !crate::scope::is_demandable(written) {
            self.fault(
                field,
                format!("`{written}` cannot be demanded"),
                "write a scope without `*`: a wildcard is for keys to hold",
            );
            return None;
        }
        Some(written.into())
    }

    fn network(&mut self, field: &str, allow: Option<&[String]>, deny: &[String]) -> NetworkRules {
        let allow = match allow {
            None => None,
            Some([all]) if all == "*" => None,
            Some([]) => {
                self.fault(format!("{field}.allow"), "an empty list admits nobody", "leave it out for anybody, or name networks");
                None
            }
            Some(networks) => Some(AddressList::of(self.each(&format!("{field}.allow"), networks, Self::cidr))),
        };
        NetworkRules { allow, deny: AddressList::of(self.each(&format!("{field}.deny"), deny, Self::cidr)) }
    }

    fn cidr(&mut self, field: &str, written: &str) -> Option<ipnet::IpNet> {
        if written == "*" {
            self.fault(
                field,
                "`*` stands beside other networks, or where it means nothing",
                "write [\"*\"] alone in `allow`, or leave it out",
            );
            return None;
        }
        crate::network::parse_network(written).map_err(|error| self.fault(field, error.to_string(), "")).ok()
    }

    fn trusted_proxies(&mut self, written: &[String], everybody: bool) -> TrustedProxies {
        let networks = self.each("network.trusted_proxies", written, |checker, field, text| {
            let network = checker.cidr(field, text)?;
            if network.prefix_len() == 0 {
                checker.fault(
                    field,
                    "trusts everybody",
                    "name your proxies' networks, or say `insecure_trust_all_proxies = true`",
                );
                return None;
            }
            Some(network)
        });
        let halves = ipnet::IpNet::aggregate(&networks);
        if halves.iter().any(|network| network.prefix_len() == 0) {
            self.fault(
                "network.trusted_proxies",
                "trusts everybody, in parts",
                "name your proxies' networks, or say `insecure_trust_all_proxies = true`",
            );
        }
        match (everybody, networks.is_empty()) {
            (true, false) => {
                self.fault("network.insecure_trust_all_proxies", "contradicts `trusted_proxies`", "leave one of them out");
                TrustedProxies::Nobody
            }
            (true, true) => TrustedProxies::Everybody,
            (false, true) => TrustedProxies::Nobody,
            (false, false) => TrustedProxies::These(AddressList::of(networks)),
        }
    }

    fn quota(&mut self, field: &str, written: &str) -> Option<Quota> {
        written.parse().map_err(|error: crate::limit::BadQuota| self.fault(field, error.to_string(), "")).ok()
    }

    fn limits(&mut self, field: &str, written: &LimitsFile) -> LimitRules {
        let mut list = |name: &str, written: &[String]| {
            let field = format!("{field}.{name}");
            let mut seen: Vec<Quota> = Vec::new();
            self.each(&field, written, |checker, field, text| {
                let quota = checker.quota(field, text)?;
                if seen.iter().any(|earlier| earlier.window() == quota.window()) {
                    checker.fault(field, "limits a window that is limited already", "keep the smaller of the two");
                    return None;
                }
                seen.push(quota);
                Some(quota)
            })
        };
        LimitRules {
            per_key: list("per_key", &written.per_key),
            per_owner: list("per_owner", &written.per_owner),
            per_address: list("per_address", &written.per_address),
            per_policy: list("per_policy", &written.per_policy),
        }
    }

    fn routes(&mut self, field: &str, written: &[Route]) -> Vec<RouteRule> {
        let mut routes: Vec<RouteRule> = Vec::new();
        for (index, route) in written.iter().enumerate() {
            let field = format!("{field}[{index}]");
            let Some(pattern) = self.pattern(&format!("{field}.path"), &route.path) else { continue };
            let methods = self.each(&format!("{field}.methods"), &route.methods, |checker, field, method| {
                if method.is_empty() || !method.bytes().all(|byte| is_token_byte(byte) && !byte.is_ascii_lowercase()) {
                    checker.fault(field, format!("`{method}` is no method"), "write it in capitals, like \"GET\"");
                    return None;
                }
                Some(method.into())
            });
            if !route.scopes.is_empty() && !route.any_scope.is_empty() {
                self.fault(
                    format!("{field}.any_scope"),
                    "stands beside `scopes`",
                    "demand all of `scopes`, or one of `any_scope`",
                );
            }
            if route.optional && !(route.scopes.is_empty() && route.any_scope.is_empty() && route.kinds.is_empty()) {
                self.fault(
                    format!("{field}.optional"),
                    "contradicts what the route demands",
                    "drop `optional`, or the scopes and kinds",
                );
            }
            let scopes = match (route.scopes.is_empty(), route.any_scope.is_empty()) {
                (false, _) => Demand::All(self.each(&format!("{field}.scopes"), &route.scopes, Self::demanded)),
                (true, false) => Demand::Any(self.each(&format!("{field}.any_scope"), &route.any_scope, Self::demanded)),
                (true, true) => Demand::Nothing,
            };
            if routes.iter().any(|earlier| earlier.methods.is_empty() && earlier.pattern.covers(&pattern)) {
                self.fault(
                    format!("{field}.path"),
                    "is never reached: an earlier route takes all of it",
                    "move it up, or give the earlier route methods",
                );
            }
            let requirement = Requirement { scopes, kinds: route.kinds.iter().map(|kind| kind.as_str().into()).collect() };
            routes.push(RouteRule { pattern, methods, requirement, optional: route.optional });
        }
        routes
    }

    fn routes_below_open_paths(&mut self, routes: &[RouteRule], open_paths: &[PathPattern]) {
        for (index, route) in routes.iter().enumerate() {
            if !route.requirement.is_nothing() && open_paths.iter().any(|open| open.covers(&route.pattern)) {
                self.fault(
                    format!("routes[{index}].path"),
                    "demands something of a path that is open",
                    "take it out of `open_paths`, or drop the route",
                );
            }
        }
    }

    fn origin(&mut self, field: &str, written: &str) -> Option<Box<str>> {
        let origin = written.parse::<Uri>().ok().and_then(|url| {
            let scheme = url.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?.to_owned();
            let authority = url.authority().filter(|authority| !authority.as_str().contains('@'))?.as_str().to_ascii_lowercase();
            let default_port = if scheme == "https" { ":443" } else { ":80" };
            let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
            (matches!(url.path(), "" | "/") && url.query().is_none()).then(|| format!("{scheme}://{authority}").into())
        });
        if origin.is_none() {
            self.fault(
                field,
                format!("`{written}` is no origin"),
                "write scheme and host alone, like \"https://api.example.com\"",
            );
        }
        origin
    }

    fn header_value(&mut self, field: &str, written: &str) -> Option<HeaderValue> {
        let value = HeaderValue::from_str(written).ok().filter(|value| !value.is_empty());
        if value.is_none() {
            self.fault(field, "cannot stand in a header", "write visible ASCII");
        }
        value
    }

    fn response(&mut self, written: &ResponseFile) -> ResponseRules {
        let style = [("problem", BodyStyle::Problem), ("detail", BodyStyle::Detail), ("error", BodyStyle::Error)];
        let request_id_header = match written.request_id_header.as_deref() {
            None => HeaderName::from_static("x-request-id"),
            Some(name) => HeaderName::try_from(name).ok().filter(may_carry_an_id).unwrap_or_else(|| {
                self.fault(
                    "response.request_id_header",
                    format!("`{name}` is no header for ids"),
                    "write a name that means nothing else, like \"X-Request-ID\": its value is echoed and logged",
                );
                HeaderName::from_static("x-request-id")
            }),
        };
        let mut fixed_headers = Vec::new();
        if written.security_headers {
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "no-referrer"),
                ("permissions-policy", "geolocation=(), microphone=(), camera=()"),
                ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ] {
                fixed_headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
            }
        }
        if let Some(hsts) = &written.hsts
            && let Some(value) = self.header_value("response.hsts", hsts)
        {
            fixed_headers.push((http::header::STRICT_TRANSPORT_SECURITY, value));
        }
        let (mut draft, mut legacy) = (written.rate_limit_headers.is_none(), false);
        for (index, name) in written.rate_limit_headers.iter().flatten().enumerate() {
            match name.as_str() {
                "draft" => draft = true,
                "legacy" => legacy = true,
                other => self.fault(
                    format!("response.rate_limit_headers[{index}]"),
                    format!("`{other}` is not known"),
                    "write \"draft\", \"legacy\", both or none",
                ),
            }
        }
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        ResponseRules {
            body: self.word("response.body", written.body.as_deref(), &style),
            texts: Texts {
                missing: text(&written.missing),
                unauthorized: text(&written.unauthorized),
                forbidden_address: text(&written.forbidden_address),
                forbidden_scope: text(&written.forbidden_scope),
                limited: text(&written.limited),
                conflict: text(&written.conflict),
                unavailable: text(&written.unavailable),
            },
            request_id_header,
            fixed_headers,
            draft_rate_limit: draft,
            legacy_rate_limit: legacy,
            strip_credentials: written.strip_credentials.unwrap_or(true),
        }
    }

    /// Closing instead of refusing is checked here, and done by adapters that carry live sockets; the others refuse, which is
    /// the safe answer of the two.
    fn websocket(&mut self, written: &WebSocketFile) -> Vec<Box<str>> {
        let close_code = written.close_code.unwrap_or(1008);
        // RFC 6455 §7.4: what an endpoint may send; 1005, 1006 and 1015 never stand in a frame.
        if !matches!(close_code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            self.fault(
                "websocket.close_code",
                format!("{close_code} cannot be sent"),
                "write 1008, or 3000 to 4999 for a code of your own",
            );
        }
        self.word("websocket.on_denial", written.on_denial.as_deref(), &[("refuse", ()), ("close", ())]);
        self.each("websocket.allowed_origins", &written.allowed_origins, Self::origin)
    }

    fn tickets(&mut self, written: &TicketsFile) -> Option<Box<str>> {
        let lifetime = written.lifetime.as_deref().unwrap_or("300s");
        let seconds = lifetime
            .strip_suffix('s')
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u64>().ok());
        if !seconds.is_some_and(|seconds| (1..=300).contains(&seconds)) {
            self.fault(
                "tickets.lifetime",
                format!("`{lifetime}` is no lifetime of a ticket"),
                "write whole seconds, from \"1s\" to \"300s\"",
            );
        }
        if written.query.as_deref() == Some("") {
            self.fault("tickets.query", "is empty", "name the parameter, like \"token\"");
        }
        let named =
            written.query.is_some() || written.lifetime.is_some() || written.issuer.is_some() || written.single_use.is_some();
        named.then(|| written.query.as_deref().unwrap_or("token").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        from_toml("p.toml", text).map_or_else(|error| error.to_string(), |_| "good".to_owned())
    }

    #[test]
    fn every_fault_names_file_line_field_and_mend() {
        for (text, starts) in [
            ("", "good"),
            ("[access]\nnope = 1", "p.toml:2: access.nope: unknown field `nope`"),
            ("[access]\nrealm = 7", "p.toml:2: access.realm: invalid type"),
            ("sources = [\n { bearer = true },\n { headr = \"X\" },\n]", "p.toml:3: sources[1].headr: unknown field"),
            ("[limits", "p.toml:1: "),
            ("\n\n[network]\nallow = []", "p.toml:4: network.allow: an empty list admits nobody; leave it out"),
            ("[[routes]]\npath = \"/a\"\n[[routes]]\npath = \"b\"", "p.toml:4: routes[1].path: `b` does not start with `/`"),
            ("sources = []", "p.toml:1: sources: no key could ever be found"),
            ("resolution = \"any\"", "p.toml:1: resolution: `any` is not known; write \"reject-conflict\""),
        ] {
            assert!(told(text).starts_with(starts), "{text}: {}", told(text));
        }
        let all = told("resolution = \"any\"\n[limits]\nper_key = [\"x\"]\nfailures = \"y\"");
        assert_eq!(all.lines().count(), 3, "{all}");
    }

    #[test]
    fn contradictions_are_refused() {
        for contradictory in [
            "sources = [{ bearer = true }, { header = \"Authorization\" }]",
            "sources = [{ cookie = \"a\" }, { cookie = \"a\" }]",
            "sources = [{ bearer = true, header = \"X\" }]",
            "sources = [{ bearer = false }]",
            "sources = [{ header = \"Host\" }]",
            "sources = [{ query = \"\" }]",
            "sources = [{ bearer = true, only = \"http\" }]",
            "authenticators = []",
            "authenticators = [\"store\", \"store\"]",
            "[[routes]]\npath = \"/a\"\noptional = true\nscopes = [\"x\"]",
            "[[routes]]\npath = \"/a\"\noptional = true\nkinds = [\"x\"]",
            "[[routes]]\npath = \"/a\"\nscopes = [\"x:*\"]",
            "[[routes]]\npath = \"/a\"\nscopes = [\"x\"]\nany_scope = [\"y\"]",
            "[[routes]]\npath = \"/a/*\"\n[[routes]]\npath = \"/a/b\"",
            "[[routes]]\npath = \"/a\"\nmethods = [\"get\"]",
            "[access]\nopen_paths = [\"/docs/*\"]\n[[routes]]\npath = \"/docs/secret\"\nscopes = [\"x\"]",
            "[access]\npublic_url = \"https://a/b\"",
            "[access]\nrealm = 'a\"b'",
            "[network]\nallow = [\"*\", \"10.0.0.0/8\"]",
            "[network]\nallow = [\"::ffff:10.0.0.0/90\"]",
            "[network]\ntrusted_proxies = [\"0.0.0.0/0\"]",
            "[network]\ntrusted_proxies = [\"10.0.0.0/8\"]\ninsecure_trust_all_proxies = true",
            "[network]\nclient_address_header = \"CF-Connecting-IP\"",
            "[limits]\nper_key = [\"1/hour\", \"2/60m\"]",
            "[response]\nhsts = \"\\u0007\"",
            "[response]\nrate_limit_headers = [\"new\"]",
            "[websocket]\nclose_code = 1006",
            "[tickets]\nlifetime = \"301s\"",
            "[audit]\nmode = \"always\"",
        ] {
            let told = told(contradictory);
            assert!(told.starts_with("p.toml:") && told.contains(": "), "{contradictory}: {told}");
        }
    }
}
