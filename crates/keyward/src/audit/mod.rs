//! What happened, told once for each decision (R11), and where it is told.

pub mod chain;
mod event;
mod lines;
mod ring;
mod shown_path;
mod trace;

pub use event::{AuditEvent, Level};
pub use lines::{LineFormat, Lines};
pub(crate) use shown_path::shown_path;

pub use ring::{Drained, Ring, RingReader};
pub use trace::TracingSink;

use crate::answer::Answer;

/// Where audit events go.
///
/// The safe wrong answer is a fault: with `audit.mode = "required"` an allowed request is then 503, and a denial keeps its
/// status.
pub trait AuditSink: Send + Sync {
    /// Whether [`AuditSink::record`] may ever answer [`Answer::Pending`]. Then decisions are never made by
    /// [`Guard::try_decide`](crate::Guard::try_decide).
    fn may_wait(&self) -> bool {
        false
    }

    /// Whether events may be lost although [`AuditSink::record`] was answered without a fault. Such a sink cannot serve
    /// `audit.mode = "required"`.
    fn may_drop(&self) -> bool {
        false
    }

    /// Whether events shall carry how long the decision took, which costs another reading of the clock.
    fn wants_latency(&self) -> bool {
        true
    }

    /// Records one event. A future must own what it needs, and end by a deadline of its own.
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()>;
}

/// Every event to both.
impl<A: AuditSink, B: AuditSink> AuditSink for (A, B) {
    fn may_wait(&self) -> bool {
        self.0.may_wait() || self.1.may_wait()
    }

    fn may_drop(&self) -> bool {
        self.0.may_drop() && self.1.may_drop()
    }

    fn wants_latency(&self) -> bool {
        self.0.wants_latency() || self.1.wants_latency()
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        match (self.0.record(event), self.1.record(event)) {
            (Answer::Ready(first), Answer::Ready(second)) => Answer::Ready(first.and(second)),
            // A fault of one keeps no event from the other.
            (first, second) => Answer::Pending(Box::pin(async move {
                let (first, second) = (first.wait().await, second.wait().await);
                first.and(second)
            })),
        }
    }
}

impl<S: AuditSink + ?Sized> AuditSink for std::sync::Arc<S> {
    fn may_wait(&self) -> bool {
        (**self).may_wait()
    }

    fn may_drop(&self) -> bool {
        (**self).may_drop()
    }

    fn wants_latency(&self) -> bool {
        (**self).wants_latency()
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        (**self).record(event)
    }
}
