//! The address that an account is known by.

use std::fmt;
use std::str::FromStr;

/// An e-mail address, in lower case. It identifies an account and is never written to by Keyward.
///
/// ASCII alone: of two addresses that look alike to a person, one could otherwise pass for the other. What stands before the `@` is
/// compared without case too, as every large provider does (RFC 5321 section 2.4 advises against telling addresses apart by it).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Box<str>);

/// What was written is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no e-mail address like ada@example.com (at most 254 ASCII characters, without blanks)")]
pub struct BadEmailAddress;

impl EmailAddress {
    /// RFC 5321 section 4.5.3.1.3, without the angle brackets.
    const LONGEST: usize = 254;

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = BadEmailAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_good =
            text.len() <= Self::LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic() && !br#"<>()[],;:\""#.contains(&byte));
        let (local, domain) = text.split_once('@').ok_or(BadEmailAddress)?;
        if !is_good
            || local.is_empty()
            || domain.is_empty()
            || domain.contains('@')
            || domain.starts_with('.')
            || domain.ends_with('.')
        {
            return Err(BadEmailAddress);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_with_something_on_either_side() {
        let longest = format!("{}@example.com", "a".repeat(254 - 12));
        for (text, good) in [
            ("ada@example.com", true),
            ("a@b", true),
            ("Ada+keys@Example.COM", true),
            (longest.as_str(), true),
            (&format!("a{longest}"), false),
            ("", false),
            ("@", false),
            ("ada@", false),
            ("@example.com", false),
            ("ada@b@c", false),
            ("ada @b", false),
            ("ada@b\n", false),
            ("\u{430}da@example.com", false),
            ("ada@.com", false),
            ("ada@com.", false),
            ("\"a b\"@c", false),
            ("a<b@c", false),
        ] {
            assert_eq!(text.parse::<EmailAddress>().is_ok(), good, "{text:?}");
        }
        assert_eq!("Ada@Example.COM".parse::<EmailAddress>().unwrap(), "ada@example.com".parse().unwrap());
    }
}
