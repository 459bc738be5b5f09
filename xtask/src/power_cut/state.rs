//! What a folder holds: read from it, and put into another one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// SQLite's index of its log ends with this. It lives in shared memory and is made anew by whoever opens the database
/// first, so nothing depends on what of it survives.
const MADE_ANEW: &str = "-shm";

/// Names below a folder, `/` between them, in an order in which each folder comes before what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct State(pub(super) BTreeMap<String, Content>);

/// What stands under a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Content {
    Folder,
    File(Vec<u8>),
}

/// Whether nothing depends on what is in a file of this name.
pub(super) fn is_made_anew(name: &str) -> bool {
    name.ends_with(MADE_ANEW)
}

impl State {
    /// What a folder holds now.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut state = Self::default();
        state.read_below(folder, "")?;
        Ok(state)
    }

    fn read_below(&mut self, folder: &Path, prefix: &str) -> Result<()> {
        let cannot = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(folder).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let path = entry.path();
            let name = entry.file_name().into_string().ok().with_context(|| format!("{} is not UTF-8", path.display()))?;
            let name = format!("{prefix}{name}");
            let kind = entry.file_type().with_context(cannot)?;
            if kind.is_dir() {
                self.read_below(&path, &format!("{name}/"))?;
                self.0.insert(name, Content::Folder);
            } else if kind.is_file() {
                if !is_made_anew(&name) {
                    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                    self.0.insert(name, Content::File(bytes));
                }
            } else {
                bail!("{} is neither a file nor a folder; only those are understood", path.display());
            }
        }
        Ok(())
    }

    /// Puts all of it into a new folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let cannot = |path: &Path| format!("cannot write {}", path.display());
        fs::create_dir(folder).with_context(|| cannot(folder))?;
        for (name, content) in &self.0 {
            let path = folder.join(name);
            let outcome = match content {
                Content::Folder => fs::create_dir(&path),
                Content::File(bytes) => fs::write(&path, bytes),
            };
            outcome.with_context(|| cannot(&path))?;
        }
        Ok(())
    }

    /// The names whose content differs.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let names = self.0.keys().chain(other.0.keys().filter(|name| !self.0.contains_key(*name)));
        names.filter(|name| self.0.get(*name) != other.0.get(*name)).cloned().collect()
    }
}
