//! Keys in a JSON file.

use keyward::clock::ManualClock;
use keyward_file::FileStore;

use super::folder::Folder;
use crate::stores::{
    harness::{Ability, StoreHarness},
    problem::Problem,
};

/// Keys in a JSON file, with a folder to itself.
pub(super) struct File;

impl StoreHarness for File {
    const NAME: &'static str = "file";
    const SHARED: Ability = Ability::No("one process at a time has the file");
    const JOURNAL: u64 = 1_000;
    const SEQUENCES: u32 = 24;
    type Store = FileStore;
    type Place = Folder;

    fn start() -> Result<File, Problem> {
        Ok(File)
    }

    fn new_place(&self) -> Result<Folder, Problem> {
        Folder::create()
    }

    async fn open(place: &Folder, _: ManualClock) -> Result<FileStore, Problem> {
        Ok(FileStore::open(place.path().join("keys.json"))?)
    }
}
