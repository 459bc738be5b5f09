//! What administrators do with everybody's accounts.

use http::StatusCode;
use keyward::account::{AccountChange, AccountId, AccountTold};
use serde::Serialize;
use serde_json::{Map, Value};

use super::NewAccount;
use super::fields;
use super::profile::unknown_fields;
use super::register::made;
use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::page::Page;

#[derive(Serialize)]
struct Accounts {
    items: Vec<AccountTold>,
    /// Where the next page begins: `after` of the next request.
    next: Option<String>,
}

impl Actor {
    pub(crate) fn demand_admin(&self) -> Result<(), Refusal> {
        match self.is_admin() {
            true => Ok(()),
            false => Err(Refusal::Forbidden("Only an administrator who signed in may do this.")),
        }
    }
}

impl Parts {
    /// `GET /api/v1/accounts`.
    pub(crate) async fn list_accounts(&self, actor: &Actor, query: &Form) -> Result<Answer, Refusal> {
        let (items, next) = self.page_of_accounts(actor, query, &[]).await?;
        Ok(answer::json(StatusCode::OK, &Accounts { items, next }))
    }

    pub(crate) async fn page_of_accounts(
        &self,
        actor: &Actor,
        query: &Form,
        others: &[&str],
    ) -> Result<(Vec<AccountTold>, Option<String>), Refusal> {
        actor.demand_admin()?;
        let page = Page::<AccountId>::read(query, others)?;
        let found = self.accounts.accounts(page.after, page.limit + 1).wait().await?;
        let (items, next) = page.cut(found, |account| account.id.to_string());
        Ok((items.iter().map(|account| AccountTold::of(account)).collect(), next))
    }

    /// `POST /api/v1/accounts`: by an administrator; or, where there is no account at all, by a key that looks after keys and that
    /// nobody owns, like the first one of a database. That account is an administrator's.
    pub(crate) async fn create_account(&self, actor: &Actor, fields: &Map<String, Value>) -> Result<Answer, Refusal> {
        let as_first_admin = match &actor.who {
            Who::Person { .. } => {
                actor.demand_admin()?;
                false
            }
            Who::Key if actor.owner.is_none() && actor.has_scope(Actor::MANAGES_KEYS) => true,
            Who::Key => return Err(Refusal::Forbidden("This key may not make accounts.")),
        };
        let mut faults = Vec::new();
        unknown_fields(fields, &fields::NEW, &mut faults);
        let form = Form::of_texts(fields, &mut faults);
        let new = match NewAccount::read(&form, self.upkeep.passwords) {
            Ok(new) if faults.is_empty() => new,
            Err(Refusal::Fields(more)) => return Err(Refusal::Fields([faults, more].concat())),
            Err(refusal) => return Err(refusal),
            Ok(_) => return Err(Refusal::Fields(faults)),
        };
        Ok(made(&*self.add_account(new, as_first_admin, &actor.name).await?))
    }

    /// `PATCH /api/v1/accounts/{id}`: `is_admin` and `disabled`.
    pub(crate) async fn change_account(&self, actor: &Actor, id: &str, fields: &Map<String, Value>) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        let id: AccountId = id.parse().map_err(|_| Refusal::NotFound)?;
        let mut faults = Vec::new();
        let mut switch = |field: &str| match fields.get(field) {
            None => None,
            Some(Value::Bool(on)) => Some(*on),
            Some(_) => {
                faults.push(FieldFault::new(field, "is neither true nor false"));
                None
            }
        };
        let changes = [switch("is_admin").map(AccountChange::Admin), switch("disabled").map(AccountChange::Disabled)];
        unknown_fields(fields, &fields::CHANGE, &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Fields(faults));
        }
        self.demand_others(actor, &id)?;
        let mut account = self.accounts.account(&id).wait().await?.ok_or(Refusal::NotFound)?;
        for change in changes.into_iter().flatten() {
            let by = actor.attribution(self.clock.now().wall);
            account = self.accounts.change_account(&id, change, by).wait().await??;
        }
        Ok(answer::json(StatusCode::OK, &AccountTold::of(&account)))
    }

    /// `DELETE /api/v1/accounts/{id}`: with all its keys.
    pub(crate) async fn delete_account(&self, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        let id: AccountId = id.parse().map_err(|_| Refusal::NotFound)?;
        self.demand_others(actor, &id)?;
        self.upkeep.acting_as(actor.name.as_str()).delete(&id).await?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    /// Ends the sessions of another account: whoever uses it has to sign in again.
    pub(crate) async fn end_sessions_of_account(&self, actor: &Actor, id: &str) -> Result<(), Refusal> {
        actor.demand_admin()?;
        let id: AccountId = id.parse().map_err(|_| Refusal::NotFound)?;
        self.demand_others(actor, &id)?;
        self.accounts.account(&id).wait().await?.ok_or(Refusal::NotFound)?;
        self.accounts.end_sessions_of(&id, None).wait().await?;
        Ok(())
    }

    /// An administrator who could take away their own rights might leave nobody who can give them back.
    pub(crate) fn demand_others(&self, actor: &Actor, id: &AccountId) -> Result<(), Refusal> {
        match actor.account() {
            Ok((own, _)) if own == *id => {
                Err(Refusal::Conflict("Another administrator has to do this to your account.".to_owned()))
            }
            _ => Ok(()),
        }
    }
}
