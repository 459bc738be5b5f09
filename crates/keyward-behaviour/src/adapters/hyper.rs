//! Plain hyper, behind the tower layer.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn, upgrade::Upgraded};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use keyward::{Guard, Pass, Peer, SocketEnd};
use keyward_admin::Admin;
use keyward_tower::live::{self, HeldSocket};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role},
    },
};
use tower::{Layer as _, ServiceExt as _};

use crate::{
    conformance::{Conformance, Seen},
    harness::{Harness, Running},
};

/// Serves with hyper and `keyward-tower`.
pub(super) struct HyperHarness;

impl Harness for HyperHarness {
    const NAME: &'static str = "hyper";

    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        Running::task(listener, async move |listener| {
            while let Ok((stream, peer)) = listener.accept().await {
                let conformance = conformance.clone();
                let service = service_fn(move |request| guarded(conformance.clone(), peer, request));
                tokio::spawn(async move {
                    // A client that breaks off is no fault of the server.
                    let _ = auto::Builder::new(TokioExecutor::new())
                        .serve_connection_with_upgrades(TokioIo::new(stream), service)
                        .await;
                });
            }
        })
    }
}

async fn guarded(
    conformance: Conformance,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    request.extensions_mut().insert(Peer(peer.ip()));
    let Some(guard) = conformance.guard_for(request.uri().path()) else {
        let mut response = Response::new(Full::default().boxed());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let within = conformance.guard_within(request.uri().path());
    let handler = tower::service_fn(move |request| answer(conformance.clone(), request));
    Ok(match within {
        None => keyward_tower::guard(guard).layer(handler).oneshot(request).await?.map(BodyExt::boxed),
        Some(within) => {
            let inner = keyward_tower::guard(within).layer(handler);
            keyward_tower::guard(guard).layer(inner).oneshot(request).await?.map(BodyExt::boxed)
        }
    })
}

async fn answer(conformance: Conformance, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let pass = request.extensions().get::<Pass>().expect("the layer lets nothing through without a pass").clone();
    let seen = Seen::of(&request);
    if seen.path.starts_with("/ws/") {
        return Ok(upgrade(&mut request, &conformance, &pass, seen));
    }
    if seen.path == "/auth/token" && request.method() == Method::POST {
        return Ok(pass.ticket(&seen.path).await.map(Full::from));
    }
    Ok(conformance.answer(&pass, seen).map(Full::from))
}

fn upgrade(request: &mut Request<Incoming>, conformance: &Conformance, pass: &Pass, seen: Seen) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key.as_bytes()).parse().expect("an accept key is base64");
    let chosen = seen.subprotocol().and_then(|chosen| chosen.parse().ok());
    let first = conformance.told(pass, seen);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = chosen {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    let (upgraded, live) = (hyper::upgrade::on(request), pass.live_socket());
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        live::run(live, socket, close, |socket| echo(socket, first)).await;
    });
    response
}

async fn echo(mut socket: HeldSocket<WebSocketStream<TokioIo<Upgraded>>>, first: String) {
    let mut next = Message::text(first);
    while socket.send(next).await.is_ok() {
        next = match socket.recv().await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => message,
            _ => return,
        };
    }
}

fn close(end: SocketEnd) -> Message {
    Message::Close(Some(CloseFrame { code: end.code().into(), reason: end.reason().into() }))
}

pub(super) fn mount(admin: Admin, guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let reports = tower::service_fn(async |request: Request<Incoming>| {
        let who = request.extensions().get::<Pass>().and_then(Pass::principal);
        Ok::<_, Infallible>(Response::new(Full::from(who.map(|who| who.name().to_owned()).unwrap_or_default())))
    });
    let service = keyward_tower::admin(admin).layer(keyward_tower::guard(guard).layer(reports));
    Running::task(listener, async move |listener| {
        while let Ok((stream, peer)) = listener.accept().await {
            let service = service.clone();
            let service = service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer.ip()));
                service.clone().oneshot(request)
            });
            tokio::spawn(async move {
                // A client that breaks off is no fault of the server.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}
