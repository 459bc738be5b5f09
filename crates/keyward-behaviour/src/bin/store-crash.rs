//! Kills programs that change a store, and checks that nothing that was acknowledged is lost: see `keyward_behaviour::crash`.

#![allow(clippy::print_stdout, reason = "its report is what it is for")]

use std::{
    env,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use keyward_behaviour::{
    crash::{Crash, Kind, Tally},
    stores::Problem,
};

/// Kills a program that changes a store with SIGKILL, at random instants, and checks after each that all it acknowledged is there.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only this kind of store: sqlite, json or postgres.
    #[arg(long, value_name = "KIND")]
    store: Option<Kind>,
    /// How many kills for each kind.
    #[arg(long, default_value_t = 500)]
    kills: u64,
    /// Chooses the changes; told at the end. The instants are never the same again.
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document instead of the report.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("store-crash: {}", problem.text());
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing was lost.
fn run(arguments: &Arguments) -> Result<bool, Problem> {
    let seed = arguments.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let workload = beside_this_program("store-workload")?;
    let kinds = arguments.store.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
    let mut told = serde_json::Map::new();
    let mut all_good = true;
    for kind in kinds {
        let began = Instant::now();
        let crash = Crash { workload: workload.clone(), kind, kills: arguments.kills, seed, acknowledge_early: false };
        let tally = crash.run(|tally| progress(kind, tally))?;
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K");
        }
        let seconds = began.elapsed().as_secs_f64();
        for complaint in &tally.complaints {
            eprintln!("{}: {complaint}", kind.name());
        }
        if arguments.json {
            let mut tally = tally.as_json();
            tally["seconds"] = seconds.into();
            told.insert(kind.name().to_owned(), tally);
        } else {
            println!("{}: {tally}\n  {seconds:.0} s", kind.name());
        }
        all_good &= tally.is_good();
    }
    if arguments.json {
        println!("{}", serde_json::json!({ "seed": seed, "stores": told }));
    } else {
        println!("{}, seed {seed}", if all_good { "nothing was lost" } else { "something went wrong" });
    }
    Ok(all_good)
}

fn progress(kind: Kind, tally: &Tally) {
    let mut errors = std::io::stderr();
    if errors.is_terminal() {
        let _ =
            write!(errors, "\r{}: {} kills, {} acknowledged, {} lost", kind.name(), tally.kills, tally.acknowledged, tally.lost);
        let _ = errors.flush();
    }
}

fn beside_this_program(name: &str) -> Result<PathBuf, Problem> {
    let program = env::current_exe()?.with_file_name(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(Problem::new(format!(
        "{} is not there: build it, `cargo build -p keyward-behaviour --bin {name}`, with `--release` if this was",
        program.display()
    )))
}
