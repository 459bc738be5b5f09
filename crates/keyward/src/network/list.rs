//! Lists of addresses and networks (R2.4).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// Networks in CIDR notation; a single address is a network of one.
///
/// IPv4-mapped IPv6 addresses and networks (`::ffff:0:0/96`) are their IPv4 selves, on both sides of every comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList(Vec<IpNet>);

/// What was written is no network, or one that means nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// Neither an address nor a network.
    #[error("`{0}` is no address and no network: {mend}", mend = mend(.0))]
    Unreadable(String),
    /// IPv6 addresses and the IPv4-mapped ones: IPv4 addresses are not held by it, although it looks so.
    #[error(
        "`{0}` covers more than the IPv4-mapped addresses, and holds no IPv4 address: write the IPv4 network, like 10.0.0.0/8, and IPv6 networks beside it"
    )]
    WiderThanMapped(String),
    /// `0.0.0.0` or `::`, which is nobody's address.
    #[error("`{0}` is nobody's address: for all, write `{0}/0`")]
    Nobody(String),
}

/// What whoever wrote that most likely needs to know.
fn mend(text: &str) -> &'static str {
    match text {
        "*" => "leave the list out for anybody",
        _ if text.contains(',') => "write each for itself; on a command line, repeat the flag",
        _ if text.starts_with('[') => "write an IPv6 address without brackets and port, like 2001:db8::7",
        _ if text.contains('%') => "leave out the zone, from the `%` on",
        _ => "write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32",
    }
}

impl AddressList {
    /// Reads a list of addresses and networks.
    ///
    /// # Errors
    /// The first entry that cannot be read.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, BadNetwork> {
        entries.into_iter().map(|entry| parse_network(entry.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// As it was stored once. What is refused only because it means nobody may have been stored before it was refused.
    pub(crate) fn stored<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self, BadNetwork> {
        entries.into_iter().map(|entry| read(entry.as_ref())).collect::<Result<_, _>>().map(Self)
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

    /// Whether any address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|network| other.0.iter().any(|others| network.contains(others) || others.contains(network)))
    }

    /// Whether every address of a network is in one of these.
    pub(crate) fn covers(&self, network: &IpNet) -> bool {
        // Halves that make up a network become that network.
        IpNet::aggregate(&self.0).iter().any(|whole| whole.contains(network))
    }

    pub(crate) fn networks(&self) -> &[IpNet] {
        &self.0
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

/// A network that holds somebody's address, and is what it looks like.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, BadNetwork> {
    let network = read(text)?;
    if network.prefix_len() == network.max_prefix_len() && !names_somebody(network.addr()) {
        return Err(BadNetwork::Nobody(network.addr().to_string()));
    }
    // `::/0` is every IPv6 address; nobody takes a half of that for IPv4.
    let holds_mapped = matches!(network, IpNet::V6(six) if six.contains(&FIRST_MAPPED));
    if holds_mapped && network.prefix_len() > 0 {
        return Err(BadNetwork::WiderThanMapped(told(text)));
    }
    Ok(network)
}

const FIRST_MAPPED: Ipv6Addr = Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();

/// So much as tells somebody what is meant.
fn told(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Host bits are dropped: `10.1.2.3/8` is `10.0.0.0/8`.
fn read(text: &str) -> Result<IpNet, BadNetwork> {
    let unreadable = || BadNetwork::Unreadable(told(text));
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
        None => Err(BadNetwork::WiderThanMapped(told(text))),
    }
}

/// An address that names somebody: not `0.0.0.0` and not `::`.
pub(crate) fn names_somebody(address: IpAddr) -> bool {
    !address.is_unspecified()
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
    fn what_somebody_meant_is_told() {
        for (text, told) in [
            ("*", "leave the list out for anybody"),
            ("10.0.0.1,10.0.0.2", "write each for itself; on a command line, repeat the flag"),
            ("[::1]", "without brackets and port"),
            ("[::1]:80", "without brackets and port"),
            ("fe80::1%eth0", "leave out the zone"),
            ("example.com", "write 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"),
            ("::ffff:0.0.0.0", "`0.0.0.0` is nobody's address: for all, write `0.0.0.0/0`"),
            ("::", "`::` is nobody's address: for all, write `::/0`"),
            ("::/80", "`::/80` covers more than the IPv4-mapped addresses, and holds no IPv4 address: write the IPv4 network"),
        ] {
            let error = parse_network(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn a_list_covers_what_its_halves_make_up() {
        let list = AddressList::parse(["10.0.0.0/9", "10.128.0.0/9", "2001:db8::/32"]).unwrap();
        for (network, covered) in
            [("10.0.0.0/8", true), ("10.1.0.0/16", true), ("10.0.0.0/7", false), ("2001:db8::1", true), ("::/0", false)]
        {
            assert_eq!(list.covers(&parse_network(network).unwrap()), covered, "{network}");
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
        for wide in ["::ffff:0.0.0.0/95", "::ffff:10.0.0.0/0", "::/80", "::/1", "::fffe:0:0/95", "::1/2", "7000::/1"] {
            assert!(matches!(parse_network(wide), Err(BadNetwork::WiderThanMapped(_))), "{wide}");
        }
        for nobody in ["0.0.0.0", "::", "0.0.0.0/32", "::/128", "::ffff:0.0.0.0", "::ffff:0.0.0.0/128"] {
            assert!(matches!(parse_network(nobody), Err(BadNetwork::Nobody(_))), "{nobody}");
            assert!(AddressList::stored([nobody]).is_ok());
        }
        for good in ["::/0", "::/95", "::/96", "::/97", "8000::/1", "64:ff9b::/96", "0.0.0.0/0", "0.0.0.0/31", "::/127"] {
            assert!(parse_network(good).is_ok(), "{good}");
        }
        assert_eq!(parse_network("::ffff:0.0.0.0/96").unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(parse_network("10.1.2.3/8").unwrap().to_string(), "10.0.0.0/8");
    }
}
