//! The guard in axum's real router, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{OriginalUri, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use keyward::key::Record;
use keyward::store::{KeyStore, Presented};
use keyward::{Answer, Guard, Keys, MemoryStore, NewKey, Policy, scopes};
use keyward_axum::Authenticated;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const POLICY: &str = r#"
sources = [{ bearer = true }, { header = "X-API-Key" }, { query = "api_key" }]
[access]
open_paths = ["/healthz", "/docs/*"]
[[routes]]
path = "/api/reports/*"
methods = ["GET"]
scopes = ["reports:read"]
[[routes]]
path = "/optional"
optional = true
"#;

struct Service {
    address: SocketAddr,
    plain: String,
    reader: String,
}

async fn start(app: impl FnOnce(Guard) -> Router, store: impl FnOnce(MemoryStore) -> Arc<dyn KeyStore>) -> Service {
    let memory = MemoryStore::new();
    let keys = Keys::new(memory.clone());
    let plain = keys.create(NewKey::named("plain")).await.unwrap();
    let reader = keys.create(NewKey::named("reader").scope("reports:read").unwrap()).await.unwrap();
    let guard = Guard::builder(Policy::from_toml("policy.toml", POLICY).unwrap()).store(Shared(store(memory))).build().unwrap();
    let app = app(guard);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await });
    Service { address, plain: plain.secret().expose().to_owned(), reader: reader.secret().expose().to_owned() }
}

struct Shared(Arc<dyn KeyStore>);

impl KeyStore for Shared {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.0.find(presented)
    }
}

/// A store that always has to be waited for.
struct Slow(MemoryStore);

impl KeyStore for Slow {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let found = self.0.find(presented);
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            found.wait().await
        }))
    }
}

impl Service {
    async fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, target: &str, key: &str) -> String {
        let key = if key.is_empty() { String::new() } else { format!("X-API-Key: {key}\r\n") };
        self.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n")).await
    }
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

async fn seen(who: Option<Authenticated>, original: OriginalUri, request: Request) -> Response {
    let headers = format!("{:?}", request.headers());
    Json(serde_json::json!({
        "name": who.map(|who| who.name().to_owned()), "uri": request.uri().to_string(), "original": original.0.to_string(), "headers": headers,
    }))
    .into_response()
}

fn app(guard: Guard) -> Router {
    let api = Router::new().route("/reports/{id}", any(|| async { "REPORT" })).route("/reports", any(|| async { "LIST" }));
    Router::new()
        .nest("/api", api)
        .route("/healthz", get(|| async { "ok" }))
        .route("/docs/{*rest}", get(|| async { "docs" }))
        .route("/optional", get(seen))
        .route("/seen", any(seen))
        .route("/who", any(|who: Authenticated| async move { who.name().to_owned() }))
        .layer(keyward_axum::guard(guard))
}

/// That no spelling at all gets past its rule is the behaviour suite's to show.
#[tokio::test]
async fn what_the_rules_and_the_router_make_of_a_spelling() {
    let service = start(app, |store| Arc::new(store)).await;
    for (target, expected) in [
        ("/api/reports/1", 200),
        ("/api/%72eports/1", 404),
        ("/api/reports/%31", 200),
        ("/api/reports/1/", 404),
        ("/api//reports/1", 400),
        ("/api/reports/..", 400),
    ] {
        let answer = service.get(target, &service.reader).await;
        // axum routes undecoded paths: a spelling that the rules decode may have no handler, never another one.
        assert_eq!(status(&answer), expected, "{target}: {answer}");
    }
    assert_eq!(
        status(
            &service
                .send(format!(
                    "POST /api/reports/1 HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
                    service.reader
                ))
                .await
        ),
        403
    );
}

#[tokio::test]
async fn open_paths_are_open_in_their_plain_spelling_only() {
    let service = start(app, |store| Arc::new(store)).await;
    for (target, expected) in [
        ("/healthz", 200),
        ("/healthz?x=1", 200),
        ("/docs/a/b", 200),
        ("/%68ealthz", 401),
        ("/docs", 401),
        ("/docs/", 401),
        ("/healthz/x", 401),
        ("/docs//a", 400),
    ] {
        assert_eq!(status(&service.get(target, "").await), expected, "{target}");
    }
}

#[tokio::test]
async fn no_copy_of_a_credential_reaches_a_handler() {
    for slow in [false, true] {
        let service = start(app, move |store| if slow { Arc::new(Slow(store)) } else { Arc::new(store) }).await;
        let answer = service.get(&format!("/seen?a=1&api_key={}&b=%20", service.plain), "").await;
        assert!(answer.contains(r#""uri":"/seen?a=1&b=%20""#) && answer.contains(r#""original":"/seen?a=1&b=%20""#), "{answer}");
        assert!(answer.contains("cache-control: no-store"), "{answer}");
        let answer = service.get("/seen", &service.plain).await;
        assert!(
            answer.contains(r#""name":"plain""#) && !answer.contains(&service.plain) && answer.contains("cache-control: private"),
            "{answer}"
        );
        assert_eq!(status(&service.get("/seen", "wrong-key").await), 401);
    }
}

#[tokio::test]
async fn handlers_that_demand_somebody_get_the_policys_401_where_nobody_came() {
    let service = start(app, |store| Arc::new(store)).await;
    let preflight = "OPTIONS /who HTTP/1.1\r\nHost: a\r\nOrigin: https://x.example\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n";
    let answer = service.send(preflight).await;
    assert_eq!(status(&answer), 401);
    assert!(answer.contains("www-authenticate: Bearer realm=\"api\"\r\n") && answer.contains("x-request-id: "), "{answer}");
    assert!(service.get("/optional", "").await.contains(r#""name":null"#));
    assert!(service.get("/optional", &service.plain).await.contains(r#""name":"plain""#));
    assert_eq!(status(&service.get("/optional", "wrong-key").await), 401);
}

#[tokio::test]
async fn a_route_outside_every_guard_fails_closed() {
    let service =
        start(|guard| app(guard).route("/outside", get(|_: Authenticated| async { "in" })), |store| Arc::new(store)).await;
    assert_eq!(status(&service.get("/outside", &service.plain).await), 500);
    assert_eq!(status(&service.get("/outside", "").await), 500);
}

#[tokio::test]
async fn one_route_can_ask_for_more_and_is_not_decided_twice() {
    let app = |guard: Guard| {
        Router::new()
            .route("/more", get(|who: Authenticated| async move { who.name().to_owned() }))
            .route_layer(keyward_axum::guard(guard.requiring(scopes!["reports:read"])))
            .route("/less", get(|| async { "less" }))
            .layer(keyward_axum::guard(guard))
    };
    let service = start(app, |store| Arc::new(store)).await;
    assert_eq!(status(&service.get("/more", &service.reader).await), 200);
    let answer = service.get("/more", &service.plain).await;
    assert_eq!(status(&answer), 403);
    assert!(answer.contains("error=\"insufficient_scope\", scope=\"reports:read\""), "{answer}");
    assert_eq!(status(&service.get("/less", &service.plain).await), 200);
    assert_eq!(status(&service.get("/more", "").await), 401);
}

#[tokio::test]
async fn a_guard_inside_a_nest_judges_what_the_client_sent() {
    let app = |guard: Guard| {
        let inner = Router::new().route("/reports/{id}", get(|| async { "REPORT" })).layer(keyward_axum::guard(guard));
        Router::new().nest("/api", inner)
    };
    let service = start(app, |store| Arc::new(store)).await;
    assert_eq!(status(&service.get("/api/reports/1", &service.plain).await), 403);
    assert_eq!(status(&service.get("/api/reports/1", &service.reader).await), 200);
}

fn guarded(guard: Guard) -> Router {
    keyward_axum::guarded(Router::new().route("/known", get(|| async { "known" })), guard)
}

#[tokio::test]
async fn without_a_key_nobody_learns_which_paths_there_are() {
    let service = start(guarded, |store| Arc::new(store)).await;
    let ask = |method: &'static str, target: &'static str, key: &'static str| {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: a\r\nX-Request-ID: same\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n"
        );
        let service = &service;
        async move {
            let answer = service.send(request).await;
            answer.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
        }
    };
    for method in ["GET", "DELETE", "OPTIONS", "HEAD"] {
        assert_eq!(ask(method, "/known", "wrong").await, ask(method, "/unknown", "wrong").await, "{method}");
    }
    assert_eq!(status(&service.get("/known", &service.plain).await), 200);
    assert_eq!(status(&service.get("/unknown", &service.plain).await), 404);
}

#[tokio::test]
async fn an_optional_guard_opens_no_route_that_demands_something_and_no_guard_within_it() {
    let app = |guard: Guard| {
        let inner = Router::new().route("/private", get(|| async { "private" })).route_layer(keyward_axum::guard(guard.clone()));
        keyward_axum::guarded(
            inner.route("/api/reports/{id}", get(|| async { "REPORT" })).route("/front", get(|| async { "" })),
            guard.optional(),
        )
    };
    let service = start(app, |store| Arc::new(store)).await;
    for (target, expected) in [("/private", 401), ("/api/reports/1", 401), ("/front", 200)] {
        assert_eq!(status(&service.get(target, "").await), expected, "{target}");
    }
}
