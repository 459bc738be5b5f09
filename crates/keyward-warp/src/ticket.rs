//! The token endpoint.

use keyward::Pass;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::filters::pass;

/// Exchanges the key that the request came with for a ticket, which opens one WebSocket. It extracts the whole answer: put it last,
/// after path and method.
///
/// For pages whose server has the key: it asks here, and the browser opens `wss://…/ws?token=TICKET`. The policy has to take tickets
/// (`[tickets]`), and the guard a secret to sign them with.
///
/// ```
/// use keyward::{Guard, Policy, MemoryStore, SystemRandom, ticket::{ServerSecret, Tickets}};
/// use warp::Filter;
///
/// # async fn serve(store: MemoryStore) -> Result<(), Box<dyn std::error::Error>> {
/// let policy = Policy::from_toml("policy.toml", "[tickets]\nquery = 'token'")?;
/// let tickets = Tickets::new(ServerSecret::generate(&SystemRandom)?);
/// let guard = Guard::builder(policy).store(store).tickets(tickets).build()?;
/// let routes = warp::path!("auth" / "token").and(warp::post()).and(keyward_warp::ticket());
/// keyward_warp::serve(guard, routes).run(([127, 0, 0, 1], 8080)).await;
/// # Ok(()) }
/// ```
///
/// What it answers is [`keyward::Pass::ticket`]'s: 200 with `{"token": …, "expires_in": …}`, or a denial.
pub fn ticket() -> impl Filter<Extract = (Response,), Error = Rejection> + Copy {
    pass().and(warp::path::full()).then(async |pass: Pass, path: FullPath| pass.ticket(path.as_str()).await.map(Into::into))
}
