//! One line of a chain, as bytes.

use std::fmt;
use std::str::FromStr;

use super::key::Vouching;
use super::torn::TornTold;
use crate::answer::Fault;
use crate::audit::AuditEvent;
use crate::store::unhex;

/// What vouches for a line, and for all lines before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash(pub(super) [u8; 32]);

impl ChainHash {
    /// What the first line names as the one before it.
    pub(super) const NONE: Self = Self([0; 32]);
}

/// A hash is 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no hash of an audit line: write its 64 hexadecimal digits, as `keyward audit verify` prints them")]
pub struct NotAChainHash;

impl FromStr for ChainHash {
    type Err = NotAChainHash;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        unhex(text).map(Self).ok_or(NotAChainHash)
    }
}

impl fmt::Display for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for ChainHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An event on its way into a chain. It owns what it holds, so that another thread can write it.
#[derive(Clone)]
pub struct Entry(Vec<u8>);

impl Entry {
    /// The event's fields.
    ///
    /// # Errors
    /// For an event that cannot be written as JSON: one whose time lies outside RFC 3339.
    pub fn of(event: &AuditEvent<'_>) -> Result<Self, Fault> {
        let mut fields = serde_json::to_vec(event).map_err(|error| Fault::new(format!("an audit event is no JSON: {error}")))?;
        // The object goes on.
        fields.pop();
        Ok(Self(fields))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({} bytes)", self.0.len())
    }
}

/// Appends the line of an entry, without its end, and gives its hash.
pub(super) fn write(
    line: &mut Vec<u8>,
    entry: &Entry,
    torn: Option<TornTold>,
    sequence: u64,
    previous: ChainHash,
    vouching: &Vouching,
) -> ChainHash {
    use std::io::Write as _;
    let begin = line.len();
    line.extend_from_slice(&entry.0);
    // Writing into a vector cannot fail.
    if let Some(TornTold { bytes, hash }) = torn {
        let _ = write!(line, ",\"torn_bytes\":{bytes},\"torn_sha256\":\"{hash}\"");
    }
    let _ = write!(line, ",\"sequence\":{sequence},\"previous\":\"{previous}\"");
    let hash = vouching.hash(&line[begin..]);
    let _ = write!(line, ",\"{}\":\"{hash}\"}}", vouching.field());
    hash
}

/// A line, read apart. What was read is the writer's word only if [`Vouching::is_hash_of`] says so.
pub(super) struct Parsed<'l> {
    /// What is vouched for.
    pub(super) body: &'l [u8],
    /// `hash` or `hmac`.
    pub(super) field: &'l str,
    pub(super) hash: ChainHash,
    pub(super) sequence: u64,
    pub(super) previous: ChainHash,
    pub(super) torn: Option<TornTold>,
}

impl<'l> Parsed<'l> {
    /// Reads from the end: whatever the event's own fields hold, they cannot be taken for one of these.
    pub(super) fn of(line: &'l [u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let (rest, hash) = cut_hash(text.strip_suffix("\"}")?)?;
        let (rest, field) = rest.strip_suffix("\":\"")?.rsplit_once(",\"")?;
        let body = &line[..rest.len()];
        let (rest, previous) = cut_hash(rest.strip_suffix('"')?)?;
        let (rest, sequence) = rest.strip_suffix(",\"previous\":\"")?.rsplit_once(",\"sequence\":")?;
        Some(Self { body, field, hash, sequence: number(sequence)?, previous, torn: torn(rest) })
    }
}

/// What stands before 64 digits in lower case, and the digits.
fn cut_hash(text: &str) -> Option<(&str, ChainHash)> {
    let (rest, digits) = text.split_at_checked(text.len().checked_sub(64)?)?;
    let is_lower = !digits.bytes().any(|byte| byte.is_ascii_uppercase());
    Some((rest, digits.parse().ok().filter(|_| is_lower)?))
}

fn torn(text: &str) -> Option<TornTold> {
    let (rest, hash) = cut_hash(text.strip_suffix('"')?)?;
    let (_, bytes) = rest.strip_suffix(",\"torn_sha256\":\"")?.rsplit_once(",\"torn_bytes\":")?;
    Some(TornTold { bytes: number(bytes)?, hash })
}

/// In the one way that it is written.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}
