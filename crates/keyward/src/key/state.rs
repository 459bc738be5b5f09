//! When a secret is live (R7.4).

use super::{Record, Slot};
use crate::clock::Timestamp;
use crate::decision::Kind;

/// How a key stands at an instant, through its current secret: what listings show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// It is accepted.
    Live,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// It is switched off.
    Disabled,
    /// It has been ended.
    Revoked,
}

/// What was written is no state of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key is `live`, `not-yet-valid`, `expired`, `disabled` or `revoked`")]
pub struct NotAState;

impl State {
    const ALL: [Self; 5] = [Self::Live, Self::NotYetValid, Self::Expired, Self::Disabled, Self::Revoked];

    /// How the key of a record stands (R7.4).
    pub fn of(record: &Record, now: Timestamp) -> Self {
        match Standing::of(record, &record.current, now) {
            Standing::Dead(Kind::Revoked) => Self::Revoked,
            Standing::Dead(Kind::Disabled) => Self::Disabled,
            Standing::Dead(Kind::NotYetValid) => Self::NotYetValid,
            Standing::Dead(_) => Self::Expired,
            Standing::Live => Self::Live,
        }
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for State {
    type Err = NotAState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(NotAState)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a record stands at an instant, through one of its slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Live,
    Dead(Kind),
}

impl Standing {
    /// Live iff `not_before ≤ now < expires`, neither disabled nor revoked, and `now` before the end of the slot's grace. Where
    /// several reasons hold, the one that lasts longest is told.
    pub(crate) fn of(record: &Record, slot: &Slot, now: Timestamp) -> Self {
        let ended = |end: Option<Timestamp>| end.is_some_and(|end| now >= end);
        if record.is_revoked() {
            Self::Dead(Kind::Revoked)
        } else if record.disabled {
            Self::Dead(Kind::Disabled)
        } else if ended(record.expires) || ended(slot.grace_ends) {
            Self::Dead(Kind::Expired)
        } else if record.not_before.is_some_and(|start| now < start) {
            Self::Dead(Kind::NotYetValid)
        } else {
            Self::Live
        }
    }
}
