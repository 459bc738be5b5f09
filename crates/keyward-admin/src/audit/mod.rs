//! Who did what, and who tried to: the journals of keys and accounts and the latest sign-ins, as one listing.
//!
//! Administrators see all of it, and others what concerns their own keys and account. A request looks at a bounded number of rows:
//! a page may be short, or empty, and the next one goes on where it ended.

mod cursor;
mod entry;
mod export;
mod failed_attempts;
mod journals;
mod query;
mod reader;
mod sign_ins;

pub(crate) use entry::{Entry, Outcome, Subject};
pub use failed_attempts::{FailedAttempts, FailedAttemptsOf};
pub(crate) use journals::Journals;
pub(crate) use query::{Format, Query};
pub(crate) use sign_ins::{Attempt, Given, GivenFor};

use http::StatusCode;
use serde::Serialize;

use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::incoming::Incoming;
use crate::page::Page;
use reader::Reading;

/// What a request found.
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// Where the next page begins: `after` of the next request.
    pub(crate) next: Option<String>,
}

#[derive(Serialize)]
struct Listed<'f> {
    items: &'f [Entry],
    next: Option<&'f str>,
}

#[derive(Serialize)]
struct Attempts {
    items: Vec<FailedAttemptsOf>,
}

impl Parts {
    pub(crate) async fn answer_audit(&self, rest: &[&str], request: &Incoming, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        match (rest, request.head.method.as_str()) {
            ([], "GET" | "HEAD") => self.audit(&request.query()?, actor).await,
            ([], _) => Err(Refusal::Method("GET, HEAD")),
            (["failed-attempts"], "GET" | "HEAD") => self.failed_attempts(&request.query()?, actor),
            (["failed-attempts"], _) => Err(Refusal::Method("GET, HEAD")),
            _ => Err(Refusal::NotFound),
        }
    }

    /// `GET /api/v1/audit`.
    async fn audit(&self, form: &Form, actor: &Actor) -> Result<Answer, Refusal> {
        let query = Query::read(form, &self.key_ids)?;
        let found = self.page_of_audit(&query, actor).await?;
        match query.format {
            Format::Json => Ok(answer::json(StatusCode::OK, &Listed { items: &found.entries, next: found.next.as_deref() })),
            Format::JsonLines => Ok(export::json_lines(&found, form)),
            Format::Csv => export::csv(&found, form),
        }
    }

    pub(crate) async fn page_of_audit(&self, query: &Query, actor: &Actor) -> Result<Found, Refusal> {
        let mut reading = Reading::begin(self, query, actor).await?;
        let (mut entries, mut size) = (Vec::new(), 0);
        loop {
            let before = reading.cursor();
            let Some(entry) = reading.next_entry().await? else { return Ok(Found { entries, next: None }) };
            if query.wants(&entry) && entry.is_seen_by(actor) {
                size += entry.size();
                if entries.len() == query.limit || (size > query.format.largest() && !entries.is_empty()) {
                    return Ok(Found { entries, next: Some(before.to_string()) });
                }
                entries.push(entry);
            }
            if reading.looked_at() >= query.format.looks_at() {
                return Ok(Found { entries, next: Some(reading.cursor().to_string()) });
            }
        }
    }

    /// `GET /api/v1/audit/failed-attempts`, for administrators: those with the most first.
    fn failed_attempts(&self, form: &Form, actor: &Actor) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        let page = Page::<NoSecondPage>::read(form, &[])?;
        Ok(answer::json(StatusCode::OK, &Attempts { items: self.attempts.latest(page.limit, self.clock.now().wall) }))
    }
}

/// All there is fits on one page.
#[derive(Debug)]
struct NoSecondPage;

impl std::str::FromStr for NoSecondPage {
    type Err = ();

    fn from_str(_: &str) -> Result<Self, ()> {
        Err(())
    }
}

fn fault(field: &str, detail: impl Into<String>) -> FieldFault {
    FieldFault::new(field, detail)
}
