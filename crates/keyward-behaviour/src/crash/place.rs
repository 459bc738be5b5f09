//! Where one store is, with all that was done to it.

use std::{
    env,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use super::open::Kind;
use crate::{services::postgres::Postgres, stores::Problem};

/// A private folder with a store, or with the log of one in a database. It goes when this is dropped.
pub(super) struct Place {
    folder: PathBuf,
    is_kept: bool,
    /// Chooses the changes.
    pub(super) seed: u64,
    /// With a database's password.
    pub(super) url: String,
    /// What the workload printed, and what checks settled.
    pub(super) log: String,
}

impl Place {
    pub(super) fn new(kind: Kind, server: Option<&Postgres>, seed: u64) -> Result<Place, Problem> {
        static PLACES: AtomicU32 = AtomicU32::new(0);
        let number = PLACES.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("keyward-crash-{}-{number}", process::id()));
        // Stores refuse a folder that others can write to.
        DirBuilder::new().mode(0o700).create(&folder).map_err(|error| Problem::from(error).while_doing(folder.display()))?;
        let mut place = Place { folder, is_kept: false, seed, url: String::new(), log: String::new() };
        place.url = match (kind, server) {
            (Kind::Sqlite, _) => format!("sqlite:{}", place.path("keyward.db").display()),
            (Kind::Json, _) => format!("json:{}", place.path("api-keys.json").display()),
            (Kind::Postgres, Some(server)) => server.create_database()?,
            (Kind::Postgres, None) => return Err(Problem::new("a database needs a server")),
        };
        place.write_log()?;
        Ok(place)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the log is written.
    pub(super) fn log_file(&self) -> PathBuf {
        self.path("log")
    }

    pub(super) fn write_log(&self) -> Result<(), Problem> {
        fs::write(self.log_file(), &self.log).map_err(|error| Problem::from(error).while_doing(self.log_file().display()))
    }

    /// Leaves everything as it is, for somebody to look at.
    pub(super) fn keep(mut self) -> PathBuf {
        self.is_kept = true;
        self.folder.clone()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
