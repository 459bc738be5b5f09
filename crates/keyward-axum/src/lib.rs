//! Keyward for axum: a layer, extractors, and scopes for each route.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use keyward::{Guard, Keys, MemoryStore, NewKey, Policy, scopes};
//! use keyward_axum::Authenticated;
//! use std::net::SocketAddr;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = MemoryStore::new();
//!     let made = Keys::new(store.clone()).create(NewKey::named("me").scope("reports:read")?).await?;
//!     println!("curl -H 'X-API-Key: {}' http://127.0.0.1:3000/reports", made.secret().expose());
//!
//!     let guard = Guard::builder(Policy::builder().failures("60/minute").build()?).store(store).build()?;
//!     let app = Router::new()
//!         .route("/reports", get(reports))
//!         // One route asks for more than the policy does.
//!         .route_layer(keyward_axum::guard(guard.requiring(scopes!["reports:read"])))
//!         .route("/front", get(front));
//!     let app = keyward_axum::guarded(app, guard);
//!
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
//!     // With the peers' addresses: the failure budget needs them.
//!     axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
//!     Ok(())
//! }
//!
//! async fn reports(who: Authenticated) -> String {
//!     format!("hello, {}", who.name())
//! }
//!
//! async fn front(who: Option<Authenticated>) -> &'static str {
//!     if who.is_some() { "welcome back" } else { "welcome" }
//! }
//! ```
//!
//! # Where the layer goes
//!
//! Outermost: [`guarded`] takes the finished router. Layers around it (a trace layer, say) see requests before it does,
//! credentials in the URL included. Inside `Router::nest` it still judges the path that the client sent. A guard inside
//! another's reach does not decide again: it only asks whether the principal meets what it requires in addition.
//!
//! # WebSockets
//!
//! A handshake is a request like any other, and `on_denial = "close"` in the policy tells a browser's page why it was denied. With the
//! feature `ws`, `LiveSocket` ends open connections with their key. [`ticket`] is the endpoint where a key is exchanged for
//! a ticket that may stand in a URL.

#[cfg(feature = "admin")]
mod admin;
mod authenticated;
mod framework;
#[cfg(feature = "ws")]
mod live_socket;
mod ticket;

#[cfg(feature = "admin")]
pub use admin::admin;
pub use authenticated::{Authenticated, Unauthenticated};
pub use framework::Axum;
#[cfg(feature = "ws")]
pub use live_socket::{HeldSocket, LiveSocket};
pub use ticket::ticket;

use axum::Router;
use keyward::Guard;
use keyward_tower::GuardLayer;
use tower_layer::Layer as _;

/// A finished router behind a guard: every route of it, its fallbacks, and its answers to wrong methods.
///
/// Prefer this to `.layer(guard(…))` for a whole service. A layer covers the routes that were added before it, so one that is
/// added later is open; and axum adds `Allow` to what a layer answers for a wrong method, which tells whoever has no key which
/// paths there are.
pub fn guarded(router: Router, guard: Guard) -> Router {
    Router::new().fallback_service(GuardLayer::<Axum>::new(guard).layer(router))
}

/// Guards some routes: for `route_layer`, and for routers that are nested in others. For a whole service see [`guarded`].
pub fn guard(guard: Guard) -> GuardLayer<Axum> {
    GuardLayer::new(guard)
}

/// The README's program, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
