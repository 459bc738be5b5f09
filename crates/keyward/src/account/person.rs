//! An account, and what may become of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AccountRefused, EmailAddress, PasswordHash, SessionDigest};
use crate::clock::Timestamp;
use crate::key::KeyId;
use crate::random::Random;

/// An account's stable name, and the owner of its keys. Made and written like a [`KeyId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(KeyId);

/// What was written is no account id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an account id is 1 to 36 characters of A-Z, a-z, 0-9, `.`, `_` and `-`")]
pub struct NotAnAccountId;

impl AccountId {
    /// A new id, with the time in front.
    pub fn new(now: Timestamp, random: &dyn Random) -> Self {
        Self(KeyId::new(now, random))
    }

    /// The id as text: what [`Record::owner`](crate::key::Record::owner) holds.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for AccountId {
    type Err = NotAnAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| NotAnAccountId)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Somebody who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its stable id.
    pub id: AccountId,
    /// What it signs in with.
    pub address: EmailAddress,
    /// For people; may be empty.
    pub first_name: Box<str>,
    /// For people; may be empty.
    pub last_name: Box<str>,
    /// How its password is recognised.
    pub password: PasswordHash,
    /// Whether it looks after everybody's keys and accounts (R16).
    pub is_admin: bool,
    /// Whether it is switched off: it cannot sign in, and has no sessions.
    pub is_disabled: bool,
    /// When it was made.
    pub created: Timestamp,
}

/// A name of an account that cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("holds at most 100 characters, none of them a control character")]
pub struct BadName;

impl Account {
    /// How many characters a first or last name has at most.
    pub const LONGEST_NAME: usize = 100;

    /// Whether a first or last name can be kept. Blanks around it are nobody's name.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn name(text: &str) -> Result<Box<str>, BadName> {
        let text = text.trim();
        let is_good = text.chars().count() <= Self::LONGEST_NAME && !text.chars().any(char::is_control);
        if is_good { Ok(text.into()) } else { Err(BadName) }
    }
}

/// One change to an account, as data: every store applies it by the same code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountChange {
    /// Other names.
    Rename {
        /// The new first name.
        first_name: Box<str>,
        /// The new last name.
        last_name: Box<str>,
    },
    /// Another password, in place of the one that was looked at. Ends all sessions but the one named.
    ///
    /// Verifying the old password and hashing the new one take their time, in which somebody else may set another one: a store looks
    /// once more, so that of two changes that began from one password only one is made.
    Password {
        /// The hash that the account has to have still.
        instead_of: PasswordHash,
        /// Of the new password.
        hash: PasswordHash,
        /// The session that goes on.
        keeps: Option<SessionDigest>,
    },
    /// Makes it an administrator, or no longer one. Ends all its sessions: an id from before the change is worth nothing after it.
    Admin(bool),
    /// Switches it off, or on again. Ends all its sessions.
    Disabled(bool),
}

impl AccountChange {
    /// What the journal calls it: `rename`, `password`, `admin` or `disable`.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Rename { .. } => "rename",
            Self::Password { .. } => "password",
            Self::Admin(_) => "admin",
            Self::Disabled(_) => "disable",
        }
    }

    /// What becomes of an account.
    ///
    /// # Errors
    /// [`AccountRefused::PasswordChanged`]: the password that was looked at is the account's no more.
    pub fn apply(&self, account: &Account) -> Result<Account, AccountRefused> {
        let mut changed = account.clone();
        match self {
            Self::Rename { first_name, last_name } => {
                changed.first_name.clone_from(first_name);
                changed.last_name.clone_from(last_name);
            }
            Self::Password { instead_of, .. } if account.password != *instead_of => return Err(AccountRefused::PasswordChanged),
            Self::Password { hash, .. } => changed.password = hash.clone(),
            Self::Admin(is_admin) => changed.is_admin = *is_admin,
            Self::Disabled(is_disabled) => changed.is_disabled = *is_disabled,
        }
        Ok(changed)
    }

    /// Whether it ends the account's sessions.
    pub fn ends_sessions(&self) -> bool {
        !matches!(self, Self::Rename { .. })
    }

    /// The one session that goes on where it ends the others.
    pub fn keeps(&self) -> Option<SessionDigest> {
        match self {
            Self::Password { keeps, .. } => *keeps,
            _ => None,
        }
    }
}

/// What may be told of an account. Never its password's hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Account))]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are those of Account")]
pub struct AccountTold {
    pub id: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub is_admin: bool,
    pub disabled: bool,
    pub created_at: Timestamp,
}

impl AccountTold {
    /// What may be told of this one.
    pub fn of(account: &Account) -> Self {
        Self {
            id: account.id.to_string(),
            email: account.address.to_string(),
            first_name: account.first_name.to_string(),
            last_name: account.last_name.to_string(),
            is_admin: account.is_admin,
            disabled: account.is_disabled,
            created_at: account.created,
        }
    }
}
