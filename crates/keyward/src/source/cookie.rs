//! A credential in a cookie (R5.1 to R5.3; RFC 6265 §4.2).

use super::Found;
use super::header::trim_blanks;
use crate::credential::Credential;

pub(super) fn look<'r>(lines: &[&'r [u8]], name: &str) -> Found<'r> {
    let named = each_cookie(lines.iter().copied()).filter(|(cookie, _)| *cookie == name.as_bytes());
    Found::of(named, |(_, value)| Some(Credential::new(value)))
}

/// Every `name=value` of all lines: HTTP/2 may split one list over several lines. Names and values as written; quotes belong
/// to the value.
pub(crate) fn each_cookie<'r>(lines: impl Iterator<Item = &'r [u8]>) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
    lines.flat_map(|line| line.split(|&byte| byte == b';')).filter_map(split_pair)
}

fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let pair = trim_blanks(pair);
    let equals = pair.iter().position(|&byte| byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..]))
}

/// The line without the named cookies, all other bytes untouched. `None`: nothing to remove. Empty: nothing is left.
pub(crate) fn without_cookie(line: &[u8], is_ours: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let ours = |pair: &[u8]| split_pair(pair).is_some_and(|(name, _)| is_ours(name));
    if !line.split(|&byte| byte == b';').any(ours) {
        return None;
    }
    let kept: Vec<&[u8]> = line.split(|&byte| byte == b';').filter(|pair| !ours(pair)).collect();
    Some(trim_blanks(&kept.join(&b';')).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&'static [u8]]) -> String {
        match look(lines, "key") {
            Found::Nothing => "nothing".to_owned(),
            Found::Duplicate | Found::Alone => "duplicate".to_owned(),
            Found::One(credential) if credential.is_malformed() => "malformed".to_owned(),
            Found::One(credential) => String::from_utf8_lossy(credential.expose()).into_owned(),
        }
    }

    #[test]
    fn cookies_are_one_list_by_exact_name() {
        assert_eq!(found(&[b"a=1; key=abc;b=2"]), "abc");
        assert_eq!(found(&[b"a=1", b"key=abc"]), "abc");
        assert_eq!(found(&[b"key=abc", b"key=abc"]), "duplicate");
        assert_eq!(found(&[b"key=abc; key=abc"]), "duplicate");
        assert_eq!(found(&[b"Key=abc; xkey=1; key"]), "nothing");
        assert_eq!(found(&[b"key="]), "malformed");
        assert_eq!(found(&[b"key=\"abc\""]), "\"abc\"");
        assert_eq!(found(&[b"key=a=b"]), "a=b");
        assert_eq!(found(&[b"key=a b"]), "malformed");
    }

    #[test]
    fn removing_leaves_the_rest_alone() {
        let without = |line: &[u8]| without_cookie(line, |name| name == b"key").map(|line| String::from_utf8(line).unwrap());
        assert_eq!(without(b"a=1; key=x; b=\"2\""), Some("a=1; b=\"2\"".to_owned()));
        assert_eq!(without(b"key=x; b=2"), Some("b=2".to_owned()));
        assert_eq!(without(b"key=x"), Some(String::new()));
        assert_eq!(without(b"a=1;  b"), None);
    }
}
