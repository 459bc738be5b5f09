//! What an adapter brings to the suite: a way to serve a guard with its framework. Nothing else of the suite is its to choose.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener},
};

use keyward::Guard;

use crate::{conformance::Conformance, model::request::ModelRequest};

/// A framework that serves the conformance server's paths.
///
/// What a framework can do is said in constants, so that no run decides by itself to leave something out.
pub trait Harness: 'static {
    /// The name on the command line and in the suite's output.
    const NAME: &'static str;

    /// Whether it speaks HTTP/2 with prior knowledge on the same port.
    const HTTP2: bool = true;

    /// Whether it opens WebSockets on `/ws/…`. A server that hands over no connection cannot close a denied handshake either: one
    /// that says `false` answers it with the denial (R12.1), and needs no tickets.
    const WEBSOCKETS: bool = true;

    /// Whether WebSockets end when the key that opened them does, and count against `connections_per_key` until they end.
    const LIVE_SOCKETS: bool = true;

    /// Which requests may be sent before the answer to the one before them has come.
    const PIPELINED: fn(&ModelRequest) -> bool = |_| true;

    /// Serves the routes of [`crate::targets`] with the framework's own router; `None` where there is none.
    const ROUTER: Option<StartRouter> = None;

    /// Whether a guard can stand within another; an adapter without layers of layers says `false`.
    const NESTS: bool = true;

    /// Serves [`Conformance::answer`] on any path, behind [`Conformance::guard_for`] that path (as it was sent, in any form of
    /// target) and, within that, [`Conformance::guard_within`]; WebSockets on `/ws/…` that send [`Conformance::told`] as their first
    /// message and echo what follows; and, where there are WebSockets, what [`Pass::ticket`](keyward::Pass::ticket) answers to
    /// `POST /auth/token`.
    ///
    /// Called within a Tokio runtime. The listener is bound and does not block.
    ///
    /// # Errors
    /// If the framework cannot use the listener.
    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running>;
}

/// Starts a server whose routes are behind this guard.
pub type StartRouter = fn(Guard, TcpListener) -> io::Result<Running>;

/// A harness as a value, for lists of several.
#[derive(Clone, Copy)]
pub struct Adapter {
    /// See [`Harness::NAME`].
    pub name: &'static str,
    /// See [`Harness::HTTP2`].
    pub http2: bool,
    /// See [`Harness::WEBSOCKETS`].
    pub websockets: bool,
    /// See [`Harness::LIVE_SOCKETS`].
    pub live_sockets: bool,
    /// See [`Harness::NESTS`].
    pub nests: bool,
    /// See [`Harness::PIPELINED`].
    pub pipelined: fn(&ModelRequest) -> bool,
    /// See [`Harness::ROUTER`].
    pub router: Option<StartRouter>,
    /// See [`Harness::start`].
    pub start: fn(Conformance, TcpListener) -> io::Result<Running>,
}

impl Adapter {
    /// The value of a harness.
    pub const fn of<H: Harness>() -> Adapter {
        Adapter {
            name: H::NAME,
            http2: H::HTTP2,
            websockets: H::WEBSOCKETS,
            live_sockets: H::WEBSOCKETS && H::LIVE_SOCKETS,
            nests: H::NESTS,
            pipelined: H::PIPELINED,
            router: H::ROUTER,
            start: H::start,
        }
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
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

    /// A server that is a task of the Tokio runtime.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn task<Serving>(listener: TcpListener, serve: impl FnOnce(tokio::net::TcpListener) -> Serving) -> io::Result<Running>
    where
        Serving: Future<Output: Send> + Send + 'static,
    {
        let address = listener.local_addr()?;
        let serving = tokio::spawn(serve(tokio::net::TcpListener::from_std(listener)?));
        Ok(Running::new(address, move || serving.abort()))
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
