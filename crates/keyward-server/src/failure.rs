//! Why a command could not do what it was asked, and the exit status that says so.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::output::visible;

/// Everything but "refused" and "found", which are results.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
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
            Self::Configuration(_) => 2,
            Self::Fault(_) => 3,
        })
    }

    /// A file that was named cannot be read. A wrong name is the operator's, a broken disk is not.
    pub(crate) fn unreadable(file: &Path, error: &io::Error) -> Self {
        use io::ErrorKind::{InvalidData, InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        let told = format!("cannot read {}: {error}", visible(&file.display().to_string()));
        match error.kind() {
            NotFound | PermissionDenied | IsADirectory | NotADirectory | InvalidData | InvalidInput => Self::Configuration(told),
            _ => Self::Fault(told),
        }
    }
}
