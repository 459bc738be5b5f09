//! Raw requests over real sockets, and what comes back.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

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
}

/// Sends one request over a connection of its own, from the address that the request names as its peer.
///
/// # Errors
/// If the connection fails, or what comes back is no answer.
pub async fn send(server: SocketAddr, request: &ModelRequest) -> io::Result<Received> {
    timeout(PATIENCE, exchange(server, request)).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))?
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

async fn exchange(server: SocketAddr, request: &ModelRequest) -> io::Result<Received> {
    let mut stream = connect(server, request.peer).await?;
    stream.write_all(&request.to_bytes()).await?;
    let mut bytes = Vec::new();
    let mut received = loop {
        match head(&bytes)? {
            Some((received, length)) => {
                bytes.drain(..length);
                break received;
            }
            None if stream.read_buf(&mut bytes).await? == 0 => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before an answer"));
            }
            None => {}
        }
    };
    if request.method == "HEAD" || received.status < 200 || matches!(received.status, 204 | 304) {
        return Ok(received);
    }
    let length = received.values("content-length").first().and_then(|length| length.parse::<usize>().ok());
    let chunked = received.values("transfer-encoding").contains(&"chunked");
    loop {
        let whole = match length {
            _ if chunked => unchunk(&bytes)?,
            Some(length) => bytes.get(..length).map(<[u8]>::to_vec),
            None => None,
        };
        if let Some(body) = whole {
            received.body = body;
            return Ok(received);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            if length.is_none() && !chunked {
                received.body = bytes;
                return Ok(received);
            }
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within a body"));
        }
    }
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
    Ok(Some((Received { status: response.code.unwrap_or_default(), headers, body: Vec::new() }, length)))
}

/// The body of a chunked answer, once it is whole.
fn unchunk(mut bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(bytes).map_err(|_| invalid("chunk size"))?
        else {
            return Ok(None);
        };
        let size = usize::try_from(size).map_err(invalid)?;
        let Some(chunk) = bytes.get(start..start + size) else { return Ok(None) };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        let Some(rest) = bytes.get(start + size + 2..) else { return Ok(None) };
        bytes = rest;
    }
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
    fn chunks_are_put_together() {
        let whole = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(unchunk(whole).unwrap(), Some(b"abcde".to_vec()));
        assert_eq!(unchunk(&whole[..12]).unwrap(), None);
    }
}
