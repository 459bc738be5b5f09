//! A path without the secrets that somebody wrote into it.
//!
//! No source reads a key there, but people paste them into the wrong place, and what is logged stays. What has the shape of a
//! generated key, a session or a ticket is cut short; what a key made elsewhere looks like, nobody knows.

use std::borrow::Cow;

use crate::account::Session;
use crate::key;

const CUT: &str = "***";
/// How a JSON object begins in base64url, so every ticket.
const TICKET: &str = "eyJ";

/// The path with `***` in place of what must not be shown. Almost every path is short, or has nothing of that shape.
pub(crate) fn shown_path(path: &str) -> Cow<'_, str> {
    if path.len() < key::LENGTH_BEHIND_PREFIX {
        return path.into();
    }
    let mut shown = String::new();
    let mut kept = 0;
    let mut at = 0;
    while at < path.len() {
        let rest = &path[at..];
        let length = rest.bytes().take_while(|&byte| is_of_word(byte)).count();
        if let Some(secret) = secret_in(&rest[..length]) {
            shown.push_str(&path[kept..at + secret]);
            shown.push_str(CUT);
            kept = at + length;
        }
        // What ends a word may be longer than a byte.
        at += length + rest[length..].chars().next().map_or(0, char::len_utf8);
    }
    if kept == 0 {
        return path.into();
    }
    shown.push_str(&path[kept..]);
    shown.into()
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Where in a word the secret begins.
fn secret_in(word: &str) -> Option<usize> {
    let session = || word.find(Session::PREFIX).map(|at| at + Session::PREFIX.len()).filter(|at| word.len() - at >= 43);
    let ticket = || word.find(TICKET).filter(|at| word[*at..].matches('.').count() >= 2).map(|at| at + TICKET.len());
    let key = || {
        let ends = word.match_indices('_').map(|(at, _)| at + 1);
        // A key with a typing error is still most of a key: its check is not looked at.
        ends.filter(|&at| word[at..].bytes().take_while(u8::is_ascii_alphanumeric).count() == key::LENGTH_BEHIND_PREFIX).min()
    };
    if word.len() < key::LENGTH_BEHIND_PREFIX { None } else { session().or_else(ticket).or_else(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn what_looks_like_a_secret_is_cut() {
        let key = key::generate(&"fw_key".parse().unwrap(), &SystemRandom).unwrap();
        let secret = key.expose().strip_prefix("fw_key_").unwrap();
        let session = format!("kws_{}", "aB3_-".repeat(9).get(..43).unwrap());
        for (path, shown) in [
            (format!("/keys/fw_key_{secret}"), "/keys/fw_key_***"),
            (format!("/keys/fw_key_{secret}/rotate"), "/keys/fw_key_***/rotate"),
            (format!("/fw_key_{secret};kw_{secret}=/ä"), "/fw_key_***;kw_***=/ä"),
            (format!("/key%3Dfw_key_{secret}%20"), "/key%3Dfw_key_***%20"),
            // One letter wrong.
            (format!("/fw_key_{}x", &secret[1..]), "/fw_key_***"),
            (format!("/s/{session}"), "/s/kws_***"),
            ("/t/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl".to_owned(), "/t/eyJ***"),
        ] {
            assert_eq!(shown_path(&path), shown, "{path}");
        }
    }

    #[test]
    fn everything_else_stands_as_it_was_sent() {
        let secret = "a".repeat(38);
        for path in [
            "",
            "/",
            "/reports/2026/ä/%2e%2e/\u{2028}",
            "/users/550e8400-e29b-41d4-a716-446655440000",
            "/keys/key_0mr6tgm3sn8kq",
            "/blobs/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            &format!("/{secret}"),
            &format!("/x_{secret}a"),
            &format!("/x_{}", &secret[1..]),
            "/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0eyJzdWIiOiIxMjM0In0",
        ] {
            assert!(matches!(shown_path(path), Cow::Borrowed(same) if same == path), "{path}");
        }
    }
}
