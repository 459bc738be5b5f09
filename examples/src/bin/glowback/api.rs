//! The routes, twice: as the document has them, and below `/v1`.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router, middleware};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use keyward::Guard;
use serde::Serialize;

use crate::backtest::Order;
use crate::body_limit::limit_body;
use crate::errors::{ApiError, in_v1_shape};
use crate::log::log_request;
use crate::runs::{Run, Runs};
use crate::stream::stream;

pub(crate) fn router(guard: Guard, max_body_bytes: usize) -> Router {
    let runs = Runs::default();
    let v1 = routes(runs.clone(), max_body_bytes).layer(middleware::from_fn(in_v1_shape));
    let service = routes(runs, max_body_bytes).nest("/v1", v1);
    keyward_axum::guarded(service, guard)
        // Around the guard, so that what it denies is told too. It sees requests before it, and looks at no query and no header.
        .layer(middleware::from_fn(log_request))
}

fn routes(runs: Runs, max_body_bytes: usize) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/backtests", get(list).post(create))
        .route("/backtests/{run_id}", get(show))
        .route("/backtests/{run_id}/stream", get(stream))
        .fallback(|| async { ApiError::not_found("Not Found") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        // `limit_body` has judged the body already, by the limit that the environment names.
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(max_body_bytes, limit_body))
        .layer(middleware::map_response(never_stored))
        .with_state(runs)
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

async fn list(State(runs): State<Runs>) -> Json<Vec<Run>> {
    Json(runs.list())
}

async fn create(State(runs): State<Runs>, body: Bytes) -> Result<(StatusCode, Json<Run>), ApiError> {
    let order = Order::read(&body)?;
    Ok((StatusCode::CREATED, Json(runs.run(order))))
}

async fn show(State(runs): State<Runs>, run_id: Result<Path<String>, PathRejection>) -> Result<Json<Run>, ApiError> {
    // An id that is no text is nobody's id.
    let run = run_id.ok().and_then(|Path(run_id)| runs.get(&run_id));
    run.map(Json).ok_or_else(|| ApiError::not_found("Run not found"))
}

/// The guard says so of denials and leaves alone what a handler has said of its own answers.
async fn never_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
