//! The style sheet, and the script of the copy button: both the program's own, and the same for everybody.

use bytes::Bytes;
use http::{HeaderValue, Method, header};

use super::page;
use crate::answer::{self, Answer};
use crate::incoming::Incoming;

const STYLE: &str = include_str!("keyward.css");
const SCRIPT: &str = include_str!("keyward.js");

/// What is asked for, if it is one of them.
pub(super) fn answer(request: &Incoming) -> Option<Answer> {
    let (content_type, text) = match request.path() {
        "/dashboard/keyward.css" => ("text/css; charset=utf-8", STYLE),
        "/dashboard/keyward.js" => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return None,
    };
    if !matches!(request.head.method, Method::GET | Method::HEAD) {
        return None;
    }
    let mut answer = answer::typed(http::StatusCode::OK, content_type, Bytes::from_static(text.as_bytes()));
    // Asked for by the version, so that a new one is not missed.
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Some(page::secured(answer))
}
