//! Connections: taken, served, and brought to an end.
//!
//! HTTP/1.1 alone: it is what proxies speak to a forward-auth server. Not `axum::serve`, which gives a client all the time in the
//! world to send its headers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use keyward::Peer;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use super::shutdown::Signals;

const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// For one connection's unread bytes. The buffer grows in steps, so that a head that is a little longer may still fit; one that
/// does not is 431.
const LARGEST_BUFFER: usize = 64 * 1024;
/// Requests that are being answered when the program is asked to stop have this long to end.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Serves until the first signal; the second one ends what is still going on.
pub(super) async fn serve(listener: TcpListener, router: Router, signals: &mut Signals) {
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            () = signals.next() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => connection(stream, peer, router.clone(), connections.watcher()),
                Err(error) => refused(&error).await,
            },
        }
    }
    drop(listener);
    tracing::info!("stopping");
    tokio::select! {
        () = connections.shutdown() => {}
        () = tokio::time::sleep(LAST_ANSWERS) => tracing::warn!("some requests were not answered in time"),
        () = signals.next() => tracing::warn!("stopped before every request was answered"),
    }
}

fn connection(stream: TcpStream, peer: SocketAddr, router: Router, watcher: Watcher) {
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        router.clone().call(request)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(LARGEST_BUFFER);
    let served = watcher.watch(server.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
    });
}

/// A client that left before it was served is nobody's problem. Everything else, like too many open files, gets better by
/// waiting and worse by trying again at once.
async fn refused(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::error!(%error, "cannot take connections");
    tokio::time::sleep(Duration::from_secs(1)).await;
}
