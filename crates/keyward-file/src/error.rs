//! Why a file of keys is refused.

use std::io;
use std::path::Path;

use keyward::Fault;

/// A file of keys that was not opened, or that is not read any more. Says what is wrong with it and how to mend that.
#[derive(Debug, thiserror::Error)]
#[error("{file} {problem}: {mend}")]
pub struct FileError {
    kind: FileErrorKind,
    file: String,
    problem: String,
    mend: String,
    source: Option<io::Error>,
}

/// What is wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// There is no such file, and it cannot be made here.
    Missing,
    /// The operating system failed.
    System,
    /// Somebody else could read the file, or put another one in its place.
    Insecure,
    /// Another process, or another store of this one, has it open.
    InUse,
    /// It is not what was written.
    Damaged,
    /// A newer Keyward wrote it.
    Newer,
}

impl FileError {
    pub(crate) fn new(kind: FileErrorKind, file: &Path, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { kind, file: file.display().to_string(), problem: problem.into(), mend: mend.into(), source: None }
    }

    /// The operating system did not do something.
    pub(crate) fn system(file: &Path, doing: &str, error: io::Error) -> Self {
        let mend = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "make room for it",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "let this user write to its folder",
            io::ErrorKind::NotFound => "see that its folder is there",
            _ => "see what the system's log says of this disk",
        };
        let problem = format!("could not be {doing} ({error})");
        Self { source: Some(error), ..Self::new(FileErrorKind::System, file, problem, mend) }
    }

    /// What is wrong.
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }

    /// As a store tells it of a change that was not made.
    pub(crate) fn nothing_changed(&self) -> Fault {
        Fault::new(format!("{self}; nothing was changed"))
    }
}
