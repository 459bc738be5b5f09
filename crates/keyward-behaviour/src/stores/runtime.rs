//! The runtime in which stores are opened and asked.

use std::sync::LazyLock;

use tokio::runtime::{EnterGuard, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

/// Waits for something on this thread, which must not be the runtime's own.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Whoever closes a connection on this thread needs to know of the runtime, until this is dropped.
pub(crate) fn entered() -> EnterGuard<'static> {
    RUNTIME.enter()
}
