//! Which file a SQLite database is.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::failure::{Failure, Outcome};

/// The file as it was when it was opened.
///
/// SQLite goes on with the file that it has open, also where its name is another one's by now: a restored backup would not be
/// seen, and what is written would be gone with the next start.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: Arc<PathBuf>,
    number: (u64, u64),
}

impl Place {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: Arc::new(path.to_owned()), number: number(path)? })
    }

    /// Whether the name is still that file's.
    pub(crate) fn check(&self) -> Outcome<()> {
        if number(&self.path).is_ok_and(|number| number == self.number) {
            return Ok(());
        }
        Err(Failure::fault(format!("{} was replaced or removed while it was open: start the program again", self.path.display())))
    }
}

#[cfg(unix)]
fn number(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map(|about| (about.dev(), about.ino()))
}

/// Elsewhere a file that is open can be neither replaced nor removed.
#[cfg(not(unix))]
fn number(_: &Path) -> io::Result<(u64, u64)> {
    Ok((0, 0))
}
