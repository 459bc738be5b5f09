//! Plain hyper, by `keyward-tower`: HTTP/1.1 and HTTP/2 on one port.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use keyward::{Guard, Peer};
use tokio::time::timeout;
use tower::{ServiceBuilder, service_fn};

use crate::answers::{ALLOWED, BY_COOKIE, BY_HEADER, BY_QUERY, DATA, JSON, METHOD_NOT_ALLOWED, NOT_FOUND};

/// The longest life of a connection. Nothing here takes long, so that it cuts only those that no timer of hyper's does: a client
/// that says nothing, or a preface of HTTP/2 and no more.
const LIFE: Duration = Duration::from_secs(300);

pub(crate) async fn serve(guard: Guard, listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Clients that are gone already, or no file descriptor left: others come.
                tracing::warn!(%error, "no connection can be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(Peer(peer.ip()));
                request
            })
            .layer(keyward_tower::guard(guard.clone()))
            .service(service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(answer(&request))));
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            // With a timer, hyper bounds the time that a head of HTTP/1 may take.
            server.http1().timer(TokioTimer::new());
            let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
            if let Ok(Err(error)) = timeout(LIFE, connection).await {
                tracing::debug!(error, "a connection ended with an error");
            }
        });
    }
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let is_known = [BY_HEADER, BY_COOKIE, BY_QUERY].contains(&request.uri().path());
    let (status, text) = match (is_known, request.method()) {
        (true, &Method::GET | &Method::HEAD) => (StatusCode::OK, DATA),
        (true, _) => (StatusCode::METHOD_NOT_ALLOWED, METHOD_NOT_ALLOWED),
        (false, _) => (StatusCode::NOT_FOUND, NOT_FOUND),
    };
    // hyper leaves the body of an answer to HEAD out in HTTP/1 alone.
    let body = if request.method() == Method::HEAD { Full::default() } else { Full::from(text) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
    headers.insert(header::CONTENT_LENGTH, text.len().into());
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static(ALLOWED));
    }
    response
}
