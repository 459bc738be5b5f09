//! What somebody may do with keys (R16).

use keyward::account::AccountId;
use keyward::key::Record;
use keyward::scope::Scope;

use super::collection::{AGENT, Collection};
use super::fields::Fields;
use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::fault::Refusal;

impl Parts {
    /// People look after their keys, and keys do with `keys:manage`.
    pub(crate) async fn demand_keys(&self, actor: &Actor) -> Result<(), Refusal> {
        match actor.who {
            // Whose sessions name no owner would look after the keys that nobody owns. That the account is one was just seen.
            Who::Person { .. } if actor.owner.is_some() => Ok(()),
            Who::Key if actor.has_scope(Actor::MANAGES_KEYS) => self.demand_owner(actor).await,
            _ => Err(Refusal::Forbidden("This needs the scope `keys:manage`, in a key that has no `resource_pattern`.")),
        }
    }

    /// What keys may do with keys ends with the account that owns them, or one that is switched off would go on making keys.
    pub(super) async fn demand_owner(&self, actor: &Actor) -> Result<(), Refusal> {
        let account = actor.owner.as_deref().and_then(|owner| owner.parse::<AccountId>().ok());
        let Some(id) = account.filter(|_| self.has_accounts) else { return Ok(()) };
        let is_refused = match self.accounts.account(&id).wait().await? {
            Some(account) => account.is_disabled,
            // One that is gone had an id of 32 digits; any other owner was named by the command line, say, and never had an account.
            None => id.as_str().len() == 32 && id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()),
        };
        match is_refused {
            true => Err(Refusal::Forbidden("The account that owns this key is switched off or gone.")),
            false => Ok(()),
        }
    }
}

impl Actor {
    /// Whether a key is one that it looks after. Of all others it learns not even that they are there.
    pub(crate) fn sees(&self, record: &Record) -> bool {
        self.is_admin() || record.owner == self.owner
    }

    /// Whether it may give a scope to a key: what it holds itself; people also what lets a key look after their keys, and
    /// administrators anything.
    pub(crate) fn may_give(&self, scope: &Scope) -> bool {
        self.is_admin()
            || (scope.as_str() != Self::ADMIN && self.has_scope(scope.as_str()))
            || (matches!(self.who, Who::Person { .. }) && scope.as_str() == Self::MANAGES_KEYS)
    }

    /// Whether it may get hold of a key, or change what it can do: one that can do more than it can would be a way to more.
    pub(crate) fn demand_no_more_than_own(&self, record: &Record) -> Result<(), Refusal> {
        let is_more = !record.scopes.iter().all(|scope| self.may_give(scope));
        // Labels, and quotas in place of the policy's, are what administrators gave; but for one that everybody may give.
        let is_labelled = record.kind.as_deref().is_some_and(|kind| kind != AGENT);
        let is_special = matches!(self.who, Who::Key) && (is_labelled || record.limits.is_some());
        match !self.is_admin() && (is_more || is_special) {
            true => Err(Refusal::Forbidden("This key can do more than you can: an administrator looks after it.")),
            false => Ok(()),
        }
    }

    pub(super) fn check_scopes(&self, scopes: Option<&[Scope]>, fields: &mut Fields<'_>) {
        for (place, scope) in scopes.unwrap_or_default().iter().enumerate() {
            if !self.may_give(scope) {
                fields.fault(format!("scopes[{place}]"), "is not yours to give");
            }
        }
    }

    /// A label that routes demand, and quotas in place of the policy's, are not what people give themselves.
    pub(super) fn check_reserved(&self, collection: Collection, fields: &mut Fields<'_>) {
        let reserved: &[_] = match collection {
            Collection::All => &["kind", "limits"],
            Collection::Agents => &["limits"],
        };
        for &field in reserved {
            if fields.is_set(field) && !self.is_admin() {
                fields.fault(field, "can be set by an administrator alone");
            }
        }
    }
}
