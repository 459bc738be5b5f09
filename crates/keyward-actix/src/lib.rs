//! Keyward for actix-web: a middleware, an extractor, and scopes for each route.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use keyward::{Guard, Keys, MemoryStore, NewKey, Policy, scopes};
//! use keyward_actix::Authenticated;
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = MemoryStore::new();
//!     let made = Keys::new(store.clone()).create(NewKey::named("me").scope("reports:read")?).await?;
//!     println!("curl -H 'X-API-Key: {}' http://127.0.0.1:3000/reports", made.secret().expose());
//!
//!     let guard = Guard::builder(Policy::builder().failures("60/minute").build()?).store(store).build()?;
//!     let app = move || {
//!         // One resource asks for more than the policy does.
//!         let readers = keyward_actix::guard(guard.requiring(scopes!["reports:read"]));
//!         App::new()
//!             .service(web::resource("/reports").get(reports).wrap(readers))
//!             .route("/front", web::get().to(front))
//!             .wrap(keyward_actix::guard(guard.clone()))
//!     };
//!     HttpServer::new(app).bind("127.0.0.1:3000")?.run().await?;
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
//! This crate decides nothing: it lends the request to a [`keyward::Guard`], takes credentials out of what handlers see, and
//! sends what the guard answers.
//!
//! # Where the middleware goes
//!
//! On the `App`, by the last `wrap`, which actix-web runs first: it is then around every route, added before or after it, around
//! the default service, and around actix-web's own answers to wrong paths and methods. Middleware around it (a logger, say) sees
//! requests before it does, credentials in the URL included. On a scope, a resource or a route it still judges the path that the
//! client sent. A guard inside another's reach does not decide again: it only asks whether the principal meets what it requires
//! in addition.
//!
//! # WebSockets
//!
//! A denied handshake is completed and closed where the policy says `on_denial = "close"`. An open connection ends with its key where
//! [`LiveSocket::run`] runs its handler: on a server with [`on_connect`], whatever the client does. [`ticket`] is a token endpoint.

#[cfg(feature = "admin")]
mod admin;
mod answer;
mod authenticated;
mod close;
mod connection;
mod future;
mod lent;
mod live;
mod names;
mod service;
mod strip;
mod ticket;

#[cfg(feature = "admin")]
pub use admin::{AdminMiddleware, AdminService, admin};
pub use authenticated::{Authenticated, Unauthenticated};
pub use connection::{on_connect, remember_socket};
pub use future::GuardFuture;
pub use live::LiveSocket;
pub use service::{GuardMiddleware, GuardService};
pub use ticket::ticket;

use keyward::Guard;

/// Guards an application, a scope, a resource or a route: what their `wrap` takes.
///
/// Build the guard once, outside the closure that makes an application for each worker, and clone it inside.
pub fn guard(guard: Guard) -> GuardMiddleware {
    GuardMiddleware::new(guard)
}
