//! One thing that happened, whichever journal tells it.

use keyward::Timestamp;
use keyward::account::AccountJournalled;
use keyward::key::KeyId;
use keyward::store::Journalled;
use serde::Serialize;
use serde_json::{Map, Value};

use super::sign_ins::SignIn;
use crate::actor::{Actor, Who};
use crate::keys::{KeyIds, ShownId};

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// A change to a key.
    Key,
    /// A change to an account.
    Account,
    /// A password that somebody gave.
    SignIn,
}

impl Subject {
    pub(crate) const ALL: [Self; 3] = [Self::Key, Self::Account, Self::SignIn];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Account => "account",
            Self::SignIn => "sign-in",
        }
    }
}

/// Whether it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditEntry))]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) subject: Subject,
    /// What the journal calls it.
    pub(crate) action: String,
    pub(crate) outcome: Outcome,
    /// Why it failed.
    pub(crate) reason: Option<&'static str>,
    /// Who did it: `account ID`, `key ID`, or the program that acted.
    pub(crate) actor: Option<String>,
    /// As clients call it.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub(crate) key_id: Option<ShownId>,
    pub(crate) key_name: Option<String>,
    /// Whose key it is.
    pub(crate) owner: Option<String>,
    pub(crate) account_id: Option<String>,
    pub(crate) email: Option<String>,
    /// From where, where that is known.
    pub(crate) address: Option<String>,
    pub(crate) changes: Vec<Change>,
    #[serde(skip)]
    pub(super) key: Option<KeyId>,
    /// Its row's number in its journal.
    #[serde(skip)]
    pub(super) number: u64,
}

/// One field as it was, and as it became.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AuditChange))]
pub(crate) struct Change {
    pub(crate) field: String,
    pub(crate) before: Value,
    pub(crate) after: Value,
}

impl Entry {
    pub(super) fn of_key(row: Journalled, ids: &KeyIds) -> Self {
        let text = |field: &str| text_of(row.after.as_ref().or(row.before.as_ref()), field);
        Self {
            id: format!("key-{}", row.number),
            at: row.at,
            subject: Subject::Key,
            outcome: Outcome::Success,
            reason: None,
            key_id: Some(ids.shown(row.key.as_str())),
            key: Some(row.key),
            key_name: text("name"),
            owner: text("owner"),
            account_id: None,
            email: None,
            address: None,
            changes: changes(row.before.as_ref(), row.after.as_ref()),
            action: row.action.into(),
            actor: Some(row.actor.into()),
            number: row.number,
        }
    }

    pub(super) fn of_account(row: AccountJournalled) -> Self {
        Self {
            id: format!("account-{}", row.number),
            at: row.at,
            subject: Subject::Account,
            outcome: Outcome::Success,
            reason: None,
            key_id: None,
            key: None,
            key_name: None,
            owner: None,
            account_id: Some(row.account.to_string()),
            email: text_of(row.after.as_ref().or(row.before.as_ref()), "email"),
            address: None,
            changes: changes(row.before.as_ref(), row.after.as_ref()),
            action: row.action.into(),
            actor: Some(row.actor.into()),
            number: row.number,
        }
    }

    pub(super) fn of_sign_in(number: u64, row: &SignIn) -> Self {
        let account = row.account.as_ref().map(ToString::to_string);
        Self {
            id: format!("sign-in-{number}"),
            at: row.at,
            subject: Subject::SignIn,
            action: row.given_for.as_str().to_owned(),
            outcome: if row.given.is_accepted() { Outcome::Success } else { Outcome::Failure },
            reason: (!row.given.is_accepted()).then(|| row.given.as_str()),
            // Whoever failed is not known to be the account's owner.
            actor: account.as_ref().filter(|_| row.given.is_accepted()).map(|id| format!("account {id}")),
            key_id: None,
            key: None,
            key_name: None,
            owner: None,
            account_id: account,
            email: row.email.as_ref().map(ToString::to_string),
            address: row.client.map(|client| client.to_string()),
            changes: Vec::new(),
            number,
        }
    }

    /// Administrators see everything; others their own keys, and people their own account, too.
    pub(super) fn is_seen_by(&self, actor: &Actor) -> bool {
        if actor.is_admin() {
            return true;
        }
        match (self.subject, &actor.who) {
            (Subject::Key, _) => self.owner.as_deref() == actor.owner.as_deref(),
            (_, Who::Person { account: Some(own), .. }) => self.account_id.as_deref() == Some(own.as_str()),
            _ => false,
        }
    }

    /// About how many bytes it takes: journals hold records whole.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.actor, &self.key_name, &self.owner, &self.email];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let changes: usize =
            self.changes.iter().map(|change| change.field.len() + size_of(&change.before) + size_of(&change.after)).sum();
        300 + texts + changes
    }
}

fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size_of).sum::<usize>() + values.len(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size_of(value)).sum(),
        _ => 8,
    }
}

fn text_of(told: Option<&Value>, field: &str) -> Option<String> {
    told?.get(field)?.as_str().map(str::to_owned)
}

/// What differs, and all that was set where there was nothing before. How secrets are stored is of no use to people, and the id is told
/// elsewhere.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<Change> {
    const TOLD_ELSEWHERE: [&str; 5] = ["id", "current", "previous", "created_at", "last_used_at"];
    let Some(Value::Object(after)) = after else { return Vec::new() };
    let nothing = Map::new();
    let before = before.and_then(Value::as_object).unwrap_or(&nothing);
    let is_nothing = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    after
        .iter()
        .filter(|(field, _)| !TOLD_ELSEWHERE.contains(&field.as_str()))
        .filter(|(field, value)| match before.get(*field) {
            Some(before) => before != *value,
            None => !is_nothing(value),
        })
        .map(|(field, value)| Change {
            field: field.clone(),
            before: before.get(field).cloned().unwrap_or(Value::Null),
            after: value.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_and_what_a_new_one_has() {
        let told = |before: Value, after: Value| {
            let told = |value: &Value| value.is_object().then(|| value.clone());
            let changes = changes(told(&before).as_ref(), told(&after).as_ref());
            changes.into_iter().map(|change| (change.field, change.before, change.after)).collect::<Vec<_>>()
        };
        let before = json!({"id": "1", "name": "a", "scopes": [], "disabled": false, "current": {"pepper": 0}});
        let after = json!({"id": "1", "name": "a", "scopes": ["b:c"], "disabled": false, "current": {"pepper": 1}});
        assert_eq!(told(before.clone(), after.clone()), [("scopes".to_owned(), json!([]), json!(["b:c"]))]);
        assert_eq!(told(after.clone(), before.clone()), [("scopes".to_owned(), json!(["b:c"]), json!([]))]);
        assert_eq!(
            told(Value::Null, after.clone()),
            [("name".to_owned(), Value::Null, json!("a")), ("scopes".to_owned(), Value::Null, json!(["b:c"]))]
        );
        assert_eq!((told(after.clone(), Value::Null), told(before.clone(), before)), (vec![], vec![]));
    }
}
