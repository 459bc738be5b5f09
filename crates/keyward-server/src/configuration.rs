//! From flags and files to the parts of a guard, for `serve` and `explain` alike: they must not decide differently.

use std::fs;
use std::path::Path;

use keyward::import::{self, ImportedKey, ImportedSecret};
use keyward::key::Peppers;
use keyward::limit::Quota;
use keyward::ticket::UsedTickets;
use keyward::{Guard, GuardBuilder, Keys, KeysError, Policy};

use crate::arguments::Deciding;
use crate::database::{Access, Database, Location};
use crate::failure::Failure;
use crate::output::visible;
use crate::peppers;
use crate::policy_warnings::{PolicyText, SHORT, is_short};
use crate::server_secret::{self, Signing};
use crate::setting::Setting;

/// Policy and keys, read and checked.
pub(crate) struct Configuration {
    policy: Policy,
    text: PolicyText,
    /// How the policy is called in errors.
    policy_name: String,
    pub(crate) database: Database,
    peppers: Peppers,
    /// How many keys `--keys` held.
    pub(crate) imported: usize,
    /// Where keys are that are short enough to be guessed.
    short_keys: Vec<String>,
    signing: Signing,
}

impl Configuration {
    /// Reads all of it, and opens the database: last, so that nothing is made for a start that fails.
    pub(crate) async fn read(deciding: &Deciding, access: Access) -> Result<Self, Failure> {
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
        let signing = server_secret::read(deciding.server_secret_file(), deciding.insecure_readable_server_secret)?;
        let peppers = peppers::read(deciding.stored.pepper_file().as_ref())?;
        let mut short_keys = text.short_configured_keys(|name| std::env::var_os(name));
        let mut imported = 0;
        let database = match &deciding.keys {
            None => {
                let database = deciding.stored.place.open(access).await?;
                check_peppers(deciding, access, &database, &peppers).await?;
                database
            }
            Some(file) => {
                let database = in_memory(deciding.stored.place.database().as_ref())?;
                let keys = Keys::new(database.store()).peppers(peppers.clone());
                imported = import_file(&keys, file, &mut short_keys).await?;
                database
            }
        };
        let policy = with_default_failures(policy).with_default_tickets();
        Ok(Self { policy, text, policy_name, database, peppers, imported, short_keys, signing })
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Looks after the keys that the guard finds.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.database.store()).peppers(self.peppers.clone())
    }

    /// Whether a key in the store can ever be found.
    pub(crate) fn asks_the_store(&self) -> bool {
        self.text.asks_the_store()
    }

    /// Whether it matters where used tickets are noted.
    pub(crate) fn notes_used_tickets(&self) -> bool {
        self.text.notes_used_tickets()
    }

    /// Notes used tickets there, in place of this process's memory.
    pub(crate) fn note_used_tickets_in(&mut self, used: impl UsedTickets + 'static) {
        self.signing.tickets = self.signing.tickets.clone().used(used);
    }

    /// Whether no other server can read the tickets that this one makes.
    pub(crate) fn makes_tickets_for_itself(&self) -> bool {
        self.signing.is_made_here && !self.text.has_plain_tickets()
    }

    /// What a server should say at its start, beside what guards say themselves.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let of_policy = self.text.warnings().into_iter().filter(|warning| !warning.is_said_by_guards);
        let of_policy = of_policy.map(|warning| format!("{}: {}", warning.place(&self.policy_name), warning.text()));
        of_policy.chain(self.short_keys.iter().cloned()).collect()
    }

    /// A guard, but for what `serve` and `explain` need differently.
    pub(crate) fn guard(&self, more: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Result<Guard, Failure> {
        let builder = Guard::builder(self.policy.clone()).store(self.database.store()).peppers(self.peppers.clone());
        let builder = builder.environment(|name| std::env::var_os(name)).tickets(self.signing.tickets.clone());
        more(builder).build().map_err(|error| Failure::Configuration(self.text.told(&self.policy_name, &error)))
    }
}

/// A key whose pepper is missing would be unknown. Who may write also notes the newest pepper: keys will be stored with it.
async fn check_peppers(deciding: &Deciding, access: Access, database: &Database, peppers: &Peppers) -> Result<(), Failure> {
    let keys = Keys::new(database.store()).peppers(peppers.clone());
    let checked = match access {
        Access::Read => keys.check_peppers().map_err(KeysError::from),
        Access::Change | Access::Create => keys.note_peppers().await,
    };
    checked.map_err(|error| match error {
        KeysError::Peppers(mismatch) => peppers::do_not_fit(deciding.stored.pepper_file().as_ref(), &mismatch),
        other => Failure::Fault(format!("{database}: cannot note the newest pepper: {other}")),
    })
}

/// A server faces everybody, so guessing is bounded unless the policy says `off`.
pub(crate) fn with_default_failures(policy: Policy) -> Policy {
    policy.with_default_failures(Quota::new(60, std::time::Duration::from_secs(60)).expect("60 a minute is a quota"))
}

/// Where the keys of `--keys` go. They are read anew at each start: in a database that lasts, a key whose row is gone would stay.
fn in_memory(wanted: Option<&Setting>) -> Result<Database, Failure> {
    if let Some(setting) = wanted
        && Location::read(setting)? != Location::Memory
    {
        let problem = "the keys of `--keys` are held in memory only, and a database was named, too";
        let mend = "`keyward keys import FILE` takes keys over into a database; or leave the database out";
        return Err(Failure::Configuration(format!("{}: {problem}; {mend}", setting.name)));
    }
    Ok(Database::in_memory())
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
