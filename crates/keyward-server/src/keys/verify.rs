//! `keyward keys verify`: whose a key is, and whether it would be accepted, by the rules of a guard.

use std::io::{self, IsTerminal};
use std::net::{IpAddr, Ipv4Addr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, Request};
use keyward::key::Record;
use keyward::store::{Presented, RecordStore, RecordTold};
use keyward::{Answer, Guard, KeyStore, Peer, Policy, Secret};
use serde::Serialize;

use super::arguments::Verify;
use super::{Call, Session, failed, show};
use crate::database::Access;
use crate::failure::Failure;
use crate::first_line;
use crate::output::{self, tell, write_rows};

/// The document of `--json`.
#[derive(Serialize)]
struct Told {
    valid: bool,
    denial: Option<&'static str>,
    key: Option<RecordTold>,
}

pub(super) async fn run(call: &Call<'_>, arguments: &Verify) -> Result<ExitCode, Failure> {
    refuse_arguments(arguments)?;
    let key = read_key()?;
    let verify = async |session: &Session| {
        session.check_peppers()?;
        let (denial, record) = judge(session, arguments.peer, &key).await?;
        let Some(record) = record else { return Ok(Told { valid: denial.is_none(), denial, key: None }) };
        let usage = session.keys.usage(&[record.id]).await.map_err(failed)?;
        Ok(Told { valid: denial.is_none(), denial, key: Some(RecordTold::of(&record, call.now, &usage)) })
    };
    let told = call.with(Access::Read, verify).await?;
    match call.json {
        true => output::print_json(&told)?,
        false => output::print(|out| {
            writeln!(out, "{}", told.denial.map_or_else(|| "valid".to_owned(), |kind| format!("not valid: {kind}")))?;
            told.key.as_ref().map_or(Ok(()), |key| write_rows(out, &show::rows(key)))
        })?,
    }
    Ok(if told.valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A key on the command line is refused, and not repeated.
fn refuse_arguments(arguments: &Verify) -> Result<(), Failure> {
    if arguments.key.is_empty() {
        return Ok(());
    }
    Err(Failure::Configuration(
        "a key on the command line can be read by everybody on this machine, and stays in the shell's history: write it to standard input, like `keyward keys verify < key.txt`, and consider it told".to_owned(),
    ))
}

/// The first line of standard input, without its end.
fn read_key() -> Result<Secret, Failure> {
    if io::stdin().is_terminal() {
        tell("write the key, and end it with Enter; it is shown while you write");
    }
    let line = first_line::read()?;
    if line.is_empty() {
        let problem = "there is no key on standard input; write it there, like `keyward keys verify < key.txt`";
        return Err(Failure::Configuration(problem.to_owned()));
    }
    // Other bytes are in no key, so what stands in for them makes it none.
    Ok(Secret::new(String::from_utf8_lossy(&line)))
}

/// Why the key is not accepted, if it is not, and whose it is.
async fn judge(
    session: &Session,
    peer: Option<IpAddr>,
    key: &Secret,
) -> Result<(Option<&'static str>, Option<Arc<Record>>), Failure> {
    let cannot = |error: &dyn std::fmt::Display| Failure::Fault(format!("cannot judge the key: {error}"));
    let noting = Noting { store: session.database.store(), found: Arc::default() };
    let found = noting.found.clone();
    let policy = Policy::builder().build().map_err(|error| cannot(&error))?;
    let guard = Guard::builder(policy).store(noting).peppers(session.peppers.clone()).build().map_err(|error| cannot(&error))?;
    // Bytes that stand in no header stand in no key.
    let Ok(mut value) = HeaderValue::from_str(key.expose()) else { return Ok((Some("malformed"), None)) };
    value.set_sensitive(true);
    let mut request = Request::new(());
    request.headers_mut().insert("x-api-key", value);
    request.extensions_mut().insert(Peer(peer.unwrap_or(Ipv4Addr::LOCALHOST.into())));
    let told = guard.explain(&request).await;
    let denial = match told.denial {
        // Everything but where it comes from has been judged by then, and that was not asked for.
        Some("address") if peer.is_none() => None,
        // Nor for which path: this policy has no routes, so it is the key's own paths.
        Some("route") => None,
        Some("unavailable") => return Err(Failure::Fault("the database could not be asked; the log says why".to_owned())),
        denial => denial,
    };
    // A record that was found by a handle is another key's if the hash did not fit.
    let is_anybodys = !matches!(denial, Some("unknown" | "malformed"));
    let record = found.lock().unwrap_or_else(PoisonError::into_inner).take().filter(|_| is_anybodys);
    Ok((denial, record))
}

/// Notes which record was found: a denial does not tell whose the key is.
struct Noting {
    store: Arc<dyn RecordStore>,
    found: Arc<Mutex<Option<Arc<Record>>>>,
}

impl KeyStore for Noting {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let noted = self.found.clone();
        self.store
            .find(presented)
            .then(move |found| found.inspect(|record| noted.lock().unwrap_or_else(PoisonError::into_inner).clone_from(record)))
    }

    fn binds(&self, prefix: &str) -> bool {
        self.store.binds(prefix)
    }
}
