//! Accounts, sessions and the management of keys, beside whatever a service serves.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use keyward::Peer;
use keyward_admin::Admin;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::body::Body;
use crate::framework::{Framework, Plain};

/// A body that is too large, whatever was in it.
static TOO_LARGE: [u8; Admin::LARGEST_BODY + 1] = [0; Admin::LARGEST_BODY + 1];

/// Answers the paths of an [`Admin`], and leaves all others to the service inside. Put it around the guard's layer: the management
/// has a guard of its own, which no policy loosens.
///
/// Every request needs a [`keyward::Peer`] among its extensions: guesses at passwords are counted by it.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use keyward::{Guard, Keys, MemoryStore, Peer, Policy, account::MemoryAccounts};
/// use keyward_admin::Admin;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let policy = Policy::builder().public_url("https://api.example.com").build()?;
/// let admin = Admin::builder(Keys::new(store.clone()), MemoryAccounts::new()).policy(policy.clone()).build()?;
/// let guard = Guard::builder(policy).store(store).authenticator(admin.sessions()).build()?;
///
/// let answer = async |_: http::Request<Full<Bytes>>| Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()));
/// let service = ServiceBuilder::new()
///     .layer(keyward_tower::admin(admin))
///     .layer(keyward_tower::guard(guard))
///     .service(service_fn(answer));
/// let mut request = http::Request::get("/dashboard/login").body(Full::<Bytes>::default())?;
/// request.extensions_mut().insert(Peer([127, 0, 0, 1].into()));
/// assert_eq!(service.oneshot(request).await?.status(), 200);
/// # Ok(()) }
/// ```
pub fn admin(admin: Admin) -> AdminLayer {
    AdminLayer::new(admin)
}

/// Wraps services in an [`AdminService`].
#[derive(Debug, Clone)]
pub struct AdminLayer<F = Plain> {
    admin: Option<Admin>,
    framework: PhantomData<F>,
}

impl<F: Framework> AdminLayer<F> {
    /// A layer for one framework. `None` answers nothing, for a program whose settings say whether there are accounts.
    pub fn new(admin: impl Into<Option<Admin>>) -> Self {
        Self { admin: admin.into(), framework: PhantomData }
    }
}

impl<S, F: Framework> Layer<S> for AdminLayer<F> {
    type Service = AdminService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        AdminService { inner, admin: self.admin.clone(), framework: PhantomData }
    }
}

/// Answers the paths of an [`Admin`], and asks the inner service about all others.
#[derive(Debug, Clone)]
pub struct AdminService<S, F = Plain> {
    inner: S,
    admin: Option<Admin>,
    framework: PhantomData<F>,
}

impl<S, F, B, R> Service<Request<B>> for AdminService<S, F>
where
    S: Service<Request<B>, Response = Response<R>>,
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>>, Data: Send> + Send + 'static,
    F: Framework,
{
    type Response = Response<Body<R>>;
    type Error = S::Error;
    type Future = AdminFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = F::original_uri(request.extensions()).unwrap_or_else(|| request.uri()).path();
        match &self.admin {
            Some(admin) if Admin::is_place(path) => {
                let admin = admin.clone();
                AdminFuture { kind: Kind::Own { answer: Box::pin(async move { answer_admin::<F, B>(&admin, request).await }) } }
            }
            _ => AdminFuture { kind: Kind::Inner { answer: self.inner.call(request) } },
        }
    }
}

pin_project! {
    /// The future of an [`AdminService`].
    pub struct AdminFuture<Fut> {
        #[pin]
        kind: Kind<Fut>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<Fut> {
        Inner { #[pin] answer: Fut },
        Own { answer: Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> },
    }
}

impl<Fut, R, E> Future for AdminFuture<Fut>
where
    Fut: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<Body<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().kind.project() {
            KindProjection::Inner { answer } => ready!(answer.poll(context)).map(|answer| answer.map(Body::inner)),
            KindProjection::Own { answer } => Ok(ready!(answer.as_mut().poll(context)).map(Body::own)),
        })
    }
}

impl<Fut> fmt::Debug for AdminFuture<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminFuture").finish_non_exhaustive()
    }
}

/// What an [`Admin`] answers to a request of a framework, with a body that is read as far as it may be large.
pub async fn answer_admin<F, B>(admin: &Admin, request: Request<B>) -> Response<Bytes>
where
    F: Framework,
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    let peer = F::peer(request.extensions());
    let (mut head, body) = request.into_parts();
    // The path that the client sent is the one that is judged.
    if let Some(original) = F::original_uri(&head.extensions).cloned() {
        head.uri = original;
    }
    head.extensions = http::Extensions::new();
    if let Some(peer) = peer {
        head.extensions.insert(Peer(peer));
    }
    let body = read(body).await;
    let mut answer = admin.answer(Request::from_parts(head, body)).await;
    if answer.status() == StatusCode::PAYLOAD_TOO_LARGE {
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// The body, or one that is too large: of what a length announces as such, nothing is read.
async fn read<B>(body: B) -> Bytes
where
    B: http_body::Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    if body.size_hint().lower() > Admin::LARGEST_BODY as u64 {
        return Bytes::from_static(&TOO_LARGE);
    }
    match Limited::new(body, Admin::LARGEST_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        // Larger than that, or cut off. The first is answered as such, and of the second nobody reads the answer.
        Err(_) => Bytes::from_static(&TOO_LARGE),
    }
}
