//! `keyward keys`: looking after stored keys.

pub(crate) mod arguments;
pub(crate) mod count;
mod create;
mod fields;
mod identifier;
mod import;
mod list;
mod made;
mod purge;
mod revoke;
pub(crate) mod revoked;
mod rotate;
mod show;
mod update;
mod verify;

use std::process::ExitCode;
use std::time::SystemTime;

use keyward::key::Peppers;
use keyward::store::Filter;
use keyward::{KeysError, Timestamp};

use crate::actor::by_user;
use crate::arguments::Stored;
use crate::database::{Access, Database};
use crate::failure::Failure;
use crate::peppers;
use crate::setting::Setting;
use arguments::{Command, Keys, Which};

/// What every command is told.
struct Call<'a> {
    stored: &'a Stored,
    json: bool,
    /// One time for all that a command does.
    now: Timestamp,
}

/// What a command works on, once it has read what it was given: what is wrong with that must leave no database behind.
struct Session {
    keys: keyward::Keys,
    database: Database,
    peppers: Peppers,
    pepper_file: Option<Setting>,
}

impl Session {
    /// For commands that recognise keys or store new ones. Whoever only looks at records or ends them needs no pepper, and in a
    /// hurry may not have it.
    fn check_peppers(&self) -> Result<(), Failure> {
        let checked = self.keys.check_peppers();
        checked.map_err(|mismatch| peppers::do_not_fit(self.pepper_file.as_ref(), &mismatch))
    }
}

pub(crate) fn run(arguments: &Keys) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Fault(format!("cannot start: {error}")))?.block_on(run_command(arguments))
}

async fn run_command(arguments: &Keys) -> Result<ExitCode, Failure> {
    let now = Timestamp::from_system(SystemTime::now());
    let call = Call { stored: &arguments.stored, json: arguments.json, now };
    match &arguments.command {
        Command::Create(create) => create::run(&call, create).await,
        Command::List(list) => list::run(&call, list).await,
        Command::Show(show) => show::run(&call, show).await,
        Command::Update(change) => update::run(&call, change).await,
        Command::Revoke(revoke) => revoke::run(&call, revoke).await,
        Command::Rotate(rotate) => rotate::run(&call, rotate).await,
        Command::Import(import) => import::run(&call, import).await,
        Command::Verify(verify) => verify::run(&call, verify).await,
        Command::Purge(purge) => purge::run(&call, purge).await,
    }
}

impl Call<'_> {
    /// Opens the database, works on it, and closes it whatever came of that.
    async fn with<T>(&self, access: Access, work: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, Failure> {
        let pepper_file = self.stored.pepper_file();
        let peppers = peppers::read(pepper_file.as_ref())?;
        let database = self.stored.place.open_lasting(access, "keys").await?;
        let keys = keyward::Keys::new(database.store()).peppers(peppers.clone()).acting_as(by_user("keyward keys"));
        let session = Session { keys, database, peppers, pepper_file };
        let done = work(&session).await;
        let closed = session.database.close().await;
        let done = done?;
        closed.map(|()| done)
    }
}

fn failed(error: KeysError) -> Failure {
    match error {
        KeysError::Fault(_) => Failure::Fault(error.to_string()),
        KeysError::Peppers(_) => Failure::Configuration(error.to_string()),
        _ => Failure::Refused(error.to_string()),
    }
}

impl Which {
    fn filter(&self, now: Timestamp) -> Filter {
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        Filter {
            owner: text(&self.owner),
            prefix: text(&self.prefix),
            created_from: self.created_from.map(|when| when.ago(now)),
            created_before: self.created_before.map(|when| when.ago(now)),
            ..Filter::default()
        }
    }
}
