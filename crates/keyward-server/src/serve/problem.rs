//! Answers of the server's own, in the form of the denials (RFC 9457).

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use keyward::{Guard, RequestId};
use serde::Serialize;

/// A problem that the server tells by itself.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

pub(super) fn problem_document(status: StatusCode, detail: &str) -> Response {
    document(status, detail, None)
}

/// With the request's id (R1.1), where no guard decides, which would add it.
pub(super) fn identified_problem(guard: &Guard, request_id: &RequestId, status: StatusCode, detail: &str) -> Response {
    let mut response = document(status, detail, Some(request_id));
    if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
        response.headers_mut().insert(guard.policy().request_id_header(), id);
    }
    response
}

fn document(status: StatusCode, detail: &str, request_id: Option<&RequestId>) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let problem =
        Problem { r#type: "about:blank", title, status: status.as_u16(), detail, request_id: request_id.map(RequestId::as_str) };
    // Texts and numbers only: there is nothing that could fail.
    let mut response = Response::new(Body::from(serde_json::to_vec(&problem).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
