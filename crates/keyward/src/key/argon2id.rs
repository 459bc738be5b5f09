//! Low-entropy keys from elsewhere (R7.3): Argon2id, found by a public handle, verified off the request's thread.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use argon2::password_hash::phc::{PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use zeroize::Zeroizing;

use super::digest::ProcessDigest;
use crate::answer::{Answer, Fault};
use crate::random::Random;
use crate::workers::Workers;

/// An Argon2id hash and the public handle by which it is found: what the key begins with.
#[derive(Clone, PartialEq, Eq)]
pub struct Argon2Hash {
    handle: Box<str>,
    phc: Box<str>,
}

/// Why a hash cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    /// Not a PHC string.
    #[error("this is no PHC string like $argon2id$v=19$m=19456,t=2,p=1$…$…: {0}")]
    NotPhc(String),
    /// Another function, or another version of Argon2.
    #[error("only Argon2id version 19 is verified: hash the key again, or import its plaintext")]
    NotArgon2id,
    /// Parameters that would let one request take the machine.
    #[error(
        "m={memory} KiB, t={passes}, p={lanes} is more than one request may cost (m at most 65536 KiB, t at most 10, p at most 4)"
    )]
    TooExpensive {
        /// Memory, in KiB.
        memory: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// The handle cannot find a key.
    #[error("a handle is 8 to 32 visible ASCII characters, and the key goes on for at least 6 behind it")]
    BadHandle,
}

impl Argon2Hash {
    /// How much of a key stays secret at least: a handle is public.
    const LEAST_SECRET: usize = 6;

    /// The shortest and the longest handle.
    pub(crate) const HANDLE_LENGTHS: std::ops::RangeInclusive<usize> = 8..=32;

    /// Takes a PHC string from elsewhere.
    ///
    /// # Errors
    /// [`UnusableHash`]; parameters are judged before any memory is taken.
    pub fn from_phc(handle: &str, phc: &str) -> Result<Self, UnusableHash> {
        if !Self::HANDLE_LENGTHS.contains(&handle.len()) || !handle.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UnusableHash::BadHandle);
        }
        let parsed = PasswordHash::new(phc).map_err(|error| UnusableHash::NotPhc(error.to_string()))?;
        if parsed.algorithm.as_str() != "argon2id" || parsed.version != Some(19) || parsed.salt.is_none() || parsed.hash.is_none()
        {
            return Err(UnusableHash::NotArgon2id);
        }
        let params = Params::try_from(&parsed).map_err(|error| UnusableHash::NotPhc(error.to_string()))?;
        if params.m_cost() > 65_536 || params.t_cost() > 10 || params.p_cost() > 4 {
            return Err(UnusableHash::TooExpensive { memory: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() });
        }
        Ok(Self { handle: handle.into(), phc: phc.into() })
    }

    /// Hashes a low-entropy key: 19 MiB, two passes (OWASP's recommendation). Takes about 20 ms.
    ///
    /// # Errors
    /// [`UnusableHash::BadHandle`], also where the key does not go on for six characters behind its handle.
    pub fn of_key(handle: &str, key: &str, random: &dyn Random) -> Result<Self, UnusableHash> {
        if !key.starts_with(handle) || key.len() < handle.len() + Self::LEAST_SECRET {
            return Err(UnusableHash::BadHandle);
        }
        let unusable = |error: &dyn fmt::Display| UnusableHash::NotPhc(error.to_string());
        let mut salt = [0; 16];
        random.secret(&mut salt).map_err(|fault| unusable(&fault))?;
        let salt = Salt::new(&salt).map_err(|error| unusable(&error))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default());
        let hash: PasswordHash = argon2.hash_password_with_salt(key.as_bytes(), &salt).map_err(|error| unusable(&error))?;
        Self::from_phc(handle, &hash.to_string())
    }

    /// What the key begins with.
    pub fn handle(&self) -> &str {
        &self.handle
    }

    /// The PHC string, for storage.
    pub fn phc(&self) -> &str {
        &self.phc
    }

    fn verify(&self, key: &[u8]) -> bool {
        PasswordHash::new(&self.phc).is_ok_and(|parsed| Argon2::default().verify_password(key, &parsed).is_ok())
    }
}

impl fmt::Debug for Argon2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Argon2Hash(handle {:?})", self.handle)
    }
}

/// What is done about a bad key whose client went away before it was known to be bad.
pub(crate) type Abandoned = Box<dyn FnOnce() + Send>;

/// Verifies, bounded in number, and remembers successes.
///
/// What is remembered is a digest under a key of this process, of the presented key together with the very hash that it
/// matched: a rotated key's old hash no longer counts, and the memory is of no use to anybody who reads it.
pub(crate) struct Verifications {
    workers: Arc<dyn Workers>,
    at_once: usize,
    running: Arc<AtomicUsize>,
    digest: ProcessDigest,
    remembered: Arc<RwLock<HashSet<[u8; 32]>>>,
}

impl Verifications {
    /// Enough for any number of low-entropy keys that somebody imports by hand; forgetting costs one verification.
    const MOST_REMEMBERED: usize = 65_536;

    pub(crate) fn new(workers: Arc<dyn Workers>, at_once: usize, random: &dyn Random) -> Result<Self, Fault> {
        Ok(Self { workers, at_once, running: Arc::default(), digest: ProcessDigest::new(random)?, remembered: Arc::default() })
    }

    /// Ready if this key matched this hash before.
    pub(crate) fn verify(&self, hash: &Argon2Hash, key: &[u8], abandoned: impl FnOnce() -> Option<Abandoned>) -> Answer<bool> {
        let digest = self.digest.of([key, hash.phc.as_bytes()]);
        if self.remembered.read().is_ok_and(|remembered| remembered.contains(&digest)) {
            return Answer::ready(true);
        }
        let abandoned = abandoned();
        let (workers, running, at_once) = (self.workers.clone(), self.running.clone(), self.at_once);
        let (remembered, hash, key) = (self.remembered.clone(), hash.clone(), Zeroizing::new(key.to_vec()));
        Answer::Pending(Box::pin(async move {
            let permit = Permit::take(running, at_once).ok_or_else(|| {
                Fault::new("as many Argon2id verifications as allowed are running: see GuardBuilder::argon2_at_once")
            })?;
            let (tell, told) = futures_channel::oneshot::channel();
            workers.start(Box::new(move || {
                let matches = hash.verify(&key);
                drop(permit);
                // Nobody listens when the client went away. Guessing shall cost it all the same.
                if tell.send(matches).is_err()
                    && !matches
                    && let Some(abandoned) = abandoned
                {
                    abandoned();
                }
            }))?;
            let matches = told.await.map_err(|_| Fault::new("a worker dropped an Argon2id verification"))?;
            if matches && let Ok(mut remembered) = remembered.write() {
                if remembered.len() >= Self::MOST_REMEMBERED {
                    remembered.clear();
                }
                remembered.insert(digest);
            }
            Ok(matches)
        }))
    }
}

/// One of the verifications that may run at once; given back when dropped, by the thread that did the work.
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(running: Arc<AtomicUsize>, at_once: usize) -> Option<Self> {
        running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |running| (running < at_once).then_some(running + 1))
            .ok()
            .map(|_| Self(running))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;
    use crate::workers::{Job, ThreadPerJob};

    fn verifications(workers: Arc<dyn Workers>, at_once: usize) -> Verifications {
        Verifications::new(workers, at_once, &SystemRandom).unwrap()
    }

    #[test]
    fn a_success_is_remembered_and_a_failure_is_not() {
        let hash = Argon2Hash::of_key("customer1", "customer1-secret", &SystemRandom).unwrap();
        let verifications = verifications(Arc::new(ThreadPerJob), 1);
        let ask = |key: &[u8]| match verifications.verify(&hash, key, || None) {
            Answer::Ready(result) => (true, result.unwrap()),
            Answer::Pending(later) => (false, pollster::block_on(later).unwrap()),
        };
        assert_eq!(ask(b"customer1-wrong"), (false, false));
        assert_eq!(ask(b"customer1-wrong"), (false, false));
        assert_eq!(ask(b"customer1-secret"), (false, true));
        assert_eq!(ask(b"customer1-secret"), (true, true));
    }

    #[test]
    fn no_more_than_allowed_run_at_once() {
        let hash = Argon2Hash::of_key("customer1", "customer1-secret", &SystemRandom).unwrap();
        let held: Arc<std::sync::Mutex<Vec<Job>>> = Arc::default();
        let holder = held.clone();
        let verifications = verifications(Arc::new(move |job: Job| holder.lock().unwrap().push(job)), 1);
        let (Answer::Pending(mut first), Answer::Pending(second)) =
            (verifications.verify(&hash, b"a", || None), verifications.verify(&hash, b"b", || None))
        else {
            panic!("neither is remembered")
        };
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending());
        assert!(pollster::block_on(second).is_err());
        let job = held.lock().unwrap().pop().unwrap();
        job();
        assert!(!pollster::block_on(first).unwrap());
        assert_eq!(verifications.running.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn hostile_hashes_are_refused() {
        let phc =
            |params: &str| format!("$argon2id$v=19${params}$c29tZXNhbHRzb21lc2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE");
        assert!(Argon2Hash::from_phc("customer1", &phc("m=65536,t=10,p=4")).is_ok());
        for params in ["m=65537,t=1,p=1", "m=4194304,t=1,p=1", "m=19456,t=11,p=1", "m=19456,t=2,p=5"] {
            assert!(
                matches!(Argon2Hash::from_phc("customer1", &phc(params)), Err(UnusableHash::TooExpensive { .. })),
                "{params}"
            );
        }
        for bad in
            ["", "secret", "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$MDEy", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$10$abc"]
        {
            assert!(Argon2Hash::from_phc("customer1", bad).is_err(), "{bad}");
        }
        assert_eq!(Argon2Hash::from_phc("short12", &phc("m=19456,t=2,p=1")), Err(UnusableHash::BadHandle));
    }
}
