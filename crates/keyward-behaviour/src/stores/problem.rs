//! What went wrong while a store was on trial.

use std::fmt;

/// In what a store differs from what it promises, or what could not be carried out. Any error becomes one.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem(String);

impl Problem {
    /// A problem in words.
    pub fn new(what: impl Into<String>) -> Problem {
        Problem(what.into())
    }

    /// The same, with what was being done before it.
    #[must_use]
    pub fn while_doing(self, what: impl fmt::Display) -> Problem {
        Problem(format!("{what}: {}", self.0))
    }

    /// The words.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// What comes of a case.
pub(crate) type Outcome = Result<(), Problem>;

// Not an error itself, so that every error can become one by `?`.
impl<E: std::error::Error> From<E> for Problem {
    fn from(error: E) -> Problem {
        Problem(error.to_string())
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Both are the same, or what they are not.
///
/// # Errors
/// Both, and what was looked at.
pub(crate) fn same<T: PartialEq + fmt::Debug>(what: impl fmt::Display, expected: T, got: T) -> Outcome {
    if expected == got { Ok(()) } else { Err(Problem(format!("{what}: expected {expected:?}, got {got:?}"))) }
}

/// It is so.
///
/// # Errors
/// What was to be.
pub(crate) fn holds(what: impl fmt::Display, is_so: bool) -> Outcome {
    if is_so { Ok(()) } else { Err(Problem(format!("this does not hold: {what}"))) }
}
