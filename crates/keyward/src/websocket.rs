//! Denying a WebSocket's handshake by closing it (R12.1): the handshake is completed, and one frame says why.
//!
//! Browsers tell a page nothing of a handshake that is refused by HTTP: it sees 1006. A close frame it does see.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use sha1::{Digest, Sha1};

use crate::source::is_token_byte;

/// How long a reason may be, in bytes: a control frame holds 125, and the code takes two (RFC 6455 §5.5).
const LONGEST_REASON: usize = 123;

/// RFC 6455 §1.3.
const ACCEPTS: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A denied handshake that is to be completed and closed at once, as the policy's `on_denial = "close"` says.
///
/// Send [`response`](Self::response), then [`frame`](Self::frame) as the first bytes of the upgraded connection. Then read, and
/// throw away, until the client ends or for about a second: a connection that is ended with unread bytes is reset, and the frame
/// may be lost with it. Nothing of what the client sent may reach the application.
#[derive(Clone)]
pub struct WebSocketClose {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
    code: u16,
    reason: Box<str>,
    headers: HeaderMap,
}

impl WebSocketClose {
    pub(crate) fn new(handshake: Handshake, code: u16, reason: &str, headers: HeaderMap) -> Self {
        let end = (0..=reason.len().min(LONGEST_REASON)).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        Self { accept: handshake.accept, protocol: handshake.protocol, code, reason: reason[..end].into(), headers }
    }

    /// The status code of the frame: the policy's `close_code`.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason in the frame: the denial's text, of at most 123 bytes.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The handshake's answer, 101: with a subprotocol that the client offered, never one that holds a credential.
    pub fn response(&self) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.clone_from(&self.headers);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, self.accept.clone());
        if let Some(protocol) = &self.protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        response
    }

    /// The close frame, as a server sends it: whole, and not masked (RFC 6455 §5.5.1).
    pub fn frame(&self) -> Bytes {
        let mut frame = BytesMut::with_capacity(4 + self.reason.len());
        frame.put_u8(0x88);
        // At most 125: the reason's length was bounded when it was made.
        frame.put_u8(u8::try_from(2 + self.reason.len()).unwrap_or(2));
        frame.put_u16(self.code);
        frame.put_slice(self.reason.as_bytes());
        frame.freeze()
    }
}

impl fmt::Debug for WebSocketClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketClose").field("code", &self.code).field("reason", &self.reason).finish_non_exhaustive()
    }
}

/// Whether this is the base64 of 16 bytes, as a handshake's key is (RFC 6455 §4.2.1).
pub(crate) fn is_key(written: &[u8]) -> bool {
    STANDARD.decode(written).is_ok_and(|decoded| decoded.len() == 16)
}

/// What of a valid handshake its answer depends on.
pub(crate) struct Handshake {
    accept: HeaderValue,
    protocol: Option<HeaderValue>,
}

impl Handshake {
    /// `None` for a key that is none. Of the subprotocols the first is selected that can
    /// stand in an answer and is no credential.
    pub(crate) fn new<'r>(
        key: &[u8],
        offers: impl IntoIterator<Item = &'r [u8]>,
        is_credential: impl Fn(&[u8]) -> bool,
    ) -> Option<Self> {
        if !is_key(key) {
            return None;
        }
        let accept = Sha1::new().chain_update(key).chain_update(ACCEPTS).finalize();
        let real = |offer: &&[u8]| !offer.is_empty() && offer.iter().copied().all(is_token_byte) && !is_credential(offer);
        Some(Self {
            accept: HeaderValue::from_str(&STANDARD.encode(accept)).ok()?,
            protocol: offers.into_iter().find(real).and_then(|offer| HeaderValue::from_bytes(offer).ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(reason: &str) -> WebSocketClose {
        let offers = [&b"base64url.auth.YQ"[..], b"chat", b"talk"];
        let handshake = Handshake::new(b"dGhlIHNhbXBsZSBub25jZQ==", offers, |offer| offer.starts_with(b"base64url.")).unwrap();
        WebSocketClose::new(handshake, 1008, reason, HeaderMap::new())
    }

    #[test]
    fn the_handshake_of_the_standard() {
        let response = close("no").response();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
        assert_eq!(&close("no").frame()[..], b"\x88\x04\x03\xf0no");
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        for (bytes, kept) in [(122, 122), (123, 123), (124, 123)] {
            assert_eq!(close(&"a".repeat(bytes)).reason().len(), kept);
        }
        assert_eq!(close(&"ü".repeat(100)).reason(), "ü".repeat(61));
        assert_eq!(close(&"a".repeat(200)).frame().len(), 127);
    }

    #[test]
    fn a_key_is_the_base64_of_16_bytes() {
        for bad in [
            &b""[..],
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25j",
            b"dGhlIHNhbXBsZSBub25jZQ==a",
            b"????????????????????????",
        ] {
            assert!(Handshake::new(bad, [], |_| false).is_none());
        }
    }
}
