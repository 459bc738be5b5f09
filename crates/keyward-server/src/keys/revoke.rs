//! `keyward keys revoke`.

use std::process::ExitCode;
use std::{fs, io};

use keyward::key::{KeyId, Record};
use keyward::store::{Filter, Refused};
use keyward::{KeysError, NotAllRevoked};
use serde::Serialize;

use super::arguments::Revoke;
use super::revoked::{holds, whole_seconds};
use super::{Call, Session, count, failed, identifier};
use crate::confirm;
use crate::database::Access;
use crate::failure::Failure;
use crate::output::{self, tell, visible};

/// The document of `--json`.
#[derive(Serialize, Default)]
struct Told {
    /// Ids of keys that are revoked now; of those that were named, also the ones that were before.
    revoked: Vec<KeyId>,
    /// Ids of which there is no key.
    not_found: Vec<KeyId>,
    /// Ids of keys for which the database failed, as when a record is damaged. What became of them is told on standard error.
    failed: Vec<KeyId>,
    /// How soon every process that shares the database refuses them, in whole seconds.
    holds_everywhere_within_seconds: u64,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Revoke) -> Result<ExitCode, Failure> {
    let filter = arguments.which.filter(call.now);
    let is_bulk = filter != Filter::default();
    let ids = ids(arguments)?;
    if !is_bulk && ids.is_none() {
        let problem = "it is not said which keys; name ids, --owner, --prefix, --created-from, --created-before or --list";
        return Err(Failure::Configuration(problem.to_owned()));
    }
    let revoke = async |session: &Session| match ids {
        Some(ids) => revoke_each(call, session, ids).await,
        None => revoke_all(call, session, &filter, arguments.yes).await,
    };
    let (told, stopped) = call.with(Access::Change, revoke).await?;
    if call.json {
        output::print_json(&told)?;
    }
    if let Some(failure) = stopped {
        return Err(failure);
    }
    if !told.failed.is_empty() {
        return Err(Failure::Fault(format!("the database failed for {}; see above", count::keys(told.failed.len()))));
    }
    Ok(if told.not_found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The ids that were named, all of which have to be ids: a slip in one must not leave some keys revoked and others not.
fn ids(arguments: &Revoke) -> Result<Option<Vec<KeyId>>, Failure> {
    let mut ids = arguments.ids.iter().map(|written| identifier::read(written)).collect::<Result<Vec<_>, _>>()?;
    let Some(file) = &arguments.list else { return Ok((!ids.is_empty()).then_some(ids)) };
    let text = if file.as_os_str() == "-" { io::read_to_string(io::stdin().lock()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| Failure::unreadable(Some("--list"), file, &error))?;
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match identifier::parse(line.trim()) {
            Ok(id) => ids.push(id),
            Err(problem) => problems.push(format!("{}:{}: {problem}", visible(&file.display().to_string()), index + 1)),
        }
    }
    if problems.is_empty() { Ok(Some(ids)) } else { Err(Failure::Configuration(problems.join("\n"))) }
}

/// What was done, and why it was not done to the end, if so.
type Done = (Told, Option<Failure>);

async fn revoke_each(call: &Call<'_>, session: &Session, ids: Vec<KeyId>) -> Result<Done, Failure> {
    let (mut told, is_empty) = (Told::default(), ids.is_empty());
    for id in ids {
        match session.keys.revoke(&id).await {
            Ok(revoked) => {
                let within = revoked.holds_everywhere_within();
                told.holds_everywhere_within_seconds = told.holds_everywhere_within_seconds.max(whole_seconds(within));
                told.revoked.push(id);
                if !call.json {
                    output::print(|out| writeln!(out, "{id}: revoked; {}", holds(within)))?;
                }
            }
            Err(KeysError::Refused(Refused::NotFound)) => {
                told.not_found.push(id);
                tell(&identifier::not_found(&id));
            }
            // Perhaps this one alone.
            Err(KeysError::Fault(fault)) => {
                told.failed.push(id);
                tell(&format!("{id}: {fault}"));
            }
            Err(error) => return Ok((told, Some(failed(error)))),
        }
    }
    if is_empty && !call.json {
        output::print(|out| writeln!(out, "{} revoked", count::keys(0)))?;
    }
    Ok((told, None))
}

async fn revoke_all(call: &Call<'_>, session: &Session, filter: &Filter, yes: bool) -> Result<Done, Failure> {
    if !yes {
        let count = count::of(&session.keys, filter, Record::is_revoked).await?;
        if count > 0 {
            confirm::ask(&format!("revoke {}", count::keys(count)))?;
        }
    }
    let (revoked, unreadable, stopped) = match session.keys.revoke_all(filter).await {
        Ok(revoked) => (revoked, Vec::new(), None),
        Err(NotAllRevoked { revoked, unreadable, stopped, .. }) => (revoked, unreadable, stopped),
    };
    let (within, is_all) = (revoked.holds_everywhere_within(), unreadable.is_empty() && stopped.is_none());
    if !call.json {
        output::print(|out| {
            revoked.ids().iter().try_for_each(|id| writeln!(out, "{id}"))?;
            match revoked.ids().len() {
                0 if is_all => writeln!(out, "no key was left to revoke"),
                0 => writeln!(out, "{} revoked", count::keys(0)),
                count => writeln!(out, "{} revoked; {}", count::keys(count), holds(within)),
            }
        })?;
    }
    unreadable.iter().for_each(|(id, fault)| tell(&format!("{id}: {fault}; `keyward keys revoke {id}` ends it if it is meant")));
    let told = Told {
        revoked: revoked.ids().to_vec(),
        not_found: Vec::new(),
        failed: unreadable.into_iter().map(|(id, _)| id).collect(),
        holds_everywhere_within_seconds: whole_seconds(within),
    };
    let stopped = stopped.map(|error| match failed(error) {
        Failure::Fault(text) => Failure::Fault(format!("not all keys were gone through: {text}; try again")),
        failure => failure,
    });
    Ok((told, stopped))
}
