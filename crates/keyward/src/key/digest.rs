//! Digests of whole keys (R7.2): SHA-256, or HMAC-SHA-256 with a pepper, compared in constant time.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What is stored of a strong key: the version of the pepper that was used (0: none, plain SHA-256), and 32 bytes.
///
/// `==` takes the same time whatever differs. `Debug` hides the bytes: they are no secret, but of no use in a log either.
#[derive(Clone, Copy, Eq)]
pub struct KeyDigest {
    pepper: u16,
    // Words, not bytes: comparing four words in constant time costs a seventh of comparing 32 bytes.
    words: [u64; 4],
}

impl KeyDigest {
    /// The plain SHA-256 of a key.
    pub fn sha256(key: &[u8]) -> Self {
        Self::from_bytes(0, Sha256::digest(key).into())
    }

    /// A digest read from storage. Pepper version 0 is plain SHA-256.
    pub fn from_bytes(pepper: u16, bytes: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = chunk.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        }
        Self { pepper, words }
    }

    /// The version of the pepper; 0 for plain SHA-256.
    pub fn pepper(&self) -> u16 {
        self.pepper
    }

    /// The 32 bytes, for storage.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            chunk.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        let words = self.words.iter().zip(&other.words);
        let same = words.fold(self.pepper.ct_eq(&other.pepper), |same, (this, that)| same & this.ct_eq(that));
        same.into()
    }
}

impl std::hash::Hash for KeyDigest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Sixteen bytes of a cryptographic digest are as good as all; the index adds a seed of its own.
        state.write_u64(self.words[0]);
        state.write_u64(self.words[1]);
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest(pepper {})", self.pepper)
    }
}

/// A secret that goes into every digest, so that a stolen table of digests can be tested against nothing.
#[derive(Clone)]
pub struct Pepper {
    version: u16,
    // With the key absorbed already: cloning this costs less than hashing the key's block again.
    keyed: Hmac<Sha256>,
}

/// A pepper that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PepperError {
    /// Version 0 means "no pepper".
    #[error("pepper version 0 means plain SHA-256: number peppers from 1")]
    VersionZero,
    /// Too short to withstand guessing.
    #[error("a pepper needs at least 32 bytes: make one with `openssl rand -hex 32`")]
    TooShort,
    /// Two of them have one version.
    #[error("two peppers have version {0}: give each its own")]
    SameVersion(u16),
}

impl Pepper {
    /// A pepper and the version by which stored digests name it.
    ///
    /// # Errors
    /// [`PepperError::VersionZero`], or [`PepperError::TooShort`] under 32 bytes.
    pub fn new(version: u16, secret: &[u8]) -> Result<Self, PepperError> {
        if version == 0 {
            return Err(PepperError::VersionZero);
        }
        if secret.len() < 32 {
            return Err(PepperError::TooShort);
        }
        let keyed = Hmac::new_from_slice(secret).map_err(|_| PepperError::TooShort)?;
        Ok(Self { version, keyed })
    }

    pub(super) fn version(&self) -> u16 {
        self.version
    }

    /// Tells one secret from another, and nothing about it: what is hashed can be no key, since it has blanks.
    pub(super) fn check_value(&self) -> u64 {
        self.digest(b"which pepper this is").words[0]
    }

    fn digest(&self, key: &[u8]) -> KeyDigest {
        let mut keyed = self.keyed.clone();
        keyed.update(key);
        KeyDigest::from_bytes(self.version, keyed.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper(version {})", self.version)
    }
}

/// The peppers in use. New digests are made with the highest version; older ones, and plain SHA-256, are still looked for.
///
/// A store notes which peppers its digests were made with: see [`Keys::check_peppers`](crate::Keys::check_peppers).
#[derive(Debug, Clone, Default)]
pub struct Peppers {
    /// The newest first.
    in_use: Vec<Pepper>,
    retired: Vec<u16>,
}

impl Peppers {
    /// Takes all of them, in any order. None: plain SHA-256, which is enough for generated keys.
    ///
    /// # Errors
    /// [`PepperError::SameVersion`].
    pub fn new(peppers: impl IntoIterator<Item = Pepper>) -> Result<Self, PepperError> {
        let mut peppers: Vec<Pepper> = peppers.into_iter().collect();
        peppers.sort_by_key(|pepper| std::cmp::Reverse(pepper.version));
        match peppers.windows(2).find(|pair| pair[0].version == pair[1].version) {
            Some(pair) => Err(PepperError::SameVersion(pair[0].version)),
            None => Ok(Self { in_use: peppers, retired: Vec::new() }),
        }
    }

    /// Says that these peppers are gone for good: a store whose digests were made with one may be used all the same. Keys that are
    /// still stored with it are unknown, and an import in plain text cannot tell them from new ones.
    ///
    /// # Errors
    /// [`PepperError::VersionZero`], or [`PepperError::SameVersion`] for one that is in use, or is named twice.
    pub fn retired(mut self, versions: impl IntoIterator<Item = u16>) -> Result<Self, PepperError> {
        for version in versions {
            if version == 0 {
                return Err(PepperError::VersionZero);
            }
            if self.of_version(version).is_some() || self.has_retired(version) {
                return Err(PepperError::SameVersion(version));
            }
            self.retired.push(version);
        }
        Ok(self)
    }

    /// The one that new digests are made with.
    pub(crate) fn newest(&self) -> Option<&Pepper> {
        self.in_use.first()
    }

    pub(super) fn of_version(&self, version: u16) -> Option<&Pepper> {
        self.in_use.iter().find(|pepper| pepper.version == version)
    }

    pub(super) fn has_retired(&self, version: u16) -> bool {
        self.retired.contains(&version)
    }

    /// The digest under which a new key is stored.
    pub fn digest(&self, key: &[u8]) -> KeyDigest {
        self.newest().map_or_else(|| KeyDigest::sha256(key), |newest| newest.digest(key))
    }

    /// Every digest under which a key may be stored, the newest first.
    pub(crate) fn digests(&self, key: &[u8]) -> SmallVec<[KeyDigest; 1]> {
        let mut digests: SmallVec<[KeyDigest; 1]> = self.in_use.iter().map(|pepper| pepper.digest(key)).collect();
        digests.push(KeyDigest::sha256(key));
        digests
    }
}

/// A digest with a key of this process alone, for remembering low-entropy keys without keeping anything that could be tested
/// offline.
pub(crate) struct ProcessDigest(Hmac<Sha256>);

impl ProcessDigest {
    pub(crate) fn new(random: &dyn crate::random::Random) -> Result<Self, crate::answer::Fault> {
        let mut key = Zeroizing::new([0; 32]);
        random.secret(&mut *key)?;
        let keyed = Hmac::new_from_slice(&*key).map_err(|error| crate::answer::Fault::new(error.to_string()))?;
        Ok(Self(keyed))
    }

    pub(crate) fn of(&self, parts: [&[u8]; 2]) -> [u8; 32] {
        let mut keyed = self.0.clone();
        for part in parts {
            keyed.update(&part.len().to_be_bytes());
            keyed.update(part);
        }
        keyed.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_standard_ones() {
        // FIPS 180-4's example for "abc".
        let bytes = KeyDigest::sha256(b"abc").to_bytes();
        assert_eq!(bytes[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(KeyDigest::from_bytes(0, bytes), KeyDigest::sha256(b"abc"));
        assert_ne!(KeyDigest::from_bytes(1, bytes), KeyDigest::sha256(b"abc"));
        // RFC 4231, test case 6: a key longer than a block.
        let pepper = Pepper::new(1, &[0xaa; 131]).unwrap();
        let mac = pepper.digest(b"Test Using Larger Than Block-Size Key - Hash Key First").to_bytes();
        assert_eq!(mac[..4], [0x60, 0xe4, 0x31, 0x59]);
    }

    #[test]
    fn every_differing_bit_makes_it_unequal() {
        let stored = KeyDigest::sha256(b"key");
        for bit in 0..256 {
            let mut bytes = stored.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(KeyDigest::from_bytes(0, bytes), stored);
        }
    }

    #[test]
    fn the_newest_pepper_is_used_and_all_are_looked_for() {
        let pepper = |version| Pepper::new(version, &[version as u8; 32]).unwrap();
        let peppers = Peppers::new([pepper(1), pepper(3), pepper(2)]).unwrap();
        assert_eq!(peppers.digest(b"key").pepper(), 3);
        let versions: Vec<u16> = peppers.digests(b"key").iter().map(KeyDigest::pepper).collect();
        assert_eq!(versions, [3, 2, 1, 0]);
        assert_eq!(Peppers::new([pepper(1), pepper(1)]).unwrap_err(), PepperError::SameVersion(1));
        assert_eq!(Pepper::new(1, &[0; 31]).unwrap_err(), PepperError::TooShort);
        assert_eq!(Pepper::new(0, &[0; 32]).unwrap_err(), PepperError::VersionZero);
    }

    #[test]
    fn a_retired_version_is_in_use_no_more() {
        let peppers = || Peppers::new([Pepper::new(2, &[2; 32]).unwrap()]).unwrap();
        assert!(peppers().retired([1, 3]).is_ok());
        for (versions, error) in
            [(&[0][..], PepperError::VersionZero), (&[2], PepperError::SameVersion(2)), (&[1, 1], PepperError::SameVersion(1))]
        {
            assert_eq!(peppers().retired(versions.iter().copied()).unwrap_err(), error);
        }
        assert_eq!(peppers().retired([3]).unwrap().digest(b"key").pepper(), 2, "it makes no digest");
    }
}
