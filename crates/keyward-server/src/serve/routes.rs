//! What the server answers, and where.

use std::net::IpAddr;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use http::{HeaderValue, Method, StatusCode, header};
use keyward::{Guard, Pass, PrincipalTold};
use keyward_axum::Authenticated;
use serde::Serialize;
use serde_json::json;

use super::forward_auth;
use super::problem::problem_document;

/// `/auth` is not guarded itself: it decides about another request. `GET /healthz` is open whatever the policy says. All else is
/// guarded, what is not there included: who has no key does not learn which paths there are.
pub(super) fn router(guard: Guard) -> Router {
    let routes = Router::new()
        .route("/whoami", get(whoami))
        .route("/auth/token", post(ticket).fallback(|| async { wrong_method_for("POST") }))
        .route("/healthz", any(wrong_method))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here);
    let guarded = keyward_axum::guarded(routes, guard.clone()).layer(from_fn(healthz));
    Router::new().route("/auth", any(forward_auth::answer)).with_state(guard).fallback_service(guarded)
}

/// Before the guard, and of it nothing but the one open method: its other methods are answered like all that is guarded.
async fn healthz(request: Request, next: Next) -> Response {
    if request.uri().path() == "/healthz" && matches!(*request.method(), Method::GET | Method::HEAD) {
        return ([(header::CACHE_CONTROL, "no-store")], Json(json!({ "status": "ok" }))).into_response();
    }
    next.run(request).await
}

#[derive(Serialize)]
struct WhoAmI {
    #[serde(flatten)]
    principal: PrincipalTold,
    request_id: String,
    client_ip: Option<IpAddr>,
    /// Each quota that this request was charged to, and what is left of it.
    limits: Vec<Limit>,
}

#[derive(Serialize)]
struct Limit {
    name: String,
    quota: u32,
    window_seconds: f64,
    remaining: u32,
    full_in_seconds: f64,
}

async fn whoami(who: Authenticated, Extension(pass): Extension<Pass>) -> impl IntoResponse {
    let limits = pass.quotas().iter().map(|standing| Limit {
        name: standing.name().to_string(),
        quota: standing.quota.count(),
        window_seconds: standing.quota.window().as_secs_f64(),
        remaining: standing.remaining,
        full_in_seconds: standing.full_in.as_secs_f64(),
    });
    Json(WhoAmI {
        principal: PrincipalTold::of(&who),
        request_id: pass.request_id().to_string(),
        client_ip: pass.client(),
        limits: limits.collect(),
    })
}

/// Exchanges a key for a ticket, whatever body comes with it.
async fn ticket(Extension(pass): Extension<Pass>) -> Response {
    pass.ticket("/auth/token").await.map(axum::body::Body::from)
}

async fn nothing_here() -> Response {
    problem_document(StatusCode::NOT_FOUND, "There is nothing here.")
}

pub(super) async fn wrong_method() -> Response {
    wrong_method_for("GET, HEAD")
}

fn wrong_method_for(answered: &'static str) -> Response {
    let mut response = problem_document(StatusCode::METHOD_NOT_ALLOWED, &format!("This path takes {answered} alone."));
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(answered));
    response
}
