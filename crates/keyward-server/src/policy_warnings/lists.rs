//! Lists of networks that let in the proxies themselves. That they let in somebody at all, the core has seen to.

use keyward::AddressList;
use toml::Spanned;

use super::{PolicyText, Warning};

type Written = Option<Spanned<Vec<String>>>;

/// The networks of a list. `None` where anybody is meant, or nothing is written.
fn networks(written: &Written) -> Option<AddressList> {
    let texts = written.as_ref()?.get_ref();
    if texts.iter().any(|text| text == "*") { None } else { AddressList::parse(texts).ok() }
}

impl PolicyText {
    pub(super) fn lists(&self) -> Vec<Warning> {
        let network = &self.said.network;
        let Some(proxies) = networks(&network.trusted_proxies) else { return Vec::new() };
        let of_routes = self.said.routes.iter().map(|route| ("routes.allow", &route.allow));
        let lists = std::iter::once(("network.allow", &network.allow)).chain(of_routes);
        lists
            .filter(|(_, allow)| networks(allow).is_some_and(|allowed| proxies.overlaps(&allowed)))
            .map(|(field, allow)| Warning {
                line: allow.as_ref().and_then(|list| self.line(list)),
                field,
                problem: "holds an address of `trusted_proxies`: whatever a proxy passes on without naming the client is let in as the proxy",
                mend: "name the clients' networks without those of the proxies, and have the proxy set the header on every request",
                is_said_by_guards: false,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_is_let_in() {
        let proxies = "[network]\nclient_address_header = \"X-Real-IP\"\ntrusted_proxies = [\"10.0.0.1\", \"10.1.0.0/24\"]\n";
        for (text, expected) in [
            ("", &[][..]),
            ("allow = [\"192.0.2.0/24\"]", &[]),
            ("allow = [\"*\"]", &[]),
            ("allow = [\"10.0.0.2\"]", &[]),
            ("allow = [\"10.0.0.1\"]", &[(Some(4), "network.allow")]),
            ("allow = [\"192.0.2.7\", \"10.0.0.0/8\"]", &[(Some(4), "network.allow")]),
            ("allow = [\"10.1.0.7\"]", &[(Some(4), "network.allow")]),
            ("[[routes]]\npath = \"/x\"\nallow = [\"10.0.0.1\"]", &[(Some(6), "routes.allow")]),
        ] {
            let warnings = PolicyText::read(&format!("{proxies}{text}")).lists();
            assert_eq!(warnings.iter().map(|warning| (warning.line, warning.field)).collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
