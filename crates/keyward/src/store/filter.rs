//! Which records a listing, or a bulk revocation, is about.

use crate::clock::Timestamp;
use crate::key::{Record, State};

/// Which records are meant: those that meet all that is set. Nothing set: all.
///
/// ```
/// use keyward::store::Filter;
/// let of_ada = Filter { owner: Some("ada".into()), ..Filter::default() };
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whose they are.
    pub owner: Option<Box<str>>,
    /// What they are labelled.
    pub kind: Option<Box<str>>,
    /// What the shown part of the current secret begins with, in the same case.
    pub prefix: Option<Box<str>>,
    /// How they stand at a time.
    pub state: Option<(State, Timestamp)>,
    /// Made at this time or later.
    pub created_from: Option<Timestamp>,
    /// Made before this time.
    pub created_before: Option<Timestamp>,
    /// Revoked before this time.
    pub revoked_before: Option<Timestamp>,
}

impl Filter {
    /// Whether a record is meant. Stores that look in another way have to find the same.
    pub fn matches(&self, record: &Record) -> bool {
        self.owner.as_ref().is_none_or(|owner| record.owner.as_ref() == Some(owner))
            && self.kind.as_ref().is_none_or(|kind| record.kind.as_ref() == Some(kind))
            && self.prefix.as_ref().is_none_or(|prefix| record.current.prefix.starts_with(&**prefix))
            && self.state.is_none_or(|(state, now)| State::of(record, now) == state)
            && self.created_from.is_none_or(|from| record.created >= from)
            && self.created_before.is_none_or(|before| record.created < before)
            && self.revoked_before.is_none_or(|before| record.revoked_at().is_some_and(|at| at < before))
    }
}
