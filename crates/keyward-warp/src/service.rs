//! The guard around warp's routes, as a `tower` service.

use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::Map;
use http::{Method, Request, Response, Version};
use http_body::Body;
use http_body_util::{Either, Empty};
use keyward::Guard;
use keyward_tower::GuardLayer;
use tower_layer::Layer as _;
use tower_service::Service;
use warp::{Filter, Rejection, Reply};

/// Routes behind a guard, for a server of your own: with TLS, or with other settings of hyper.
///
/// Insert a [`keyward::Peer`] into the extensions of every request, and serve connections with upgrades if there are WebSockets:
///
/// ```
/// use hyper::{body::Incoming, service::service_fn};
/// use hyper_util::{rt::{TokioExecutor, TokioIo}, server::conn::auto, service::TowerToHyperService};
/// use keyward::{Guard, Peer};
/// use tokio::net::TcpListener;
/// use warp::Filter;
///
/// async fn serve(guard: Guard, listener: TcpListener) -> std::io::Result<()> {
///     let routes = warp::path!("reports").and(warp::get()).map(|| "reports");
///     let service = TowerToHyperService::new(keyward_warp::service(guard, routes));
///     loop {
///         let (stream, peer) = listener.accept().await?;
///         let service = service.clone();
///         let service = service_fn(move |mut request: http::Request<Incoming>| {
///             request.extensions_mut().insert(Peer(peer.ip()));
///             hyper::service::Service::call(&service, request)
///         });
///         tokio::spawn(async move {
///             auto::Builder::new(TokioExecutor::new()).serve_connection_with_upgrades(TokioIo::new(stream), service).await
///         });
///     }
/// }
/// ```
///
/// It needs no socket, either: tests can call it. Do not call it within a filter: warp's services do not nest.
pub fn service<F, B>(
    guard: Guard,
    routes: F,
) -> impl Service<
    Request<B>,
    Response = Response<impl Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>> + Send + Sync + 'static>,
    Error = Infallible,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static
where
    F: Filter + Send + Sync + 'static,
    F::Extract: Reply,
    F::Error: Into<Rejection>,
    B: Body + Send + Sync + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    // Boxed, because only routes whose error is known to be a rejection can be recovered, and not all routes can reject.
    let routes = routes.boxed().recover(crate::recover);
    // Plain: beside a request, warp keeps no peer that others could name, and no copy of the URI.
    let layer: GuardLayer = GuardLayer::new(guard);
    HeadWithoutBody(layer.layer(warp::service(routes)))
}

/// Answers `HEAD` without a body in HTTP/2 too, where neither hyper nor warp takes it away, and clients call the answer broken.
#[derive(Clone)]
struct HeadWithoutBody<S>(S);

type Answer<R> = Result<Response<R>, Infallible>;

impl<S, B, R> Service<Request<B>> for HeadWithoutBody<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    type Response = Response<Either<R, Empty<Bytes>>>;
    type Error = Infallible;
    type Future = Map<S::Future, fn(Answer<R>) -> Answer<Either<R, Empty<Bytes>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let bodiless = request.method() == Method::HEAD && request.version() == Version::HTTP_2;
        self.0.call(request).map(if bodiless { without_body } else { with_body })
    }
}

fn with_body<R>(answer: Answer<R>) -> Answer<Either<R, Empty<Bytes>>> {
    answer.map(|answer| answer.map(Either::Left))
}

fn without_body<R>(answer: Answer<R>) -> Answer<Either<R, Empty<Bytes>>> {
    answer.map(|answer| answer.map(|_| Either::Right(Empty::new())))
}
