//! What comes over a connection after it became a WebSocket, byte by byte: a library would hide what must not be there.

/// What a server sends on an upgraded connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgraded {
    /// One close frame with a code, and nothing else until the end.
    Closed {
        /// The status code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// Anything else, as far as it was read.
    Otherwise(Vec<u8>),
}

impl Upgraded {
    /// What all that came is.
    pub(crate) fn of(bytes: &[u8]) -> Upgraded {
        let otherwise = || Upgraded::Otherwise(bytes.to_vec());
        // RFC 6455 §5.5: final, of the opcode 8, not masked, and with one byte for its length.
        let [0x88, length @ 2..=125, payload @ ..] = bytes else { return otherwise() };
        let (Some((code, reason)), true) = (payload.split_first_chunk(), payload.len() == usize::from(*length)) else {
            return otherwise();
        };
        match std::str::from_utf8(reason) {
            Ok(reason) => Upgraded::Closed { code: u16::from_be_bytes(*code), reason: reason.to_owned() },
            Err(_) => otherwise(),
        }
    }
}

/// Whether what came begins with a whole close frame.
pub(super) fn is_close_frame(bytes: &[u8]) -> bool {
    matches!(bytes, [0x88, length @ ..=125, payload @ ..] if payload.len() >= usize::from(*length))
}

/// Whether what came can become no close frame any more.
pub(super) fn begins_otherwise(bytes: &[u8]) -> bool {
    matches!(bytes, [first, ..] if *first != 0x88) || matches!(bytes, [_, 126..=255, ..])
}

/// A short frame as a client sends it (RFC 6455 §5.3): masked, here with zeros, which any server takes.
pub(super) fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(125)];
    // At most 125.
    let length = u8::try_from(payload.len()).unwrap_or_default();
    [&[first, 0x80 | length, 0, 0, 0, 0], payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_close_frame_and_nothing_else() {
        let closed = |code, reason: &str| Upgraded::Closed { code, reason: reason.to_owned() };
        assert_eq!(Upgraded::of(b"\x88\x04\x03\xf0no"), closed(1008, "no"));
        assert_eq!(Upgraded::of(b"\x88\x02\x0f\xa1"), closed(4001, ""));
        for other in [
            &b""[..],
            b"\x88",
            b"\x88\x00",
            b"\x88\x04\x03\xf0n",
            b"\x88\x04\x03\xf0no\x88\x00",
            b"\x81\x02no\x88\x04\x03\xf0no",
            b"\x08\x04\x03\xf0no",
            b"\x88\x84\0\0\0\0\x03\xf0no",
            b"\x88\x04\x03\xf0\xff\xff",
        ] {
            assert_eq!(Upgraded::of(other), Upgraded::Otherwise(other.to_vec()));
        }
    }

    #[test]
    fn it_is_read_until_it_is_one_thing_or_the_other() {
        let frame = b"\x88\x04\x03\xf0no";
        for end in 0..=frame.len() {
            assert!(!begins_otherwise(&frame[..end]));
            assert_eq!(is_close_frame(&frame[..end]), end == frame.len());
        }
        assert!(begins_otherwise(b"\x81"));
        assert!(begins_otherwise(b"\x88\x84"));
        assert_eq!(client_frame(0x81, b"a"), b"\x81\x81\0\0\0\0a");
    }
}
