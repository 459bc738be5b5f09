//! The token endpoint.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use keyward_tower::Framework;

use crate::authenticated::pass;
use crate::{Axum, Unauthenticated};

/// Exchanges the key that the request came with for a ticket, which opens one WebSocket: a handler for `POST`.
///
/// For pages whose server has the key: it asks here, and the browser opens `wss://…/ws?token=TICKET`. The policy has to take tickets
/// (`[tickets]`), and the guard a secret to sign them with.
///
/// ```
/// use axum::{Router, routing::post};
/// use keyward::{Guard, Policy, MemoryStore, SystemRandom, ticket::{ServerSecret, Tickets}};
///
/// # fn app(store: MemoryStore) -> Result<Router, Box<dyn std::error::Error>> {
/// let policy = Policy::from_toml("policy.toml", "[tickets]\nquery = 'token'")?;
/// let tickets = Tickets::new(ServerSecret::generate(&SystemRandom)?);
/// let guard = Guard::builder(policy).store(store).tickets(tickets).build()?;
/// let routes = Router::new().route("/auth/token", post(keyward_axum::ticket));
/// # Ok(
/// keyward_axum::guarded(routes, guard)
/// # )
/// # }
/// ```
///
/// What it answers is [`keyward::Pass::ticket`]'s: 200 with `{"token": …, "expires_in": …}`, or a denial.
///
/// # Errors
/// 500 outside of every guard.
pub async fn ticket(request: Request) -> Result<Response, Unauthenticated> {
    let pass = pass("`keyward_axum::ticket`", request.uri(), request.extensions())?;
    let sent = Axum::original_uri(request.extensions()).unwrap_or(request.uri());
    Ok(pass.ticket(sent.path()).await.map(Body::from))
}
