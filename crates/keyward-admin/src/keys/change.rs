//! Changing, rotating and revoking keys.

use std::time::Duration;

use http::StatusCode;
use keyward::store::Update;
use keyward::{Made, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::ShownId;
use super::collection::Collection;
use super::fields::Fields;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Revoked {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    id: ShownId,
    revoked_at: Option<Timestamp>,
    /// How soon every process that shares the store refuses it. The one that answers does already.
    holds_everywhere_within_seconds: f64,
}

/// The fields of a rotation.
pub(crate) const ROTATION: [&str; 1] = ["grace_seconds"];

impl Parts {
    /// `PATCH …/{id}`. What is not there stays; `null` takes away.
    pub(crate) async fn change_key(
        &self,
        collection: Collection,
        actor: &Actor,
        id: &str,
        object: &Map<String, Value>,
    ) -> Result<Answer, Refusal> {
        let record = self.own_key(collection, actor, id).await?;
        actor.demand_no_more_than_own(&record)?;
        let mut fields = Fields::new(object, &collection.fields_of_change());
        actor.check_reserved(collection, &mut fields);
        let mut update = Update {
            name: fields.text("name").map(Option::unwrap_or_default),
            kind: fields.text("kind"),
            scopes: fields.scopes(),
            not_before: fields.time("not_before"),
            expires: fields.time("expires_at"),
            networks: fields.networks(),
            resource_pattern: fields.resource_pattern(),
            limits: fields.limits(),
            metadata: collection.changed_metadata(&record, &mut fields),
            ..Update::default()
        };
        if update.name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            fields.fault("name", "is empty: it tells people what the key is for");
        }
        actor.check_scopes(update.scopes.as_deref(), &mut fields);
        let disabled = fields.switch("disabled").filter(|disabled| *disabled != record.disabled);
        fields.finish(())?;
        let keys = self.keys.acting_as(actor.name.as_str());
        if let Some(disabled) = disabled {
            update.disabled = Some((disabled, keys.new_epoch()?));
        }
        let record = keys.update(&record.id, update).await?;
        self.show(collection, &record).await
    }

    /// `POST …/{id}/rotate`, with `grace_seconds`: how long the secret in use goes on (0 without).
    pub(super) async fn rotate_key(
        &self,
        collection: Collection,
        actor: &Actor,
        id: &str,
        object: &Map<String, Value>,
    ) -> Result<Answer, Refusal> {
        let made = self.rotate_own_key(collection, actor, id, object).await?;
        let usage = self.keys.usage(&[made.record().id]).await?;
        Ok(self.shown(collection, StatusCode::OK, &made, &usage))
    }

    pub(crate) async fn rotate_own_key(
        &self,
        collection: Collection,
        actor: &Actor,
        id: &str,
        object: &Map<String, Value>,
    ) -> Result<Made, Refusal> {
        let record = self.own_key(collection, actor, id).await?;
        actor.demand_no_more_than_own(&record)?;
        let mut fields = Fields::new(object, &ROTATION);
        let grace = fields.span("grace_seconds", 1, 0).unwrap_or(Duration::ZERO);
        let grace = fields.finish(grace)?;
        Ok(self.keys.acting_as(actor.name.as_str()).rotate(&record.id, grace).await?)
    }

    /// `DELETE …/{id}`: ends it for ever. Doing it again is no fault.
    pub(super) async fn revoke_key(&self, collection: Collection, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        let revoked = self.revoke_own_key(collection, actor, id).await?;
        if collection == Collection::Agents {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
        Ok(answer::json(
            StatusCode::OK,
            &Revoked {
                id: self.key_ids.shown(revoked.record().id.as_str()),
                revoked_at: revoked.record().revoked_at(),
                holds_everywhere_within_seconds: revoked.holds_everywhere_within().as_secs_f64(),
            },
        ))
    }

    pub(crate) async fn revoke_own_key(
        &self,
        collection: Collection,
        actor: &Actor,
        id: &str,
    ) -> Result<keyward::Revoked, Refusal> {
        let record = self.own_key(collection, actor, id).await?;
        Ok(self.keys.acting_as(actor.name.as_str()).revoke(&record.id).await?)
    }
}
