//! The rules that the compiler cannot check.
//!
//! Each rule is a function from text to [`Violation`]s, so that its tests can plant what it has to find.
//!
//! 1. `dependencies`: which crate may be linked with what.
//! 2. `manifests`: every crate takes the workspace's lints, and those forbid `unsafe`.
//! 3. `sources`: the core asks the machine for nothing; nothing is left half done.
//! 4. `paths`: no text carries a path of somebody's machine.

mod dependencies;
mod manifests;
mod paths;
mod sources;
mod tokens;

use std::fmt;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// What a rule found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The file, or the package where no single file is at fault.
    place: String,
    line: Option<usize>,
    message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

/// Applies every rule to the workspace and tells everything that was found, not only the first.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut found = Vec::new();

    for package in &workspace.packages {
        let tree = workspace.dependency_tree(&package.name)?;
        found.extend(dependencies::check(&package.name, &tree));
    }

    let root_manifest = workspace.root.join("Cargo.toml");
    found.extend(manifests::check_workspace("Cargo.toml", &read(&root_manifest)?));
    for package in &workspace.packages {
        let name = workspace.relative(&package.manifest_path).display().to_string();
        found.extend(manifests::check_member(&name, &read(&package.manifest_path)?));
    }

    let files = workspace.text_files()?;
    let private = paths::Private::of_this_machine(&workspace.root);
    for (name, text) in &files {
        found.extend(private.check(name, text));
        if name.ends_with(".rs") {
            found.extend(sources::check(name, text));
        }
    }

    for violation in &found {
        eprintln!("{violation}");
    }
    if !found.is_empty() {
        bail!("{} broken, see above", plural(found.len(), "rule was", "rules were"));
    }
    eprintln!(
        "{} and {} looked at, nothing found",
        plural(workspace.packages.len(), "package", "packages"),
        plural(files.len(), "file", "files"),
    );
    Ok(())
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn read(path: &std::path::Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
