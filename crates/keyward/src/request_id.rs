//! The request id (R1.1): the client's own where it is harmless, else a new UUID.

use std::fmt;

use smallvec::SmallVec;

use crate::random::Random;

/// The id that ties a request, its answer and its audit event together.
///
/// Either the one value that the client sent, if it is 1 to 128 characters of `A-Za-z0-9._~:/+=@-`, or a new random UUID.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(SmallVec<[u8; 40]>);

impl RequestId {
    /// Takes `offered` if there is exactly one value and it is harmless.
    pub(crate) fn choose(offered: Option<&[u8]>, random: &dyn Random) -> Self {
        match offered {
            Some(value) if is_harmless(value) => Self(SmallVec::from_slice(value)),
            _ => Self::new(random),
        }
    }

    fn new(random: &dyn Random) -> Self {
        let uuid = uuid::Builder::from_random_bytes(random.identifier().to_ne_bytes()).into_uuid();
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        uuid.hyphenated().encode_lower(&mut text);
        Self(SmallVec::from_slice(&text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Only harmless ASCII is ever stored, so this never falls back.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn is_harmless(value: &[u8]) -> bool {
    (1..=128).contains(&value.len()) && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._~:/+=@-".contains(byte))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn harmless_values_are_kept_and_others_replaced() {
        let kept = |value: &[u8]| RequestId::choose(Some(value), &SystemRandom).as_str().as_bytes() == value;
        assert!(kept(b"custom-trace-123"));
        assert!(kept(&[b'a'; 128]));
        assert!(!kept(&[b'a'; 129]));
        assert!(!kept(b""));
        assert!(!kept(b"a b"));
        assert!(!kept(b"a\nb"));
        assert!(!kept("ä".as_bytes()));
        assert_eq!(RequestId::choose(None, &SystemRandom).as_str().len(), 36);
    }
}
