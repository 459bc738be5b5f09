//! Events to `tracing`: the default sink.

use super::{AuditEvent, AuditSink, Level};
use crate::answer::Answer;

/// Tells every event to `tracing`, target `keyward::audit`, at its level.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct TracingSink;

impl TracingSink {
    /// The sink.
    pub fn new() -> Self {
        Self
    }
}

impl AuditSink for TracingSink {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        macro_rules! tell {
            ($level:ident) => {
                tracing::event!(
                    target: "keyward::audit",
                    tracing::Level::$level,
                    outcome = event.outcome,
                    reason = event.reason,
                    request_id = event.request_id,
                    // Debug escapes what a client may have put there.
                    method = ?event.method,
                    path = ?event.path,
                    client_ip = event.client_ip.map(tracing::field::display),
                    key_status = event.key_status,
                    key_id = event.key_id,
                    key_prefix = event.key_prefix.map(tracing::field::debug),
                    authenticator = event.authenticator,
                    source = event.source,
                    report_only = event.report_only,
                    latency = event.latency.map(tracing::field::debug),
                    "{}",
                    event.event,
                )
            };
        }
        match event.level {
            Level::Debug => tell!(DEBUG),
            Level::Info => tell!(INFO),
            Level::Warning => tell!(WARN),
            Level::Error => tell!(ERROR),
        }
        Answer::ready(())
    }

    /// Whether there is a subscriber, and what it keeps, cannot be known.
    fn may_drop(&self) -> bool {
        true
    }

    fn wants_latency(&self) -> bool {
        tracing::enabled!(target: "keyward::audit", tracing::Level::WARN)
    }
}
