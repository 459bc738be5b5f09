//! A file beside a SQLite database that names every revocation, so that a restored backup does not bring revoked keys back.
//!
//! The first line names the database whose file it is. Then one line for each revocation, `REVISION ID TIME ACTOR`, on the disk
//! before the revocation is committed. The database remembers how long the file was; when it is opened, a file that is shorter,
//! or another database's, is refused, and what a longer one names is revoked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use keyward::Timestamp;
use keyward::key::KeyId;
use keyward::store::Attribution;

use crate::failure::{Failure, Outcome};

/// What stands before the identity of the database in the first line.
const HEADER: &str = "keyward revocations of ";

/// The file, open. Several processes append to it, one at a time: whoever does is in a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Revocations {
    path: PathBuf,
    file: Arc<Mutex<File>>,
}

/// What a file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// The identity of the database in its first line; none where the file is empty, or missing.
    pub(crate) identity: Option<String>,
    pub(crate) revocations: Vec<Revocation>,
    /// Where its last whole line ends. What is behind that was never acknowledged.
    pub(crate) bytes: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revocation {
    pub(crate) id: KeyId,
    pub(crate) by: Attribution,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the file of revocations cannot be read: {0}")]
    Io(io::Error),
    /// The line with this number is none.
    #[error("line {0} of the file of revocations is damaged; put back a copy of it")]
    Line(usize),
}

impl Revocations {
    /// Where it is for a database.
    pub(crate) fn path(database: &Path) -> PathBuf {
        let mut path = database.as_os_str().to_owned();
        path.push(".revocations");
        path.into()
    }

    /// Opens it, and makes it if it is not there.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        }
        let file = Arc::new(Mutex::new(options.open(&path)?));
        Ok(Self { path, file })
    }

    /// What it names.
    pub(crate) fn read(&self) -> Result<Named, Unreadable> {
        read(&self.path)
    }

    /// Cuts off what is behind its last whole line, and writes the first line where there is none. How long it is then.
    pub(crate) fn begin(&self, identity: &str, named: &Named) -> io::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.metadata()?.len() != named.bytes {
            file.set_len(named.bytes)?;
            file.sync_all()?;
        }
        if named.identity.is_some() {
            return Ok(named.bytes);
        }
        let line = format!("{HEADER}{identity}\n");
        file.write_all(line.as_bytes())?;
        file.sync_all()?;
        Ok(line.len() as u64)
    }

    /// Writes a revocation down. It is on the disk when this is done; how long the file is then.
    pub(crate) async fn append(&self, revision: i64, id: KeyId, by: &Attribution) -> Outcome<i64> {
        let file = self.file.clone();
        // An actor may be any text; as JSON it is one line.
        let actor = crate::record::json(&by.actor);
        let line = format!("{revision} {id} {} {actor}\n", by.at.unix_nanoseconds());
        let append = move || -> io::Result<u64> {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let about = file.metadata()?;
            #[cfg(unix)]
            if std::os::unix::fs::MetadataExt::nlink(&about) == 0 {
                return Err(io::Error::other("it was removed while it was open; start the program again"));
            }
            let length = end_of_last_line(&mut file, about.len())?;
            if length < about.len() {
                file.set_len(length)?;
            }
            file.write_all(line.as_bytes())?;
            file.sync_data()?;
            Ok(length + line.len() as u64)
        };
        let failed = |error: &dyn std::fmt::Display| {
            Failure::fault(format!(
                "the revocation cannot be written to {}: {error}; check the disk's room and health",
                self.path.display()
            ))
        };
        match tokio::task::spawn_blocking(append).await {
            Ok(Ok(length)) => Ok(i64::try_from(length).unwrap_or(i64::MAX)),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Whether a file whose first line is not there may get it: it is empty, or was left half written by whoever made it.
pub(crate) fn may_begin(path: &Path, identity: &str) -> io::Result<bool> {
    let begun = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
        Ok(file) => {
            let mut begun = Vec::new();
            file.take(1_024).read_to_end(&mut begun)?;
            begun
        }
    };
    let line = format!("{HEADER}{identity}\n");
    // After a power cut, what was not on the disk may be zeros.
    Ok(begun.len() <= line.len() && begun.iter().zip(line.bytes()).all(|(&is, shall)| is == shall || is == 0))
}

/// Somebody who was killed while writing may have left half a line: it was never acknowledged, and would spoil the next one.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut byte = [0];
    while end > 0 {
        file.seek(SeekFrom::Start(end - 1))?;
        file.read_exact(&mut byte)?;
        if byte == [b'\n'] {
            break;
        }
        end -= 1;
    }
    Ok(end)
}

/// What a file names, if all of it but its end can be read: a power cut may have left anything behind what was acknowledged.
pub(crate) fn read(path: &Path) -> Result<Named, Unreadable> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(Unreadable::Io)?,
    };
    let mut named = Named::default();
    let (mut end, mut bad_line) = (0, None);
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        end += line.len() as u64;
        let line = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok());
        let is_good = match line {
            Some(line) if index == 0 => {
                named.identity = line.strip_prefix(HEADER).map(str::to_owned);
                named.identity.is_some()
            }
            Some(line) => Revocation::of(line).map(|revocation| named.revocations.push(revocation)).is_some(),
            None => false,
        };
        match (is_good, bad_line) {
            (true, None) => named.bytes = end,
            (true, Some(number)) => return Err(Unreadable::Line(number)),
            (false, _) => bad_line = bad_line.or(Some(index + 1)),
        }
    }
    Ok(named)
}

impl Revocation {
    fn of(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        words.next()?.parse::<i64>().ok()?;
        let id = words.next()?.parse().ok()?;
        let at = Timestamp::from_unix_nanoseconds(words.next()?.parse().ok()?);
        let actor: Box<str> = serde_json::from_str(words.next()?).ok()?;
        Some(Self { id, by: Attribution { actor, at } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(actor: &str) -> Attribution {
        Attribution { actor: actor.into(), at: Timestamp::from_unix_nanoseconds(7) }
    }

    fn place() -> PathBuf {
        std::env::temp_dir().join(format!("keyward-{:x}", keyward::Random::identifier(&keyward::SystemRandom)))
    }

    fn spoil(path: &Path, with: &[u8]) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(with).unwrap();
    }

    #[tokio::test]
    async fn half_a_line_is_no_revocation_and_spoils_no_other() {
        let path = place();
        let file = Revocations::open(path.clone()).unwrap();
        file.begin("one", &Named::default()).unwrap();
        let length = file.append(1, "first".parse().unwrap(), &by("a \"name\"\nof two lines")).await.unwrap();
        assert_eq!(read(&path).unwrap().bytes, length as u64);
        spoil(&path, b"2 torn");
        file.append(3, "third".parse().unwrap(), &by("b")).await.unwrap();
        let named = read(&path).unwrap();
        let ids: Vec<&str> = named.revocations.iter().map(|revocation| revocation.id.as_str()).collect();
        assert_eq!((named.identity.as_deref(), ids), (Some("one"), vec!["first", "third"]));
        assert_eq!(&*named.revocations[0].by.actor, "a \"name\"\nof two lines");
        assert_eq!(named.bytes, std::fs::metadata(&path).unwrap().len());
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn what_a_power_cut_left_at_the_end_is_cut_off_and_nothing_else_may_be_unreadable() {
        let path = place();
        let file = Revocations::open(path.clone()).unwrap();
        file.begin("one", &Named::default()).unwrap();
        let length = file.append(1, "first".parse().unwrap(), &by("a")).await.unwrap();
        spoil(&path, b"\0\0\n\xff\n");
        let named = read(&path).unwrap();
        assert_eq!((named.bytes, named.revocations.len()), (length as u64, 1));
        assert_eq!(file.begin("one", &named).unwrap(), length as u64);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), length as u64);

        spoil(&path, b"garbage\n");
        spoil(&path, b"2 second 7 \"a\"\n");
        assert!(matches!(read(&path), Err(Unreadable::Line(3))));
        std::fs::write(&path, "garbage\n1 first 7 \"a\"\n").unwrap();
        assert!(matches!(read(&path), Err(Unreadable::Line(1))));
        std::fs::remove_file(path).unwrap();
    }
}
