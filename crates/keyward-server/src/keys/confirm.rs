//! Asking before many keys are changed at once.

use std::io::{self, IsTerminal, Write};

use keyward::store::Filter;

use super::{Session, failed};
use crate::failure::Failure;

/// How many keys are looked at together.
const PAGE: usize = 500;

/// How many keys a filter means.
pub(super) async fn count(
    session: &Session,
    filter: &Filter,
    but: impl Fn(&keyward::key::Record) -> bool,
) -> Result<usize, Failure> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = session.keys.list(filter, after, PAGE).await.map_err(|error| match failed(error) {
            Failure::Fault(text) => Failure::Fault(format!("the keys cannot be counted: {text}; --yes goes on without that")),
            failure => failure,
        })?;
        let Some(last) = page.last() else { return Ok(count) };
        after = Some(last.id);
        count += page.iter().filter(|record| !but(record)).count();
    }
}

/// Asks whether to do it, where somebody is there to ask. `deed` is what would be done, like `revoke 12 keys`.
pub(super) fn ask(deed: &str) -> Result<(), Failure> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Failure::Configuration(format!(
            "this would {deed}, and there is no terminal to ask on; say --yes if you want it"
        )));
    }
    let cannot = |error: io::Error| Failure::Fault(format!("cannot ask: {error}"));
    write!(io::stderr().lock(), "{deed}? [y/N] ").map_err(cannot)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(cannot)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was done".to_owned())),
    }
}

/// `1 key`, `2 keys`.
pub(super) fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}
