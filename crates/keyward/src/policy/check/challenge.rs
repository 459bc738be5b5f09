//! A challenge of the policy's own, by the grammar of RFC 9110 §11.6.1: what clients cannot parse tells them nothing.

use http::HeaderValue;

use super::Checker;
use crate::source::is_token_byte;

impl Checker {
    pub(super) fn challenge(&mut self, field: &str, written: &str) -> Option<HeaderValue> {
        let value = HeaderValue::from_str(written).ok().filter(|_| are_challenges(written));
        if value.is_none() {
            self.fault(
                field,
                format!("`{written}` is no challenge"),
                "write a scheme, alone or with parameters: \"APIKey\", or 'ApiKey realm=\"api\"'",
            );
        }
        value
    }
}

/// `challenge = auth-scheme [ 1*SP ( token68 / #auth-param ) ]`, one or more of them.
fn are_challenges(text: &str) -> bool {
    // Parameters are divided by commas, as challenges are: an element may go on with the challenge before it.
    let mut may_go_on = false;
    elements(text).into_iter().all(|element| {
        if may_go_on && is_parameter(element) {
            return true;
        }
        let (scheme, rest) = element.split_once(' ').unwrap_or((element, ""));
        let rest = rest.trim_start_matches(' ');
        may_go_on = is_parameter(rest);
        is_token(scheme) && (rest.is_empty() || may_go_on || is_token68(rest))
    })
}

/// What stands between commas, but for those inside quotes.
fn elements(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                found.push(text[start..at].trim_matches([' ', '\t']));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(text[start..].trim_matches([' ', '\t']));
    found
}

fn is_parameter(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| {
        let value = value.trim_start_matches([' ', '\t']);
        is_token(name.trim_end_matches([' ', '\t'])) && (is_token(value) || is_quoted(value))
    })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_token68(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

fn is_quoted(text: &str) -> bool {
    let Some(inside) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return false };
    let mut escaped = false;
    let readable = inside.bytes().all(|byte| {
        let fits = escaped || byte != b'"';
        escaped = !escaped && byte == b'\\';
        fits && (byte == b' ' || byte.is_ascii_graphic())
    });
    readable && !escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_told_from_other_texts() {
        for good in [
            "APIKey",
            "ApiKey realm=\"api\"",
            "ApiKey realm=api, charset = \"UTF-8\"",
            "Bearer realm=\"a, b\", error=\"x\", APIKey",
            "Negotiate YII+/~=",
            "A, B",
            "A b=\"\\\"\"",
            "A b=\"\"",
        ] {
            assert!(are_challenges(good), "{good}");
        }
        for bad in [
            "",
            " ",
            ",",
            "A,",
            "A, , B",
            "Please send the API key",
            "realm=\"api\"",
            "A, realm=\"api\"",
            "A realm=\"api",
            "A realm=\"api\\\"",
            "A realm=\"a\" b",
            "A b c",
            "A \"b\"",
            "Schlüssel",
            "A b=\"ü\"",
            "A\tb=c",
        ] {
            assert!(!are_challenges(bad), "{bad}");
        }
        assert!(HeaderValue::from_str("A b=\"\n\"").is_err());
    }
}
