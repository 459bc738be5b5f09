//! The presented secret: borrowed from the request where that is possible, never printed.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroize;

/// The longest credential that is looked at, in bytes (R5.4).
pub(crate) const LONGEST_CREDENTIAL: usize = 1024;

/// What a source held, before anything is known about it.
///
/// There is no `Display` and no `Serialize`; `Debug` tells the length only. Memory of its own (a percent-decoded
/// parameter) is wiped when it is dropped; what is borrowed belongs to the server's own buffers.
#[derive(Clone)]
pub(crate) struct Credential<'r> {
    bytes: Cow<'r, [u8]>,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Good,
    Malformed,
}

impl<'r> Credential<'r> {
    /// Whatever the source held; malformed unless it is 1 to 1,024 bytes of visible ASCII (R5.4).
    pub(crate) fn new(bytes: impl Into<Cow<'r, [u8]>>) -> Self {
        let bytes = bytes.into();
        // Without stopping at the first bad byte: so the compiler looks at many bytes at once.
        let is_visible = |bytes: &[u8]| bytes.iter().fold(true, |good, byte| good & byte.is_ascii_graphic());
        let good = (1..=LONGEST_CREDENTIAL).contains(&bytes.len()) && is_visible(&bytes);
        Self { shape: if good { Shape::Good } else { Shape::Malformed }, bytes }
    }

    /// A source that holds something which cannot be a credential.
    pub(crate) fn malformed(bytes: &'r [u8]) -> Self {
        Self { bytes: Cow::Borrowed(bytes), shape: Shape::Malformed }
    }

    pub(crate) fn is_malformed(&self) -> bool {
        self.shape == Shape::Malformed
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.bytes
    }

    /// Byte-equal (R6.1). Both sides came from the same request, so there is nothing to learn from the time it takes.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.shape == other.shape && self.bytes == other.bytes
    }
}

impl Drop for Credential<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(bytes) = &mut self.bytes {
            bytes.zeroize();
        }
    }
}

impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} bytes)", self.bytes.len())
    }
}

/// A secret that is owned and shown once: a key just made.
///
/// `Debug` hides it; the one way to read it is [`Secret::expose`]. Wiped when dropped.
#[derive(Clone, Zeroize, zeroize::ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself. Print it to the one person it is for, and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_1024_visible_ascii_bytes() {
        for (bytes, good) in [
            (&b"k"[..], true),
            (b"", false),
            (&[b'k'; 1024], true),
            (&[b'k'; 1025], false),
            (b"!~", true),
            (b" ", false),
            (b"a\x7f", false),
            (b"a\x80", false),
            (b"a\0", false),
        ] {
            assert_eq!(!Credential::new(bytes).is_malformed(), good, "{bytes:?}");
        }
    }

    #[test]
    fn debug_hides() {
        assert!(!format!("{:?} {:?}", Credential::new(&b"CANARY"[..]), Secret::new("CANARY")).contains("CANARY"));
    }
}
