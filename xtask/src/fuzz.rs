//! Runs the fuzz targets, each for so many seconds, and tells what came of it in one table.
//!
//! Without a sanitizer: no code of ours is `unsafe`, and the address sanitizer halves the speed. Overflow checks and debug
//! assertions are on.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::workspace::Workspace;

/// The longest input. Longer ones say nothing that shorter ones do not, and are slow.
const LONGEST_INPUT: usize = 4_096;

/// What `cargo xtask fuzz` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only this target; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    targets: Vec<String>,
    /// The table as one JSON document on standard output.
    #[arg(long)]
    json: bool,
}

/// What came of one target.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Outcome {
    target: String,
    executions: u64,
    executions_per_second: u64,
    /// How many edges of the program were taken, the measure of what inputs reach.
    edges: u64,
    /// How many inputs were kept, each for an edge that no other takes.
    corpus: u64,
    /// Inputs that violate the target's oracle, or are too slow or too large.
    findings: Vec<PathBuf>,
}

/// Runs them. An error if anything was found.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let folder = workspace.root.join("fuzz");
    let targets = choose(known_targets(&folder)?, &arguments.targets)?;
    check_tools(&folder)?;
    build(&folder, &targets)?;
    let programs = programs(&folder)?;
    let mut outcomes = Vec::new();
    for target in &targets {
        eprintln!("==> {target} for {} s", arguments.seconds);
        outcomes.push(run_one(&folder, &programs, target, arguments.seconds)?);
    }
    eprint!("{}", table(&outcomes));
    if arguments.json {
        let document = serde_json::json!({ "targets": outcomes });
        #[expect(clippy::print_stdout, reason = "the document is what standard output is for")]
        {
            println!("{document}");
        }
    }
    let found: usize = outcomes.iter().map(|outcome| outcome.findings.len()).sum();
    if found > 0 {
        bail!("{found} findings; docs/fuzzing.md says how to replay one, and where it goes");
    }
    Ok(())
}

/// A target is a program of the fuzz workspace.
fn known_targets(folder: &Path) -> Result<Vec<String>> {
    let programs = names_in(&folder.join("fuzz_targets"))?;
    Ok(programs.iter().filter_map(|name| name.strip_suffix(".rs")).map(str::to_owned).collect())
}

fn choose(known: Vec<String>, wanted: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        bail!("there is no target `{unknown}`; there are {}", known.join(", "));
    }
    Ok(if wanted.is_empty() { known } else { wanted.to_vec() })
}

fn check_tools(folder: &Path) -> Result<()> {
    let works = |arguments: &[&str]| {
        let status = nightly(folder).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if !works(&["rustc", "--version"]) {
        bail!("fuzzing needs a nightly toolchain: `rustup toolchain install nightly`");
    }
    if !works(&["cargo", "fuzz", "--version"]) {
        bail!("fuzzing needs cargo-fuzz: `cargo install cargo-fuzz`");
    }
    Ok(())
}

fn build(folder: &Path, targets: &[String]) -> Result<()> {
    let mut command = nightly(folder);
    command.args(["cargo", "fuzz", "build", "--sanitizer", "none"]);
    // cargo-fuzz builds one, or all.
    if let [one] = targets {
        command.arg(one);
    }
    let status = command.status().context("cannot start rustup")?;
    if !status.success() {
        bail!("the targets cannot be built");
    }
    Ok(())
}

/// Where cargo-fuzz puts what it has built.
fn programs(folder: &Path) -> Result<PathBuf> {
    let output = nightly(folder).args(["rustc", "-vV"]).output().context("cannot start rustup")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not tell its host")?;
    Ok(folder.join("target").join(host).join("release"))
}

/// Runs the program itself: `cargo fuzz run` would look at every source again, and build anew what was changed meanwhile.
///
/// libFuzzer stops at the first finding: the others would most likely be the same one again.
fn run_one(folder: &Path, programs: &Path, target: &str, seconds: u32) -> Result<Outcome> {
    let artifacts = folder.join("artifacts").join(target);
    let corpus = folder.join("corpus").join(target);
    for made in [&artifacts, &corpus] {
        fs::create_dir_all(made).with_context(|| format!("cannot make {}", made.display()))?;
    }
    let before = findings(&artifacts)?;

    let mut command = Command::new(programs.join(target));
    // Where in our code an oracle stands is told by the panic; the frames above are the fuzzer's.
    command.env("RUST_BACKTRACE", "0");
    command.args([format!("-max_total_time={seconds}"), format!("-max_len={LONGEST_INPUT}")]);
    command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    let dictionary = folder.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    // New inputs go to the first folder; the others are only read.
    command.args([corpus, folder.join("seeds").join(target), folder.join("regressions").join(target)]);
    let output = command.output().with_context(|| format!("cannot start {target}"))?;
    let told = String::from_utf8_lossy(&output.stderr);

    let mut outcome = read(target, &told);
    outcome.findings = findings(&artifacts)?.difference(&before).cloned().collect();
    if !output.status.success() {
        eprintln!("{}", complaint(&told));
        if outcome.findings.is_empty() {
            bail!("{target} ended with {} and left no input that says why", output.status);
        }
    }
    Ok(outcome)
}

fn nightly(folder: &Path) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).current_dir(folder);
    // What cargo told us is about the toolchain that built us.
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Reads what libFuzzer tells: `#…  DONE   cov: 12 ft: 34 corp: 5/6b …` and `stat::…: 7`.
fn read(target: &str, told: &str) -> Outcome {
    let statistic = |name: &str| {
        told.lines()
            .rev()
            .find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    };
    let measure = |name: &str| {
        told.lines().rev().find_map(|line| {
            let (_, after) = line.strip_prefix('#')?.split_once(name)?;
            after.trim_start().split(['/', ' ']).next()?.parse().ok()
        })
    };
    Outcome {
        target: target.to_owned(),
        executions: statistic("number_of_executed_units").unwrap_or(0),
        executions_per_second: statistic("average_exec_per_sec").unwrap_or(0),
        edges: measure(" cov:").unwrap_or(0),
        corpus: measure(" corp:").unwrap_or(0),
        findings: Vec::new(),
    }
}

/// What libFuzzer left behind; a slow unit is no finding, since it ended before the timeout.
fn findings(artifacts: &Path) -> Result<BTreeSet<PathBuf>> {
    let names = names_in(artifacts)?;
    Ok(names.iter().filter(|name| !name.starts_with("slow-unit-")).map(|name| artifacts.join(name)).collect())
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        names.extend(entry.file_name().to_str().map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text =
        format!("{:<14}{:>12}{:>10}{:>9}{:>9}{:>10}\n", "target", "executions", "exec/s", "edges", "corpus", "findings");
    for outcome in outcomes {
        text.push_str(&format!(
            "{:<14}{:>12}{:>10}{:>9}{:>9}{:>10}\n",
            outcome.target,
            outcome.executions,
            outcome.executions_per_second,
            outcome.edges,
            outcome.corpus,
            outcome.findings.len()
        ));
    }
    for finding in outcomes.iter().flat_map(|outcome| &outcome.findings) {
        let name = finding.file_name().unwrap_or(OsStr::new("")).display();
        text.push_str(&format!("found: {} ({name})\n", finding.display()));
    }
    text
}

/// What the target said before libFuzzer's own words about a dead program; of other ends, the last lines.
fn complaint(told: &str) -> String {
    let lines: Vec<&str> = told.lines().collect();
    let begin = lines.iter().position(|line| line.contains("' panicked at ") || line.contains(") panicked at "));
    let end = lines.iter().position(|line| line.contains("ERROR: libFuzzer: deadly signal"));
    match (begin, end) {
        (Some(begin), Some(end)) if begin < end => lines[begin..end].join("\n"),
        _ => lines[lines.len().saturating_sub(20)..].join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "\
#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 30Mb
#65536\tpulse  cov: 1200 ft: 3400 corp: 56/7890b lim: 400 exec/s: 21845 rss: 40Mb
#80000\tDONE   cov: 1234 ft: 3456 corp: 57/7999b lim: 400 exec/s: 20000 rss: 41Mb
Done 80000 runs in 4 second(s)
stat::number_of_executed_units: 80000
stat::average_exec_per_sec:     20000
stat::new_units_added:          12
";

    #[test]
    fn what_the_fuzzer_tells_is_read() {
        let outcome = read("cookie", TOLD);
        let expected = Outcome {
            target: "cookie".to_owned(),
            executions: 80_000,
            executions_per_second: 20_000,
            edges: 1_234,
            corpus: 57,
            findings: Vec::new(),
        };
        assert_eq!(outcome, expected);
        assert!(table(&[outcome]).contains("cookie               80000     20000     1234       57         0"));
    }

    #[test]
    fn a_run_that_crashed_tells_what_it_got_to() {
        let told = TOLD.lines().take(2).collect::<Vec<_>>().join("\n");
        assert_eq!((read("cookie", &told).edges, read("cookie", &told).executions), (1_200, 0));
    }

    #[test]
    fn a_complaint_is_what_the_target_said() {
        let told = "#1 INITED\nthread '<unnamed>' (1) panicked at x.rs:1:2:\nthis\nand that\n==1== ERROR: libFuzzer: deadly signal\nMS: 1";
        assert_eq!(complaint(told), "thread '<unnamed>' (1) panicked at x.rs:1:2:\nthis\nand that");
        assert_eq!(complaint("ALARM\n==1== ERROR: libFuzzer: timeout"), "ALARM\n==1== ERROR: libFuzzer: timeout");
    }

    #[test]
    fn an_unknown_target_is_told_with_those_that_are() {
        let known = vec!["cookie".to_owned(), "query".to_owned()];
        assert_eq!(choose(known.clone(), &["query".to_owned()]).unwrap(), ["query"]);
        assert_eq!(choose(known.clone(), &[]).unwrap(), known);
        assert!(choose(known, &["cake".to_owned()]).unwrap_err().to_string().contains("cookie, query"));
    }
}
