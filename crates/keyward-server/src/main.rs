//! The `keyward` program: forward-auth for services behind a proxy, and the tools around keys and policies.
//!
//! Exit status: 0 done, 1 refused or found, 2 wrong usage or configuration, 3 a fault. What was asked for goes to standard
//! output; errors, progress and logs go to standard error.

mod arguments;
mod configuration;
mod explain;
mod failure;
mod generate;
mod output;
mod policy_check;
mod raw_request;
mod scan;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use tracing_subscriber::EnvFilter;

use arguments::{Arguments, Command, PolicyCommand};
use failure::Failure;

fn main() -> ExitCode {
    // Wrong usage is told by clap, with status 2.
    let arguments = Arguments::parse();
    run(arguments.command).unwrap_or_else(|failure| {
        output::tell(&failure.to_string());
        failure.status()
    })
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    start_log(if matches!(command, Command::Serve(_)) { "info" } else { "warn" })?;
    match command {
        Command::Serve(serve) => serve::run(&serve),
        Command::Explain(explain) => explain::run(&explain),
        Command::Policy(PolicyCommand::Check(check)) => policy_check::run(&check),
        Command::Generate(generate) => generate::run(&generate),
        Command::Scan(scan) => scan::run(&scan),
        Command::Completions { shell } => completions(shell),
    }
}

/// The program's own log, to standard error. `KEYWARD_LOG` chooses what is told, as `RUST_LOG` does elsewhere.
fn start_log(level: &str) -> Result<(), Failure> {
    let wanted = std::env::var("KEYWARD_LOG").unwrap_or_default();
    let filter = EnvFilter::try_new(if wanted.trim().is_empty() { level } else { &wanted });
    let filter =
        filter.map_err(|error| Failure::Configuration(format!("KEYWARD_LOG: {error}; write a level, like \"debug\"")))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::takes_colours(&std::io::stderr()))
        // Telling on standard error that standard error is closed would panic.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keyward", &mut script);
    output::print(|out| out.write_all(&script))?;
    Ok(ExitCode::SUCCESS)
}
