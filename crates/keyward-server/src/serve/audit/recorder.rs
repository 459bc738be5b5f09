//! Events that are in the file before their requests go on: for `required` audits.
//!
//! One thread writes, and a request waits for it up to a deadline, so that a disk that hangs makes answers of 503 and no server that
//! hangs. Refused: to write on the request's own thread, which a disk that hangs would keep. Refused, too: to wait until each line is
//! on the disk itself. A kill loses nothing that was written, and a busy disk may take seconds for it, which all requests would be
//! denied for.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use keyward::audit::chain::Entry;
use keyward::audit::{AuditEvent, AuditSink};
use keyward::{Answer, Fault};
use tokio::sync::oneshot;

use super::counted::{Counted, Counts};
use super::file::AuditFile;
use super::{Audit, Writer, spawn};
use crate::failure::Failure;

/// Events that wait for the thread. More are not recorded.
const WAITING: usize = 4_096;
/// As long as a request waits until its event is written.
const DEADLINE: Duration = Duration::from_millis(900);

/// What is written to.
trait Durable: Send + 'static {
    fn append(&self, entry: &Entry) -> io::Result<()>;
    /// Whether the disk has lost what was written before.
    fn has_lost_lines(&self) -> bool;
    /// When all events have been written.
    fn end(&self);
}

impl Durable for AuditFile {
    fn append(&self, entry: &Entry) -> io::Result<()> {
        AuditFile::append(self, entry)
    }

    fn has_lost_lines(&self) -> bool {
        AuditFile::has_lost_lines(self)
    }

    fn end(&self) {
        AuditFile::end(self);
    }
}

enum Job {
    Record(Entry, oneshot::Sender<Result<(), Fault>>),
    Stop,
}

struct Recorder(SyncSender<Job>);

pub(super) fn start(file: AuditFile) -> Result<Audit, Failure> {
    let (recorder, writer) = record_in(file)?;
    let counts = Arc::<Counts>::default();
    Ok(Audit { sink: Arc::new(Counted::new(recorder, counts.clone())), counts, writer: Some(writer) })
}

fn record_in(written: impl Durable) -> Result<(Recorder, Writer), Failure> {
    let (jobs, queue) = mpsc::sync_channel(WAITING);
    let ended = spawn(move || write(&written, &queue))?;
    let stopping = jobs.clone();
    // Where there is no place for it the thread hangs, and is not waited for.
    let stop = Box::new(move || drop(stopping.try_send(Job::Stop)));
    Ok((Recorder(jobs), Writer { stop, ended }))
}

impl AuditSink for Recorder {
    fn may_wait(&self) -> bool {
        true
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let (entry, jobs) = match Entry::of(event) {
            Ok(entry) => (entry, self.0.clone()),
            Err(fault) => return Answer::fault(fault),
        };
        Answer::Pending(Box::pin(async move {
            let (done, recorded) = oneshot::channel();
            let full = || Fault::new("more audit events wait for the disk than may wait: it hangs, or is too slow");
            jobs.try_send(Job::Record(entry, done)).map_err(|_| full())?;
            match tokio::time::timeout(DEADLINE, recorded).await {
                Ok(Ok(recorded)) => recorded,
                Ok(Err(_)) => Err(Fault::new("the audit's thread has ended")),
                // It may be written later on, although its request was answered 503.
                Err(_) => Err(Fault::new(format!("an audit event was not written within {} ms", DEADLINE.as_millis()))),
            }
        }))
    }
}

fn write(written: &impl Durable, queue: &Receiver<Job>) {
    while let Ok(Job::Record(entry, done)) = queue.recv() {
        let recorded = if written.has_lost_lines() {
            Err(Fault::new("the disk has lost audit lines before: mend it, and restart the server"))
        } else {
            written.append(&entry).map_err(|error| Fault::new(format!("an audit event was not written: {error}")))
        };
        // Whoever has given up is not there to be told.
        let _ = done.send(recorded);
    }
    written.end();
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, PipeWriter, Read};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::time::Instant;

    use keyward::Timestamp;
    use keyward::audit::chain::{Chain, ChainReader};

    use super::*;

    /// A pipe takes 64 KiB, and hangs until somebody reads them.
    struct Pipe {
        chain: Mutex<Chain<PipeWriter>>,
        loses: Arc<AtomicBool>,
    }

    impl Durable for Pipe {
        fn append(&self, entry: &Entry) -> io::Result<()> {
            self.chain.lock().unwrap_or_else(PoisonError::into_inner).append(entry)
        }

        fn has_lost_lines(&self) -> bool {
            self.loses.load(Ordering::SeqCst)
        }

        fn end(&self) {}
    }

    fn recorder() -> (Recorder, Writer, PipeReader, Arc<AtomicBool>) {
        let (reader, writer) = io::pipe().unwrap();
        let loses = Arc::new(AtomicBool::new(false));
        let pipe = Pipe { chain: Mutex::new(Chain::new(writer, None)), loses: loses.clone() };
        let (recorder, writer) = record_in(pipe).unwrap();
        (recorder, writer, reader, loses)
    }

    fn record(recorder: &Recorder) -> impl Future<Output = Result<(), Fault>> + use<> {
        recorder.record(&AuditEvent::of_limits(true, "deny", Timestamp::EPOCH, 7)).wait()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_disk_that_hangs_is_a_fault_for_each_event_and_nobody_hangs_with_it() {
        let (recorder, writer, mut reader, _) = recorder();
        let (mut recorded, started) = (0, Instant::now());
        while record(&recorder).await.is_ok() {
            recorded += 1;
        }
        assert!(recorded > 0 && started.elapsed() >= DEADLINE, "{recorded}");
        // Many at once wait no longer than one, and those that are too many wait not at all.
        let started = Instant::now();
        let waiting: Vec<_> = (0..WAITING + 300).map(|_| tokio::spawn(record(&recorder))).collect();
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_err());
        }
        assert!(started.elapsed() < DEADLINE * 20);
        // The program can end.
        (writer.stop)();
        // It goes on, as if nothing had been.
        let lines = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).unwrap();
            let mut chain = ChainReader::new(&text[..], None);
            let mut lines = 0;
            while let Some(line) = chain.next_line().unwrap() {
                line.unwrap();
                lines += 1;
            }
            lines
        });
        let mut again = record(&recorder).await;
        while again.is_err() {
            again = record(&recorder).await;
        }
        drop(recorder);
        assert!(lines.await.unwrap() > recorded);
    }

    #[tokio::test]
    async fn nothing_is_called_recorded_on_a_disk_that_has_lost_lines() {
        let (recorder, _writer, _reader, loses) = recorder();
        assert!(record(&recorder).await.is_ok());
        loses.store(true, Ordering::SeqCst);
        assert!(record(&recorder).await.unwrap_err().to_string().contains("restart"));
    }

    #[tokio::test]
    async fn what_was_recorded_is_written_when_it_is_stopped() {
        let (recorder, writer, mut reader, _) = recorder();
        for _ in 0..3 {
            assert!(record(&recorder).await.is_ok());
        }
        (writer.stop)();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(record(&recorder).await.is_err(), "it has ended");
    }
}
