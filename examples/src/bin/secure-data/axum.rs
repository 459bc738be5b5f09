//! axum, by `keyward-axum`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use keyward::Guard;
use keyward_axum::{Authenticated, guarded};

use crate::answers::{ALLOWED, BY_COOKIE, BY_HEADER, BY_QUERY, DATA, JSON, METHOD_NOT_ALLOWED, NOT_FOUND};

pub(crate) async fn serve(guard: Guard, listener: TcpListener) -> io::Result<()> {
    let routes = Router::new()
        .route(BY_HEADER, get(data))
        .route(BY_COOKIE, get(data))
        .route(BY_QUERY, get(data))
        .method_not_allowed_fallback(async || {
            (StatusCode::METHOD_NOT_ALLOWED, [(header::CONTENT_TYPE, JSON), (header::ALLOW, ALLOWED)], METHOD_NOT_ALLOWED)
        })
        .fallback(async || (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, JSON)], NOT_FOUND));
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, guarded(routes, guard).into_make_service_with_connect_info::<SocketAddr>()).await
}

async fn data(_: Authenticated) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, JSON)], DATA)
}
