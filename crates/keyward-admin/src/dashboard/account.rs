//! Somebody's own account: names, password, and its end.

use askama::Template;
use http::{StatusCode, header};
use keyward::account::Account;
use serde_json::{Map, Value};

use super::field::{Faults, Field};
use super::moment::Moment;
use super::page;
use super::visit::{Frame, Visit};
use crate::actor::Actor;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::sessions;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage<'v> {
    frame: Frame<'v>,
    account: &'v Account,
    created: Moment,
    notice: Option<&'static str>,
    name: Section<2>,
    password: Section<3>,
    deletion: Section<1>,
}

/// One of the page's forms.
struct Section<const FIELDS: usize> {
    /// What is wrong with it as a whole.
    fault: Option<String>,
    fields: [Field; FIELDS],
}

/// Which of the forms was sent, and what is wrong with it.
enum Sent<'f> {
    None,
    Name(&'f Form, Faults),
    Password(Faults),
    Deletion(Faults),
}

impl Parts {
    pub(super) async fn account_page(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        self.page_of_account(visit, actor, StatusCode::OK, Sent::None).await
    }

    pub(super) async fn rename_by_form(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let form = visit.request.form()?;
        let text = |name: &str| (name.to_owned(), Value::from(form.get(name)));
        let object = Map::from_iter([text("first_name"), text("last_name")]);
        match self.rename_own_account(actor, &object).await {
            Ok(_) => Ok(answer::see_other("/dashboard/account?done=renamed")),
            Err(refusal) => self.account_refused(visit, actor, refusal, |faults| Sent::Name(&form, faults)).await,
        }
    }

    pub(super) async fn change_password_by_form(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let form = visit.request.form()?;
        let (current, new) = (form.get("current_password"), form.get("new_password"));
        let changed = if form.get("confirm_password") == new {
            self.change_password(actor, current, new, visit.request, visit.pass).await
        } else {
            Err(Refusal::Fields(vec![FieldFault::new("confirm_password", "differs from the new password")]))
        };
        match changed {
            Ok(token) => {
                let mut answer = answer::see_other("/dashboard/account?done=password");
                answer.headers_mut().insert(header::SET_COOKIE, sessions::set_cookie(token.expose()));
                Ok(answer)
            }
            Err(refusal) => self.account_refused(visit, actor, refusal, Sent::Password).await,
        }
    }

    pub(super) async fn delete_account_by_form(&self, visit: &Visit<'_>, actor: &Actor) -> Result<Answer, Refusal> {
        let form = visit.request.form()?;
        match self.delete_account_of(actor, form.get("password"), visit.request, visit.pass).await {
            Ok(()) => {
                let mut answer = answer::see_other("/dashboard/login");
                answer.headers_mut().insert(header::SET_COOKIE, sessions::forget_cookie());
                Ok(answer)
            }
            Err(refusal) => self.account_refused(visit, actor, refusal, Sent::Deletion).await,
        }
    }

    async fn account_refused<'f>(
        &self,
        visit: &Visit<'_>,
        actor: &Actor,
        refusal: Refusal,
        sent: impl FnOnce(Faults) -> Sent<'f>,
    ) -> Result<Answer, Refusal> {
        let Some(faults) = Faults::of(&refusal) else { return Err(refusal) };
        let mut answer = self.page_of_account(visit, actor, refusal.status(), sent(faults)).await?;
        refusal.set_headers(answer.headers_mut());
        Ok(answer)
    }

    async fn page_of_account(
        &self,
        visit: &Visit<'_>,
        actor: &Actor,
        status: StatusCode,
        sent: Sent<'_>,
    ) -> Result<Answer, Refusal> {
        let account = self.account_of(actor).await?;
        let (mut name, mut password, mut deletion) = (Faults::default(), Faults::default(), Faults::default());
        let (mut first_name, mut last_name) = (&*account.first_name, &*account.last_name);
        match sent {
            Sent::None => {}
            Sent::Name(form, faults) => {
                (first_name, last_name) = (form.get("first_name"), form.get("last_name"));
                name = faults;
            }
            Sent::Password(faults) => password = faults,
            Sent::Deletion(faults) => deletion = faults,
        }
        let page = AccountPage {
            frame: visit.frame("account"),
            created: Moment::at(account.created, self.clock.now().wall),
            notice: match visit.request.query()?.get("done") {
                "renamed" => Some("Your name has been changed."),
                "password" => Some("Your password has been changed, and all other sessions have ended."),
                _ => None,
            },
            name: Section {
                fields: [
                    Field::new("first_name", "First name", "text", &name).value(first_name).autocomplete("given-name"),
                    Field::new("last_name", "Last name", "text", &name).value(last_name).autocomplete("family-name"),
                ],
                fault: name.whole,
            },
            password: Section {
                fields: [
                    Field::new("current_password", "Current password", "password", &password)
                        .autocomplete("current-password")
                        .required(),
                    Field::new("new_password", "New password", "password", &password).autocomplete("new-password").required(),
                    Field::new("confirm_password", "New password, once more", "password", &password)
                        .autocomplete("new-password")
                        .required(),
                ],
                fault: password.whole,
            },
            deletion: Section {
                fields: [Field::new("password", "Your password", "password", &deletion)
                    .id("delete_password")
                    .autocomplete("current-password")
                    .required()],
                fault: deletion.whole,
            },
            account: &account,
        };
        page::page(visit, status, &page)
    }
}
