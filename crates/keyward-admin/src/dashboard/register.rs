//! The page for signing up.

use askama::Template;
use http::StatusCode;

use super::field::{Faults, Field};
use super::page;
use super::visit::{Frame, Visit};
use crate::accounts::Registration;
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::Refusal;
use crate::form::Form;

#[derive(Template)]
#[template(path = "register.html")]
struct Register<'v> {
    frame: Frame<'v>,
    faults: Faults,
    fields: [Field; 5],
}

impl Parts {
    pub(super) async fn visit_register(&self, visit: &Visit<'_>, is_post: bool) -> Result<Answer, Refusal> {
        if is_post {
            super::demand_token(visit)?;
            let form = visit.request.form()?;
            let Err(refusal) = self.register_by(&form, visit.pass).await else {
                // Whether there was such an account already, the next page does not tell either.
                return Ok(answer::see_other("/dashboard/login?done=registered"));
            };
            let Some(faults) = Faults::of(&refusal) else { return Err(refusal) };
            return register_page(visit, &form, refusal.status(), faults);
        }
        if self.settings.registration == Registration::Closed {
            return Err(Registration::CLOSED);
        }
        register_page(visit, &Form::default(), StatusCode::OK, Faults::default())
    }
}

fn register_page(visit: &Visit<'_>, given: &Form, status: StatusCode, faults: Faults) -> Result<Answer, Refusal> {
    let fields = fields(given, &faults, "username");
    page::page(visit, status, &Register { frame: visit.frame(""), faults, fields })
}

/// What an account is made of. `address` is what a browser shall fill in there: nothing, where it is somebody else's account.
pub(super) fn fields(given: &Form, faults: &Faults, address: &'static str) -> [Field; 5] {
    let name = |autocomplete: &'static str| if address == "off" { "off" } else { autocomplete };
    let field = |name: &'static str, label, kind, autocomplete| Field::new(name, label, kind, faults).autocomplete(autocomplete);
    [
        field("email", "E-mail address", "email", address).value(given.get("email")).required(),
        field("first_name", "First name (optional)", "text", name("given-name")).value(given.get("first_name")),
        field("last_name", "Last name (optional)", "text", name("family-name")).value(given.get("last_name")),
        field("password", "Password", "password", "new-password")
            .hint("A few unrelated words make a good one. Common passwords are refused.")
            .required(),
        field("confirm_password", "Password, once more", "password", "new-password").required(),
    ]
}
