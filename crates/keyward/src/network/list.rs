//! Lists of addresses and networks (R2.4).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// Networks in CIDR notation; a single address is a network of one.
///
/// IPv4-mapped IPv6 addresses and networks (`::ffff:0:0/96`) are their IPv4 selves, on both sides of every comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList(Vec<IpNet>);

/// What was written is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// Neither an address nor a network.
    #[error("`{0}` is no address and no network: write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32")]
    Unreadable(String),
    /// Part IPv4, part not: no address would ever match as meant.
    #[error("`{0}` covers more than the IPv4-mapped addresses: write the IPv4 network, like 10.0.0.0/8")]
    WiderThanMapped(String),
}

impl AddressList {
    /// Reads a list of addresses and networks.
    ///
    /// # Errors
    /// The first entry that cannot be read.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, BadNetwork> {
        entries.into_iter().map(|entry| parse_network(entry.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn of(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether an address is in one of the networks.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks, in their canonical spelling.
    pub fn iter(&self) -> impl Iterator<Item = impl fmt::Display + '_> {
        self.0.iter()
    }
}

/// `::ffff:a.b.c.d` is `a.b.c.d`.
pub(crate) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

pub(crate) fn parse_network(text: &str) -> Result<IpNet, BadNetwork> {
    let unreadable = || BadNetwork::Unreadable(text.chars().take(64).collect());
    // The standard library's addresses on both sides of the slash: `ipnet` by itself reads `010.0.0.0/8`, which others take for
    // octal.
    let network = match text.split_once('/') {
        None => IpNet::from(canonical(IpAddr::from_str(text).map_err(|_| unreadable())?)),
        Some((address, length)) => {
            let address = IpAddr::from_str(address).map_err(|_| unreadable())?;
            let is_plain = length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
            let length = length.parse().ok().filter(|_| is_plain).ok_or_else(unreadable)?;
            IpNet::new(address, length).map_err(|_| unreadable())?
        }
    };
    let IpNet::V6(six) = network else { return Ok(network.trunc()) };
    let Some(mapped) = six.addr().to_ipv4_mapped() else { return Ok(network.trunc()) };
    match six.prefix_len().checked_sub(96) {
        Some(length) => Ok(IpNet::V4(Ipv4Net::new(mapped, length).map_err(|_| unreadable())?.trunc())),
        None => Err(BadNetwork::WiderThanMapped(text.chars().take(64).collect())),
    }
}

/// An address that names somebody: not `0.0.0.0` and not `::`.
pub(crate) fn names_somebody(address: IpAddr) -> bool {
    !address.is_unspecified() && address != IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_ipv4() {
        let list = AddressList::parse(["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8::/32", "203.0.113.7"]).unwrap();
        for (address, inside) in [
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("::ffff:10.1.2.3", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
        ] {
            assert_eq!(list.contains(address.parse().unwrap()), inside, "{address}");
        }
    }

    #[test]
    fn what_is_no_network() {
        for bad in [
            "",
            "*",
            "10.0.0",
            "10.0.0.0/33",
            "::/129",
            "010.0.0.1",
            "a",
            "10.0.0.0/8 ",
            "fe80::1%eth0",
            "010.0.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0.0/",
        ] {
            assert!(matches!(parse_network(bad), Err(BadNetwork::Unreadable(_))), "{bad}");
        }
        assert!(matches!(parse_network("::ffff:0.0.0.0/95"), Err(BadNetwork::WiderThanMapped(_))));
        assert_eq!(parse_network("::ffff:0.0.0.0/96").unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(parse_network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
    }
}
