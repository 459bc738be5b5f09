//! What ends a key, or makes it rest: asked first, and then done.

use keyward::key::Record;
use serde_json::{Map, Value};

use super::confirm::Question;
use super::key_row::KeyRow;
use super::visit::Visit;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::keys::Collection;

/// What is done to a key after a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyAction {
    Revoke,
    Disable,
    Enable,
}

impl KeyAction {
    const ALL: [Self; 3] = [Self::Revoke, Self::Disable, Self::Enable];

    /// By the end of its page's path.
    pub(super) fn at(path: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|action| action.path() == path).ok_or(Refusal::NotFound)
    }

    fn path(self) -> &'static str {
        match self {
            Self::Revoke => "revoke",
            Self::Disable => "disable",
            Self::Enable => "enable",
        }
    }

    /// The verb, the button, and what will be.
    fn told(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Revoke => {
                ("Revoke", "Revoke key", "Programs that use this key are refused from now on. A revoked key never comes back.")
            }
            Self::Disable => ("Disable", "Disable key", "Programs that use this key are refused until you enable it again."),
            Self::Enable => ("Enable", "Enable key", "Programs that have this key are let in again."),
        }
    }

    /// Whether the actor may, and the key can be asked about it.
    fn demand(self, actor: &Actor, record: &Record) -> Result<(), Refusal> {
        if self == Self::Revoke {
            return Ok(());
        }
        actor.demand_no_more_than_own(record)?;
        match record.is_revoked() {
            true => Err(Refusal::Conflict("The key is revoked, and stays so.".to_owned())),
            false => Ok(()),
        }
    }

    /// What is told of one that was done. An address that says so is not enough: somebody else may have sent it.
    pub(super) fn done(path: &str, record: &Record) -> Option<&'static str> {
        match Self::at(path).ok()? {
            Self::Revoke => record.is_revoked().then_some("The key has been revoked."),
            Self::Disable => record.disabled.then_some("The key has been disabled."),
            Self::Enable => (!record.disabled && !record.is_revoked()).then_some("The key has been enabled."),
        }
    }
}

impl Parts {
    pub(super) async fn ask_about_key(
        &self,
        visit: &Visit<'_>,
        actor: &Actor,
        id: &str,
        action: KeyAction,
    ) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        let record = self.own_key(Collection::All, actor, id).await?;
        action.demand(actor, &record)?;
        let usage = self.keys.usage(&[record.id]).await?;
        let row = KeyRow::of(&record, &usage, &self.key_ids, self.clock.now().wall);
        let (verb, button, consequence) = action.told();
        let takes_away = action != KeyAction::Enable;
        let last_used = row.last_used.as_ref().filter(|_| takes_away);
        let question = Question {
            verb,
            name: &row.name,
            consequence,
            warning: last_used.map(|time| format!("It was last used {}. What uses it will be refused.", time.distance())),
            button,
            is_dangerous: action == KeyAction::Revoke,
            action: format!("/dashboard/keys/{}/{}", row.id, action.path()),
            back: format!("/dashboard/keys/{}", row.id),
        };
        question.page(visit, "keys")
    }

    pub(super) async fn act_on_key_by_form(&self, actor: &Actor, id: &str, action: KeyAction) -> Result<Answer, Refusal> {
        self.demand_keys(actor).await?;
        match action {
            KeyAction::Revoke => _ = self.revoke_own_key(Collection::All, actor, id).await?,
            KeyAction::Disable | KeyAction::Enable => {
                let is_disabled = Value::from(action == KeyAction::Disable);
                self.change_key(Collection::All, actor, id, &Map::from_iter([("disabled".to_owned(), is_disabled)])).await?;
            }
        }
        Ok(answer::see_other(&format!("/dashboard/keys/{id}?done={}", action.path())))
    }
}
