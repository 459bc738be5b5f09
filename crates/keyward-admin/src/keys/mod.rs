//! The management of keys: `/api/v1/user/api-keys`, and `/api/v1/agent-keys` for those of agents.

mod authority;
mod change;
mod collection;
mod create;
mod fields;
mod ids;
mod look;

#[cfg(all(test, feature = "openapi"))]
pub(crate) use change::ROTATION;
#[cfg(feature = "openapi")]
pub(crate) use change::Revoked;
pub(crate) use collection::{AgentKeyTold, Collection};
pub(crate) use ids::{KeyIds, ShownId};

use http::StatusCode;
use keyward::Made;
use keyward::store::{RecordTold, SlotUsage};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::incoming::Incoming;

/// A key just made or rotated: the one answer that holds it.
#[derive(Serialize)]
struct Shown<'k> {
    key: &'k str,
    #[serde(flatten)]
    told: Told,
}

/// A key, as JSON.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Told {
    Key(Box<RecordTold>),
    Agent(Box<AgentKeyTold>),
    /// Either of them, by a number in place of the record's id.
    Numbered {
        id: u64,
        #[serde(flatten)]
        others: Map<String, Value>,
    },
}

impl Parts {
    fn as_json(&self, collection: Collection, told: RecordTold) -> Told {
        let id = self.key_ids.shown(&told.id);
        let told = collection.told(told);
        let ShownId::Number(id) = id else { return told };
        match serde_json::to_value(&told) {
            Ok(Value::Object(mut others)) => {
                others.remove("id");
                Told::Numbered { id, others }
            }
            _ => told,
        }
    }

    fn shown(&self, collection: Collection, status: StatusCode, made: &Made, usage: &[SlotUsage]) -> Answer {
        let told = self.as_json(collection, RecordTold::of(made.record(), self.clock.now().wall, usage));
        answer::json(status, &Shown { key: made.secret().expose(), told })
    }

    pub(crate) async fn answer_keys(
        &self,
        collection: Collection,
        rest: &[&str],
        request: &Incoming,
        actor: &Actor,
    ) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let fields = |is_demanded| request.json_object(is_demanded);
        match (rest, request.head.method.as_str()) {
            ([], "GET" | "HEAD") => self.list_keys(collection, actor, &request.query()?).await,
            ([], "POST") => self.create_key(collection, actor, &fields(true)?).await,
            ([], _) => Err(Refusal::Method("GET, HEAD, POST")),
            ([id], "GET" | "HEAD") => self.show_key(collection, actor, id).await,
            ([id], "PATCH") => self.change_key(collection, actor, id, &fields(true)?).await,
            ([id], "DELETE") => self.revoke_key(collection, actor, id).await,
            ([_], _) => Err(Refusal::Method("GET, HEAD, PATCH, DELETE")),
            ([id, "rotate"], "POST") => self.rotate_key(collection, actor, id, &fields(false)?).await,
            ([_, "rotate"], _) => Err(Refusal::Method("POST")),
            _ => Err(Refusal::NotFound),
        }
    }
}
