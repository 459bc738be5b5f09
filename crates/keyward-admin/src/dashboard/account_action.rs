//! What administrators do to other people's accounts: asked first, and then done.

use keyward::account::Account;
use serde_json::{Map, Value};

use super::confirm::Question;
use super::visit::Visit;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;

/// What is done to an account after a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccountAction {
    Disable,
    Enable,
    Promote,
    Demote,
    EndSessions,
    Delete,
}

/// How it is called: the verb, the button, and what will be.
struct Told(&'static str, &'static str, &'static str);

impl AccountAction {
    const ALL: [Self; 6] = [Self::Disable, Self::Enable, Self::Promote, Self::Demote, Self::EndSessions, Self::Delete];

    /// By the end of its page's path.
    pub(super) fn at(path: &str) -> Result<Self, Refusal> {
        Self::ALL.into_iter().find(|action| action.path() == path).ok_or(Refusal::NotFound)
    }

    fn path(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Promote => "make-administrator",
            Self::Demote => "withdraw-administrator",
            Self::EndSessions => "end-sessions",
            Self::Delete => "delete",
        }
    }

    fn told(self) -> Told {
        match self {
            Self::Disable => Told(
                "Disable",
                "Disable account",
                "Nobody can sign in to it, and its sessions end now. Its keys are still let in by the services that they are for, but \
                 look after no keys: revoke those that shall not be.",
            ),
            Self::Enable => Told("Enable", "Enable account", "Its owner can sign in again."),
            Self::Promote => Told(
                "Make an administrator of",
                "Make administrator",
                "Administrators look after everybody\u{2019}s keys and accounts. Its sessions end now, and its owner signs in again.",
            ),
            Self::Demote => Told(
                "No longer an administrator:",
                "Withdraw administrator",
                "It looks after its own keys alone. Its sessions end now, and its owner signs in again.",
            ),
            Self::EndSessions => {
                Told("End all sessions of", "End sessions", "Its owner is signed out everywhere, and signs in again.")
            }
            Self::Delete => Told(
                "Delete",
                "Delete account",
                "Its keys are revoked, its sessions end, and it is removed. There is no way back.",
            ),
        }
    }

    /// The one field that is changed, if that is all.
    fn change(self) -> Option<(&'static str, bool)> {
        match self {
            Self::Disable => Some(("disabled", true)),
            Self::Enable => Some(("disabled", false)),
            Self::Promote => Some(("is_admin", true)),
            Self::Demote => Some(("is_admin", false)),
            Self::EndSessions | Self::Delete => None,
        }
    }

    /// What is told of one that was done. An address that says so is not enough: somebody else may have sent it.
    pub(super) fn done(path: &str, account: &Account, has_no_sessions: bool) -> Option<&'static str> {
        if path == "made" {
            return Some("The account is there. Tell its owner the password, to be changed at once.");
        }
        match Self::at(path).ok()? {
            Self::Disable => account.is_disabled.then_some("The account has been disabled, and its sessions have ended."),
            Self::Enable => (!account.is_disabled).then_some("The account has been enabled."),
            Self::Promote => account.is_admin.then_some("The account is an administrator\u{2019}s now."),
            Self::Demote => (!account.is_admin).then_some("The account is no administrator\u{2019}s any more."),
            Self::EndSessions => has_no_sessions.then_some("All sessions of the account have ended."),
            Self::Delete => None,
        }
    }
}

impl Parts {
    pub(super) async fn ask_about_account(
        &self,
        visit: &Visit<'_>,
        actor: &Actor,
        id: &str,
        action: AccountAction,
    ) -> Result<Answer, Refusal> {
        let account = self.account_by(actor, id).await?;
        self.demand_others(actor, &account.id)?;
        let Told(verb, button, consequence) = action.told();
        let question = Question {
            verb,
            name: account.address.as_str(),
            consequence,
            warning: None,
            button,
            is_dangerous: action == AccountAction::Delete,
            action: format!("/dashboard/accounts/{}/{}", account.id, action.path()),
            back: format!("/dashboard/accounts/{}", account.id),
        };
        question.page(visit, "accounts")
    }

    pub(super) async fn act_on_account_by_form(&self, actor: &Actor, id: &str, action: AccountAction) -> Result<Answer, Refusal> {
        match action.change() {
            Some((field, value)) => {
                self.change_account(actor, id, &Map::from_iter([(field.to_owned(), Value::from(value))])).await?;
            }
            None if action == AccountAction::EndSessions => self.end_sessions_of_account(actor, id).await?,
            None => {
                self.delete_account(actor, id).await?;
                return Ok(answer::see_other("/dashboard/accounts?done=deleted"));
            }
        }
        Ok(answer::see_other(&format!("/dashboard/accounts/{id}?done={}", action.path())))
    }
}
