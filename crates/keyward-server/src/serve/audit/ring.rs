//! Events through memory, written by a thread a little later: for `best-effort` audits.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use keyward::audit::{AuditSink, Ring, RingReader};

use super::counted::Counts;
use super::file::AuditFile;
use super::{Audit, Writer, spawn};
use crate::failure::Failure;

/// How many events wait at most for the writer. More than it writes in this time are dropped, counted and told.
const WAITING: usize = 16_384;
const WRITE_EVERY: Duration = Duration::from_millis(50);

/// What the thread writes into.
pub(super) trait Written: AuditSink + 'static {
    /// When all events have been written.
    fn end(&self) {}
}

impl<W: std::io::Write + Send + 'static> Written for keyward::audit::Lines<W> {}

impl Written for AuditFile {
    fn end(&self) {
        AuditFile::end(self);
    }
}

pub(super) fn start(written: impl Written) -> Result<Audit, Failure> {
    let (ring, reader) = Ring::new(WAITING);
    let (stop, stopped) = mpsc::channel::<()>();
    let counts = Arc::<Counts>::default();
    let counting = counts.clone();
    let ended = spawn(move || {
        write(reader, &written, &stopped, &counting);
        written.end();
    })?;
    Ok(Audit { sink: Arc::new(ring), counts, writer: Some(Writer { stop: Box::new(move || drop(stop)), ended }) })
}

fn write(mut reader: RingReader, written: &dyn AuditSink, stopped: &mpsc::Receiver<()>, counts: &Counts) {
    while stopped.recv_timeout(WRITE_EVERY) == Err(RecvTimeoutError::Timeout) {
        counts.add(reader.drain(written));
    }
    counts.add(reader.drain(written));
}
