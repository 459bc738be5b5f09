//! A credential in a header, with or without a scheme (R5.2, RFC 9110 §11.4, RFC 6750 §2.1).

use crate::credential::Credential;

/// The credential in the header's one value; `None` where the value is another scheme's.
pub(super) fn read<'r>(value: &'r [u8], scheme: Option<&str>) -> Option<Credential<'r>> {
    let value = trim_blanks(value);
    let Some(scheme) = scheme else { return Some(Credential::new(value)) };
    if value.is_empty() {
        return Some(Credential::malformed(value));
    }
    let rest = after_scheme(value, scheme)?;
    let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
    let token = &rest[spaces..];
    // Nothing behind the scheme, or something other than spaces between: the scheme is ours, the rest is no credential.
    if token.is_empty() || spaces == 0 {
        return Some(Credential::malformed(value));
    }
    Some(Credential::new(token))
}

/// Whether a header value is of this scheme, well shaped or not.
pub(crate) fn scheme_matches(value: &[u8], scheme: &str) -> bool {
    after_scheme(trim_blanks(value), scheme).is_some()
}

/// What follows the scheme, if the value's first token is that scheme in any case.
fn after_scheme<'r>(value: &'r [u8], scheme: &str) -> Option<&'r [u8]> {
    let (first, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(|&byte| !is_token_byte(byte));
    (first.eq_ignore_ascii_case(scheme.as_bytes()) && ends).then_some(rest)
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Leading and trailing blanks of a header value do not count (RFC 9110 §5.5).
pub(crate) fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(value: &[u8]) -> Option<Result<Vec<u8>, ()>> {
        read(value, Some("Bearer"))
            .map(|credential| if credential.is_malformed() { Err(()) } else { Ok(credential.expose().to_vec()) })
    }

    #[test]
    fn schemes_in_any_case_and_spaces_only() {
        let good = Some(Ok(b"abc".to_vec()));
        for value in [&b"Bearer abc"[..], b"bEARER abc", b"Bearer    abc", b" \tBearer abc \t"] {
            assert_eq!(bearer(value), good, "{value:?}");
        }
        for value in
            [&b"Bearer"[..], b"Bearer ", b"Bearer\tabc", b"Bearer \tabc", b"Bearer,abc", b"Bearer a b", b"", b"Bearer \xff"]
        {
            assert_eq!(bearer(value), Some(Err(())), "{value:?}");
        }
        for value in [&b"Basic abc"[..], b"Bearers abc", b"Bear abc", b"abc"] {
            assert_eq!(bearer(value), None, "{value:?}");
        }
    }
}
