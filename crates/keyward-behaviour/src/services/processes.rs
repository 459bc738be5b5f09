//! The processes of a service: those whose working directory is its data folder.
//!
//! Its process group would not do, for each child of PostgreSQL begins a session of its own; nor would the parent, for a
//! killed server's children are handed to another.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    ServiceError,
    command::{command, run},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a signal has to have made of every process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Gone,
    Stopped,
    Running,
}

impl Outcome {
    fn signal(self) -> &'static str {
        match self {
            Self::Gone => "KILL",
            Self::Stopped => "STOP",
            Self::Running => "CONT",
        }
    }
}

/// Signals all processes in a folder, `first` before all others, until nothing is left to be done: one may have been born
/// meanwhile, and a signal takes its time.
pub(super) fn bring(folder: &Path, first: u32, outcome: Outcome) -> Result<(), ServiceError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut left: Vec<u32> =
            inside(folder)?.into_iter().filter(|&process| state(process).is_some_and(|state| state != outcome)).collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(ServiceError::new(format!("processes {left:?} do not heed SIG{}; end them by hand", outcome.signal())));
        }
        left.sort_by_key(|&process| process != first);
        signal(outcome.signal(), &left)?;
        thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a signal. A process that is gone already is no error.
pub(super) fn signal(name: &str, processes: &[u32]) -> Result<(), ServiceError> {
    // The shell has `kill` built in; the program of that name is not installed everywhere.
    let mut shell = command("sh");
    shell.args(["-c", r#"kill -s "$@" || true"#, "kill", name]).args(processes.iter().map(u32::to_string));
    run(&mut shell, "these tests need a POSIX shell").map(drop)
}

fn inside(folder: &Path) -> Result<Vec<u32>, ServiceError> {
    let processes = fs::read_dir("/proc")
        .map_err(|error| ServiceError::new(format!("cannot read /proc: {error}; run these tests on Linux")))?;
    let ids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One that has died, or is somebody else's, tells no working directory.
    Ok(ids.filter(|id| fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|directory| directory == folder)).collect())
}

fn state(process: u32) -> Option<Outcome> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it stands in parentheses and may itself hold some.
    let (_, after_name) = stat.rsplit_once(") ")?;
    Some(match after_name.chars().next()? {
        'Z' | 'X' => Outcome::Gone,
        'T' => Outcome::Stopped,
        _ => Outcome::Running,
    })
}
