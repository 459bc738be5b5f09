//! Errors in the two shapes: `{"detail": …}`, and under `/v1` `{"error": {"code", "message", "details"}, "request_id"}`.
//!
//! Handlers know of neither: an [`ApiError`] travels with its answer, and a layer around `/v1` writes it anew.

use axum::Json;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use keyward::{Denied, Pass, Renderer};
use serde::Serialize;

/// What a handler answers instead of what was asked for.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: "bad-request", message: message.into() }
    }

    pub(crate) fn unprocessable(message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code: "unprocessable", message: message.into() }
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self { status: StatusCode::NOT_FOUND, code: "not-found", message: message.to_owned() }
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self { status: StatusCode::METHOD_NOT_ALLOWED, code: "method-not-allowed", message: "Method Not Allowed".to_owned() }
    }

    pub(crate) fn upgrade_required() -> Self {
        let message = "This is a WebSocket: send its handshake";
        Self { status: StatusCode::UPGRADE_REQUIRED, code: "upgrade-required", message: message.to_owned() }
    }

    pub(crate) fn body_too_large() -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, code: "body-too-large", message: "Request body too large".to_owned() }
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Detail { detail: &self.message })).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Serialize)]
struct V1Body<'a> {
    error: V1Error<'a>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct V1Error<'a> {
    code: &'a str,
    message: &'a str,
    details: Option<()>,
}

fn v1_body(code: &str, message: &str, request_id: &str) -> Bytes {
    let body = V1Body { error: V1Error { code, message, details: None }, request_id };
    // Texts alone: there is nothing that could fail.
    serde_json::to_vec(&body).unwrap_or_default().into()
}

/// The guard's denials under `/v1`; the others are written as the policy says.
pub(crate) struct V1Errors;

impl Renderer for V1Errors {
    fn render(&self, denied: &Denied<'_>) -> Option<(HeaderValue, Bytes)> {
        if denied.path != "/v1" && !denied.path.starts_with("/v1/") {
            return None;
        }
        // One code as there is one message: the document tells clients nothing more about a 401.
        let code = if denied.status == StatusCode::UNAUTHORIZED { "unauthorized" } else { denied.code };
        let body = v1_body(code, denied.detail, denied.request_id.as_str());
        Some((HeaderValue::from_static("application/json"), body))
    }
}

/// The handlers' errors under `/v1`.
pub(crate) async fn in_v1_shape(request: Request, next: Next) -> Response {
    let pass = request.extensions().get::<Pass>().cloned();
    let mut response = next.run(request).await;
    if let (Some(pass), Some(error)) = (pass, response.extensions().get::<ApiError>()) {
        let body = v1_body(error.code, &error.message, pass.request_id().as_str());
        // Of another length than the one that was counted.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    response
}
