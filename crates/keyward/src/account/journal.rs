//! Who changed which account: one row for each change, in the same transaction (R11.1).

use serde::{Deserialize, Serialize};

use super::{Account, AccountId, AccountTold};
use crate::clock::Timestamp;
use crate::store::Attribution;

/// One change to an account, as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountJournalled {
    /// Numbers grow; some may be left out.
    pub number: u64,
    /// When it was made.
    #[serde(with = "crate::store::exact")]
    pub at: Timestamp,
    /// By whom.
    pub actor: Box<str>,
    /// `create`, `remove`, or what [`AccountChange::action`](super::AccountChange::action) calls it.
    pub action: Box<str>,
    /// The account that it was made to.
    pub account: AccountId,
    /// The account as it was, but for its password; nothing where it was made.
    pub before: Option<serde_json::Value>,
    /// The account as it became; nothing where it was removed.
    pub after: Option<serde_json::Value>,
}

impl AccountJournalled {
    /// The row of a change, whatever its number.
    pub fn new(by: &Attribution, action: &str, id: AccountId, before: Option<&Account>, after: Option<&Account>) -> Self {
        let told = |account: &Account| serde_json::to_value(AccountTold::of(account)).ok();
        Self {
            number: 0,
            at: by.at,
            actor: by.actor.clone(),
            action: action.into(),
            account: id,
            before: before.and_then(told),
            after: after.and_then(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_as_it_was_to_the_nanosecond() {
        let by = Attribution { actor: "a\0\u{1f511}".into(), at: Timestamp::from_unix_nanoseconds(1_234_567_890_123_456_789) };
        let row = AccountJournalled::new(&by, "remove", "a".parse().unwrap(), None, None);
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(serde_json::from_str::<AccountJournalled>(&text).unwrap(), row);
    }
}
