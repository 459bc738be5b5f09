//! Keyward as a [`tower`](https://docs.rs/tower) layer over `http` types: for hyper, tonic, and anything built on tower.
//!
//! This crate decides nothing: it lends the request to a [`keyward::Guard`], takes credentials out of what the inner service
//! sees, and sends what the guard answers. Put the layer outermost: layers around it see requests before the guard does,
//! credentials included.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Empty;
//! use keyward::{Guard, Keys, MemoryStore, NewKey, Pass, Policy};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let made = Keys::new(store.clone()).create(NewKey::named("docs")).await?;
//! let guard = Guard::builder(Policy::from_toml("policy.toml", "")?).store(store).build()?;
//!
//! let service = ServiceBuilder::new().layer(keyward_tower::guard(guard)).service(service_fn(
//!     |request: http::Request<Empty<Bytes>>| async move {
//!         let who = request.extensions().get::<Pass>().and_then(Pass::principal).map(|who| who.name().to_owned());
//!         Ok::<_, std::convert::Infallible>(http::Response::new(format!("hello, {}", who.unwrap_or_default())))
//!     },
//! ));
//! let request = http::Request::get("/").header("X-API-Key", made.secret().expose()).body(Empty::new())?;
//! assert_eq!(service.oneshot(request).await?.status(), 200);
//! # Ok(()) }
//! ```
//!
//! The client's address is read from the request's extensions: insert a [`keyward::Peer`] for every connection.
//!
//! A denied handshake of a WebSocket is completed and closed where the policy says `on_denial = "close"`, and hyper serves the
//! connection with upgrades. An open one ends with its key where its handler runs in [`live::run`].
//!
//! With the feature `admin`, `admin` answers sign-up, sign-in, the management of keys and the dashboard beside a service.
//!
//! For gRPC, [`GuardLayer::for_grpc`] says denials as statuses. `docs/tower.md` goes through hyper and tonic.

#[cfg(feature = "admin")]
mod admin;
mod body;
mod close;
mod denials;
mod framework;
mod future;
pub mod live;
mod service;

#[cfg(feature = "admin")]
pub use admin::{AdminFuture, AdminLayer, AdminService, admin, answer_admin};
pub use body::Body;
pub use close::denial_response;
pub use framework::{Framework, Plain};
pub use future::ResponseFuture;
pub use service::{GuardLayer, GuardService, grpc_guard, guard};
