//! Who changed what about keys: one's own, and for administrators everybody's.

use askama::Template;
use http::StatusCode;
use keyward::Timestamp;
use keyward::store::Journalled;
use serde_json::Value;

use super::moment::Moment;
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;
use crate::keys::KeyIds;
use crate::page::Page;

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit<'v> {
    frame: Frame<'v>,
    rows: Vec<Row>,
    is_first: bool,
    next: Option<u64>,
}

struct Row {
    at: Moment,
    actor: String,
    action: String,
    key: String,
    key_name: String,
    changes: Vec<Change>,
}

/// One field as it was and as it became.
struct Change {
    field: String,
    before: String,
    after: String,
}

impl Parts {
    pub(super) async fn audit_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let page = Page::<u64>::read(&visit.request.query()?, &[])?;
        let (rows, next) = self.page_of_journal(actor, &page).await?;
        let now = self.clock.now().wall;
        let rows = rows.into_iter().map(|row| Row::of(row, &self.key_ids, actor, now)).collect();
        let audit = Audit { frame: visit.frame("audit"), rows, is_first: page.after.is_none(), next };
        page::page(visit, StatusCode::OK, &audit)
    }

    /// The journal has no listing by owner: one's own rows are picked out, and a bounded number of rows is looked at. The page may
    /// be short then, or empty, and the next one goes on where it ended.
    async fn page_of_journal(&self, actor: &Actor, page: &Page<u64>) -> Result<(Vec<Journalled>, Option<u64>), Refusal> {
        const LOOKED_AT: usize = 1_000;
        let is_admin = actor.is_admin();
        let wanted = if is_admin { page.limit + 1 } else { LOOKED_AT };
        let found = self.keys.journal(page.after.unwrap_or(0), wanted).await?;
        let end = found.last().map(|row| row.number).filter(|_| found.len() == wanted);
        let own: Vec<Journalled> = found.into_iter().filter(|row| is_admin || is_of(row, actor)).collect();
        let is_cut = own.len() > page.limit;
        let (rows, _) = page.cut(own, |row| row.number.to_string());
        let next = if is_cut { rows.last().map(|row| row.number) } else { end };
        Ok((rows, next))
    }
}

/// Whether a change was made to a key of the actor's. A key has one owner as long as it lives.
fn is_of(row: &Journalled, actor: &Actor) -> bool {
    let owner = row.after.as_ref().or(row.before.as_ref()).and_then(|told| told.get("owner")).and_then(Value::as_str);
    owner.is_some() && owner == actor.owner.as_deref()
}

impl Row {
    fn of(row: Journalled, ids: &KeyIds, actor: &Actor, now: Timestamp) -> Self {
        let told = row.after.as_ref().or(row.before.as_ref());
        Self {
            at: Moment::at(row.at, now),
            actor: if *row.actor == *actor.name { "You".to_owned() } else { row.actor.to_string() },
            action: match &*row.action {
                "create" => "Created".to_owned(),
                "revoke" => "Revoked".to_owned(),
                "rotate" => "Rotated".to_owned(),
                "update" => "Changed".to_owned(),
                "rehash" => "Rehashed".to_owned(),
                "purge" => "Removed".to_owned(),
                other => other.to_owned(),
            },
            key: ids.shown(row.key.as_str()).to_string(),
            key_name: told.and_then(|told| told.get("name")).and_then(Value::as_str).unwrap_or_default().to_owned(),
            changes: changes(row.before.as_ref(), row.after.as_ref()),
        }
    }
}

/// What differs, where there is something before and after. How the secrets are stored is of no use to people.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) else { return Vec::new() };
    after
        .iter()
        .filter(|(field, value)| !matches!(field.as_str(), "current" | "previous") && before.get(*field) != Some(*value))
        .map(|(field, value)| Change {
            field: field.replace('_', " "),
            before: told(before.get(field).unwrap_or(&Value::Null)),
            after: told(value),
        })
        .collect()
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
