//! `keyward generate`: keys to standard output, and nowhere else.

use std::io;
use std::process::ExitCode;

use keyward::{SystemRandom, key};

use crate::arguments::Generate;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &Generate) -> Result<ExitCode, Failure> {
    output::print(|out| {
        for _ in 0..arguments.count {
            let made = key::generate(&arguments.prefix, &SystemRandom).map_err(|fault| io::Error::other(fault.to_string()))?;
            writeln!(out, "{}", made.expose())?;
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
