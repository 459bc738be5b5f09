//! A file of audit lines that vouch for each other: opened for one process, gone on with, and ended.

use std::fmt::Display;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use keyward::audit::chain::{BrokenKind, Chain, ChainEnd, ChainKey, ChainReader, Entry};
use keyward::audit::{AuditEvent, AuditSink};
use keyward::{Answer, Fault, Random as _, SystemRandom, Timestamp};

use super::disk::Disk;
use crate::arguments::Serve;
use crate::audit::key;
use crate::failure::Failure;
use crate::output::visible;
use crate::private_file::open_without_waiting;
use crate::setting::Setting;

/// How much of a file is read to know where it ends. `keyward audit verify` reads all of it.
const END: u64 = 4 * 1024 * 1024;

/// The file that events are appended to. No other process writes it meanwhile.
pub(super) struct AuditFile {
    /// For errors, as it may be shown.
    name: String,
    chain: Mutex<Chain<File>>,
    disk: Arc<Disk>,
}

/// Opens what was named, and begins with a line that says so.
pub(super) fn open(arguments: &Serve) -> Result<Option<AuditFile>, Failure> {
    let key = key::read(arguments.audit_key_file().as_ref())?;
    let Some(setting) = arguments.audit() else {
        return match arguments.audit_key_file() {
            // The variable may be there for `keyward audit verify`.
            Some(Setting { name: name @ "--audit-key-file", .. }) => {
                Err(Failure::Configuration(format!("{name}: it is for the file of --audit, and none was named")))
            }
            _ => Ok(None),
        };
    };
    let path = Path::new(&setting.value);
    let named = Named { by: setting.name, name: visible(&path.display().to_string()).into_owned() };
    let is_new = path.try_exists().is_ok_and(|is_there| !is_there);
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = open_without_waiting(&mut options, path).map_err(|error| named.cannot_open(&error))?;
    let about = file.metadata().map_err(|error| named.fault(&error))?;
    if let Some(problem) = problem_of(&about) {
        return Err(named.configuration(problem));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(named.fault("another process writes to it: each needs a file of its own")),
        Err(TryLockError::Error(error)) => return Err(named.fault(&error)),
    }
    let end = end_of(&mut file, about.len(), key.clone(), &named)?;
    if is_new {
        sync_folder(path).map_err(|error| named.fault(&error))?;
    }
    let reason = match (end.lines(), end.torn_bytes()) {
        (_, 1..) => "torn",
        (0, 0) => "new",
        _ => "continued",
    };
    let (lines, head, torn_bytes) = (end.lines(), end.head(), end.torn_bytes());
    let disk = Disk::keep(file.try_clone().map_err(|error| named.fault(&error))?)?;
    let file = AuditFile { name: named.name.clone(), chain: Mutex::new(Chain::going_on(file, key, end)), disk };
    if torn_bytes > 0 {
        tracing::warn!(lines, torn_bytes, "audit: {} ends with a line that was cut off; the next one tells of it", file.name);
    }
    tracing::info!(lines, %head, "audit: goes to {}", file.name);
    file.tell(true, reason).map_err(|error| named.fault(&error))?;
    Ok(Some(file))
}

/// What was named, for errors.
struct Named {
    by: &'static str,
    name: String,
}

impl Named {
    fn configuration(&self, problem: impl Display) -> Failure {
        Failure::Configuration(format!("{}: {}: {problem}", self.by, self.name))
    }

    fn fault(&self, problem: impl Display) -> Failure {
        Failure::Fault(format!("{}: {}: {problem}", self.by, self.name))
    }

    /// A wrong name is the operator's, a broken disk is not.
    fn cannot_open(&self, error: &io::Error) -> Failure {
        use io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        match error.kind() {
            NotFound | NotADirectory => self.configuration(format!("{error}; name a file in a folder that is there")),
            PermissionDenied => self.configuration(format!("{error}; let this user write it")),
            IsADirectory | InvalidInput => self.configuration(format!("{error}; name a file")),
            // A pipe that nobody reads.
            _ if error.raw_os_error() == no_reader() => self.configuration("it is no plain file"),
            _ => self.fault(error),
        }
    }
}

#[cfg(unix)]
fn no_reader() -> Option<i32> {
    Some(rustix::io::Errno::NXIO.raw_os_error())
}

#[cfg(not(unix))]
fn no_reader() -> Option<i32> {
    None
}

/// Others may read it, like who carries lines elsewhere; what they can write proves nothing.
fn problem_of(about: &Metadata) -> Option<&'static str> {
    if !about.is_file() {
        return Some("it is no plain file, so nobody could check what was written to it before");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Some("it is another user's, who could change it: run this as its owner, or `chown` it");
        }
        if about.mode() & 0o022 != 0 {
            return Some("others can write to it: `chmod go-w` it");
        }
    }
    None
}

/// Where the chain in the file ends, by its last lines alone: a start must not take longer with every year.
fn end_of(file: &mut File, length: u64, key: Option<ChainKey>, named: &Named) -> Result<ChainEnd, Failure> {
    let read = || -> io::Result<_> {
        let begin = length.saturating_sub(END);
        file.seek(SeekFrom::Start(begin))?;
        let mut reader = BufReader::new(file);
        let mut lines = if begin == 0 {
            ChainReader::new(reader, key)
        } else {
            // The rest of a line.
            (&mut reader).take(END).skip_until(b'\n')?;
            ChainReader::within(reader, key)
        };
        while let Some(line) = lines.next_line()? {
            if let Err(broken) = line {
                return Ok(Err(Some(broken.kind)));
            }
        }
        Ok(lines.end_to_go_on_from().ok_or(None))
    };
    let mend = "`keyward audit verify` names the first line that is broken; move the file away and keep it, and a new one begins";
    match read().map_err(|error| named.fault(&error))? {
        Ok(end) => Ok(end),
        Err(Some(BrokenKind::Keyed)) => {
            Err(named.configuration("its lines are vouched for with a key; name the file that holds it by --audit-key-file"))
        }
        Err(Some(BrokenKind::NotKeyed)) => {
            Err(named
                .configuration("its lines are not vouched for with a key; begin another file, or leave --audit-key-file out"))
        }
        Err(Some(BrokenKind::ChangedOrOtherKey)) => {
            Err(named.fault(format!("one of its last lines was changed, or is vouched for with another key; {mend}")))
        }
        Err(Some(kind)) => Err(named.fault(format!("one of its last lines is broken: {kind}; {mend}"))),
        Err(None) => Err(named.fault(format!("no whole line of a chain is in the last {END} bytes of it; {mend}"))),
    }
}

/// The file's name is on the disk only with its folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

impl AuditFile {
    pub(super) fn append(&self, entry: &Entry) -> io::Result<()> {
        self.chain().append(entry)?;
        self.disk.note();
        Ok(())
    }

    pub(super) fn has_lost_lines(&self) -> bool {
        self.disk.has_lost_lines()
    }

    /// Ends with a line that says so. Its hash goes to the log, which may be kept elsewhere.
    pub(super) fn end(&self) {
        match self.tell(false, "asked") {
            Ok(()) => {
                let chain = self.chain();
                tracing::info!(lines = chain.lines(), head = %chain.head(), "audit: {} ends", self.name);
            }
            Err(error) => tracing::error!(%error, "audit: the end of {} was not written", self.name),
        }
        self.disk.sync();
    }

    fn tell(&self, begins: bool, reason: &'static str) -> io::Result<()> {
        let now = Timestamp::from_system(SystemTime::now());
        let event = AuditEvent::of_audit(begins, reason, now, SystemRandom.identifier());
        self.append(&Entry::of(&event).map_err(io::Error::other)?)
    }

    fn chain(&self) -> MutexGuard<'_, Chain<File>> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AuditSink for AuditFile {
    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let written =
            Entry::of(event).and_then(|entry| self.append(&entry).map_err(|error| Fault::new(format!("{}: {error}", self.name))));
        Answer::Ready(written)
    }
}
