//! The core's answers in actix-web's types. Nothing of them is decided here.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use keyward::{AnswerHeaders, Denial};

use crate::close::{accept_then_close, is_upgradable};
use crate::names::{Names, same_name, same_value};

/// The answer to a denied request, for the middleware around.
pub(crate) fn refused<B>(request: ServiceRequest, denial: Denial) -> ServiceResponse<EitherBody<B>> {
    let (request, payload) = request.into_parts();
    let response = match denial.websocket_close() {
        Some(close) if is_upgradable(&request) => accept_then_close(close, payload),
        _ if request.headers().contains_key(header::TRANSFER_ENCODING) => {
            denied(denial).map_body(|_, answer| BoxBody::new(Unread::new(answer, payload)))
        }
        _ => denied(denial),
    };
    ServiceResponse::new(request, response.map_into_right_body())
}

/// The answer to a request that is denied.
pub(crate) fn denied(denial: Denial) -> HttpResponse<BoxBody> {
    answered(denial.into_response())
}

/// An answer of the core.
pub(crate) fn answered(answer: http::Response<Bytes>) -> HttpResponse<BoxBody> {
    let (parts, body) = answer.into_parts();
    // The statuses of R10 are statuses in any version of `http`; a server's fault must not look like a success.
    let status = StatusCode::from_u16(parts.status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::new(status);
    copy_headers(&parts.headers, response.headers_mut());
    if !parts.headers.contains_key(http::header::CONTENT_LENGTH) {
        return response.set_body(BoxBody::new(body));
    }
    response.head_mut().no_chunking(true);
    response.set_body(BoxBody::new(Announced))
}

pub(crate) fn copy_headers(from: &http::HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if let (Some(name), Some(value)) = (same_name(name), same_value(value)) {
            to.append(name, value);
        }
    }
}

/// What the answer to an allowed request has to carry.
pub(crate) fn dress(headers: &mut HeaderMap, own: &AnswerHeaders, names: &Names) {
    for (name, value, yields) in own.iter() {
        // What yields to the handler's own is the policy's, and the same for every answer.
        if let Some((name, value)) = names.answered(name, value, yields)
            && !(yields && headers.contains_key(&name))
        {
            headers.insert(name, value);
        }
    }
}

/// An answer that keeps the request's own body until it is sent, without reading any of it.
///
/// A body in chunks that is dropped before is read to its end by actix-web, for as long as the client cares to send. One that is
/// there and unread makes it end the connection.
pub(crate) struct Unread {
    answer: BoxBody,
    _payload: Payload,
}

impl Unread {
    pub(crate) fn new(answer: BoxBody, payload: Payload) -> Self {
        Self { answer, _payload: payload }
    }
}

impl MessageBody for Unread {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.answer.as_pin_mut().poll_next(context)
    }
}

/// No content, of which the denial's own header tells the length: the answer to a HEAD.
///
/// A size of `Stream` without chunks is what makes actix-web keep that header. A body that is `Sized` and gives nothing would be
/// shorter, and ends the connection where requests are pipelined: the server then asks whether the *last* request that it has read
/// was a HEAD, and finds bytes missing if it was not.
struct Announced;

impl MessageBody for Announced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
