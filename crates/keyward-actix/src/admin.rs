//! Accounts, sessions and the management of keys, beside an application.

use std::fmt;
use std::future::{Ready, ready};

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::future::{Either, LocalBoxFuture, MapOk};
use futures_util::{FutureExt as _, StreamExt as _, TryFutureExt as _};
use keyward::Peer;
use keyward_admin::Admin;

use crate::answer::{Unread, answered};
use crate::lent;

/// Answers the paths of an [`Admin`], and leaves all others to the application: what `App::wrap` takes, as the last `wrap`.
///
/// It goes around the guard, because the management has a guard of its own, which no policy loosens. Build the [`Admin`] once,
/// outside the closure that makes an application for each worker, and clone it inside.
///
/// ```
/// use actix_web::{App, web};
/// use keyward::{Guard, Keys, MemoryStore, Policy, account::MemoryAccounts};
/// use keyward_admin::Admin;
///
/// # fn app() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let policy = Policy::builder().public_url("https://api.example.com").build()?;
/// let admin = Admin::builder(Keys::new(store.clone()), MemoryAccounts::new()).policy(policy.clone()).build()?;
/// let guard = Guard::builder(policy).store(store).authenticator(admin.sessions()).build()?;
/// let app = move || {
///     App::new()
///         .route("/reports", web::get().to(async || "all is well"))
///         .wrap(keyward_actix::guard(guard.clone()))
///         .wrap(keyward_actix::admin(admin.clone()))
/// };
/// # let _ = app();
/// # Ok(()) }
/// ```
pub fn admin(admin: Admin) -> AdminMiddleware {
    AdminMiddleware { admin }
}

/// Wraps an application in an [`AdminService`].
#[derive(Debug, Clone)]
pub struct AdminMiddleware {
    admin: Admin,
}

impl<S, B> Transform<S, ServiceRequest> for AdminMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = AdminService<S>;
    type InitError = ();
    type Future = Ready<Result<AdminService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(AdminService { inner, admin: self.admin.clone() }))
    }
}

/// Answers the paths of an [`Admin`], and asks the application about all others.
pub struct AdminService<S> {
    inner: S,
    admin: Admin,
}

impl<S> fmt::Debug for AdminService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminService").field("admin", &self.admin).finish_non_exhaustive()
    }
}

type Response<B> = ServiceResponse<EitherBody<B>>;

impl<S, B> Service<ServiceRequest> for AdminService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = Response<B>;
    type Error = Error;
    type Future =
        Either<MapOk<S::Future, fn(ServiceResponse<B>) -> Response<B>>, LocalBoxFuture<'static, Result<Response<B>, Error>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        // The path as it was sent: what a router would decode to one of these goes to the guard.
        if Admin::is_place(request.uri().path()) {
            let admin = self.admin.clone();
            Either::Right(async move { Ok(answer(&admin, request).await.map_into_right_body()) }.boxed_local())
        } else {
            Either::Left(self.inner.call(request).map_ok(ServiceResponse::map_into_left_body))
        }
    }
}

async fn answer(admin: &Admin, request: ServiceRequest) -> ServiceResponse<BoxBody> {
    let (request, mut payload) = request.into_parts();
    let body = read(&request, &mut payload).await;
    let is_unread = body.is_none();
    let response = match in_http_types(&request, body.unwrap_or(Bytes::from_static(&TOO_LARGE))) {
        Some(asked) => answered(admin.answer(asked).await),
        None => HttpResponse::BadRequest().finish(),
    };
    let response = match is_unread {
        true => {
            let mut response = response.map_body(|_, answer| BoxBody::new(Unread::new(answer, payload)));
            response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
            response
        }
        false => response,
    };
    ServiceResponse::new(request, response)
}

/// A body that is too large, whatever was in it.
static TOO_LARGE: [u8; Admin::LARGEST_BODY + 1] = [0; Admin::LARGEST_BODY + 1];

/// The body. `None`: it is larger than what is read, or cut off. Of what a length announces as such, nothing is read.
async fn read(request: &HttpRequest, payload: &mut Payload) -> Option<Bytes> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > Admin::LARGEST_BODY as u64) {
        return None;
    }
    let mut body = BytesMut::new();
    while let Some(piece) = payload.next().await {
        let piece = piece.ok()?;
        if piece.len() > Admin::LARGEST_BODY - body.len() {
            return None;
        }
        body.extend_from_slice(&piece);
    }
    Some(body.freeze())
}

/// The request in the core's version of `http`. `None`: it has more headers than that holds.
fn in_http_types(request: &HttpRequest, body: Bytes) -> Option<http::Request<Bytes>> {
    let mut same = http::Request::new(body);
    *same.method_mut() = http::Method::from_bytes(request.method().as_str().as_bytes()).ok()?;
    *same.uri_mut() = request.uri().to_string().parse().ok()?;
    for (name, value) in request.headers() {
        let name = http::HeaderName::from_bytes(name.as_ref()).ok()?;
        // Never without one of them: which site a request comes from is told by headers.
        same.headers_mut().try_append(name, http::HeaderValue::from_bytes(value.as_bytes()).ok()?).ok()?;
    }
    if let Some(peer) = lent::peer(request, &request.extensions()) {
        same.extensions_mut().insert(Peer(peer));
    }
    Some(same)
}
