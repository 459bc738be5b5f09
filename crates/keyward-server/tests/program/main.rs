//! The program as its users meet it: a real process, real files and real sockets.

mod accounts;
mod accounts_guide;
mod administration;
mod audit_file;
mod audit_listing;
mod audit_verify;
mod connections;
mod described;
mod explain;
mod folder;
mod forward_auth;
mod generate;
mod import;
mod keys;
mod keys_update;
mod life;
mod metrics;
#[cfg(unix)]
mod peppers;
mod policy_check;
mod scan;
mod schemathesis;
mod serve;
mod server;
mod shared_limits;
mod tickets;
mod usage;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program, without what the tester's own environment says.
fn keyward() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    for variable in [
        "KEYWARD_POLICY",
        "KEYWARD_DATABASE",
        "KEYWARD_PEPPER_FILE",
        "KEYWARD_SERVER_SECRET",
        "KEYWARD_SERVER_SECRET_FILE",
        "KEYWARD_LISTEN",
        "KEYWARD_MAX_CONNECTIONS",
        "KEYWARD_REDIS",
        "KEYWARD_REDIS_AWAY",
        "KEYWARD_REDIS_NODES",
        "KEYWARD_REDIS_NAMESPACE",
        "KEYWARD_AUDIT",
        "KEYWARD_AUDIT_KEY_FILE",
        "KEYWARD_LOG",
        "NO_COLOR",
    ] {
        command.env_remove(variable);
    }
    // Whom journals name.
    command.env("USER", "grace");
    command
}

/// Runs it in a folder with these arguments and this on standard input.
fn run(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    run_command(keyward().current_dir(folder).args(arguments), input)
}

fn run_command(command: &mut Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A program that does not want its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Ran::from(child.wait_with_output().unwrap())
}

/// Runs what has to succeed.
fn succeed(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let ran = run(folder, arguments, input);
    assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
    ran
}

/// What a run left behind.
#[derive(Debug)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

impl Ran {
    /// The one JSON document on standard output.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
