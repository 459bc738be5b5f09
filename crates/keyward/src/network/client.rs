//! The client's address (R2).
//!
//! 1. The peer, unless it is a trusted proxy and the policy names a header.
//! 2. Else all lines of that header, joined, from right to left: trusted proxies are skipped, the first other address is the
//!    client. All trusted: the leftmost.
//! 3. An element that cannot be read stops the walk: the client is the nearest good hop, flagged.
//! 4. Where proxies are trusted by their number, N: whatever the peer's address, the client is the Nth element from the right of
//!    all lines joined. Fewer elements, or one that cannot be read there: the client is the peer, flagged.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU8;

use smallvec::SmallVec;

use super::forwarded::{elements, forwarded_for, node};
use super::list::{AddressList, canonical};

/// Who is asking, as far as it can be known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// `None`: the framework told no peer.
    pub(crate) address: Option<IpAddr>,
    /// The way to the client could not be read to its end: the address is a proxy's. Fails every allow-list and every deny-list.
    pub(crate) flagged: bool,
    /// The address is a trusted proxy's own: nothing is charged to it.
    pub(crate) is_proxy: bool,
    /// A trusted proxy sent the policy's header not at all.
    pub(crate) is_unnamed: bool,
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
    /// Whoever connects, as the last of so many proxies.
    Hops(NonZeroU8),
}

impl TrustedProxies {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match self {
            Self::Nobody => false,
            Self::These(list) => list.contains(address),
            Self::Everybody | Self::Hops(_) => true,
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
        let Some(peer) = peer.map(canonical) else { return Self::default() };
        let proxied = header.filter(|_| trusted.contains(peer)).map(|header| (header, lines()));
        let (address, flagged) = match (&proxied, trusted) {
            (None, _) => (peer, false),
            (Some((header, lines)), TrustedProxies::Hops(hops)) => match counted(*hops, *header, lines) {
                Some(address) => (address, false),
                None => (peer, true),
            },
            (Some((header, lines)), _) => walk(peer, trusted, *header, lines),
        };
        Self {
            address: Some(address),
            flagged,
            is_proxy: matches!(trusted, TrustedProxies::These(proxies) if proxies.contains(address)),
            is_unnamed: proxied.is_some_and(|(_, lines)| lines.is_empty()),
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

impl ClientHeader {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::XRealIp => "X-Real-IP",
            Self::Forwarded => "Forwarded",
        }
    }

    /// The elements of one line, from left to right. `None` where it has no such form: a quote ends with its line.
    fn elements(self, line: &[u8]) -> Option<SmallVec<[&[u8]; 8]>> {
        match self {
            Self::Forwarded => elements(line),
            Self::XForwardedFor | Self::XRealIp => Some(line.split(|&byte| byte == b',').collect()),
        }
    }

    fn read(self, element: &[u8]) -> Option<IpAddr> {
        match self {
            Self::Forwarded => forwarded_for(element),
            Self::XForwardedFor | Self::XRealIp => node(element),
        }
    }
}

fn walk(peer: IpAddr, trusted: &TrustedProxies, header: ClientHeader, lines: &[&[u8]]) -> (IpAddr, bool) {
    let mut nearest = peer;
    for line in lines.iter().rev() {
        let Some(elements) = header.elements(line) else { return (nearest, true) };
        for element in elements.iter().rev() {
            match header.read(element) {
                None => return (nearest, true),
                Some(address) if trusted.contains(address) => nearest = address,
                Some(address) => return (address, false),
            }
        }
    }
    (nearest, false)
}

/// The element that the outermost of so many proxies wrote. What stands left of it is the client's own word; what stands right of
/// it was written by the proxies within, and is counted only.
fn counted(hops: NonZeroU8, header: ClientHeader, lines: &[&[u8]]) -> Option<IpAddr> {
    let mut beyond = usize::from(hops.get()) - 1;
    for line in lines.iter().rev() {
        let elements = header.elements(line)?;
        match elements.iter().rev().nth(beyond) {
            Some(element) => return header.read(element),
            None => beyond -= elements.len(),
        }
    }
    None
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
    fn the_element_that_so_many_proxies_leave() {
        use ClientHeader::{Forwarded, XForwardedFor, XRealIp};
        let peer = "192.0.2.1";
        for (hops, header, lines, address) in [
            (1, XForwardedFor, &["1.1.1.1"][..], Some("1.1.1.1")),
            (1, XForwardedFor, &["1.1.1.1, 2.2.2.2"], Some("2.2.2.2")),
            (2, XForwardedFor, &["1.1.1.1, 2.2.2.2"], Some("1.1.1.1")),
            (2, XForwardedFor, &["1.1.1.1", "2.2.2.2"], Some("1.1.1.1")),
            (2, XForwardedFor, &["3.3.3.3, 1.1.1.1", "2.2.2.2"], Some("1.1.1.1")),
            (2, XForwardedFor, &["a, 1.1.1.1,a"], Some("1.1.1.1")),
            (3, XForwardedFor, &["a", "1.1.1.1", "2.2.2.2, 3.3.3.3"], Some("1.1.1.1")),
            (2, XForwardedFor, &["1.1.1.1", ""], Some("1.1.1.1")),
            (2, XForwardedFor, &["1.1.1.1"], None),
            (3, XForwardedFor, &["1.1.1.1, 2.2.2.2"], None),
            (2, XForwardedFor, &["1.1.1.1, a, 2.2.2.2"], None),
            (1, XForwardedFor, &["1.1.1.1,"], None),
            (1, XForwardedFor, &[], None),
            (16, XForwardedFor, &["1.1.1.1,2,3,4,5,6,7,8,9", "10,11,12,13,14,15,16"], Some("1.1.1.1")),
            (1, XRealIp, &["1.1.1.1"], Some("1.1.1.1")),
            (1, Forwarded, &["for=1.1.1.1, for=2.2.2.2"], Some("2.2.2.2")),
            (2, Forwarded, &["for=1.1.1.1, by=2.2.2.2"], Some("1.1.1.1")),
            (2, Forwarded, &["for=1.1.1.1, for=\"2.2.2.2"], None),
            (2, Forwarded, &["for=1.1.1.1", "for=\"2.2.2.2"], None),
            (2, Forwarded, &["for=\"3.3.3.3", "for=1.1.1.1, for=2.2.2.2"], Some("1.1.1.1")),
        ] {
            let trusted = TrustedProxies::Hops(NonZeroU8::new(hops).unwrap());
            let client = Client::find(Some(peer.parse().unwrap()), &trusted, Some(header), || {
                lines.iter().map(|line| line.as_bytes()).collect()
            });
            let expected = (address.unwrap_or(peer).parse().ok(), address.is_none());
            assert_eq!((client.address, client.flagged), expected, "{hops} of {lines:?}");
            assert_eq!((client.is_proxy, client.is_unnamed), (false, lines.is_empty()));
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
