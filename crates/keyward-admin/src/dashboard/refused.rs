//! Why something was not done, as a page.

use askama::Template;
use http::{StatusCode, header};
use keyward::Denial;

use super::page;
use super::visit::{Frame, Visit};
use crate::answer::{self, Answer};
use crate::fault::Refusal;

#[derive(Template)]
#[template(path = "refused.html")]
struct Refused<'v> {
    frame: Frame<'v>,
    title: &'static str,
    detail: &'v str,
}

/// The page of a refusal, within what the visitor sees otherwise.
pub(super) fn page(visit: &Visit<'_>, refusal: Refusal) -> Answer {
    refusal.log();
    let status = refusal.status();
    let detail = refusal.detail();
    let refused = Refused { frame: visit.frame(""), title: title(status), detail: &detail };
    let mut answer = page::page(visit, status, &refused).unwrap_or_else(|_| page::secured(answer::empty(status)));
    refusal.set_headers(answer.headers_mut());
    answer
}

/// The page of a refusal before anybody knows who asks.
pub(crate) fn refused_unread(refusal: &Refusal) -> Answer {
    refusal.log();
    let mut answer = nobodys(refusal.status(), &refusal.detail());
    refusal.set_headers(answer.headers_mut());
    answer
}

/// The guard's denial as a page: status and headers stay the guard's.
pub(crate) fn denied(denial: Denial, is_head: bool) -> Answer {
    let mut answer = nobodys(denial.status(), denial.detail());
    for (name, value) in denial.headers() {
        if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH | header::CACHE_CONTROL) {
            answer.headers_mut().append(name, value.clone());
        }
    }
    let mut answer = page::secured(answer);
    if is_head {
        answer.body_mut().clear();
    }
    answer
}

fn nobodys(status: StatusCode, detail: &str) -> Answer {
    let frame = Frame { token: "", person: None, is_admin: false, has_accounts: false, place: "" };
    let refused = Refused { frame, title: title(status), detail };
    page::bare(status, &refused).unwrap_or_else(|_| page::secured(answer::empty(status)))
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "This request cannot be read",
        StatusCode::UNAUTHORIZED => "You are not signed in",
        StatusCode::FORBIDDEN => "This is not allowed",
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::METHOD_NOT_ALLOWED => "This page cannot do that",
        StatusCode::CONFLICT => "This cannot be done as things are",
        StatusCode::PAYLOAD_TOO_LARGE => "That was too large",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        _ => "Something went wrong",
    }
}
