//! From where, and how often.

use super::Checker;
use crate::limit::Quota;
use crate::network::{AddressList, TrustedProxies};
use crate::policy::file::LimitsFile;
use crate::policy::{LimitRules, NetworkRules};

impl Checker {
    pub(super) fn network(&mut self, field: &str, allow: Option<&[String]>, deny: &[String]) -> NetworkRules {
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

    pub(super) fn cidr(&mut self, field: &str, written: &str) -> Option<ipnet::IpNet> {
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

    pub(super) fn trusted_proxies(&mut self, written: &[String], everybody: bool) -> TrustedProxies {
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

    pub(super) fn quota(&mut self, field: &str, written: &str) -> Option<Quota> {
        written.parse().map_err(|error: crate::limit::BadQuota| self.fault(field, error.to_string(), "")).ok()
    }

    pub(super) fn limits(&mut self, field: &str, written: &LimitsFile) -> LimitRules {
        let mut names: Vec<String> = Vec::new();
        let mut list = |name: &str, written: &[String]| {
            let field = format!("{field}.{name}");
            let mut seen: Vec<Quota> = Vec::new();
            self.each(&field, written, |checker, field, text| {
                let quota = checker.quota(field, text)?;
                if seen.iter().any(|earlier| earlier.window() == quota.window()) {
                    checker.fault(field, "limits a window that is limited already", "keep the smaller of the two");
                    return None;
                }
                // Answers tell quotas apart by their names.
                if let Some(name) = quota.name() {
                    if names.iter().any(|earlier| earlier == name) {
                        checker.fault(field, format!("is called `{name}`, as another quota is"), "give it another name");
                        return None;
                    }
                    names.push(name.to_owned());
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
}
