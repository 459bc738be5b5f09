//! Requests that are not what they should be, and who refuses them.

use std::{io, net::SocketAddr};

use crate::{service::Service, wire::Connection};

/// Bytes, and what each framework does with them. No key is among them: whoever answers 2xx has failed open.
#[derive(Clone, Debug)]
pub struct Malformed {
    /// What is wrong with the request.
    pub name: &'static str,
    /// What is sent.
    pub bytes: Vec<u8>,
    usual: &'static [What],
    actix: Option<&'static [What]>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The guard decided it, with this status and one event.
    Decided(u16),
    /// The framework answered by itself.
    Refused(u16),
    /// The connection ended without an answer.
    Dropped,
}

impl Malformed {
    /// What was expected of an adapter, if not this.
    ///
    /// The table is of this repository's adapters, all but one of which stand on hyper's parser. Another parser may refuse what it
    /// likes; what it lets through is denied, since there is no key.
    pub fn unexpected(&self, adapter: &str, what: What) -> Option<String> {
        let expected = match adapter {
            "actix" => self.actix.unwrap_or(self.usual),
            "axum" | "hyper" | "warp" => self.usual,
            _ => {
                let is_safe = matches!(what, Decided(400 | 401) | Refused(400..) | Dropped);
                return (!is_safe).then(|| "a refusal".to_owned());
            }
        };
        (!expected.contains(&what)).then(|| format!("one of {expected:?}"))
    }

    fn actix(self, does: &'static [What]) -> Malformed {
        Malformed { actix: Some(does), ..self }
    }
}

pub(super) async fn send(address: SocketAddr, service: &Service, bytes: &[u8]) -> Result<What, String> {
    let mut connection = Connection::open(address, None).await.map_err(|error| error.to_string())?;
    // A server may answer, and close, before everything is sent.
    let _ = connection.send(bytes).await;
    let answer = connection.receive("GET").await;
    let events = service.events()?.len();
    match answer {
        Ok(answer) if events == 1 => Ok(What::Decided(answer.status)),
        Ok(answer) => Ok(What::Refused(answer.status)),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err("no answer, and no end of the connection".to_owned()),
        Err(_) => Ok(What::Dropped),
    }
}

use What::{Decided, Dropped, Refused};

/// Every malformed or odd request.
pub fn malformed() -> Vec<Malformed> {
    let get = |rest: &str| format!("GET /a HTTP/1.1\r\nHost: api.test\r\n{rest}Connection: close\r\n\r\n").into_bytes();
    let line = |line: &str| format!("{line}\r\nHost: api.test\r\nConnection: close\r\n\r\n").into_bytes();
    let raw = |bytes: &[u8]| bytes.to_vec();
    let many = |count: usize| get(&"X-A: 1\r\n".repeat(count));
    let case = |name, bytes, usual| Malformed { name, bytes, usual, actix: None };
    vec![
        case("HTTP/1.0 without a Host", raw(b"GET /a HTTP/1.0\r\n\r\n"), &[Decided(401)]),
        case("no Host", raw(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"), &[Decided(401)]).actix(&[Refused(400)]),
        case("two Hosts", get("Host: other.test\r\n"), &[Decided(401)]).actix(&[Refused(400)]),
        case("lines that end in LF alone", raw(b"GET /a HTTP/1.1\nHost: api.test\nConnection: close\n\n"), &[Decided(401)]),
        case("a folded header line", get("X-API-Key: al\r\n pha\r\n"), &[Refused(400)]),
        case("a blank before the colon", get("X-API-Key : alpha\r\n"), &[Refused(400)]),
        case("a blank before the name", get(" X-API-Key: alpha\r\n"), &[Refused(400)]),
        case("a header without a name", get(": alpha\r\n"), &[Refused(400)]),
        case("a header without a colon", get("X-API-Key\r\n"), &[Refused(400)]),
        case("a header name with a control byte", get("X-API\x01-Key: alpha\r\n"), &[Refused(400)]),
        case("a header name with a byte over 127", get("X-\u{e4}: alpha\r\n"), &[Refused(400)]),
        case("a NUL in a value", get("X-API-Key: al\0pha\r\n"), &[Refused(400)]),
        case("a control byte in a value", get("X-API-Key: al\x01pha\r\n"), &[Refused(400)]),
        case("a bare CR in a value", get("X-API-Key: al\rpha\r\n"), &[Refused(400)]),
        case("a DEL in a value", get("X-API-Key: al\x7fpha\r\n"), &[Refused(400)]),
        case("a byte over 127 in a value", get("X-API-Key: alph\u{e4}\r\n"), &[Decided(401)]),
        case("a tab in a value", get("X-API-Key: al\tpha\r\n"), &[Decided(401)]),
        case(
            "an empty line before the request",
            raw(b"\r\nGET /a HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n"),
            &[Decided(401)],
        ),
        case("a raw byte over 127 in the path", line("GET /\u{e4} HTTP/1.1"), &[Decided(400)]).actix(&[Refused(400)]),
        case("a raw byte over 127 in the query", line("GET /a?\u{e4} HTTP/1.1"), &[Decided(400)]).actix(&[Refused(400)]),
        case("a blank in the target", line("GET /a b HTTP/1.1"), &[Refused(400)]),
        case("two blanks in the request line", line("GET  /a HTTP/1.1"), &[Refused(400)]),
        case("tabs in the request line", line("GET\t/a\tHTTP/1.1"), &[Refused(400)]),
        case("a control byte in the target", line("GET /a\x01 HTTP/1.1"), &[Refused(400)]),
        case("a fragment", line("GET /a#b HTTP/1.1"), &[Decided(401)]),
        case("braces, quotes and a backslash in the path", line("GET /a{b}\"\\^`|<> HTTP/1.1"), &[Refused(400)]),
        case("a broken percent encoding in the path", line("GET /a%zz HTTP/1.1"), &[Decided(401)]),
        case("no target", line("GET HTTP/1.1"), &[Refused(400)]),
        case("an empty request line", line(""), &[Refused(400)]),
        case("a target that is no path", line("GET nonsense HTTP/1.1"), &[Decided(400)]),
        case("a target that is a question mark", line("GET ?a HTTP/1.1"), &[Refused(400)]),
        case("an authority with a method that is not CONNECT", line("GET api.test:80 HTTP/1.1"), &[Decided(400)]),
        case("CONNECT", line("CONNECT api.test:443 HTTP/1.1"), &[Decided(400)]),
        case("an asterisk with GET", line("GET * HTTP/1.1"), &[Decided(400)]),
        case("an asterisk with OPTIONS", line("OPTIONS * HTTP/1.1"), &[Decided(401)]),
        case("the absolute form", line("GET http://api.test/a HTTP/1.1"), &[Decided(401)]),
        case("the absolute form with user and password", line("GET http://u:p@api.test/a HTTP/1.1"), &[Decided(401)]),
        case("the absolute form without a path", line("GET http://api.test HTTP/1.1"), &[Decided(401)]),
        case("two slashes before a host", line("GET //evil.test/a HTTP/1.1"), &[Decided(401)]),
        case("an unknown method", line("BREW /a HTTP/1.1"), &[Decided(401)]),
        case("a method in lower case", line("get /a HTTP/1.1"), &[Decided(401)]),
        case("a method of punctuation", line("!#$%&'*+-.^_`|~ /a HTTP/1.1"), &[Decided(401)]).actix(&[Refused(400)]),
        case("a method of 300 letters", line(&format!("{} /a HTTP/1.1", "M".repeat(300))), &[Decided(401)]),
        case("no version", line("GET /a"), &[Refused(400)]),
        case("version 1.2", line("GET /a HTTP/1.2"), &[Refused(400)]),
        case("version 2.0 in words", line("GET /a HTTP/2.0"), &[Refused(400)]),
        case("a version in lower case", line("GET /a http/1.1"), &[Refused(400)]),
        case("90 more headers", many(90), &[Decided(401)]),
        case("97 headers", many(95), &[Decided(401)]).actix(&[Refused(431)]),
        case("101 headers", many(99), &[Refused(431)]),
        case("5,000 headers", many(5_000), &[Refused(431)]),
        case("a value of 60 KB", get(&format!("X-A: {}\r\n", "a".repeat(60_000))), &[Decided(401)]),
        case("a value of 380 KB", get(&format!("X-A: {}\r\n", "a".repeat(380_000))), &[Decided(401)]).actix(&[Refused(431)]),
        case("a value of 900 KB", get(&format!("X-A: {}\r\n", "a".repeat(900_000))), &[Refused(431)]),
        case("a target of 60 KB", line(&format!("GET /{} HTTP/1.1", "a".repeat(60_000))), &[Decided(401)]),
        case("a target of 70 KB", line(&format!("GET /{} HTTP/1.1", "a".repeat(70_000))), &[Refused(414)]).actix(&[Refused(400)]),
        case("a length and chunks", get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), &[Decided(401)])
            .actix(&[Refused(400)]),
        case("two lengths", get("Content-Length: 0\r\nContent-Length: 5\r\n"), &[Refused(400)]),
        case("two equal lengths", get("Content-Length: 0\r\nContent-Length: 0\r\n"), &[Decided(401)]).actix(&[Refused(400)]),
        case("a list of lengths", get("Content-Length: 0, 0\r\n"), &[Refused(400)]),
        case("a length with a sign", get("Content-Length: +5\r\n"), &[Refused(400)]),
        case("a negative length", get("Content-Length: -1\r\n"), &[Refused(400)]),
        case("a length that is no number", get("Content-Length: five\r\n"), &[Refused(400)]),
        case("an empty length", get("Content-Length:\r\n"), &[Refused(400)]),
        case("a length beyond 64 bits", get("Content-Length: 99999999999999999999\r\n"), &[Refused(400)]),
        case("an unknown transfer coding", get("Transfer-Encoding: gzip\r\n"), &[Refused(400)]),
        case("chunks that are not last", get("Transfer-Encoding: chunked, gzip\r\n"), &[Refused(400)]),
        case("chunks twice", get("Transfer-Encoding: chunked, chunked\r\n"), &[Decided(401)]).actix(&[Refused(400)]),
        case("chunks behind a vertical tab", get("Transfer-Encoding: \x0bchunked\r\n"), &[Refused(400)]),
        case("chunks in HTTP/1.0", raw(b"GET /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), &[Refused(400)]),
        case("rubbish", raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), &[Refused(400)]),
        case("half of an HTTP/2 preface", raw(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\nmore than nothing at all"), &[Refused(400)])
            .actix(&[Dropped]),
    ]
}
