//! The client's address (R2).
//!
//! 1. The peer, unless it is a trusted proxy and the policy names a header.
//! 2. Else all lines of that header, joined, from right to left: trusted proxies are skipped, the first other address is the
//!    client. All trusted: the leftmost.
//! 3. An element that cannot be read stops the walk: the client is the nearest good hop, flagged.

use std::net::{IpAddr, Ipv6Addr};

use smallvec::SmallVec;

use super::forwarded::{elements, forwarded_for, node};
use super::list::{AddressList, canonical};

/// Who is asking, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Client {
    /// `None`: the framework told no peer.
    pub(crate) address: Option<IpAddr>,
    /// The way to the client could not be read to its end: the address is a proxy's. Fails every allow-list and every deny-list.
    pub(crate) flagged: bool,
    /// The address is a trusted proxy's own: nothing is charged to it.
    pub(crate) is_proxy: bool,
}

/// Which header names the client. Only the one that the policy names is ever read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientHeader {
    XForwardedFor,
    XRealIp,
    Forwarded,
}

/// Whose word about the client is taken.
#[derive(Debug, Clone, Default)]
pub(crate) enum TrustedProxies {
    #[default]
    Nobody,
    These(AddressList),
    Everybody,
}

impl TrustedProxies {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(list) => list.contains(address),
            Self::Everybody => true,
        }
    }
}

impl Client {
    /// `lines` calls back with every value of the policy's header; it is asked only where the peer is trusted.
    pub(crate) fn find<'r>(
        peer: Option<IpAddr>,
        trusted: &TrustedProxies,
        header: Option<ClientHeader>,
        lines: impl FnOnce() -> SmallVec<[&'r [u8]; 2]>,
    ) -> Self {
        let Some(peer) = peer.map(canonical) else { return Self { address: None, flagged: false, is_proxy: false } };
        let is_proxy = trusted.contains(peer);
        let (address, flagged) = match header {
            Some(header) if is_proxy => walk(peer, trusted, header, &lines()),
            _ => (peer, false),
        };
        Self {
            address: Some(address),
            flagged,
            is_proxy: trusted.contains(address) && !matches!(trusted, TrustedProxies::Everybody),
        }
    }

    /// R4 and R8.1: whether the client is in an allow-list. A flagged or unknown address never is.
    pub(crate) fn is_in(&self, allowed: &AddressList) -> bool {
        !self.flagged && self.address.is_some_and(|address| allowed.contains(address))
    }

    /// Whether a deny-list keeps the client out. A flagged or unknown address fails every list that is not empty.
    pub(crate) fn is_denied_by(&self, denied: &AddressList) -> bool {
        !denied.is_empty() && (self.flagged || self.address.is_none_or(|address| denied.contains(address)))
    }
}

fn walk(peer: IpAddr, trusted: &TrustedProxies, header: ClientHeader, lines: &[&[u8]]) -> (IpAddr, bool) {
    let mut nearest = peer;
    for line in lines.iter().rev() {
        let elements = match header {
            ClientHeader::Forwarded => elements(line),
            ClientHeader::XForwardedFor | ClientHeader::XRealIp => Some(line.split(|&byte| byte == b',').collect()),
        };
        let Some(elements) = elements else { return (nearest, true) };
        for element in elements.iter().rev() {
            let read = match header {
                ClientHeader::Forwarded => forwarded_for(element),
                ClientHeader::XForwardedFor | ClientHeader::XRealIp => node(element),
            };
            match read {
                None => return (nearest, true),
                Some(address) if trusted.contains(address) => nearest = address,
                Some(address) => return (address, false),
            }
        }
    }
    (nearest, false)
}

/// What budgets are counted by: an IPv4 address, or the /64 of an IPv6 one, since one customer has a whole /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match canonical(address) {
        four @ IpAddr::V4(_) => four,
        IpAddr::V6(six) => Ipv6Addr::from(u128::from(six) & !u128::from(u64::MAX)).into(),
    }
}

/// The same as a number.
pub(crate) fn bucket(address: IpAddr) -> u128 {
    match network(address) {
        // Outside every IPv6 /64 that could be counted: the low half of those is zero.
        IpAddr::V4(four) => 1 << 32 | u128::from(u32::from(four)),
        IpAddr::V6(six) => u128::from(six),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(peer: &str, header: ClientHeader, lines: &[&'static str]) -> (String, bool) {
        let trusted = TrustedProxies::These(AddressList::parse(["10.0.0.0/8", "127.0.0.1"]).unwrap());
        let client = Client::find(Some(peer.parse().unwrap()), &trusted, Some(header), || {
            lines.iter().map(|line| line.as_bytes()).collect()
        });
        (client.address.unwrap().to_string(), client.flagged)
    }

    #[test]
    fn the_first_address_from_the_right_that_is_not_trusted() {
        use ClientHeader::{Forwarded, XForwardedFor};
        for (peer, header, lines, address, flagged) in [
            ("203.0.113.9", XForwardedFor, &["127.0.0.1"][..], "203.0.113.9", false),
            ("10.0.0.1", XForwardedFor, &[], "10.0.0.1", false),
            ("10.0.0.1", XForwardedFor, &["1.1.1.1, 2.2.2.2"], "2.2.2.2", false),
            ("10.0.0.1", XForwardedFor, &["1.1.1.1, 2.2.2.2, 10.0.0.2"], "2.2.2.2", false),
            ("10.0.0.1", XForwardedFor, &["1.1.1.1", "2.2.2.2,10.0.0.2"], "2.2.2.2", false),
            ("10.0.0.1", XForwardedFor, &["10.0.0.3, 10.0.0.2"], "10.0.0.3", false),
            ("10.0.0.1", XForwardedFor, &["1.1.1.1, a"], "10.0.0.1", true),
            ("10.0.0.1", XForwardedFor, &["1.1.1.1, a, 10.0.0.2"], "10.0.0.2", true),
            ("10.0.0.1", XForwardedFor, &["a, 1.1.1.1"], "1.1.1.1", false),
            ("10.0.0.1", XForwardedFor, &[""], "10.0.0.1", true),
            ("10.0.0.1", XForwardedFor, &["1.1.1.1,"], "10.0.0.1", true),
            ("::ffff:10.0.0.1", XForwardedFor, &["::ffff:1.1.1.1"], "1.1.1.1", false),
            ("10.0.0.1", Forwarded, &["for=1.1.1.1, for=2.2.2.2;by=10.0.0.1"], "2.2.2.2", false),
            ("10.0.0.1", Forwarded, &["for=\"1.1.1.1, for=2.2.2.2"], "10.0.0.1", true),
            ("10.0.0.1", Forwarded, &["for=1.1.1.1, for=unknown"], "10.0.0.1", true),
            ("10.0.0.1", Forwarded, &["for=\"a", "for=2.2.2.2"], "2.2.2.2", false),
        ] {
            assert_eq!(find(peer, header, lines), (address.to_owned(), flagged), "{peer} {lines:?}");
        }
    }

    #[test]
    fn buckets_are_an_ipv4_address_or_a_64() {
        let bucket = |address: &str| bucket(address.parse().unwrap());
        assert_eq!(bucket("::ffff:1.2.3.4"), bucket("1.2.3.4"));
        assert_eq!(bucket("::ffff:102:304"), bucket("1.2.3.4"));
        assert_ne!(bucket("1.2.3.4"), bucket("1.2.3.5"));
        assert_eq!(bucket("2001:db8::1.2.3.4"), bucket("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(bucket("2001:db8::1"), bucket("2001:db8:0:1::1"));
    }
}
