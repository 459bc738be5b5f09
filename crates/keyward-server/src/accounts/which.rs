//! Which account is meant: by its id, or by the address that its owner signs in with.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use keyward::account::{Account, AccountId, EmailAddress};

use super::{Session, failed};
use crate::failure::Failure;

/// Which account is meant. No id has an `@`.
#[derive(Debug, Clone)]
pub(super) enum Which {
    Id(AccountId),
    Address(EmailAddress),
}

impl Which {
    /// The account, if there is one.
    pub(super) async fn find(&self, session: &Session) -> Result<Arc<Account>, Failure> {
        let found = match self {
            Self::Id(id) => session.accounts.get(id).await,
            Self::Address(address) => session.accounts.at(address).await,
        };
        found.map_err(failed)?.ok_or_else(|| {
            Failure::Refused(format!("{self}: there is no such account; `keyward accounts list` tells which there are"))
        })
    }
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('@') {
            text.parse().map(Self::Address).map_err(|bad: keyward::account::BadEmailAddress| format!("it {bad}"))
        } else {
            let mend = "`keyward accounts list` tells them, and an e-mail address does as well";
            text.parse().map(Self::Id).map_err(|bad: keyward::account::NotAnAccountId| format!("{bad}; {mend}"))
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}
