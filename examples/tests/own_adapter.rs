//! The whole behaviour suite, against the adapter of the `core-hyper` example.

#[path = "../src/bin/core-hyper/adapter.rs"]
mod adapter;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use keyward::Pass;
use keyward_behaviour::conformance::{Conformance, Seen};
use keyward_behaviour::harness::{Harness, Running};
use keyward_behaviour::trials;

fn main() -> ExitCode {
    trials::main::<CoreHyper>()
}

struct CoreHyper;

impl Harness for CoreHyper {
    const NAME: &'static str = "core-hyper";
    const WEBSOCKETS: bool = false;
    const NESTS: bool = false;

    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        Running::task(listener, async move |listener| {
            while let Ok((stream, peer)) = listener.accept().await {
                let conformance = conformance.clone();
                let service = service_fn(move |request| answer(conformance.clone(), peer, request));
                tokio::spawn(async move {
                    // A client that breaks off is no fault of the server.
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        })
    }
}

async fn answer(
    conformance: Conformance,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let Some(guard) = conformance.guard_for(request.uri().path()) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let handler = async move |request: Request<Incoming>| match request.extensions().get::<Pass>() {
        Some(pass) => conformance.answer(pass, Seen::of(&request)).map(Full::from),
        None => unreachable!("the adapter lets nothing through without a pass"),
    };
    Ok(adapter::guarded(&guard, peer.ip(), request, handler).await)
}
