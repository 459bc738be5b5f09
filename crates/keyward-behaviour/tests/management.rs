//! Every way to mount the management of keys, by the same cases.

use std::process::ExitCode;

use keyward_behaviour::{adapters, management};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for mount in adapters::mounts() {
        for case in management::all() {
            trials.push(Trial::test(format!("{} {}", mount.name, case.name), move || {
                let runtime = Runtime::new().expect("a runtime starts");
                runtime.block_on(case.run(mount)).map_err(Failed::from)
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
