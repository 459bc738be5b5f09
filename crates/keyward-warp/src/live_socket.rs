//! WebSockets that end with their key, as a filter beside `warp::ws()`.

use keyward::{Pass, SocketEnd};
use keyward_tower::live;
use warp::ws::{Message, WebSocket};
use warp::{Filter, Rejection};

use crate::filters::pass;

/// What ends an open WebSocket when the key that opened it ends: revoked, disabled, expired, or rotated and its grace over. Made by
/// [`live_socket`].
#[derive(Debug)]
pub struct LiveSocket(keyward::LiveSocket);

/// An open WebSocket on loan: [`keyward_tower::live::HeldSocket`] around warp's.
pub type HeldSocket = live::HeldSocket<WebSocket>;

/// Extracts what ends the connection with its key. Put it after the path.
///
/// A connection is decided when it opens, and without this it stays open whatever becomes of the key.
///
/// ```
/// use keyward_warp::{HeldSocket, LiveSocket, live_socket};
/// use warp::{Filter, Rejection, Reply, ws::Ws};
///
/// fn routes() -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
///     warp::path!("ws")
///         .and(live_socket())
///         .and(warp::ws())
///         .map(|live: LiveSocket, handshake: Ws| handshake.on_upgrade(|socket| live.run(socket, echo)))
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
/// It takes nobody, too, whom an open path or an optional route lets in: what nobody opened ends with no key.
pub fn live_socket() -> impl Filter<Extract = (LiveSocket,), Error = Rejection> + Copy {
    pass().map(|pass: Pass| LiveSocket(pass.live_socket()))
}

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
    Message::close_with(end.code(), end.reason())
}
