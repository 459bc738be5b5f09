//! The atomics of the breaker, which its model replaces.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
