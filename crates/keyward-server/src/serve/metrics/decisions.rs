//! How many decisions there were, by what came of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use keyward::audit::{AuditEvent, AuditSink};
use keyward::{Answer, Kind};

/// Counts events: an audit sink beside another one. What is counted by is a fixed list, so that no request makes a page of metrics
/// longer.
#[derive(Debug, Clone, Default)]
pub(in crate::serve) struct Decisions(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    decisions: Vec<Count>,
    sign_ins: [Count; 2],
}

/// Events of one outcome and reason.
#[derive(Debug)]
pub(super) struct Count {
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    count: AtomicU64,
}

impl Count {
    fn of(outcome: &'static str, reason: &'static str) -> Self {
        Self { outcome, reason, count: AtomicU64::new(0) }
    }

    pub(super) fn read(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// What becomes of a decision that has another reason than those.
const OTHER: &str = "other";

impl Default for Counts {
    fn default() -> Self {
        let allowed = ["valid", "anonymous", "open-access", OTHER].map(|reason| Count::of("allow", reason));
        let denied = [
            Kind::Missing,
            Kind::Malformed,
            Kind::Duplicate,
            Kind::Conflict,
            Kind::Unknown,
            Kind::Expired,
            Kind::NotYetValid,
            Kind::Revoked,
            Kind::Disabled,
            Kind::Path,
            Kind::Route,
            Kind::Address,
            Kind::Kind,
            Kind::Scope,
            Kind::Origin,
            Kind::Limited,
            Kind::FailuresLimited,
            Kind::Unavailable,
        ];
        let denied = denied.map(|kind| Count::of("deny", kind.as_str()));
        let decisions = allowed.into_iter().chain(denied).chain([Count::of("deny", OTHER)]).collect();
        Self { decisions, sign_ins: ["accepted", "rejected"].map(|outcome| Count::of(outcome, "")) }
    }
}

impl Decisions {
    pub(super) fn decisions(&self) -> &[Count] {
        &self.0.decisions
    }

    pub(super) fn sign_ins(&self) -> &[Count] {
        &self.0.sign_ins
    }

    fn count(&self, outcome: &str, reason: &str) {
        let of = |reason: &str| self.decisions().iter().find(|count| count.outcome == outcome && count.reason == reason);
        if let Some(count) = of(reason).or_else(|| of(OTHER)) {
            count.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl AuditSink for Decisions {
    fn may_drop(&self) -> bool {
        true
    }

    fn wants_latency(&self) -> bool {
        false
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        match event.event {
            "api_key_accepted" | "api_key_rejected" | "anonymous_accepted" | "open_access" => {
                self.count(event.outcome, event.reason);
            }
            "sign_in_accepted" => _ = self.0.sign_ins[0].count.fetch_add(1, Ordering::Relaxed),
            "sign_in_rejected" => _ = self.0.sign_ins[1].count.fetch_add(1, Ordering::Relaxed),
            _ => {}
        }
        Answer::ready(())
    }
}
