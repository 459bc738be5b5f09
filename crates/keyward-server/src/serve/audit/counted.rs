//! How many events were recorded, and how many were not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyward::Answer;
use keyward::audit::{AuditEvent, AuditSink, Drained};

/// What became of events.
#[derive(Debug, Default)]
pub(in crate::serve) struct Counts {
    recorded: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    /// Each with its name.
    pub(in crate::serve) fn read(&self) -> [(&'static str, u64); 3] {
        [("recorded", &self.recorded), ("failed", &self.failed), ("dropped", &self.dropped)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    pub(super) fn add(&self, drained: Drained) {
        self.recorded.fetch_add(drained.told as u64, Ordering::Relaxed);
        self.failed.fetch_add(drained.failed as u64, Ordering::Relaxed);
        self.dropped.fetch_add(drained.dropped, Ordering::Relaxed);
    }
}

/// A sink that is waited for, counted by its answers.
pub(super) struct Counted<S> {
    sink: S,
    counts: Arc<Counts>,
}

impl<S> Counted<S> {
    pub(super) fn new(sink: S, counts: Arc<Counts>) -> Self {
        Self { sink, counts }
    }
}

impl<S: AuditSink> AuditSink for Counted<S> {
    fn may_wait(&self) -> bool {
        self.sink.may_wait()
    }

    fn may_drop(&self) -> bool {
        self.sink.may_drop()
    }

    fn wants_latency(&self) -> bool {
        self.sink.wants_latency()
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let counts = self.counts.clone();
        self.sink.record(event).then(move |recorded| {
            let count = if recorded.is_ok() { &counts.recorded } else { &counts.failed };
            count.fetch_add(1, Ordering::Relaxed);
            recorded
        })
    }
}
