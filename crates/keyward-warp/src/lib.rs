//! Keyward for warp: a server around the guard, filters that read what it decided, and scopes for each route.
//!
//! ```no_run
//! use keyward::{Guard, Keys, MemoryStore, NewKey, Policy, scopes};
//! use keyward_warp::{Authenticated, allowed_by, authenticated, maybe_authenticated};
//! use warp::Filter;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let store = MemoryStore::new();
//!     let made = Keys::new(store.clone()).create(NewKey::named("me").scope("reports:read")?).await?;
//!     println!("curl -H 'X-API-Key: {}' http://127.0.0.1:8080/reports", made.secret().expose());
//!
//!     let guard = Guard::builder(Policy::builder().failures("60/minute").build()?).store(store).build()?;
//!     let reports = warp::path!("reports")
//!         .and(warp::get())
//!         // One route asks for more than the policy does.
//!         .and(allowed_by(guard.requiring(scopes!["reports:read"])))
//!         .and(authenticated())
//!         .map(|who: Authenticated| format!("hello, {}", who.name()));
//!     let front = warp::path::end().and(warp::get()).and(maybe_authenticated()).map(|who: Option<Authenticated>| match who {
//!         Some(_) => "welcome back",
//!         None => "welcome",
//!     });
//!     keyward_warp::serve(guard, reports.or(front)).run(([127, 0, 0, 1], 8080)).await;
//!     Ok(())
//! }
//! ```
//!
//! # Where the guard goes
//!
//! Around the server, not among the filters: [`serve`] takes the finished routes. Deliberately no filter decides: under `or` it
//! would decide, charge and tell the audit once for each alternative; filters cannot take the key out of the request, or put
//! headers on the answers to those that no route takes; and a route without it would be open.
//!
//! Layers around [`service`] see requests before the guard does, credentials in the URL included. A `warp::log` among the routes
//! sees what handlers see.
//!
//! # What the filters do
//!
//! They read what the guard decided, and can ask for more: [`authenticated`] for somebody, [`allowed_by`] for scopes. What they
//! refuse is a rejection, [`Denied`], which becomes the policy's answer around all routes. Put them after path and method. Without
//! a guard around them they answer 500, and say so in the log.
//!
//! Name the methods of a route that asks for nobody, as by `warp::get()`: the policy lets CORS preflights through as nobody, and a
//! route that takes every method answers them.

mod accept;
#[cfg(feature = "admin")]
mod admin;
#[cfg(not(feature = "admin"))]
#[path = "no_admin.rs"]
mod admin;
mod denied;
mod filters;
#[cfg(feature = "websocket")]
mod live_socket;
mod server;
mod service;
mod ticket;

pub use accept::Accept;
#[cfg(feature = "admin")]
pub use admin::admin;
pub use denied::{Denied, recover};
pub use filters::{Authenticated, allowed_by, authenticated, client_address, maybe_authenticated, request_id};
#[cfg(feature = "websocket")]
pub use live_socket::{HeldSocket, LiveSocket, live_socket};
pub use server::{Graceful, Never, Server, Unbound, serve};
pub use service::service;
pub use ticket::ticket;
