//! The suite as named trials, in the form of `cargo test`'s own output.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};

use libtest_mimic::{Arguments, Failed, Trial};

use super::{
    bench::Bench,
    cases::{self, Case, Needs},
    harness::{AccountHarness, AccountSubject},
    property,
};
use crate::stores::{Ability, Outcome, entered};

/// The whole suite for one place: what `main` of its test returns (with `harness = false` in its manifest).
pub fn main<H: AccountHarness>() -> ExitCode {
    run(&[AccountSubject::of::<H>()])
}

/// The whole suite for several places, as the command line says (`cargo test -- --help`), after a line for each.
pub fn run(subjects: &[AccountSubject]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Trials wait for disks and servers more than they work.
    arguments.test_threads.get_or_insert(4 * std::thread::available_parallelism().map_or(1, usize::from));
    let mut trials = Vec::new();
    for subject in subjects {
        if !arguments.list {
            told(subject).iter().for_each(|line| eprintln!("{line}"));
        }
        trials.extend(trials_of(subject));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs the suite until something fails, and says what: for those who want to know whether the suite sees a fault of theirs.
pub fn first_failure<H: AccountHarness>() -> Option<String> {
    let subject = AccountSubject::of::<H>();
    cases_of(&subject).iter().find_map(|case| match catch_unwind(AssertUnwindSafe(|| run_case(&subject, case))) {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(format!("{}: {}", case.name, problem.text())),
        Err(_) => Some(format!("{}: panicked", case.name)),
    })
}

/// What is asked of a place, and what is not.
fn told(subject: &AccountSubject) -> Vec<String> {
    let (cases, sequences) = (cases_of(subject).len(), subject.sequences);
    let mut lines = vec![format!("{}: {cases} named cases, {sequences} random sequences of changes", subject.name)];
    let abilities =
        [(Needs::Lasting, subject.lasts, "never opened again"), (Needs::Sharing, subject.shared, "never opened twice")];
    for (needs, ability, what) in abilities {
        if let Ability::No(reason) = ability {
            let left_out = cases::all().iter().filter(|case| case.needs == needs).count();
            lines.push(format!("{}: {what} ({left_out} cases), as its harness says: {reason}", subject.name));
        }
    }
    lines
}

fn cases_of(subject: &AccountSubject) -> Vec<Case> {
    let can = |case: &Case| match case.needs {
        Needs::Nothing => true,
        Needs::Lasting => subject.lasts == Ability::Yes,
        Needs::Sharing => subject.shared == Ability::Yes,
    };
    cases::all().into_iter().filter(can).collect()
}

fn trials_of(subject: &AccountSubject) -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in cases_of(subject) {
        let (name, subject) = (format!("{} {}", subject.name, case.name), subject.clone());
        trials.push(Trial::test(name, move || run_case(&subject, &case).map_err(|problem| Failed::from(problem.text()))));
    }
    if subject.sequences > 0 {
        let (name, subject) = (format!("{} agrees with accounts in memory", subject.name), subject.clone());
        trials.push(Trial::test(name, move || property::run(&subject, subject.sequences).map_err(Failed::from)));
    }
    trials
}

fn run_case(subject: &AccountSubject, case: &Case) -> Outcome {
    let _runtime = entered();
    (case.run)(&mut Bench::new(subject)?)
}
