//! Passwords of accounts: Argon2id, with its parameters beside the hash.

use std::fmt;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use crate::answer::Fault;
use crate::random::Random;

/// The Argon2id hash of a password, as a PHC string. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

/// What was read from storage is no hash that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no Argon2id hash of version 19 with at most 64 MiB, 10 passes and 4 lanes")]
pub struct UnusablePassword;

impl PasswordHash {
    /// Hashes a password with 19 MiB and two passes (OWASP's recommendation). Takes about 20 ms: never on a thread that serves
    /// requests.
    ///
    /// # Errors
    /// When the random generator, or the memory, is not to be had.
    pub fn of(password: &str, random: &dyn Random) -> Result<Self, Fault> {
        let fault = |error: &dyn fmt::Display| Fault::new(format!("a password could not be hashed: {error}"));
        let mut salt = [0; 16];
        random.secret(&mut salt)?;
        let salt = phc::Salt::new(&salt).map_err(|error| fault(&error))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
        let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt).map_err(|error| fault(&error))?;
        Ok(Self(hash.to_string().into()))
    }

    /// Reads a hash from storage.
    ///
    /// # Errors
    /// [`UnusablePassword`]: parameters are judged before any memory is taken.
    pub fn from_phc(phc: &str) -> Result<Self, UnusablePassword> {
        let parsed = phc::PasswordHash::new(phc).map_err(|_| UnusablePassword)?;
        let params = Params::try_from(&parsed).map_err(|_| UnusablePassword)?;
        let is_argon2id = parsed.algorithm.as_str() == "argon2id" && parsed.version == Some(19);
        let is_whole = parsed.salt.is_some() && parsed.hash.is_some();
        let is_bounded = params.m_cost() <= 65_536 && params.t_cost() <= 10 && params.p_cost() <= 4;
        if is_argon2id && is_whole && is_bounded { Ok(Self(phc.into())) } else { Err(UnusablePassword) }
    }

    /// The PHC string, for storage.
    pub fn phc(&self) -> &str {
        &self.0
    }

    /// Whether it is this password's, in constant time. Takes as long as [`PasswordHash::of`].
    pub fn is_of(&self, password: &str) -> bool {
        phc::PasswordHash::new(&self.0).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn of_one_password_and_no_other() {
        let hash = PasswordHash::of("correct horse", &SystemRandom).unwrap();
        assert!(hash.is_of("correct horse") && !hash.is_of("correct horsf") && !hash.is_of(""));
        assert_ne!(hash, PasswordHash::of("correct horse", &SystemRandom).unwrap(), "the salt is new each time");
        assert_eq!(PasswordHash::from_phc(hash.phc()).unwrap(), hash);
        assert!(!format!("{hash:?}").contains('$'));
    }

    #[test]
    fn what_is_read_is_bounded() {
        let hash = PasswordHash::of("correct horse", &SystemRandom).unwrap();
        for (from, to, good) in [
            ("m=19456", "m=65536", true),
            ("m=19456", "m=65537", false),
            ("t=2", "t=10", true),
            ("t=2", "t=11", false),
            ("p=1", "p=4", true),
            ("p=1", "p=5", false),
            ("argon2id", "argon2i", false),
            ("v=19", "v=16", false),
        ] {
            assert_eq!(PasswordHash::from_phc(&hash.phc().replacen(from, to, 1)).is_ok(), good, "{to}");
        }
        assert_eq!(PasswordHash::from_phc(""), Err(UnusablePassword));
    }
}
