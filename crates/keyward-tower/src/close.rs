//! Denied handshakes of WebSockets that are completed and closed at once (R12.1), on connections that hyper hands over.
//!
//! Nobody but this file ever holds such a connection: what the client sends on it is read and thrown away.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use keyward::{Denial, WebSocketClose};
use tokio::io::{AsyncBufRead, AsyncReadExt, AsyncWriteExt, BufReader, copy_buf, sink};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// hyper hands a connection over as soon as the 101 is sent, and never to a client that does not take it.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(10);

/// A client has so long to take the close frame, and to say that it has.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// How much is read of what a client sent before it knew: so many bytes, and no more.
const MOST_READ: u64 = 1 << 20;

/// Answers a denied request of which nothing else is known than its connection, if it is one that can be upgraded.
///
/// A handshake of a WebSocket is completed and closed where the policy says `on_denial = "close"`. All else gets the denial, and so
/// does a handshake without a connection to upgrade (not hyper's, HTTP/2, a layer between that took it) or outside of Tokio.
///
/// The layer answers so by itself. This is for filters and handlers within it that deny by a guard of their own. `upgrade` is the
/// [`OnUpgrade`] among the request's extensions; whoever calls this must not have given it to anybody else.
///
/// The server has to serve its connections with upgrades, as hyper calls it; one that does not ends the connection after the 101.
pub fn denial_response(denial: Denial, upgrade: Option<OnUpgrade>) -> Response<Bytes> {
    let closed = upgrade.and_then(|upgrade| accept_then_close(denial.websocket_close()?, upgrade));
    closed.unwrap_or_else(|| denial.into_response())
}

/// `None` outside of Tokio: nobody would close what was accepted.
fn accept_then_close(close: &WebSocketClose, upgrade: OnUpgrade) -> Option<Response<Bytes>> {
    let runtime = Handle::try_current().ok()?;
    let frame = close.frame();
    runtime.spawn(async move {
        let Ok(Ok(upgraded)) = timeout(HANDED_OVER_WITHIN, upgrade).await else { return };
        let mut stream = BufReader::with_capacity(1024, TokioIo::new(upgraded));
        // It is over either way, and it is the client that went away or took too long.
        let _ = timeout(CLOSED_WITHIN, async {
            stream.write_all(&frame).await?;
            stream.flush().await?;
            until_closed(&mut (&mut stream).take(MOST_READ)).await
        })
        .await;
        let _ = timeout(CLOSED_WITHIN, stream.shutdown()).await;
    });
    Some(close.response().map(|()| Bytes::new()))
}

/// Reads up to the client's own close frame; an error is its end. To end a connection with unread bytes resets it, and the client may
/// never see the frame that was sent. Refused: to wait for nothing but the client's end, since browsers leave that to the server, and
/// tell the page only then.
async fn until_closed(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<()> {
    loop {
        // RFC 6455 §5.2. Every client masks; one that does not is misread, and bounded like any other.
        let kind = stream.read_u8().await? & 0x0f;
        let length = match stream.read_u8().await? & 0x7f {
            126 => stream.read_u16().await?.into(),
            127 => stream.read_u64().await?,
            length => length.into(),
        };
        // With the mask.
        copy_buf(&mut stream.take(length.saturating_add(4)), &mut sink()).await?;
        if kind == 0x8 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![0x80 | kind];
        match u16::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length as u8),
            Ok(length) => frame.extend([&[0xfe][..], &length.to_be_bytes()].concat()),
            Err(_) => frame.extend([&[0xff][..], &(payload.len() as u64).to_be_bytes()].concat()),
        }
        frame.extend([b"mask", payload].concat());
        frame
    }

    /// What is left after the client's close frame.
    async fn left_of(sent: &[u8]) -> io::Result<usize> {
        let mut rest = sent;
        until_closed(&mut rest).await.map(|()| rest.len())
    }

    #[tokio::test]
    async fn it_reads_over_frames_of_every_length_up_to_the_close_frame() {
        let lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000];
        let mut sent: Vec<u8> = lengths.iter().flat_map(|length| frame(0x2, &vec![0x88; *length])).collect();
        sent.extend(frame(0x8, b"\x03\xf0no"));
        assert_eq!(left_of(&[&sent[..], b"beyond"].concat()).await.unwrap(), 6);
        assert_eq!(left_of(&sent).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn it_ends_where_the_client_does() {
        let whole = frame(0x1, b"text");
        // The last of them has a length that no connection ever sends.
        let endless = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff and that was it";
        for sent in [&b""[..], b"\x81", b"\x81\xfe\x01", b"\x81\xff\0\0\0", &whole, endless] {
            assert_eq!(left_of(sent).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "{sent:?}");
        }
    }
}
