//! The layer and its service: lend the head, enforce the decision.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response, Uri};
use hyper::upgrade::OnUpgrade;
use keyward::{Decision, Guard, Head, Pass, Wanted};
use tower_layer::Layer;
use tower_service::Service;

use crate::denials::{Denials, Denied};
use crate::future::{ResponseFuture, Waiting};
use crate::{Body, Framework, Plain};

/// Guards a service over plain `http` types: in hyper, and in frameworks on tower that leave the request's URI as it was sent.
///
/// **Not in axum: take `keyward_axum::guard` there.** It has the same name, and this one compiles and seems to work. But a nested
/// router cuts the path before its layers see it, so that a rule for `/api/*` would be asked about `/reports`, which no rule
/// names; and axum's `OriginalUri` would keep a key that came in the query. Other frameworks that do the like are told to the
/// layer by a [`Framework`].
pub fn guard(guard: Guard) -> GuardLayer {
    GuardLayer::new(guard)
}

/// Guards gRPC services: as [`guard`], with denials that gRPC clients understand. See [`GuardLayer::for_grpc`].
pub fn grpc_guard(guard: Guard) -> GuardLayer {
    GuardLayer::new(guard).for_grpc()
}

/// Wraps services in a [`GuardService`]. Put it outermost.
#[derive(Debug, Clone)]
pub struct GuardLayer<F = Plain> {
    guard: Guard,
    denials: Denials,
    framework: PhantomData<F>,
}

impl<F: Framework> GuardLayer<F> {
    /// A layer for one framework.
    pub fn new(guard: Guard) -> Self {
        Self { guard, denials: Denials::Http, framework: PhantomData }
    }

    /// Denies as gRPC does, by [`keyward::Denial::into_grpc_response`]: HTTP 200, no body, and the status in `grpc-status`.
    ///
    /// A call of gRPC is a POST. Requests with other methods, handshakes of WebSockets among them, are denied as by any other layer.
    ///
    /// Only for layers around nothing but gRPC services: to any other client such a denial looks like a success without content.
    /// It is the layer's, whatever a request's content type says, so that no client can ask for it elsewhere. A guard within
    /// another has a layer, and so a form of denials, of its own.
    #[must_use]
    pub fn for_grpc(self) -> Self {
        Self { denials: Denials::Grpc, ..self }
    }
}

impl<S, F: Framework> Layer<S> for GuardLayer<F> {
    type Service = GuardService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService { inner, guard: self.guard.clone(), denials: self.denials, framework: PhantomData }
    }
}

/// Asks the guard about every request before the inner service sees it.
#[derive(Debug, Clone)]
pub struct GuardService<S, F = Plain> {
    inner: S,
    guard: Guard,
    denials: Denials,
    framework: PhantomData<F>,
}

impl<S, F, B, R> Service<Request<B>> for GuardService<S, F>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    B: http_body::Body,
    F: Framework,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, F, B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let denials = self.denials.to(request.method());
        let lent = Lent::<B, F>::of(&request);
        if let Some(decided) = request.extensions().get::<Pass>().and_then(|pass| self.guard.within(pass, &lent)) {
            return match decided {
                // The guard around this one dresses the answer.
                Ok(()) => ResponseFuture::inner(self.inner.call(request), None),
                Err(denial) => ResponseFuture::denied_soon(denial, upgrade(request.extensions_mut()), denials),
            };
        }
        match self.guard.try_decide(&lent) {
            Some(decision) => match enforce::<B, F>(&self.guard, decision, request) {
                Ok((request, pass)) => ResponseFuture::inner(self.inner.call(request), Some(pass.headers())),
                Err(denied) => ResponseFuture::denied(denied, denials),
            },
            None => {
                let decision = Box::pin(self.guard.decide_owned(&lent));
                // The service that was polled ready is the one to be called; its clone has to be polled anew.
                let next = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, next);
                let guard = self.guard.clone();
                ResponseFuture::waiting(decision, Waiting { request, service: ready, guard, denials })
            }
        }
    }
}

/// What the inner service gets to see of an allowed request.
pub(crate) fn enforce<B, F: Framework>(
    guard: &Guard,
    decision: Decision,
    mut request: Request<B>,
) -> Result<(Request<B>, Pass), Denied> {
    let pass = match decision {
        Decision::Denied(denial) => return Err(Denied { denial, upgrade: upgrade(request.extensions_mut()) }),
        Decision::Allowed(pass) => pass,
    };
    let strip = guard.strip();
    if strip.touches_queries() {
        if let Some(uri) = strip.uri(request.uri()) {
            *request.uri_mut() = uri;
        }
        F::strip(request.extensions_mut(), strip);
    }
    strip.headers(request.headers_mut());
    request.extensions_mut().insert(pass.clone());
    Ok((request, pass))
}

/// What hyper has put beside a request that can be upgraded: it goes with the request if nobody takes it out.
fn upgrade(extensions: &mut Extensions) -> Option<OnUpgrade> {
    extensions.remove()
}

/// A request, lent.
struct Lent<'r, B, F> {
    request: &'r Request<B>,
    uri: &'r Uri,
    framework: PhantomData<F>,
}

impl<'r, B, F: Framework> Lent<'r, B, F> {
    fn of(request: &'r Request<B>) -> Self {
        let uri = F::original_uri(request.extensions()).unwrap_or_else(|| request.uri());
        Self { request, uri, framework: PhantomData }
    }
}

impl<B: http_body::Body, F: Framework> Head for Lent<'_, B, F> {
    fn method(&self) -> &str {
        self.request.method().as_str()
    }

    fn path(&self) -> &str {
        self.uri.path()
    }

    fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        self.request.header(which, each);
    }

    fn peer(&self) -> Option<IpAddr> {
        F::peer(self.request.extensions())
    }

    fn has_body(&self) -> bool {
        !self.request.body().is_end_stream()
    }

    fn connection_identity(&self) -> Option<&str> {
        self.request.connection_identity()
    }
}
