//! Keys, and those of agents among them: the same operations.

use keyward::store::RecordTold;
use serde_json::json;
use utoipa::openapi::path::{HttpMethod, ParameterIn};
use utoipa::openapi::schema::{AllOfBuilder, ArrayBuilder, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Required, Schema};

use super::bodies::{AgentKeyChange, KeyChange, NewAgentKey, NewKey, Rotation};
use super::draft::Draft;
use crate::keys::{AgentKeyTold, Collection, Revoked};

const JSON: &str = "application/json";

struct Words {
    place: &'static str,
    tag: &'static str,
    /// In names of operations and schemas.
    one: &'static str,
    many: &'static str,
}

pub(super) fn describe(draft: &mut Draft, collection: Collection) {
    let (words, told) = match collection {
        Collection::All => {
            (Words { place: "/api/v1/user/api-keys", tag: "Keys", one: "Key", many: "Keys" }, draft.schema::<RecordTold>())
        }
        Collection::Agents => (
            Words { place: "/api/v1/agent-keys", tag: "Agent keys", one: "AgentKey", many: "AgentKeys" },
            draft.schema::<AgentKeyTold>(),
        ),
    };
    let revoked = draft.schema::<Revoked>();
    let Words { place, tag, one, many } = words;
    let shown = draft.named(&format!("Shown{one}"), shown(told.clone()));
    let page = draft.named(&format!("PageOf{many}"), page_of(told.clone()));
    let (each, rotate) = (format!("{place}/{{id}}"), format!("{place}/{{id}}/rotate"));

    let id = |verb: &str| format!("{verb}{one}");
    let listed = match collection {
        Collection::All => "Every key that the caller owns, those of agents included, in the order in which they were made.",
        Collection::Agents => "The keys of agents that the caller owns, in the order in which they were made.",
    };
    draft
        .operation(tag, format!("list{many}"), "Lists keys")
        .saying(listed)
        .parameter(ParameterIn::Query, "state", "Only keys that stand so now.", state())
        .parameter(ParameterIn::Query, "prefix", "Only keys whose shown part begins so.", text())
        .parameter(ParameterIn::Query, "owner", "Whose keys, or `*` for everybody's: for administrators alone.", text())
        .paged()
        .answering("200", "A page of them.", page)
        .under(HttpMethod::Get, place, &[]);

    let new = draft.operation(tag, id("create"), "Makes a key").saying("The key is shown this once. Its owner is the caller's.");
    let new = match collection {
        Collection::All => new.taking::<NewKey>(JSON, Required::True),
        Collection::Agents => new.taking::<NewAgentKey>(JSON, Required::True),
    };
    new.answering("201", "The key.", shown.clone()).under(HttpMethod::Post, place, &["409"]);

    draft
        .operation(tag, id("show"), "Shows a key")
        .parameter(ParameterIn::Path, "id", "The key's id.", text())
        .answering("200", "What is known of it, and never the key itself.", told.clone())
        .under(HttpMethod::Get, &each, &["404"]);

    let change = draft
        .operation(tag, id("change"), "Changes a key")
        .saying("What is left out stays; `null` takes away.")
        .parameter(ParameterIn::Path, "id", "The key's id.", text());
    let change = match collection {
        Collection::All => change.taking::<KeyChange>(JSON, Required::True),
        Collection::Agents => change.taking::<AgentKeyChange>(JSON, Required::True),
    };
    change.answering("200", "The key as it is now.", told).under(HttpMethod::Patch, &each, &["404", "409"]);

    let revoke = draft
        .operation(tag, id("revoke"), "Ends a key for ever")
        .saying("Again is no fault, and it can still be shown.")
        .parameter(ParameterIn::Path, "id", "The key's id.", text());
    let revoke = match collection {
        Collection::All => revoke.answering("200", "It is ended.", revoked),
        Collection::Agents => revoke.answering_nothing("204", "It is ended."),
    };
    revoke.under(HttpMethod::Delete, &each, &["404"]);

    draft
        .operation(tag, id("rotate"), "Gives a key a new secret")
        .saying("The new key is shown this once. The old one is accepted until its grace ends.")
        .parameter(ParameterIn::Path, "id", "The key's id.", text())
        .taking::<Rotation>(JSON, Required::False)
        .answering("200", "The new key.", shown)
        .under(HttpMethod::Post, &rotate, &["404", "409"]);
}

/// A key just made or rotated.
fn shown(told: Ref) -> impl Into<RefOr<Schema>> {
    let key = text().description(Some("The key itself, shown this once."));
    AllOfBuilder::new().item(ObjectBuilder::new().property("key", key).required("key")).item(told)
}

/// A page of a listing.
pub(super) fn page_of(told: Ref) -> impl Into<RefOr<Schema>> {
    let next = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .description(Some("What `after` is for the next page; null: there is none."));
    let items = ArrayBuilder::new().items(told);
    ObjectBuilder::new().property("items", items).property("next", next).required("items").required("next")
}

pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn state() -> ObjectBuilder {
    text().enum_values(Some(["live", "not-yet-valid", "expired", "disabled", "revoked"]))
}

impl super::draft::Described<'_> {
    /// Pages, by what the one before ended with.
    pub(super) fn paged(self) -> Self {
        let after = text().pattern(Some("^[A-Za-z0-9._-]{1,36}$"));
        self.parameter(ParameterIn::Query, "after", "The `next` of the page before.", after).limited()
    }

    pub(super) fn limited(self) -> Self {
        let limit = ObjectBuilder::new().schema_type(Type::Integer);
        let limit = limit.minimum(Some(1)).maximum(Some(200)).default(Some(json!(50)));
        self.parameter(ParameterIn::Query, "limit", "How many at most.", limit)
    }
}
