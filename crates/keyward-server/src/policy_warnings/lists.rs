//! Lists of networks that let in whom they should not, or nobody.

use keyward::AddressList;
use toml::Spanned;

use super::{PolicyText, Warning};

type Written = Option<Spanned<Vec<String>>>;

/// The networks of a list. `None` where anybody is meant, or nothing is written.
fn networks(written: &Written) -> Option<AddressList> {
    let texts = written.as_ref()?.get_ref();
    if texts.iter().any(|text| text == "*") { None } else { AddressList::parse(texts).ok().filter(|list| !list.is_empty()) }
}

impl PolicyText {
    pub(super) fn lists(&self) -> Vec<Warning> {
        let network = &self.said.network;
        let proxies = networks(&network.trusted_proxies);
        let allowed = networks(&network.allow);
        let mut warnings = self.of_one("network", &network.allow, &network.deny, proxies.as_ref());
        for route in &self.said.routes {
            warnings.extend(self.of_one("routes", &route.allow, &route.deny, proxies.as_ref()));
            let is_shut = |inner: AddressList| allowed.as_ref().is_some_and(|outer| !outer.overlaps(&inner));
            if networks(&route.allow).is_some_and(is_shut) {
                warnings.push(self.warn(
                    &route.allow,
                    "routes.allow",
                    "shares no address with `network.allow`: nobody is let in here",
                    "both lists have to hold an address: add it to the other one",
                ));
            }
        }
        warnings
    }

    fn of_one(&self, of: &str, allow: &Written, deny: &Written, proxies: Option<&AddressList>) -> Vec<Warning> {
        let (allow_field, is_policys) = if of == "network" { ("network.allow", true) } else { ("routes.allow", false) };
        let mut warnings = Vec::new();
        let Some(allowed) = networks(allow) else { return warnings };
        if proxies.is_some_and(|proxies| proxies.overlaps(&allowed)) {
            warnings.push(self.warn(
                allow,
                allow_field,
                "holds an address of `trusted_proxies`: whatever a proxy passes on without naming the client is let in as the proxy",
                "name the clients' networks without those of the proxies, and have the proxy set the header on every request",
            ));
        }
        // What the policy denies, no route lets in.
        let denied = [deny, &self.said.network.deny];
        let denied = &denied[usize::from(is_policys)..];
        if denied.iter().filter_map(|list| networks(list)).any(|denied| denied.holds_all_of(&allowed)) {
            warnings.push(self.warn(
                allow,
                allow_field,
                "every address of it is in `deny`, which counts first: nobody is let in",
                "leave the networks out of one of the two lists",
            ));
        }
        warnings
    }

    fn warn(&self, list: &Written, field: &'static str, problem: &'static str, mend: &'static str) -> Warning {
        Warning { line: list.as_ref().and_then(|list| self.line(list)), field, problem, mend, is_said_by_guards: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(Option<usize>, &'static str, bool)> {
        let warnings = PolicyText::read(text).lists();
        warnings.iter().map(|warning| (warning.line, warning.field, warning.problem.contains("proxies"))).collect()
    }

    #[test]
    fn a_proxy_that_is_let_in_and_lists_that_let_in_nobody() {
        let proxies = "[network]\nclient_address_header = \"X-Real-IP\"\ntrusted_proxies = [\"10.0.0.1\", \"10.1.0.0/24\"]\n";
        for (text, expected) in [
            ("allow = [\"192.0.2.0/24\"]", &[][..]),
            ("allow = [\"*\"]", &[]),
            ("allow = [\"10.0.0.2\"]", &[]),
            ("allow = [\"10.0.0.1\"]", &[(Some(4), "network.allow", true)]),
            ("allow = [\"192.0.2.7\", \"10.0.0.0/8\"]", &[(Some(4), "network.allow", true)]),
            ("allow = [\"10.1.0.7\"]", &[(Some(4), "network.allow", true)]),
            ("[[routes]]\npath = \"/x\"\nallow = [\"10.0.0.1\"]", &[(Some(6), "routes.allow", true)]),
            ("allow = [\"192.0.2.0/24\"]\ndeny = [\"192.0.2.0/25\"]", &[]),
            ("allow = [\"192.0.2.0/24\"]\ndeny = [\"192.0.2.0/25\", \"192.0.2.128/25\"]", &[(Some(4), "network.allow", false)]),
            (
                "deny = [\"192.0.2.0/24\"]\n[[routes]]\npath = \"/x\"\nallow = [\"192.0.2.7\"]",
                &[(Some(7), "routes.allow", false)],
            ),
            (
                "allow = [\"192.0.2.0/24\"]\n[[routes]]\npath = \"/x\"\nallow = [\"198.51.100.7\"]",
                &[(Some(7), "routes.allow", false)],
            ),
            ("allow = [\"192.0.2.0/24\"]\n[[routes]]\npath = \"/x\"\nallow = [\"192.0.2.7\"]", &[]),
        ] {
            assert_eq!(told(&format!("{proxies}{text}")), expected, "{text}");
        }
    }
}
