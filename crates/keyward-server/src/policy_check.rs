//! `keyward policy check`: everything that is wrong with a policy file, and whether `keyward serve` could use it.

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use keyward::audit::{LineFormat, Lines};
use keyward::policy::ConfigFault;
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{ConfigError, Guard, MemoryStore, Policy, SystemRandom};
use serde::Serialize;
use tracing::subscriber::NoSubscriber;

use crate::arguments::PolicyCheck;
use crate::configuration::with_default_failures;
use crate::failure::Failure;
use crate::output::{self, tell, visible};
use crate::policy_warnings::{PolicyText, Warning};

pub(crate) fn run(arguments: &PolicyCheck) -> Result<ExitCode, Failure> {
    // JSON has escapes of its own.
    let file = arguments.file.display().to_string();
    let name = visible(&file).into_owned();
    let text = match read(&arguments.file) {
        Ok(text) => text,
        Err(failure) if arguments.json => {
            let problem = failure.to_string();
            let fault = Fault { line: None, field: "", problem: &problem, mend: "" };
            output::print_json(&Checked { file: &file, ok: false, errors: vec![fault], warnings: Vec::new() })?;
            return Ok(failure.status());
        }
        Err(failure) => return Err(failure),
    };
    let policy_text = PolicyText::read(&text);
    let checked = Policy::from_toml(&name, &text);
    let is_readable = checked.is_ok();
    let checked = checked.and_then(can_be_served);
    // The text of a file that is wrong may not mean what warnings would take it to mean.
    let warnings = if is_readable { policy_text.warnings() } else { Vec::new() };
    if arguments.json {
        let faults = checked.as_ref().err().map(ConfigError::faults).unwrap_or_default();
        let errors = faults.iter().map(|fault| Fault::of(fault, &policy_text)).collect();
        output::print_json(&Checked { file: &file, ok: checked.is_ok(), errors, warnings })?;
    } else {
        warnings.iter().for_each(|warning| tell(&format!("{}: warning: {}", warning.place(&name), warning.text())));
        match &checked {
            Ok(()) => output::print(|out| writeln!(out, "ok"))?,
            Err(error) if is_readable => tell(&policy_text.told(&name, error)),
            Err(error) => tell(&error.to_string()),
        }
    }
    Ok(if checked.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn read(file: &Path) -> Result<String, Failure> {
    let text = if file.as_os_str() == "-" { io::read_to_string(io::stdin().lock()) } else { fs::read_to_string(file) };
    text.map_err(|error| Failure::unreadable(None, file, &error))
}

/// Whether a guard can be built of it as `serve` builds one. Where the policy will be used, other variables are set than here: each
/// is taken to hold a key.
fn can_be_served(policy: Policy) -> Result<(), ConfigError> {
    let builder = Guard::builder(with_default_failures(policy).with_default_tickets())
        .store(MemoryStore::new())
        .environment(|_| Some("stands-for-a-configured-key".into()))
        .audit(Lines::new(io::sink(), LineFormat::Json));
    let builder = match ServerSecret::generate(&SystemRandom) {
        Ok(secret) => builder.tickets(Tickets::new(secret)),
        Err(_) => builder,
    };
    // What a guard logs meanwhile is told as warnings, with its line.
    tracing::subscriber::with_default(NoSubscriber::default(), || builder.build()).map(drop)
}

/// The document of `--json`.
#[derive(Serialize)]
struct Checked<'a> {
    file: &'a str,
    ok: bool,
    errors: Vec<Fault<'a>>,
    warnings: Vec<Warning>,
}

#[derive(Serialize)]
struct Fault<'a> {
    line: Option<usize>,
    field: &'a str,
    problem: &'a str,
    mend: &'a str,
}

impl<'a> Fault<'a> {
    fn of(fault: &'a ConfigFault, text: &PolicyText) -> Self {
        let line = fault.line.or_else(|| text.line_of(&fault.field));
        Self { line, field: &fault.field, problem: &fault.problem, mend: &fault.mend }
    }
}
