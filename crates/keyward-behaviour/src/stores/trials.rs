//! The suite as named trials, in the form of `cargo test`'s own output.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use libtest_mimic::{Arguments, Failed, Trial};

use super::{
    bench::Bench,
    cases::{self, Case, Needs},
    harness::{Ability, StoreHarness, Subject},
    problem::Outcome,
    property,
    runtime::entered,
};

/// Sequences are tried in parts, so that they run beside each other.
const PARTS: u32 = 4;

/// Steps that were tried, and agreed with the model.
static STEPS: AtomicU64 = AtomicU64::new(0);

/// The whole suite for one store: what `main` of its test returns (with `harness = false` in its manifest).
pub fn main<H: StoreHarness>() -> ExitCode {
    run(&[Subject::of::<H>()])
}

/// The whole suite for several stores, as the command line says (`cargo test -- --help`), after a line for each.
pub fn run(subjects: &[Subject]) -> ExitCode {
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
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        eprintln!("{} steps of random sequences agreed with the model", STEPS.load(Ordering::Relaxed));
    }
    conclusion.exit_code()
}

/// What is asked of a store, and what is not.
fn told(subject: &Subject) -> Vec<String> {
    let (cases, sequences) = (cases_of(subject).len(), PARTS * sequences_in_part(subject));
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

fn cases_of(subject: &Subject) -> Vec<Case> {
    let can = |case: &Case| match case.needs {
        Needs::Nothing => true,
        Needs::Lasting => subject.lasts == Ability::Yes,
        Needs::Sharing => subject.shared == Ability::Yes,
    };
    cases::all().into_iter().filter(can).collect()
}

fn trials_of(subject: &Subject) -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in cases_of(subject) {
        let (name, subject) = (format!("{} {}", subject.name, case.name), subject.clone());
        trials.push(Trial::test(name, move || run_case(&subject, &case).map_err(|problem| Failed::from(problem.text()))));
    }
    for part in 1..=PARTS {
        let (name, subject) = (format!("{} agrees with the model, part {part}", subject.name), subject.clone());
        let run = move || property::run(&subject, sequences_in_part(&subject), None, &STEPS).map_err(Failed::from);
        trials.push(Trial::test(name, run));
    }
    trials
}

fn run_case(subject: &Subject, case: &Case) -> Outcome {
    let _runtime = entered();
    (case.run)(&mut Bench::new(subject)?)
}

/// Runs the suite until something fails, and says what: for those who want to know whether the suite sees a fault of theirs.
pub fn first_failure<H: StoreHarness>() -> Option<String> {
    let subject = Subject::of::<H>();
    let failed = |name: &str, run: &dyn Fn() -> Result<(), String>| match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(format!("{name}: {problem}")),
        Err(_) => Some(format!("{name}: panicked")),
    };
    let by_case = cases_of(&subject)
        .iter()
        .find_map(|case| failed(case.name, &|| run_case(&subject, case).map_err(|problem| problem.text().to_owned())));
    by_case.or_else(|| failed("agrees with the model", &|| property::run(&subject, subject.sequences, None, &AtomicU64::new(0))))
}

/// Sequences in each part, unless `PROPTEST_CASES` says otherwise.
fn sequences_in_part(subject: &Subject) -> u32 {
    let said = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    said.unwrap_or(subject.sequences).div_ceil(PARTS)
}
