//! `keyward accounts`: looking after those who look after keys.

pub(crate) mod arguments;
mod change;
mod create;
mod delete;
mod list;
mod password;
mod show;
mod which;

use std::process::ExitCode;

use keyward::account::AccountRefused;
use keyward_admin::AccountsError;

use crate::actor::by_user;
use crate::arguments::Place;
use crate::database::{Access, Location};
use crate::failure::Failure;
use arguments::{Accounts, Command};
use change::Change;

/// What every command is told.
struct Call<'a> {
    place: &'a Place,
    json: bool,
}

/// What a command works on, once it has read what it was given: what is wrong with that must leave no database behind.
struct Session {
    accounts: keyward_admin::Accounts,
    keys: keyward::Keys,
}

pub(crate) fn run(arguments: &Accounts) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Fault(format!("cannot start: {error}")))?.block_on(run_command(arguments))
}

async fn run_command(arguments: &Accounts) -> Result<ExitCode, Failure> {
    let call = Call { place: &arguments.place, json: arguments.json };
    match &arguments.command {
        Command::Create(create) => create::run(&call, create).await,
        Command::List(list) => list::run(&call, list).await,
        Command::Show(of) => show::run(&call, &of.account).await,
        Command::Disable(of) => change::run(&call, &of.account, Change::Disable).await,
        Command::Enable(of) => change::run(&call, &of.account, Change::Enable).await,
        Command::MakeAdmin(of) => change::run(&call, &of.account, Change::MakeAdmin).await,
        Command::MakeUser(of) => change::run(&call, &of.account, Change::MakeUser).await,
        Command::SetPassword(set) => password::run(&call, set).await,
        Command::Delete(delete) => delete::run(&call, delete).await,
    }
}

impl Call<'_> {
    /// Opens the database, works on it, and closes it whatever came of that.
    async fn with<T>(&self, access: Access, work: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, Failure> {
        self.demand_accounts()?;
        let database = self.place.open_lasting(access, "accounts").await?;
        let Some(accounts) = database.accounts() else { return Err(no_accounts("the database")) };
        let keys = keyward::Keys::new(database.store());
        let accounts = keyward_admin::Accounts::new(keys.clone(), accounts).acting_as(by_user("command line"));
        let done = work(&Session { accounts, keys }).await;
        let closed = database.close().await;
        let done = done?;
        closed.map(|()| done)
    }

    /// Before anything is opened, which might make a file.
    fn demand_accounts(&self) -> Result<(), Failure> {
        match self.place.database() {
            Some(setting) if matches!(Location::read(&setting)?, Location::Json(_)) => Err(no_accounts(setting.name)),
            _ => Ok(()),
        }
    }
}

fn no_accounts(name: &str) -> Failure {
    let mend = "name a SQLite or PostgreSQL database, like sqlite:keyward.db; `keyward keys import` takes keys over into one";
    Failure::Configuration(format!("{name}: a JSON file keeps keys and no accounts; {mend}"))
}

fn failed(error: AccountsError) -> Failure {
    match error {
        AccountsError::Fields(_) => Failure::Configuration(error.to_string()),
        AccountsError::Refused(AccountRefused::PasswordChanged) => {
            Failure::Refused("somebody else changed the password meanwhile, and nothing was done; try again".to_owned())
        }
        AccountsError::Refused(_) => Failure::Refused(error.to_string()),
        AccountsError::LastAdministrator => Failure::Refused(format!("{error}, by `keyward accounts make-admin`")),
        error => Failure::Fault(error.to_string()),
    }
}
