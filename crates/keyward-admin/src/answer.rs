//! What is answered, and the headers that every answer has.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// Nothing of ours is kept by anybody on the way: pages and documents are about one person, and one of them holds a key.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

pub(crate) type Answer = Response<Bytes>;

pub(crate) fn json(status: StatusCode, document: &impl Serialize) -> Answer {
    // Texts, numbers and lists of them: there is nothing that could fail.
    typed(status, "application/json", serde_json::to_vec(document).unwrap_or_default().into())
}

pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = empty(status);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    *answer.body_mut() = body;
    answer
}

pub(crate) fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}

/// To another page, which is asked for by GET whatever was asked here.
pub(crate) fn see_other(place: &str) -> Answer {
    let mut answer = empty(StatusCode::SEE_OTHER);
    // Every place is one of our own, or a local path that was checked.
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(header::LOCATION, place);
    answer
}
