//! Audit events as lines on standard error, as the policy's `[audit]` wants them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use keyward::Policy;
use keyward::audit::{AuditSink, LineFormat, Lines, Ring, RingReader};
use keyward::policy::AuditFormat;

use crate::failure::Failure;

/// How many events wait at most for the writer. More than it writes in this time are dropped, counted and told.
const WAITING: usize = 16_384;
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// A reader that does not read must not keep the program from ending.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Where audit events go, and the thread that writes them.
pub(super) struct Audit {
    sink: Arc<dyn AuditSink>,
    writer: Option<Writer>,
}

struct Writer {
    /// Dropped: write what is left, and end.
    stop: mpsc::Sender<()>,
    ended: mpsc::Receiver<()>,
}

impl Audit {
    /// `required` writes each event before its request goes on. `best-effort` never makes a request wait for a slow reader.
    pub(super) fn start(policy: &Policy) -> Result<Self, Failure> {
        let lines = Lines::new(
            io::stderr(),
            match policy.audit_format() {
                AuditFormat::Json => LineFormat::Json,
                AuditFormat::Text => LineFormat::Text,
            },
        );
        if policy.audit_is_required() {
            return Ok(Self { sink: Arc::new(lines), writer: None });
        }
        let (ring, reader) = Ring::new(WAITING);
        let (stop, stopped) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || {
                write(reader, &lines, &stopped);
                drop(end);
            })
            .map_err(|error| Failure::Fault(format!("cannot start the audit's thread: {error}")))?;
        Ok(Self { sink: Arc::new(ring), writer: Some(Writer { stop, ended }) })
    }

    pub(super) fn sink(&self) -> Arc<dyn AuditSink> {
        self.sink.clone()
    }

    /// Writes what is left.
    pub(super) fn finish(self) {
        let Some(Writer { stop, ended }) = self.writer else { return };
        drop(stop);
        if ended.recv_timeout(LAST_WRITE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the last audit events were not written: nobody reads standard error");
        }
    }
}

fn write(mut reader: RingReader, lines: &dyn AuditSink, stopped: &mpsc::Receiver<()>) {
    while stopped.recv_timeout(WRITE_EVERY) == Err(RecvTimeoutError::Timeout) {
        reader.drain(lines);
    }
    reader.drain(lines);
}
