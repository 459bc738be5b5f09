//! Asking before many things are changed at once.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// Asks whether to do it, where somebody is there to ask. `deed` is what would be done, like `revoke 12 keys`.
pub(crate) fn ask(deed: &str) -> Result<(), Failure> {
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
