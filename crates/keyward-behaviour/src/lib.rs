//! The behaviour suite that every adapter of Keyward passes, and the conformance server.
//!
//! It publishes nothing and protects nothing: it judges. Everything that can be seen of a decision from outside is
//! compared: status, headers, body, what the handler saw, and the audit event.
//!
//! - [`cases`]: one list of named cases, each with the number of its rule. No adapter can edit it or leave one out.
//! - [`model`]: an independent, naive reading of the rules. [`generate`] makes worlds (a policy, keys, requests, a clock)
//!   which [`suite`] steps through the adapter and the model, and shrinks where they differ.
//! - [`sockets`]: named cases of real WebSockets: how they open, with keys and by tickets, and that they end with their key.
//!
//! - [`targets`]: spellings of request targets, through each framework's real router.
//! - `stores`: what every store of keys promises, as named cases and as random changes beside a naive model (the feature `stores`).
//! - `accounts`: what every place for accounts and sessions promises, in the same way.
//!
//! - `management`: accounts, sessions and the management of keys as each adapter of this repository mounts them.
//! - [`differential`]: the same bytes to several adapters, over connections that are kept, pipelined, and HTTP/2; and what each
//!   framework's parser refuses by itself.
//! - `crash`: a store's process is killed again and again, and what it acknowledged is looked for.
//!
//! The cases and the worlds run over HTTP/1.1 and HTTP/2, over real sockets whose clients have different addresses, and once
//! without any server, which is fast and can leave out the peer.
//!
//! `cargo test -p keyward-behaviour` runs everything; `PROPTEST_CASES=10000` sets the number of worlds in each part. What
//! a world has found is kept as a named case, where people can read it.
//!
//! # Your own adapter
//!
//! Implement [`harness::Harness`] for it and let [`trials::main`] be the `main` of a test with `harness = false`:
//!
//! ```toml
//! [dev-dependencies]
//! keyward-behaviour = { git = "https://github.com/keyward/keyward", default-features = false }
//!
//! [[test]]
//! name = "behaviour"
//! harness = false
//! ```
//!
//! `keyward` itself has to come from the same place, or the suite's guard is another type than yours.
//!
//! ```no_run
//! use std::{io, net::TcpListener, process::ExitCode};
//!
//! use keyward_behaviour::{conformance::Conformance, harness::{Harness, Running}, trials};
//!
//! struct Mine;
//!
//! impl Harness for Mine {
//!     const NAME: &'static str = "mine";
//!     const HTTP2: bool = false;
//!     const WEBSOCKETS: bool = false;
//!
//!     fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
//!         Running::task(listener, async move |listener| {
//!             while let Ok((stream, peer)) = listener.accept().await {
//!                 // Read a request. `conformance.guard_for(path)` is the guard to ask about it; what that lets through
//!                 // is answered with `conformance.answer(&pass, seen)`.
//!                 # let _ = (stream, peer, &conformance);
//!             }
//!         })
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     trials::main::<Mine>()
//! }
//! ```

#[cfg(feature = "stores")]
pub mod accounts;
#[cfg(feature = "adapters")]
pub mod adapters;
pub mod cases;
pub mod compare;
pub mod conformance;
#[cfg(feature = "own-stores")]
pub mod crash;
pub mod demands;
pub mod differential;
#[cfg(feature = "adapters")]
pub mod fuzz;
pub mod generate;
pub mod harness;
pub mod in_process;
#[cfg(feature = "adapters")]
pub mod management;
pub mod model;
pub mod service;
#[cfg(feature = "stores")]
pub mod services;
pub mod sockets;
#[cfg(feature = "stores")]
pub mod stores;
pub mod suite;
pub mod targets;
pub mod trials;
pub mod wire;
