//! Everybody's accounts, for administrators: the list, and a new one.

use askama::Template;
use http::StatusCode;
use keyward::account::AccountTold;

use super::field::{Faults, Field};
use super::moment::Moment;
use super::page;
use super::register;
use super::visit::{Frame, Visit};
use crate::accounts::NewAccount;
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage<'v> {
    frame: Frame<'v>,
    notice: Option<&'static str>,
    accounts: Vec<(AccountTold, Moment)>,
    is_first: bool,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "new_account.html")]
struct NewAccountPage<'v> {
    frame: Frame<'v>,
    faults: Faults,
    fields: [Field; 5],
}

impl Parts {
    pub(super) async fn accounts_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let query = visit.request.query()?;
        let (told, next) = self.page_of_accounts(actor, &query, &["done"]).await?;
        let now = self.clock.now().wall;
        let accounts = told.into_iter().map(|told| {
            let created = Moment::at(told.created_at, now);
            (told, created)
        });
        let page = AccountsPage {
            frame: visit.frame("accounts"),
            notice: (query.get("done") == "deleted").then_some("The account has been deleted, and its keys revoked."),
            accounts: accounts.collect(),
            is_first: !query.has("after"),
            next,
        };
        page::page(visit, StatusCode::OK, &page)
    }

    pub(super) fn new_account_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        page_of_new_account(visit, &Form::default(), StatusCode::OK, Faults::default())
    }

    pub(super) async fn create_account_by_form(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        actor.demand_admin()?;
        let form = visit.request.form()?;
        let made = match NewAccount::read(&form, self.upkeep.passwords) {
            Ok(new) => self.add_account(new, false, &actor.name).await,
            Err(refusal) => Err(refusal),
        };
        let refusal = match made {
            Ok(account) => return Ok(answer::see_other(&format!("/dashboard/accounts/{}?done=made", account.id))),
            // Administrators see who there is anyway.
            Err(Refusal::Conflict(_)) => Refusal::Fields(vec![FieldFault::new("email", "is another account\u{2019}s already")]),
            Err(refusal) => refusal,
        };
        let Some(faults) = Faults::of(&refusal) else { return Err(refusal) };
        page_of_new_account(visit, &form, refusal.status(), faults)
    }
}

fn page_of_new_account(visit: &Visit<'_>, given: &Form, status: StatusCode, faults: Faults) -> Result<Answer, Refusal> {
    let fields = register::fields(given, &faults, "off");
    page::page(visit, status, &NewAccountPage { frame: visit.frame("accounts"), faults, fields })
}
