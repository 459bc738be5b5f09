//! A file beside a SQLite database that names every revocation, so that a restored backup does not bring revoked keys back.
//!
//! One line for each, `REVISION ID TIME`, on the disk before the revocation is committed. The database remembers how long the
//! file was; when it is opened, a file that is shorter is refused, and what a longer one names is revoked.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use keyward::Timestamp;
use keyward::key::KeyId;

use crate::failure::{Failure, Outcome};

/// The file, open. Several processes append to it, one at a time: whoever does is in a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Revocations {
    path: PathBuf,
    file: Arc<Mutex<File>>,
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

    /// The revocations that it names.
    pub(crate) fn named(&self) -> io::Result<Vec<(KeyId, Timestamp)>> {
        read(&self.path).map(|(_, named)| named)
    }

    /// Writes a revocation down. It is on the disk when this is done; how long the file is then.
    pub(crate) async fn append(&self, revision: i64, id: KeyId, at: Timestamp) -> Outcome<i64> {
        let file = self.file.clone();
        let append = move || -> io::Result<u64> {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            let about = file.metadata()?;
            #[cfg(unix)]
            if std::os::unix::fs::MetadataExt::nlink(&about) == 0 {
                return Err(io::Error::other("it was removed while it was open; start the program again"));
            }
            let length = about.len();
            // A power cut may have left half a line.
            let mut last = [b'\n'];
            if length > 0 {
                file.seek(SeekFrom::Start(length - 1))?;
                file.read_exact(&mut last)?;
            }
            let begin = if last == [b'\n'] { "" } else { "\n" };
            let line = format!("{begin}{revision} {id} {}\n", at.unix_nanoseconds());
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

/// How long a file is, and which revocations it names. Half a line is none: it was never acknowledged.
pub(crate) fn read(path: &Path) -> io::Result<(i64, Vec<(KeyId, Timestamp)>)> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read?,
    };
    let text = String::from_utf8_lossy(&bytes);
    let named = text.split_inclusive('\n').filter_map(|line| {
        let mut words = line.strip_suffix('\n')?.split(' ').skip(1);
        let (id, at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((id, Timestamp::from_unix_nanoseconds(at)))
    });
    Ok((i64::try_from(bytes.len()).unwrap_or(i64::MAX), named.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn half_a_line_is_no_revocation_and_spoils_no_other() {
        let path = std::env::temp_dir().join(format!("keyward-{:x}", keyward::Random::identifier(&keyward::SystemRandom)));
        let file = Revocations::open(path.clone()).unwrap();
        let at = Timestamp::from_unix_nanoseconds(7);
        let length = file.append(1, "first".parse().unwrap(), at).await.unwrap();
        assert_eq!(read(&path).unwrap().0, length);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"2 torn").unwrap();
        file.append(3, "third".parse().unwrap(), at).await.unwrap();
        let (length, named) = read(&path).unwrap();
        assert_eq!(named, [("first".parse().unwrap(), at), ("third".parse().unwrap(), at)]);
        assert_eq!(length, std::fs::metadata(&path).unwrap().len() as i64);
        std::fs::remove_file(path).unwrap();
    }
}
