//! The shape of a generated key: `<prefix>_<secret><check>`.
//!
//! The secret is 32 base62 characters (190 bits), the check 6 base62 characters of the CRC-32 over the secret, most
//! significant first, padded with `0`: the scheme that GitHub published for its tokens, so that scanners can find a key
//! and a typing error is refused without asking a store. The check authenticates nothing.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use crate::answer::Fault;
use crate::credential::Secret;
use crate::random::Random;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SECRET_LENGTH: usize = 32;
const CHECK_LENGTH: usize = 6;
/// Of what follows the last `_` of a generated key.
pub(crate) const LENGTH_BEHIND_PREFIX: usize = SECRET_LENGTH + CHECK_LENGTH;
/// How many characters of the secret part are shown and stored with the prefix.
const SHOWN: usize = 4;

/// What a generated key begins with: words of lower-case letters and digits joined by `_`, the first starting with a letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyPrefix(Box<str>);

/// What was written cannot begin a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot begin a key: write 1 to 32 lower-case letters and digits, words joined by single `_`, starting with a letter, like `acme` or `acme_live`; not `kws`, which is sessions'"
)]
pub struct BadPrefix(String);

impl KeyPrefix {
    /// The prefix where none is named.
    pub fn keyward() -> Self {
        Self("kw".into())
    }

    /// The prefix without the `_` behind it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyPrefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let good = (1..=32).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.split('_').all(words);
        // What sessions begin with (R6.4).
        let good = good && text != "kws";
        if good { Ok(Self(text.into())) } else { Err(BadPrefix(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Makes a new key.
///
/// # Errors
/// When the random generator cannot be read.
///
/// ```
/// use keyward::{SystemRandom, key};
/// let made = key::generate(&"acme".parse()?, &SystemRandom)?;
/// assert!(made.expose().starts_with("acme_"));
/// assert_eq!(made.expose().len(), "acme_".len() + 38);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn generate(prefix: &KeyPrefix, random: &dyn Random) -> Result<Secret, Fault> {
    let mut secret = Zeroizing::new(String::with_capacity(SECRET_LENGTH));
    let mut bytes = Zeroizing::new([0; SECRET_LENGTH]);
    while secret.len() < SECRET_LENGTH {
        random.secret(&mut *bytes)?;
        // 248 is the largest multiple of 62 in a byte: dividing the rest too would favour the first symbols.
        let fair = bytes.iter().filter(|&&byte| byte < 248).map(|&byte| char::from(ALPHABET[usize::from(byte % 62)]));
        let missing = SECRET_LENGTH - secret.len();
        secret.extend(fair.take(missing));
    }
    Ok(Secret::new(format!("{prefix}_{}{}", *secret, check(&secret))))
}

/// The six characters that follow a secret.
///
/// ```
/// assert_eq!(keyward::key::check("QdwULL38u41vs1OcAjhKqcaSZ9W63r"), "0Zu4ln");
/// ```
pub fn check(secret: &str) -> String {
    let mut rest = crc32fast::hash(secret.as_bytes());
    let mut characters = [b'0'; CHECK_LENGTH];
    for character in characters.iter_mut().rev() {
        *character = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    characters.iter().map(|&byte| char::from(byte)).collect()
}

/// Reads a generated key: its prefix, if shape and check are right.
///
/// What stands before the last `_` is the prefix. `None` says nothing about keys made elsewhere.
pub fn parse(key: &str) -> Option<KeyPrefix> {
    let (prefix, rest) = key.rsplit_once('_')?;
    is_secret_with_check(rest).then(|| prefix.parse().ok()).flatten()
}

/// Whether a credential is one of a bound prefix's, but not as it was made (R7.1).
pub(crate) fn is_damaged(credential: &str, is_bound: impl FnOnce(&str) -> bool) -> bool {
    credential.rsplit_once('_').is_some_and(|(prefix, rest)| !is_secret_with_check(rest) && is_bound(prefix))
}

fn is_secret_with_check(rest: &str) -> bool {
    rest.len() == LENGTH_BEHIND_PREFIX
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && rest.split_at_checked(SECRET_LENGTH).is_some_and(|(secret, written)| check(secret) == written)
}

/// What may be shown of a key for ever: the prefix and the first four characters of a generated one (`acme_x7Fq`). Of any other
/// the same, where that is at most a third of it; else the first four characters of one that has at least sixteen; else
/// nothing.
pub fn display_prefix(key: &str) -> String {
    let with_prefix = key.rsplit_once('_').map(|(prefix, _)| prefix.len() + 1 + SHOWN);
    let is_little = |shown: &usize| parse(key).is_some() || *shown <= key.len() / 3;
    let shown = with_prefix.filter(is_little).or((key.len() >= 16).then_some(SHOWN));
    shown.and_then(|shown| key.get(..shown)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_generated_key_parses_and_every_single_edit_does_not() {
        let key = generate(&"fw_key".parse().unwrap(), &SystemRandom).unwrap();
        let key = key.expose();
        assert_eq!(parse(key).unwrap().as_str(), "fw_key");
        assert_eq!(display_prefix(key), key[.."fw_key_abcd".len()]);
        for at in "fw_key_".len()..key.len() {
            for other in ALPHABET.iter().map(|&byte| char::from(byte)).filter(|&other| !key[at..].starts_with(other)) {
                let edited = format!("{}{other}{}", &key[..at], &key[at + 1..]);
                assert!(parse(&edited).is_none());
                assert!(is_damaged(&edited, |prefix| prefix == "fw_key"));
            }
        }
        assert!(is_damaged(&key[..key.len() - 1], |prefix| prefix == "fw_key"));
        assert!(!is_damaged(&key[..key.len() - 1], |prefix| prefix == "fw"));
    }

    #[test]
    fn every_symbol_comes_up_about_equally_often() {
        let mut counts = [0_u32; 62];
        for _ in 0..4_000 {
            let key = generate(&KeyPrefix::keyward(), &SystemRandom).unwrap();
            for byte in key.expose().bytes().skip(3).take(SECRET_LENGTH) {
                counts[ALPHABET.iter().position(|&symbol| symbol == byte).unwrap()] += 1;
            }
        }
        let expected = 4_000.0 * 32.0 / 62.0;
        let chi_square: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        // 61 degrees of freedom: beyond 130 in fewer than one run in a million.
        assert!(chi_square < 130.0, "{chi_square} {counts:?}");
    }

    #[test]
    fn prefixes() {
        for good in ["a", "kw", "fw_key", "a1_2b"] {
            assert!(good.parse::<KeyPrefix>().is_ok(), "{good}");
        }
        for bad in ["", "_", "a_", "_a", "a__b", "A", "1a", "a-b", "ä", &"a".repeat(33)] {
            assert!(bad.parse::<KeyPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn little_is_shown_of_other_peoples_keys() {
        assert_eq!(display_prefix("short-key"), "");
        assert_eq!(display_prefix("0123456789abcdef"), "0123");
        assert_eq!(display_prefix("ein_zwei"), "");
        assert_eq!(display_prefix("correct_horse_battery_staple_of_great_length"), "corr");
        assert_eq!(display_prefix("fw_key_0123456789abcdefghijklmnop"), "fw_key_0123");
    }
}
