//! Everybody's accounts, for administrators.

use askama::Template;
use http::StatusCode;
use keyward::account::AccountTold;

use super::moment::Moment;
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::Answer;
use crate::fault::Refusal;

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage<'v> {
    frame: Frame<'v>,
    accounts: Vec<(AccountTold, Moment)>,
    next: Option<String>,
}

impl Parts {
    pub(super) async fn accounts_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let (told, next) = self.page_of_accounts(actor, &visit.request.query()?).await?;
        let now = self.clock.now().wall;
        let accounts = told
            .into_iter()
            .map(|told| {
                let created = Moment::at(told.created_at, now);
                (told, created)
            })
            .collect();
        page::page(visit, StatusCode::OK, &AccountsPage { frame: visit.frame("accounts"), accounts, next })
    }
}
