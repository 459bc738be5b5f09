//! When a secret is live (R7.4).

use super::{Record, Slot};
use crate::clock::Timestamp;
use crate::decision::Kind;

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
