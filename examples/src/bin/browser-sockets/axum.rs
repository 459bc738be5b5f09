//! axum, by `keyward-axum`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{delete, get, post};
use keyward::Keys;
use keyward_axum::{Authenticated, HeldSocket, LiveSocket, guarded};

use crate::{CHAT, PAGE, Service, cookie, greeting};

pub(crate) async fn serve(service: Service, listener: TcpListener) -> io::Result<()> {
    let routes = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/cookie", post(set_cookie))
        .route("/auth/token", post(keyward_axum::ticket))
        .route("/socket", get(open))
        .route("/key", delete(revoke))
        .with_state(service.keys);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, guarded(routes, service.guard).into_make_service_with_connect_info::<SocketAddr>()).await
}

async fn open(who: Authenticated, live: LiveSocket, upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols([CHAT]).on_upgrade(move |socket| live.run(socket, move |socket| talk(who, socket)))
}

async fn talk(who: Authenticated, mut socket: HeldSocket) {
    if socket.send(greeting(&who).into()).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.recv().await {
        let is_said = matches!(message, axum::extract::ws::Message::Text(_) | axum::extract::ws::Message::Binary(_));
        if is_said && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn set_cookie(key: Bytes) -> Response {
    match cookie(&key) {
        Some(cookie) => (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn revoke(State(keys): State<Keys>, who: Authenticated) -> StatusCode {
    match who.key_id() {
        Some(id) if keys.revoke(&id).await.is_ok() => StatusCode::NO_CONTENT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}
