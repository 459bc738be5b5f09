//! The management of keys: `/api/v1/user/api-keys`, and `/api/v1/agent-keys` for those of agents.

mod authority;
mod change;
mod collection;
mod create;
mod fields;
mod look;

#[cfg(test)]
pub(crate) use change::ROTATION;
#[cfg(feature = "openapi")]
pub(crate) use change::Revoked;
#[cfg(feature = "openapi")]
pub(crate) use collection::AgentKeyTold;
pub(crate) use collection::Collection;

use http::StatusCode;
use keyward::Timestamp;
use keyward::store::{RecordTold, SlotUsage};
use serde::Serialize;

use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::incoming::Incoming;
use collection::Told;

/// A key just made or rotated: the one answer that holds it.
#[derive(Serialize)]
struct Shown<'k> {
    key: &'k str,
    #[serde(flatten)]
    told: Told,
}

fn shown(collection: Collection, status: StatusCode, made: &keyward::Made, now: Timestamp, usage: &[SlotUsage]) -> Answer {
    let told = collection.told(RecordTold::of(made.record(), now, usage));
    answer::json(status, &Shown { key: made.secret().expose(), told })
}

impl Parts {
    pub(crate) async fn answer_keys(
        &self,
        collection: Collection,
        rest: &[&str],
        request: &Incoming,
        actor: &Actor,
    ) -> Result<Answer, Refusal> {
        actor.demand_keys()?;
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
