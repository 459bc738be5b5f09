//! API-key authentication for HTTP services: one policy, decided by one framework-free core.
//!
//! This crate opens no socket and no file, reads no environment variable, starts no runtime and knows no web framework. It is
//! lent a request's [`Head`], and gives back a [`Decision`]: a [`Pass`] with the [`Principal`], or a [`Denial`] ready to be
//! sent. Adapters for axum, tower and others enforce exactly that decision.
//!
//! ```
//! use keyward::{Decision, Guard, Keys, MemoryStore, NewKey, Policy};
//!
//! # pollster::block_on(async {
//! let store = MemoryStore::new();
//! let made = Keys::new(store.clone()).create(NewKey::named("nightly export")).await?;
//! let guard = Guard::builder(Policy::from_toml("policy.toml", "")?).store(store).build()?;
//!
//! let request = http::Request::get("/reports")
//!     .header("Authorization", format!("Bearer {}", made.secret().expose()))
//!     .body(())?;
//! match guard.decide(&request).await {
//!     Decision::Allowed(pass) => assert_eq!(pass.principal().unwrap().name(), "nightly export"),
//!     Decision::Denied(denial) => panic!("{}", denial.status()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # The order in which a request is decided
//!
//! 1. request id (R1) · open paths, preflight, routes (R1) · client address (R2) · the policy's networks (R4)
//! 2. candidates from the sources (R5) · choosing among them (R6)
//! 3. for each: failure budget (R3), shape and check, digest, record, comparison, state (R7)
//! 4. a cookie's origin (R13) · the record's networks and paths, kind, scopes (R8)
//! 5. limits (R9) · audit (R11) · answer (R10)
//!
//! The rules stand by these numbers in `docs/rules.md`.

pub mod account;
mod answer;
pub mod audit;
mod authenticate;
mod authenticator;
pub mod browser;
mod cached;
pub mod clock;
mod configured;
mod credential;
mod decision;
mod explain;
mod guard;
mod head;
pub mod import;
pub mod key;
mod keys;
pub mod limit;
mod memory;
mod network;
#[cfg(feature = "openapi")]
pub mod openapi;
mod order;
mod path;
mod plan;
pub mod policy;
mod proof;
mod random;
mod request_id;
mod resolve;
mod respond;
pub mod scope;
mod seldom;
mod sockets;
mod source;
pub mod store;
mod strip;
pub mod ticket;
mod trail;
mod websocket;
mod workers;

pub use answer::{Answer, Fault, Later};
pub use authenticator::{Ambient, Authenticator, Identity, Refusal, Verdict};
pub use cached::{CacheStatistics, Cached, CachedBuilder};
pub use clock::Timestamp;
pub use credential::Secret;
pub use decision::{AnswerHeaders, Decision, Denial, Kind, Pass, Principal};
pub use explain::{CandidateTold, Explanation, PrincipalTold, ResponseTold, Step};
pub use guard::{Guard, GuardBuilder};
pub use head::{ConnectionIdentity, Head, Peer, Wanted};
pub use keys::{Imported, Keys, KeysError, Made, NewKey, NotAllRevoked, Revoked, RevokedAll};
pub use memory::MemoryStore;
pub use network::{AddressList, BadNetwork};
pub use path::{BadPathPattern, PathPattern};
pub use policy::{ConfigError, Policy, PolicyBuilder};
pub use random::{Random, SystemRandom};
pub use request_id::RequestId;
pub use respond::{Denied, Renderer};
pub use scope::Requirement;
pub use sockets::{LiveSocket, SocketEnd, Sweeper};
pub use source::{NotASource, SourceKind};
pub use store::KeyStore;
pub use strip::{HeaderLine, Strip};
pub use websocket::WebSocketClose;
pub use workers::{Job, ThreadPerJob, Workers};
