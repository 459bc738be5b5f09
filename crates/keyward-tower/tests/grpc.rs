//! A layer for gRPC denies as gRPC does, whichever way the decision came; any other never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use keyward::audit::{AuditEvent, AuditSink};
use keyward::key::Record;
use keyward::store::Presented;
use keyward::{Answer, Guard, KeyStore, Keys, MemoryStore, NewKey, Policy, scopes};
use keyward_tower::{Body, GuardLayer, grpc_guard, guard};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// A store that has to be waited for.
struct Distant(MemoryStore);

impl KeyStore for Distant {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let found = self.0.find(presented);
        Answer::Pending(Box::pin(async {
            tokio::task::yield_now().await;
            found.wait().await
        }))
    }
}

/// A sink that has to be waited for from some moment on.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicBool>);

impl AuditSink for Slow {
    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        if !self.0.load(Ordering::SeqCst) {
            return Answer::ready(());
        }
        Answer::Pending(Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        }))
    }
}

fn call(key: &str) -> Request<Empty<Bytes>> {
    let request = Request::post("/a.B/C").header("content-type", "application/grpc").header("te", "trailers");
    request.header("x-api-key", key).body(Empty::new()).unwrap()
}

async fn inside(_: Request<Empty<Bytes>>) -> Result<Response<Empty<Bytes>>, std::convert::Infallible> {
    Ok(Response::new(Empty::new()))
}

async fn answer(layer: &GuardLayer, key: &str) -> Response<Body<Empty<Bytes>>> {
    layer.layer(service_fn(inside)).oneshot(call(key)).await.unwrap()
}

async fn is_grpc<B: http_body::Body<Data = Bytes> + Unpin>(answer: Response<B>, code: &str) {
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], code);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    // Else a frame of data would follow, and the headers would be no trailers.
    assert!(answer.body().is_end_stream());
    assert!(answer.into_body().frame().await.is_none());
}

#[tokio::test]
async fn denials_at_once_and_after_waiting() {
    let policy = || Policy::builder().build().unwrap();
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("a")).await.unwrap();
    for guard in [
        Guard::builder(policy()).store(store.clone()).build().unwrap(),
        Guard::builder(policy()).store(Distant(store.clone())).build().unwrap(),
    ] {
        let layer = grpc_guard(guard);
        is_grpc(answer(&layer, "wrong").await, "16").await;
        let allowed = answer(&layer, key.secret().expose()).await;
        assert_eq!(allowed.status(), 200);
        assert!(!allowed.headers().contains_key("grpc-status"), "what the inner service says stays: {allowed:?}");
        assert!(allowed.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn a_guard_within_another_says_it_its_own_way() {
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("a")).await.unwrap();
    for slow in [false, true] {
        let sink = Slow::default();
        let outer = Guard::builder(Policy::builder().build().unwrap()).store(store.clone()).audit(sink.clone()).build().unwrap();
        let more = outer.requiring(scopes!["reports:read"]);
        for (within, is_for_grpc) in [(grpc_guard(more.clone()), true), (guard(more), false)] {
            let (sink, inner) = (sink.clone(), within.layer(service_fn(inside)));
            sink.0.store(false, Ordering::SeqCst);
            let inner = service_fn(move |request| {
                // The outer event is recorded at once, the inner one maybe not.
                sink.0.store(slow, Ordering::SeqCst);
                inner.clone().oneshot(request)
            });
            let answer = grpc_guard(outer.clone()).layer(inner).oneshot(call(key.secret().expose())).await.unwrap();
            if is_for_grpc {
                is_grpc(answer, "7").await;
            } else {
                assert_eq!(answer.status(), 403);
            }
        }
    }
}

#[tokio::test]
async fn no_request_can_ask_for_a_denial_that_looks_like_a_success() {
    let guarded = guard(Guard::builder(Policy::builder().build().unwrap()).store(MemoryStore::new()).build().unwrap());
    let answer = answer(&guarded, "wrong").await;
    assert_eq!(answer.status(), 401);
    assert!(!answer.headers().contains_key("grpc-status"));
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

/// A call of gRPC is a POST. To others HTTP 200 is an answer: CONNECT with it opens a tunnel in proxies between.
#[tokio::test]
async fn what_cannot_be_a_call_is_denied_as_elsewhere() {
    let policy = || Policy::builder().build().unwrap();
    let store = MemoryStore::new();
    let key = Keys::new(store.clone()).create(NewKey::named("a")).await.unwrap();
    for outer in [
        Guard::builder(policy()).store(store.clone()).build().unwrap(),
        Guard::builder(policy()).store(Distant(store.clone())).build().unwrap(),
    ] {
        let within = grpc_guard(outer.requiring(scopes!["reports:read"]));
        let layer = tower::ServiceBuilder::new().layer(grpc_guard(outer)).layer(within).into_inner();
        for (method, target) in
            [("CONNECT", "a:80"), ("GET", "/a.B/C"), ("HEAD", "/a.B/C"), ("OPTIONS", "/a.B/C"), ("PUT", "/a.B/C")]
        {
            for (presented, status) in [("wrong", 401), (key.secret().expose(), 403)] {
                let request = Request::builder().method(method).uri(target).header("content-type", "application/grpc");
                let request = request.header("x-api-key", presented).body(Empty::new()).unwrap();
                let answer = layer.clone().layer(service_fn(inside)).oneshot(request).await.unwrap();
                // CONNECT has no path, and that is refused before any key is read.
                let status = if method == "CONNECT" { 400 } else { status };
                assert_eq!(answer.status(), status, "{method}");
                assert!(!answer.headers().contains_key("grpc-status"), "{method}: {answer:?}");
                assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method}");
            }
        }
        // A handshake of a WebSocket is a GET.
        let request = Request::get("/a.B/C").header("connection", "upgrade").header("upgrade", "websocket");
        let answer = layer.layer(service_fn(inside)).oneshot(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
    }
}
