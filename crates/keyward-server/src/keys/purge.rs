//! `keyward keys purge`: the end of the retention of revoked keys.

use std::process::ExitCode;

use keyward::key::State;
use keyward::store::Filter;
use serde_json::json;

use super::arguments::Purge;
use super::{Call, Session, count, failed};
use crate::confirm;
use crate::database::Access;
use crate::failure::Failure;
use crate::output;

pub(super) async fn run(call: &Call<'_>, arguments: &Purge) -> Result<ExitCode, Failure> {
    let time = arguments.revoked_before.ago(call.now);
    let purge = async |session: &Session| {
        if !arguments.yes {
            let filter = Filter { state: Some((State::Revoked, call.now)), revoked_before: Some(time), ..Filter::default() };
            let count = count::of(&session.keys, &filter, |_| false).await?;
            if count > 0 {
                confirm::ask(&format!("remove {} revoked before {time}", count::keys(count)))?;
            }
        }
        session.keys.purge_revoked_before(time).await.map_err(failed)
    };
    let purged = call.with(Access::Change, purge).await?;
    match call.json {
        true => output::print_json(&json!({ "purged": purged }))?,
        false => output::print(|out| writeln!(out, "{} removed", count::keys(purged)))?,
    }
    Ok(ExitCode::SUCCESS)
}
