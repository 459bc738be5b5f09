//! R4 and the networks of R8.1: lists of addresses and networks.

use std::net::IpAddr;

use super::address::{ClientAddress, canonical};

/// Whether an address lies in a network or is the one address written; `*` is anybody.
pub fn contains(network: &str, address: IpAddr) -> bool {
    if network == "*" {
        return true;
    }
    let (base, prefix) = match network.split_once('/') {
        Some((base, prefix)) => (base, Some(prefix.parse::<u32>().expect("a prefix length is a number"))),
        None => (network, None),
    };
    let base: IpAddr = base.parse().expect("a network begins with an address");
    // A mapped network of /96 and longer is the IPv4 network that it maps.
    let (base, prefix) = match (base, canonical(base)) {
        (IpAddr::V6(_), IpAddr::V4(mapped)) => (IpAddr::V4(mapped), prefix.map(|prefix| prefix - 96)),
        (_, same) => (same, prefix),
    };
    let (base_bits, address_bits, width) = match (base, canonical(address)) {
        (IpAddr::V4(base), IpAddr::V4(address)) => (u128::from(u32::from(base)), u128::from(u32::from(address)), 32),
        (IpAddr::V6(base), IpAddr::V6(address)) => (u128::from(base), u128::from(address), 128),
        _ => return false,
    };
    let free_bits = width - prefix.unwrap_or(width);
    base_bits.checked_shr(free_bits).unwrap_or(0) == address_bits.checked_shr(free_bits).unwrap_or(0)
}

/// Whether any network of a list holds the address.
pub fn any_contains(networks: &[String], address: IpAddr) -> bool {
    networks.iter().any(|network| contains(network, address))
}

/// R2.2, R4: whether a client passes an allow-list (`None` is anybody) and a deny-list.
pub fn passes(allow: Option<&[String]>, deny: &[String], client: ClientAddress) -> bool {
    let allow = allow.filter(|list| !list.iter().any(|network| network == "*"));
    if client.flagged {
        return allow.is_none() && deny.is_empty();
    }
    allow.is_none_or(|list| any_contains(list, client.address)) && !any_contains(deny, client.address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(network: &str, address: &str) -> bool {
        contains(network, address.parse().unwrap())
    }

    #[test]
    fn a_network_ends_where_it_ends() {
        assert!(inside("10.0.0.0/8", "10.255.255.255"));
        assert!(!inside("10.0.0.0/8", "11.0.0.0"));
        assert!(!inside("10.0.0.0/8", "9.255.255.255"));
        assert!(inside("192.0.2.1", "192.0.2.1"));
        assert!(!inside("192.0.2.1", "192.0.2.2"));
        assert!(inside("0.0.0.0/0", "203.0.113.9"));
        assert!(!inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("2001:db8::/32", "2001:db8:ffff::"));
        assert!(!inside("2001:db8::/32", "2001:db9::"));
        assert!(inside("::/0", "2001:db8::1"));
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        assert!(inside("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(inside("::ffff:10.0.0.0/104", "10.9.9.9"));
        assert!(!inside("::ffff:10.0.0.0/104", "11.0.0.1"));
    }

    #[test]
    fn a_flagged_client_passes_no_list() {
        let flagged = ClientAddress { address: "10.0.0.1".parse().unwrap(), flagged: true };
        let all = vec!["0.0.0.0/0".to_owned()];
        let star = vec!["*".to_owned()];
        let other = vec!["192.0.2.1".to_owned()];
        assert!(passes(None, &[], flagged));
        assert!(passes(Some(&star), &[], flagged));
        assert!(!passes(Some(&all), &[], flagged));
        assert!(!passes(None, &other, flagged));
        let good = ClientAddress { flagged: false, ..flagged };
        assert!(passes(Some(&all), &other, good));
        assert!(!passes(Some(&all), &all, good), "denied although allowed");
    }
}
