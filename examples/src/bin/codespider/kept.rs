//! What is on the disk: keys in `api-keys.json`, and beside it the accounts that look after them.

use std::fs::DirBuilder;
use std::path::Path;

use keyward::Keys;
use keyward_examples::failure::Failure;
use keyward_file::{FileErrorKind, FileStore};
use keyward_sql::{OpenErrorKind, SqliteStore};

pub(crate) struct Kept {
    keys: FileStore,
    accounts: SqliteStore,
}

impl Kept {
    pub(crate) async fn open(folder: &Path) -> Result<Self, Failure> {
        let mut builder = DirBuilder::new();
        // Who can write to it can exchange what is in it.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .recursive(true)
            .create(folder)
            .map_err(|error| Failure::fault(format!("WORKSPACES: the folder {} cannot be made: {error}", folder.display())))?;
        let keys = FileStore::open(folder.join("api-keys.json")).map_err(|error| {
            let text = format!("WORKSPACES: {error}");
            match error.kind() {
                FileErrorKind::Missing | FileErrorKind::Insecure | FileErrorKind::Newer => Failure::configuration(text),
                _ => Failure::fault(text),
            }
        })?;
        let accounts = SqliteStore::open(folder.join("accounts.db")).await.map_err(|error| {
            let text = format!("WORKSPACES: {error}");
            match error.kind() {
                OpenErrorKind::File | OpenErrorKind::Foreign | OpenErrorKind::Version => Failure::configuration(text),
                _ => Failure::fault(text),
            }
        })?;
        Ok(Self { keys, accounts })
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.keys.clone())
    }

    pub(crate) fn accounts(&self) -> SqliteStore {
        self.accounts.clone()
    }

    /// Writes what is not written yet, like the uses of keys.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        let flushed = self.keys.flush();
        self.accounts.close().await.and(flushed).map_err(Failure::fault)
    }
}
