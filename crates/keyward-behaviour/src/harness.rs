//! What an adapter brings to the suite: a way to serve a guard with its framework. Nothing else of the suite is its to choose.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
};

use crate::{adapters, conformance::Conformance};

/// A framework that serves the conformance server's paths.
pub trait Harness: Send + Sync {
    /// The name on the command line and in the suite's output.
    fn name(&self) -> &'static str;

    /// Serves [`Conformance::answer`] on any path, behind [`Conformance::guard_for`] that path, and WebSockets on `/ws/…`
    /// that send the same as their first message and echo what follows.
    ///
    /// Called within a Tokio runtime. The listener is bound and does not block.
    ///
    /// # Errors
    /// If the framework cannot use the listener.
    fn start(&self, conformance: Conformance, listener: TcpListener) -> io::Result<Running>;
}

/// Every adapter that the suite knows.
pub fn all() -> Vec<&'static dyn Harness> {
    vec![&adapters::axum::AxumHarness, &adapters::hyper::HyperHarness]
}

/// A server that runs until this is dropped.
pub struct Running {
    address: SocketAddr,
    stop: Option<Box<dyn FnOnce() + Send>>,
}

impl Running {
    /// A server on an address, with what stops it.
    pub fn new(address: SocketAddr, stop: impl FnOnce() + Send + 'static) -> Running {
        Running { address, stop: Some(Box::new(stop)) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop();
        }
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}
