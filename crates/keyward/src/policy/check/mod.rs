//! From what was written to a policy that can be used: every fault at once, each with its field and its mend.

mod answers;
mod challenge;
mod networks;
mod routes;
mod sources;
#[cfg(test)]
mod tests;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, ConfigFault};
use super::file::{LimitsFile, PolicyFile, Source};
use super::*;
use crate::scope::Scope;

pub(super) fn from_toml(name: &str, text: &str) -> Result<Policy, ConfigError> {
    let broken = |error: toml::de::Error| {
        let field = error.span().and_then(|span| field_at(text, span.start)).unwrap_or_default();
        let problem = error.message().trim_end().replace('\n', ", ");
        let (problem, mend) = match (&*problem, error.span().and_then(|span| text.get(span))) {
            ("duplicate key", Some(name)) => {
                (format!("`{}` is there twice", name.trim_matches(['"', '\''])), "write each name, and each table, once")
            }
            _ if field == "limits.failures" => (problem, "write a quota, like \"20/minute\", or \"off\", for no budget"),
            _ => (problem, "see docs/policy.md for the names and their values"),
        };
        ConfigFault { line: error.span().map(|span| line_of(text, span.start)), field, problem, mend: mend.to_owned() }
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
        let open_paths = self.each("access.open_paths", &file.access.open_paths, Self::open_path);
        let routes = self.routes("routes", &file.routes);
        let report_only_routes = self.routes("report_only.routes", &file.report_only.routes);
        let tickets = self.tickets(&file.tickets, &file.configured_keys);
        let response = self.response(&file.response);
        let network = self.network("network", file.network.allow.as_deref(), &file.network.deny);
        // What contradicts what: told by place, which is right only while nothing was left out for a fault of its own.
        if self.faults.is_empty() {
            self.routes_below_open_paths(&routes, &open_paths);
            self.routes_for_nobody(&routes, &network);
            self.tickets_apart_from_credentials(tickets.as_ref().map(|tickets| &*tickets.parameter), &sources);
            self.ids_apart_from_credentials(&response.request_id_header, &sources);
        }
        let mut sources = sources;
        sources.extend(tickets.as_ref().map(|tickets| source::Source::of_tickets(tickets.parameter.clone())));
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
            network,
            trusted_proxies: self.trusted_proxies(&file.network, client_header),
            client_header,
            failures: self.failures(file.limits.failures.as_deref()),
            failures_are_said: file.limits.failures.is_some(),
            limits: self.limits("limits", &file.limits),
            response,
            websocket: self.websocket(&file.websocket),
            tickets,
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

    fn scope(&mut self, field: &str, written: &str) -> Option<Scope> {
        written.parse().map_err(|error: crate::scope::BadScope| self.fault(field, error.to_string(), "")).ok()
    }
}
