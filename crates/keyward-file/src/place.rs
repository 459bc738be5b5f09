//! Where the file is, whether it is safe there, and which version of it.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::{FileError, FileErrorKind};

/// The path of a file of keys.
///
/// Every look begins at the path again. A handle of the folder was refused: where a folder is replaced as a whole, whoever only
/// reads would read the old one for ever, and miss every revocation.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    insecure_shared_folder: bool,
}

/// Which version of the file: another one differs in this.
///
/// The time of the last change of the inode is part of it. Unlike that of the content it cannot be set, so that a backup which is
/// copied over the file with its old times is noticed, and so is another mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether both are of one file, whatever was written into it meanwhile.
    pub(crate) fn is_same_file(one: &Metadata, other: &Metadata) -> bool {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    }
}

/// A file as it was read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) bytes: Vec<u8>,
    pub(crate) version: Version,
    /// To be kept as long as the version is: no other file gets the number of an inode that is open.
    pub(crate) file: File,
}

impl Place {
    pub(crate) fn new(path: &Path, insecure_shared_folder: bool) -> Result<Self, FileError> {
        let no_name =
            || FileError::new(FileErrorKind::Missing, path, "names no file", "give the path of a file, such as `api-keys.json`");
        let name = path.file_name().ok_or_else(no_name)?.to_owned();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self { path: path.to_owned(), folder, name, insecure_shared_folder })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file beside this one whose name is longer.
    pub(crate) fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(ending);
        self.folder.join(name)
    }

    /// How the name of a file beside this one goes on.
    pub(crate) fn ending_of<'n>(&self, name: &'n std::ffi::OsStr) -> Option<&'n str> {
        name.to_str()?.strip_prefix(self.name.to_str()?)
    }

    /// The version that is there now.
    pub(crate) fn version(&self) -> io::Result<Version> {
        // A link is not followed: it is another version than the file.
        self.path.symlink_metadata().map(|metadata| Version::of(&metadata))
    }

    /// Reads the file. `None` where there is none.
    pub(crate) fn read(&self) -> Result<Option<Found>, FileError> {
        self.check_folder()?;
        let Some((mut file, metadata)) = open_own(OpenOptions::new().read(true), &self.path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| FileError::system(&self.path, "read", error))?;
        // As it was before it was read: what is written into it from here on makes another version.
        Ok(Some(Found { bytes, version: Version::of(&metadata), file }))
    }

    pub(crate) fn check_folder(&self) -> Result<(), FileError> {
        let metadata = match self.folder.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mend = format!("create it with `mkdir -m 700 {}`", self.folder.display());
                return Err(FileError::new(FileErrorKind::Missing, &self.path, "is in a folder that is not there", mend));
            }
            Err(error) => return Err(FileError::system(&self.folder, "looked at", error)),
        };
        let (others_write, sticky) = (metadata.mode() & 0o022 != 0, metadata.mode() & 0o1000 != 0);
        if others_write && !sticky && !self.insecure_shared_folder {
            let folder = self.folder.display();
            let problem = format!("is in a folder that others can write to ({folder}, mode {:04o})", metadata.mode() & 0o7777);
            let mend = format!(
                "they could put another file in its place; `chmod go-w {folder}`, or, where all of them may change keys, open it with `insecure_shared_folder`"
            );
            return Err(FileError::new(FileErrorKind::Insecure, &self.path, problem, mend));
        }
        Ok(())
    }
}

/// Opens a file, but neither what a link points to, nor a pipe that somebody would have to write to first.
pub(crate) fn open_as_it_is(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    // Bits, whose sign means nothing.
    options.custom_flags(flags.bits().cast_signed()).open(path)
}

/// Opens a file that only this user can read and write. `None` where there is none and none is to be made.
pub(crate) fn open_own(options: &mut OpenOptions, path: &Path) -> Result<Option<(File, Metadata)>, FileError> {
    // Before it is opened: opening a device can do something.
    if let Ok(metadata) = path.symlink_metadata() {
        check_kind(path, &metadata)?;
    }
    let file = match open_as_it_is(options, path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::system(path, "opened", error)),
    };
    // And after it: another one may have been put there meanwhile.
    let metadata = file.metadata().map_err(|error| FileError::system(path, "looked at", error))?;
    check_kind(path, &metadata)?;
    check_owner(path, &metadata)?;
    Ok(Some((file, metadata)))
}

fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let insecure = |problem: String, mend: String| Err(FileError::new(FileErrorKind::Insecure, path, problem, mend));
    let (own, owner, shown) = (rustix::process::geteuid().as_raw(), metadata.uid(), path.display());
    if owner != own {
        let mend = format!("run as that user, or `chown {own} {shown}`");
        return insecure(format!("belongs to user {owner}, and this process runs as user {own}"), mend);
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return insecure(format!("is open to others (mode {mode:04o})"), format!("`chmod 600 {shown}`"));
    }
    Ok(())
}

fn check_kind(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let problem = if metadata.is_symlink() {
        "is a symbolic link"
    } else if !metadata.is_file() {
        "is not a regular file"
    } else {
        return Ok(());
    };
    Err(FileError::new(FileErrorKind::Insecure, path, problem, "give the path of the file itself"))
}
