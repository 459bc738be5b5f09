//! A file of secrets: a plain one of this user's own, that nobody else can read.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use keyward::Secret;

use crate::failure::Failure;
use crate::output::visible;

const NO_PLAIN_FILE: &str = "is no plain file; name one that this user alone can read";

/// Reads it. `by` is the flag or the variable that named it, and `what` it should be; one of `largest` bytes is none.
pub(crate) fn read(by: &str, file: &Path, largest: u64, what: &str) -> Result<Secret, Failure> {
    read_if(by, file, largest, what, problem_of)
}

/// The same of a file that others may read, as an orchestrator mounts them. What is asked for is in the name of the setting.
pub(crate) fn read_though_others_can(by: &str, file: &Path, largest: u64, what: &str) -> Result<Secret, Failure> {
    read_if(by, file, largest, what, |about| (!about.is_file()).then_some(NO_PLAIN_FILE))
}

fn read_if(
    by: &str,
    file: &Path,
    largest: u64,
    what: &str,
    problem_of: impl FnOnce(&Metadata) -> Option<&'static str>,
) -> Result<Secret, Failure> {
    let unreadable = |error| Failure::unreadable(Some(by), file, &error);
    let refused = |problem: &str| {
        let path = visible(&file.display().to_string()).into_owned();
        Failure::Configuration(format!("{by}: {path} {problem}"))
    };
    let opened = open_without_waiting(OpenOptions::new().read(true), file).map_err(unreadable)?;
    let about = opened.metadata().map_err(unreadable)?;
    if let Some(problem) = problem_of(&about) {
        return Err(refused(problem));
    }
    let mut text = String::new();
    opened.take(largest).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length == largest) {
        return Err(refused(&format!("is too large to be {what}; name the right one")));
    }
    Ok(Secret::new(text))
}

/// A pipe would be waited for until somebody is at its other end. A link is followed: it is what an orchestrator mounts.
pub(crate) fn open_without_waiting(options: &mut OpenOptions, file: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
    }
    options.open(file)
}

/// Looked at behind the opened file, so that nobody can put another one in its place meanwhile.
fn problem_of(about: &Metadata) -> Option<&'static str> {
    if !about.is_file() {
        return Some(NO_PLAIN_FILE);
    }
    #[cfg(unix)]
    return problem_of_owner(
        std::os::unix::fs::MetadataExt::uid(about),
        rustix::process::geteuid().as_raw(),
        std::os::unix::fs::MetadataExt::mode(about),
    );
    #[cfg(not(unix))]
    None
}

#[cfg(unix)]
fn problem_of_owner(owner: u32, this_user: u32, mode: u32) -> Option<&'static str> {
    if owner != this_user {
        Some("is another user's, who could change it: run this as its owner, or `chown` it")
    } else if mode & 0o077 != 0 {
        Some("holds secrets, and others can read it: `chmod 600` it")
    } else {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_this_users_own_and_nobody_elses_to_read() {
        assert!(problem_of_owner(7, 7, 0o100_600).is_none() && problem_of_owner(7, 7, 0o100_400).is_none());
        assert!(problem_of_owner(8, 7, 0o100_600).unwrap().contains("another user's"));
        assert!(problem_of_owner(0, 7, 0o100_600).is_some() && problem_of_owner(7, 0, 0o100_600).is_some());
        for mode in [0o640, 0o604, 0o610, 0o602] {
            assert!(problem_of_owner(7, 7, 0o100_000 | mode).unwrap().contains("`chmod 600` it"), "{mode:o}");
        }
    }
}
