//! Audit files whose lines vouch for each other.

pub(crate) mod key;
pub(crate) mod verify;
