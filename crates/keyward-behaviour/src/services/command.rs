//! Programs that a service is made and asked with.

use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt as _,
    process::{Command, Output},
};

use super::ServiceError;

/// A program that sees nothing of the developer's settings (`PGHOST`, a locale), which would make a test depend on them.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").envs(env::vars_os().filter(|(name, _)| name == "PATH"));
    command
}

/// The same as `user` where the tests run as root, whom servers refuse to run as; else as whoever runs the tests.
pub(super) fn command_as(user: &str, program: impl AsRef<OsStr>) -> Command {
    if !is_root() {
        return command(program);
    }
    let mut changed = command("setpriv");
    changed.arg(format!("--reuid={user}")).arg(format!("--regid={user}")).args(["--clear-groups", "--"]).arg(program);
    changed
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// Runs a program to its end and returns what it printed. `mend` is what to do if it fails.
pub(super) fn run(command: &mut Command, mend: &str) -> Result<String, ServiceError> {
    let program = command.get_program().display().to_string();
    let Output { status, stdout, stderr } =
        command.output().map_err(|error| ServiceError::new(format!("cannot run `{program}`: {error}; {mend}")))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        return Err(ServiceError::new(format!("`{program}` failed ({status}): {}; {mend}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&stdout).trim_end().to_owned())
}
