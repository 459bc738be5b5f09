//! Developer commands, run as `cargo xtask COMMAND`. They need nothing but the Rust toolchain and git.
//!
//! What is said to people goes to standard error; there is no colour of our own.

mod step;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ColorChoice, Parser};

use crate::step::Step;
use crate::workspace::Workspace;

const EXAMPLES: &str = "\
Examples:
  cargo xtask test      everything that has to pass before a change lands
  cargo xtask tidy      only the rules that the compiler cannot check; takes seconds
  cargo xtask bench     what a decision costs, in the core and in each adapter";

const TIDY_EXAMPLES: &str = "\
Examples:
  cargo xtask tidy
  cargo tree -p keyward -e normal -i tokio     who brought in a crate that tidy complains about";

const TEST_EXAMPLES: &str = "\
Examples:
  cargo xtask test
  NO_COLOR=1 cargo xtask test 2>&1 | tee test.log";

const BENCH_EXAMPLES: &str = "\
Examples:
  cargo xtask bench
  cargo bench -p keyward --bench decision -- --help     only the first half, with options of its own";

/// Developer commands of Keyward.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", color = ColorChoice::Never, after_help = EXAMPLES)]
enum Command {
    /// Format, lints, tidy, documentation and tests, in that order; stops at the first that fails.
    #[command(after_help = TEST_EXAMPLES)]
    Test,
    /// Which crate may depend on what, and what may stand in the sources.
    #[command(after_help = TIDY_EXAMPLES)]
    Tidy,
    /// Benchmarks: the decision by itself, then what each adapter adds to a request.
    #[command(after_help = BENCH_EXAMPLES)]
    Bench,
}

fn main() -> ExitCode {
    match run(&Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    let workspace = Workspace::find()?;
    let steps = match command {
        Command::Test => test_steps(&workspace),
        Command::Tidy => vec![tidy_step(&workspace)],
        Command::Bench => bench_steps(&workspace),
    };
    step::run_in_order(steps)
}

/// Cheapest first, so that a slip of the pen is told in seconds.
///
/// Plain `cargo test`, deliberately not a faster runner: a fresh machine has only the toolchain, and other runners
/// leave the documentation's examples out.
fn test_steps(workspace: &Workspace) -> Vec<Step<'_>> {
    vec![
        workspace.cargo("format", &["fmt", "--all", "--check"]),
        tidy_step(workspace),
        workspace.cargo("clippy", &["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"]),
        workspace
            .cargo("documentation", &["doc", "--workspace", "--no-deps", "--all-features"])
            .with_environment("RUSTDOCFLAGS", "-Dwarnings"),
        workspace.cargo("tests", &["test", "--workspace", "--all-features"]),
    ]
}

fn tidy_step(workspace: &Workspace) -> Step<'_> {
    Step::of_our_own("tidy", || tidy::check(workspace))
}

fn bench_steps(workspace: &Workspace) -> Vec<Step<'_>> {
    vec![
        workspace.cargo("decision", &["bench", "-p", "keyward", "--bench", "decision"]),
        workspace.cargo("adapter cost", &["run", "--release", "-p", "keyward-behaviour", "--bin", "adapter-cost"]),
    ]
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples_and_help_is_one_of_them() {
        let mut command = Command::command();
        command.build();
        let mut names = Vec::new();
        for subcommand in command.get_subcommands() {
            names.push(subcommand.get_name().to_owned());
            if subcommand.get_name() != "help" {
                let help = subcommand.clone().render_help().to_string();
                assert!(help.contains("Examples:"), "{} shows none", subcommand.get_name());
            }
        }
        assert_eq!(names, ["test", "tidy", "bench", "help"]);
    }
}
