//! Random requests to every adapter, over real sockets, each judged by the model, until there were enough of them.

#![allow(clippy::print_stdout, reason = "its table is what it is for")]

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
    sync::Mutex,
    time::Instant,
};

use clap::Parser;
use keyward_behaviour::{
    adapters,
    generate::{World, large_worlds},
    service::Place,
    suite::{self, Agreed, Disagreement},
    wire::Protocol,
};
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Random requests to every adapter, over HTTP/1.1 and HTTP/2, each judged by the model.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many requests in all; the last world is finished.
    #[arg(long, default_value_t = 1_000_000)]
    requests: u64,
    /// Where the random worlds begin; told at the end, so that a run can be had again.
    #[arg(long)]
    seed: Option<u64>,
    /// One JSON document instead of the table.
    #[arg(long)]
    json: bool,
}

/// What became of the requests to one place.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    agreed: Agreed,
    false_accepts: u64,
    false_rejects: u64,
    other_differences: u64,
}

impl Tally {
    fn add(&mut self, outcome: &Result<Agreed, Disagreement>) {
        match outcome {
            Ok(agreed) => {
                self.agreed.allowed += agreed.allowed;
                self.agreed.denied += agreed.denied;
            }
            Err(Disagreement { expected: 200, got, .. }) if *got != Some(200) => self.false_rejects += 1,
            Err(Disagreement { expected, got: Some(200), .. }) if *expected != 200 => self.false_accepts += 1,
            Err(_) => self.other_differences += 1,
        }
    }

    fn requests(&self) -> u64 {
        self.agreed.allowed + self.agreed.denied + self.disagreements()
    }

    fn disagreements(&self) -> u64 {
        self.false_accepts + self.false_rejects + self.other_differences
    }
}

struct Soak {
    /// In the order in which places were first asked.
    tallies: BTreeMap<String, Tally>,
    runner: TestRunner,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let soak = Mutex::new(Soak { tallies: BTreeMap::new(), runner: TestRunner::new_with_rng(Config::default(), random) });
    let places: Vec<Place> = adapters::all()
        .into_iter()
        .flat_map(|adapter| [Place::Adapter(adapter, Protocol::Http1), Place::Adapter(adapter, Protocol::Http2)])
        .collect();
    let began = Instant::now();
    // Requests wait for the kernel more than they work: new connections over HTTP/2 for its delayed acknowledgements.
    let threads = 16 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&soak, &places, arguments.requests));
        }
    });
    let soak = soak.into_inner().expect("no thread of the soak panics");
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    let wrong: u64 = soak.tallies.values().map(Tally::disagreements).sum();
    let seconds = began.elapsed().as_secs_f64();
    if arguments.json {
        println!("{}", as_json(&soak.tallies, seed, seconds));
    } else {
        println!(
            "{:<18} {:>9} {:>9} {:>9} {:>14} {:>14} {:>6}",
            "", "requests", "allowed", "denied", "false accepts", "false rejects", "other"
        );
        for (name, tally) in &soak.tallies {
            println!(
                "{name:<18} {:>9} {:>9} {:>9} {:>14} {:>14} {:>6}",
                tally.requests(),
                tally.agreed.allowed,
                tally.agreed.denied,
                tally.false_accepts,
                tally.false_rejects,
                tally.other_differences
            );
        }
        let requests: u64 = soak.tallies.values().map(Tally::requests).sum();
        println!("{requests} requests in {seconds:.0} s, {wrong} disagreements with the model, seed {seed}");
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(soak: &Mutex<Soak>, places: &[Place], enough: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    loop {
        let (world, done) = {
            let mut soak = soak.lock().expect("no thread of the soak panics");
            let done: u64 = soak.tallies.values().map(Tally::requests).sum();
            (next_world(&mut soak.runner), done)
        };
        if done >= enough {
            return;
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r{done} requests");
            let _ = std::io::stderr().flush();
        }
        for place in places {
            let outcome = runtime.block_on(suite::run_world(*place, &world));
            if let Err(disagreement) = &outcome {
                eprintln!("\n{}: {}\n{world:?}", place.name(), disagreement.report);
            }
            soak.lock().expect("no thread of the soak panics").tallies.entry(place.name()).or_default().add(&outcome);
        }
    }
}

fn next_world(runner: &mut TestRunner) -> World {
    large_worlds().new_tree(runner).expect("worlds have no filter that gives up").current()
}

fn as_json(tallies: &BTreeMap<String, Tally>, seed: u64, seconds: f64) -> serde_json::Value {
    let places: serde_json::Map<String, serde_json::Value> = tallies
        .iter()
        .map(|(name, tally)| {
            let told = serde_json::json!({
                "requests": tally.requests(), "allowed": tally.agreed.allowed, "denied": tally.agreed.denied,
                "false_accepts": tally.false_accepts, "false_rejects": tally.false_rejects, "other_differences": tally.other_differences,
            });
            (name.clone(), told)
        })
        .collect();
    serde_json::json!({ "seed": seed, "seconds": seconds, "places": places })
}
