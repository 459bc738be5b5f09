//! Random changes to one store, each judged by the model, until there were enough of them.

#![allow(clippy::print_stdout, reason = "its summary is what it is for")]

use std::{
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use clap::Parser;
use keyward_behaviour::stores::{Subject, own, run_sequences};

/// Random changes to one store, each judged by the model; after each, every key that ever was is asked about.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which store: one of those that the suite names.
    #[arg(long)]
    store: String,
    /// How many changes; the last sequences are finished.
    #[arg(long, default_value_t = 1_000_000)]
    steps: u64,
    /// Where the random sequences begin; told at the end, so that a run can be had again.
    #[arg(long)]
    seed: Option<u64>,
    /// How many sequences are tried at once. Without: one for each core.
    #[arg(long)]
    threads: Option<usize>,
}

struct Soak {
    subject: Subject,
    seed: u64,
    enough: u64,
    steps: AtomicU64,
    sequences: AtomicU64,
    failures: Mutex<Vec<(u64, String)>>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let stores = own::all();
    let Some(subject) = stores.iter().find(|subject| subject.name == arguments.store).cloned() else {
        let names: Vec<&str> = stores.iter().map(|subject| subject.name).collect();
        eprintln!("no store is called `{}`: name one of {}", arguments.store, names.join(", "));
        return ExitCode::FAILURE;
    };
    let soak = Soak {
        subject,
        seed: arguments.seed.unwrap_or_else(|| u64::from(std::process::id())),
        enough: arguments.steps,
        steps: AtomicU64::new(0),
        sequences: AtomicU64::new(0),
        failures: Mutex::default(),
    };
    let threads = arguments.threads.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| soak.work());
        }
    });
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    let failures = soak.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (sequence, failure) in &failures {
        eprintln!("sequence {sequence}: {failure}");
    }
    let told = serde_json::json!({
        "store": soak.subject.name,
        "seed": soak.seed,
        "steps": soak.steps.into_inner(),
        "sequences": soak.sequences.into_inner(),
        "disagreements": failures.len(),
        "seconds": began.elapsed().as_secs_f64(),
    });
    println!("{told}");
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Soak {
    fn work(&self) {
        while self.steps.load(Ordering::Relaxed) < self.enough {
            let sequence = self.sequences.fetch_add(1, Ordering::Relaxed);
            // Each has a seed of its own, so that it does not matter which thread tries it.
            let tried = run_sequences(&self.subject, 1, Some(self.seed.wrapping_add(sequence)), &self.steps);
            if let Err(failure) = tried {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.push((sequence, failure));
                // What is wrong is wrong again and again.
                if failures.len() >= 5 {
                    self.steps.fetch_max(self.enough, Ordering::Relaxed);
                }
            }
            if std::io::stderr().is_terminal() {
                eprint!("\r{} steps", self.steps.load(Ordering::Relaxed));
                let _ = std::io::stderr().flush();
            }
        }
    }
}
