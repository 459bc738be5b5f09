//! The secret of a keyed chain.

use std::fmt;
use std::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::line::ChainHash;
use crate::ticket::{Weakness, weakness};

/// What the lines of a keyed chain are vouched for with: at least 32 bytes that nobody can guess. Wiped when it is dropped; `Debug`
/// hides it.
#[derive(Clone)]
pub struct ChainKey(Zeroizing<Box<[u8]>>);

/// The key could be guessed. Says why, and nothing of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the key of an audit chain {0}: make one with `openssl rand -base64 32`")]
pub struct WeakChainKey(Weakness);

impl ChainKey {
    /// Takes the bytes as they are.
    ///
    /// # Errors
    /// [`WeakChainKey`], as for [`ServerSecret`](crate::ticket::ServerSecret).
    pub fn from_bytes(key: &[u8]) -> Result<Self, WeakChainKey> {
        match weakness(key) {
            Some(weakness) => Err(WeakChainKey(weakness)),
            None => Ok(Self(Zeroizing::new(key.into()))),
        }
    }
}

impl FromStr for ChainKey {
    type Err = WeakChainKey;

    /// Takes the text's bytes as they are, undecoded, without the blanks and line ends around them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.trim().as_bytes())
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainKey(hidden)")
    }
}

/// How a line is vouched for.
#[derive(Debug, Clone, Default)]
pub(super) struct Vouching(pub(super) Option<ChainKey>);

impl Vouching {
    /// The field that holds the hash. Two names of one length: which of them it is says which of the two it is.
    pub(super) fn field(&self) -> &'static str {
        if self.0.is_some() { "hmac" } else { "hash" }
    }

    pub(super) fn hash(&self, body: &[u8]) -> ChainHash {
        match self.mac(body) {
            Some(mac) => ChainHash(mac.finalize().into_bytes().into()),
            None => ChainHash(Sha256::digest(body).into()),
        }
    }

    /// In constant time: a line's HMAC is what whoever forges one has to guess.
    pub(super) fn is_hash_of(&self, hash: ChainHash, body: &[u8]) -> bool {
        match self.mac(body) {
            Some(mac) => mac.verify_slice(&hash.0).is_ok(),
            None => self.hash(body) == hash,
        }
    }

    fn mac(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let key = self.0.as_ref()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key.0).expect("HMAC takes a key of any length");
        mac.update(body);
        Some(mac)
    }
}
