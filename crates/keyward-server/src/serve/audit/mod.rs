//! Where audit events go: to standard error as the policy's `[audit]` wants them, or to a file whose lines vouch for each other.

mod counted;
mod disk;
mod file;
mod recorder;
mod ring;

pub(super) use counted::Counts;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use keyward::Policy;
use keyward::audit::{AuditSink, LineFormat, Lines};
use keyward::policy::AuditFormat;

use self::counted::Counted;
use crate::arguments::Serve;
use crate::failure::Failure;

/// Something that does not take what is written must not keep the program from ending.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// Where audit events go, and the thread that writes them.
pub(super) struct Audit {
    sink: Arc<dyn AuditSink>,
    counts: Arc<Counts>,
    writer: Option<Writer>,
}

/// A thread of the audit's.
struct Writer {
    /// Asks it to write what is left, and to end.
    stop: Box<dyn FnOnce() + Send>,
    /// Nothing more is sent once it has ended.
    ended: mpsc::Receiver<()>,
}

impl Audit {
    /// `required` writes each event before its request goes on. `best-effort` never makes a request wait for a slow reader or disk.
    pub(super) fn start(policy: &Policy, arguments: &Serve) -> Result<Self, Failure> {
        match (file::open(arguments)?, policy.audit_is_required()) {
            (Some(file), true) => recorder::start(file),
            (Some(file), false) => ring::start(file),
            (None, true) => {
                let counts = Arc::<Counts>::default();
                Ok(Self { sink: Arc::new(Counted::new(lines(policy), counts.clone())), counts, writer: None })
            }
            (None, false) => ring::start(lines(policy)),
        }
    }

    pub(super) fn sink(&self) -> Arc<dyn AuditSink> {
        self.sink.clone()
    }

    pub(super) fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Writes what is left.
    pub(super) fn finish(self) {
        let Some(Writer { stop, ended }) = self.writer else { return };
        stop();
        if ended.recv_timeout(LAST_WRITE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the last audit events may not be written: what they are written to does not take them in time");
        }
    }
}

fn lines(policy: &Policy) -> Lines<io::Stderr> {
    let format = match policy.audit_format() {
        AuditFormat::Json => LineFormat::Json,
        AuditFormat::Text => LineFormat::Text,
    };
    Lines::new(io::stderr(), format)
}

/// Starts a thread, and tells by its receiver when it has ended.
fn spawn(work: impl FnOnce() + Send + 'static) -> Result<mpsc::Receiver<()>, Failure> {
    let (end, ended) = mpsc::channel();
    let thread = thread::Builder::new().name("audit".to_owned()).spawn(move || {
        work();
        drop(end);
    });
    thread.map_err(|error| Failure::Fault(format!("cannot start the audit's thread: {error}")))?;
    Ok(ended)
}
