//! `keyward accounts create`.

use std::process::ExitCode;

use keyward_admin::NewAccount;

use super::arguments::Create;
use super::{Call, Session, failed, password, show};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::tell;

pub(super) async fn run(call: &Call<'_>, arguments: &Create) -> Result<ExitCode, Failure> {
    arguments.password.refuse("create --email ADDRESS")?;
    // Nobody types a password for a database that keeps none.
    call.demand_accounts()?;
    let email = arguments.email.as_str();
    let password = password::read(email, "create --email ADDRESS")?;
    let new = NewAccount::checked(email, &arguments.first_name, &arguments.last_name, &password).map_err(failed)?;
    let create = async |session: &Session| session.accounts.create(new, arguments.admin).await.map_err(failed);
    let account = call.with(Access::Create, create).await?;
    show::tell(call, &account)?;
    if account.is_admin && !arguments.admin && !call.json {
        tell("it is an administrator's, since it is the first; the dashboard of `keyward serve` is at /dashboard");
    }
    Ok(ExitCode::SUCCESS)
}
