//! Changes a store and says so, and checks a store against what was said: see `keyward_behaviour::crash`.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::PathBuf,
    process::{self, ExitCode},
    time::Duration,
};

use clap::{Args, Parser};
use keyward_behaviour::{
    crash::{self, Findings, Open, Run, STORE_VARIABLE, StoreUrl},
    stores::Problem,
};

const EXAMPLES: &str = "\
Examples:
  store-workload run --store sqlite:keys/keyward.db --seed 7 --changes 100 > acks
  store-workload check --store sqlite:keys/keyward.db --acks-file acks
  store-workload check --store sqlite:keys/keyward.db --acks-file acks --count 42     as it was after `ack 42`";

/// Changes a store and tells what was acknowledged; or checks that all of that is there.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
enum Command {
    /// Makes random changes. For each it prints `try N …` before, and `ack N …` once it was acknowledged.
    Run(RunArguments),
    /// Fails if what was acknowledged is not there. The change after that may have been made or not: `settled N …` tells.
    Check(CheckArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// `sqlite:PATH`, `json:PATH` or `postgres://…`; made if it is not there.
    #[arg(long, env = STORE_VARIABLE, hide_env_values = true)]
    store: StoreUrl,
    /// Chooses the changes.
    #[arg(long)]
    seed: u64,
    /// How many changes.
    #[arg(long)]
    changes: u64,
    /// Go on behind this output of earlier runs on the same store.
    #[arg(long, value_name = "FILE")]
    after: Option<PathBuf>,
    /// Acknowledge some changes before they are made. This is the fault that a check has to find.
    #[arg(long, hide = true)]
    acknowledge_early: bool,
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// The store of the run.
    #[arg(long, env = STORE_VARIABLE, hide_env_values = true)]
    store: StoreUrl,
    /// All that the run printed.
    #[arg(long, visible_alias = "acks", value_name = "FILE")]
    acks_file: PathBuf,
    /// Only what was acknowledged up to this number.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End without closing the store.
    #[arg(long)]
    abandon: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Run(arguments) => run(arguments).await.map(|()| true),
        Command::Check(arguments) => check(arguments).await,
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("store-workload: {}", problem.text());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: RunArguments) -> Result<(), Problem> {
    let RunArguments { store, seed, changes, after, acknowledge_early } = arguments;
    let log = after.as_ref().map(fs::read_to_string).transpose()?.unwrap_or_default();
    let acknowledge_early = acknowledge_early.then_some(Duration::from_millis(20));
    let mut output = output()?;
    let open = Open::at(&store).await?;
    let run = Run { seed, changes, log, acknowledge_early };
    crash::run(open.store(), &run, |line| output.write_all(line.as_bytes())).await?;
    open.close().await
}

async fn check(arguments: CheckArguments) -> Result<bool, Problem> {
    let CheckArguments { store, acks_file, count, abandon } = arguments;
    let log = fs::read_to_string(&acks_file)?;
    let mut output = output()?;
    let open = match Open::at(&store).await {
        Ok(open) => open,
        Err(problem) => {
            writeln!(output, "damaged {}", in_one_line(problem.text()))?;
            return Ok(false);
        }
    };
    let found = match open.look_at_all_pages().await {
        Ok(()) => crash::check(open.store(), &log, count, open.journal()).await,
        Err(problem) => Err(problem),
    };
    let is_good = match &found {
        Ok(Findings { acknowledged, settled, wrong }) => {
            if let Some(settled) = settled {
                writeln!(output, "{settled}")?;
            }
            for (change, what) in wrong {
                writeln!(output, "wrong {change} {}", in_one_line(what))?;
            }
            writeln!(output, "checked {acknowledged}")?;
            wrong.is_empty()
        }
        Err(problem) => {
            writeln!(output, "damaged {}", in_one_line(problem.text()))?;
            false
        }
    };
    if abandon {
        process::exit(i32::from(!is_good));
    }
    if let Err(problem) = open.close().await {
        writeln!(output, "damaged it does not close: {}", in_one_line(problem.text()))?;
        return Ok(false);
    }
    Ok(is_good)
}

/// Without a buffer: a line is printed when it is written, by one call.
fn output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn in_one_line(text: &str) -> String {
    text.replace('\n', "; ")
}
