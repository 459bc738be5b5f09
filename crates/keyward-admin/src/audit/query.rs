//! What is asked for.

use keyward::Timestamp;
use keyward::account::AccountId;
use keyward::key::KeyId;

use super::cursor::{Cursor, Order};
use super::entry::{Entry, Outcome, Subject};
use super::fault;
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::keys::KeyIds;

/// What is asked for. Nothing set: all.
#[derive(Debug)]
pub(crate) struct Query {
    pub(super) format: Format,
    pub(super) from_cursor: Cursor,
    pub(crate) limit: usize,
    pub(super) subject: Option<Subject>,
    key: Option<KeyId>,
    account: Option<AccountId>,
    actor: Option<String>,
    outcome: Option<Outcome>,
    /// At this time or later.
    pub(super) from: Option<Timestamp>,
    /// Before this time.
    pub(super) to: Option<Timestamp>,
}

/// As what it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One document, for programs that turn pages.
    Json,
    /// One object a line.
    JsonLines,
    Csv,
}

impl Format {
    pub(crate) const ALL: [(&str, Self); 3] = [("json", Self::Json), ("jsonl", Self::JsonLines), ("csv", Self::Csv)];

    /// How many entries there are at most, and unless something else is asked for.
    fn limits(self) -> (usize, usize) {
        match self {
            Self::Json => (200, 50),
            Self::JsonLines | Self::Csv => (10_000, 1_000),
        }
    }

    /// How many rows are looked at for one answer.
    pub(super) fn looks_at(self) -> usize {
        match self {
            Self::Json => 1_000,
            Self::JsonLines | Self::Csv => 20_000,
        }
    }

    /// About how many bytes one answer has at most: a row can hold two whole records.
    pub(super) fn largest(self) -> usize {
        4 * 1024 * 1024
    }
}

impl Query {
    pub(super) const FIELDS: [&str; 11] =
        ["format", "order", "after", "limit", "subject", "key", "account", "actor", "outcome", "from", "to"];

    /// Every fault at once. A field that is empty is one that is not there, as forms send it.
    pub(crate) fn read(form: &Form, ids: &KeyIds) -> Result<Self, Refusal> {
        let mut faults = Vec::new();
        form.unknown(&Self::FIELDS, &mut faults);
        let format = one_of(form, "format", &mut faults, &Format::ALL).unwrap_or(Format::Json);
        let order = one_of(form, "order", &mut faults, &[("newest", Order::Newest), ("oldest", Order::Oldest)]);
        let after = read(form, "after", &mut faults, "is none of the values that `next` has", |text| text.parse().ok());
        if let (Some(Cursor { order: begun, .. }), Some(order)) = (after, order)
            && begun != order
        {
            faults.push(fault("order", "is another one than that in which the listing began"));
        }
        let (most, usual) = format.limits();
        let in_range = |text: &str| text.parse().ok().filter(|limit| (1..=most).contains(limit));
        let limit = read(form, "limit", &mut faults, &format!("is no number from 1 to {most}"), in_range);
        let subjects = Subject::ALL.map(|subject| (subject.as_str(), subject));
        let outcomes = [Outcome::Success, Outcome::Failure].map(|outcome| (outcome.as_str(), outcome));
        let time = "is no time like 2027-01-31T12:00:00Z (RFC 3339)";
        let query = Self {
            format,
            from_cursor: after.unwrap_or_else(|| Cursor::beginning(order.unwrap_or(Order::Newest))),
            limit: limit.unwrap_or(usual),
            subject: one_of(form, "subject", &mut faults, &subjects),
            key: read(form, "key", &mut faults, "is no id of a key", |text| ids.read(text)),
            account: read(form, "account", &mut faults, "is no id of an account", |text| text.parse().ok()),
            actor: read(form, "actor", &mut faults, "", |text| Some(text.to_owned())),
            outcome: one_of(form, "outcome", &mut faults, &outcomes),
            from: read(form, "from", &mut faults, time, |text| text.parse().ok()),
            to: read(form, "to", &mut faults, time, |text| text.parse().ok()),
        };
        if faults.is_empty() { Ok(query) } else { Err(Refusal::Fields(faults)) }
    }

    /// Whether an entry is meant.
    pub(super) fn wants(&self, entry: &Entry) -> bool {
        let is = |wanted: Option<&str>, found: Option<&str>| wanted.is_none_or(|wanted| found == Some(wanted));
        self.subject.is_none_or(|subject| entry.subject == subject)
            && self.key.is_none_or(|key| entry.key == Some(key))
            && is(self.account.as_ref().map(AccountId::as_str), entry.account_id.as_deref())
            && self.outcome.is_none_or(|outcome| entry.outcome == outcome)
            && self.from.is_none_or(|from| entry.at >= from)
            && self.to.is_none_or(|to| entry.at < to)
            && self.actor.as_deref().is_none_or(|actor| entry.actor.as_deref().is_some_and(|found| is_actor(found, actor)))
    }
}

/// `account ID` is also found by the id alone.
fn is_actor(found: &str, wanted: &str) -> bool {
    found == wanted || found.split_once(' ').is_some_and(|(what, id)| matches!(what, "account" | "key") && id == wanted)
}

fn read<T>(
    form: &Form,
    field: &str,
    faults: &mut Vec<FieldFault>,
    detail: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    let text = form.get(field).trim();
    if text.is_empty() {
        return None;
    }
    let value = read(text);
    if value.is_none() {
        faults.push(fault(field, detail));
    }
    value
}

fn one_of<T: Copy>(form: &Form, field: &str, faults: &mut Vec<FieldFault>, choices: &[(&str, T)]) -> Option<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let (last, first) = names.split_last()?;
    let detail = format!("is neither {} nor {last}", first.join(", "));
    read(form, field, faults, &detail, |text| choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_is_told() {
        let faults = |query: &str| match Query::read(&Form::read(query.as_bytes()).unwrap(), &KeyIds::Texts) {
            Ok(_) => Vec::new(),
            Err(Refusal::Fields(faults)) => faults.into_iter().map(|fault| fault.field).collect(),
            Err(other) => panic!("{other:?}"),
        };
        let none: [&str; 0] = [];
        for good in ["", "key=&limit=&from=&to=&subject=", "limit=200", "format=csv&limit=10000", "order=oldest&after=o-1-2-3"] {
            assert_eq!(faults(good), none, "{good}");
        }
        assert_eq!(
            faults("format=xml&order=up&after=1&subject=keys&key=%3F&account=%3F&outcome=ok&from=today&to=1&page=2").len(),
            10
        );
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("format=csv&limit=10001", "limit"),
            ("order=newest&after=o-1-2-3", "order"),
            ("from=2027-01-31", "from"),
        ] {
            assert_eq!(faults(query), [field], "{query}");
        }
    }

    #[test]
    fn an_actor_is_found_by_what_the_journal_says_and_by_the_id_alone() {
        for (found, wanted, is) in [
            ("account a1", "account a1", true),
            ("account a1", "a1", true),
            ("key k1", "k1", true),
            ("keyward keys (ada)", "keyward keys (ada)", true),
            ("keyward keys (ada)", "keys (ada)", false),
            ("account a1", "a", false),
            ("account a1", "key a1", false),
        ] {
            assert_eq!(is_actor(found, wanted), is, "{found} {wanted}");
        }
    }
}
