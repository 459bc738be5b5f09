//! Who did what: one's own, and for administrators everybody's, the newest first.

use askama::Template;
use http::StatusCode;
use keyward::Timestamp;
use serde_json::Value;

use super::field::Choice;
use super::moment::Moment;
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::audit::{Entry, FailedAttemptsOf, Outcome, Query, Subject};
use crate::fault::Refusal;
use crate::form::Form;

/// How many addresses are shown that failed.
const ADDRESSES: usize = 20;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit<'v> {
    frame: Frame<'v>,
    rows: Vec<Row>,
    subjects: Vec<Choice>,
    outcomes: Vec<Choice>,
    form: &'v Form,
    is_first: bool,
    /// What the next page, and an export, are asked for by.
    next: Option<String>,
    filters: String,
    attempts: Vec<Attempts>,
}

struct Row {
    at: Moment,
    actor: Option<String>,
    what: String,
    is_failure: bool,
    /// The id and the name of a key.
    key: Option<(String, String)>,
    account: Option<String>,
    address: Option<String>,
    changes: Vec<Change>,
}

/// One field as it was and as it became.
struct Change {
    field: String,
    before: String,
    after: String,
}

struct Attempts {
    told: FailedAttemptsOf,
    last: Moment,
}

impl Parts {
    pub(super) async fn audit_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let form = visit.request.query()?;
        let query = Query::read(&form, &self.key_ids)?;
        let found = self.page_of_audit(&query, actor).await?;
        let now = self.clock.now().wall;
        let is_first = form.get("after").is_empty();
        let filters = filters(&form);
        let attempts = if actor.is_admin() && is_first { self.attempts.latest(ADDRESSES, now) } else { Vec::new() };
        let audit = Audit {
            frame: visit.frame("audit"),
            rows: found.entries.into_iter().map(|entry| Row::of(entry, actor, now)).collect(),
            subjects: Choice::of(
                &[("", "Everything"), ("key", "Keys"), ("account", "Accounts"), ("sign-in", "Sign-ins")],
                form.get("subject"),
            ),
            outcomes: Choice::of(&[("", "Any"), ("success", "Done"), ("failure", "Failed")], form.get("outcome")),
            is_first,
            next: found.next.map(|next| format!("{filters}after={next}")),
            filters,
            attempts: attempts.into_iter().map(|told| Attempts { last: Moment::at(told.last_at, now), told }).collect(),
            form: &form,
        };
        page::page(visit, StatusCode::OK, &audit)
    }
}

/// The filters, for a query that goes on behind them.
fn filters(form: &Form) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for field in ["subject", "key", "account", "actor", "outcome", "from", "to", "order"] {
        if !form.get(field).is_empty() {
            query.append_pair(field, form.get(field));
        }
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("{query}&") }
}

impl Row {
    fn of(entry: Entry, actor: &Actor, now: Timestamp) -> Self {
        // All that a new one has is on its own page.
        let changes = if entry.action == "create" { Vec::new() } else { entry.changes };
        Self {
            at: Moment::at(entry.at, now),
            actor: entry.actor.map(|name| if name == actor.name { "You".to_owned() } else { name }),
            what: what(entry.subject, &entry.action, entry.reason),
            is_failure: entry.outcome == Outcome::Failure,
            key: entry.key_id.map(|id| (id.to_string(), entry.key_name.unwrap_or_default())),
            account: entry.email,
            address: entry.address,
            changes: changes
                .iter()
                .map(|change| Change {
                    field: change.field.replace('_', " "),
                    before: told(&change.before),
                    after: told(&change.after),
                })
                .collect(),
        }
    }
}

/// In words.
fn what(subject: Subject, action: &str, reason: Option<&str>) -> String {
    let what = match (subject, action) {
        (Subject::Key, "create") => "Key created",
        (Subject::Key, "revoke") => "Key revoked",
        (Subject::Key, "rotate") => "Key rotated",
        (Subject::Key, "update") => "Key changed",
        (Subject::Key, "rehash") => "Key rehashed",
        (Subject::Key, "purge") => "Key removed",
        (Subject::Account, "create") => "Account made",
        (Subject::Account, "rename") => "Name changed",
        (Subject::Account, "password") => "Password changed",
        (Subject::Account, "admin") => "Administrator’s rights changed",
        (Subject::Account, "disable") => "Account switched off or on",
        (Subject::Account, "remove") => "Account removed",
        (Subject::SignIn, "sign-in") => "Sign-in",
        (Subject::SignIn, "confirm-password") => "Password confirmation",
        (_, other) => other,
    };
    match reason {
        None => what.to_owned(),
        Some(reason) => format!("{what} failed: {}", reason.replace('-', " ")),
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(on) => if *on { "yes" } else { "no" }.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "nothing".to_owned(),
        Value::Array(values) => values.iter().map(told).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
