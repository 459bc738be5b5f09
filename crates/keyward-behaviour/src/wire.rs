//! Raw requests over real sockets, and what comes back.

mod upgraded;

pub use upgraded::Upgraded;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::model::request::ModelRequest;

/// How long an answer may take before the suite calls it none.
const PATIENCE: Duration = Duration::from_secs(20);

/// An answer, as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The status.
    pub status: u16,
    /// The header lines, in order, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, without the framing.
    pub body: Vec<u8>,
    /// What followed on the connection, where the status is 101.
    pub upgraded: Option<Upgraded>,
}

/// What a request is sent over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Byte for byte.
    Http1,
    /// With prior knowledge; see [`can_be_said_in_http2`].
    Http2,
}

/// Sends one request over a connection of its own, from the address that the request names as its peer.
///
/// # Errors
/// If the connection fails, or what comes back is no answer.
pub async fn send(server: SocketAddr, request: &ModelRequest, protocol: Protocol) -> io::Result<Received> {
    match protocol {
        Protocol::Http1 => {
            let mut connection = Connection::open(server, request.peer).await?;
            connection.send(&request.to_bytes()).await?;
            let mut received = connection.receive(&request.method).await?;
            if received.status == 101 {
                received.upgraded = Some(timeout(PATIENCE, connection.upgraded()).await.map_err(|_| silence())??);
            }
            Ok(received)
        }
        Protocol::Http2 => {
            timeout(PATIENCE, exchange_http2(connect(server, request.peer).await?, request)).await.map_err(|_| silence())?
        }
    }
}

/// Whether HTTP/2 has words for a request: it knows no upgrade, no transfer coding, no `*` and no target beyond what
/// `http::Uri` takes.
pub fn can_be_said_in_http2(request: &ModelRequest) -> bool {
    let connection_specific = ["Connection", "Upgrade", "Transfer-Encoding"];
    !connection_specific.iter().any(|name| request.headers.iter().any(|(written, _)| written.eq_ignore_ascii_case(name)))
        && in_http_types(request).is_ok()
}

impl Received {
    /// Every value of a header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(written, _)| written.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The body as JSON, if it is.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The answer without what differs from one moment to the next.
    pub fn without_date(mut self) -> Received {
        self.headers.retain(|(name, _)| name != "date");
        self
    }
}

/// A connection that stays open from one HTTP/1.1 request to the next.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has come and belongs to the answers after the last one.
    unread: Vec<u8>,
}

impl Connection {
    /// Connects from an address.
    ///
    /// # Errors
    /// If there is nobody to connect to.
    pub async fn open(server: SocketAddr, from: Option<IpAddr>) -> io::Result<Connection> {
        Ok(Connection { stream: connect(server, from).await?, unread: Vec::new() })
    }

    /// Sends bytes as they are: a request, a part of one, or several.
    ///
    /// # Errors
    /// If the connection has ended.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.map_err(|_| silence())?
    }

    /// The next answer, to a request of this method: an answer to HEAD has a length and no body.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the connection ends before it is whole; what is wrong with it, if it is no answer.
    pub async fn receive(&mut self, method: &str) -> io::Result<Received> {
        timeout(PATIENCE, self.next(method)).await.map_err(|_| silence())?
    }

    async fn next(&mut self, method: &str) -> io::Result<Received> {
        let mut received = loop {
            if let Some((received, length)) = head(&self.unread)? {
                self.unread.drain(..length);
                break received;
            }
            self.read("before an answer").await?;
        };
        if method == "HEAD" || received.status < 200 || matches!(received.status, 204 | 304) {
            return Ok(received);
        }
        if received.values("transfer-encoding").contains(&"chunked") {
            loop {
                if let Some((body, length)) = unchunk(&self.unread)? {
                    self.unread.drain(..length);
                    received.body = body;
                    return Ok(received);
                }
                self.read("within a body").await?;
            }
        }
        match received.values("content-length").first().and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => {
                while self.unread.len() < length {
                    self.read("within a body").await?;
                }
                received.body = self.unread.drain(..length).collect();
            }
            // Until the end of the connection, then.
            None => {
                while self.stream.read_buf(&mut self.unread).await? > 0 {}
                received.body = std::mem::take(&mut self.unread);
            }
        }
        Ok(received)
    }

    /// What a server sends on an upgraded connection: all of it, if it closes at once, else the beginning.
    async fn upgraded(&mut self) -> io::Result<Upgraded> {
        // Whoever closes throws this away; whoever does not, and has a handler, has something to answer.
        self.stream.write_all(&upgraded::client_frame(0x81, b"is anybody there?")).await?;
        while !upgraded::begins_otherwise(&self.unread) && !upgraded::is_close_frame(&self.unread) {
            if self.stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(Upgraded::of(&self.unread));
            }
        }
        if upgraded::is_close_frame(&self.unread) {
            // The close is answered (RFC 6455 §5.5.1), and then nothing may come. By now the server may have lost its patience,
            // which is no fault of its.
            let _ = self.stream.write_all(&upgraded::client_frame(0x88, &self.unread[2..])).await;
            let _ = self.stream.shutdown().await;
            while self.stream.read_buf(&mut self.unread).await.is_ok_and(|read| read > 0) {}
        }
        Ok(Upgraded::of(&self.unread))
    }

    async fn read(&mut self, when: &str) -> io::Result<()> {
        match self.stream.read_buf(&mut self.unread).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("the connection ended {when}"))),
            _ => Ok(()),
        }
    }
}

async fn exchange_http2(stream: TcpStream, request: &ModelRequest) -> io::Result<Received> {
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(invalid)?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(in_http_types(request)?).await.map_err(invalid)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(invalid)?.to_bytes().to_vec();
    connection.abort();
    let headers = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    Ok(Received { status: parts.status.as_u16(), headers, body, upgraded: None })
}

/// The request with its target in absolute form, from which a client takes what HTTP/2 sends for `Host`.
fn in_http_types(request: &ModelRequest) -> io::Result<http::Request<Full<Bytes>>> {
    let target = std::str::from_utf8(&request.target).map_err(invalid)?;
    let uri = if target.starts_with('/') { format!("http://api.test{target}") } else { target.to_owned() };
    if !uri.starts_with("http://") {
        return Err(invalid("a target without a path"));
    }
    let mut said = http::Request::builder().method(request.method.as_str()).uri(uri);
    for (name, value) in request.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("host")) {
        said = said.header(name, value.as_slice());
    }
    said.body(Full::from(request.body.clone())).map_err(invalid)
}

async fn connect(server: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    // Closed connections would each hold a port for a minute, and the suite opens more of them than there are ports.
    stream.set_zero_linger()?;
    Ok(stream)
}

/// The head of an answer and its length, once it is whole.
fn head(bytes: &[u8]) -> io::Result<Option<(Received, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).map_err(invalid)? else { return Ok(None) };
    let headers = response
        .headers
        .iter()
        .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
        .collect();
    let status = response.code.unwrap_or_default();
    Ok(Some((Received { status, headers, body: Vec::new(), upgraded: None }, length)))
}

/// The body of a chunked answer and its length on the wire, once it is whole.
fn unchunk(bytes: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let httparse::Status::Complete((head, size)) =
            httparse::parse_chunk_size(&bytes[at..]).map_err(|_| invalid("chunk size"))?
        else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(invalid)?;
        // Each chunk is followed by a line's end, the last one too, since no server here sends trailers.
        let Some(chunk) = bytes.get(at + head..at + head + size + 2) else { return Ok(None) };
        at += head + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

fn silence() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer")
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let whole = b"HTTP/1.1 401 Unauthorized\r\nX-A: 1\r\nx-a: 2\r\n\r\nrest";
        assert!(head(&whole[..20]).unwrap().is_none());
        let (received, length) = head(whole).unwrap().unwrap();
        assert_eq!((received.status, &whole[length..]), (401, &b"rest"[..]));
        assert_eq!(received.values("X-A"), ["1", "2"]);
        assert!(head(b"rubbish\r\n\r\n").is_err());
    }

    #[test]
    fn http2_has_no_words_for_some_requests() {
        let can = |text: &str| can_be_said_in_http2(&ModelRequest::parse(text, None));
        assert!(can("GET /a//b?c=%zz\nX-API-Key: alpha "));
        assert!(can("GET http://api.test/a"));
        assert!(!can("OPTIONS *"));
        assert!(!can("GET /\nUpgrade: websocket\nConnection: Upgrade"));
        assert!(!can("CONNECT api.test:443"));
    }

    #[test]
    fn chunks_are_put_together() {
        let whole = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let more = [&whole[..], b"HTTP/1.1 200"].concat();
        assert_eq!(unchunk(&more).unwrap(), Some((b"abcde".to_vec(), whole.len())));
        for short in 0..whole.len() {
            assert_eq!(unchunk(&whole[..short]).unwrap(), None, "{short}");
        }
    }
}
