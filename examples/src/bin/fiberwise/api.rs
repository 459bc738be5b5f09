//! The API: what somebody may do was decided before.

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use keyward::clock::{Clock as _, SystemClock};
use keyward::{Principal, Timestamp};
use keyward_axum::Authenticated;
use serde::Serialize;

use crate::agents::{Agent, Agents, BadAgent, NewAgent};

/// An agent's name and description fit in here many times.
const LARGEST_BODY: usize = 16 * 1024;

const PAGE: &str = include_str!("index.html");
const PAGE_MAY: &str = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'";

#[derive(Clone)]
struct Service {
    agents: Agents,
    started_at: Timestamp,
}

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/v1/agents", get(list).post(create))
        .route("/api/v1/admin/stats", get(stats))
        .fallback(|| async { refused(StatusCode::NOT_FOUND, "Not Found") })
        .method_not_allowed_fallback(|| async { refused(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed") })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(Service { agents: Agents::default(), started_at: SystemClock::new().now().wall })
}

async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, PAGE_MAY), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")], Html(PAGE))
}

/// `read:all`: every agent of who asks.
async fn list(who: Authenticated, State(service): State<Service>) -> Json<Vec<Agent>> {
    Json(service.agents.of(owner(&who)))
}

/// `write:all`.
async fn create(
    who: Authenticated,
    State(service): State<Service>,
    agent: Result<Json<NewAgent>, JsonRejection>,
) -> Result<(StatusCode, Json<Agent>), Response> {
    let Json(agent) = agent.map_err(unreadable)?;
    match service.agents.add(owner(&who), agent) {
        Ok(agent) => Ok((StatusCode::CREATED, Json(agent))),
        Err(bad @ BadAgent::Full) => Err(refused(StatusCode::CONFLICT, &bad.to_string())),
        Err(bad) => Err(refused(StatusCode::BAD_REQUEST, &bad.to_string())),
    }
}

#[derive(Serialize)]
struct Stats {
    agents: usize,
    /// How many people have one.
    owners: usize,
    started_at: Timestamp,
}

/// `admin`.
async fn stats(State(service): State<Service>) -> Json<Stats> {
    let (agents, owners) = service.agents.count();
    Json(Stats { agents, owners, started_at: service.started_at })
}

/// The account, whether its session asks or one of its keys. A key that nobody owns has what it makes for itself.
fn owner(who: &Principal) -> &str {
    who.owner().unwrap_or(who.id())
}

/// What is no JSON, or not what was asked for, is the document's 400.
fn unreadable(rejection: JsonRejection) -> Response {
    let status = match rejection.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    refused(status, &rejection.body_text())
}

#[derive(Serialize)]
struct Refused<'a> {
    detail: &'a str,
}

fn refused(status: StatusCode, detail: &str) -> Response {
    (status, Json(Refused { detail })).into_response()
}
