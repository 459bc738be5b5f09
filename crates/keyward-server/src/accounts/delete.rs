//! `keyward accounts delete`: with all its keys.

use std::process::ExitCode;

use keyward::account::AccountId;
use keyward::key::{KeyId, Record};
use keyward::store::Filter;
use serde::Serialize;

use super::arguments::Delete;
use super::{Call, Session, failed};
use crate::confirm;
use crate::database::Access;
use crate::failure::Failure;
use crate::keys::count;
use crate::keys::revoked::{holds, whole_seconds};
use crate::output;

/// The document of `--json`.
#[derive(Serialize)]
struct Told {
    deleted: AccountId,
    /// Ids of its keys that were not revoked before.
    revoked: Vec<KeyId>,
    /// How soon every process that shares the database refuses them, in whole seconds.
    holds_everywhere_within_seconds: u64,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Delete) -> Result<ExitCode, Failure> {
    let delete = async |session: &Session| {
        let account = arguments.account.find(session).await?;
        if !arguments.yes {
            let filter = Filter { owner: Some(account.id.as_str().into()), ..Filter::default() };
            let keys = count::keys(count::of(&session.keys, &filter, Record::is_revoked).await?);
            confirm::ask(&format!("delete the account {} and revoke {keys}", account.address))?;
        }
        Ok((session.accounts.delete(&account.id).await.map_err(failed)?, account))
    };
    let (revoked, account) = call.with(Access::Change, delete).await?;
    let within = revoked.holds_everywhere_within();
    match (call.json, revoked.ids().len()) {
        (true, _) => output::print_json(&Told {
            deleted: account.id,
            revoked: revoked.ids().to_vec(),
            holds_everywhere_within_seconds: whole_seconds(within),
        })?,
        (false, 0) => output::print(|out| writeln!(out, "{}: deleted; it had no keys", account.address))?,
        (false, keys) => output::print(|out| {
            writeln!(out, "{}: deleted, and {} revoked; {}", account.address, count::keys(keys), holds(within))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
