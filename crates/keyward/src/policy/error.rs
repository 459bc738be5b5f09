//! What is wrong with a configuration: where, what, and how to mend it.

use std::fmt;

/// A policy or a guard that cannot be used as written.
///
/// Never a request's outcome: those are [`Denial`](crate::Denial)s. Prints every fault on a line of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    pub(crate) file: Option<String>,
    pub(crate) faults: Vec<ConfigFault>,
}

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFault {
    /// The line in the file, from 1, where there is a file.
    pub line: Option<usize>,
    /// The field, like `routes[2].path`, or the environment variable. Empty for a file that is no TOML.
    pub field: String,
    /// What is wrong.
    pub problem: String,
    /// How to mend it.
    pub mend: String,
}

impl ConfigError {
    pub(crate) fn one(field: impl Into<String>, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            file: None,
            faults: vec![ConfigFault { line: None, field: field.into(), problem: problem.into(), mend: mend.into() }],
        }
    }

    /// Everything that is wrong.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            match (&self.file, fault.line) {
                (Some(file), Some(line)) => write!(f, "{file}:{line}: ")?,
                (Some(file), None) => write!(f, "{file}: ")?,
                _ => {}
            }
            if !fault.field.is_empty() {
                write!(f, "{}: ", fault.field)?;
            }
            write!(f, "{}", fault.problem)?;
            if !fault.mend.is_empty() {
                write!(f, "; {}", fault.mend)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ConfigError {
    /// As `Display`: it is what a `main` that returns the error prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}
