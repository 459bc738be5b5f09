//! A policy, keys, an environment and requests with a clock, as text: the core must decide as the model does.
//!
//! Compared are status, headers, body, principal, what the handler sees, and the audit event, of every request in order. What
//! is no policy to the model, or to the checks of the core, is asked nothing; `policy_file` is about those.

use super::{step::step, written};

/// Runs one input.
pub fn run(data: &[u8]) {
    if let Some(world) = written::world(data) {
        step(&world);
    }
}
