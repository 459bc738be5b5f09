//! axum, behind its own layer.

use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
};

use axum::{
    Extension, Router, ServiceExt as _,
    body::Body,
    extract::{
        Request, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse as _, Json, Response},
    routing::any,
};
use http::StatusCode;
use keyward::Pass;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    conformance::{Conformance, Seen},
    demands::own_cache_control,
    harness::{Harness, Running},
};

/// Serves with axum and `keyward-axum`.
#[derive(Clone, Copy, Debug)]
pub struct AxumHarness;

impl Harness for AxumHarness {
    fn name(&self) -> &'static str {
        "axum"
    }

    fn start(&self, conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let routes = Router::new().route("/ws/{*rest}", any(socket)).fallback(answer).with_state(conformance.clone());
        let guarded = service_fn(move |request: Request| {
            let guard = conformance.guard_for(request.uri().path());
            let routes = routes.clone();
            async move {
                Ok::<_, Infallible>(match guard {
                    Some(guard) => keyward_axum::guard(guard).layer(routes).oneshot(request).await?.map(Body::new),
                    None => StatusCode::NOT_FOUND.into_response(),
                })
            }
        });
        let serving =
            tokio::spawn(async move { axum::serve(listener, guarded.into_make_service_with_connect_info::<SocketAddr>()).await });
        Ok(Running::new(address, move || serving.abort()))
    }
}

async fn answer(State(conformance): State<Conformance>, Extension(pass): Extension<Pass>, request: Request) -> Response {
    let own = own_cache_control(request.uri().path()).map(|own| [(http::header::CACHE_CONTROL, own)]);
    (own, Json(conformance.answer(&pass, seen(&request)))).into_response()
}

async fn socket(
    State(conformance): State<Conformance>,
    Extension(pass): Extension<Pass>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let first = conformance.answer(&pass, seen(&request)).to_string();
    let offered = request.headers().get(http::header::SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
    let chosen = offered.and_then(|offered| offered.split(',').next()).map(|first| first.trim().to_owned());
    upgrade.protocols(chosen).on_upgrade(move |socket| echo(socket, first))
}

async fn echo(mut socket: WebSocket, first: String) {
    if socket.send(Message::text(first)).await.is_err() {
        return;
    }
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Text(_) | Message::Binary(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

fn seen(request: &Request) -> Seen {
    Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
    }
}
