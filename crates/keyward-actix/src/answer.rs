//! The core's answers in actix-web's types. Nothing of them is decided here.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::web::Bytes;
use keyward::{AnswerHeaders, Denial};

use crate::names::{Names, same_name, same_value};

/// The answer to a denied request.
pub(crate) fn denied(denial: Denial) -> HttpResponse<BoxBody> {
    // The statuses of R10 are statuses in any version of `http`; a server's fault must not look like a success.
    let status = StatusCode::from_u16(denial.status().as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (parts, body) = denial.into_response().into_parts();
    let mut response = HttpResponse::new(status);
    let headers = response.headers_mut();
    for (name, value) in &parts.headers {
        if let (Some(name), Some(value)) = (same_name(name), same_value(value)) {
            headers.append(name, value);
        }
    }
    let announced = parts.headers.get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    response.set_body(match announced {
        Some(length) => BoxBody::new(Announced(length)),
        None => BoxBody::new(body),
    })
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

/// No content, of which a length is told: the answer to a HEAD. actix-web writes the length of the body that it is given, and no
/// header of ours.
struct Announced(u64);

impl MessageBody for Announced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.0)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}
