//! Denied handshakes of WebSockets that are completed and closed at once (R12.1).
//!
//! The request's payload, which is the connection from then on, goes nowhere but here: it is read and thrown away.

use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody};
use actix_web::dev::Payload;
use actix_web::http::{ConnectionType, StatusCode, Version, header};
use actix_web::rt::time::timeout;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use keyward::WebSocketClose;

use crate::answer::copy_headers;

/// A client has so long to say that it has taken the close frame.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// How much is read of what a client sent before it knew: so many bytes, and no more.
const MOST_READ: usize = 1 << 20;

/// Whether actix-web hands over the connection of what the core found to be a handshake: over HTTP/1.1, and where it has not taken the
/// request for one with a body of its own. It looks for `Upgrade: websocket` and for nothing beside it.
pub(crate) fn is_upgradable(request: &HttpRequest) -> bool {
    let headers = request.headers();
    request.version() == Version::HTTP_11
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get_all(header::UPGRADE).any(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// The 101, of which the body is the close frame and then nothing for as long as the client takes it in.
pub(crate) fn accept_then_close(close: &WebSocketClose, payload: Payload) -> HttpResponse<BoxBody> {
    let mut response = HttpResponse::new(StatusCode::SWITCHING_PROTOCOLS);
    copy_headers(close.response().headers(), response.headers_mut());
    response.head_mut().set_connection_type(ConnectionType::Upgrade);
    let frame = stream::iter([Ok(close.frame())]);
    // A body without bytes: actix-web sends none of these.
    let rest = until_closed(payload).map(|()| Ok::<_, std::convert::Infallible>(Bytes::new())).into_stream();
    response.set_body(BoxBody::new(BodyStream::new(frame.chain(rest))))
}

/// Reads until the client's own close frame, or its end. To end a connection with unread bytes resets it, and the client may never see
/// the frame that was sent; to wait for the end alone would keep a browser waiting, which leaves it to the server.
async fn until_closed(mut payload: Payload) {
    let (mut frames, mut left) = (Frames::default(), MOST_READ);
    let read = async {
        while let Some(Ok(bytes)) = payload.next().await {
            left = left.saturating_sub(bytes.len());
            if left == 0 || frames.close_with(&bytes) {
                break;
            }
        }
    };
    // It is over either way.
    let _ = timeout(CLOSED_WITHIN, read).await;
}

/// The client's frames, of which nothing is kept but where the next one begins (RFC 6455 §5.2).
#[derive(Default)]
struct Frames {
    /// As far as it has come, in pieces of any size; 14 bytes at the most.
    head: Vec<u8>,
    is_close: bool,
    /// Of the current frame, behind its head.
    left: u64,
}

impl Frames {
    /// Whether the client's close frame ends with these bytes, or within them.
    fn close_with(&mut self, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        loop {
            let passed = rest.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= passed as u64;
            rest = &rest[passed..];
            if self.left == 0 && self.is_close {
                return true;
            }
            let Some((next, behind)) = rest.split_first() else { return false };
            self.head.push(*next);
            rest = behind;
            let [kind, length, wide @ ..] = &self.head[..] else { continue };
            // Every client masks; one that does not is misread, and bounded like any other.
            const MASK: usize = 4;
            let length = length & 0x7f;
            let width = match length {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            if wide.len() < width + MASK {
                continue;
            }
            self.is_close = kind & 0x0f == 0x8;
            self.left = match width {
                0 => length.into(),
                _ => wide[..width].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
            };
            self.head.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | kind];
        match u16::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length as u8),
            Ok(length) => frame.extend([&[0xfe][..], &length.to_be_bytes()].concat()),
            Err(_) => frame.extend([&[0xff][..], &(payload.len() as u64).to_be_bytes()].concat()),
        }
        [&frame, &b"mask"[..], payload].concat()
    }

    #[test]
    fn the_close_frame_is_found_behind_frames_of_every_length_and_in_pieces_of_every_size() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536];
        let mut sent: Vec<u8> = lengths.iter().flat_map(|length| frame(0x2, &vec![0x88; *length])).collect();
        sent.extend(frame(0x8, b"\x03\xf0no"));
        for size in [1, 2, 3, 13, 1024, sent.len()] {
            let mut frames = Frames::default();
            let ends = sent.chunks(size).map(|piece| frames.close_with(piece)).collect::<Vec<_>>();
            assert_eq!(ends.iter().position(|end| *end), Some(ends.len() - 1), "{size}");
        }
        assert!(Frames::default().close_with(&[&frame(0x8, b"")[..], b"beyond"].concat()));
        assert!(!Frames::default().close_with(b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff and that was it"));
    }

    #[test]
    fn only_what_actix_web_hands_over_is_upgraded() {
        let handshake = || TestRequest::default().insert_header((header::UPGRADE, " WebSocket"));
        assert!(is_upgradable(&handshake().to_http_request()));
        assert!(is_upgradable(&handshake().append_header((header::UPGRADE, "h2c")).to_http_request()));
        for other in [
            TestRequest::default(),
            // To actix-web this is a request like any other: what follows it would be the next one.
            TestRequest::default().insert_header((header::UPGRADE, "h2c, websocket")),
            handshake().insert_header((header::TRANSFER_ENCODING, "chunked")),
            handshake().version(Version::HTTP_10),
            handshake().version(Version::HTTP_2),
        ] {
            assert!(!is_upgradable(&other.to_http_request()));
        }
    }
}
