//! The page before something that has consequences: what will be, and one button that does it.

use askama::Template;
use http::StatusCode;

use super::page;
use super::visit::{Frame, Visit};
use crate::answer::Answer;
use crate::fault::Refusal;

/// What is asked.
pub(super) struct Question<'q> {
    /// What is done, and to what: the heading.
    pub(super) verb: &'q str,
    pub(super) name: &'q str,
    /// What will be.
    pub(super) consequence: &'q str,
    /// What there is to know before.
    pub(super) warning: Option<String>,
    pub(super) button: &'q str,
    /// Whether it takes something away.
    pub(super) is_dangerous: bool,
    /// Where the button sends to, and where whoever changes their mind goes back to.
    pub(super) action: String,
    pub(super) back: String,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct Confirm<'v> {
    frame: Frame<'v>,
    question: Question<'v>,
}

impl Question<'_> {
    /// As a page; `place` is the entry of the navigation that is marked.
    pub(super) fn page(self, visit: &Visit<'_>, place: &'static str) -> Result<Answer, Refusal> {
        page::page(visit, StatusCode::OK, &Confirm { frame: visit.frame(place), question: self })
    }
}
