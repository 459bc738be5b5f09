//! `keyward policy check`: everything that is wrong with a policy file, at once.

use std::fs;
use std::process::ExitCode;

use keyward::{ConfigError, Policy};
use serde::Serialize;

use crate::arguments::PolicyCheck;
use crate::failure::Failure;
use crate::output::{self, tell, visible};

pub(crate) fn run(arguments: &PolicyCheck) -> Result<ExitCode, Failure> {
    let name = visible(&arguments.file.display().to_string()).into_owned();
    let text = fs::read_to_string(&arguments.file).map_err(|error| Failure::unreadable(&arguments.file, &error))?;
    let checked = Policy::from_toml(&name, &text);
    if arguments.json {
        output::print_json(&Checked::new(&name, checked.as_ref().err()))?;
    } else {
        match &checked {
            Ok(_) => output::print(|out| writeln!(out, "ok"))?,
            Err(error) => tell(&error.to_string()),
        }
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// The document of `--json`.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    ok: bool,
    errors: Vec<Fault<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    line: Option<usize>,
    field: &'a str,
    problem: &'a str,
    mend: &'a str,
}

impl<'a> Checked<'a> {
    fn new(file: &'a str, error: Option<&'a ConfigError>) -> Self {
        let faults = error.map(ConfigError::faults).unwrap_or_default().iter();
        let errors =
            faults.map(|fault| Fault { line: fault.line, field: &fault.field, problem: &fault.problem, mend: &fault.mend });
        Self { file, ok: error.is_none(), errors: errors.collect() }
    }
}
