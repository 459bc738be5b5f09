//! The `keyward` program: forward-auth for services behind a proxy, stored keys, and the tools around keys and policies.
//!
//! Exit status: 0 done, 1 refused or found, 2 wrong usage or configuration, 3 a fault. What was asked for goes to standard
//! output; errors, progress and logs go to standard error.

mod arguments;
mod configuration;
mod database;
mod explain;
mod failure;
mod generate;
mod keys;
mod log;
mod output;
mod peppers;
mod policy_check;
mod policy_warnings;
mod private_file;
mod raw_request;
mod scan;
mod serve;
mod server_secret;
mod setting;
mod time_span;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use arguments::{Arguments, Command, PolicyCommand};
use failure::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|error| usage::tell_and_exit(&error));
    run(arguments.command).unwrap_or_else(|failure| {
        output::tell(&failure.to_string());
        failure.status()
    })
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    log::start(if matches!(command, Command::Serve(_)) { "info" } else { "warn" })?;
    match command {
        Command::Serve(serve) => serve::run(&serve),
        Command::Keys(keys) => keys::run(&keys),
        Command::Explain(explain) => explain::run(&explain),
        Command::Policy(PolicyCommand::Check(check)) => policy_check::run(&check),
        Command::Generate(generate) => generate::run(&generate),
        Command::Scan(scan) => scan::run(&scan),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "keyward", &mut script);
    output::print(|out| out.write_all(&script))?;
    Ok(ExitCode::SUCCESS)
}
