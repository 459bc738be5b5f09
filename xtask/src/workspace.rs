//! Where the workspace is, what is in it, and how to ask cargo and git about it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::step::Step;

/// The workspace that this program belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    cargo: OsString,
    pub(crate) root: PathBuf,
    target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

impl Workspace {
    /// Asks cargo, from the current folder upwards.
    pub(crate) fn find() -> Result<Self> {
        // `cargo xtask` runs us with the path of that very cargo, so that one toolchain does everything.
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut question = Command::new(&cargo);
        question.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Metadata = serde_json::from_str(&output(question)?).context("cannot read cargo's metadata")?;
        Ok(Self { cargo, root: metadata.workspace_root, target: metadata.target_directory, packages: metadata.packages })
    }

    /// A step that runs cargo in the workspace's root.
    pub(crate) fn cargo(&self, name: &'static str, arguments: &[&str]) -> Step<'static> {
        Step::program(name, self.cargo_command(arguments))
    }

    /// Builds a program of a package, as fast as it can be, and returns where it is.
    pub(crate) fn built(&self, package: &str, program: &str) -> Result<PathBuf> {
        let mut build = self.cargo_command(&["build", "--quiet", "--release", "-p", package, "--bin", program]);
        if !build.status().context("cannot start cargo")?.success() {
            bail!("`{program}` cannot be built, see above");
        }
        Ok(self.target.join("release").join(program))
    }

    /// Makes sure that cargo has a subcommand which is no part of it.
    ///
    /// # Errors
    /// How to install it.
    pub(crate) fn installed(&self, subcommand: &str, install: &str) -> Result<()> {
        match output(self.cargo_command(&[subcommand, "--version"])) {
            Ok(_) => Ok(()),
            Err(_) => bail!("`cargo {subcommand}` is not installed: `{install}`"),
        }
    }

    /// Everything that a package is linked with, in every combination of features and on every platform.
    pub(crate) fn dependency_tree(&self, package: &str) -> Result<String> {
        output(self.cargo_command(&[
            "tree",
            "-p",
            package,
            "-e",
            "normal",
            "--prefix",
            "none",
            "--all-features",
            "--target",
            "all",
        ]))
    }

    /// The text files that git knows or would know, by their names relative to the root.
    pub(crate) fn text_files(&self) -> Result<Vec<(String, String)>> {
        let mut question = Command::new("git");
        question.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&self.root);
        let names = output(question)?;
        let mut names: Vec<_> = names.split('\0').filter(|name| !name.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        let mut files = Vec::new();
        for name in names {
            let path = self.root.join(name);
            // A file that was removed and not yet committed is still listed.
            if !path.is_file() {
                continue;
            }
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push((name.to_owned(), text));
            }
        }
        Ok(files)
    }

    /// A path below the root as it is told to people.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }

    fn cargo_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(arguments).current_dir(&self.root);
        command
    }
}

fn output(mut command: Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let output = command.output().with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("{} ended with {}: {}", program.display(), output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} is not UTF-8", program.display()))
}
