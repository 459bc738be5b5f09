//! Somebody who is to have an account.

use std::fmt;

use keyward::account::{Account, EmailAddress};
use zeroize::Zeroizing;

use super::{AccountsError, PasswordRules};
use crate::fault::FieldFault;

/// Somebody who is to have an account, checked as whoever signs up is. `Debug` hides the password.
#[derive(Clone)]
pub struct NewAccount {
    pub(crate) address: EmailAddress,
    pub(crate) first_name: Box<str>,
    pub(crate) last_name: Box<str>,
    /// As it is hashed.
    pub(crate) password: Zeroizing<String>,
}

impl NewAccount {
    /// Checks all fields at once; names may be empty, and a password has at least 8 characters. Takes a millisecond or so.
    ///
    /// # Errors
    /// [`AccountsError::Fields`], of `email`, `first_name`, `last_name` and `password`.
    pub fn checked(email: &str, first_name: &str, last_name: &str, password: &str) -> Result<Self, AccountsError> {
        Self::by(PasswordRules::USUAL, email, [first_name, last_name], password).map_err(AccountsError::Fields)
    }

    /// Checks all fields at once.
    pub(super) fn by(rules: PasswordRules, email: &str, names: [&str; 2], password: &str) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let email = email.trim();
        let address = email.parse::<EmailAddress>().map_err(|bad| faults.push(FieldFault::new("email", bad.to_string()))).ok();
        let mut name = |field: &str, text: &str| {
            Account::name(text).map_err(|bad| faults.push(FieldFault::new(field, bad.to_string()))).unwrap_or_default()
        };
        let (first_name, last_name) = (name("first_name", names[0]), name("last_name", names[1]));
        let password = PasswordRules::normal(password);
        if let Err(bad) = rules.check(&password, &[email, &first_name, &last_name]) {
            faults.push(FieldFault::new("password", bad.to_string()));
        }
        match address {
            Some(address) if faults.is_empty() => Ok(Self { address, first_name, last_name, password }),
            _ => Err(faults),
        }
    }
}

impl fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount").field("address", &self.address).finish_non_exhaustive()
    }
}
