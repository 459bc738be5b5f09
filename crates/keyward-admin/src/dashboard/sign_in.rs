//! The page for signing in.

use askama::Template;
use http::StatusCode;

use super::field::{Faults, Field};
use super::page;
use super::visit::{Frame, Visit};
use crate::accounts::{Registration, is_local};
use crate::actor::{Actor, Who};
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::form::Form;

#[derive(Template)]
#[template(path = "login.html")]
struct SignIn<'v> {
    frame: Frame<'v>,
    faults: Faults,
    has_registered: bool,
    next: &'v str,
    email: Field,
    password: Field,
    may_register: bool,
}

impl Parts {
    pub(super) async fn visit_sign_in(&self, visit: &Visit<'_>, is_post: bool) -> Result<Answer, Refusal> {
        if is_post {
            return self.sign_in_by_form(visit).await;
        }
        let query = visit.request.query()?;
        let next = query.get("next");
        match &visit.actor {
            Some(Actor { who: Who::Person { .. }, .. }) => {
                Ok(answer::see_other(if is_local(next) { next } else { &self.settings.start_page }))
            }
            _ => self.sign_in_page(visit, &query, StatusCode::OK, Faults::default()),
        }
    }

    async fn sign_in_by_form(&self, visit: &Visit<'_>) -> Result<Answer, Refusal> {
        super::demand_token(visit)?;
        let form = visit.request.form()?;
        let refusal = match self.sign_in_by(&form, visit.request, visit.pass).await {
            Ok(token) => return Ok(self.signed_in(&token, form.get("next"))),
            Err(refusal) => refusal,
        };
        let Some(faults) = Faults::of(&refusal) else { return Err(refusal) };
        let mut answer = self.sign_in_page(visit, &form, refusal.status(), faults)?;
        refusal.set_headers(answer.headers_mut());
        Ok(answer)
    }

    fn sign_in_page(&self, visit: &Visit<'_>, given: &Form, status: StatusCode, faults: Faults) -> Result<Answer, Refusal> {
        let next = given.get("next");
        let page = SignIn {
            frame: visit.frame(""),
            has_registered: given.get("done") == "registered",
            next: if is_local(next) { next } else { "" },
            email: Field::new("email", "E-mail address", "email", &faults)
                .value(given.get("email"))
                .autocomplete("username")
                .required(),
            password: Field::new("password", "Password", "password", &faults).autocomplete("current-password").required(),
            may_register: self.settings.registration == Registration::Open,
            faults,
        };
        page::page(visit, status, &page)
    }
}
