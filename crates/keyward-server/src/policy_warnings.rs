//! What a policy says that has no effect in this program, or another one than it seems: no errors, since the same file may serve
//! a program that has more parts.

mod costs;
mod lists;

use std::ffi::OsString;

use keyward::ConfigError;
use serde::{Deserialize, Serialize};
use toml::Spanned;

/// One thing that means less than it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Warning {
    pub(crate) line: Option<usize>,
    pub(crate) field: &'static str,
    pub(crate) problem: &'static str,
    pub(crate) mend: &'static str,
    /// Whether the core says so, too, when a guard is built.
    #[serde(skip)]
    pub(crate) is_said_by_guards: bool,
}

impl Warning {
    /// Where it is, like that of an error.
    pub(crate) fn place(&self, file: &str) -> String {
        self.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
    }

    /// What is to be said of it.
    pub(crate) fn text(&self) -> String {
        format!("{}: {}; {}", self.field, self.problem, self.mend)
    }
}

/// What the text of a policy says, as far as warnings need it. The core has checked all of it.
#[derive(Debug, Default)]
pub(crate) struct PolicyText {
    text: String,
    said: Said,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    authenticators: Option<Spanned<Vec<String>>>,
    configured_keys: Vec<Spanned<ConfiguredKeys>>,
    access: Access,
    network: Network,
    limits: Limits,
    routes: Vec<Route>,
    tickets: Tickets,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tickets {
    single_use: Option<bool>,
    plain: bool,
}

#[derive(Debug, Deserialize)]
struct Route {
    path: Spanned<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    any_scope: Vec<String>,
    #[serde(default)]
    kinds: Vec<String>,
    cost: Option<Spanned<u32>>,
    allow: Option<Spanned<Vec<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Limits {
    per_key: Vec<String>,
    per_owner: Vec<String>,
    per_address: Vec<String>,
    per_policy: Vec<String>,
}

impl Route {
    fn demands_something(&self) -> bool {
        !(self.scopes.is_empty() && self.any_scope.is_empty() && self.kinds.is_empty())
    }

    /// Whether it is about a path, which is not a pattern.
    fn names(&self, path: &str) -> bool {
        match self.path.get_ref().strip_suffix("/*") {
            Some(above) => path.strip_prefix(above).is_some_and(|below| below.starts_with('/')),
            None => self.path.get_ref().trim_end_matches('/') == path,
        }
    }
}

#[derive(Debug, Deserialize)]
struct ConfiguredKeys {
    env: String,
    separator: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Access {
    insecure_allow_without_keys: Option<Spanned<bool>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Network {
    allow: Option<Spanned<Vec<String>>>,
    trusted_proxies: Option<Spanned<Vec<String>>>,
    insecure_trust_all_proxies: Option<Spanned<bool>>,
    trusted_hops: Option<Spanned<u32>>,
    client_address_header: Option<Spanned<String>>,
}

fn is_on(flag: Option<&Spanned<bool>>) -> Option<&Spanned<bool>> {
    flag.filter(|flag| *flag.get_ref())
}

impl PolicyText {
    /// Reads a text of which the core made a policy.
    pub(crate) fn read(text: &str) -> Self {
        Self { text: text.to_owned(), said: toml::from_str(text).unwrap_or_default() }
    }

    fn line<T>(&self, spanned: &Spanned<T>) -> Option<usize> {
        let before = self.text.get(..spanned.span().start)?;
        Some(before.matches('\n').count() + 1)
    }

    /// The line of a field that a guard, which knows no file, finds fault with.
    pub(crate) fn line_of(&self, field: &str) -> Option<usize> {
        let written = self.said.authenticators.as_ref().filter(|_| field.starts_with("authenticators"));
        let written = written.and_then(|authenticators| self.line(authenticators));
        let configured = || self.said.configured_keys.first().filter(|_| field == "configured_keys");
        written.or_else(|| configured().and_then(|keys| self.line(keys)))
    }

    /// The fault of a guard that could not be built, as those of the file are told.
    pub(crate) fn told(&self, file: &str, error: &ConfigError) -> String {
        let faults = error.faults().iter().map(|fault| {
            let line = fault.line.or_else(|| self.line_of(&fault.field)).map(|line| format!("{line}:")).unwrap_or_default();
            let mend = if fault.mend.is_empty() { String::new() } else { format!("; {}", fault.mend) };
            format!("{file}:{line} {}: {}{mend}", fault.field, fault.problem)
        });
        faults.collect::<Vec<_>>().join("\n")
    }

    fn asks(&self, authenticator: &str) -> bool {
        let listed = self.said.authenticators.as_ref().map(Spanned::get_ref);
        listed.is_none_or(|listed| listed.iter().any(|name| name == authenticator))
    }

    /// Whether stored keys, those of `--keys` and the bootstrap key can ever be found.
    pub(crate) fn asks_the_store(&self) -> bool {
        self.asks("store")
    }

    /// Whether tickets work once.
    pub(crate) fn notes_used_tickets(&self) -> bool {
        self.said.tickets.single_use != Some(false)
    }

    /// Whether a configured key signs them, in place of the server's secret (R14.3).
    pub(crate) fn has_plain_tickets(&self) -> bool {
        self.said.tickets.plain
    }

    /// Everything that means less than it says.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let mut warnings =
            [self.not_carried_out(), self.without_keys(), self.proxies(), self.lists(), self.costs(), self.below_only()].concat();
        warnings.sort_by_key(|warning| warning.line);
        warnings
    }

    fn not_carried_out(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let said = &self.said;
        let Some(listed) = &said.authenticators else { return warnings };
        if self.asks("session") {
            warnings.push(Warning {
                line: self.line(listed),
                field: "authenticators",
                problem: "this program has no sessions: `session` is not asked",
                mend: "leave it out",
                is_said_by_guards: false,
            });
        }
        if !self.asks_the_store() {
            warnings.push(Warning {
                line: self.line(listed),
                field: "authenticators",
                problem: "`store` is left out: no stored key, and none of `--keys`, is ever found, and no bootstrap key is made",
                mend: "add \"store\", if that is not what you want",
                is_said_by_guards: false,
            });
        }
        if !said.configured_keys.is_empty() && !self.asks("configured") {
            warnings.push(Warning {
                line: self.line(listed),
                field: "authenticators",
                problem: "`configured` is left out: no key of `configured_keys` is ever found",
                mend: "add \"configured\", or leave `configured_keys` out",
                is_said_by_guards: true,
            });
        }
        warnings
    }

    /// R1.3: `/x/*` is not `/x`, which the handler of many a router's tail answers as well.
    fn below_only(&self) -> Vec<Warning> {
        let routes = &self.said.routes;
        let demanding = routes.iter().filter(|route| route.demands_something());
        let below = demanding.filter_map(|route| Some((route, route.path.get_ref().strip_suffix("/*")?)));
        let alone = below.filter(|(_, path)| !path.is_empty() && !routes.iter().any(|route| route.names(path)));
        alone
            .map(|(route, _)| Warning {
                line: self.line(&route.path),
                field: "routes.path",
                problem: "is about what is below it only: the path itself, with and without a `/` at its end, needs a key and no scope",
                mend: "add a route for the path without `/*`",
                is_said_by_guards: false,
            })
            .collect()
    }

    /// R15 is for policies that have configured keys and nothing else.
    fn without_keys(&self) -> Vec<Warning> {
        let Some(flag) = is_on(self.said.access.insecure_allow_without_keys.as_ref()) else { return Vec::new() };
        let (problem, mend) = if self.asks_the_store() {
            ("has no effect here: this program asks its store, too, so a key is needed whatever is configured", "leave it out")
        } else {
            ("everybody is let in without a key while no configured key is set", "leave it out wherever others can connect")
        };
        let line = self.line(flag);
        vec![Warning { line, field: "access.insecure_allow_without_keys", problem, mend, is_said_by_guards: true }]
    }

    fn proxies(&self) -> Vec<Warning> {
        let network = &self.said.network;
        let everybody = is_on(network.insecure_trust_all_proxies.as_ref());
        let named = network.trusted_proxies.as_ref().filter(|proxies| !proxies.get_ref().is_empty());
        let proxies_line = everybody.map(|flag| self.line(flag)).or_else(|| named.map(|proxies| self.line(proxies)));
        let mut warnings = Vec::new();
        if let Some(flag) = everybody {
            warnings.push(Warning {
                line: self.line(flag),
                field: "network.insecure_trust_all_proxies",
                problem: "anybody can choose the address that they are known by",
                mend: "name the proxies in `trusted_proxies`",
                is_said_by_guards: true,
            });
        }
        if let Some(hops) = &network.trusted_hops {
            warnings.push(Warning {
                line: self.line(hops),
                field: "network.trusted_hops",
                problem: "whoever can reach this program other than through exactly so many proxies can choose the address that they are known by",
                mend: "make sure that nobody can, or name the proxies in `trusted_proxies`",
                is_said_by_guards: true,
            });
            return warnings;
        }
        match (proxies_line, &network.client_address_header) {
            (Some(line), None) => warnings.push(Warning {
                line,
                field: "network.trusted_proxies",
                problem: "without `client_address_header`, every client behind a proxy has the proxy's address",
                mend: "name the header in which your proxy tells the client's address",
                is_said_by_guards: true,
            }),
            (None, Some(header)) => warnings.push(Warning {
                line: self.line(header),
                field: "network.client_address_header",
                problem: "without `trusted_proxies` it is never read",
                mend: "name the proxies that may set it, or leave it out",
                is_said_by_guards: true,
            }),
            _ => {}
        }
        warnings
    }

    /// Configured keys that can be guessed: the variable and the position, never the key.
    pub(crate) fn short_configured_keys(&self, environment: impl Fn(&str) -> Option<OsString>) -> Vec<String> {
        let mut short = Vec::new();
        for keys in self.said.configured_keys.iter().map(Spanned::get_ref) {
            let value = environment(&keys.env).and_then(|value| value.into_string().ok()).unwrap_or_default();
            let written: Vec<&str> = match &keys.separator {
                Some(separator) if !separator.is_empty() => value.split(separator.as_str()).collect(),
                _ => vec![value.as_str()],
            };
            let written = written.into_iter().map(str::trim).filter(|key| !key.is_empty());
            for (index, _) in written.enumerate().filter(|(_, key)| is_short(key)) {
                short.push(format!("{}: its key number {} {SHORT}", keys.env, index + 1));
            }
        }
        short
    }
}

/// What is told of a key that is short, behind its place.
pub(crate) const SHORT: &str = "has fewer than 20 characters, so it may be guessed; `keyward generate` makes one that cannot";

/// Whether nobody should rely on it. Length says little of strength, but what is this short has little in any case.
pub(crate) fn is_short(key: &str) -> bool {
    key.len() < 20
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(Option<usize>, &'static str)> {
        PolicyText::read(text).warnings().iter().map(|warning| (warning.line, warning.field)).collect()
    }

    #[test]
    fn what_means_less_than_it_says_is_told_with_its_line() {
        for (text, expected) in [
            ("", &[][..]),
            ("[websocket]\non_denial = \"close\"\n[tickets]\nquery = \"t\"", &[]),
            ("authenticators = [\"session\", \"store\"]", &[(Some(1), "authenticators")]),
            ("[network]\nclient_address_header = \"X-Real-IP\"", &[(Some(2), "network.client_address_header")]),
            ("[network]\n\ntrusted_proxies = [\"10.0.0.1\"]", &[(Some(3), "network.trusted_proxies")]),
            ("[network]\ntrusted_proxies = [\"10.0.0.1\"]\nclient_address_header = \"X-Real-IP\"", &[]),
            ("[network]\ntrusted_proxies = []", &[]),
            ("[network]\nclient_address_header = \"Forwarded\"\ntrusted_hops = 1", &[(Some(3), "network.trusted_hops")]),
            ("[[routes]]\npath = \"/x/*\"\nscopes = [\"a:b\"]", &[(Some(2), "routes.path")]),
            ("[[routes]]\npath = \"/x/*\"\nkinds = [\"a\"]", &[(Some(2), "routes.path")]),
            ("[[routes]]\npath = \"/x/*\"\noptional = true", &[]),
            ("[[routes]]\npath = \"/x/*\"\nscopes = [\"a:b\"]\n[[routes]]\npath = \"/x/\"", &[]),
            ("[[routes]]\npath = \"/x/y/*\"\nscopes = [\"a:b\"]\n[[routes]]\npath = \"/x/*\"", &[]),
            ("[[routes]]\npath = \"/*\"\nscopes = [\"a:b\"]", &[]),
            ("[access]\ninsecure_allow_without_keys = false", &[]),
            ("[access]\ninsecure_allow_without_keys = true", &[(Some(2), "access.insecure_allow_without_keys")]),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn short_configured_keys_are_told_by_their_place() {
        let text = PolicyText::read("[[configured_keys]]\nenv = \"KEYS\"\nseparator = \",\"\n");
        let short = text.short_configured_keys(|_| Some("CANARY-of-20-letters, CANARY-of-19-letter,".into()));
        assert_eq!(short.len(), 1, "{short:?}");
        assert!(short[0].starts_with("KEYS: its key number 2 ") && !short[0].contains("CANARY"), "{short:?}");
        assert!(text.short_configured_keys(|_| None).is_empty());
    }
}
