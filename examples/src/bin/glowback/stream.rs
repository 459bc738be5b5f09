//! The WebSocket of a run.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message};
use axum::extract::{ConnectInfo, OriginalUri, Path, State, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use keyward::Pass;
use keyward_axum::{HeldSocket, LiveSocket};
use tokio::time::timeout;

use crate::errors::ApiError;
use crate::runs::{Run, Runs};

/// A client takes a message within this time.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
/// In the private range: the number of the status that a plain request gets.
const NOT_FOUND: u16 = 4404;
const NORMAL: u16 = 1000;

/// Shows a run. `LiveSocket` ends it with the key, where keys can end; those of the environment live as long as the process.
pub(crate) async fn stream(
    State(runs): State<Runs>,
    run_id: Result<Path<String>, PathRejection>,
    live: LiveSocket,
    Extension(pass): Extension<Pass>,
    OriginalUri(uri): OriginalUri,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let run = run_id.ok().and_then(|Path(run_id)| runs.get(&run_id));
    let Ok(upgrade) = upgrade else {
        let error = if run.is_some() { ApiError::upgrade_required() } else { ApiError::not_found("Run not found") };
        return error.into_response();
    };
    // Nothing is read but the client's end.
    let upgrade = upgrade.max_message_size(4096).max_frame_size(4096);
    upgrade.on_upgrade(async move |socket| {
        // The path, and never the query: a key may stand there.
        let (request_id, path, client_ip) = (pass.request_id().as_str(), uri.path(), peer.ip().to_canonical());
        tracing::info!(target: "glowback.api.websockets", request_id, path, %client_ip, "ws_connected");
        let mut reason = "key_ended";
        live.run(socket, |socket| async { reason = show(run, socket).await }).await;
        tracing::info!(target: "glowback.api.websockets", request_id, path, %client_ip, reason, "ws_disconnected");
    })
}

/// Sends all that there is, and says why it ended.
async fn show(run: Option<Run>, mut socket: HeldSocket) -> &'static str {
    let Some(run) = run else {
        return end(&mut socket, NOT_FOUND, "Run not found", "run_not_found").await;
    };
    for update in run.updates() {
        let Ok(text) = serde_json::to_string(&update) else { break };
        if !matches!(timeout(TAKEN_WITHIN, socket.send(Message::text(text))).await, Ok(Ok(()))) {
            return "client_gone";
        }
    }
    end(&mut socket, NORMAL, "", "completed").await
}

async fn end(socket: &mut HeldSocket, code: u16, reason: &'static str, told: &'static str) -> &'static str {
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    // Up to the client's own close frame, so that it has read all that was sent.
    let ended = timeout(TAKEN_WITHIN, async {
        socket.send(close).await.ok()?;
        while let Some(Ok(_)) = socket.recv().await {}
        Some(())
    });
    if matches!(ended.await, Ok(Some(()))) { told } else { "client_gone" }
}
