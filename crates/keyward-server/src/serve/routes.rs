//! What the server answers, and where.

use std::net::IpAddr;

use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use http::{StatusCode, header};
use keyward::{Guard, Pass, PrincipalTold};
use keyward_axum::Authenticated;
use serde::Serialize;
use serde_json::json;

use super::forward_auth;
use super::problem::problem_document;

/// `/auth` is not guarded itself: it decides about another request. `/healthz` is open whatever the policy says.
pub(super) fn router(guard: Guard) -> Router {
    let guarded = Router::new().route("/whoami", get(whoami)).route_layer(keyward_axum::guard(guard.clone()));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/auth", any(forward_auth::answer))
        .with_state(guard)
        .merge(guarded)
        .fallback(nothing_here)
}

async fn healthz() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" })))
}

#[derive(Serialize)]
struct WhoAmI {
    #[serde(flatten)]
    principal: PrincipalTold,
    request_id: String,
    client_ip: Option<IpAddr>,
}

async fn whoami(who: Authenticated, Extension(pass): Extension<Pass>) -> impl IntoResponse {
    Json(WhoAmI { principal: PrincipalTold::of(&who), request_id: pass.request_id().to_string(), client_ip: pass.client() })
}

async fn nothing_here() -> Response {
    problem_document(StatusCode::NOT_FOUND, "There is nothing here.")
}
