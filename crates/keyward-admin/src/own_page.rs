//! Whether a change was asked for by a page of ours (R13), where no session says whose it is: signing in and up.
//!
//! Requests with a session are judged by the guard, and forms by their token as well.

use http::{HeaderMap, header};

/// Whether another site's page sent the request. Programs send neither header, and browsers always send one with a POST.
pub(crate) fn is_foreign(headers: &HeaderMap, own_origin: Option<&str>) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    let is_own = match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => own_origin.is_some_and(|own| origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())),
        _ => false,
    };
    let is_cross_site = |site: &http::HeaderValue| site.as_bytes().eq_ignore_ascii_case(b"cross-site");
    !is_own || headers.get_all("sec-fetch-site").iter().any(is_cross_site)
}

/// Whether a browser says where the request comes from.
pub(crate) fn is_told(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_or_nobodys() {
        let own = Some("https://keys.example.com");
        for (lines, foreign) in [
            (&[][..], false),
            (&[("origin", "https://keys.example.com")][..], false),
            (&[("origin", "HTTPS://KEYS.example.com")], false),
            (&[("origin", "https://keys.example.com"), ("sec-fetch-site", "same-origin")], false),
            (&[("origin", "https://keys.example.com.evil.example")], true),
            (&[("origin", "http://keys.example.com")], true),
            (&[("origin", "null")], true),
            (&[("origin", "https://keys.example.com"), ("origin", "https://evil.example")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("origin", "https://keys.example.com"), ("sec-fetch-site", "cross-site")], true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_foreign(&headers, own), foreign, "{lines:?}");
            assert_eq!(
                is_foreign(&headers, None),
                foreign || headers.contains_key("origin"),
                "without an origin of our own: {lines:?}"
            );
        }
    }
}
