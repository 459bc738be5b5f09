//! Somebody's account, as administrators see it.

use askama::Template;
use http::StatusCode;
use keyward::account::{Account, AccountId};

use super::account_action::AccountAction;
use super::moment::Moment;
use super::page;
use super::sessions::SessionRow;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;

#[derive(Template)]
#[template(path = "one_account.html")]
struct OneAccount<'v> {
    frame: Frame<'v>,
    account: &'v Account,
    created: Moment,
    notice: Option<&'static str>,
    /// Whoever looks changes nothing of their own here.
    is_own: bool,
    sessions: Vec<SessionRow>,
}

impl Parts {
    pub(super) async fn one_account_page(&self, visit: &Visit<'_>, actor: &Actor, id: &str) -> Result<Answer, Refusal> {
        let account = self.account_by(actor, id).await?;
        let (own, own_session) = actor.account()?;
        let is_own = own == account.id;
        let now = self.clock.now().wall;
        let told = self.live_sessions_of(&account.id, own_session).await?;
        let page = OneAccount {
            frame: visit.frame("accounts"),
            created: Moment::at(account.created, now),
            notice: AccountAction::done(visit.request.query()?.get("done"), &account, told.is_empty()),
            is_own,
            sessions: told.into_iter().map(|told| SessionRow::of(told, now)).collect(),
            account: &account,
        };
        page::page(visit, StatusCode::OK, &page)
    }

    pub(super) async fn account_by(&self, actor: &Actor, id: &str) -> Result<std::sync::Arc<Account>, Refusal> {
        actor.demand_admin()?;
        let id: AccountId = id.parse().map_err(|_| Refusal::NotFound)?;
        self.accounts.account(&id).wait().await?.ok_or(Refusal::NotFound)
    }
}
