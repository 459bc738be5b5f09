//! Signing up.

use std::sync::Arc;

use http::StatusCode;
use keyward::Pass;
use keyward::account::Account;

use super::{NewAccount, PasswordRules, Registration};
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::incoming::Incoming;

impl Registration {
    pub(crate) const CLOSED: Refusal = Refusal::Forbidden("Nobody can sign up here: an administrator makes accounts.");
}

impl NewAccount {
    /// Checks the fields of a form, all of them at once.
    pub(crate) fn read(form: &Form, rules: PasswordRules) -> Result<Self, Refusal> {
        let password = form.get("password");
        let new = Self::by(rules, form.get("email"), [form.get("first_name"), form.get("last_name")], password);
        // Where there is no such field, nobody typed it twice.
        let is_confirmed = !form.has("confirm_password")
            || PasswordRules::normal(form.get("confirm_password")) == PasswordRules::normal(password);
        match (new, is_confirmed) {
            (Ok(new), true) => Ok(new),
            (new, is_confirmed) => {
                let mut faults = new.err().unwrap_or_default();
                if !is_confirmed {
                    faults.push(FieldFault::new("confirm_password", "differs from the password"));
                }
                Err(Refusal::Fields(faults))
            }
        }
    }
}

impl Parts {
    /// `POST /api/v1/auth/register`. Whoever asks does not learn whether there was an account with this address.
    pub(crate) async fn register(&self, request: &Incoming, pass: &Pass) -> Result<Answer, Refusal> {
        self.register_by(&request.form()?, pass).await?;
        Ok(answer::see_other(&self.settings.sign_in_page))
    }

    pub(crate) async fn register_by(&self, form: &Form, pass: &Pass) -> Result<(), Refusal> {
        if self.settings.registration == Registration::Closed {
            return Err(Registration::CLOSED);
        }
        let new = NewAccount::read(form, self.upkeep.passwords)?;
        // A client that signs up again and again is counted like one that guesses: each costs an Argon2, and a row.
        self.lockout.guess(pass.client(), &new.address, self.clock.now().steady).map_err(Refusal::LockedOut)?;
        match self.add_account(new, false, "registration").await {
            Err(Refusal::Conflict(_)) => Ok(()),
            made => made.map(drop),
        }
    }

    /// After one Argon2, whatever comes of it.
    pub(crate) async fn add_account(&self, new: NewAccount, as_first_admin: bool, actor: &str) -> Result<Arc<Account>, Refusal> {
        let password = self.hashing.hash(&new.password).await?;
        let upkeep = self.upkeep.acting_as(actor);
        Ok(upkeep.add(upkeep.account(new, password, as_first_admin), as_first_admin).await?)
    }
}

/// What an account made by somebody else is answered with.
pub(super) fn made(account: &Account) -> Answer {
    answer::json(StatusCode::CREATED, &keyward::account::AccountTold::of(account))
}
