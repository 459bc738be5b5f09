//! warp, behind `keyward-warp`.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::{SocketAddr, TcpListener},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header::SEC_WEBSOCKET_PROTOCOL};
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use keyward::{Guard, Pass, Peer};
use keyward_admin::Admin;
use keyward_warp::{Authenticated, HeldSocket, LiveSocket, live_socket};
use tower::ServiceExt as _;
use warp::{
    Filter, Rejection, Reply,
    filters::BoxedFilter,
    path::FullPath,
    ws::{Message, Ws},
};

use crate::{
    conformance::{Conformance, Seen},
    harness::{Harness, Running, StartRouter},
};

/// Serves with warp and `keyward-warp`.
pub(super) struct WarpHarness;

impl Harness for WarpHarness {
    const NAME: &'static str = "warp";
    const ROUTER: Option<StartRouter> = Some(route);

    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        let routes = routes(conformance.clone()).boxed();
        // One server has one guard; here each path has its own, and so each request its own service.
        Running::task(listener, async move |listener| {
            while let Ok((stream, peer)) = listener.accept().await {
                let (conformance, routes) = (conformance.clone(), routes.clone());
                let service = service_fn(move |request| guarded(conformance.clone(), routes.clone(), peer, request));
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
    routes: BoxedFilter<(impl Reply + 'static,)>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Box<dyn Error + Send + Sync>>>, Infallible> {
    request.extensions_mut().insert(Peer(peer.ip()));
    let path = request.uri().path();
    let (Some(guard), within) = (conformance.guard_for(path), conformance.guard_within(path)) else {
        let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed());
        *answer.status_mut() = StatusCode::NOT_FOUND;
        return Ok(answer);
    };
    Ok(match within {
        None => keyward_warp::service(guard, routes).oneshot(request).await?.map(BodyExt::boxed),
        Some(within) => {
            let routes = keyward_warp::allowed_by(within).and(routes);
            keyward_warp::service(guard, routes).oneshot(request).await?.map(BodyExt::boxed)
        }
    })
}

fn routes(conformance: Conformance) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
    let query = warp::query::raw().map(Some).or(warp::any().map(|| None)).unify();
    let head = warp::method().and(warp::path::full()).and(query).and(warp::header::headers_cloned());
    let handshake = warp::ws().and(live_socket()).map(|ws, live| Some((live, ws))).or(warp::any().map(|| None)).unify();
    let pass = warp::ext::get::<Pass>();
    let others = pass.and(head.map(seen)).and(handshake).map(move |pass: Pass, seen: Seen, handshake| {
        if !seen.path.starts_with("/ws/") {
            return conformance.answer(&pass, seen).into_response();
        }
        let Some((live, handshake)): Option<(LiveSocket, Ws)> = handshake else {
            return StatusCode::UPGRADE_REQUIRED.into_response();
        };
        let chosen = seen.subprotocol();
        let first = conformance.told(&pass, seen);
        let answer = handshake.on_upgrade(|socket| live.run(socket, |socket| echo(socket, first)));
        match chosen {
            Some(chosen) => warp::reply::with_header(answer, SEC_WEBSOCKET_PROTOCOL, chosen).into_response(),
            None => answer.into_response(),
        }
    });
    // warp's own `path!` would take it with a `/` behind it, too.
    let is_token = warp::path::full().and_then(|path: FullPath| {
        std::future::ready(if path.as_str() == "/auth/token" { Ok(()) } else { Err(warp::reject::not_found()) })
    });
    is_token.untuple_one().and(warp::post()).and(keyward_warp::ticket()).or(others).unify()
}

async fn echo(mut socket: HeldSocket, first: String) {
    let mut next = Message::text(first);
    while socket.send(next).await.is_ok() {
        next = match socket.recv().await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => message,
            _ => return,
        };
    }
}

fn seen(method: Method, path: FullPath, query: Option<String>, headers: HeaderMap) -> Seen {
    Seen {
        method: method.to_string(),
        path: path.as_str().to_owned(),
        query,
        headers: headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
        copies: Vec::new(),
    }
}

fn route(guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let reports = warp::path!("api" / "reports").map(|| "reports");
    let report = warp::path!("api" / "reports" / String).map(|_| "report");
    let healthz = warp::path!("healthz").and(warp::get()).map(|| "healthz");
    let docs = warp::path("docs").and(warp::path::tail()).map(|_| "docs");
    let nested = warp::path!("nested" / "reports").map(|| "nested");
    let routes = reports.or(report).or(healthz).or(docs).or(nested);
    Running::task(listener, async move |listener| keyward_warp::serve(guard, routes).incoming(listener).run().await)
}

pub(super) fn mount(admin: Admin, guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let name = |who: Authenticated| who.name().to_owned();
    let routes = warp::path!("reports").and(warp::get()).and(keyward_warp::authenticated()).map(name);
    Running::task(listener, async move |listener| keyward_warp::serve(guard, routes).admin(admin).incoming(listener).run().await)
}
