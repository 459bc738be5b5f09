//! Who did what, and who tried to.

use utoipa::openapi::path::{HttpMethod, ParameterIn};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};

use super::draft::{Described, Draft};
use super::keys::{page_of, text};
use crate::audit::{Entry, FailedAttemptsOf, Format, Subject};

const TAG: &str = "Audit";

pub(super) fn describe(draft: &mut Draft) {
    let entry = draft.schema::<Entry>();
    let page = draft.named("PageOfAudit", page_of(entry));
    draft
        .operation(TAG, "listAudit", "Lists who did what")
        .saying("The journals of keys and accounts, and the latest sign-ins: all of it for administrators, and for others what concerns them. A page may be short, or empty, and the next one goes on where it ended.")
        .choice("format", "As one document, as lines of JSON, or as a table.", &Format::ALL.map(|(name, _)| name))
        .choice("order", "Which comes first.", &["newest", "oldest"])
        .choice("subject", "What it is about.", &Subject::ALL.map(Subject::as_str))
        .parameter(ParameterIn::Query, "key", "The id of a key.", text())
        .parameter(ParameterIn::Query, "account", "The id of an account.", text())
        .parameter(ParameterIn::Query, "actor", "Who did it.", text())
        .choice("outcome", "Whether it was done.", &["success", "failure"])
        .parameter(ParameterIn::Query, "from", "At this time or later (RFC 3339).", text())
        .parameter(ParameterIn::Query, "to", "Before this time.", text())
        .parameter(ParameterIn::Query, "after", "The `next` of the page before.", text())
        .parameter(ParameterIn::Query, "limit", "How many at most: 200, or 10,000 as lines or a table.", ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(10_000)))
        .answering_files("200", "What was found.", page, &["application/jsonl", "text/csv"])
        .under(HttpMethod::Get, "/api/v1/audit", &[]);

    let attempts = draft.schema::<FailedAttemptsOf>();
    let attempts = ObjectBuilder::new().property("items", ArrayBuilder::new().items(attempts)).required("items");
    let attempts = draft.named("FailedAttemptsByAddress", attempts);
    draft
        .operation(TAG, "listFailedAttempts", "Lists the addresses that bad keys and passwords came from")
        .saying("For administrators: those with the most first.")
        .limited()
        .answering("200", "The addresses.", attempts)
        .under(HttpMethod::Get, "/api/v1/audit/failed-attempts", &[]);
}

impl Described<'_> {
    fn choice(self, name: &str, description: &str, values: &[&str]) -> Self {
        self.parameter(ParameterIn::Query, name, description, text().enum_values(Some(values.iter().copied())))
    }
}
