//! What browsers say by themselves: which page sent a request (R13), and the cookies they hold (R6.4).
//!
//! Guards ask this before a cookie counts. Who signs people in has to ask it where no cookie says yet who they are.

use http::{HeaderMap, header};

use crate::policy::Policy;
use crate::source::{each_cookie, trim_blanks};

/// Whose page sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// A page of the policy's own origin.
    OwnPage,
    /// No header says: a program, or a page of the same origin by a browser that keeps quiet about those.
    Untold,
    /// A page of somebody else, or one that may be.
    OtherPage,
}

impl Sender {
    /// Whose page sent a request with these headers (`Origin` and `Sec-Fetch-Site`), where `policy` knows its own origin. Of two
    /// origins, and of any other than the own, none is believed; so without `access.public_url` every `Origin` is somebody else's.
    pub fn of(headers: &HeaderMap, policy: &Policy) -> Self {
        let lines = |name| headers.get_all(name).iter().map(http::HeaderValue::as_bytes);
        let origins: Vec<&[u8]> = lines(header::ORIGIN.as_str()).collect();
        Self::told(&origins, lines("sec-fetch-site"), policy.public_origin())
    }

    /// By the lines of both headers.
    pub(crate) fn told<'r>(origins: &[&[u8]], mut sites: impl Iterator<Item = &'r [u8]>, own: Option<&str>) -> Self {
        if sites.any(|site| trim_blanks(site).eq_ignore_ascii_case(b"cross-site")) {
            return Self::OtherPage;
        }
        match origins {
            [] => Self::Untold,
            [origin] if own.is_some_and(|own| is_origin(origin, own)) => Self::OwnPage,
            _ => Self::OtherPage,
        }
    }
}

/// Whether a line names this origin. Schemes and hosts have no case (RFC 6454 §4).
pub(crate) fn is_origin(line: &[u8], origin: &str) -> bool {
    trim_blanks(line).eq_ignore_ascii_case(origin.as_bytes())
}

/// The value of the one cookie with this name, as written. Of two, an attacker may have planted one: there is none then (R6.4).
pub fn only_cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r [u8]> {
    only(headers.get_all(header::COOKIE).iter().map(http::HeaderValue::as_bytes), name)
}

/// The same, of the lines of `Cookie`.
pub(crate) fn only<'r>(lines: impl Iterator<Item = &'r [u8]>, name: &str) -> Option<&'r [u8]> {
    let mut values = each_cookie(lines).filter(|(given, _)| *given == name.as_bytes()).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn own_somebody_elses_or_nobody_says() {
        let own = Policy::builder().public_url("https://keys.example.com").build().unwrap();
        let nobodys = Policy::builder().build().unwrap();
        for (lines, sender) in [
            (&[][..], Sender::Untold),
            (&[("sec-fetch-site", "same-origin")][..], Sender::Untold),
            (&[("origin", "https://keys.example.com")], Sender::OwnPage),
            (&[("origin", "HTTPS://KEYS.example.com")], Sender::OwnPage),
            (&[("origin", "https://keys.example.com"), ("sec-fetch-site", "same-origin")], Sender::OwnPage),
            (&[("origin", "https://keys.example.com.evil.example")], Sender::OtherPage),
            (&[("origin", "http://keys.example.com")], Sender::OtherPage),
            (&[("origin", "null")], Sender::OtherPage),
            (&[("origin", "")], Sender::OtherPage),
            (&[("origin", "https://keys.example.com"), ("origin", "https://evil.example")], Sender::OtherPage),
            (&[("sec-fetch-site", "cross-site")], Sender::OtherPage),
            (&[("sec-fetch-site", "none"), ("sec-fetch-site", "Cross-Site")], Sender::OtherPage),
            (&[("origin", "https://keys.example.com"), ("sec-fetch-site", "cross-site")], Sender::OtherPage),
        ] {
            let headers = headers(lines);
            assert_eq!(Sender::of(&headers, &own), sender, "{lines:?}");
            let without_own = if sender == Sender::OwnPage { Sender::OtherPage } else { sender };
            assert_eq!(Sender::of(&headers, &nobodys), without_own, "without an origin of our own: {lines:?}");
        }
    }

    #[test]
    fn one_cookie_or_none() {
        for (lines, value) in [
            (&[("cookie", "a=1; session=x; b=2")][..], Some(&b"x"[..])),
            (&[("cookie", "a=1"), ("cookie", "session=x")], Some(b"x")),
            (&[("cookie", "session=")], Some(b"")),
            (&[("cookie", "session=\u{e9}")], Some("\u{e9}".as_bytes())),
            (&[("cookie", "session=x; session=x")], None),
            (&[("cookie", "session=x"), ("cookie", "session=y")], None),
            (&[("cookie", "Session=x; xsession=y; session")], None),
        ] {
            assert_eq!(only_cookie(&headers(lines), "session"), value, "{lines:?}");
        }
    }
}
