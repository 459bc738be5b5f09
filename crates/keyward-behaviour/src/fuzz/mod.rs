//! What the fuzzer runs: one function a target, from bytes to a verdict.
//!
//! They live here and not beside the fuzzer, so that the seeds and whatever the fuzzer has found are run by `cargo test` on a
//! stable toolchain too (`tests/fuzz_regressions.rs`). The fuzzer itself has a workspace of its own, `fuzz/`, with a file of
//! three lines for each [`Target`].
//!
//! A target panics where its oracle is violated, and says with which policy and which request. Its oracle is never the core:
//! it is the [`model`](crate::model), or a parser that others wrote, or a statement about what must not be.
//!
//! Inputs are text that people can read and write ([`written`]). Deriving structures from bytes (`arbitrary`) was refused: such
//! seeds cannot be written by hand, and mean something else with each change of a type.

pub mod adapters;
pub mod cookie;
pub mod decision;
pub mod forwarded;
pub mod key_file;
pub mod key_format;
pub mod policy_file;
pub mod query;
mod recorder;
pub mod sources;
mod step;
pub mod tickets;
pub mod worlds;
pub mod written;

/// Something to fuzz.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the fuzzer's program, and of its folders of seeds and regressions.
    pub name: &'static str,
    /// Runs one input. Panics where the oracle is violated.
    pub run: fn(&[u8]),
}

/// Every target, in the order in which they are told.
pub fn targets() -> Vec<Target> {
    vec![
        Target { name: "decision", run: decision::run },
        Target { name: "worlds", run: worlds::run },
        Target { name: "sources", run: sources::run },
        Target { name: "cookie", run: cookie::run },
        Target { name: "query", run: query::run },
        Target { name: "forwarded", run: forwarded::run },
        Target { name: "key_format", run: key_format::run },
        Target { name: "key_file", run: key_file::run },
        Target { name: "policy_file", run: policy_file::run },
        Target { name: "tickets", run: tickets::run },
        Target { name: "adapters", run: adapters::run },
    ]
}
