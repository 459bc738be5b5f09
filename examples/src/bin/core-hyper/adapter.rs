//! What stands between hyper and a guard.

use std::net::IpAddr;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Body;
use keyward::{Decision, Guard, Head, Peer, Wanted};

/// Answers a request: with the denial, or with what the handler says to whom the guard lets in.
pub(crate) async fn guarded<B: Body, Handled: Future<Output = Response<Full<Bytes>>>>(
    guard: &Guard,
    peer: IpAddr,
    request: Request<B>,
    handler: impl FnOnce(Request<B>) -> Handled,
) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(Peer(peer));
    let head = Lent { parts, has_body: !body.is_end_stream() };
    let pass = match guard.decide(&head).await {
        Decision::Denied(denial) => return denial.into_response().map(Full::new),
        Decision::Allowed(pass) => pass,
    };
    let mut parts = head.parts;
    let strip = guard.strip();
    if let Some(uri) = strip.uri(&parts.uri) {
        parts.uri = uri;
    }
    strip.headers(&mut parts.headers);
    parts.extensions.insert(pass.clone());
    let is_head = parts.method == Method::HEAD;
    // Whatever the handler says, its mistakes included.
    let mut response = handler(Request::from_parts(parts, body)).await;
    pass.headers().apply(response.headers_mut());
    if is_head {
        *response.body_mut() = Full::default(); // hyper leaves it out in HTTP/1 alone
    }
    response
}

/// The head, and whether a body follows: HTTP/2 need not announce one in any header.
struct Lent {
    parts: Parts,
    has_body: bool,
}

impl Head for Lent {
    fn method(&self) -> &str {
        Head::method(&self.parts)
    }

    fn path(&self) -> &str {
        self.parts.path()
    }

    fn query(&self) -> Option<&str> {
        self.parts.query()
    }

    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        self.parts.header(which, each);
    }

    fn peer(&self) -> Option<IpAddr> {
        self.parts.peer()
    }

    fn has_body(&self) -> bool {
        self.has_body
    }

    fn connection_identity(&self) -> Option<&str> {
        self.parts.connection_identity()
    }
}
