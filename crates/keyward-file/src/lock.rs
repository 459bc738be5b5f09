//! One writer at a time: a lock on a file beside the keys.
//!
//! Not on the keys themselves. They are replaced whole, and a lock would stay with the file that was there before.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use crate::error::{FileError, FileErrorKind};
use crate::place::{Place, Version, open_own};

/// The lock, until it is dropped. The operating system lets go of it when the process ends, in whatever way.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of a file of keys.
    pub(crate) fn take(place: &Place) -> Result<Self, FileError> {
        let path = place.beside(".lock");
        // Somebody may take the file away between opening and locking. Whoever does that again and again is not waited for.
        for _ in 0..10 {
            let mut options = OpenOptions::new();
            let Some((file, _)) = open_own(options.read(true).write(true).create(true).mode(0o600), &path)? else {
                place.check_folder()?;
                continue;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(place, &file)),
                Err(TryLockError::Error(error)) => return Err(FileError::system(&path, "locked", error)),
            }
            let lock = Self { file, path: path.clone() };
            if lock.is_in_place() {
                lock.name_ourselves();
                return Ok(lock);
            }
        }
        Err(FileError::new(FileErrorKind::InUse, &path, "is removed as often as it is made", "find out who does that"))
    }

    /// Whether the file that is locked is still the one that others would lock.
    pub(crate) fn is_in_place(&self) -> bool {
        match (self.path.symlink_metadata(), self.file.metadata()) {
            (Ok(there), Ok(ours)) => Version::is_same_file(&there, &ours),
            _ => false,
        }
    }

    /// For the text of who comes second. On a full disk that text says less; nothing else depends on it.
    fn name_ourselves(&self) {
        let name = format!("{}\n", std::process::id());
        let _ = self.file.set_len(0);
        let _ = self.file.write_all_at(name.as_bytes(), 0);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that is being started at this moment has a copy of it until it is another
        // program.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

fn in_use(place: &Place, file: &File) -> FileError {
    let mut text = String::new();
    let _ = file.take(20).read_to_string(&mut text);
    let problem = match text.trim().parse::<u32>() {
        Ok(process) => format!("is in use by process {process}"),
        Err(_) => "is in use by another process".to_owned(),
    };
    FileError::new(FileErrorKind::InUse, place.path(), problem, "stop it, or make the change through it")
}
