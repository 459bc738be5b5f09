//! From flags and files to the parts of a guard, for `serve` and `explain` alike: they must not decide differently.

use std::fs;
use std::path::Path;

use keyward::import::{self, ImportedKey, ImportedSecret};
use keyward::limit::Quota;
use keyward::{Guard, GuardBuilder, Keys, MemoryStore, Policy};

use crate::arguments::Deciding;
use crate::failure::Failure;
use crate::output::visible;
use crate::policy_warnings::{PolicyText, SHORT, is_short};
use crate::setting::Setting;

/// Policy and keys, read and checked.
pub(crate) struct Configuration {
    policy: Policy,
    text: PolicyText,
    /// How the policy is called in errors.
    policy_name: String,
    pub(crate) store: MemoryStore,
    /// How many keys `--keys` held.
    pub(crate) imported: usize,
    /// Where keys are that are short enough to be guessed.
    short_keys: Vec<String>,
}

impl Configuration {
    pub(crate) fn read(deciding: &Deciding) -> Result<Self, Failure> {
        let (policy, text, policy_name) = match deciding.policy() {
            None => (Policy::builder().build(), PolicyText::default(), "the default policy".to_owned()),
            Some(Setting { value, name }) => {
                let file = Path::new(&value);
                let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(Some(name), file, &error))?;
                let name = visible(&file.display().to_string()).into_owned();
                (Policy::from_toml(&name, &text), PolicyText::read(&text), name)
            }
        };
        let policy = policy.map_err(|error| Failure::Configuration(error.to_string()))?;
        let store = deciding.database().map_or_else(|| Ok(MemoryStore::new()), |setting| open(&setting))?;
        let mut short_keys = text.short_configured_keys(|name| std::env::var_os(name));
        let imported = match &deciding.keys {
            None => 0,
            Some(file) => pollster::block_on(import_file(&Keys::new(store.clone()), file, &mut short_keys))?,
        };
        Ok(Self { policy: with_default_failures(policy), text, policy_name, store, imported, short_keys })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether a key in the store can ever be found.
    pub(crate) fn asks_the_store(&self) -> bool {
        self.text.asks_the_store()
    }

    /// What a server should say at its start, beside what guards say themselves.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of_policy = self.text.warnings().into_iter().filter(|warning| !warning.is_said_by_guards);
        let of_policy = of_policy.map(|warning| format!("{}: {}", warning.place(&self.policy_name), warning.text()));
        of_policy.chain(self.short_keys.iter().cloned()).collect()
    }

    /// A guard, but for what `serve` and `explain` need differently.
    pub(crate) fn guard(&self, more: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Result<Guard, Failure> {
        let builder = Guard::builder(self.policy.clone()).store(self.store.clone()).environment(|name| std::env::var_os(name));
        more(builder).build().map_err(|error| Failure::Configuration(self.text.told(&self.policy_name, &error)))
    }
}

/// A server faces everybody, so guessing is bounded unless the policy says `off`.
pub(crate) fn with_default_failures(policy: Policy) -> Policy {
    policy.with_default_failures(Quota::new(60, std::time::Duration::from_secs(60)).expect("60 a minute is a quota"))
}

fn open(setting: &Setting) -> Result<MemoryStore, Failure> {
    let url = setting.value.to_string_lossy();
    if url == "memory:" {
        return Ok(MemoryStore::new());
    }
    // Only the scheme is repeated: the rest may hold a password.
    let problem = match url.split_once(':') {
        Some((scheme, _)) => format!("`{}` databases are not available", visible(scheme)),
        None => "this is no URL of a database".to_owned(),
    };
    let mend = "write `memory:`, which keeps keys until the program ends";
    Err(Failure::Configuration(format!("{}: {problem}; {mend}", setting.name)))
}

async fn import_file(keys: &Keys, file: &Path, short_keys: &mut Vec<String>) -> Result<usize, Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::unreadable(Some("--keys"), file, &error))?;
    let name = file.display().to_string();
    let (mut imported, mut problems) = (0, Vec::new());
    for (index, line) in text.lines().enumerate() {
        // One line at a time, so that what the store refuses has its line too.
        for row in import::keys_file(line) {
            let place = format!("{}:{}", visible(&name), index + 1);
            if let Ok(ImportedKey { secret: ImportedSecret::Key { key, .. }, .. }) = &row
                && is_short(key.expose())
            {
                short_keys.push(format!("{place}: its key {SHORT}"));
            }
            match import_row(keys, row).await {
                Ok(()) => imported += 1,
                Err(problem) => problems.push(format!("{place}: {problem}")),
            }
        }
    }
    if problems.is_empty() { Ok(imported) } else { Err(Failure::Configuration(problems.join("\n"))) }
}

async fn import_row(keys: &Keys, row: Result<ImportedKey, import::BadRow>) -> Result<(), String> {
    let key = row.map_err(|bad| bad.problem)?;
    keys.import(key).await.map(drop).map_err(|error| error.to_string())
}
