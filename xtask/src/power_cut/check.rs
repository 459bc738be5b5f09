//! Puts states into folders and asks the check command whether they are good.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use super::state::State;

/// What is asked of a folder in which so many changes were acknowledged.
pub(crate) type Check<'a> = dyn Fn(&Path, usize) -> Command + Sync + 'a;

/// Folders of failures that are kept; the others fail for the same reason, most likely.
const KEPT: usize = 5;

/// One state to be judged.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) state: State,
    pub(super) acknowledged: usize,
    /// When the power was cut, and what it did.
    pub(super) told: String,
}

/// What the check refused.
#[derive(Debug, Default)]
pub(super) struct Failures {
    pub(super) count: usize,
    pub(super) kept: Vec<Failure>,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) told: String,
    pub(super) folder: PathBuf,
    /// What the check said.
    pub(super) complaint: String,
}

/// Judges the cases on all processors while they are made, and returns what their maker returned, too.
pub(super) fn all<T>(scratch: &Path, check: &Check<'_>, make: impl FnOnce(&mut dyn FnMut(Case)) -> T) -> Result<(T, Failures)> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    // Few are waiting: each holds a whole folder in memory.
    let (sender, receiver) = sync_channel(workers);
    let receiver = Arc::new(Mutex::new(receiver));
    let failures = Mutex::new(Failures::default());
    let made = thread::scope(|scope| {
        let mut started = Vec::new();
        for _ in 0..workers {
            let (receiver, failures) = (receiver.clone(), &failures);
            started.push(scope.spawn(move || work(scratch, check, &receiver, failures)));
        }
        // Theirs are the only ones from now on, so that nobody waits for workers that all have failed.
        drop(receiver);
        let mut number = 0;
        let made = make(&mut |case| {
            number += 1;
            // Nobody receives it if all workers have failed, and they say why.
            drop(sender.send((number, case)));
        });
        drop(sender);
        started.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))?;
        anyhow::Ok(made)
    })?;
    Ok((made, failures.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

fn work(scratch: &Path, check: &Check<'_>, cases: &Mutex<Receiver<(usize, Case)>>, failures: &Mutex<Failures>) -> Result<()> {
    loop {
        let next = cases.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, case)) = next else { return Ok(()) };
        let folder = scratch.join(format!("state-{number}"));
        let Some(complaint) = complaint(check, &case.state, &folder, case.acknowledged)? else { continue };
        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.count += 1;
        if failures.kept.len() < KEPT {
            // The check may have mended it.
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            case.state.write(&folder)?;
            failures.kept.push(Failure { told: case.told, folder, complaint });
        } else {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
}

/// What the check has against a state, if anything; the folder is left where it is in that case.
pub(super) fn complaint(check: &Check<'_>, state: &State, folder: &Path, acknowledged: usize) -> Result<Option<String>> {
    state.write(folder)?;
    let mut command = check(folder, acknowledged);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if output.status.success() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        return Ok(None);
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Some(format!("{}\n{}", output.status, String::from_utf8_lossy(&said).trim())))
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::process;

    use super::super::state::Content;
    use super::*;

    /// A folder that is removed again.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = env::temp_dir().join(format!("power-cut-test-{name}-{}", process::id()));
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn case(text: &str) -> Case {
        let state = State([("a".to_owned(), Content::File(text.as_bytes().to_vec()))].into());
        Case { state, acknowledged: 7, told: format!("told {text}") }
    }

    fn shell(script: &'static str) -> impl Fn(&Path, usize) -> Command + Sync {
        move |folder, acknowledged| {
            let mut command = Command::new("sh");
            command.args(["-c", script, "sh"]).arg(folder).arg(acknowledged.to_string());
            command
        }
    }

    #[test]
    fn failures_are_counted_and_a_few_of_them_kept_as_they_were() {
        let scratch = Scratch::new("failures");
        let check = shell("cd $1; echo $2 is no good; grep -q good a || { echo mended > a; exit 1; }");
        let texts = ["good", "bad", "bad", "bad", "good", "bad", "bad", "bad", "bad"];
        let (made, failures) = all(&scratch.0, &check, |judge| {
            texts.iter().for_each(|text| judge(case(text)));
            "made"
        })
        .unwrap();
        assert_eq!((made, failures.count, failures.kept.len()), ("made", 7, KEPT));
        for failure in &failures.kept {
            assert_eq!(State::read(&failure.folder).unwrap(), case("bad").state);
            assert!(failure.told == "told bad" && failure.complaint.ends_with("7 is no good"), "{failure:?}");
        }
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), KEPT);
    }

    #[test]
    fn a_check_that_cannot_be_started_is_an_error_even_if_many_wait_for_it() {
        let scratch = Scratch::new("no-check");
        let check = |_: &Path, _: usize| Command::new("/does/not/exist");
        let outcome = all(&scratch.0, &check, |judge| (0..100).for_each(|_| judge(case("good"))));
        assert!(outcome.unwrap_err().to_string().contains("cannot start /does/not/exist"));
    }
}
