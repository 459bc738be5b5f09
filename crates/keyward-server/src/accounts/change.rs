//! `keyward accounts disable`, `enable`, `make-admin` and `make-user`.

use std::process::ExitCode;

use super::which::Which;
use super::{Call, Session, failed, show};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::tell;

/// What becomes of an account. Each ends its sessions, as over the API.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Disable,
    Enable,
    MakeAdmin,
    MakeUser,
}

pub(super) async fn run(call: &Call<'_>, which: &Which, change: Change) -> Result<ExitCode, Failure> {
    let make = async |session: &Session| {
        let id = which.find(session).await?.id;
        let changed = match change {
            Change::Disable => session.accounts.set_disabled(&id, true).await,
            Change::Enable => session.accounts.set_disabled(&id, false).await,
            Change::MakeAdmin => session.accounts.set_admin(&id, true).await,
            Change::MakeUser => session.accounts.set_admin(&id, false).await,
        };
        changed.map_err(failed)
    };
    let account = call.with(Access::Change, make).await?;
    show::tell(call, &account)?;
    if !call.json {
        match change {
            Change::Disable => tell(&format!(
                "its sessions have ended; its keys are accepted still, until `keyward keys revoke --owner {}` ends them",
                account.id
            )),
            Change::Enable => tell("it can sign in again"),
            Change::MakeAdmin | Change::MakeUser => tell("its sessions have ended: it has to sign in again"),
        }
    }
    Ok(ExitCode::SUCCESS)
}
