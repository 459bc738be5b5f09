//! The threads that a host lends for slow work (Argon2id). The core keeps no pool and no timers.

use std::fmt;

use crate::answer::Fault;

/// A piece of slow, blocking work.
pub type Job = Box<dyn FnOnce() + Send>;

/// Where slow work runs, off the request's thread: `tokio::task::spawn_blocking`, say.
///
/// The guard bounds how many jobs there are at once; an implementation only has to run each.
pub trait Workers: Send + Sync {
    /// Starts the job and returns at once.
    ///
    /// # Errors
    /// When it cannot be started; the request is then answered 503.
    fn start(&self, job: Job) -> Result<(), Fault>;
}

/// A new thread for each job, for hosts that lend nothing: a job is worth milliseconds, a thread microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadPerJob;

impl Workers for ThreadPerJob {
    fn start(&self, job: Job) -> Result<(), Fault> {
        std::thread::Builder::new()
            .name("keyward-argon2".to_owned())
            .spawn(job)
            .map(drop)
            .map_err(|error| Fault::new(format!("no thread for an Argon2id verification: {error}")))
    }
}

impl<F: Fn(Job) + Send + Sync> Workers for F {
    fn start(&self, job: Job) -> Result<(), Fault> {
        self(job);
        Ok(())
    }
}

impl fmt::Debug for dyn Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dyn Workers")
    }
}
