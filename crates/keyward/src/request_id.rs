//! The request id (R1.1): the client's own where it is harmless, else a new UUID.

use std::fmt;

use arrayvec::ArrayString;

use crate::random::Random;

/// The id that ties a request, its answer and its audit event together.
///
/// Either the one value that the client sent, if it is 1 to 128 characters of `A-Za-z0-9._~:/+=@-`, or a new random UUID.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Text);

#[derive(Clone, PartialEq, Eq)]
enum Text {
    /// Long enough for a UUID, so that the common ones take no memory of their own.
    Short(ArrayString<40>),
    Long(Box<str>),
}

impl RequestId {
    /// Takes `offered` if there is exactly one value and it is harmless.
    pub(crate) fn choose(offered: Option<&[u8]>, random: &dyn Random) -> Self {
        let harmless = offered.filter(|value| is_harmless(value)).and_then(|value| std::str::from_utf8(value).ok());
        match harmless {
            Some(value) => Self(ArrayString::from(value).map_or_else(|_| Text::Long(value.into()), Text::Short)),
            None => Self::new(random),
        }
    }

    fn new(random: &dyn Random) -> Self {
        let uuid = uuid::Builder::from_random_bytes(random.identifier().to_ne_bytes()).into_uuid();
        let mut bytes = [0; uuid::fmt::Hyphenated::LENGTH];
        let text = uuid.hyphenated().encode_lower(&mut bytes);
        Self(ArrayString::from(text).map_or_else(|_| Text::Long((&*text).into()), Text::Short))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short(text) => text,
            Text::Long(text) => text,
        }
    }
}

fn is_harmless(value: &[u8]) -> bool {
    (1..=128).contains(&value.len()) && value.iter().all(|&byte| HARMLESS[usize::from(byte)])
}

/// A table: this is asked of every byte of every request's id.
static HARMLESS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric()
            || matches!(byte as u8, b'.' | b'_' | b'~' | b':' | b'/' | b'+' | b'=' | b'@' | b'-');
        byte += 1;
    }
    table
};

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
