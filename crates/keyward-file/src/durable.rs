//! Writing the file whole, so that whenever the power fails the old one is there, or the new one.
//!
//! A temporary file in the same folder is written and synced, renamed over the old one, and the folder synced. Nothing is ever
//! synced a second time: after a failure the system may have thrown the pages away, and would then say that all is well.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use crate::error::FileError;
use crate::place::{Place, open_as_it_is};

/// Why a file was not written.
#[derive(Debug)]
pub(crate) enum NotWritten {
    /// The old one is there.
    OldIsThere(FileError),
    /// The new one is there, but may be gone after a failure of the power.
    NewMayNotLast(File, FileError),
}

/// What is allowed to be there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// A file, which is replaced.
    File,
    /// Nothing. Should there be a file all the same, nothing is done.
    Nothing,
}

/// Writes the file. The handle is the new file's.
pub(crate) fn write(place: &Place, bytes: &[u8], before: Before) -> Result<File, NotWritten> {
    let temporary = place.beside(&temporary_ending());
    let result = write_temporary(&temporary, bytes).and_then(|file| {
        match before {
            Before::File => fs::rename(&temporary, place.path()),
            // Unlike a rename, a link never replaces a file.
            Before::Nothing => fs::hard_link(&temporary, place.path()),
        }
        .map_err(|error| FileError::system(place.path(), "put in its place", error))?;
        Ok(file)
    });
    if result.is_err() || before == Before::Nothing {
        // Should it stay, the next one to open the keys removes it.
        let _ = fs::remove_file(&temporary);
    }
    let file = result.map_err(NotWritten::OldIsThere)?;
    match File::open(place.folder()).and_then(|folder| folder.sync_all()) {
        Ok(()) => Ok(file),
        Err(error) => Err(NotWritten::NewMayNotLast(file, FileError::system(place.folder(), "synced", error))),
    }
}

fn write_temporary(temporary: &Path, bytes: &[u8]) -> Result<File, FileError> {
    let failed = |doing: &'static str| move |error: io::Error| FileError::system(temporary, doing, error);
    let mut options = OpenOptions::new();
    let mut file =
        open_as_it_is(options.read(true).write(true).create_new(true).mode(0o600), temporary).map_err(failed("created"))?;
    file.write_all(bytes).map_err(failed("written"))?;
    file.sync_all().map_err(failed("synced"))?;
    Ok(file)
}

const TEMPORARY: &str = ".new-";

/// No two of them are the same, in whatever containers the processes are that share a folder.
fn temporary_ending() -> String {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{TEMPORARY}{:x}-{:x}", std::process::id(), time.as_nanos())
}

/// Removes what a killed process left behind. Only for whoever holds the lock.
pub(crate) fn remove_temporaries(place: &Place) {
    let Ok(entries) = fs::read_dir(place.folder()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let numbers = place.ending_of(&name).and_then(|ending| ending.strip_prefix(TEMPORARY)?.split_once('-'));
        let is_hexadecimal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_named_so = numbers.is_some_and(|(process, time)| is_hexadecimal(process) && is_hexadecimal(time));
        let own = rustix::process::geteuid().as_raw();
        if is_named_so && entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.uid() == own) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
