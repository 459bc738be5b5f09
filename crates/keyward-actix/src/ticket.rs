//! The token endpoint.

use actix_web::{HttpRequest, HttpResponse};

use crate::Unauthenticated;
use crate::answer::answered;
use crate::authenticated::pass;

/// Exchanges the key that the request came with for a ticket, which opens one WebSocket: a handler for `POST`.
///
/// For pages whose server has the key: it asks here, and the browser opens `wss://…/ws?token=TICKET`. The policy has to take tickets
/// (`[tickets]`), and the guard a secret to sign them with.
///
/// ```
/// use actix_web::web;
/// use keyward::ticket::{ServerSecret, Tickets};
/// use keyward::{Guard, MemoryStore, Policy, SystemRandom};
///
/// # fn app(store: MemoryStore) -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::from_toml("policy.toml", "[tickets]\nquery = 'token'")?;
/// let tickets = Tickets::new(ServerSecret::generate(&SystemRandom)?);
/// let guard = Guard::builder(policy).store(store).tickets(tickets).build()?;
/// let app = actix_web::App::new()
///     .route("/auth/token", web::post().to(keyward_actix::ticket))
///     .wrap(keyward_actix::guard(guard));
/// # Ok(()) }
/// ```
///
/// What it answers is [`keyward::Pass::ticket`]'s: 200 with `{"token": …, "expires_in": …}`, or a denial.
///
/// # Errors
/// 500 outside of every guard.
pub async fn ticket(request: HttpRequest) -> Result<HttpResponse, Unauthenticated> {
    let pass = pass(&request, "keyward_actix::ticket")?.clone();
    Ok(answered(pass.ticket(request.path()).await))
}
