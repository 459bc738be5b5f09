//! `keyward keys create`.

use std::process::ExitCode;

use keyward::NewKey;

use super::arguments::Create;
use super::{Call, Session, failed, fields, made};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::tell;

pub(super) async fn run(call: &Call<'_>, arguments: &Create) -> Result<ExitCode, Failure> {
    let not_before = fields::time("--not-before", arguments.not_before, call.now)?;
    let expires = fields::time("--expires", arguments.expires, call.now)?;
    fields::start_before_end(not_before, expires)?;
    let mut new = new_key(arguments)?;
    if let Some(time) = not_before {
        new = new.not_before(time);
    }
    if let Some(time) = expires {
        new = new.expires_at(time);
        if time <= call.now {
            tell("--expires is in the past: this key is never accepted");
        }
    }
    let create = async |session: &Session| {
        session.check_peppers()?;
        session.keys.create(new).await.map_err(failed)
    };
    let made = call.with(Access::Create, create).await?;
    let mend = format!("`keyward keys revoke {}` ends it, then create another one", made.record().id);
    let lines: Vec<String> = expires.map(|time| format!("it is accepted until {time}")).into_iter().collect();
    made::show(call, &made, &lines, &mend)?;
    Ok(ExitCode::SUCCESS)
}

fn new_key(arguments: &Create) -> Result<NewKey, Failure> {
    let mut new = NewKey::named(fields::name(&arguments.name)?);
    new = new.prefix(arguments.prefix.as_str()).map_err(|error| fields::wrong("--prefix", &error))?;
    new = fields::scopes(&arguments.scopes)?.into_iter().fold(new, NewKey::granting);
    new = fields::limits(&arguments.limits)?.into_iter().fold(new, NewKey::limited_to);
    if let Some(networks) = fields::networks(&arguments.networks)? {
        new = new.allow_networks(networks);
    }
    if let Some(pattern) = fields::resource_pattern(arguments.resource_pattern.as_deref())? {
        new = new.resource_pattern(pattern);
    }
    for (name, value) in fields::metadata(&arguments.metadata)? {
        new = new.metadata(name, value);
    }
    if let Some(kind) = &arguments.kind {
        new = new.kind(kind.as_str());
    }
    if let Some(owner) = &arguments.owner {
        new = new.owner(owner.as_str());
    }
    // Before there is a database for it.
    new.check().map_err(|bad| fields::wrong(fields::flag_of(bad.field()), &bad.problem()))?;
    Ok(new)
}
