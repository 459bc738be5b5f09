//! What is told of the server's coming and going.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use keyward::Timestamp;

use crate::away::AwayMode;

/// The server went away, or came back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switch {
    /// Whether it went away. Else it came back, and limits are shared from now on.
    pub away: bool,
    /// What holds while it is away.
    pub mode: AwayMode,
    /// Why, without a secret.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// What was done so far, for a page of metrics. Each number is read by itself: they need not fit each other to the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Statistics {
    /// Whether the server is away now.
    pub away: bool,
    /// How often it went away or came back.
    pub switches: u64,
    /// Takes that the server answered: admitted, refused, or looked at.
    pub taken: u64,
    /// Takes that it did not answer in time. Whether it counted them is unknown.
    pub timed_out: u64,
    /// Takes that failed in another way, such as for want of memory.
    pub failed: u64,
    /// Takes that were answered as the mode says: those of both lines above, and all while the server was away.
    pub answered_away: u64,
}

/// Counts what [`Statistics`] tells.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) switches: AtomicU64,
    pub(crate) taken: AtomicU64,
    pub(crate) timed_out: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) answered_away: AtomicU64,
}

pub(crate) fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

impl Tally {
    pub(crate) fn read(&self, away: bool) -> Statistics {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Statistics {
            away,
            switches: read(&self.switches),
            taken: read(&self.taken),
            timed_out: read(&self.timed_out),
            failed: read(&self.failed),
            answered_away: read(&self.answered_away),
        }
    }
}

/// Tells of requests that were not counted while the server was not away, once a second at most.
pub(crate) struct Seldom {
    began: Instant,
    /// In milliseconds after that.
    next: AtomicU64,
    untold: AtomicU64,
}

impl Seldom {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), next: AtomicU64::new(0), untold: AtomicU64::new(0) }
    }

    pub(crate) fn tell(&self, mode: AwayMode, reason: &str) {
        count(&self.untold);
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let is_due = |next| (now >= next).then_some(now.saturating_add(1_000));
        if self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, is_due).is_ok() {
            let requests = self.untold.swap(0, Ordering::Relaxed);
            tracing::warn!(target: "keyward", %mode, reason, requests, "Redis did not count, and the mode says what holds instead");
        }
    }
}

/// Whom to tell beside the log.
#[derive(Default)]
pub(crate) struct Listener(Option<Box<Listening>>);

type Listening = dyn Fn(&Switch) + Send + Sync;

impl Listener {
    pub(crate) fn new(listen: impl Fn(&Switch) + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(listen)))
    }

    pub(crate) fn tell(&self, away: bool, mode: AwayMode, reason: &str) {
        if away {
            tracing::warn!(target: "keyward", %mode, reason, "Redis is away: limits are not shared");
        } else {
            tracing::info!(target: "keyward", %mode, reason, "Redis is back: limits are shared");
        }
        let switch = Switch { away, mode, reason: reason.to_owned(), at: Timestamp::from_system(SystemTime::now()) };
        // Whoever tells goes on to bring the server back, whatever becomes of the listener.
        if let Some(listen) = &self.0
            && catch_unwind(AssertUnwindSafe(|| listen(&switch))).is_err()
        {
            tracing::error!(target: "keyward", "what listens to switches of Redis panicked: mend it");
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Listener" } else { "nobody" })
    }
}
