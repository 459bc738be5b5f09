//! Plain hyper, behind the tower layer.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use keyward::{Pass, Peer};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use tower::{Layer as _, ServiceExt as _};

use crate::{
    conformance::{Conformance, Seen},
    demands::own_cache_control,
    harness::{Harness, Running},
};

/// Serves with hyper and `keyward-tower`.
#[derive(Clone, Copy, Debug)]
pub struct HyperHarness;

impl Harness for HyperHarness {
    fn name(&self) -> &'static str {
        "hyper"
    }

    fn start(&self, conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let serving = tokio::spawn(async move {
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
        });
        Ok(Running::new(address, move || serving.abort()))
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
    let handler = tower::service_fn(move |request| answer(conformance.clone(), request));
    let response = keyward_tower::guard(guard).layer(handler).oneshot(request).await?;
    Ok(response.map(BodyExt::boxed))
}

async fn answer(conformance: Conformance, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let pass = request.extensions().get::<Pass>().expect("the layer lets nothing through without a pass").clone();
    let seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
    };
    // hyper takes the body of an answer to HEAD away in HTTP/1 only.
    let is_head = request.method() == Method::HEAD;
    let is_socket = seen.path.starts_with("/ws/");
    let own_cache_control = own_cache_control(&seen.path);
    let text = conformance.answer(&pass, seen).to_string();
    if is_socket {
        return Ok(upgrade(&mut request, text));
    }
    let mut response = Response::new(if is_head { Full::default() } else { Full::from(text) });
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Some(own) = own_cache_control {
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static(own));
    }
    Ok(response)
}

fn upgrade(request: &mut Request<Incoming>, first: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key.as_bytes()).parse().expect("an accept key is base64");
    let offered = request.headers().get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
    let chosen = offered.and_then(|offered| offered.split(',').next()).and_then(|first| first.trim().parse().ok());
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = chosen {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        if socket.send(Message::text(first)).await.is_err() {
            return;
        }
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                return;
            }
        }
    });
    response
}
