//! Reading a chain, line by line, up to the first one that is broken.

use std::io::{self, BufRead, Read};

use super::LONGEST_LINE;
use super::key::{ChainKey, Vouching};
use super::line::{ChainHash, Parsed};
use super::torn::Torn;

/// Where a chain ends.
#[derive(Debug, Clone)]
pub struct ChainEnd {
    pub(super) lines: u64,
    pub(super) head: ChainHash,
    /// What is left, behind the last whole line, of writes that were cut off.
    pub(super) torn: Option<Torn>,
    /// Whether the last whole line has no end.
    pub(super) lacks_line_end: bool,
}

impl Default for ChainEnd {
    /// Of a chain that has not begun.
    fn default() -> Self {
        Self { lines: 0, head: ChainHash::NONE, torn: None, lacks_line_end: false }
    }
}

impl ChainEnd {
    /// How many lines there are.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The hash of the last one; 64 zeros where there is none.
    pub fn head(&self) -> ChainHash {
        self.head
    }

    /// How many bytes of a write that was cut off come behind the last whole line.
    pub fn torn_bytes(&self) -> u64 {
        self.torn.as_ref().map_or(0, |torn| torn.told().bytes)
    }
}

/// One line that is whole, and in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Linked {
    /// The line's number in the file. It is larger than its number in the chain by the lines of pieces that were torn.
    pub line: u64,
    /// Its number in the chain.
    pub sequence: u64,
    /// What vouches for it.
    pub hash: ChainHash,
    /// How many bytes of a write that was cut off stand before it. It vouches for them.
    pub torn_bytes: Option<u64>,
}

/// The first line that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
#[non_exhaustive]
pub struct Broken {
    /// Its number in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub kind: BrokenKind,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenKind {
    /// Its hash is another one's.
    #[error("this line was changed: its hash is not that of its text")]
    Changed,
    /// Its HMAC is another one's.
    #[error("this line was changed, or is vouched for with another key: its HMAC is not that of its text under this key")]
    ChangedOrOtherKey,
    /// It is JSON, and no line of a chain.
    #[error("this line is none of the chain: it has no hash")]
    Unchained,
    /// The chain has a key, and none was given.
    #[error("this line is vouched for with a key: it takes that key to check it")]
    Keyed,
    /// A key was given, and the line has none.
    #[error("this line is not vouched for with the key: anybody could have written it")]
    NotKeyed,
    /// It follows another line than the one before it.
    #[error("{}", out_of_place(*.expected, *.found))]
    OutOfPlace {
        /// Which number in the chain had its turn.
        expected: u64,
        /// Which one is there.
        found: u64,
    },
    /// A piece that no later line tells of.
    #[error("this is a piece of a line, and the next whole line does not tell that a write was cut off here")]
    Piece,
    /// A piece at the end: the program was killed and has not been started again; or somebody cut the file.
    #[error("this line was cut off, and no line comes behind it")]
    CutOff,
    /// It tells of a piece that is not there, or is another one.
    #[error("this line tells of a write that was cut off before it, and what is there is something else")]
    OtherPiece,
    /// Longer than any line that is written.
    #[error("this line is longer than any that is written")]
    TooLong,
}

fn out_of_place(expected: u64, found: u64) -> String {
    let what = match found.checked_sub(expected) {
        Some(0) => "one of the two was put in".to_owned(),
        Some(1) => "1 line is missing".to_owned(),
        Some(missing) => format!("{missing} lines are missing, or lines were moved"),
        None => "it was put in, or moved here".to_owned(),
    };
    format!(
        "this line does not follow the one before it: it is number {found} of its chain where {expected} has its turn; {what}"
    )
}

/// Reads a chain.
///
/// ```
/// use std::io::BufReader;
/// use keyward::audit::chain::{ChainHash, ChainReader};
///
/// fn head(file: std::fs::File) -> std::io::Result<Option<ChainHash>> {
///     let mut reader = ChainReader::new(BufReader::new(file), None);
///     while let Some(line) = reader.next_line()? {
///         if let Err(broken) = line {
///             eprintln!("line {}: {broken}", broken.line);
///             return Ok(None);
///         }
///     }
///     Ok(reader.end().ok().map(|end| end.head()))
/// }
/// ```
#[derive(Debug)]
pub struct ChainReader<R> {
    reader: R,
    vouching: Vouching,
    /// Lines of the file that were read.
    line: u64,
    buffer: Vec<u8>,
    end: ChainEnd,
    /// Where the piece begins that `end.torn` holds.
    torn_line: u64,
    /// Begun within the file: what comes before the first whole line cannot be judged.
    is_within: bool,
}

impl<R: BufRead> ChainReader<R> {
    /// From the first line of a file on. Without a key: a plain chain.
    pub fn new(reader: R, key: Option<ChainKey>) -> Self {
        let (vouching, end) = (Vouching(key), ChainEnd::default());
        Self { reader, vouching, line: 0, buffer: Vec::new(), end, torn_line: 0, is_within: false }
    }

    /// From somewhere within a file on, for who wants to know where it ends: takes the first whole line's word for all before it.
    pub fn within(reader: R, key: Option<ChainKey>) -> Self {
        Self { is_within: true, ..Self::new(reader, key) }
    }

    /// The next line that is whole; `None` at the end. Behind a broken one nothing is known, and what is read there has no meaning.
    ///
    /// # Errors
    /// When reading fails.
    pub fn next_line(&mut self) -> io::Result<Option<Result<Linked, Broken>>> {
        loop {
            self.buffer.clear();
            let limit = LONGEST_LINE as u64 + 1;
            if (&mut self.reader).take(limit).read_until(b'\n', &mut self.buffer)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.buffer.len() as u64 == limit && self.buffer.last() != Some(&b'\n') {
                return Ok(Some(Err(self.broken(BrokenKind::TooLong))));
            }
            let buffer = std::mem::take(&mut self.buffer);
            let judged = self.judge(&buffer);
            self.buffer = buffer;
            match judged {
                Ok(None) => {}
                Ok(Some(linked)) => return Ok(Some(Ok(linked))),
                Err(broken) => return Ok(Some(Err(broken))),
            }
        }
    }

    /// A piece is no line, and not broken either as long as nobody knows what the next line says.
    fn judge(&mut self, bytes: &[u8]) -> Result<Option<Linked>, Broken> {
        let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let Some(parsed) = Parsed::of(text) else {
            // What was cut off is no JSON: it lacks its end.
            if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() {
                return Err(self.broken(BrokenKind::Unchained));
            }
            if self.end.torn.is_none() {
                self.torn_line = self.line;
            }
            self.end.torn.get_or_insert_default().add(bytes);
            return Ok(None);
        };
        if parsed.field != self.vouching.field() {
            let is_keyed = parsed.field == "hmac";
            return Err(self.broken(if is_keyed { BrokenKind::Keyed } else { BrokenKind::NotKeyed }));
        }
        if !self.vouching.is_hash_of(parsed.hash, parsed.body) {
            let is_keyed = self.vouching.0.is_some();
            return Err(self.broken(if is_keyed { BrokenKind::ChangedOrOtherKey } else { BrokenKind::Changed }));
        }
        if !std::mem::take(&mut self.is_within) {
            let expected = self.end.lines.saturating_add(1);
            if parsed.sequence != expected || parsed.previous != self.end.head {
                // A piece before it comes first, if it is at fault.
                return Err(match (&self.end.torn, parsed.torn) {
                    (Some(_), None) => Broken { line: self.torn_line, kind: BrokenKind::Piece },
                    _ => self.broken(BrokenKind::OutOfPlace { expected, found: parsed.sequence }),
                });
            }
            match (self.end.torn.as_ref().map(Torn::told), parsed.torn) {
                (there, told) if there == told => {}
                (Some(_), None) => return Err(Broken { line: self.torn_line, kind: BrokenKind::Piece }),
                _ => return Err(self.broken(BrokenKind::OtherPiece)),
            }
        }
        let lacks_line_end = text.len() == bytes.len();
        self.end = ChainEnd { lines: parsed.sequence, head: parsed.hash, torn: None, lacks_line_end };
        Ok(Some(Linked {
            line: self.line,
            sequence: parsed.sequence,
            hash: parsed.hash,
            torn_bytes: parsed.torn.map(|torn| torn.bytes),
        }))
    }

    /// Where the chain ends, once every line has been read.
    ///
    /// # Errors
    /// [`BrokenKind::CutOff`], where a piece comes behind the last line.
    pub fn end(self) -> Result<ChainEnd, Broken> {
        match self.end.torn {
            Some(_) => Err(Broken { line: self.torn_line, kind: BrokenKind::CutOff }),
            None => Ok(self.end),
        }
    }

    /// As [`end`](Self::end), for who writes on: a piece is what the next line tells of. `None` where no whole line was read although
    /// reading began within the file.
    pub fn end_to_go_on_from(self) -> Option<ChainEnd> {
        (!self.is_within).then_some(self.end)
    }

    fn broken(&self, kind: BrokenKind) -> Broken {
        Broken { line: self.line, kind }
    }
}
