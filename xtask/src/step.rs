//! A step is something that is run, timed, and able to fail.

use std::ffi::OsStr;
use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// One thing to do, with the name under which it is told.
pub(crate) struct Step<'a> {
    name: &'static str,
    action: Action<'a>,
}

enum Action<'a> {
    Program(Command),
    OurOwn(Box<dyn Fn() -> Result<()> + 'a>),
}

/// Runs the steps in order, tells the time of each, and stops at the first that fails.
pub(crate) fn run_in_order(mut steps: Vec<Step<'_>>) -> Result<()> {
    let names: Vec<_> = steps.iter().map(|step| step.name).collect();
    let mut taken = Vec::new();
    for (index, step) in steps.iter_mut().enumerate() {
        eprintln!("==> {}/{} {step}", index + 1, names.len());
        let started = Instant::now();
        let outcome = step.run();
        let time = started.elapsed();
        let rest = &names[index + 1..];
        outcome.with_context(|| format!("step `{}` failed after {}{}", step.name, Seconds(time), not_run(rest)))?;
        eprintln!("    {} passed in {}", step.name, Seconds(time));
        taken.push((step.name, time));
    }
    if taken.len() > 1 {
        for (name, time) in &taken {
            eprintln!("{name:>16} {:>9}", Seconds(*time).to_string());
        }
        eprintln!("{:>16} {:>9}", "together", Seconds(taken.iter().map(|(_, time)| *time).sum()).to_string());
    }
    Ok(())
}

fn not_run(later: &[&str]) -> String {
    match later {
        [] => String::new(),
        [one] => format!("; {one} was not run"),
        several => format!("; {} were not run", several.join(", ")),
    }
}

impl<'a> Step<'a> {
    /// A step that runs a program.
    pub(crate) fn program(name: &'static str, command: Command) -> Self {
        Self { name, action: Action::Program(command) }
    }

    /// A step that runs inside this process.
    pub(crate) fn of_our_own(name: &'static str, action: impl Fn() -> Result<()> + 'a) -> Self {
        Self { name, action: Action::OurOwn(Box::new(action)) }
    }

    /// Sets an environment variable for a program; a step of our own has none.
    pub(crate) fn with_environment(mut self, name: &str, value: &str) -> Self {
        if let Action::Program(command) = &mut self.action {
            command.env(name, value);
        }
        self
    }

    fn run(&mut self) -> Result<()> {
        match &mut self.action {
            Action::OurOwn(action) => action(),
            Action::Program(command) => {
                let outcome = command.status();
                let status = outcome.with_context(|| format!("cannot start `{self}`"))?;
                if !status.success() {
                    bail!("`{self}` ended with {status}");
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Step<'_> {
    /// As one would type it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Action::Program(command) = &self.action else {
            return formatter.write_str(self.name);
        };
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                write!(formatter, "{}={} ", name.display(), value.display())?;
            }
        }
        let program = std::path::Path::new(command.get_program());
        write!(formatter, "{}", program.file_name().unwrap_or(OsStr::new("program")).display())?;
        for argument in command.get_args() {
            write!(formatter, " {}", argument.display())?;
        }
        Ok(())
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.1} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn the_first_failure_stops_the_rest_and_is_named() {
        let ran = RefCell::new(Vec::new());
        let steps = vec![
            Step::of_our_own("first", || {
                ran.borrow_mut().push("first");
                Ok(())
            }),
            Step::of_our_own("second", || {
                ran.borrow_mut().push("second");
                bail!("the planted reason")
            }),
            Step::of_our_own("third", || {
                ran.borrow_mut().push("third");
                Ok(())
            }),
        ];
        let told = format!("{:#}", run_in_order(steps).unwrap_err());
        assert_eq!(*ran.borrow(), ["first", "second"]);
        assert!(told.contains("step `second` failed"), "{told}");
        assert!(told.contains("third was not run"), "{told}");
        assert!(told.contains("the planted reason"), "{told}");
    }

    #[test]
    fn a_program_that_fails_or_is_not_there_fails_its_step() {
        let absent = Command::new("keyward-has-no-such-program");
        assert!(Step::program("absent", absent).run().is_err());

        let mut refused = Command::new("git");
        refused.args(["rev-parse", "--verify", "--quiet", "no-such-revision"]);
        assert!(Step::program("refused", refused).run().is_err());
    }

    #[test]
    fn a_step_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/somewhere/cargo");
        command.args(["doc", "--no-deps"]);
        let step = Step::program("documentation", command).with_environment("RUSTDOCFLAGS", "-Dwarnings");
        assert_eq!(step.to_string(), "RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps");
    }
}
