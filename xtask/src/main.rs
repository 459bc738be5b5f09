//! Developer commands, run as `cargo xtask COMMAND`. They need nothing but the Rust toolchain and git.
//!
//! What is said to people goes to standard error; there is no colour of our own.

mod fuzz;
mod power_cut;
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
  cargo xtask bench     what a decision costs, in the core and in each adapter
  cargo xtask fuzz      what the fuzzer finds in a minute a target; needs a nightly toolchain
  cargo xtask soak      a million random requests to every adapter, each judged by the model
  cargo xtask crash     programs that change a store are killed, and what they acknowledged is looked for
  cargo xtask mutants   faults planted in the core, and whether the tests find them
  cargo xtask power-cut --help    what a program acknowledged, and whether it survives a power cut; needs strace";

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

const SOAK_EXAMPLES: &str = "\
Examples:
  cargo xtask soak
  cargo xtask soak --requests 50000 --json > soak.json
  cargo xtask soak --seed 4711     the worlds of a run that named this seed";

const CRASH_EXAMPLES: &str = "\
Examples:
  cargo xtask crash
  cargo xtask crash --store sqlite --kills 2000
  cargo xtask crash --seed 4711 --json > crash.json     the changes of a run that named this seed";

const MUTANTS_EXAMPLES: &str = "\
Examples:
  cargo xtask mutants                                         all of them: hours on a small machine
  cargo xtask mutants --file crates/keyward/src/resolve.rs    those of one file
  cargo xtask mutants --shard 0/8                             every eighth
What is planted where stands in .cargo/mutants.toml; every option of `cargo mutants` may follow.";

const FUZZ_EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz --seconds 60                                  every target for a minute
  cargo xtask fuzz --seconds 600 --target query --target cookie
  cargo xtask fuzz --seconds 10 --json > fuzz.json";

const POWER_CUT_EXAMPLES: &str = "\
Examples:
  cargo xtask power-cut --store sqlite
  TMPDIR=/dev/shm cargo xtask power-cut --store json --changes 200 --points 500
  cargo xtask power-cut --workload './write-keys 100' --check './check-keys'
  cargo xtask power-cut --workload './write-keys 100' --check './check-keys' --points 200 --seed 4711
  cargo xtask power-cut --workload './write-keys --without-fsync 9' --check './check-keys' --expect-loss
With TMPDIR=/dev/shm checks are made in memory, which is faster.
The commands are called as `./write-keys 100 FOLDER` and `./check-keys FOLDER ACKNOWLEDGED`. The change after the last one that was
acknowledged was under way: the check has to accept it, and its absence. Needs Linux and strace.";

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
    /// The fuzz targets, each for so many seconds. Needs a nightly toolchain and cargo-fuzz.
    #[command(after_help = FUZZ_EXAMPLES)]
    Fuzz(fuzz::Arguments),
    /// Random requests to every adapter over real sockets, each judged by the model; takes a quarter of an hour.
    #[command(after_help = SOAK_EXAMPLES, disable_help_flag = true)]
    Soak {
        /// Options of the soak: --requests, --seed, --json, --help.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Kills programs that change a store, at random instants, and looks for all that they acknowledged; takes a quarter of an hour.
    #[command(after_help = CRASH_EXAMPLES, disable_help_flag = true)]
    Crash {
        /// Options of the crash: --store, --kills, --seed, --json, --help.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Plants faults in what decides, one after the other, and tells which of them no test finds.
    #[command(after_help = MUTANTS_EXAMPLES, disable_help_flag = true)]
    Mutants {
        /// Options of `cargo mutants`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Cuts the power at every instant of a real run, and asks whether all that was acknowledged is still there.
    #[command(after_help = POWER_CUT_EXAMPLES)]
    PowerCut(power_cut::Arguments),
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
        Command::Fuzz(arguments) => return fuzz::run(&workspace, arguments),
        Command::Soak { options } => vec![soak_step(&workspace, options)],
        Command::Crash { options } => crash_steps(&workspace, options),
        Command::Mutants { options } => vec![mutants_step(&workspace, options)?],
        Command::PowerCut(arguments) => return power_cut::run(&workspace, arguments),
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

fn soak_step<'a>(workspace: &Workspace, options: &[String]) -> Step<'a> {
    let soak = ["run", "--quiet", "--release", "-p", "keyward-behaviour", "--bin", "soak", "--"];
    workspace.cargo("soak", &[&soak[..], &as_texts(options)].concat())
}

/// Two programs: the one that kills finds the one that is killed beside itself.
fn crash_steps<'a>(workspace: &Workspace, options: &[String]) -> Vec<Step<'a>> {
    let release = ["--quiet", "--release", "-p", "keyward-behaviour", "--bin"];
    let build = [&["build"], &release[..], &["store-workload"]].concat();
    let run = [&["run"], &release[..], &["store-crash", "--"], &as_texts(options)].concat();
    vec![workspace.cargo("workload", &build), workspace.cargo("crash", &run)]
}

fn mutants_step<'a>(workspace: &Workspace, options: &[String]) -> Result<Step<'a>> {
    workspace.installed("mutants", "cargo install --locked cargo-mutants")?;
    // Fewer random worlds than usual: they are drawn anew for each fault, and the named cases find most of them.
    Ok(workspace.cargo("mutants", &[&["mutants"], &as_texts(options)[..]].concat()).with_environment("PROPTEST_CASES", "150"))
}

fn as_texts(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
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
        assert_eq!(names, ["test", "tidy", "bench", "fuzz", "soak", "crash", "mutants", "power-cut", "help"]);
    }
}
