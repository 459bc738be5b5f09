//! Signing up.

use http::StatusCode;
use keyward::Pass;
use keyward::account::{Account, AccountId, AccountRefused, EmailAddress};
use keyward::store::Attribution;
use zeroize::Zeroizing;

use super::{PasswordRules, Registration};
use crate::admin::Parts;
use crate::answer::{self, Answer};
use crate::fault::{FieldFault, Refusal};
use crate::form::Form;
use crate::incoming::Incoming;

impl Registration {
    pub(crate) const CLOSED: Refusal = Refusal::Forbidden("Nobody can sign up here: an administrator makes accounts.");
}

/// What somebody wants to be known by, checked.
pub(crate) struct NewAccount {
    address: EmailAddress,
    password: Zeroizing<String>,
    first_name: Box<str>,
    last_name: Box<str>,
}

impl NewAccount {
    /// Checks the fields, all of them at once.
    pub(crate) fn read(form: &Form, rules: PasswordRules) -> Result<Self, Refusal> {
        let mut faults = Vec::new();
        let email = form.get("email").trim();
        let address = email.parse::<EmailAddress>().map_err(|bad| faults.push(FieldFault::new("email", bad.to_string()))).ok();
        let mut name = |field: &str| {
            Account::name(form.get(field)).map_err(|bad| faults.push(FieldFault::new(field, bad.to_string()))).unwrap_or_default()
        };
        let (first_name, last_name) = (name("first_name"), name("last_name"));
        let password = PasswordRules::normal(form.get("password"));
        if let Err(bad) = rules.check(&password, &[email, &first_name, &last_name]) {
            faults.push(FieldFault::new("password", bad.to_string()));
        }
        // Where there is no such field, nobody typed it twice.
        if form.has("confirm_password") && PasswordRules::normal(form.get("confirm_password")) != password {
            faults.push(FieldFault::new("confirm_password", "differs from the password"));
        }
        match address {
            Some(address) if faults.is_empty() => Ok(Self { address, password, first_name, last_name }),
            _ => Err(Refusal::Fields(faults)),
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
        let new = NewAccount::read(form, self.settings.passwords)?;
        // A client that signs up again and again is counted like one that guesses: each costs an Argon2, and a row.
        self.lockout.guess(pass.client(), &new.address, self.clock.now().steady).map_err(Refusal::LockedOut)?;
        match self.add_account(new, false, "registration").await {
            Err(Refusal::Conflict(_)) => Ok(()),
            made => made.map(drop),
        }
    }

    /// After one Argon2, whatever comes of it.
    pub(crate) async fn add_account(
        &self,
        new: NewAccount,
        as_first_admin: bool,
        actor: &str,
    ) -> Result<std::sync::Arc<Account>, Refusal> {
        let password = self.hashing.hash(&new.password).await?;
        let now = self.clock.now().wall;
        let account = Account {
            id: AccountId::new(now, &*self.random),
            address: new.address,
            first_name: new.first_name,
            last_name: new.last_name,
            password,
            is_admin: as_first_admin,
            is_disabled: false,
            created: now,
        };
        let by = Attribution { actor: actor.into(), at: now };
        match self.accounts.add_account(account, as_first_admin, by).wait().await? {
            Ok(account) => Ok(account),
            Err(refused @ (AccountRefused::AddressTaken | AccountRefused::NotTheFirst)) => {
                Err(Refusal::Conflict(refused.to_string()))
            }
            Err(refused) => Err(refused.into()),
        }
    }
}

/// What an account made by somebody else is answered with.
pub(super) fn made(account: &Account) -> Answer {
    answer::json(StatusCode::CREATED, &keyward::account::AccountTold::of(account))
}
