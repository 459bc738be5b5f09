//! The management of keys: `/api/v1/user/api-keys`.

mod authority;
mod change;
mod create;
mod fields;
mod look;

use http::StatusCode;
use keyward::Timestamp;
use keyward::store::{RecordTold, SlotUsage};
use serde::Serialize;

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
    told: RecordTold,
}

fn shown(status: StatusCode, made: &keyward::Made, now: Timestamp, usage: &[SlotUsage]) -> Answer {
    answer::json(status, &Shown { key: made.secret().expose(), told: RecordTold::of(made.record(), now, usage) })
}

impl Parts {
    pub(crate) async fn answer_keys(&self, rest: &[&str], request: &Incoming, actor: &Actor) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let fields = |is_demanded| request.json_object(is_demanded);
        match (rest, request.head.method.as_str()) {
            ([], "GET" | "HEAD") => self.list_keys(actor, &request.query()?).await,
            ([], "POST") => self.create_key(actor, &fields(true)?).await,
            ([], _) => Err(Refusal::Method("GET, HEAD, POST")),
            ([id], "GET" | "HEAD") => self.show_key(actor, id).await,
            ([id], "PATCH") => self.change_key(actor, id, &fields(true)?).await,
            ([id], "DELETE") => self.revoke_key(actor, id).await,
            ([_], _) => Err(Refusal::Method("GET, HEAD, PATCH, DELETE")),
            ([id, "rotate"], "POST") => self.rotate_key(actor, id, &fields(false)?).await,
            ([_, "rotate"], _) => Err(Refusal::Method("POST")),
            _ => Err(Refusal::NotFound),
        }
    }
}
