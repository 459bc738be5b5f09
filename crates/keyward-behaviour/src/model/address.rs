//! R2: the client's address through trusted proxies.

use std::net::{IpAddr, Ipv6Addr};

use super::{policy::ModelPolicy, request::ModelRequest};

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The nearest address that is no trusted proxy, as far as it could be read.
    pub address: IpAddr,
    /// Whether something unreadable stood in the way.
    pub flagged: bool,
}

/// R2.1, R2.2: the client's address; `None` if nobody said who the peer is.
pub fn client(policy: &ModelPolicy, request: &ModelRequest) -> Option<ClientAddress> {
    let peer = canonical(request.peer?);
    let unproxied = ClientAddress { address: peer, flagged: false };
    let Some(header) = &policy.network.client_address_header else { return Some(unproxied) };
    let lines: Vec<String> = request.values(header).into_iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    if let Some(hops) = policy.network.trusted_hops {
        let found = behind(hops, header, &lines);
        return Some(
            found.map_or(ClientAddress { flagged: true, ..unproxied }, |address| ClientAddress { address, flagged: false }),
        );
    }
    if !policy.trusts(peer) || lines.is_empty() {
        return Some(unproxied);
    }
    // Joined as lists, not as texts: a quote that does not end, ends with its line, and cannot swallow the next proxy's.
    let hops: Vec<Option<IpAddr>> = lines.iter().flat_map(|line| hops(header, line)).collect();
    let mut nearest = peer;
    for read in hops.into_iter().rev() {
        match read {
            None => return Some(ClientAddress { address: nearest, flagged: true }),
            Some(address) if !policy.trusts(address) => return Some(ClientAddress { address, flagged: false }),
            Some(trusted) => nearest = trusted,
        }
    }
    Some(ClientAddress { address: nearest, flagged: false })
}

/// R2.5: what the outermost of so many proxies wrote: each adds one element at the right end. A line whose quote does not end has
/// elements that nobody can count.
fn behind(proxies: usize, header: &str, lines: &[String]) -> Option<IpAddr> {
    let mut from_the_right = Vec::new();
    for line in lines.iter().rev() {
        if header.eq_ignore_ascii_case("Forwarded") && has_open_quote(line) {
            return None;
        }
        from_the_right.extend(hops(header, line).into_iter().rev());
        if from_the_right.len() >= proxies {
            return from_the_right[proxies - 1];
        }
    }
    None
}

fn hops(header: &str, line: &str) -> Vec<Option<IpAddr>> {
    if header.eq_ignore_ascii_case("Forwarded") { forwarded_hops(line) } else { line.split(',').map(hop).collect() }
}

/// R2.2: an IPv4 address is the same whether mapped into IPv6 or not.
pub fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// R3.1: the address under which failures and per-address limits are counted: IPv6 by its first 64 bits.
pub fn bucket(address: IpAddr) -> IpAddr {
    match canonical(address) {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four => four,
    }
}

/// R2.2: one address, without its port, brackets and zone.
fn hop(written: &str) -> Option<IpAddr> {
    let written = written.trim_matches([' ', '\t']);
    let address = if let Some(bracketed) = written.strip_prefix('[') {
        let (inner, after) = bracketed.split_once(']')?;
        if !after.is_empty() && !after.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(without_zone(inner)?.parse().ok()?)
    } else if let Some((before, after)) = written.split_once(':').filter(|(_, after)| !after.contains(':')) {
        if !is_port(after) {
            return None;
        }
        IpAddr::V4(before.parse().ok()?)
    } else if written.contains(':') {
        IpAddr::V6(without_zone(written)?.parse().ok()?)
    } else {
        IpAddr::V4(written.parse().ok()?)
    };
    Some(canonical(address)).filter(|address| !address.is_unspecified())
}

/// A zone is a name of unreserved characters (RFC 6874), or what stands there cannot be read.
fn without_zone(written: &str) -> Option<&str> {
    let Some((address, zone)) = written.split_once('%') else { return Some(written) };
    (!zone.is_empty() && zone.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c))).then_some(address)
}

/// RFC 7239's grammar, in whatever header: up to five digits, or `_name` where a proxy hides it.
fn is_port(written: &str) -> bool {
    let obfuscated = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let digits = (1..=5).contains(&written.len()) && written.chars().all(|c| c.is_ascii_digit());
    (digits && written.parse::<u16>().is_ok()) || written.strip_prefix('_').is_some_and(obfuscated)
}

/// R2.1: the `for` of each element of a `Forwarded` line; `None` where it cannot be read.
fn forwarded_hops(line: &str) -> Vec<Option<IpAddr>> {
    split_outside_quotes(line, ',').iter().map(|element| forwarded_for(element)).collect()
}

fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_outside_quotes(element, ';') {
        let pair = pair.trim_matches([' ', '\t']);
        if pair.is_empty() {
            continue;
        }
        let (name, value) = pair.split_once('=')?;
        if name.is_empty() || !name.bytes().all(super::target::is_token_byte) {
            return None;
        }
        let value = unquote(value)?;
        if name.eq_ignore_ascii_case("for") && found.replace(value).is_some() {
            return None;
        }
    }
    hop(&found?)
}

/// A token as it is, colons included, since many write `for=192.0.2.1:80`; a quoted string without its quotes and escapes.
fn unquote(written: &str) -> Option<String> {
    let Some(quoted) = written.strip_prefix('"') else {
        let plain = |byte: u8| super::target::is_token_byte(byte) || byte == b':';
        return (!written.is_empty() && written.bytes().all(plain)).then(|| written.to_owned());
    };
    let mut plain = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return characters.next().is_none().then_some(plain),
            '\\' => plain.push(characters.next()?),
            other => plain.push(other),
        }
    }
}

fn has_open_quote(written: &str) -> bool {
    let (mut quoted, mut characters) = (false, written.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => quoted = !quoted,
            // Outside of quotes a backslash escapes nothing.
            '\\' if quoted => drop(characters.next()),
            _ => {}
        }
    }
    quoted
}

fn split_outside_quotes(written: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for character in written.chars() {
        if character == separator && !quoted {
            parts.push(String::new());
            continue;
        }
        if escaped {
            escaped = false;
        } else if quoted && character == '\\' {
            escaped = true;
        } else if character == '"' {
            quoted = !quoted;
        }
        parts.last_mut().expect("there is always a part").push(character);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(header: &str, peer: &str, lines: &[&str]) -> (String, bool) {
        seen_by("trusted_proxies = ['127.0.0.1/32', '10.0.0.0/8']", header, peer, lines)
    }

    fn seen_by(trust: &str, header: &str, peer: &str, lines: &[&str]) -> (String, bool) {
        let policy = ModelPolicy::from_toml(&format!("[network]\n{trust}\nclient_address_header = '{header}'")).unwrap();
        let head: String = lines.iter().map(|line| format!("{header}: {line}\n")).collect();
        let request = ModelRequest::parse(&format!("GET /\n{head}\n"), Some(peer.parse().unwrap()));
        let client = client(&policy, &request).unwrap();
        (client.address.to_string(), client.flagged)
    }

    #[test]
    fn the_walk_goes_from_right_to_left() {
        for (lines, expected, flagged) in [
            (vec!["203.0.113.9"], "203.0.113.9", false),
            (vec!["1.1.1.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9", false),
            (vec!["203.0.113.9", "10.1.2.3"], "203.0.113.9", false),
            (vec!["203.0.113.9, rubbish"], "127.0.0.1", true),
            (vec!["rubbish, 10.1.2.3"], "10.1.2.3", true),
            (vec!["rubbish, 203.0.113.9"], "203.0.113.9", false),
            (vec!["10.9.9.9, 10.1.2.3"], "10.9.9.9", false),
            (vec!["203.0.113.9:8080"], "203.0.113.9", false),
            (vec!["[2001:db8::1]:443"], "2001:db8::1", false),
            (vec!["fe80::1%eth0"], "fe80::1", false),
            (vec!["::ffff:203.0.113.9"], "203.0.113.9", false),
            (vec!["::ffff:10.1.1.1"], "10.1.1.1", false),
            (vec!["0.0.0.0"], "127.0.0.1", true),
            (vec!["::"], "127.0.0.1", true),
            (vec!["203.0.113.09"], "127.0.0.1", true),
        ] {
            assert_eq!(seen("X-Forwarded-For", "127.0.0.1", &lines), (expected.to_owned(), flagged), "{lines:?}");
        }
        assert_eq!(seen("X-Forwarded-For", "192.0.2.1", &["203.0.113.9"]), ("192.0.2.1".to_owned(), false));
        assert_eq!(seen("X-Forwarded-For", "127.0.0.1", &[]), ("127.0.0.1".to_owned(), false));
    }

    #[test]
    fn forwarded_is_read_with_its_quotes() {
        for (line, expected, flagged) in [
            ("for=203.0.113.9;proto=https", "203.0.113.9", false),
            ("proto=http;For=\"[2001:db8::1]:4711\"", "2001:db8::1", false),
            ("for=203.0.113.9;by=\"a,b;for=1.1.1.1\"", "203.0.113.9", false),
            ("for=\"203.0.113.9:_port\"", "203.0.113.9", false),
            ("for=203.0.113.9, for=10.0.0.1", "203.0.113.9", false),
            ("for=unknown", "127.0.0.1", true),
            ("for=_hidden, for=10.0.0.1", "10.0.0.1", true),
            ("proto=https", "127.0.0.1", true),
            ("for=1.1.1.1;for=2.2.2.2", "127.0.0.1", true),
            ("for=\"203.0.113.9", "127.0.0.1", true),
            ("for=\"20\\3.0.113.9\"", "203.0.113.9", false),
        ] {
            assert_eq!(seen("Forwarded", "127.0.0.1", &[line]), (expected.to_owned(), flagged), "{line}");
        }
    }

    #[test]
    fn hops_are_counted_from_the_right() {
        let two = |header, lines: &[&str]| seen_by("trusted_hops = 2", header, "192.0.2.1", lines);
        let good = |address: &str| (address.to_owned(), false);
        let bad = || ("192.0.2.1".to_owned(), true);
        assert_eq!(two("X-Forwarded-For", &["203.0.113.9, 10.0.0.1"]), good("203.0.113.9"));
        assert_eq!(two("X-Forwarded-For", &["1.1.1.1, rubbish, 203.0.113.9", "rubbish"]), good("203.0.113.9"));
        assert_eq!(two("X-Forwarded-For", &["203.0.113.9"]), bad());
        assert_eq!(two("X-Forwarded-For", &["203.0.113.9, rubbish, 10.0.0.1"]), bad());
        assert_eq!(two("X-Forwarded-For", &[]), bad());
        assert_eq!(two("Forwarded", &["for=203.0.113.9, by=\"a, b\""]), good("203.0.113.9"));
        assert_eq!(two("Forwarded", &["for=203.0.113.9, for=\"1.1.1.1"]), bad());
        assert_eq!(two("Forwarded", &["for=\"2.2.2.2", "for=203.0.113.9, for=\"1.1\\\".1.1\""]), good("203.0.113.9"));
    }

    #[test]
    fn one_ipv6_network_is_one_bucket() {
        let bucket_of = |text: &str| bucket(text.parse().unwrap()).to_string();
        assert_eq!(bucket_of("2001:db8::1"), bucket_of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(bucket_of("2001:db8::1"), bucket_of("2001:db8:0:1::1"));
        assert_eq!(bucket_of("::ffff:1.2.3.4"), "1.2.3.4");
    }
}
