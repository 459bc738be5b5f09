//! From flags and files to the parts of a guard, for `serve` and `explain` alike: they must not decide differently.

use std::fs;
use std::path::Path;

use keyward::import::{self, ImportedKey};
use keyward::limit::Quota;
use keyward::{ConfigError, Guard, GuardBuilder, Keys, MemoryStore, Policy};

use crate::arguments::Deciding;
use crate::failure::Failure;
use crate::output::visible;

/// Policy and keys, read and checked.
pub(crate) struct Configuration {
    policy: Policy,
    /// How the policy is called in errors.
    policy_name: String,
    pub(crate) store: MemoryStore,
    /// How many keys `--keys` held.
    pub(crate) imported: usize,
}

impl Configuration {
    pub(crate) fn read(deciding: &Deciding) -> Result<Self, Failure> {
        let (policy, policy_name) = match &deciding.policy {
            None => (Policy::builder().build(), "the default policy".to_owned()),
            Some(file) => {
                let name = visible(&file.display().to_string()).into_owned();
                let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
                (Policy::from_toml(&name, &text), name)
            }
        };
        let policy = policy.map_err(|error| Failure::Configuration(error.to_string()))?;
        let store = open(&deciding.database)?;
        let imported = match &deciding.keys {
            None => 0,
            Some(file) => pollster::block_on(import_file(&Keys::new(store.clone()), file))?,
        };
        Ok(Self { policy: policy.with_default_failures(default_failures()), policy_name, store, imported })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// A guard, but for what `serve` and `explain` need differently.
    pub(crate) fn guard(&self, more: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Result<Guard, Failure> {
        let builder = Guard::builder(self.policy.clone()).store(self.store.clone()).environment(|name| std::env::var_os(name));
        more(builder).build().map_err(|error: ConfigError| Failure::Configuration(format!("{}: {error}", self.policy_name)))
    }
}

/// A server faces everybody, so guessing is bounded unless the policy says `off`.
fn default_failures() -> Quota {
    Quota::new(60, std::time::Duration::from_secs(60)).expect("60 a minute is a quota")
}

fn open(url: &str) -> Result<MemoryStore, Failure> {
    if url == "memory:" {
        return Ok(MemoryStore::new());
    }
    // Only the scheme is repeated: the rest may hold a password.
    let scheme = url.split_once(':').map_or("this", |(scheme, _)| scheme);
    Err(Failure::Configuration(format!(
        "--database: `{}` databases are not available; available is `memory:`, which keeps keys until the program ends",
        visible(scheme)
    )))
}

async fn import_file(keys: &Keys, file: &Path) -> Result<usize, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(file, &error))?;
    let name = file.display().to_string();
    let (mut imported, mut problems) = (0, Vec::new());
    for (index, line) in text.lines().enumerate() {
        // One line at a time, so that what the store refuses has its line too.
        for row in import::keys_file(line) {
            match import_row(keys, row).await {
                Ok(()) => imported += 1,
                Err(problem) => problems.push(format!("{}:{}: {problem}", visible(&name), index + 1)),
            }
        }
    }
    if problems.is_empty() { Ok(imported) } else { Err(Failure::Configuration(problems.join("\n"))) }
}

async fn import_row(keys: &Keys, row: Result<ImportedKey, import::BadRow>) -> Result<(), String> {
    let key = row.map_err(|bad| bad.problem)?;
    keys.import(key).await.map(drop).map_err(|error| error.to_string())
}
