//! What is left of a write that was cut off: by a kill, a power cut or a full disk.

use std::fmt;

use sha2::{Digest, Sha256};

use super::line::ChainHash;

/// All bytes between one whole line and the next, but for the last line end, which ends the piece.
#[derive(Clone, Default)]
pub(super) struct Torn {
    bytes: u64,
    hash: Sha256,
    /// Whether a line end came last, which counts only once something follows.
    is_ended: bool,
}

impl Torn {
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.is_ended) {
            self.hash.update(b"\n");
            self.bytes += 1;
        }
        if let Some(before) = bytes.strip_suffix(b"\n") {
            (self.is_ended, bytes) = (true, before);
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    pub(super) fn told(&self) -> TornTold {
        TornTold { bytes: self.bytes, hash: ChainHash(self.hash.clone().finalize().into()) }
    }
}

impl fmt::Debug for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Torn({} bytes)", self.bytes)
    }
}

/// What the next line says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TornTold {
    pub(super) bytes: u64,
    pub(super) hash: ChainHash,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_end_belongs_to_the_next_line() {
        let torn = |pieces: &[&[u8]]| {
            let mut torn = Torn::default();
            pieces.iter().for_each(|piece| torn.add(piece));
            torn.told()
        };
        let whole = torn(&[b"a\nb"]);
        assert_eq!(whole.bytes, 3);
        assert_eq!(whole.hash, ChainHash(Sha256::digest(b"a\nb").into()));
        for same in [&[&b"a"[..], b"\n", b"", b"b"][..], &[b"a\n", b"b\n"], &[b"a\nb", b"\n"]] {
            assert_eq!(torn(same), whole, "{same:?}");
        }
        assert_ne!(torn(&[b"a\nb\n\n"]), whole);
        assert_eq!(torn(&[]).bytes, 0);
    }
}
