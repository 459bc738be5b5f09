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
        ws::{Message, WebSocketUpgrade},
    },
    response::{IntoResponse as _, Response},
    routing::{any, get, post},
};
use http::StatusCode;
use keyward::{Guard, Pass};
use keyward_admin::Admin;
use keyward_axum::{Authenticated, HeldSocket, LiveSocket};
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    conformance::{Conformance, Seen},
    harness::{Harness, Running, StartRouter},
};

/// Serves with axum and `keyward-axum`.
pub(super) struct AxumHarness;

impl Harness for AxumHarness {
    const NAME: &'static str = "axum";
    const ROUTER: Option<StartRouter> = Some(route);

    fn start(conformance: Conformance, listener: TcpListener) -> io::Result<Running> {
        let routes = Router::new()
            .route("/ws/{*rest}", any(socket))
            .route("/auth/token", post(keyward_axum::ticket).fallback(answer))
            .fallback(answer)
            .with_state(conformance.clone());
        let guarded = service_fn(move |request: Request| {
            let (guard, within) = (conformance.guard_for(request.uri().path()), conformance.guard_within(request.uri().path()));
            let routes = routes.clone();
            let routes = match within {
                Some(within) => routes.layer(keyward_axum::guard(within)),
                None => routes,
            };
            async move {
                Ok::<_, Infallible>(match guard {
                    Some(guard) => keyward_axum::guard(guard).layer(routes).oneshot(request).await?.map(Body::new),
                    None => StatusCode::NOT_FOUND.into_response(),
                })
            }
        });
        let guarded = guarded.into_make_service_with_connect_info::<SocketAddr>();
        Running::task(listener, async move |listener| axum::serve(listener, guarded).await)
    }
}

async fn answer(State(conformance): State<Conformance>, Extension(pass): Extension<Pass>, request: Request) -> Response {
    conformance.answer(&pass, Seen::of(&request)).map(Body::from)
}

async fn socket(
    State(conformance): State<Conformance>,
    Extension(pass): Extension<Pass>,
    live: LiveSocket,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let seen = Seen::of(&request);
    let chosen = seen.subprotocol();
    let first = conformance.told(&pass, seen);
    upgrade.protocols(chosen).on_upgrade(|socket| live.run(socket, |socket| echo(socket, first)))
}

async fn echo(mut socket: HeldSocket, first: String) {
    let mut next = Message::text(first);
    while socket.send(next).await.is_ok() {
        next = match socket.recv().await {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
            _ => return,
        };
    }
}

fn route(guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let api = Router::new().route("/reports", any(|| async { "reports" })).route("/reports/{id}", any(|| async { "report" }));
    let routes = Router::new()
        .nest("/api", api)
        .route("/healthz", get(|| async { "healthz" }))
        .route("/docs/{*rest}", any(|| async { "docs" }));
    let nested = Router::new().route("/reports", any(|| async { "nested" })).layer(keyward_axum::guard(guard.clone()));
    let app = Router::new().nest("/nested", nested).fallback_service(keyward_axum::guarded(routes, guard));
    let guarded = app.into_make_service_with_connect_info::<SocketAddr>();
    Running::task(listener, async move |listener| axum::serve(listener, guarded).await)
}

pub(super) fn mount(admin: Admin, guard: Guard, listener: TcpListener) -> io::Result<Running> {
    let routes = Router::new().route("/reports", get(async |who: Authenticated| who.name().to_owned()));
    let app = keyward_axum::guarded(routes, guard).merge(keyward_axum::admin(admin));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Running::task(listener, async move |listener| axum::serve(listener, app).await)
}
