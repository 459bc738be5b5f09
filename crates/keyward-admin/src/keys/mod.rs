//! The management of keys: `/api/v1/user/api-keys`.

mod authority;
mod change;
mod create;
mod fields;
mod ids;
mod look;

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
    Record(Box<RecordTold>),
    /// By a number in place of the record's id.
    Numbered {
        id: u64,
        #[serde(flatten)]
        others: Map<String, Value>,
    },
}

impl Parts {
    fn as_json(&self, told: RecordTold) -> Told {
        let ShownId::Number(id) = self.key_ids.shown(&told.id) else { return Told::Record(Box::new(told)) };
        match serde_json::to_value(&told) {
            Ok(Value::Object(mut others)) => {
                others.remove("id");
                Told::Numbered { id, others }
            }
            _ => Told::Record(Box::new(told)),
        }
    }

    fn shown(&self, status: StatusCode, made: &Made, usage: &[SlotUsage]) -> Answer {
        let told = self.as_json(RecordTold::of(made.record(), self.clock.now().wall, usage));
        answer::json(status, &Shown { key: made.secret().expose(), told })
    }

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
