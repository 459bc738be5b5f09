//! The suite as named trials, in the form of `cargo test`'s own output.

use std::{process::ExitCode, sync::LazyLock};

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use crate::{
    cases::{self, Case},
    differential,
    harness::{Adapter, Harness},
    service::Place,
    sockets::{self, SocketCase},
    suite, targets,
    wire::Protocol,
};

/// Worlds are generated in parts, so that they run beside each other.
const PARTS: u32 = 4;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime starts"));

/// The whole suite for one adapter: what `main` of its `tests/behaviour.rs` returns (with `harness = false` in its manifest).
pub fn main<H: Harness>() -> ExitCode {
    let own = Adapter::of::<H>();
    run(&[adapter(own), together(&[own])])
}

/// Runs trials as the command line says (`cargo test -- --help`), after a line for each group with what is counted in it.
pub fn run(groups: &[Vec<Group>]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Trials wait for the kernel more than they work: new connections over HTTP/2 for its delayed acknowledgements.
    arguments.test_threads.get_or_insert(8 * std::thread::available_parallelism().map_or(1, usize::from));
    let mut trials = Vec::new();
    for group in groups.iter().flatten() {
        if !arguments.list {
            eprintln!("{}", group.told);
        }
        trials.extend((group.trials)());
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Trials that belong together, and what to say about them.
pub struct Group {
    told: String,
    trials: Box<dyn Fn() -> Vec<Trial>>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.told)
    }
}

impl Group {
    fn new(told: String, trials: impl Fn() -> Vec<Trial> + 'static) -> Group {
        Group { told, trials: Box::new(trials) }
    }
}

/// The core by itself, without a server.
pub fn core() -> Vec<Group> {
    vec![cases_and_worlds(Place::InProcess)]
}

/// Everything that is asked of one adapter.
pub fn adapter(adapter: Adapter) -> Vec<Group> {
    let mut groups = vec![cases_and_worlds(Place::Adapter(adapter, Protocol::Http1)), cases_and_worlds(Place::Waiting(adapter))];
    if adapter.http2 {
        groups.push(cases_and_worlds(Place::Adapter(adapter, Protocol::Http2)));
    }
    let says_no = [
        (!adapter.http2, "HTTP/2"),
        (!adapter.websockets, "WebSockets"),
        (adapter.websockets && !adapter.live_sockets, "WebSockets that end with their key"),
        (!adapter.nests, "guards within guards"),
    ];
    for (_, what) in says_no.into_iter().filter(|(no, _)| *no) {
        groups.push(Group::new(format!("{}: no {what}, as its harness says", adapter.name), Vec::new));
    }
    type Asked = (bool, &'static str, fn() -> Vec<SocketCase>);
    let of_sockets: [Asked; 2] = [
        (adapter.websockets, "opening sockets", sockets::all),
        (adapter.live_sockets, "sockets that end with their key", sockets::live),
    ];
    for (_, what, cases) in of_sockets.into_iter().filter(|(yes, ..)| *yes) {
        groups.push(Group::new(format!("{}: {} named cases of {what}", adapter.name, cases().len()), move || {
            let trial = |case: SocketCase| {
                trial(format!("{} {}", adapter.name, case.name), async move || sockets::run(adapter, &case).await)
            };
            cases().into_iter().map(trial).collect()
        }));
    }
    if let Some(router) = adapter.router {
        let told = format!("{}: {} targets through its own router", adapter.name, targets::count());
        groups.push(Group::new(told, move || {
            let name = format!("{} R1.2 no spelling of a target reaches a handler past its rule", adapter.name);
            vec![trial(name, async move || targets::run(router, adapter.http2).await)]
        }));
    }
    groups
}

/// What is asked of several adapters at once: the same bytes get the same answers.
pub fn together(adapters: &[Adapter]) -> Vec<Group> {
    let adapters = adapters.to_vec();
    let names: Vec<&str> = adapters.iter().map(|adapter| adapter.name).collect();
    let (cases, malformed) = (cases::all().len(), differential::malformed().len());
    let worlds = worlds_in_part(40);
    let told =
        format!("{} together: {cases} named cases, {worlds} property cases, {malformed} malformed requests", names.join(", "));
    vec![Group::new(told, move || {
        let mut trials = Vec::new();
        for case in cases::all() {
            let adapters = adapters.clone();
            let name = format!("together {}", case.name);
            trials.push(trial(name, async move || differential::run_case(&adapters, &case).await));
        }
        for case in differential::malformed() {
            let adapters = adapters.clone();
            let name = format!("together malformed: {}", case.name);
            trials.push(trial(name, async move || differential::run_malformed(&adapters, &case).await));
        }
        let adapters = adapters.clone();
        trials.push(Trial::test("together one connection, one answer after the other", move || {
            differential::run_worlds(&adapters, worlds, &RUNTIME).map_err(Failed::from)
        }));
        trials
    })]
}

fn cases_and_worlds(place: Place) -> Group {
    let usual = match place {
        Place::InProcess => 2_500,
        Place::Adapter(_, Protocol::Http1) => 200,
        Place::Adapter(_, Protocol::Http2) | Place::Waiting(_) => 100,
    };
    let worlds = worlds_in_part(usual);
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| place.can_run(case)).collect();
    let left_out = match cases::all().len() - cases.len() {
        0 => String::new(),
        some => format!(" ({some} cannot be asked here)"),
    };
    let told = format!("{}: {} named cases{left_out}, {} property cases", place.name(), cases.len(), PARTS * worlds);
    Group::new(told, move || {
        let mut trials = Vec::new();
        for case in cases.clone() {
            let name = format!("{} {}", place.name(), case.name);
            trials.push(trial(name, async move || suite::run_case(place, &case).await));
        }
        for part in 1..=PARTS {
            let name = format!("{} agrees with the model, part {part}", place.name());
            trials.push(Trial::test(name, move || suite::run_worlds(place, worlds, &RUNTIME).map_err(Failed::from)));
        }
        trials
    })
}

fn trial(name: String, run: impl AsyncFnOnce() -> Result<(), String> + Send + 'static) -> Trial {
    Trial::test(name, move || RUNTIME.block_on(run()).map_err(Failed::from))
}

/// Worlds in each part, unless `PROPTEST_CASES` says otherwise: fewer where a world costs more.
fn worlds_in_part(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}
