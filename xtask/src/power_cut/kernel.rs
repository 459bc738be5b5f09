//! What the traced calls did to the folder, in the order in which it happened.
//!
//! Descriptors, offsets and working folders are followed for each process, since a plain `write` says nothing of where it
//! writes. Every call that mentions the folder is either understood, or known to change nothing, or an error: a change
//! that was overlooked would be a proof of nothing. For the same reason the caller compares [`Happened::live`] with the
//! real folder.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use super::disk::{Change, Disk, Entry, FileNumber, NameChange};
use super::state::{State, is_made_anew};
use super::trace::{Call, Descriptor, Moment, Trace};

/// What the workload was told, so that its trace can be understood.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    /// The folder that is looked at, without symbolic links.
    pub(super) folder: &'a str,
    /// The file that is standard output.
    pub(super) output: &'a str,
    pub(super) working_folder: &'a str,
}

/// All that happened to the folder and to standard output.
#[derive(Debug)]
pub(super) struct Happened {
    pub(super) events: Vec<Event>,
    /// What has to be in the folder now.
    pub(super) live: State,
}

/// One thing that happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// On this line of the trace.
    pub(super) line: usize,
    /// The call, for people.
    pub(super) call: String,
    pub(super) effect: Effect,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Disk(Change),
    /// One more change was acknowledged.
    Acknowledged,
}

/// Calls that may name the folder and change nothing that the disk's model knows. `close` is one of them: a number that
/// was given back may have been given out again by the time that `close` is seen to return, and a number that is not
/// in use is never asked for.
///
/// `sync_file_range` and its like do make something durable, but promise nothing.
const CHANGE_NOTHING: &[&str] = &[
    "access",
    "faccessat",
    "faccessat2",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "statfs",
    "fstatfs",
    "readlink",
    "readlinkat",
    "getcwd",
    "getdents",
    "getdents64",
    "pread64",
    "preadv",
    "preadv2",
    "close",
    "flock",
    "fadvise64",
    "readahead",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "utimensat",
    "getxattr",
    "lgetxattr",
    "fgetxattr",
    "listxattr",
    "flistxattr",
    "sync_file_range",
    "syncfs",
    "execve",
    "execveat",
    "sendto",
    "inotify_add_watch",
];

/// Makes sense of a trace.
pub(super) fn replay(trace: &Trace<'_>, initial: &State, surroundings: &Surroundings<'_>) -> Result<Happened> {
    let mut kernel = Kernel {
        surroundings,
        disk: Disk::new(initial),
        processes: Vec::new(),
        threads: HashMap::new(),
        opened: Vec::new(),
        last_change: HashMap::new(),
        line_of_output: Vec::new(),
        acknowledged: 0,
        events: Vec::new(),
    };
    for moment in &trace.moments {
        let (Moment::Began(index) | Moment::Ended(index)) = moment;
        let call = &trace.calls[*index];
        let outcome = match moment {
            Moment::Began(_) => kernel.began(call),
            Moment::Ended(_) => kernel.ended(call),
        };
        outcome.with_context(|| format!("line {} of the trace: `{}`", call.began, call.name))?;
    }
    for call in trace.calls.iter().filter(|call| call.ended.is_none()) {
        kernel.died_in(call)?;
    }
    Ok(Happened { live: kernel.disk.live(), events: kernel.events })
}

struct Kernel<'a> {
    surroundings: &'a Surroundings<'a>,
    disk: Disk,
    processes: Vec<Process>,
    threads: HashMap<u32, usize>,
    opened: Vec<Opened>,
    last_change: HashMap<Changed, usize>,
    line_of_output: Vec<u8>,
    acknowledged: usize,
    events: Vec<Event>,
}

/// What threads have in common.
#[derive(Debug, Clone, Default)]
struct Process {
    working_folder: String,
    /// Only descriptors that were opened on something in the folder matter, and those that were closed do no harm.
    descriptors: HashMap<i64, usize>,
}

/// What a descriptor stands for, and all that were duplicated from it.
#[derive(Debug)]
struct Opened {
    target: Target,
    offset: usize,
    appends: bool,
    is_writable: bool,
}

#[derive(Debug, Clone)]
enum Target {
    File(FileNumber),
    Folder(String),
}

/// What two calls at once must not change.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Changed {
    File(FileNumber),
    Name(String),
}

impl Kernel<'_> {
    /// Clones count from their beginning, since the new thread may be seen before the old one returns; and so do
    /// acknowledgements, since whoever waits for one may have it before `write` returns.
    fn began(&mut self, call: &Call<'_>) -> Result<()> {
        if self.threads.is_empty() {
            let working_folder = self.surroundings.working_folder.to_owned();
            self.processes.push(Process { working_folder, ..Process::default() });
            self.threads.insert(call.thread, 0);
        }
        let process = *self.threads.get(&call.thread).context("it is not known whose child this process is")?;
        let Some(result) = call.succeeded() else { return Ok(()) };
        match call.name {
            "clone" | "clone3" | "fork" | "vfork" => {
                if call.says("CLONE_FILES") != call.says("CLONE_FS") {
                    bail!("descriptors without the working folder, or the other way round, are not understood");
                }
                let child = if call.says("CLONE_FILES") { process } else { self.processes.len() };
                if child == self.processes.len() {
                    self.processes.push(self.processes[process].clone());
                }
                self.threads.insert(result.try_into()?, child);
            }
            "write" | "writev" if self.is_output(&call.descriptor(0)?) => {
                self.printed(call, &call.bytes(1)?[..result.try_into()?])?;
            }
            _ => {}
        }
        Ok(())
    }

    fn ended(&mut self, call: &Call<'_>) -> Result<()> {
        let Some(result) = call.succeeded() else { return Ok(()) };
        match call.name {
            "open" | "openat" | "openat2" | "creat" => self.open(call),
            "dup" | "dup2" | "dup3" => self.duplicate(call),
            "fcntl" => self.control(call),
            "chdir" => self.enter(call, self.path(call, None, 0)?),
            "fchdir" => self.enter(call, call.descriptor(0)?.path.context("the folder is not told; trace with -y")?),
            "lseek" => self.with_opened(call, |opened| opened.offset = result as usize),
            "read" | "readv" => self.with_opened(call, |opened| opened.offset += result as usize),
            "write" | "writev" => self.write(call, None),
            "pwrite64" | "pwritev" => self.write(call, Some(3)),
            "pwritev2" => {
                if self.opened(call, 0)?.is_some() && call.word(4)? != "0" {
                    bail!("flags of pwritev2 are not understood");
                }
                self.write(call, (call.word(3)? != "-1").then_some(3))
            }
            "ftruncate" => match self.file(call)? {
                Some(file) => self.resize(call, file, call.number(1)?.try_into()?),
                None => Ok(()),
            },
            "truncate" => match self.name(call, None, 0)?.map(|name| self.disk.entry(&name)) {
                Some(Some(Entry::File(file))) => self.resize(call, file, call.number(1)?.try_into()?),
                Some(_) => bail!("no such file is known"),
                None => Ok(()),
            },
            "fallocate" => self.allocate(call),
            "fsync" | "fdatasync" => self.sync(call),
            "rename" => self.rename(call, (None, 0), (None, 1)),
            "renameat" | "renameat2" => self.rename(call, (Some(0), 1), (Some(2), 3)),
            "link" => self.link(call, (None, 0), (None, 1)),
            "linkat" => self.link(call, (Some(0), 1), (Some(2), 3)),
            "unlink" | "rmdir" => self.remove(call, None, 0),
            "unlinkat" => self.remove(call, Some(0), 1),
            "mkdir" => self.make_folder(call, None, 0),
            "mkdirat" => self.make_folder(call, Some(0), 1),
            "mmap" => self.map(call),
            "ioctl" if ["TCGETS", "FIOCLEX", "FIONCLEX", "FIONREAD"].contains(&call.word(1)?) => Ok(()),
            // What is written through it goes past every other call.
            "io_uring_setup" => bail!("io_uring is not understood; run the workload without it"),
            name if CHANGE_NOTHING.contains(&name) => Ok(()),
            _ => self.refuse_if_it_touches_the_folder(call),
        }
    }

    /// A call that never returned may have done its work, and the model does not know how much of it.
    fn died_in(&self, call: &Call<'_>) -> Result<()> {
        if CHANGE_NOTHING.contains(&call.name) || ["read", "readv", "fcntl"].contains(&call.name) {
            return Ok(());
        }
        self.refuse_if_it_touches_the_folder(call)
            .with_context(|| format!("the workload died in line {} of the trace; let it end in order", call.began))
    }

    fn refuse_if_it_touches_the_folder(&self, call: &Call<'_>) -> Result<()> {
        let process = self.threads.get(&call.thread).map(|process| &self.processes[*process]);
        let working_folder = process.map_or("/", |process| &process.working_folder);
        for path in call.mentioned_paths()? {
            if let Some(name) = self.inside(&absolute(working_folder, &path)) {
                let (call, folder) = (call.name, self.surroundings.folder);
                bail!("`{call}` of {folder}/{name} is not understood; do without it, or teach it to kernel.rs");
            }
        }
        Ok(())
    }

    fn open(&mut self, call: &Call<'_>) -> Result<()> {
        let descriptor = call.returned_descriptor()?;
        let Some(name) = self.inside_of(&descriptor) else { return Ok(()) };
        for flag in ["O_TMPFILE", "O_SYNC", "O_DSYNC"] {
            if call.says(flag) {
                bail!("{flag} is not understood");
            }
        }
        let is_new = self.disk.entry(&name).is_none();
        if is_new && (descriptor.deleted || !(call.says("O_CREAT") || call.name == "creat")) {
            bail!("{name} was opened and never made; something made it that is not in the trace");
        }
        if is_new {
            let added = Some((name.clone(), Entry::File(self.disk.next_file())));
            self.change_names(call, NameChange { removed: None, added, is_first: true })?;
        }
        let target = match self.disk.entry(&name) {
            Some(Entry::File(file)) => Target::File(file),
            _ => Target::Folder(name),
        };
        if let Target::File(file) = target
            && (call.says("O_TRUNC") || call.name == "creat")
        {
            self.resize(call, file, 0)?;
        }
        let is_writable = call.says("O_RDWR") || call.says("O_WRONLY") || call.name == "creat";
        self.opened.push(Opened { target, offset: 0, appends: call.says("O_APPEND"), is_writable });
        let number = descriptor.number.context("it returned no descriptor")?;
        let opened = self.opened.len() - 1;
        self.process(call)?.descriptors.insert(number, opened);
        Ok(())
    }

    fn duplicate(&mut self, call: &Call<'_>) -> Result<()> {
        if let Some(opened) = self.opened(call, 0)? {
            let number = call.returned_descriptor()?.number.context("it returned no descriptor")?;
            self.process(call)?.descriptors.insert(number, opened);
        }
        Ok(())
    }

    fn control(&mut self, call: &Call<'_>) -> Result<()> {
        match call.word(1)? {
            "F_DUPFD" | "F_DUPFD_CLOEXEC" => self.duplicate(call),
            "F_GETFD" | "F_SETFD" | "F_GETFL" | "F_GETLK" | "F_SETLK" | "F_SETLKW" | "F_OFD_GETLK" | "F_OFD_SETLK"
            | "F_OFD_SETLKW" => Ok(()),
            _ => self.refuse_if_it_touches_the_folder(call),
        }
    }

    fn enter(&mut self, call: &Call<'_>, folder: String) -> Result<()> {
        self.process(call)?.working_folder = folder;
        Ok(())
    }

    fn write(&mut self, call: &Call<'_>, offset: Option<usize>) -> Result<()> {
        let Some(opened) = self.opened(call, 0)? else { return Ok(()) };
        let Target::File(file) = self.opened[opened].target else { bail!("a folder cannot be written") };
        let mut bytes = call.bytes(1)?;
        let length = call.succeeded().unwrap_or(0).try_into()?;
        if bytes.len() < length {
            bail!("more was written than the trace holds");
        }
        bytes.truncate(length);
        // On Linux O_APPEND wins over the offset of pwrite.
        let at = match offset {
            _ if self.opened[opened].appends => self.disk.size(file),
            Some(index) => call.number(index)?.try_into()?,
            None => self.opened[opened].offset,
        };
        if offset.is_none() {
            self.opened[opened].offset = at + length;
        }
        if length == 0 {
            return Ok(());
        }
        self.change_data(call, file, Change::Written { file, at, bytes })
    }

    fn resize(&mut self, call: &Call<'_>, file: FileNumber, size: usize) -> Result<()> {
        if self.disk.size(file) == size {
            return Ok(());
        }
        self.change_data(call, file, Change::Resized { file, size })
    }

    fn allocate(&mut self, call: &Call<'_>) -> Result<()> {
        let Some(file) = self.file(call)? else { return Ok(()) };
        match call.word(1)? {
            "0" => {
                let end = usize::try_from(call.number(2)? + call.number(3)?)?;
                self.resize(call, file, end.max(self.disk.size(file)))
            }
            "FALLOC_FL_KEEP_SIZE" => Ok(()),
            mode => bail!("{mode} is not understood"),
        }
    }

    fn sync(&mut self, call: &Call<'_>) -> Result<()> {
        let Some(opened) = self.opened(call, 0)? else { return Ok(()) };
        let before = call.began;
        let change = match self.opened[opened].target.clone() {
            Target::File(file) => Change::FileSynced { file, before },
            Target::Folder(folder) => Change::FolderSynced { folder, before },
        };
        self.happened(call, change)
    }

    fn rename(&mut self, call: &Call<'_>, from: Place, to: Place) -> Result<()> {
        let Some((from, to)) = self.both_names(call, from, to)? else { return Ok(()) };
        if call.says("RENAME_EXCHANGE") || call.says("RENAME_WHITEOUT") {
            bail!("only RENAME_NOREPLACE is understood");
        }
        let Some(entry @ Entry::File(_)) = self.disk.entry(&from) else { bail!("only files can be moved, and {from} is none") };
        // Two names of one file: that is nothing to do.
        if self.disk.entry(&to) == Some(entry) {
            return Ok(());
        }
        self.change_names(call, NameChange { removed: Some(from), added: Some((to, entry)), is_first: false })
    }

    fn link(&mut self, call: &Call<'_>, from: Place, to: Place) -> Result<()> {
        let Some((from, to)) = self.both_names(call, from, to)? else { return Ok(()) };
        let Some(entry @ Entry::File(_)) = self.disk.entry(&from) else { bail!("only files can be linked, and {from} is none") };
        self.change_names(call, NameChange { removed: None, added: Some((to, entry)), is_first: false })
    }

    fn remove(&mut self, call: &Call<'_>, folder: Option<usize>, path: usize) -> Result<()> {
        let Some(name) = self.name(call, folder, path)? else { return Ok(()) };
        self.disk.entry(&name).with_context(|| format!("{name} is removed and was never made"))?;
        self.change_names(call, NameChange { removed: Some(name), added: None, is_first: false })
    }

    fn make_folder(&mut self, call: &Call<'_>, folder: Option<usize>, path: usize) -> Result<()> {
        let Some(name) = self.name(call, folder, path)? else { return Ok(()) };
        self.change_names(call, NameChange { removed: None, added: Some((name, Entry::Folder)), is_first: false })
    }

    /// Whoever writes to a shared mapping makes no call. A descriptor that was opened for reading cannot be mapped for
    /// writing, not even later.
    fn map(&mut self, call: &Call<'_>) -> Result<()> {
        if call.says("MAP_SHARED") || call.says("MAP_SHARED_VALIDATE") {
            let opened = self.opened(call, 4)?;
            if opened.is_some_and(|opened| self.opened[opened].is_writable) {
                bail!("a file that can be written through shared memory is not understood; switch the mapping off");
            }
        }
        Ok(())
    }

    fn change_data(&mut self, call: &Call<'_>, file: FileNumber, change: Change) -> Result<()> {
        self.alone(call, Changed::File(file))?;
        self.happened(call, change)
    }

    fn change_names(&mut self, call: &Call<'_>, change: NameChange) -> Result<()> {
        for name in change.removed.iter().chain(change.added.iter().map(|(name, _)| name)) {
            self.alone(call, Changed::Name(name.clone()))?;
        }
        self.happened(call, Change::Named(change))
    }

    /// Of two changes that overlap in time nobody knows which came first.
    fn alone(&mut self, call: &Call<'_>, changed: Changed) -> Result<()> {
        let ended = call.ended.unwrap_or(call.began);
        match self.last_change.insert(changed, ended) {
            Some(other) if other > call.began => {
                bail!("another thread changed the same thing at the same time; let the workload take turns")
            }
            _ => Ok(()),
        }
    }

    fn happened(&mut self, call: &Call<'_>, change: Change) -> Result<()> {
        let line = call.ended.unwrap_or(call.began);
        self.disk.apply(line, &change);
        self.events.push(Event { line, call: self.told(call), effect: Effect::Disk(change) });
        Ok(())
    }

    fn printed(&mut self, call: &Call<'_>, bytes: &[u8]) -> Result<()> {
        for byte in bytes {
            if *byte != b'\n' {
                self.line_of_output.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.line_of_output);
            let Some(rest) = line.strip_prefix(b"ack ") else { continue };
            // Behind the number the workload tells its check what it likes.
            let number = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
            let expected = self.acknowledged + 1;
            if number != expected.to_string().as_bytes() {
                let number = String::from_utf8_lossy(number);
                bail!(
                    "`ack {number}` was printed, and `ack {expected}` is what comes next; print one line for each change, in order"
                );
            }
            self.acknowledged = expected;
            self.events.push(Event { line: call.began, call: format!("ack {expected}"), effect: Effect::Acknowledged });
        }
        Ok(())
    }

    fn told(&self, call: &Call<'_>) -> String {
        let mut names: Vec<_> = call.mentioned_paths().unwrap_or_default();
        names.retain_mut(|path| self.inside(path).map(|name| *path = name).is_some_and(|()| !path.is_empty()));
        names.dedup();
        format!("{}({})", call.name, names.join(", "))
    }

    fn is_output(&self, descriptor: &Descriptor) -> bool {
        descriptor.path.as_deref() == Some(self.surroundings.output)
    }

    fn process(&mut self, call: &Call<'_>) -> Result<&mut Process> {
        let process = self.threads.get(&call.thread).context("it is not known whose child this process is")?;
        Ok(&mut self.processes[*process])
    }

    /// What stands behind a descriptor, if that is in the folder. What `-y` printed decides, so that an old number does
    /// no harm.
    fn opened(&self, call: &Call<'_>, index: usize) -> Result<Option<usize>> {
        if call.word(index)? == "-1" {
            return Ok(None);
        }
        let descriptor = call.descriptor(index)?;
        let Some(name) = self.inside_of(&descriptor) else { return Ok(None) };
        let process = self.threads.get(&call.thread).map(|process| &self.processes[*process]);
        let number = descriptor.number.context("a working folder is no descriptor")?;
        let opened = process.and_then(|process| process.descriptors.get(&number)).copied();
        opened.map(Some).with_context(|| format!("where {name} was opened is not in the trace; open it in the workload"))
    }

    fn with_opened(&mut self, call: &Call<'_>, change: impl FnOnce(&mut Opened)) -> Result<()> {
        if let Some(opened) = self.opened(call, 0)? {
            change(&mut self.opened[opened]);
        }
        Ok(())
    }

    fn file(&self, call: &Call<'_>) -> Result<Option<FileNumber>> {
        match self.opened(call, 0)?.map(|opened| &self.opened[opened].target) {
            Some(Target::File(file)) => Ok(Some(*file)),
            Some(Target::Folder(_)) => bail!("a folder is used like a file"),
            None => Ok(None),
        }
    }

    fn both_names(&self, call: &Call<'_>, from: Place, to: Place) -> Result<Option<(String, String)>> {
        match (self.name(call, from.0, from.1)?, self.name(call, to.0, to.1)?) {
            (Some(from), Some(to)) => Ok(Some((from, to))),
            (None, None) => Ok(None),
            (Some(name), None) | (None, Some(name)) => bail!("{name} comes from outside of the folder, or goes there"),
        }
    }

    /// The name below the folder, if the path leads there.
    fn name(&self, call: &Call<'_>, folder: Option<usize>, path: usize) -> Result<Option<String>> {
        Ok(self.inside(&self.path(call, folder, path)?))
    }

    fn path(&self, call: &Call<'_>, folder: Option<usize>, path: usize) -> Result<String> {
        let process = self.threads.get(&call.thread).context("it is not known whose child this process is")?;
        let folder = match folder {
            Some(index) => call.descriptor(index)?.path.context("the folder is not told; trace with -y")?,
            None => self.processes[*process].working_folder.clone(),
        };
        Ok(absolute(&folder, &call.path(path)?))
    }

    fn inside_of(&self, descriptor: &Descriptor) -> Option<String> {
        self.inside(descriptor.path.as_deref()?)
    }

    fn inside(&self, path: &str) -> Option<String> {
        let below = path.strip_prefix(self.surroundings.folder)?;
        let name = if below.is_empty() { "" } else { below.strip_prefix('/')? };
        (!is_made_anew(name)).then(|| name.to_owned())
    }
}

/// Which argument is the folder's descriptor, if any, and which is the path.
type Place = (Option<usize>, usize);

/// Joins a path to its folder, and takes `.` and `..` out. A symbolic link is not seen: if one leads into the folder,
/// the model and the real folder differ in the end.
fn absolute(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let folder = if path.starts_with('/') { "" } else { folder };
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::state::Content;
    use super::*;

    const SURROUNDINGS: Surroundings<'_> = Surroundings { folder: "/d", output: "/out", working_folder: "/" };

    fn replayed(text: &str) -> Result<Happened> {
        let initial = State([("old".to_owned(), Content::File(b"old".to_vec()))].into());
        replay(&Trace::read(text)?, &initial, &SURROUNDINGS)
    }

    /// The files in the end but for `old`, which is only told if it was changed.
    fn live(text: &str) -> Vec<(String, String)> {
        let live = replayed(text).unwrap_or_else(|error| panic!("{error:#}: {text}")).live;
        let texts = live.0.into_iter().map(|(name, content)| match content {
            Content::File(bytes) => (name, String::from_utf8(bytes).unwrap()),
            Content::Folder => (name, "(folder)".to_owned()),
        });
        texts.filter(|(name, text)| name != "old" || text != "old").collect()
    }

    #[track_caller]
    fn assert_live(text: &str, expected: &[(&str, &str)]) {
        let found = live(text);
        let found: Vec<_> = found.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[track_caller]
    fn assert_refused(text: &str, why: &str) {
        let told = format!("{:#}", replayed(text).unwrap_err());
        assert!(told.contains(why), "{told}");
    }

    #[test]
    fn offsets_are_followed() {
        let text = "\
1 openat(AT_FDCWD</>, \"/d/a\", O_RDWR|O_CREAT, 0644) = 3</d/a>
1 write(3</d/a>, \"one\", 3) = 3
1 write(3</d/a>, \"two-\", 4) = 3
1 lseek(3</d/a>, 1, SEEK_SET) = 1
1 write(3</d/a>, \"N\", 1) = 1
1 read(3</d/a>, \"e\", 1) = 1
1 dup(3</d/a>) = 4</d/a>
1 write(4</d/a>, \"T\", 1) = 1
1 pwrite64(3</d/a>, \"!!\", 2, 7) = 2
1 write(3</d/a>, \"W\", 1) = 1
";
        assert_live(text, &[("a", "oNeTWo\0!!")]);
    }

    #[test]
    fn appending_goes_to_the_end_whatever_the_offset() {
        let text = "\
1 open(\"/d/old\", O_WRONLY|O_APPEND) = 3</d/old>
1 write(3</d/old>, \"er\", 2) = 2
1 pwritev2(3</d/old>, [{iov_base=\"!\", iov_len=1}], 1, 0, 0) = 1
";
        assert_live(text, &[("old", "older!")]);
    }

    #[test]
    fn sizes_are_followed() {
        let text = "\
1 openat(AT_FDCWD</d>, \"a\", O_RDWR|O_CREAT|O_TRUNC, 0644) = 3</d/a>
1 fallocate(3</d/a>, 0, 0, 2) = 0
1 fallocate(3</d/a>, FALLOC_FL_KEEP_SIZE, 0, 200) = 0
1 creat(\"/d/old\", 0644) = 4</d/old>
1 ftruncate(4</d/old>, 1) = 0
1 open(\"/d/b\", O_RDWR|O_CREAT, 0644) = 5</d/b>
1 write(5</d/b>, \"gone\", 4) = 4
1 truncate(\"/d/b\", 2) = 0
1 open(\"/d/b\", O_RDWR|O_CREAT|O_TRUNC, 0644) = -1 EACCES (Permission denied)
";
        assert_live(text, &[("a", "\0\0"), ("b", "go"), ("old", "\0")]);
    }

    #[test]
    fn names_are_followed() {
        let text = "\
1 mkdir(\"/d/x\", 0777) = 0
1 chdir(\"/d/x\") = 0
1 open(\"a\", O_RDWR|O_CREAT, 0644) = 3</d/x/a>
1 rename(\"a\", \"../b\") = 0
1 write(3</d/b>, \"one\", 3) = 3
1 link(\"../b\", \"./c\") = 0
1 unlink(\"/d/./b\") = 0
1 rename(\"/d/old\", \"/d/none\") = -1 ENOENT (No such file or directory)
1 mkdirat(AT_FDCWD</d/x>, \"y\", 0777) = 0
1 unlinkat(AT_FDCWD</d/x>, \"y\", AT_REMOVEDIR) = 0
1 open(\"/d\", O_RDONLY|O_DIRECTORY) = 4</d>
1 renameat2(4</d>, \"x/c\", 4</d>, \"d\", RENAME_NOREPLACE) = 0
1 unlink(\"/d/d\") = 0
1 write(3</d/d>(deleted), \"two\", 3) = 3
";
        assert_live(text, &[("x", "(folder)")]);
    }

    #[test]
    fn threads_share_descriptors_and_children_have_copies() {
        let text = "\
1 open(\"/d/a\", O_RDWR|O_CREAT, 0644) = 3</d/a>
1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD} <unfinished ...>
2 open(\"/d/b\", O_RDWR|O_CREAT, 0644) = 4</d/b>
1 <... clone3 resumed> => {parent_tid=[2]}, 88) = 2
1 write(4</d/b>, \"two\", 3) = 3
1 vfork( <unfinished ...>
3 dup2(3</d/a>, 1</out>) = 1</d/a>
3 write(1</d/a>, \"one\", 3) = 3
3 write(1</d/a>, \"ack 7\\x0a\", 6) = 6
1 <... vfork resumed>) = 3
1 write(3</d/a>, \"two\", 3) = 3
1 write(1</out>, \"ack 1\\x0a\", 6) = 6
";
        assert_live(text, &[("a", "oneack 7\ntwo"), ("b", "two")]);
        assert_refused("1 getpid() = 1\n2 getpid() = 2\n", "whose child");
    }

    #[test]
    fn acknowledgements_count_from_the_beginning_of_their_write_and_syncs_from_the_end() {
        let text = "\
1 open(\"/d/a\", O_RDWR|O_CREAT, 0644) = 3</d/a>
1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD} => {parent_tid=[2]}, 88) = 2
1 fsync(3</d/a> <unfinished ...>
2 write(1</out>, \"starting\\x0aack\", 12 <unfinished ...>
1 <... fsync resumed>) = 0
2 <... write resumed>) = 12
2 write(1</out>, \" 1\\x0aack 2\\x0aac\", 11 <unfinished ...>
1 fdatasync(3</d/a>) = 0
2 <... write resumed>) = 9
2 write(1</out>, \"ack 3\\x0a\", 6) = 6
";
        let events = replayed(text).unwrap().events;
        let told: Vec<_> = events.iter().map(|event| (event.line, event.call.as_str())).collect();
        assert_eq!(told, [(1, "open(a)"), (5, "fsync(a)"), (7, "ack 1"), (7, "ack 2"), (8, "fdatasync(a)"), (10, "ack 3")]);
        assert_eq!(events[1].effect, Effect::Disk(Change::FileSynced { file: 1, before: 3 }));
        assert_refused("1 write(1</out>, \"ack 2\\x0a\", 6) = 6", "`ack 1` is what comes next");
    }

    #[test]
    fn shared_memory_for_all_the_world_to_rebuild_is_left_alone() {
        let text = "\
1 open(\"/d/a-shm\", O_RDWR|O_CREAT, 0644) = 3</d/a-shm>
1 ftruncate(3</d/a-shm>, 3) = 0
1 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_SHARED, 3</d/a-shm>, 0) = 0x7f335e710000
1 unlink(\"/d/a-shm\") = 0
";
        assert_live(text, &[]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let open = "1 open(\"/d/a\", O_RDWR|O_CREAT, 0644) = 3</d/a>\n";
        for (call, why) in [
            ("1 mmap(NULL, 8, PROT_READ, MAP_SHARED, 3</d/a>, 0) = 0x7f0000000000", "mapping"),
            ("1 copy_file_range(5</x>, NULL, 3</d/a>, NULL, 10, 0) = 10", "`copy_file_range` of /d/a is not understood"),
            ("1 sendfile(3</d/a>, 5</x>, NULL, 10) = 10", "not understood"),
            ("1 symlink(\"x\", \"/d/b\") = 0", "not understood"),
            ("1 io_submit(0x7f, 1, [{aio_lio_opcode=IOCB_CMD_PWRITE, aio_fildes=3</d/a>}]) = 1", "not understood"),
            ("1 io_uring_setup(8, {flags=0}) = 4<anon_inode:[io_uring]>", "io_uring"),
            ("1 ioctl(3</d/a>, FICLONE, 4</x>) = 0", "not understood"),
            ("1 fallocate(3</d/a>, FALLOC_FL_ZERO_RANGE, 0, 10) = 0", "FALLOC_FL_ZERO_RANGE"),
            ("1 fcntl(3</d/a>, F_SETFL, O_RDWR|O_APPEND) = 0", "not understood"),
            ("1 open(\"/d/a\", O_WRONLY|O_DSYNC) = 4</d/a>", "O_DSYNC"),
            ("1 open(\"/d/b\", O_WRONLY) = 4</d/b>", "never made"),
            ("1 rename(\"/x\", \"/d/b\") = 0", "outside"),
            ("1 renameat2(AT_FDCWD</d>, \"a\", AT_FDCWD</d>, \"old\", RENAME_EXCHANGE) = 0", "RENAME_NOREPLACE"),
            ("1 write(7</d/a>, \"one\", 3) = 3", "where a was opened"),
            ("1 pwritev2(3</d/a>, [{iov_base=\"!\", iov_len=1}], 1, 0, RWF_DSYNC) = 1", "flags"),
            ("1 write(3</d/a>, \"one\", 3 <unfinished ...>", "let it end in order"),
        ] {
            assert_refused(&format!("{open}{call}\n"), why);
        }
    }

    #[test]
    fn what_is_not_understood_elsewhere_is_nobodys_business() {
        let text = "\
1 symlink(\"x\", \"/elsewhere/b\") = 0
1 write(5<socket:[17]>, \"one\", 3) = 3
1 mmap(NULL, 8, PROT_READ|PROT_WRITE, MAP_SHARED, 3</dd/a>, 0) = 0x7f0000000000
1 mmap(NULL, 8, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1, 0) = 0x7f0000000000
1 futex(0x7f0000000000, FUTEX_WAIT_PRIVATE, 0, NULL <unfinished ...>
";
        assert_live(text, &[]);
    }

    #[test]
    fn two_changes_of_one_file_at_once_are_refused() {
        let text = "\
1 open(\"/d/a\", O_RDWR|O_CREAT, 0644) = 3</d/a>
1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD} => {parent_tid=[2]}, 88) = 2
1 pwrite64(3</d/a>, \"one\", 3, 0 <unfinished ...>
2 pwrite64(3</d/a>, \"two\", 3, 0) = 3
1 <... pwrite64 resumed>) = 3
";
        assert_refused(text, "take turns");
    }
}
