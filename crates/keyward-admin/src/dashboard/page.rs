//! From a template to an answer, with the headers that every page has.

use askama::Template;
use http::{HeaderValue, StatusCode, header};
use keyward::Fault;

use super::visit::Visit;
use crate::answer::{self, Answer};
use crate::fault::Refusal;

/// Nothing but what these pages bring along, and nobody's frame around them.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; form-action 'self'; \
     frame-ancestors 'none'; base-uri 'none'",
);

/// A page for one visit.
pub(super) fn page(visit: &Visit<'_>, status: StatusCode, template: &impl Template) -> Result<Answer, Refusal> {
    let mut answer = bare(status, template)?;
    if let Some(cookie) = visit.new_cookie() {
        answer.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    Ok(answer)
}

/// A page for nobody in particular.
pub(crate) fn bare(status: StatusCode, template: &impl Template) -> Result<Answer, Refusal> {
    let text = template.render().map_err(|error| Fault::new(format!("a page could not be made: {error}")))?;
    Ok(secured(answer::typed(status, "text/html; charset=utf-8", text.into())))
}

/// With what keeps a page's contents, and what a browser does with it, within this site.
pub(super) fn secured(mut answer: Answer) -> Answer {
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    // Not `no-referrer`: browsers send `Origin: null` with a form of such a page, which is what a foreign page's looks like (R13).
    // Other sites learn nothing of ours by either.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    answer
}
