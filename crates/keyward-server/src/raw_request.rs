//! One HTTP/1.1 request as people write it down, read as the server's own parser reads it.

use std::io::Read;

use http::{HeaderName, HeaderValue, Method, Request, Uri};

use crate::failure::Failure;

/// What a head may take at most. A server's own bound is lower.
const LONGEST_HEAD: usize = 256 * 1024;
const MOST_HEADERS: usize = 256;

/// Reads the head of one request; the body does not take part in a decision. Lines may end in LF alone, and the empty line at
/// the end may be left out.
pub(crate) fn read(input: impl Read) -> Result<Request<()>, Failure> {
    let mut text = Vec::new();
    let longest = u64::try_from(LONGEST_HEAD).unwrap_or(u64::MAX);
    input.take(longest).read_to_end(&mut text).map_err(|error| Failure::Fault(format!("cannot read standard input: {error}")))?;
    let is_cut = text.len() == LONGEST_HEAD;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(no_request("there is none on standard input"));
    }
    match parse(&text)? {
        Some(request) => Ok(request),
        None if is_cut => Err(no_request(&format!("its head is longer than {LONGEST_HEAD} bytes"))),
        None => {
            text.extend_from_slice(b"\r\n\r\n");
            parse(&text)?.ok_or_else(|| no_request("it ends before its headers do"))
        }
    }
}

/// `None`: there should be more.
fn parse(text: &[u8]) -> Result<Option<Request<()>>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(text) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(no_request(problem(error))),
    }
    let mut request = Request::new(());
    let method = parsed.method.unwrap_or_default();
    *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| no_request("its method is no token"))?;
    *request.uri_mut() = parsed
        .path
        .unwrap_or_default()
        .parse::<Uri>()
        .map_err(|_| no_request("its target is no URI: every server refuses it with 400 before anything is decided"))?;
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| no_request("a header's name is no token"))?;
        let value = HeaderValue::from_bytes(header.value).map_err(|_| no_request("a header's value holds control bytes"))?;
        request.headers_mut().append(name, value);
    }
    Ok(Some(request))
}

/// Never quotes the request: it may hold a key.
fn problem(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header line has no name, or blanks before its colon",
        httparse::Error::HeaderValue => "a header's value holds control bytes",
        httparse::Error::NewLine => "a line ends in a lone CR",
        httparse::Error::TooManyHeaders => "it has more than 256 headers",
        httparse::Error::Token | httparse::Error::Version => {
            "its first line is not `METHOD TARGET HTTP/1.1` (a blank in the target is written %20)"
        }
        _ => "it cannot be read",
    }
}

fn no_request(problem: &str) -> Failure {
    Failure::Configuration(format!(
        "no HTTP request: {problem}; write it as it is sent, like `printf 'GET / HTTP/1.1\\nX-API-Key: …\\n\\n' | keyward explain`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_as_people_write_them() {
        for text in [
            "GET /a?b HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\n\r\nbody",
            "GET /a?b HTTP/1.1\nX-A: 1\nx-a: 2\n\n",
            "GET /a?b HTTP/1.1\nX-A: 1\nx-a: 2\n",
            "\nGET /a?b HTTP/1.0\nX-A: 1\nx-a: 2",
        ] {
            let request = read(text.as_bytes()).unwrap();
            assert_eq!((request.method().as_str(), request.uri().path(), request.uri().query()), ("GET", "/a", Some("b")));
            assert_eq!(request.headers().get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
        }
    }

    #[test]
    fn what_is_no_request_is_told_without_quoting_it() {
        let long = format!("GET / HTTP/1.1\nX-Canary: {}", "CANARY".repeat(LONGEST_HEAD));
        let many = format!("GET / HTTP/1.1\n{}", "X: CANARY\n".repeat(MOST_HEADERS + 1));
        for text in [
            "",
            "\n \n",
            "CANARY",
            "GET /CANARY",
            "GET /CANARY HTTP/2.0\n\n",
            "GET /CANARY\\ä\u{1} HTTP/1.1\n\n",
            "GET / HTTP/1.1\nCANARY\n\n",
            "GET / HTTP/1.1\nX : CANARY\n\n",
            "GET / HTTP/1.1\nX: CANARY\u{1}\n\n",
            "GET / HTTP/1.1\nX: a\n CANARY\n\n",
            "GET http://[CANARY HTTP/1.1\n\n",
            &long,
            &many,
        ] {
            let told = read(text.as_bytes()).unwrap_err();
            assert!(matches!(told, Failure::Configuration(_)), "{told}");
            assert!(told.to_string().starts_with("no HTTP request: ") && !told.to_string().contains("CANARY"), "{told}");
        }
    }
}
