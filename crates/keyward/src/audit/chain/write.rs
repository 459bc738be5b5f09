//! Writing a chain, and going on with it behind whatever a cut-off write has left.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::LONGEST_LINE;
use super::key::{ChainKey, Vouching};
use super::line::{self, ChainHash, Entry};
use super::torn::Torn;
use super::verify::ChainEnd;
use crate::answer::{Answer, Fault};
use crate::audit::{AuditEvent, AuditSink};

/// Writes a chain into something that is only ever added to.
///
/// The writer must not keep back what it takes, as a buffer does: what it has taken counts as written.
///
/// A write that fails may have left a piece of its line. It is not taken back, since a file that can only be added to is worth more:
/// the next line that is written whole tells of the piece, and vouches for it.
#[derive(Debug)]
pub struct Chain<W> {
    writer: W,
    vouching: Vouching,
    end: ChainEnd,
    line: Vec<u8>,
}

impl<W: Write> Chain<W> {
    /// Begins a chain, keyed where there is a key.
    pub fn new(writer: W, key: Option<ChainKey>) -> Self {
        Self::going_on(writer, key, ChainEnd::default())
    }

    /// Goes on behind what a [`ChainReader`](super::ChainReader) with the same key has read.
    pub fn going_on(writer: W, key: Option<ChainKey>, end: ChainEnd) -> Self {
        Self { writer, vouching: Vouching(key), end, line: Vec::new() }
    }

    /// Adds one line, in one write where the writer takes it whole.
    ///
    /// # Errors
    /// The writer's. The line is not there then, though a piece of it may be.
    pub fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.line.clear();
        let is_within_a_line = match &self.end.torn {
            Some(torn) => !torn.is_ended(),
            None => self.end.lacks_line_end,
        };
        if is_within_a_line {
            self.line.push(b'\n');
        }
        let (torn, sequence) = (self.end.torn.as_ref().map(Torn::told), self.end.lines.saturating_add(1));
        let hash = line::write(&mut self.line, entry, torn, sequence, self.end.head, &self.vouching);
        if self.line.len() > LONGEST_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("its line is longer than {LONGEST_LINE} bytes")));
        }
        self.line.push(b'\n');
        let (written, result) = write_counting(&mut self.writer, &self.line);
        let lacking = self.line.len() - written;
        // All but its end is a whole line, whatever came after it.
        if lacking <= 1 {
            self.end = ChainEnd { lines: sequence, head: hash, torn: None, lacks_line_end: lacking == 1 };
            return if lacking == 1 { Ok(()) } else { result };
        }
        let mut piece = &self.line[..written];
        if self.end.torn.is_none() && is_within_a_line && written > 0 {
            // The end of the line before, which is whole by it.
            (piece, self.end.lacks_line_end) = (&piece[1..], false);
        }
        if !piece.is_empty() {
            self.end.torn.get_or_insert_default().add(piece);
        }
        result
    }

    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.end.lines
    }

    /// The hash of the last one.
    pub fn head(&self) -> ChainHash {
        self.end.head
    }

    /// What is written into.
    pub fn writer(&self) -> &W {
        &self.writer
    }
}

/// How much was written, also where it failed.
fn write_counting(writer: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match writer.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, writer.flush())
}

/// A chain as an audit sink: each event is written before [`AuditSink::record`] returns.
///
/// ```
/// use keyward::audit::chain::ChainedLines;
/// use keyward::{ConfigError, Guard, KeyStore, Policy};
///
/// fn guard(store: impl KeyStore + 'static, file: std::fs::File) -> Result<Guard, ConfigError> {
///     Guard::builder(Policy::builder().build()?).store(store).audit(ChainedLines::new(file, None)).build()
/// }
/// ```
pub struct ChainedLines<W>(Mutex<Chain<W>>);

impl<W: Write + Send> ChainedLines<W> {
    /// Begins a chain, keyed where there is a key.
    pub fn new(writer: W, key: Option<ChainKey>) -> Self {
        Self::of(Chain::new(writer, key))
    }

    /// Goes on with a chain.
    pub fn of(chain: Chain<W>) -> Self {
        Self(Mutex::new(chain))
    }

    /// The chain, once all events have been recorded.
    pub fn into_chain(self) -> Chain<W> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Write + Send> AuditSink for ChainedLines<W> {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let entry = match Entry::of(event) {
            Ok(entry) => entry,
            Err(fault) => return Answer::fault(fault),
        };
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner).append(&entry);
        Answer::Ready(written.map_err(|error| Fault::new(format!("an audit line was not written: {error}"))))
    }
}

impl<W> fmt::Debug for ChainedLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainedLines")
    }
}
