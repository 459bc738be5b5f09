//! Runs a workload under strace.

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// No write may be longer: strace cuts off what is.
const LONGEST_WRITE: &str = "16777216";

/// A workload that ran, and what it left behind.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) trace: PathBuf,
    /// What it printed.
    pub(super) output: PathBuf,
    pub(super) working_folder: PathBuf,
}

impl Traced {
    /// Runs it in the working folder of this process, which is what relative paths on a command line mean.
    ///
    /// Every call is traced: what strace is not asked for could not be refused.
    pub(super) fn run(scratch: &Path, workload: Command) -> Result<Self> {
        let working_folder = env::current_dir().context("cannot tell the working folder")?;
        let traced = Self {
            trace: scratch.join("trace"),
            output: scratch.join("output"),
            working_folder: super::without_links(&working_folder)?,
        };
        let output = File::create(&traced.output).with_context(|| format!("cannot make {}", traced.output.display()))?;
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-xx", "-s", LONGEST_WRITE, "-e", "signal=none", "-o"]).arg(&traced.trace).arg("--");
        command.arg(workload.get_program()).args(workload.get_args());
        command.envs(workload.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let status = command.current_dir(&traced.working_folder).stdin(Stdio::null()).stdout(output).status();
        let status = status.context("cannot start strace; install it with your system's package manager")?;
        if !status.success() {
            bail!("the workload ended with {status}");
        }
        Ok(traced)
    }
}
