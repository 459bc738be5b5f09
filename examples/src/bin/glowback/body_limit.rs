//! No body larger than `GLOWBACK_MAX_BODY_BYTES` is kept, on any route, with or without a `Content-Length`.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header;
use http_body_util::BodyExt;

use crate::errors::ApiError;

/// Reads the body before the handler does: bodies are small here, and this way 413 comes first on every route.
pub(crate) async fn limit_body(State(most): State<usize>, request: Request, next: Next) -> Response {
    let (parts, mut body) = request.into_parts();
    let mut is_awaiting_leave = parts.headers.contains_key(header::EXPECT);
    let mut read = Vec::new();
    let mut is_too_large = body.size_hint().lower() > most as u64;
    while !is_too_large {
        is_awaiting_leave = false;
        let Some(frame) = body.frame().await else {
            return next.run(Request::from_parts(parts, Body::from(read))).await;
        };
        let Ok(frame) = frame else { return ApiError::bad_request("The body did not arrive").into_response() };
        let data = frame.into_data().unwrap_or_default();
        is_too_large = data.len() > most - read.len();
        if !is_too_large {
            read.extend_from_slice(&data);
        }
    }
    // Who waits for leave to send (`Expect: 100-continue`) sends nothing; asking for the body would give the leave.
    if !is_awaiting_leave {
        discard(body).await;
    }
    ApiError::body_too_large().into_response()
}

/// Takes the rest off the connection, within bounds: closing it over unread bytes resets it, and many clients would see the
/// reset instead of the answer.
async fn discard(mut body: Body) {
    let mut left: usize = 16 * 1024 * 1024;
    let rest = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.into_data().unwrap_or_default().len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
}
