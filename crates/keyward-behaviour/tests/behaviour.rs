//! Every named case and a few thousand generated worlds, in every adapter and without any.

use std::{process::ExitCode, sync::Arc};

use keyward_behaviour::{cases, harness, service::Place, sockets, suite, wire::Protocol};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

/// Worlds are generated in parts, so that they run beside each other.
const PARTS: u32 = 4;

/// Worlds in each part, unless `PROPTEST_CASES` says otherwise: fewer where a world costs more.
fn worlds_in_part(place: Place<'_>) -> u32 {
    let usual = match place {
        Place::InProcess => 2_500,
        Place::Adapter(_, Protocol::Http1) => 300,
        Place::Adapter(_, Protocol::Http2) => 150,
    };
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().expect("a runtime starts"));
    let cases = cases::all();
    let mut trials = Vec::new();
    let adapters = harness::all()
        .into_iter()
        .flat_map(|harness| [Place::Adapter(harness, Protocol::Http1), Place::Adapter(harness, Protocol::Http2)]);
    for place in std::iter::once(Place::InProcess).chain(adapters) {
        let worlds_in_part = worlds_in_part(place);
        let cases: Vec<_> =
            cases.iter().filter(|case| case.steps.iter().all(|step| place.can_be_asked(&step.request))).cloned().collect();
        if !arguments.list {
            eprintln!("{}: {} named cases, {} property cases", place.name(), cases.len(), PARTS * worlds_in_part);
        }
        for case in cases {
            let runtime = Arc::clone(&runtime);
            trials.push(Trial::test(format!("{} {}", place.name(), case.name), move || {
                runtime.block_on(suite::run_case(place, &case)).map_err(Failed::from)
            }));
        }
        for part in 1..=PARTS {
            let runtime = Arc::clone(&runtime);
            trials.push(Trial::test(format!("{} agrees with the model, part {part}", place.name()), move || {
                suite::run_worlds(place, worlds_in_part, &runtime).map_err(Failed::from)
            }));
        }
    }
    for harness in harness::all() {
        let sockets = sockets::all();
        if !arguments.list {
            eprintln!("{}: {} named cases of sockets", harness.name(), sockets.len());
        }
        for case in sockets {
            let runtime = Arc::clone(&runtime);
            trials.push(Trial::test(format!("{} {}", harness.name(), case.name), move || {
                runtime.block_on(sockets::run(harness, &case)).map_err(Failed::from)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
