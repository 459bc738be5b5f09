//! A request as the model sees it: nothing but what stands on the wire, and who sent it.

use std::{
    fmt::{self, Write as _},
    net::IpAddr,
};

/// A request, in the order and the bytes in which it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct ModelRequest {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: Vec<u8>,
    /// The header lines, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What follows the head.
    pub body: Vec<u8>,
    /// Who is at the other end of the connection.
    pub peer: Option<IpAddr>,
}

impl ModelRequest {
    /// Reads a request as people write it: lines that end in `\n`, a blank one before the body.
    ///
    /// `Host` is supplied if the text has none, since every HTTP/1.1 parser demands it and no rule reads it.
    pub fn parse(text: &str, peer: Option<IpAddr>) -> ModelRequest {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let request_line = lines.next().unwrap_or_default();
        let (method, target) = request_line.split_once(' ').unwrap_or((request_line, "/"));
        let mut headers: Vec<(String, Vec<u8>)> = lines
            .map(|line| {
                let (name, value) = line.split_once(':').expect("a header line has a colon");
                (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).as_bytes().to_vec())
            })
            .collect();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            headers.insert(0, ("Host".to_owned(), b"api.test".to_vec()));
        }
        ModelRequest {
            method: method.to_owned(),
            target: target.as_bytes().to_vec(),
            headers,
            body: body.as_bytes().to_vec(),
            peer,
        }
    }

    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Every value of a header, in order, without the blanks around it.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(written, _)| written.eq_ignore_ascii_case(name)).map(|(_, value)| trim(value)).collect()
    }

    /// Whether the request asks to become a WebSocket.
    pub fn is_handshake(&self) -> bool {
        let lists = |name: &str, wanted: &str| {
            self.values(name)
                .iter()
                .any(|line| line.split(|byte| *byte == b',').any(|word| trim(word).eq_ignore_ascii_case(wanted.as_bytes())))
        };
        self.method == "GET" && lists("Upgrade", "websocket") && lists("Connection", "upgrade")
    }

    /// R12.4, R13: whether somebody may make a WebSocket of the request, although it does not ask for one in the right words.
    pub fn may_open_socket(&self) -> bool {
        self.method == "CONNECT" || self.is_handshake() || (self.method == "GET" && !self.values("Sec-WebSocket-Key").is_empty())
    }

    /// Whether the head announces a body.
    pub fn announces_body(&self) -> bool {
        !self.values("Transfer-Encoding").is_empty() || self.values("Content-Length").iter().any(|length| *length != b"0")
    }
}

/// The raw request, with the peer before it: what a person needs in order to send it again.
impl fmt::Debug for ModelRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "from {peer}: ")?,
            None => f.write_str("from nobody: ")?,
        }
        for byte in self.to_bytes() {
            match byte {
                b'\r' => {}
                b'\n' => f.write_char('\n')?,
                b' '..=b'~' => f.write_char(char::from(byte))?,
                other => write!(f, "\\x{other:02x}")?,
            }
        }
        Ok(())
    }
}

/// The bytes without blanks and tabs at either end.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_request_goes_over_the_wire_as_it_is() {
        let request = ModelRequest::parse("GET /a?b=c\nX-API-Key: alpha \nX-API-Key:\n\n", None);
        assert_eq!(request.to_bytes(), b"GET /a?b=c HTTP/1.1\r\nHost: api.test\r\nX-API-Key: alpha \r\nX-API-Key: \r\n\r\n");
        assert_eq!(request.values("x-api-key"), [&b"alpha"[..], b""]);
    }

    #[test]
    fn a_handshake_needs_both_headers_and_get() {
        let handshake = "GET /\nUpgrade: WebSocket\nConnection: keep-alive, Upgrade\n\n";
        assert!(ModelRequest::parse(handshake, None).is_handshake());
        assert!(!ModelRequest::parse(&handshake.replace("GET", "POST"), None).is_handshake());
        assert!(!ModelRequest::parse("GET /\nUpgrade: websocket\n\n", None).is_handshake());
        let keyed = ModelRequest::parse("GET /\nUpgrade: websocket\nConnection: x-upgrade\nSec-WebSocket-Key: x\n\n", None);
        assert_eq!((keyed.is_handshake(), keyed.may_open_socket()), (false, true));
    }
}
