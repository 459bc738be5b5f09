//! The power-cut proof: what a program acknowledged survives a power cut, whenever it comes.
//!
//! A workload runs under strace, changes a folder and prints `ack N` for each change that it acknowledges. The trace is
//! replayed on a model of a disk, the power is cut after every event, and what may then be found is put into a folder and
//! judged by a check.
//!
//! - `strace.rs` runs the workload, and `trace.rs` reads what strace wrote.
//! - `kernel.rs` tells what the calls did to the folder, and refuses those that it does not understand.
//! - `disk.rs` is the disk: what is certain, and what is not. Its rules are what the proof assumes.
//! - `loss.rs` is what may be lost of that which is not certain.
//! - `cuts.rs` cuts the power at every point.
//! - `check.rs` has every state judged.
//!
//! Nothing here knows what the program is: it can be anything that keeps files.

mod check;
mod cuts;
mod disk;
mod kernel;
mod loss;
mod state;
mod strace;
mod trace;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use anyhow::{Context, Result, bail};

use self::check::{Check, Failures};
use self::cuts::Counts;
pub(crate) use self::cuts::Plan;
use self::kernel::{Effect, Surroundings};
use self::state::State;
use self::strace::Traced;
use self::trace::Trace;
use crate::workspace::Workspace;

/// What `cargo xtask power-cut` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Changes the folder that it is given as its argument, and prints `ack N` when change N is durable. For `sh`.
    #[arg(long, value_name = "CMD", requires = "check", required_unless_present = "store")]
    workload: Option<String>,
    /// Is given a folder and how many changes had been acknowledged, and fails if one of them is missing. For `sh`. What the
    /// workload printed is in the file that the variable POWER_CUT_OUTPUT names.
    #[arg(long, value_name = "CMD", requires = "workload")]
    check: Option<String>,
    /// One of this repository's stores instead, and random changes to its keys.
    #[arg(long, conflicts_with_all = ["workload", "check"])]
    store: Option<Store>,
    /// How many changes to a store's keys.
    #[arg(long, value_name = "N", default_value_t = 60, requires = "store")]
    changes: u64,
    /// The folder that the workload changes, with what it holds in the beginning; a new one otherwise.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Cut the power at so many instants, those right after an acknowledgement among them; at all of them otherwise.
    #[arg(long, value_name = "N")]
    points: Option<usize>,
    /// How often each random loss is tried at each instant.
    #[arg(long, value_name = "N", default_value_t = 3)]
    repetitions: usize,
    /// Chooses the instants and the random losses.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Assume that the first name of a new file is durable once the file was synced, as it is on ext4, XFS and btrfs;
    /// otherwise only once its folder was, too, which is all that POSIX promises.
    #[arg(long)]
    syncing_keeps_the_first_name: bool,
    /// Succeed if something is lost: shows that the check and the disk's model find what they are there for.
    #[arg(long)]
    expect_loss: bool,
}

/// A store that keeps files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Store {
    /// SQLite.
    Sqlite,
    /// The JSON file.
    Json,
}

/// What is to be proved.
pub(crate) struct Proof<'a> {
    pub(crate) workload: &'a dyn Fn(&Path) -> Command,
    pub(crate) check: &'a Check<'a>,
    /// A new one if there is none.
    pub(crate) folder: Option<&'a Path>,
    pub(crate) plan: Plan,
    pub(crate) expect_loss: bool,
}

/// Proves it for two commands of a shell, or for a store.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let (workload, check) = match (arguments.store, &arguments.workload, &arguments.check) {
        (Some(store), ..) => of_store(workspace, store, arguments)?,
        (None, Some(workload), Some(check)) => (called(workload), called(check)),
        _ => bail!("give `--store`, or `--workload` with `--check`"),
    };
    let proof = Proof {
        workload: &|folder| shell(&workload, folder, None),
        check: &|folder, acknowledged| shell(&check, folder, Some(acknowledged)),
        folder: arguments.folder.as_deref(),
        plan: Plan {
            points: arguments.points,
            repetitions: arguments.repetitions,
            seed: arguments.seed,
            syncing_keeps_the_first_name: arguments.syncing_keeps_the_first_name,
        },
        expect_loss: arguments.expect_loss,
    };
    prove(&proof)
}

fn called(command: &str) -> String {
    format!("{command} \"$@\"")
}

/// The program that `cargo xtask crash` kills, and its check. Modes are not modelled, and the stores refuse files that others can
/// read, so the check's copy gets them first.
fn of_store(workspace: &Workspace, store: Store, arguments: &Arguments) -> Result<(String, String)> {
    let workload = workspace.built("keyward-behaviour", "store-workload")?;
    let workload = workload.to_str().with_context(|| format!("{} is not UTF-8", workload.display()))?;
    let url = match store {
        Store::Sqlite => "sqlite:$1/keyward.db",
        Store::Json => "json:$1/api-keys.json",
    };
    let Arguments { seed, changes, .. } = arguments;
    let closed = r#"chmod 700 "$1" && find "$1" -type f -exec chmod 600 {} +"#;
    Ok((
        format!(r#"chmod 700 "$1" && exec '{workload}' run --store "{url}" --seed {seed} --changes {changes}"#),
        format!(r#"{closed} && exec '{workload}' check --store "{url}" --acks-file "$POWER_CUT_OUTPUT" --count "$2""#),
    ))
}

fn shell(script: &str, folder: &Path, acknowledged: Option<usize>) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("sh").arg(folder);
    command.args(acknowledged.map(|number| number.to_string()));
    command
}

/// Runs the workload and cuts the power. An error if something was lost, or if nothing was and something should have been.
pub(crate) fn prove(proof: &Proof<'_>) -> Result<()> {
    let scratch = env::temp_dir().join(format!("power-cut-{}", process::id()));
    fs::create_dir(&scratch).with_context(|| format!("cannot make {}; remove it if it is an old one", scratch.display()))?;
    let outcome = prove_in(&scratch, proof);
    if outcome.is_ok() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    outcome.inspect_err(|_| eprintln!("    the trace and the folders are in {}", scratch.display()))
}

fn prove_in(scratch: &Path, proof: &Proof<'_>) -> Result<()> {
    let folder = proof.folder.map_or_else(|| scratch.join("folder"), Path::to_owned);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = without_links(&folder)?;
    let initial = State::read(&folder)?;
    let traced = Traced::run(&without_links(scratch)?, (proof.workload)(&folder))?;
    let text = fs::read_to_string(&traced.trace).with_context(|| format!("cannot read {}", traced.trace.display()))?;
    let surroundings = Surroundings {
        folder: as_text(&folder)?,
        output: as_text(&traced.output)?,
        working_folder: as_text(&traced.working_folder)?,
    };
    let happened = kernel::replay(&Trace::read(&text)?, &initial, &surroundings)?;
    let found = State::read(&folder)?;
    let differences = happened.live.differences(&found);
    if !differences.is_empty() {
        bail!("{} differ from what the trace says; something changed them unseen", differences.join(", "));
    }
    let acknowledged = happened.events.iter().filter(|event| event.effect == Effect::Acknowledged).count();
    let check = |folder: &Path, acknowledged: usize| {
        let mut command = (proof.check)(folder, acknowledged);
        command.env("POWER_CUT_OUTPUT", &traced.output);
        command
    };
    try_the_check(scratch, &check, &initial, &found, acknowledged)?;
    eprintln!("    {} events, {acknowledged} of them acknowledgements", happened.events.len());

    let (counts, failures) = check::all(scratch, &check, |judge| cuts::cut(&initial, &happened.events, &proof.plan, judge))?;
    report(&counts, &failures, proof.expect_loss);
    match (failures.count, proof.expect_loss) {
        (0, false) => Ok(()),
        (0, true) => bail!("nothing was lost, and something should have been"),
        (_, true) => Ok(()),
        (count, false) => bail!("{count} of {} states are not what was acknowledged, see above", counts.distinct),
    }
}

/// A check that is always content, or never, shows nothing.
fn try_the_check(scratch: &Path, check: &Check<'_>, initial: &State, last: &State, acknowledged: usize) -> Result<()> {
    if acknowledged == 0 {
        bail!("the workload acknowledged nothing; it has to print `ack 1`, `ack 2` and so on, each line as soon as it is true");
    }
    if let Some(complaint) = check::complaint(check, last, &scratch.join("last"), acknowledged)? {
        bail!("the check refuses what the workload left, without any power cut: {complaint}");
    }
    if check::complaint(check, initial, &scratch.join("initial"), acknowledged)?.is_none() {
        bail!(
            "the check accepts the folder as it was before the workload, with {acknowledged} acknowledged; it would miss a loss"
        );
    }
    Ok(())
}

fn report(counts: &Counts, failures: &Failures, was_expected: bool) {
    for failure in &failures.kept {
        eprintln!("lost {}", failure.told);
        if was_expected {
            continue;
        }
        eprintln!("     in {}", failure.folder.display());
        let complaint: Vec<_> = failure.complaint.lines().collect();
        // The reason is at the end of what most programs say.
        for line in &complaint[complaint.len().saturating_sub(5)..] {
            eprintln!("     | {line}");
        }
    }
    eprintln!(
        "    {} points, {} power cuts, {} distinct states, {} failures",
        counts.points, counts.losses, counts.distinct, failures.count
    );
}

fn without_links(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("cannot find {}", path.display()))
}

fn as_text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
