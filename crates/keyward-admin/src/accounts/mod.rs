//! Accounts: signing up, in and out, and what people do with their own.

mod administration;
pub(crate) mod fields;
mod hashing;
mod lockout;
mod new_account;
mod password_rules;
mod profile;
mod register;
mod sign_in;
mod upkeep;

pub(crate) use hashing::Hashing;
pub(crate) use lockout::Lockout;
pub use new_account::NewAccount;
pub use password_rules::BadPassword;
pub(crate) use password_rules::PasswordRules;
pub(crate) use profile::{SessionTold, unknown_fields};
pub(crate) use sign_in::is_local;
pub use upkeep::{Accounts, AccountsError};

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Registration {
    /// Anybody who reaches the service.
    #[default]
    Open,
    /// Administrators, and whoever has the machine.
    Closed,
}
