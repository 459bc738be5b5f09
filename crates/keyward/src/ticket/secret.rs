//! The server's secret, from which the keys are derived that sign tickets.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::weak::{Weakness, weakness};
use crate::answer::Fault;
use crate::random::Random;

/// What the signatures of all keyed tickets are derived from (R14.2): at least 32 bytes that nobody can guess.
///
/// Whoever knows it, and the epoch of a key's record, can make tickets for that key. All processes that serve the same tickets
/// need the same one. Wiped when it is dropped; `Debug` hides it.
#[derive(Clone)]
pub struct ServerSecret(Zeroizing<Box<[u8]>>);

/// The secret could be guessed. Says why, and nothing of the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server's secret {0}: make one with `openssl rand -base64 32`")]
pub struct WeakSecret(pub(super) Weakness);

impl ServerSecret {
    /// Takes the bytes as they are.
    ///
    /// # Errors
    /// [`WeakSecret`], for fewer than 32 bytes; for bytes that are words, runs or repetitions for the most part; and for
    /// published ones.
    pub fn from_bytes(secret: &[u8]) -> Result<Self, WeakSecret> {
        match weakness(secret) {
            Some(weakness) => Err(WeakSecret(weakness)),
            None => Ok(Self(Zeroizing::new(secret.into()))),
        }
    }

    /// A new one, of 32 random bytes. Tickets that are signed with it end with the process, unless you keep it.
    ///
    /// # Errors
    /// When the random generator cannot be read.
    pub fn generate(random: &dyn Random) -> Result<Self, Fault> {
        let mut secret = Zeroizing::new([0; 32]);
        random.secret(&mut *secret)?;
        Self::from_bytes(&*secret).map_err(|_| Fault::new("the random generator gives bytes that can be guessed"))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for ServerSecret {
    type Err = WeakSecret;

    /// Takes the text's bytes as they are, undecoded, without the blanks and line ends around them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.trim().as_bytes())
    }
}

impl fmt::Debug for ServerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSecret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    struct Stuck;

    impl Random for Stuck {
        fn secret(&self, _: &mut [u8]) -> Result<(), Fault> {
            Ok(())
        }

        fn identifier(&self) -> u128 {
            0
        }
    }

    #[test]
    fn good_ones_are_taken_and_hidden() {
        let text = "kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs=";
        let secret: ServerSecret = format!(" {text}\r\n").parse().unwrap();
        assert_eq!(secret.expose(), text.as_bytes());
        assert_eq!(format!("{secret:?}"), "ServerSecret(hidden)");
        assert_eq!(ServerSecret::generate(&SystemRandom).unwrap().expose().len(), 32);
        assert!(ServerSecret::generate(&Stuck).is_err(), "a generator that gives zeros");
    }

    #[test]
    fn errors_say_why_and_how_to_mend_it_and_not_what() {
        for weak in ["hunter2", "my-very-own-jwt-signing-key-for-production", "abababababababababababababababababab"] {
            let error = weak.parse::<ServerSecret>().unwrap_err();
            let told = format!("{error} {error:?}");
            assert!(error.to_string().ends_with("`openssl rand -base64 32`"), "{told}");
            assert!((0..weak.len() - 4).all(|at| !told.contains(&weak[at..at + 5])), "{told}");
        }
    }
}
