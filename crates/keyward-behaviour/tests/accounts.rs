//! Every named case and random sequences of changes, for every place of this repository that keeps accounts.

use std::process::ExitCode;

use keyward_behaviour::accounts;

fn main() -> ExitCode {
    accounts::run(&accounts::own::all())
}
