//! How a file of keys is opened.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::FileError;
use crate::live::Live;
use crate::place::Place;
use crate::store::FileStore;
use crate::uses::Uses;

/// Opens a [`FileStore`] in another way than [`FileStore::open`] does.
#[derive(Debug, Clone)]
#[must_use]
pub struct FileStoreBuilder {
    path: PathBuf,
    read_only: bool,
    insecure_shared_folder: bool,
    usage_every: Duration,
}

impl FileStoreBuilder {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, read_only: false, insecure_shared_folder: false, usage_every: Duration::from_secs(60) }
    }

    /// Takes no lock, makes no file, and refuses every change. What the process that writes the file changes is seen within
    /// [`revocation_bound`](keyward::store::RecordStore::revocation_bound). Uses are not noted.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Also where others than this user can write to the folder: all of them can take keys away, and put back revoked ones.
    pub fn insecure_shared_folder(mut self) -> Self {
        self.insecure_shared_folder = true;
        self
    }

    /// How long uses may stay in memory before they are written (60 seconds). They are written along with every change, with
    /// [`FileStore::flush`], and when the last clone is dropped; those that are not when the process is killed are lost.
    pub fn usage_every(mut self, wait: Duration) -> Self {
        self.usage_every = wait;
        self
    }

    /// Opens the file.
    ///
    /// # Errors
    /// [`FileError`]: it is in use, not safe where it is, or damaged. It is as it was before.
    pub fn open(self) -> Result<FileStore, FileError> {
        let place = Place::new(&self.path, self.insecure_shared_folder)?;
        if self.insecure_shared_folder {
            tracing::warn!(target: "keyward", file = %self.path.display(), "`insecure_shared_folder` is set: whoever can write to the folder can exchange the file of keys");
        }
        Live::open(place, self.read_only, Uses::new(self.usage_every)).map(FileStore::of)
    }
}
