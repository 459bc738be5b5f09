//! Why a command could not do what it was asked, and the exit status that says so.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::output::visible;

/// What a command found, or decided, is a result and not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It was understood and is not done: what it is about is not there, or the store's rules forbid it. Status 1.
    #[error("{0}")]
    Refused(String),
    /// Something that the operator wrote cannot be used as it is: status 2.
    #[error("{0}")]
    Configuration(String),
    /// The machine or the network failed: status 3.
    #[error("{0}")]
    Fault(String),
}

impl Failure {
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Configuration(_) => 2,
            Self::Fault(_) => 3,
        })
    }

    /// A file that was named cannot be read. A wrong name is the operator's, a broken disk is not. `by` is the flag or the
    /// variable that named it.
    pub(crate) fn unreadable(by: Option<&str>, file: &Path, error: &io::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        let by = by.map(|by| format!("{by}: ")).unwrap_or_default();
        let told = format!("{by}cannot read {}: {error}", visible(&file.display().to_string()));
        let mend = match error.kind() {
            NotFound | NotADirectory | InvalidInput => "name a file that is there",
            PermissionDenied => "let this user read it",
            IsADirectory => "name a file in it",
            InvalidData => "write it as UTF-8",
            _ => return Self::Fault(told),
        };
        Self::Configuration(format!("{told}; {mend}"))
    }
}
