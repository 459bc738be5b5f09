//! `Cookie` lines: what is found in them, and what is left of them when credentials are taken out.
//!
//! An input is lines, each the value of one `Cookie` header. What is found is compared with the model. Of what is left, every
//! pair must be one of those that came, in their order and byte for byte, and all of those that are not a credential's.

use http::{HeaderMap, HeaderValue, header::COOKIE};

use super::sources::Observed;
use crate::model::request::{ModelRequest, trim};

const NAMES: [&[u8]; 2] = [b"k", b"session-key"];

thread_local! {
    static OBSERVED: Observed =
        Observed::new("resolution = 'first-valid'\nsources = [{ cookie = 'k' }, { cookie = 'session-key' }]");
}

/// Runs one input.
pub fn run(data: &[u8]) {
    OBSERVED.with(|observed| {
        let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').map(trim).collect();
        let request = ModelRequest {
            method: "GET".to_owned(),
            target: b"/".to_vec(),
            headers: lines.iter().map(|line| ("Cookie".to_owned(), line.to_vec())).collect(),
            body: Vec::new(),
            peer: None,
        };
        if observed.compare(&request).is_some() {
            compare_stripped(observed, &lines);
        }
    });
}

fn compare_stripped(observed: &Observed, lines: &[&[u8]]) {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(COOKIE, HeaderValue::from_bytes(line).expect("the request was made of the same values"));
    }
    observed.guard.strip().headers(&mut headers);
    let left: Vec<&[u8]> = headers.get_all(COOKIE).iter().flat_map(|line| pairs(line.as_bytes())).collect();
    let expected: Vec<&[u8]> = lines.iter().flat_map(|line| pairs(line)).filter(|pair| !is_ours(pair)).collect();
    assert_eq!(texts(&expected), texts(&left), "expected and left cookies of {:?}", texts(lines));
    let mut again = headers.clone();
    observed.guard.strip().headers(&mut again);
    assert_eq!(headers, again, "a second time takes out more of {:?}", texts(lines));
}

/// The pairs of a line, without those of which nothing is there.
fn pairs(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| *byte == b';').map(trim).filter(|pair| !pair.is_empty())
}

fn is_ours(pair: &[u8]) -> bool {
    let name = pair.iter().position(|byte| *byte == b'=').map(|equals| &pair[..equals]);
    name.is_some_and(|name| NAMES.contains(&name))
}

fn texts(parts: &[&[u8]]) -> Vec<String> {
    parts.iter().map(|part| part.escape_ascii().to_string()).collect()
}
