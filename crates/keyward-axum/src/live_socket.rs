//! WebSockets that end with their key, as an extractor beside `WebSocketUpgrade`.

use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use http::request::Parts;
use keyward::SocketEnd;
use keyward_tower::live;

use crate::Unauthenticated;
use crate::authenticated::pass;

/// What ends an open WebSocket when the key that opened it ends: revoked, disabled, expired, or rotated and its grace over.
///
/// A connection is decided when it opens, and without this it stays open whatever becomes of the key.
///
/// ```
/// use axum::{Router, extract::WebSocketUpgrade, response::Response, routing::any};
/// use keyward::Guard;
/// use keyward_axum::{HeldSocket, LiveSocket};
///
/// fn app(guard: Guard) -> Router {
///     keyward_axum::guarded(Router::new().route("/ws", any(open)), guard)
/// }
///
/// async fn open(live: LiveSocket, upgrade: WebSocketUpgrade) -> Response {
///     upgrade.on_upgrade(|socket| live.run(socket, echo))
/// }
///
/// async fn echo(mut socket: HeldSocket) {
///     while let Some(Ok(message)) = socket.recv().await {
///         if socket.send(message).await.is_err() {
///             return;
///         }
///     }
/// }
/// ```
///
/// It takes nobody, too, whom an open path or an optional route lets in: what nobody opened ends with no key. Outside of every guard
/// it answers 500, as [`Authenticated`](crate::Authenticated) does.
#[derive(Debug)]
pub struct LiveSocket(keyward::LiveSocket);

/// An open WebSocket on loan: [`keyward_tower::live::HeldSocket`] around axum's.
pub type HeldSocket = live::HeldSocket<WebSocket>;

impl LiveSocket {
    /// Runs a handler on the open connection until it ends, or the key does. Then the handler is dropped wherever it stands, and the
    /// client is told by a close frame: 1008 and why, within a second of the key's end. See [`keyward_tower::live::run`].
    pub async fn run<F, Fut>(self, socket: WebSocket, handler: F)
    where
        F: FnOnce(HeldSocket) -> Fut,
        Fut: Future<Output = ()>,
    {
        live::run(self.0, socket, close, handler).await;
    }

    /// The core's part of it: for WebSockets of other crates, and [`keyward_tower::live::run`].
    pub fn into_inner(self) -> keyward::LiveSocket {
        self.0
    }
}

fn close(end: SocketEnd) -> Message {
    Message::Close(Some(CloseFrame { code: end.code(), reason: end.reason().into() }))
}

impl<S: Send + Sync> FromRequestParts<S> for LiveSocket {
    type Rejection = Unauthenticated;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Unauthenticated> {
        Ok(Self(pass("`LiveSocket`", &parts.uri, &parts.extensions)?.live_socket()))
    }
}
