//! Events through memory: the request's thread copies a few words, another thread writes lines.
//!
//! Several rings, one for a few threads each: one ring for all would be one cache line for all.

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arrayvec::ArrayString;
use crossbeam_queue::ArrayQueue;

use super::{AuditEvent, AuditSink, Level};
use crate::answer::Answer;
use crate::clock::Timestamp;

/// A sink that never waits. What does not fit is dropped, counted, and told by the reader: for `best-effort` audits.
#[derive(Clone)]
pub struct Ring(Arc<Rings>);

/// Takes events out of a [`Ring`], for a thread of the host's.
pub struct RingReader(Arc<Rings>);

struct Rings {
    rings: Box<[ArrayQueue<Kept>]>,
    dropped: AtomicU64,
}

/// A copy that owns its text; short texts without allocating.
#[derive(Debug)]
struct Kept {
    timestamp: Timestamp,
    level: Level,
    event: &'static str,
    outcome: &'static str,
    reason: &'static str,
    status: u16,
    event_id: u128,
    client_ip: Option<IpAddr>,
    client_ip_flagged: bool,
    key_status: &'static str,
    source: Option<&'static str>,
    report_only: Option<&'static str>,
    latency: Option<Duration>,
    /// The texts one behind the other, and where each ends; `u32::MAX`: there is none.
    texts: Texts,
    ends: [u32; 8],
}

#[derive(Debug)]
enum Texts {
    /// Enough for most paths.
    Short(ArrayString<160>),
    Long(String),
}

impl Texts {
    fn push(&mut self, text: &str) {
        match self {
            Self::Short(short) => {
                if short.try_push_str(text).is_err() {
                    *self = Self::Long(format!("{short}{text}"));
                }
            }
            Self::Long(long) => long.push_str(text),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Short(short) => short,
            Self::Long(long) => long,
        }
    }
}

impl Kept {
    fn copy(event: &AuditEvent<'_>) -> Self {
        let mut texts = Texts::Short(ArrayString::new());
        let mut ends = [u32::MAX; 8];
        let all = [
            Some(event.request_id),
            Some(event.method),
            Some(event.path),
            event.key_id,
            event.key_prefix,
            event.name,
            event.owner,
            event.authenticator,
        ];
        for (end, text) in ends.iter_mut().zip(all) {
            if let Some(text) = text {
                texts.push(text);
                *end = u32::try_from(texts.as_str().len()).unwrap_or(u32::MAX);
            }
        }
        Self {
            timestamp: event.timestamp,
            level: event.level,
            event: event.event,
            outcome: event.outcome,
            reason: event.reason,
            status: event.status,
            event_id: event.event_id,
            client_ip: event.client_ip,
            client_ip_flagged: event.client_ip_flagged,
            key_status: event.key_status,
            source: event.source,
            report_only: event.report_only,
            latency: event.latency,
            texts,
            ends,
        }
    }

    fn tell(&self, read: impl FnOnce(&AuditEvent<'_>)) {
        let mut start = 0;
        let texts = self.ends.map(|end| {
            let end = usize::try_from(end).ok()?;
            let text = self.texts.as_str().get(start..end)?;
            start = end;
            Some(text)
        });
        let [request_id, method, path, key_id, key_prefix, name, owner, authenticator] = texts;
        read(&AuditEvent {
            timestamp: self.timestamp,
            level: self.level,
            event: self.event,
            outcome: self.outcome,
            reason: self.reason,
            status: self.status,
            request_id: request_id.unwrap_or_default(),
            event_id: self.event_id,
            method: method.unwrap_or_default(),
            path: path.unwrap_or_default(),
            client_ip: self.client_ip,
            client_ip_flagged: self.client_ip_flagged,
            key_status: self.key_status,
            key_id,
            key_prefix,
            name,
            owner,
            authenticator,
            source: self.source,
            report_only: self.report_only,
            latency: self.latency,
        });
    }
}

impl Ring {
    /// A sink for at least `capacity` events, and the one that reads it.
    pub fn new(capacity: usize) -> (Self, RingReader) {
        let stripes = std::thread::available_parallelism().map_or(1, usize::from).next_power_of_two();
        let each = capacity.div_ceil(stripes).max(1);
        let rings = Arc::new(Rings { rings: (0..stripes).map(|_| ArrayQueue::new(each)).collect(), dropped: AtomicU64::new(0) });
        (Self(rings.clone()), RingReader(rings))
    }
}

thread_local! {
    static STRIPE: Cell<usize> = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        Cell::new(NEXT.fetch_add(1, Ordering::Relaxed))
    };
}

impl AuditSink for Ring {
    fn may_drop(&self) -> bool {
        true
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let ring = &self.0.rings[STRIPE.get() & (self.0.rings.len() - 1)];
        if ring.push(Kept::copy(event)).is_err() {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Answer::ready(())
    }
}

impl RingReader {
    /// Gives every event that waits to another sink, and tells how many were dropped since the last time. Events of one thread
    /// come in their order.
    pub fn drain(&mut self, sink: &dyn AuditSink) -> Drained {
        let (mut told, mut failed, mut first_fault) = (0, 0, None);
        for ring in &self.0.rings {
            // As many as there are now: a busy server must not keep the reader from the other rings.
            for kept in (0..ring.len()).map_while(|_| ring.pop()) {
                kept.tell(|event| match pollster::block_on(sink.record(event).wait()) {
                    Ok(()) => told += 1,
                    Err(fault) => {
                        failed += 1;
                        first_fault.get_or_insert(fault);
                    }
                });
            }
        }
        // Once for all of them: a full disk would fill the log, too.
        if let Some(fault) = first_fault {
            tracing::error!(target: "keyward", failed, %fault, "audit events were not recorded");
        }
        let dropped = self.0.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::error!(target: "keyward", dropped, "audit events were dropped: the ring is too small or its reader too slow");
        }
        Drained { told, failed, dropped }
    }
}

/// What one [`RingReader::drain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Events that the sink has recorded.
    pub told: usize,
    /// Events that it could not record.
    pub failed: usize,
    /// Events that did not fit.
    pub dropped: u64,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ring({} rings)", self.0.rings.len())
    }
}

impl fmt::Debug for RingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingReader")
    }
}
