//! The atomics of the cells, which their model replaces.

pub(super) use std::sync::atomic::{AtomicU64, Ordering};
