//! Every named case and random sequences of changes, for every store of this repository.

use std::process::ExitCode;

use keyward_behaviour::stores;

fn main() -> ExitCode {
    stores::run(&stores::own::all())
}
