//! Connections: taken, served, and brought to an end.
//!
//! HTTP/1.1 alone: it is what proxies speak to a forward-auth server. Not `axum::serve`, which gives a client all the time in the
//! world to send its headers, and takes as many connections as there are: an outsider who opens them by the thousand would leave no
//! file descriptor for the database. Here each has a place of which there are so many. Where none is free, one more connection is
//! taken and waits for it, the others wait in the system's queue.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keyward::Peer;
use tokio::net::{TcpListener, TcpStream};
use tower_service::Service;

use super::places::{Place, Places};
use super::shutdown::Signals;
use super::stalled::UntilStalled;

/// Also for the head of the next request on a connection that has been served.
const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// For all that was answered and not read yet, so that reading byte by byte gains no time.
const READS_WITHIN: Duration = Duration::from_secs(30);
/// For one connection's unread bytes. The buffer grows in steps, so that a head that is a little longer may still fit; one that
/// does not is 431.
const LARGEST_BUFFER: usize = 64 * 1024;
/// Requests that are being answered when the program is asked to stop have this long to end.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Files that are no connections: databases, logs, the runtime's own. PostgreSQL's pool takes the most.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;
/// How often it is told that there is no room. Once would be forgotten, and each time would fill the log.
const FULL_TOLD_EVERY: Duration = Duration::from_secs(60);

/// How many of the connections that were asked for there can be: each is an open file, of which a process may have so many.
#[cfg(unix)]
pub(super) fn within_open_files(wanted: usize) -> usize {
    let Some(files) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else { return wanted };
    let room = usize::try_from(room_in(files)).unwrap_or(usize::MAX);
    if wanted <= room {
        return wanted;
    }
    tracing::warn!(
        "at most {room} connections at once: of {files} files that this process may have open, the others are kept for the database and the like; raise it with `ulimit -n`, or `LimitNOFILE=` of systemd"
    );
    room
}

#[cfg(not(unix))]
pub(super) fn within_open_files(wanted: usize) -> usize {
    wanted
}

/// Half of few, and never none.
#[cfg(unix)]
fn room_in(files: u64) -> u64 {
    files.saturating_sub(OTHER_FILES).max(files / 2).max(1)
}

/// Serves until the first signal; the second one ends what is still going on. No more connections are taken at once than there are
/// places.
pub(super) async fn serve(listener: TcpListener, router: Router, places: Arc<Places>, signals: &mut Signals) {
    let mut told_full = None;
    loop {
        let accepted = tokio::select! {
            () = signals.next() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                refused(&error).await;
                continue;
            }
        };
        let place = tokio::select! {
            () = signals.next() => break,
            place = place(&places, &mut told_full) => place,
        };
        connection(stream, peer, router.clone(), place);
    }
    drop(listener);
    tracing::info!("stopping");
    tokio::select! {
        () = places.close() => {}
        () = tokio::time::sleep(LAST_ANSWERS) => tracing::warn!("some requests were not answered in time"),
        () = signals.next() => tracing::warn!("stopped before every request was answered"),
    }
}

async fn place(places: &Arc<Places>, told_full: &mut Option<Instant>) -> Place {
    if let Some(place) = places.free() {
        return place;
    }
    if told_full.is_none_or(|told| told.elapsed() >= FULL_TOLD_EVERY) {
        let most = places.most();
        tracing::warn!(
            "the bound of {most} connections at once is reached, and connections are closed for others that wait; `--max-connections` sets it"
        );
        *told_full = Some(Instant::now());
    }
    places.wait().await
}

fn connection(stream: TcpStream, peer: SocketAddr, router: Router, place: Place) {
    let watch = place.watch();
    let service = service_fn(move |mut request: http::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        let (deciding, answer) = (watch.deciding(), router.clone().call(request));
        async move {
            let answer = answer.await;
            drop(deciding);
            answer
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(LARGEST_BUFFER);
    let served = server.serve_connection(TokioIo::new(UntilStalled::new(stream, READS_WITHIN)), service);
    tokio::spawn(async move {
        let mut served = pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => Some(ended),
            () = place.told() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                served.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = served => ended,
                    () = place.given_up() => {
                        tracing::debug!(%peer, "a connection was closed for others that wait");
                        Ok(())
                    }
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a connection ended early");
        }
        drop(place);
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_no_connections() {
        for (files, room) in [(0, 1), (1, 1), (10, 5), (128, 64), (129, 65), (1_024, 960), (u64::MAX, u64::MAX - 64)] {
            assert_eq!(room_in(files), room, "{files}");
        }
    }
}
