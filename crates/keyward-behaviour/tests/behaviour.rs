//! Every named case and thousands of generated worlds: in the core alone, in every adapter, and in all adapters at once.

use std::process::ExitCode;

use keyward_behaviour::trials;

#[cfg(feature = "adapters")]
fn main() -> ExitCode {
    let adapters = keyward_behaviour::adapters::all();
    let mut groups = vec![trials::core()];
    groups.extend(adapters.iter().copied().map(trials::adapter));
    groups.push(trials::together(&adapters));
    trials::run(&groups)
}

#[cfg(not(feature = "adapters"))]
fn main() -> ExitCode {
    trials::run(&[trials::core()])
}
