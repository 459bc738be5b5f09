//! From where, and how often.

use std::num::NonZeroU8;

use ipnet::IpNet;

use super::Checker;
use crate::limit::{BadQuota, Quota};
use crate::network::{AddressList, BadNetwork, ClientHeader, TrustedProxies, parse_network};
use crate::policy::file::{LimitsFile, NetworkFile};
use crate::policy::{LimitRules, NetworkRules};

const TRUST_ALL: &str = "name your proxies' networks, or say `insecure_trust_all_proxies = true`";

/// More than any request passes. What is longer is most likely a mistake.
const MOST_HOPS: u8 = 16;

impl Checker {
    pub(super) fn network(&mut self, field: &str, allow: Option<&[String]>, deny: &[String]) -> NetworkRules {
        let faults = self.faults.len();
        let allow = match allow {
            None => None,
            Some([all]) if all == "*" => None,
            Some([]) => {
                self.fault(format!("{field}.allow"), "an empty list admits nobody", "leave it out for anybody, or name networks");
                None
            }
            Some(networks) => Some(AddressList::of(self.each(&format!("{field}.allow"), networks, Self::cidr))),
        };
        let rules = NetworkRules { allow, deny: AddressList::of(self.each(&format!("{field}.deny"), deny, Self::cidr)) };
        if self.faults.len() == faults && rules.are_for_nobody() {
            let (list, problem) = match rules.allow {
                Some(_) => ("allow", "is wholly inside `deny`, so that nobody could come in"),
                None => ("deny", "keeps everybody out"),
            };
            self.fault(format!("{field}.{list}"), problem, "take out of `deny` whom you want to let in");
        }
        rules
    }

    pub(super) fn cidr(&mut self, field: &str, written: &str) -> Option<IpNet> {
        self.network_or(field, written, "write [\"*\"] alone in `allow`, or leave it out")
    }

    /// `for_all` mends what was meant as everybody.
    fn network_or(&mut self, field: &str, written: &str, for_all: &str) -> Option<IpNet> {
        if written == "*" {
            self.fault(field, "`*` stands beside other networks, or where it means nothing", for_all);
            return None;
        }
        match parse_network(written) {
            Ok(network) => Some(network),
            Err(BadNetwork::Nobody(address)) => {
                let mend = match for_all {
                    TRUST_ALL => TRUST_ALL.to_owned(),
                    _ => format!("write \"{address}/0\" for all addresses of its kind; for anybody, {for_all}"),
                };
                self.fault(field, format!("`{address}` is nobody's address"), mend);
                None
            }
            Err(error) => {
                self.fault(field, error.to_string(), "");
                None
            }
        }
    }

    /// Whose word about the client is taken: that of named networks, of everybody, or of so many proxies.
    pub(super) fn trusted_proxies(&mut self, written: &NetworkFile, header: Option<ClientHeader>) -> TrustedProxies {
        let networks = self.each("network.trusted_proxies", &written.trusted_proxies, |checker, field, text| {
            let network = checker.network_or(field, text, TRUST_ALL)?;
            if network.prefix_len() == 0 {
                checker.fault(field, "trusts everybody", TRUST_ALL);
                return None;
            }
            Some(network)
        });
        let halves = IpNet::aggregate(&networks);
        if halves.iter().any(|network| network.prefix_len() == 0) {
            self.fault("network.trusted_proxies", "trusts everybody, in parts", TRUST_ALL);
        }
        let everybody = written.insecure_trust_all_proxies;
        if let Some(hops) = written.trusted_hops {
            return self.trusted_hops(hops, everybody || !written.trusted_proxies.is_empty(), written, header);
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

    fn trusted_hops(
        &mut self,
        hops: u32,
        trusts_otherwise: bool,
        written: &NetworkFile,
        header: Option<ClientHeader>,
    ) -> TrustedProxies {
        let field = "network.trusted_hops";
        if trusts_otherwise {
            self.fault(
                field,
                "contradicts `trusted_proxies` and `insecure_trust_all_proxies`",
                "trust proxies by their addresses or by their number",
            );
        }
        if written.client_address_header.is_none() {
            self.fault(
                field,
                "says how many proxies name the client, and not where",
                "name the header that each of them adds to: `client_address_header = \"X-Forwarded-For\"`",
            );
        }
        if header == Some(ClientHeader::XRealIp) && hops > 1 {
            self.fault(
                field,
                "`X-Real-IP` holds one address, to which no proxy adds",
                "write 1, or name a header that each proxy adds to",
            );
        }
        let hops = u8::try_from(hops).ok().filter(|hops| *hops <= MOST_HOPS).and_then(NonZeroU8::new);
        if hops.is_none() {
            self.fault(
                field,
                format!("is not from 1 to {MOST_HOPS}"),
                "write how many proxies every request passes; where there are none, leave it out",
            );
        }
        hops.map_or(TrustedProxies::Nobody, TrustedProxies::Hops)
    }

    pub(super) fn quota(&mut self, field: &str, written: &str) -> Option<Quota> {
        written.parse().map_err(|error: BadQuota| self.fault(field, error.to_string(), "")).ok()
    }

    pub(super) fn failures(&mut self, written: Option<&str>) -> Option<Quota> {
        let written = written.filter(|written| *written != "off")?;
        let unreadable = |error: BadQuota| self.fault("limits.failures", error.to_string(), "or \"off\", for no budget");
        written.parse().map_err(unreadable).ok()
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
