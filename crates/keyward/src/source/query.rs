//! A credential in a query parameter (R5.3; the WHATWG URL standard's urlencoded form), and taking it out again (R10.3).

use std::borrow::Cow;

use super::Found;
use crate::credential::Credential;

pub(super) fn look<'r>(query: Option<&'r str>, name: &str) -> Found<'r> {
    let named = segments(query.unwrap_or_default()).filter(|segment| *decode_name(split(segment).0) == *name.as_bytes());
    Found::of(named, |segment| {
        let value = split(segment).1.as_bytes();
        Some(match decode(value) {
            Some(decoded) => Credential::new(decoded),
            None => Credential::malformed(value),
        })
    })
}

/// The query without every parameter of these names, all other bytes untouched. The outer `None`: there is none of them. The
/// inner `None`: nothing is left, so the `?` goes too.
pub(crate) fn without_parameters(query: &str, is_ours: impl Fn(&[u8]) -> bool) -> Option<Option<String>> {
    let ours = |segment: &str| is_ours(&decode_name(split(segment).0));
    if !holds_parameter(query, &is_ours) {
        return None;
    }
    let kept: Vec<&str> = segments(query).filter(|segment| !ours(segment)).collect();
    Some((!kept.is_empty()).then(|| kept.join("&")))
}

/// Whether the query has a parameter of one of these names.
pub(crate) fn holds_parameter(query: &str, is_ours: impl Fn(&[u8]) -> bool) -> bool {
    segments(query).any(|segment| is_ours(&decode_name(split(segment).0)))
}

fn segments(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

fn split(segment: &str) -> (&str, &str) {
    segment.split_once('=').unwrap_or((segment, ""))
}

/// Broken encoding stays as it stands in a name, as everywhere in the standard.
fn decode_name(name: &str) -> Cow<'_, [u8]> {
    match decode(name.as_bytes()) {
        Some(decoded) => decoded,
        None => Cow::Owned(decode_loosely(name.as_bytes())),
    }
}

/// `+` is a space, `%XX` a byte. `None` where a `%` is not followed by two hexadecimal digits.
fn decode(text: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let whole = |(at, _): (usize, &u8)| text.get(at + 1..at + 3).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
    if !text.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(whole) {
        return None;
    }
    Some(Cow::Owned(decode_loosely(text)))
}

fn decode_loosely(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    percent_encoding::percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(query: &'static str) -> String {
        match look(Some(query), "api_key") {
            Found::Nothing => "nothing".to_owned(),
            Found::Duplicate | Found::Alone => "duplicate".to_owned(),
            Found::One(credential) if credential.is_malformed() => "malformed".to_owned(),
            Found::One(credential) => String::from_utf8_lossy(credential.expose()).into_owned(),
        }
    }

    #[test]
    fn parameters_are_decoded_and_counted() {
        assert_eq!(found("api_key=abc"), "abc");
        assert_eq!(found("a=1&api%5fkey=a%62c&b"), "abc");
        assert_eq!(found("api_key=abc&api_key=abc"), "duplicate");
        assert_eq!(found("api_key=abc&api%5Fkey=abc"), "duplicate");
        assert_eq!(found("API_KEY=abc&x=api_key"), "nothing");
        for malformed in ["api_key", "api_key=", "api_key=%zz", "api_key=a%2", "api_key=a+b", "api_key=%00", "api_key=%ff"] {
            assert_eq!(found(malformed), "malformed", "{malformed}");
        }
        assert_eq!(found("api_key=a=b;c"), "a=b;c");
    }

    #[test]
    fn removing_leaves_the_rest_alone() {
        let without = |query| without_parameters(query, |name| name == b"api_key");
        assert_eq!(without("a=1&api_key=x&b=%zz+"), Some(Some("a=1&b=%zz+".to_owned())));
        assert_eq!(without("api_key=x"), Some(None));
        assert_eq!(without("api%5fkey=x&"), Some(Some(String::new())));
        assert_eq!(without("api_key=x&api_key=y&&c"), Some(Some("&c".to_owned())));
        assert_eq!(without("a=1"), None);
    }
}
