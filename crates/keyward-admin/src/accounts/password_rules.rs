//! Which passwords are taken: NIST SP 800-63B section 3.1.1.2. Length and a list of common ones; no rules of composition, which make
//! passwords easier to guess and harder to remember.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::matching::patterns::MatchPattern;

/// What a password has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PasswordRules {
    /// In characters.
    pub(crate) shortest: usize,
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadPassword {
    /// It has fewer characters than this.
    Short(usize),
    /// It has more than 256 characters.
    Long,
    /// It is one of the most common passwords, one character again and again, or a row of a keyboard.
    Common,
    /// It is what everybody knows of the account.
    Known,
}

impl std::fmt::Display for BadPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short(shortest) => write!(f, "is too short: at least {shortest} characters"),
            Self::Long => write!(f, "is too long: at most {} characters", PasswordRules::LONGEST),
            Self::Common => f.write_str("is one of the first that are guessed: choose several words that do not belong together"),
            Self::Known => f.write_str("is known to everybody who knows the account: choose another"),
        }
    }
}

impl std::error::Error for BadPassword {}

impl PasswordRules {
    /// SP 800-63B asks for 15 where a password is all that is asked for, and was content with 8 before its fourth revision, which
    /// many services still are. A service that has no such habits to keep raises it.
    pub(crate) const USUAL: Self = Self { shortest: 8 };
    const LONGEST: usize = 256;

    /// A password as it is hashed. Keyboards write one character in several ways (NFKC, as SP 800-63B advises).
    pub(crate) fn normal(password: &str) -> Zeroizing<String> {
        Zeroizing::new(password.nfkc().collect())
    }

    /// Whether a normal password can be taken for an account; `known` is what everybody knows of it. Takes a millisecond or so.
    pub(crate) fn check(self, normal: &str, known: &[&str]) -> Result<(), BadPassword> {
        let length = normal.chars().count();
        if length < self.shortest {
            return Err(BadPassword::Short(self.shortest));
        }
        if length > Self::LONGEST {
            return Err(BadPassword::Long);
        }
        let lower = normal.to_lowercase();
        if known.iter().any(|known| !known.is_empty() && known.to_lowercase() == lower) {
            return Err(BadPassword::Known);
        }
        // The list is that of zxcvbn (30,000 passwords of real breaches). Of what it finds, only that counts which is the whole
        // password: rules about parts are rules of composition. It looks at the first hundred characters.
        let found = zxcvbn::zxcvbn(normal, &[]);
        match found.sequence() {
            [one] if !matches!(one.pattern, MatchPattern::BruteForce) => Err(BadPassword::Common),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_enough_and_on_no_list() {
        let rules = PasswordRules { shortest: 8 };
        let known = ["ada@example.com", "Ada", "Lovelace"];
        for (password, expected) in [
            ("gx7wq2m", Err(BadPassword::Short(8))),
            ("gx7wq2mz", Ok(())),
            ("\u{1f9a2}\u{1f9a2}\u{1f9a2}\u{1f9a2}\u{1f9a2}\u{1f9a2}\u{1f9a2}", Err(BadPassword::Short(8))),
            ("password", Err(BadPassword::Common)),
            ("PassWord", Err(BadPassword::Common)),
            ("p4ssw0rd", Err(BadPassword::Common)),
            ("iloveyou", Err(BadPassword::Common)),
            ("aaaaaaaaaaaa", Err(BadPassword::Common)),
            ("abcdefghijkl", Err(BadPassword::Common)),
            ("qwertyuiop", Err(BadPassword::Common)),
            ("ADA@example.com", Err(BadPassword::Known)),
            ("lovelace", Err(BadPassword::Known)),
            ("yourpassword", Ok(())),
            ("a dozen mauve geese", Ok(())),
        ] {
            assert_eq!(rules.check(&PasswordRules::normal(password), &known), expected, "{password}");
        }
        let random: String = (0..257).map(|number| char::from(b'a' + (number * number * 7 % 26) as u8)).collect();
        assert_eq!(rules.check(&random[..256], &[]), Ok(()));
        assert_eq!(rules.check(&random, &[]), Err(BadPassword::Long));
    }

    #[test]
    fn one_password_however_the_keyboard_writes_it() {
        assert_eq!(*PasswordRules::normal("cafe\u{301} ﬁne"), *PasswordRules::normal("caf\u{e9} fine"));
    }
}
