//! `keyward keys update`: what `PATCH` does over the API.

use std::process::ExitCode;

use keyward::KeysError;
use keyward::key::Record;
use keyward::store::{RecordTold, Refused, Update};

use super::arguments::Change;
use super::{Call, Session, failed, fields, identifier, show};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{self, tell, write_rows};

pub(super) async fn run(call: &Call<'_>, arguments: &Change) -> Result<ExitCode, Failure> {
    let id = identifier::read(&arguments.id)?;
    let update = read(call, arguments)?;
    if let Some(Some(time)) = update.expires
        && time <= call.now
    {
        tell("--expires is in the past: this key is not accepted any more");
    }
    let failed_here = |error| match error {
        KeysError::Refused(Refused::NotFound) => Failure::Refused(identifier::not_found(&id)),
        KeysError::Field(bad) => fields::wrong(fields::flag_of(bad.field()), &bad.problem()),
        error => failed(error),
    };
    let change = async |session: &Session| {
        let record = session.keys.get(&id).await.map_err(failed)?;
        let record = record.ok_or_else(|| failed_here(Refused::NotFound.into()))?;
        let update = for_record(session, arguments, update, &record)?;
        let record = session.keys.update(&id, update).await.map_err(failed_here)?;
        let usage = session.keys.usage(&[id]).await.map_err(failed)?;
        Ok(RecordTold::of(&record, call.now, &usage))
    };
    let told = call.with(Access::Change, change).await?;
    match call.json {
        true => output::print_json(&told)?,
        false => output::print(|out| write_rows(out, &show::rows(&told)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// All that can be read before there is a record. A list that is given takes the place of the one before.
fn read(call: &Call<'_>, arguments: &Change) -> Result<Update, Failure> {
    /// `Some(None)` takes away.
    fn field<T>(given: Option<T>, is_taken_away: bool) -> Option<Option<T>> {
        if is_taken_away { Some(None) } else { given.map(Some) }
    }
    let list = |texts: &[String]| !texts.is_empty();
    let without = &arguments.without;
    let limits = fields::limits(&arguments.limits)?;
    let update = Update {
        name: arguments.name.as_deref().map(fields::name).transpose()?.map(Into::into),
        kind: field(arguments.kind.as_deref().map(Into::into), without.no_kind),
        scopes: (list(&arguments.scopes) || without.no_scopes).then_some(fields::scopes(&arguments.scopes)?),
        not_before: field(fields::time("--not-before", arguments.not_before, call.now)?, without.no_start),
        expires: field(fields::time("--expires", arguments.expires, call.now)?, without.no_expiry),
        networks: field(fields::networks(&arguments.networks)?, without.any_ip),
        resource_pattern: field(fields::resource_pattern(arguments.resource_pattern.as_deref())?, without.any_path),
        limits: field(list(&arguments.limits).then_some(limits), without.no_limits),
        metadata: (list(&arguments.metadata) || without.no_metadata).then_some(fields::metadata(&arguments.metadata)?),
        disabled: None,
    };
    let is_switched = arguments.disable || arguments.enable;
    if is_switched || !is_empty(&update) {
        return Ok(update);
    }
    Err(Failure::Configuration("it is not said what to change; `keyward keys update --help` tells what can be".to_owned()))
}

fn is_empty(update: &Update) -> bool {
    let Update { name, kind, scopes, not_before, expires, networks, resource_pattern, limits, metadata, disabled } = update;
    name.is_none()
        && kind.is_none()
        && scopes.is_none()
        && not_before.is_none()
        && expires.is_none()
        && networks.is_none()
        && resource_pattern.is_none()
        && limits.is_none()
        && metadata.is_none()
        && disabled.is_none()
}

/// What depends on the record as it is.
fn for_record(session: &Session, arguments: &Change, mut update: Update, record: &Record) -> Result<Update, Failure> {
    if update.not_before.is_some() || update.expires.is_some() {
        fields::start_before_end(update.not_before.unwrap_or(record.not_before), update.expires.unwrap_or(record.expires))?;
    }
    // Switching off what is off would end the tickets that were made for a key that is on, for nothing.
    if (arguments.disable || arguments.enable) && record.disabled != arguments.disable {
        let epoch = session.keys.new_epoch().map_err(|fault| Failure::Fault(fault.to_string()))?;
        update.disabled = Some((arguments.disable, epoch));
    }
    Ok(update)
}
