//! temp
use std::{convert::Infallible, io, net::{SocketAddr, TcpListener}, process::ExitCode, sync::LazyLock, time::Duration};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::{Body as _, Incoming}, service::service_fn};
use hyper_util::{rt::{TokioExecutor, TokioIo}, server::conn::auto};
use keyward::{Decision, Pass, Peer};
use keyward_behaviour::{conformance::{Conformance, Seen}, harness::{Harness, Running}, trials};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::{WebSocketStream, tungstenite::{Message, handshake::derive_accept_key, protocol::{CloseFrame, Role}}};

static FAULT: LazyLock<String> = LazyLock::new(|| std::env::var("FAULT").unwrap_or_default());
fn fault(name: &str) -> bool { *FAULT == name }

fn main() -> ExitCode { trials::main::<Planted>() }
struct Planted;
impl Harness for Planted {
    const NAME: &'static str = "planted";
    const NESTS: bool = false;
    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        Running::task(listener, async move |listener| {
            while let Ok((stream, peer)) = listener.accept().await {
                let conformance = conformance.clone();
                let service = service_fn(move |request| answer(conformance.clone(), peer, request));
                tokio::spawn(async move {
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await;
                });
            }
        })
    }
}

struct Lent { parts: http::request::Parts, has_body: bool }
impl keyward::Head for Lent {
    fn method(&self) -> &str { keyward::Head::method(&self.parts) }
    fn path(&self) -> &str { self.parts.uri.path() }
    fn query(&self) -> Option<&str> { self.parts.uri.query() }
    fn header<'a>(&'a self, which: keyward::Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) { self.parts.header(which, each); }
    fn peer(&self) -> Option<std::net::IpAddr> { self.parts.peer() }
    fn has_body(&self) -> bool { self.has_body }
    fn connection_identity(&self) -> Option<&str> { None }
}

async fn answer(conformance: Conformance, peer: SocketAddr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let Some(guard) = conformance.guard_for(request.uri().path()) else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    };
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Peer(peer.ip()));
    let version = parts.version;
    let head = Lent { parts, has_body: !body.is_end_stream() };
    let decision = guard.decide(&head).await;
    let mut request = Request::from_parts(head.parts, body);
    let pass = match decision {
        Decision::Allowed(pass) => pass,
        Decision::Denied(denial) => {
            if let Some(close) = denial.websocket_close() && version == http::Version::HTTP_11 && !(fault("some_kinds") && denial.kind() == keyward::Kind::Limited) {
                let mut response = close.response().map(|()| Full::default());
                if fault("echo_protocol") && let Some(offer) = request.headers().get("sec-websocket-protocol") {
                    let first = offer.as_bytes().split(|b| *b == b',').next().unwrap();
                    if let Ok(v) = header::HeaderValue::from_bytes(first.trim_ascii()) { response.headers_mut().insert("sec-websocket-protocol", v); }
                }
                if fault("cache_control") { response.headers_mut().insert("cache-control", header::HeaderValue::from_static("no-store")); }
                if fault("no_request_id") { response.headers_mut().remove("x-request-id"); }
                let mut frame = close.frame().to_vec();
                if fault("other_code") { frame[2..4].copy_from_slice(&1000u16.to_be_bytes()); }
                if fault("twice") { let f = frame.clone(); frame.extend(f); }
                if fault("no_frame") { frame.clear(); }
                if fault("text_first") { frame.splice(0..0, *b"\x81\x02hi"); }
                let upgraded = hyper::upgrade::on(&mut request);
                let conformance = conformance.clone();
                tokio::spawn(async move {
                    let Ok(upgraded) = upgraded.await else { return };
                    let mut stream = TokioIo::new(upgraded);
                    if fault("handler_sees_frame") {
                        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
                        if let Some(Ok(message)) = socket.next().await { let _ = socket.send(message).await; }
                        let _ = socket.get_mut().write_all(&frame).await;
                        let _ = socket.get_mut().flush().await;
                        return;
                    }
                    let _ = &conformance;
                    let _ = stream.write_all(&frame).await;
                    let _ = stream.flush().await;
                    if fault("does_not_read") { return; }
                    let mut sink = [0; 1024];
                    let _ = tokio::time::timeout(Duration::from_secs(1), async { while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {} }).await;
                });
                return Ok(response);
            }
            return Ok(denial.into_response().map(Full::new));
        }
    };
    let strip = guard.strip();
    if !fault("not_stripped_ws") || !request.uri().path().starts_with("/ws/") {
        if let Some(uri) = strip.uri(request.uri()) { *request.uri_mut() = uri; }
        strip.headers(request.headers_mut());
    }
    request.extensions_mut().insert(pass.clone());
    let is_head = request.method() == Method::HEAD;
    let mut response = handler(&conformance, &pass, request).await;
    pass.headers().apply(response.headers_mut());
    if is_head { *response.body_mut() = Full::default(); }
    Ok(response)
}

async fn handler(conformance: &Conformance, pass: &Pass, mut request: Request<Incoming>) -> Response<Full<Bytes>> {
    let seen = Seen::of(&request);
    if seen.path == "/auth/token" && request.method() == Method::POST { return pass.ticket(&seen.path).await.map(Full::from); }
    if !seen.path.starts_with("/ws/") { return conformance.answer(pass, seen).map(Full::from); }
    let mut response = Response::new(Full::default());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        return response;
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key.as_bytes()).parse().unwrap();
    let chosen = seen.subprotocol().and_then(|chosen| chosen.parse().ok());
    let first = conformance.told(pass, seen);
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, header::HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(chosen) = chosen { headers.insert(header::SEC_WEBSOCKET_PROTOCOL, chosen); }
    let (upgraded, mut live) = (hyper::upgrade::on(&mut request), pass.live_socket());
    if fault("leaks_place") { std::mem::forget(pass.live_socket()); }
    let pass = pass.clone();
    tokio::spawn(async move {
        if !fault("no_sweeper") && let Some(mut sweeper) = live.sweeper() {
            let interval = if fault("slow") { Duration::from_millis(2500) } else { keyward::Sweeper::INTERVAL };
            let once = fault("sweeps_once");
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(interval).await;
                    if tokio::time::timeout(Duration::from_millis(500), sweeper.sweep()).await == Ok(false) { break; }
                    if once { std::mem::forget(sweeper); break; }
                }
            });
        }
        let Ok(upgraded) = upgraded.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        if fault("drops_live") { drop(live); live = { std::future::pending::<()>; pass.live_socket() }; }
        let echo = async {
            let mut next = Message::text(first);
            while socket.send(next).await.is_ok() {
                next = match socket.next().await {
                    Some(Ok(message)) if message.is_text() || message.is_binary() => message,
                    _ => return,
                };
            }
        };
        let ended = tokio::select! { end = live.ended(), if !fault("never_closes") => Some(end), () = echo => None };
        if let Some(end) = ended {
            if fault("ends_without_frame") { return; }
            let code = if fault("live_code") { 1000 } else { end.code() };
            let _ = socket.send(Message::Close(Some(CloseFrame { code: code.into(), reason: end.reason().into() }))).await;
            if fault("never_hangs_up") { std::future::pending::<()>().await; }
            let _ = tokio::time::timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = socket.next().await {} }).await;
        }
        if fault("counts_for_ever") { std::mem::forget(live); }
    });
    response
}
