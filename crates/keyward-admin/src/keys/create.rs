//! A new key.

use http::StatusCode;
use keyward::{Made, NewKey};
use serde_json::{Map, Value};

use super::collection::Collection;
use super::fields::Fields;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;

impl Parts {
    /// `POST`. The owner is the actor's: there is no field for it.
    pub(super) async fn create_key(
        &self,
        collection: Collection,
        actor: &Actor,
        object: &Map<String, Value>,
    ) -> Result<Answer, Refusal> {
        let made = self.create_own_key(collection, actor, object).await?;
        Ok(self.shown(collection, StatusCode::CREATED, &made, &[]))
    }

    pub(crate) async fn create_own_key(
        &self,
        collection: Collection,
        actor: &Actor,
        object: &Map<String, Value>,
    ) -> Result<Made, Refusal> {
        let new = self.new_key(collection, actor, object)?;
        let keys = self.keys.acting_as(actor.name.as_str());
        let made = self.key_ids.create(&keys, new).await?;
        // An account that is removed is switched off first, and then its keys are revoked: one made in between is seen here.
        if let Err(refusal) = self.demand_owner(actor).await {
            keys.revoke(&made.record().id).await?;
            return Err(refusal);
        }
        Ok(made)
    }

    fn new_key(&self, collection: Collection, actor: &Actor, object: &Map<String, Value>) -> Result<NewKey, Refusal> {
        let now = self.clock.now().wall;
        let mut fields = Fields::new(object, &collection.fields_of_new());
        actor.check_reserved(collection, &mut fields);
        let name = fields.text("name").flatten().unwrap_or_default();
        if name.trim().is_empty() {
            fields.fault("name", "is missing: it tells people what the key is for");
        }
        let mut new = NewKey::named(name)
            .prefix(collection.prefix(self.settings.key_prefix.as_str()))
            .unwrap_or_else(|_| NewKey::named(""));
        if let Some(prefix) = fields.text("prefix").flatten() {
            match new.clone().prefix(&prefix) {
                Ok(prefixed) => new = prefixed,
                Err(bad) => fields.fault("prefix", bad.to_string()),
            }
        }
        if let Some(owner) = &actor.owner {
            new = new.owner(owner.clone());
        }
        if let Some(kind) = fields.text("kind").flatten().or(collection.kind().map(Into::into)) {
            new = new.kind(kind);
        }
        let scopes = fields.scopes();
        actor.check_scopes(scopes.as_deref(), &mut fields);
        for scope in scopes.unwrap_or_default() {
            new = new.granting(scope);
        }
        if let Some(time) = fields.time("not_before").flatten() {
            new = new.not_before(time);
        }
        let expires = fields.time("expires_at").flatten();
        let (field, unit) = collection.span();
        let span = fields.span(field, unit, 1);
        match (expires, span) {
            (Some(_), Some(_)) => fields.fault(field, "is there beside `expires_at`: leave one of them out"),
            (Some(time), None) if time <= now => fields.fault("expires_at", "is over already"),
            (Some(time), None) => new = new.expires_at(time),
            (None, Some(span)) => new = new.expires_in(span),
            (None, None) => {}
        }
        if let Some(networks) = fields.networks().flatten() {
            new = new.allow_networks(networks);
        }
        if let Some(pattern) = fields.resource_pattern().flatten() {
            new = new.resource_pattern(pattern);
        }
        for quota in fields.limits().flatten().unwrap_or_default() {
            new = new.limited_to(quota);
        }
        for (name, value) in collection.metadata_of_new(&mut fields) {
            new = new.metadata(name, value);
        }
        if let Err(bad) = new.check() {
            fields.fault(bad.field(), bad.problem());
        }
        fields.finish(new)
    }
}
