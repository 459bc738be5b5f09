//! `keyward keys create`.

use std::process::ExitCode;

use keyward::NewKey;

use super::arguments::Create;
use super::{Call, Session, failed, made};
use crate::database::Access;
use crate::failure::Failure;
use crate::output::tell;
use crate::time_span::When;

pub(super) async fn run(call: &Call<'_>, arguments: &Create) -> Result<ExitCode, Failure> {
    let (not_before, expires) = (arguments.not_before, arguments.expires);
    let ahead = |flag, when: Option<When>| when.map(|when| when.ahead(call.now)).transpose().map_err(|error| wrong(flag, &error));
    let not_before = ahead("--not-before", not_before)?;
    let expires = ahead("--expires", expires)?;
    if let (Some(start), Some(end)) = (not_before, expires)
        && start >= end
    {
        return Err(wrong("--not-before", &"it is not before --expires: the key would never be accepted"));
    }
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
    if arguments.name.trim().is_empty() {
        return Err(wrong("--name", &"it is empty; write what the key is for"));
    }
    let mut new = NewKey::named(arguments.name.as_str());
    new = new.prefix(arguments.prefix.as_str()).map_err(|error| wrong("--prefix", &error))?;
    for scope in &arguments.scopes {
        new = new.scope(scope).map_err(|error| wrong("--scope", &error))?;
    }
    for quota in &arguments.limits {
        new = new.limit(quota).map_err(|error| wrong("--limit", &error))?;
    }
    if !arguments.networks.is_empty() {
        new = new.allow_ips(&arguments.networks).map_err(|error| wrong("--allow-ip", &error))?;
    }
    for pair in &arguments.metadata {
        let (name, value) =
            pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| wrong("--metadata", &"write NAME=VALUE"))?;
        new = new.metadata(name, value);
    }
    if let Some(kind) = &arguments.kind {
        new = new.kind(kind.as_str());
    }
    if let Some(owner) = &arguments.owner {
        new = new.owner(owner.as_str());
    }
    // Before there is a database for it.
    new.check().map_err(|bad| wrong(flag_of(bad.field()), &bad.problem()))?;
    Ok(new)
}

/// Under which flag a record's field is written.
fn flag_of(field: &str) -> &'static str {
    match field {
        "name" => "--name",
        "kind" => "--kind",
        "owner" => "--owner",
        "scopes" => "--scope",
        "networks" => "--allow-ip",
        "limits" => "--limit",
        _ => "--metadata",
    }
}

fn wrong(flag: &str, problem: &dyn std::fmt::Display) -> Failure {
    Failure::Configuration(format!("{flag}: {problem}"))
}
