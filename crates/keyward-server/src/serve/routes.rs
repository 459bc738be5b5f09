//! What the server answers, and where.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use http::{HeaderValue, Method, StatusCode, header};
use keyward::{Guard, Pass, PrincipalTold};
use keyward_axum::Authenticated;
use serde::Serialize;

use super::described::{self, Described};
use super::forward_auth;
use super::problem::problem_document;

/// `/auth` is not guarded itself: it decides about another request. `/healthz`, and what is told of the server, are open to GET
/// whatever the policy says. All else is guarded, what is not there included: who has no key does not learn which paths there are.
pub(super) fn router(guard: Guard, described: Described) -> Router {
    let routes = Router::new()
        .route("/whoami", get(whoami))
        .route("/auth/token", post(ticket).fallback(|| async { wrong_method_for("POST") }))
        .route("/healthz", any(wrong_method))
        .route(described::DOCUMENT, any(wrong_method))
        .route(described::PAGE, any(wrong_method))
        .method_not_allowed_fallback(wrong_method)
        .fallback(nothing_here);
    let open = from_fn_with_state(Arc::new(described), open);
    let guarded = keyward_axum::guarded(routes, guard.clone()).layer(open);
    Router::new().route("/auth", any(forward_auth::answer)).with_state(guard).fallback_service(guarded)
}

/// Before the guard, and of each path nothing but the one open method: its other methods are answered like all that is guarded.
async fn open(State(described): State<Arc<Described>>, request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    match request.uri().path() {
        "/healthz" => healthz().await.into_response(),
        described::DOCUMENT => document(&described).into_response(),
        described::PAGE => described.page.clone().map(Body::from),
        _ => next.run(request).await,
    }
}

#[derive(Serialize, utoipa::ToSchema)]
struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Tells that the server runs
#[utoipa::path(get, path = "/healthz", tag = "Server", security(), responses((status = 200, description = "It runs.", body = Health)))]
pub(super) async fn healthz() -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(Health { status: "ok" }))
}

/// Tells what is answered here
#[utoipa::path(
    get, path = "/openapi.json", tag = "Server", security(),
    responses((status = 200, description = "This document.", body = serde_json::Value))
)]
pub(super) fn document(described: &Described) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/json")], described.document.clone())
}

#[derive(Serialize, utoipa::ToSchema)]
struct WhoAmI {
    #[serde(flatten)]
    principal: PrincipalTold,
    request_id: String,
    #[schema(value_type = Option<String>)]
    client_ip: Option<IpAddr>,
    /// Each quota that this request was charged to, and what is left of it.
    limits: Vec<Limit>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Limit {
    name: String,
    quota: u32,
    window_seconds: f64,
    remaining: u32,
    full_in_seconds: f64,
}

/// Tells whose key it is
#[utoipa::path(
    get, path = "/whoami", operation_id = "whoAmI", tag = "Deciding",
    responses((status = 200, description = "Whose it is, and what is left of each quota.", body = WhoAmI))
)]
pub(super) async fn whoami(who: Authenticated, Extension(pass): Extension<Pass>) -> impl IntoResponse {
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

/// Exchanges a key for a ticket
///
/// It opens one WebSocket. Whatever body comes with the request is not read.
#[utoipa::path(post, path = "/auth/token", operation_id = "exchangeKey", tag = "Deciding")]
pub(super) async fn ticket(Extension(pass): Extension<Pass>) -> Response {
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
