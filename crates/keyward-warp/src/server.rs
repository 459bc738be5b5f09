//! A server for guarded routes, built and run like warp's own.

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use http::Request;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use keyward::{Guard, Peer};
use tokio::net::TcpListener;
use tokio::time::sleep;
use warp::{Filter, Rejection, Reply};

use crate::accept::Accept;
use crate::admin::Beside;

/// A connection has so long to make a request. hyper begins to count only when it knows which HTTP is spoken, and in HTTP/2 not
/// even then: a client that says nothing, or nothing but a preface, would stay for ever, and so would a server that is to end.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// A client of HTTP/2 that is silent for so long is asked whether it is there.
const PING_AFTER: Duration = Duration::from_secs(30);

/// It has so long to say that it is.
const PONG_WITHIN: Duration = Duration::from_secs(20);

/// Serves routes behind a guard: what `warp::serve` is without one.
///
/// The guard is around all of them, and around warp's own answers to wrong paths and methods. HTTP/1.1, HTTP/2 and WebSockets are
/// served; each request carries the address of its connection's other end.
///
/// Connections are given up that make no request within 30 seconds, that take as long for a head of HTTP/1, and in HTTP/2 those
/// whose client answers no ping. Requests that a handler has, bodies and WebSockets are not bounded: that is the routes' part.
///
/// ```no_run
/// use keyward::Guard;
/// use warp::Filter;
///
/// # async fn serve(guard: Guard) {
/// let routes = warp::path!("reports").and(warp::get()).map(|| "reports");
/// keyward_warp::serve(guard, routes).run(([127, 0, 0, 1], 8080)).await;
/// # }
/// ```
pub fn serve<F>(guard: Guard, routes: F) -> Server<F>
where
    F: Filter + Send + Sync + 'static,
    F::Extract: Reply,
    F::Error: Into<Rejection>,
{
    Server { guard, routes, beside: Beside::default(), listener: Unbound, shutdown: Never }
}

/// Guarded routes, and where they are to be served. Made by [`serve`].
#[must_use = "a server does nothing until it is run"]
pub struct Server<F, L = Unbound, S = Never> {
    guard: Guard,
    routes: F,
    pub(crate) beside: Beside,
    listener: L,
    shutdown: S,
}

/// A server that listens nowhere yet.
#[derive(Debug)]
#[non_exhaustive]
pub struct Unbound;

/// A server that is not told to end.
#[derive(Debug)]
#[non_exhaustive]
pub struct Never;

/// What ends a server gracefully.
#[derive(Debug)]
pub struct Graceful<S>(S);

impl<F> Server<F>
where
    F: Filter + Send + Sync + 'static,
    F::Extract: Reply,
    F::Error: Into<Rejection>,
{
    /// Binds an address and serves, for ever.
    ///
    /// # Panics
    /// As [`Server::bind`].
    pub async fn run(self, address: impl Into<SocketAddr>) {
        self.bind(address).await.run().await;
    }

    /// Binds an address.
    ///
    /// # Panics
    /// If the address cannot be bound, as warp's own server does. To handle that, bind a listener and give it to
    /// [`Server::incoming`].
    pub async fn bind(self, address: impl Into<SocketAddr>) -> Server<F, TcpListener> {
        let address = address.into();
        match TcpListener::bind(address).await {
            Ok(listener) => self.incoming(listener),
            Err(error) => panic!("cannot listen on {address}: {error}"),
        }
    }

    /// Takes connections from a listener of Tokio's: `TcpListener`, and on Unix `UnixListener`, whose clients have no address.
    pub fn incoming<L: Accept>(self, listener: L) -> Server<F, L> {
        Server { guard: self.guard, routes: self.routes, beside: self.beside, listener, shutdown: Never }
    }
}

impl<F, L> Server<F, L>
where
    F: Filter + Send + Sync + 'static,
    F::Extract: Reply,
    F::Error: Into<Rejection>,
    L: Accept,
{
    /// Ends when the signal comes: no connection is taken any more, and requests that are under way are answered first. WebSockets
    /// are not waited for. A client that never ends its body, or never reads its answer, is: who cannot wait for it bounds the time
    /// of what this returns.
    ///
    /// ```no_run
    /// # use warp::Filter;
    /// # async fn serve(guard: keyward::Guard, listener: tokio::net::TcpListener, signal: impl Future<Output = ()> + Send + 'static) {
    /// let routes = warp::path!("reports").and(warp::get()).map(|| "reports");
    /// keyward_warp::serve(guard, routes).incoming(listener).graceful(signal).run().await;
    /// # }
    /// ```
    pub fn graceful<S: Future<Output = ()> + Send + 'static>(self, signal: S) -> Server<F, L, Graceful<S>> {
        let Self { guard, routes, beside, listener, shutdown: _ } = self;
        Server { guard, routes, beside, listener, shutdown: Graceful(signal) }
    }

    /// Serves, for ever.
    pub async fn run(self) {
        self.graceful(pending()).run().await;
    }
}

impl<F, L, S> Server<F, L, Graceful<S>>
where
    F: Filter + Send + Sync + 'static,
    F::Extract: Reply,
    F::Error: Into<Rejection>,
    L: Accept,
    S: Future<Output = ()> + Send + 'static,
{
    /// Serves until the signal, and then until the last request is answered.
    pub async fn run(self) {
        let Self { guard, routes, beside, mut listener, shutdown: Graceful(signal) } = self;
        let service = TowerToHyperService::new(beside.around(crate::service::<F, Incoming>(guard, routes)));
        let connections = GracefulShutdown::new();
        let mut signal = pin!(signal);
        loop {
            let (stream, peer) = match select(pin!(listener.accept()), &mut signal).await {
                Either::Left((Ok(accepted), _)) => accepted,
                Either::Left((Err(error), _)) => {
                    pause_after(&error).await;
                    continue;
                }
                Either::Right(((), _)) => break,
            };
            let service = service.clone();
            let asked = Arc::new(AtomicBool::new(false));
            let has_asked = asked.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                asked.store(true, Ordering::Relaxed);
                if let Some(peer) = peer {
                    request.extensions_mut().insert(Peer(peer));
                }
                service.call(request)
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            // With a timer, hyper bounds the time that each head of HTTP/1 may take. warp's own server gives it none.
            builder.http1().timer(TokioTimer::new());
            // HTTP/2 has no such bound, but pings: a client that answers none is gone.
            builder.http2().timer(TokioTimer::new()).keep_alive_interval(PING_AFTER).keep_alive_timeout(PONG_WITHIN);
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            let connection = connections.watch(connection);
            tokio::spawn(async move {
                let ended = match select(pin!(connection), pin!(sleep(FIRST_REQUEST_WITHIN))).await {
                    Either::Left((ended, _)) => ended,
                    Either::Right(((), connection)) if has_asked.load(Ordering::Relaxed) => connection.await,
                    Either::Right(_) => return,
                };
                if let Err(error) = ended {
                    // Mostly clients that broke off.
                    tracing::debug!(target: "keyward", error, "a connection ended with an error");
                }
            });
        }
        drop(listener);
        connections.shutdown().await;
    }
}

/// A listener that has run out of file descriptors fails again at once: waiting gives connections time to end.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(target: "keyward", %error, "no connection can be taken");
        sleep(Duration::from_secs(1)).await;
    }
}

impl<F, L, S> fmt::Debug for Server<F, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("guard", &self.guard).finish_non_exhaustive()
    }
}
