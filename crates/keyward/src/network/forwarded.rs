//! Reading one element of `X-Forwarded-For` or `Forwarded` (RFC 7239), strictly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use smallvec::SmallVec;

use super::list::{canonical, names_somebody};
use crate::source::trim_blanks;

/// The list's elements from left to right, commas inside quotes left alone. `None` where a quote does not end.
pub(super) fn elements(line: &[u8]) -> Option<SmallVec<[&[u8]; 8]>> {
    let mut elements = SmallVec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, &byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                elements.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    elements.push(&line[start..]);
    (!quoted).then_some(elements)
}

/// The `for` of one `Forwarded` element; `None` unless there is exactly one and every pair of the element is well formed.
pub(super) fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    let mut rest = trim_blanks(element);
    loop {
        // RFC 7239 §4: pairs may be empty.
        while let [b';', more @ ..] = rest {
            rest = trim_blanks(more);
        }
        if rest.is_empty() {
            return found;
        }
        let equals = rest.iter().position(|&byte| byte == b'=')?;
        // No blanks around the sign: RFC 7239 has none.
        let (name, value) = (&rest[..equals], &rest[equals + 1..]);
        if name.is_empty() || !name.iter().all(|&byte| crate::source::is_token_byte(byte)) {
            return None;
        }
        let (value, after) = read_value(value)?;
        if name.eq_ignore_ascii_case(b"for") && found.replace(node(&value)?).is_some() {
            return None;
        }
        match trim_blanks(after) {
            [] => return found,
            [b';', more @ ..] => rest = trim_blanks(more),
            _ => return None,
        }
    }
}

/// A token or a quoted string, and what follows it.
fn read_value(text: &[u8]) -> Option<(SmallVec<[u8; 48]>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&byte| !crate::source::is_token_byte(byte) && byte != b':').unwrap_or(text.len());
        // An unquoted colon is no token, but common: `for=192.0.2.1:80`. An unquoted IPv6 address cannot be told from it.
        return (end > 0).then(|| (SmallVec::from_slice(&text[..end]), &text[end..]));
    };
    let mut value = SmallVec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &quoted[at + 1..])),
            b'\\' => value.push(*bytes.next()?.1),
            _ => value.push(byte),
        }
    }
    None
}

/// An address with or without port, brackets and zone; `None` for `unknown`, `_names` and whatever names nobody.
pub(super) fn node(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(trim_blanks(text)).ok()?;
    let address = if let Some(bracketed) = text.strip_prefix('[') {
        let (inside, port) = bracketed.split_once(']')?;
        if !port.is_empty() {
            check_port(port.strip_prefix(':')?)?;
        }
        IpAddr::V6(without_zone(inside)?)
    } else if let Ok(four) = text.parse::<Ipv4Addr>() {
        IpAddr::V4(four)
    } else if let Some(four) = text.split_once(':').and_then(|(host, port)| check_port(port).and(host.parse::<Ipv4Addr>().ok())) {
        IpAddr::V4(four)
    } else {
        IpAddr::V6(without_zone(text)?)
    };
    Some(canonical(address)).filter(|&address| names_somebody(address))
}

fn check_port(port: &str) -> Option<()> {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let obfuscated = port.len() > 1
        && port.starts_with('_')
        && port.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    (digits || obfuscated).then_some(())
}

fn without_zone(text: &str) -> Option<Ipv6Addr> {
    match text.split_once('%') {
        Some((address, zone))
            if !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte)) =>
        {
            address.parse().ok()
        }
        Some(_) => None,
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1\t", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:8080", Some("2001:db8::1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("[fe80::1%25eth0]:1", Some("fe80::1")),
            ("fe80::1%", None),
            ("fe80::1%eth!0", None),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("0.0.0.0", None),
            ("::", None),
            ("::ffff:0.0.0.0", None),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("a", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:65536", None),
            ("192.0.2.01", None),
            ("192.0.2", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1]x", None),
            ("[2001:db8::1", None),
            ("192.0.2.1 192.0.2.2", None),
        ] {
            assert_eq!(node(text.as_bytes()), expected.map(|address| address.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn elements_of_forwarded() {
        for (text, expected) in [
            ("for=192.0.2.1", Some("192.0.2.1")),
            ("FOR = 192.0.2.1", None),
            ("FOR =192.0.2.1", None),
            ("For=\"[2001:db8::1]:80\";proto=http; by=203.0.113.43", Some("2001:db8::1")),
            ("proto=http;for=\"192.0.2.\\1\"", Some("192.0.2.1")),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for=_obf", None),
            ("for=unknown", None),
            ("proto=http", None),
            ("for=\"192.0.2.1\"x", None),
            ("for=192.0.2.1;", Some("192.0.2.1")),
            (";;for=192.0.2.1; ;by=_x", Some("192.0.2.1")),
            (";", None),
            ("for", None),
            ("", None),
            ("for=", None),
        ] {
            assert_eq!(forwarded_for(text.as_bytes()), expected.map(|address| address.parse().unwrap()), "{text}");
        }
        assert_eq!(elements(b"a, \"b,\\\"c\" ,d").map(|elements| elements.len()), Some(3));
        assert!(elements(b"for=\"a, b").is_none());
    }
}
