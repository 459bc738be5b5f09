//! A private folder for a service, which goes away with the process that asked for it.

use std::{
    env,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use super::{
    ServiceError,
    command::{command, command_as, run},
};

/// Waits for the end of its input, which comes when the process that holds the other end of the pipe is gone. Then kills
/// whatever works in the folder or in its `data`, and deletes the folder.
///
/// PostgreSQL's lock on its data is a System V shared memory segment, which outlives a killed server. Its number ends the
/// seventh line of `postmaster.pid`.
const FAREWELL: &str = r#"
cat
found=yes
while [ "$found" ]; do
    found=
    for process in /proc/[0-9]*; do
        if [ "$process/cwd" -ef "$1" ] || [ "$process/cwd" -ef "$1/data" ]; then
            kill -s KILL "${process#/proc/}"
            found=yes
        fi
    done
    [ "$found" ] && sleep 0.01
done
for lock in "$1"/*/postmaster.pid; do
    ipcrm -m "$(sed -n '7s/.* //p' "$lock")"
done
rm -rf "$1"
"#;

/// A folder below the temporary one that is deleted, and all processes that work in it killed, when this is dropped or
/// this process ends, in whatever way.
///
/// A second process sees to that. The kernel's own signal to the children of a dead parent was refused: it comes when the
/// *thread* ends that started the child, which in tests is early; a stopped server's children never notice; and the folder
/// would stay.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    watch: Child,
}

impl Folder {
    /// Makes a folder that belongs to `user` where the tests run as root, else to whoever runs them.
    pub(super) fn create(name: &str, user: &str) -> Result<Self, ServiceError> {
        let parent = env::temp_dir();
        let parent = parent.canonicalize().map_err(|error| {
            ServiceError::new(format!("cannot use {}: {error}; set TMPDIR to a folder that is there", parent.display()))
        })?;
        let mut mktemp = command_as(user, "mktemp");
        mktemp.arg("-d").arg(parent.join(format!("{name}-XXXXXXXX"))).current_dir("/");
        let mend = format!("as root these tests need util-linux, the user `{user}`, and a TMPDIR that this user can write to");
        let path = PathBuf::from(run(&mut mktemp, &mend)?);

        let watch = command("sh")
            .args(["-c", FAREWELL, "farewell"])
            .arg(&path)
            .current_dir("/")
            // An interrupt from the terminal is for the tests; this one has work to do after them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| ServiceError::new(format!("cannot run `sh`: {error}; these tests need a POSIX shell")))?;
        Ok(Self { path, watch })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        let _ = self.watch.wait();
    }
}
