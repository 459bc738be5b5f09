//! Why an example ends, and with which exit status.

use std::fmt::Display;
use std::process::ExitCode;

/// Why a program ends: its configuration (2), or a fault (3).
#[derive(Debug)]
pub struct Failure {
    status: u8,
    text: String,
}

impl Failure {
    /// Something has to be written otherwise first.
    pub fn configuration(error: impl Display) -> Self {
        Self { status: 2, text: error.to_string() }
    }

    /// Something failed that may go well the next time.
    pub fn fault(error: impl Display) -> Self {
        Self { status: 3, text: error.to_string() }
    }
}

/// The exit status of a program, whose failure is told on standard error.
pub fn ended(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { status, text }) => {
            eprintln!("{program}: {text}");
            ExitCode::from(status)
        }
    }
}
