//! Argon2id away from the threads that serve requests, bounded in number: 19 MiB and 20 ms each are an outsider's to spend.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_lock::Semaphore;
use futures_channel::oneshot;
use keyward::account::PasswordHash;
use keyward::{Fault, Random, Workers};
use zeroize::Zeroizing;

use crate::fault::Refusal;

pub(crate) struct Hashing {
    workers: Arc<dyn Workers>,
    random: Arc<dyn Random>,
    at_once: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    /// Of no password: what a guess at an unknown account is compared with, so that it takes as long as any other.
    nobodys: PasswordHash,
}

/// One who waits, until it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hashing {
    const AT_ONCE: usize = 2;
    /// With more of them, the last would wait for longer than a browser's patience.
    const MOST_WAITING: usize = 64;

    pub(crate) fn new(workers: Arc<dyn Workers>, random: Arc<dyn Random>) -> Result<Self, Fault> {
        let mut nobodys = [0; 32];
        random.secret(&mut nobodys)?;
        let nobodys = PasswordHash::of(&format!("{nobodys:?}"), &*random)?;
        Ok(Self { workers, random, at_once: Arc::new(Semaphore::new(Self::AT_ONCE)), waiting: Arc::default(), nobodys })
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Result<PasswordHash, Refusal> {
        let (password, random) = (Zeroizing::new(password.to_owned()), self.random.clone());
        Ok(self.run(move || PasswordHash::of(&password, &*random)).await??)
    }

    /// Whether a password is an account's. Without an account it takes as long, and is not.
    pub(crate) async fn verify(&self, hash: Option<&PasswordHash>, password: &str) -> Result<bool, Refusal> {
        let (is_somebodys, hash) = (hash.is_some(), hash.unwrap_or(&self.nobodys).clone());
        let password = Zeroizing::new(password.to_owned());
        Ok(self.run(move || hash.is_of(&password)).await? & is_somebodys)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
        let waiting = Waiting(self.waiting.clone());
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= Self::MOST_WAITING {
            return Err(Refusal::Busy);
        }
        // Held by the work itself: whoever goes away while it runs frees no place for another.
        let place = self.at_once.acquire_arc().await;
        let (done, answer) = oneshot::channel();
        self.workers.start(Box::new(move || {
            let _held = (place, waiting);
            // Nobody may be there any more.
            let _ = done.send(work());
        }))?;
        answer.await.map_err(|_| Fault::new("the work on a password was dropped before it ended").into())
    }
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
