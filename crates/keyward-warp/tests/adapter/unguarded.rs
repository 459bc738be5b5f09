//! Filters without a guard around them, or with another guard than was asked: always a 500, never a pass.

use std::convert::Infallible;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use keyward::scopes;
use keyward_warp::{allowed_by, authenticated, client_address, maybe_authenticated, request_id};
use tower::ServiceExt;
use tower::util::BoxCloneService;
use warp::{Filter, Rejection};

use crate::support::{guard, start, status};

#[tokio::test]
async fn a_filter_outside_every_guard_fails_closed() {
    let scoped = allowed_by(guard("", false).await.guard.requiring(scopes!["reports:read"]));
    let routes = warp::path!("who").and(authenticated()).map(|_| "in");
    let routes = routes.or(warp::path!("maybe").and(maybe_authenticated()).map(|_| "in"));
    let routes = routes.or(warp::path!("client").and(client_address()).map(|_| "in"));
    let routes = routes.or(warp::path!("id").and(request_id()).map(|_| "in"));
    let routes = routes.or(warp::path!("scoped").and(scoped).map(|| "in"));
    let routes = routes.or(warp::path!("token").and(keyward_warp::ticket()));
    #[cfg(feature = "websocket")]
    let routes = routes.or(warp::path!("live").and(keyward_warp::live_socket()).map(|_| "in"));
    let live: &[&str] = if cfg!(feature = "websocket") { &["/live"] } else { &[] };
    for service in [
        BoxCloneService::new(warp::service(routes.clone())),
        BoxCloneService::new(warp::service(routes.recover(keyward_warp::recover))),
    ] {
        for target in ["/who", "/maybe", "/client", "/id", "/scoped", "/token"].iter().chain(live) {
            let request = Request::get(*target).header("X-API-Key", "any").body(Empty::<Bytes>::new()).unwrap();
            let answer = service.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), 500, "{target}");
            let text = answer.into_body().collect().await.unwrap().to_bytes();
            // warp tells the rejection's `Debug`, which tells nothing.
            assert!(["", "Unhandled rejection: Denied"].contains(&std::str::from_utf8(&text).unwrap()), "{target}: {text:?}");
        }
    }
}

/// Without a guard, filters of ours do not run into the panic that `warp::path::full()` has for targets without a path.
#[tokio::test]
async fn a_filter_outside_every_guard_takes_any_target() {
    let service = warp::service(authenticated().map(|_| "in"));
    for target in ["healthz", "a:80", "*", "/"] {
        let request = Request::builder().uri(target).body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), 500, "{target}");
    }
}

#[tokio::test]
async fn another_policys_guard_within_fails_closed() {
    let other = guard("", false).await.guard;
    let service = start("", |_| warp::path!("reports").and(allowed_by(other)).map(|| "REPORT")).await;
    assert_eq!(status(&service.get("/reports", &service.reader).await), 500);
    assert_eq!(status(&service.get("/reports", "").await), 401);
}

/// The plain guard within an optional one demands a key.
#[tokio::test]
async fn an_optional_guard_opens_no_guard_within_it() {
    let service = guard("", false).await;
    let routes = warp::path!("private").and(allowed_by(service.guard.clone())).map(|| "private");
    let routes = routes.or(warp::path!("front").map(|| "front"));
    let guarded = keyward_warp::service(service.guard.optional(), routes);
    for (target, expected) in [("/private", 401), ("/front", 200)] {
        let request = Request::get(target).body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(guarded.clone().oneshot(request).await.unwrap().status(), expected, "{target}");
    }
    assert_eq!(service.reasons(), ["anonymous", "missing", "anonymous"]);
}

/// Routes that cannot reject are served too.
#[tokio::test]
async fn routes_that_take_everything_are_guarded() {
    let service = guard("", false).await;
    let routes = warp::any().map(|| "in");
    fn is_infallible(_: &impl Filter<Error = Infallible>) {}
    is_infallible(&routes);
    let guarded = keyward_warp::service(service.guard.clone(), routes);
    let ask = |key: &str| Request::get("/").header("X-API-Key", key).body(Empty::<Bytes>::new()).unwrap();
    assert_eq!(guarded.clone().oneshot(ask("wrong")).await.unwrap().status(), 401);
    assert_eq!(guarded.oneshot(ask(&service.plain)).await.unwrap().status(), 200);
}

/// A layer of `keyward-tower` around `warp::service` has nobody who answers for our rejections: it fails closed.
#[tokio::test]
async fn without_our_service_a_denial_within_is_a_fault() {
    let service = guard("", false).await;
    let routes = warp::any().and(allowed_by(service.guard.requiring(scopes!["reports:read"]))).map(|| "in");
    let layered = tower::ServiceBuilder::new().layer(keyward_tower::guard(service.guard.clone()));
    let ask = |key: &str| Request::get("/").header("X-API-Key", key).body(Empty::<Bytes>::new()).unwrap();
    let bare = layered.clone().service(warp::service(routes.clone()));
    assert_eq!(bare.oneshot(ask(&service.plain)).await.unwrap().status(), 500);
    let recovered = layered.service(warp::service(routes.recover(keyward_warp::recover)));
    assert_eq!(recovered.clone().oneshot(ask(&service.plain)).await.unwrap().status(), 403);
    assert_eq!(recovered.oneshot(ask(&service.reader)).await.unwrap().status(), 200);
}

#[test]
fn what_warp_may_print_of_a_denial_tells_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let told: Rejection = runtime.block_on(async {
        let service = guard("[access]\nopen_paths = ['/x']", false).await;
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let routes = warp::any().and(authenticated()).map(|_| "in").recover(move |rejection: Rejection| {
            sender.send(rejection).unwrap();
            async { Ok::<_, Infallible>("told") }
        });
        let request = Request::get("/x").body(Empty::<Bytes>::new()).unwrap();
        tower::ServiceBuilder::new()
            .layer(keyward_tower::guard(service.guard))
            .service(warp::service(routes))
            .oneshot(request)
            .await
            .unwrap();
        receiver.recv().await.unwrap()
    });
    assert_eq!(format!("{told:?}"), "Rejection(Denied)");
}
