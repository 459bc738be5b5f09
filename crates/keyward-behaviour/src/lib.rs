//! The behaviour suite that every adapter of Keyward passes, and the conformance server.
//!
//! It publishes nothing and protects nothing: it judges. Everything that can be seen of a decision from outside is
//! compared: status, headers, body, what the handler saw, and the audit event.
//!
//! - [`cases`]: one list of named cases, each with the number of its rule. No adapter can edit it or leave one out.
//! - [`model`]: an independent, naive reading of the rules. [`generate`] makes worlds (a policy, keys, requests, a clock)
//!   which [`suite`] steps through the adapter and the model, and shrinks where they differ.
//! - [`sockets`]: named cases of real WebSockets.
//!
//! The same runs over HTTP/1.1 and HTTP/2, over real sockets whose clients have different addresses, and once without any
//! server, which is fast and can leave out the peer.
//!
//! `cargo test -p keyward-behaviour` runs everything; `PROPTEST_CASES=10000` sets the number of worlds in each part. What
//! a world has found is kept as a named case, where people can read it.
//!
//! # A new adapter
//!
//! Implement [`harness::Harness`] in a file under `adapters`, and list it in [`harness::all`]. That is all: the suite and
//! the `conformance-server` program find it there.

pub mod adapters;
pub mod cases;
pub mod compare;
pub mod conformance;
pub mod demands;
pub mod generate;
pub mod harness;
pub mod in_process;
pub mod model;
pub mod service;
pub mod sockets;
pub mod suite;
pub mod wire;
