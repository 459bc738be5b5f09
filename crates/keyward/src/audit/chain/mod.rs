//! Audit lines that vouch for each other: each carries the hash of the one before it, so that no line can be changed, taken out, put
//! in or moved without its being seen.
//!
//! A line is the JSON object of its event, and behind the event's own fields, in this order:
//!
//! | field | |
//! | --- | --- |
//! | `torn_bytes`, `torn_sha256` | only where a write was cut off before this line: how much of it is there, and its SHA-256 |
//! | `sequence` | the line's number in the chain, from 1 |
//! | `previous` | the `hash` of the line before; 64 zeros in the first |
//! | `hash`, or `hmac` in a keyed chain | SHA-256, or HMAC-SHA-256 under the [`ChainKey`], of all bytes of the line before `,"hash":` or `,"hmac":` |
//!
//! So whoever can count bytes can check a line: its last 75 are `,"hash":"` with 64 hexadecimal digits and `"}`.
//!
//! # What it proves
//!
//! A plain chain shows damage, and changes by whoever did not compute all later lines anew. Whoever can write the file can do just
//! that; only a hash that was kept elsewhere shows it. A keyed chain cannot be computed anew without the key. Neither shows that the
//! last lines were taken away: that, too, takes a hash that was kept elsewhere, which is then missing.

mod key;
mod line;
mod torn;
mod verify;
mod write;

pub use key::{ChainKey, WeakChainKey};
pub use line::{ChainHash, Entry, NotAChainHash};
pub use verify::{Broken, BrokenKind, ChainEnd, ChainReader, Linked};
pub use write::{Chain, ChainedLines};

/// The longest line that is written or read, in bytes. What outsiders can bring into an event is shorter.
pub(crate) const LONGEST_LINE: usize = 1024 * 1024;
