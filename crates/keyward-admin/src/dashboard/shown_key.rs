//! The one page that shows a key.

use askama::Template;
use http::StatusCode;
use keyward::Made;

use super::key_row::KeyRow;
use super::moment::{Countdown, Moment};
use super::page;
use super::visit::{Frame, Visit};
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;

#[derive(Template)]
#[template(path = "shown_key.html")]
struct ShownKey<'v> {
    frame: Frame<'v>,
    key: &'v str,
    row: KeyRow,
    is_rotated: bool,
    /// The end of the secret before, where it is accepted still.
    grace: Option<(Moment, Countdown)>,
    /// Where the snippets send it.
    origin: &'v str,
}

impl Parts {
    pub(super) fn shown_key_page(&self, visit: &Visit<'_>, status: StatusCode, made: &Made) -> Result<Answer, Refusal> {
        let now = self.clock.now().wall;
        let record = made.record();
        let grace_ends = record.previous.as_ref().and_then(|slot| slot.grace_ends).filter(|end| *end > now);
        let shown = ShownKey {
            frame: visit.frame("keys"),
            key: made.secret().expose(),
            row: KeyRow::of(record, &[], &self.key_ids, now),
            is_rotated: record.previous.is_some(),
            grace: grace_ends.map(|end| (Moment::at(end, now), Countdown::to(end, now))),
            origin: self.guard.policy().public_origin().unwrap_or("https://api.example.com"),
        };
        page::page(visit, status, &shown)
    }
}
