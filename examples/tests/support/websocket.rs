//! A client of WebSockets, over a real socket.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use http::{HeaderName, Response};
use tokio_tungstenite::tungstenite::client::{IntoClientRequest, client};
use tokio_tungstenite::tungstenite::{Error, HandshakeError, Message, WebSocket};

/// An open WebSocket.
pub(crate) struct Socket {
    socket: WebSocket<TcpStream>,
    /// The answer to the handshake.
    pub(crate) answer: Response<()>,
}

/// What came until the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) texts: Vec<String>,
    /// Code and reason of the close frame; `None`: there was none.
    pub(crate) close: Option<(u16, String)>,
}

impl Socket {
    /// Sends a handshake with these header lines; the status where it is refused.
    pub(crate) fn open(address: SocketAddr, target: &str, headers: &[&str]) -> Result<Self, u16> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
        for line in headers {
            let (name, value) = line.split_once(": ").unwrap();
            request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        match client(request, stream) {
            Ok((socket, answer)) => Ok(Self { socket, answer: answer.map(|_| ()) }),
            Err(HandshakeError::Failure(Error::Http(answer))) => Err(answer.status().as_u16()),
            Err(error) => panic!("{target}: {error}"),
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    /// The next text.
    pub(crate) fn text(&mut self) -> String {
        loop {
            match self.socket.read().unwrap() {
                Message::Text(text) => return text.to_string(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no text: {other:?}"),
            }
        }
    }

    /// Reads, and answers the server's close frame.
    pub(crate) fn until_closed(mut self) -> Ended {
        let (mut texts, mut close) = (Vec::new(), None);
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => texts.push(text.to_string()),
                Ok(Message::Close(frame)) => {
                    close = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
                }
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::Protocol(_)) => return Ended { texts, close },
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The code and the reason with which a handshake is closed at once, and nothing else.
pub(crate) fn closed_at_once(address: SocketAddr, target: &str, headers: &[&str]) -> (u16, String) {
    let socket = Socket::open(address, target, headers).unwrap_or_else(|status| panic!("{target}: refused by {status}"));
    let ended = socket.until_closed();
    assert_eq!(ended.texts, [""; 0], "{target}");
    ended.close.unwrap_or_else(|| panic!("{target}: no close frame"))
}
