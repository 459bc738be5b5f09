//! `/metrics`: for who collects them, in Prometheus's text format, behind a guard that no policy loosens (R16).

mod decisions;
mod page;

pub(super) use decisions::Decisions;
pub(super) use page::Page;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{Method, StatusCode, header};
use keyward::audit::AuditSink;
use keyward::{Guard, Job, scopes};
use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

use super::problem::problem_document;
use super::routes::wrong_method;
use crate::configuration::Configuration;
use crate::failure::Failure;

/// Where they are.
pub(super) const PLACE: &str = "/metrics";

/// The route, for keys in the database with `metrics:read`. Bad keys are counted together with all others.
pub(super) fn router(configuration: &Configuration, sink: impl AuditSink + 'static, page: Page) -> Result<Router, Failure> {
    let builder = configuration.keys().guarding(Guard::builder(configuration.policy().for_management()));
    let builder = builder.sharing(&page.guard).audit(sink).workers(|job: Job| drop(tokio::task::spawn_blocking(job)));
    let guard = builder.build().map_err(|error| Failure::Configuration(error.to_string()))?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    // One handler for every method: whoever has no key does not learn which there are.
    let route = any(answer).layer(keyward_axum::guard(guard.requiring(scopes!["metrics:read"])));
    Ok(Router::new().route(PLACE, route).with_state(Arc::new(registry)))
}

async fn answer(State(registry): State<Arc<Registry>>, method: Method) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return wrong_method().await;
    }
    let mut text = String::new();
    match prometheus_text::encode(&mut text, &registry) {
        Ok(()) => {
            ([(header::CONTENT_TYPE, prometheus_text::CONTENT_TYPE), (header::CACHE_CONTROL, "no-store")], text).into_response()
        }
        // Writing into a text does not fail.
        Err(_) => problem_document(StatusCode::INTERNAL_SERVER_ERROR, "The metrics could not be written."),
    }
}
