//! Keys in a SQLite file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keyward::Cached;
use keyward::SystemRandom;
use keyward::key::Epoch;
use keyward::store::Change;
use sqlx::ConnectOptions;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::runtime::Handle;

use crate::connection::{CHUNK, Pools, Session, values};
use crate::database::{Database, Shared};
use crate::failure::Failure;
use crate::open::{OpenError, OpenErrorKind, migrate, runtime};
use crate::place::Place;
use crate::revocations::{self, Named, Revocation, Revocations, Unreadable};
use crate::store::{Common, common_setters};

/// Keys in one SQLite file, for a machine of its own. Clones share it; other processes on the machine may open it too.
///
/// The file is made with mode 0600. Every change is on the disk when it is acknowledged. Beside it lie SQLite's own `-wal` and
/// `-shm`, and `.revocations`, which names every revocation: see [`SqliteBuilder::accept_lost_revocations`].
///
/// A backup is made with SQLite's own means (`VACUUM INTO`, `.backup`), not by copying the file while it is in use.
#[derive(Clone, Debug)]
pub struct SqliteStore(pub(crate) Cached<Database>);

impl SqliteStore {
    /// Opens a database, and makes it if there is none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::builder(path).open().await
    }

    /// Sets one up.
    pub fn builder(path: impl AsRef<Path>) -> SqliteBuilder {
        SqliteBuilder {
            path: path.as_ref().to_owned(),
            common: Common::new(Duration::from_secs(1), Duration::from_millis(250)),
            shared_folder: false,
            lost_revocations: false,
        }
    }
}

/// Sets a [`SqliteStore`] up.
#[derive(Debug)]
#[must_use]
pub struct SqliteBuilder {
    path: PathBuf,
    common: Common,
    shared_folder: bool,
    lost_revocations: bool,
}

impl SqliteBuilder {
    common_setters!("1 second");

    /// Only reads: makes no file, changes none, and counts no uses.
    pub fn read_only(mut self) -> Self {
        self.common.settings.read_only = true;
        self
    }

    /// Opens a file in a folder that others may write to, and who can write there can put another file in its place: their keys
    /// instead of yours.
    pub fn insecure_shared_folder(mut self) -> Self {
        self.shared_folder = true;
        self
    }

    /// Opens a database whose file of revocations is missing or shorter than it was.
    ///
    /// The file protects against backups: where an older copy of the database is restored and the file is not, the keys that were
    /// revoked meanwhile are revoked again when the store is opened. Without it, nobody would know of them. So a database that
    /// once had such a file is not opened without it, unless somebody accepts that.
    pub fn accept_lost_revocations(mut self) -> Self {
        self.lost_revocations = true;
        self
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(self) -> Result<SqliteStore, OpenError> {
        let runtime = runtime()?;
        // On the store's own runtime, so that a caller who gives up leaves nothing half made.
        let task = runtime.spawn(self.open_on(runtime.clone()));
        task.await.map_err(|error| OpenError::new(OpenErrorKind::Runtime, format!("the runtime ended: {error}")))?
    }

    async fn open_on(self, runtime: Handle) -> Result<SqliteStore, OpenError> {
        let settings = self.common.settings();
        let path = self.check_place()?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .read_only(settings.read_only)
            .busy_timeout(Duration::from_secs(5))
            .synchronous(SqliteSynchronous::Full)
            .pragma("cache_size", "-16384")
            .disable_statement_logging();
        self.check_database(&options, &path).await?;

        let pool = |most: u32| {
            SqlitePoolOptions::new()
                .max_connections(most)
                .acquire_timeout(settings.deadline)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        let writer = if settings.read_only {
            None
        } else {
            let options = options.clone().journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", "67108864");
            Some(patiently(&pool(1), options).await?)
        };
        // Four at once, and one that watches.
        let readers = pool(5).connect_lazy_with(options.read_only(true));
        let place = Place::of(&path).map_err(|error| failed("look at", &path, &error))?;
        let pools = Pools::Sqlite { writer, readers, place };

        let (revocations, named) = self.check_revocations(&pools, &path).await?;
        let read_only = settings.read_only;
        let held = named.iter().filter(|_| read_only).map(|revocation| (revocation.id, revocation.by.at)).collect();
        let database = Database::over(pools, settings, runtime, revocations, held).await?;
        // Another process may be in the middle of a revocation; who reads only sees it as made, by the file.
        if !read_only {
            revoke_again(database.shared(), named).await?;
        }
        Ok(SqliteStore(self.common.cached(database)))
    }

    /// Sees to it that nobody else can read or replace the file, and makes it if there is none. Its full path.
    fn check_place(&self) -> Result<PathBuf, OpenError> {
        let bad = |text: String| OpenError::new(OpenErrorKind::File, text);
        let name = self.path.file_name().ok_or_else(|| bad(format!("{} names no file", self.path.display())))?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(|error| failed("find the folder", folder, &error))?;
        let path = folder.join(name);
        let about_folder = folder.metadata().map_err(|error| failed("look at", &folder, &error))?;
        if others_may_write(&about_folder) && !self.shared_folder {
            return Err(bad(format!(
                "others may write to {0} and put another file in the place of the database: `chmod go-w {0}`, or insecure_shared_folder()",
                folder.display()
            )));
        }
        match path.symlink_metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                if self.common.settings.read_only {
                    return Err(bad(format!("there is no database {}: open it for writing once", path.display())));
                }
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                match options.open(&path) {
                    // Another process was faster.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                    made => drop(made.map_err(|error| failed("make", &path, &error))?),
                }
            }
            Err(error) => return Err(failed("look at", &path, &error)),
            Ok(about) if about.is_symlink() => {
                return Err(bad(format!("{} is a symbolic link: name the file itself", path.display())));
            }
            Ok(about) if !about.is_file() => return Err(bad(format!("{} is no file", path.display()))),
            Ok(about) if others_may_use(&about) => {
                return Err(bad(format!("others may read or write {0}: `chmod 600 {0}`", path.display())));
            }
            Ok(about) if !is_ours(&about) => {
                return Err(bad(format!("{} is another user's: run this as its owner, or `chown` it", path.display())));
            }
            Ok(_) => {
                for ending in ["-wal", "-shm", "-journal", ".revocations"] {
                    check_beside(&path, ending)?;
                }
                check_header(&path)?;
            }
        }
        Ok(path)
    }

    /// Makes the schema where there is none, and refuses what is somebody else's.
    ///
    /// In SQLite's first journal mode, where all of it is in the file or nothing, so that the file's own header always says
    /// whose it is. Only then is the mode changed.
    async fn check_database(&self, options: &SqliteConnectOptions, path: &Path) -> Result<(), OpenError> {
        let read_only = self.common.settings.read_only;
        let long = Duration::from_secs(3600);
        let pool = SqlitePoolOptions::new().max_connections(1);
        let pool = patiently(&pool, options.clone()).await?;
        let connection = pool.acquire().await.map_err(|error| of_file(path, &Failure::of(&error)))?;
        let mut session = Session::of_sqlite(connection, long);
        if read_only {
            session.script("BEGIN").await?;
        } else {
            session.begin().await.map_err(|failure| of_file(path, &failure))?;
        }
        let asked = session
            .rows("SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id", Vec::new())
            .await;
        let rows = asked.map_err(|failure| of_file(path, &failure))?;
        let row = rows.first().ok_or_else(|| foreign(path))?;
        match (row.get::<i64>(0)?, row.get::<i64>(1)?) {
            (APPLICATION_ID, _) => {}
            (0, 0) if read_only => {
                let text = format!("{} was not finished being made: open it for writing once", path.display());
                return Err(OpenError::new(OpenErrorKind::Version, text));
            }
            (0, 0) => session.script(format!("PRAGMA application_id = {APPLICATION_ID}")).await?,
            _ => return Err(foreign(path)),
        }
        migrate(&mut session, !read_only).await?;
        session.commit().await?;
        pool.close().await;
        sync_folder(path)
    }

    /// The file of revocations, if it is this database's and as long as it was at least, and what it names.
    async fn check_revocations(&self, pools: &Pools, path: &Path) -> Result<(Option<Revocations>, Vec<Revocation>), OpenError> {
        let (file, settings) = (Revocations::path(path), &self.common.settings);
        // Where it writes, in a transaction that one process at a time is in: another may be making the file just now.
        let mut session =
            if settings.read_only { pools.reader(settings.deadline).await? } else { pools.writer(settings.deadline).await? };
        let rows = session.rows("SELECT identity, revocation_bytes FROM keyward_store", Vec::new()).await?;
        let row = rows.first().ok_or_else(|| Failure::fault("keyward_store has no row: restore a backup"))?;
        let (identity, known): (String, i64) = (row.get(0)?, row.get(1)?);
        let known = u64::try_from(known).unwrap_or(0);
        let named = revocations::read(&file).map_err(|error| unreadable(&file, error))?;
        self.check_length(&file, &identity, known, &named)?;
        if settings.read_only {
            return Ok((None, named.revocations));
        }
        let revocations = Revocations::open(file.clone()).map_err(|error| failed("open", &file, &error))?;
        let length = revocations.begin(&identity, &named).map_err(|error| failed("write", &file, &error))?;
        sync_folder(path)?;
        if known == 0 || length < known {
            // From its first moment on, no copy of the database is without it.
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            session.run("UPDATE keyward_store SET revocation_bytes = $1", values![length]).await?;
            session.commit().await?;
        } else {
            session.roll_back().await?;
        }
        Ok((Some(revocations), named.revocations))
    }

    fn check_length(&self, file: &Path, identity: &str, known: u64, named: &Named) -> Result<(), OpenError> {
        let lost = |text: String| Err(OpenError::new(OpenErrorKind::LostRevocations, text));
        let name = file.display();
        match &named.identity {
            Some(of) if of != identity => {
                return lost(format!(
                    "{name} names the revocations of another database: move it away, and put this one's in its place"
                ));
            }
            None if !revocations::may_begin(file, identity).map_err(|error| failed("read", file, &error))? => {
                return lost(format!("{name} is no list of revocations: move it away; nothing was changed"));
            }
            _ => {}
        }
        if named.bytes >= known {
            return Ok(());
        }
        if !self.lost_revocations {
            let what = match named.bytes {
                0 => "is missing".to_owned(),
                bytes => format!("can be read as far as its first {bytes} bytes, and had {known}"),
            };
            return lost(format!(
                "{name} {what}: it names the revocations that a restored backup may have lost. Put it back; beside a copy of the database, a copy of it under the copy's name; or open the database with accept_lost_revocations()"
            ));
        }
        tracing::error!(target: "keyward", "the file of revocations was lost; keys whose revocation a restored backup has lost are accepted again");
        Ok(())
    }
}

fn unreadable(file: &Path, error: Unreadable) -> OpenError {
    match error {
        Unreadable::Io(error) => failed("read", file, &error),
        Unreadable::Line(number) => OpenError::new(
            OpenErrorKind::LostRevocations,
            format!(
                "line {number} of {} is damaged: it named a revocation that a restored backup may have lost; put back a copy of the file, or move it away and open the database with accept_lost_revocations()",
                file.display()
            ),
        ),
    }
}

/// Revokes what the file says is revoked and the database does not.
pub(crate) async fn revoke_again(shared: &Shared, named: Vec<Revocation>) -> Result<(), OpenError> {
    let mut lost = Vec::new();
    for chunk in named.chunks(CHUNK) {
        let places = shared.pools.dialect().values(chunk.len(), 1);
        let sql = format!(
            "WITH given (id) AS ({places}) SELECT k.id FROM given CROSS JOIN keyward_keys k WHERE k.id = given.id AND k.revoked IS NULL"
        );
        for row in shared.read(sql, || chunk.iter().map(|named| named.id.as_str().into()).collect()).await? {
            let id: String = row.get(0)?;
            lost.extend(chunk.iter().find(|named| named.id.as_str() == id));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    if lost.len() == 1 && lost.last() == named.last().as_ref() {
        tracing::warn!(target: "keyward", key = %lost[0].id, "the latest revocation was written down and is missing in the database: the process was killed while it made it, or the database was restored from an older copy; it is made now");
    } else {
        tracing::error!(target: "keyward", keys = lost.len(), "the database was restored from an older copy that has lost revocations; they are made again");
    }
    for Revocation { id, by } in lost {
        let epoch = Epoch::random(&SystemRandom).map_err(|fault| OpenError::new(OpenErrorKind::Database, fault.to_string()))?;
        match shared.change(id, Change::Revoke(epoch), by).await {
            Ok(_) | Err(Failure::Refused(_)) => {}
            // It is revoked, as far as it is there, and must not keep all others from being opened.
            Err(Failure::Damaged(fault)) => {
                tracing::error!(target: "keyward", key = %id, %fault, "the record of a key that was revoked again is damaged");
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(())
}

/// `KeyW`, in the header of every database that Keyward has made.
const APPLICATION_ID: i64 = 0x4b65_7957;

/// Refuses what is no database, or another program's, without opening it: SQLite would leave its own files beside it.
fn check_header(path: &Path) -> Result<(), OpenError> {
    let mut header = Vec::with_capacity(100);
    let read = File::open(path).and_then(|file| file.take(100).read_to_end(&mut header));
    read.map_err(|error| failed("read", path, &error))?;
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    // Nothing in it yet; or left half written, which SQLite takes back by the journal.
    if header.is_empty() || Path::new(&journal).exists() {
        return Ok(());
    }
    if !header.starts_with(b"SQLite format 3\0") {
        let text = format!("{} is no SQLite database: name another file; nothing was changed", path.display());
        return Err(OpenError::new(OpenErrorKind::Foreign, text));
    }
    let application: [u8; 4] = header.get(68..72).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    if i64::from(u32::from_be_bytes(application)) == APPLICATION_ID { Ok(()) } else { Err(foreign(path)) }
}

fn foreign(path: &Path) -> OpenError {
    let text = format!("{} is another program's database: name another file; nothing was changed", path.display());
    OpenError::new(OpenErrorKind::Foreign, text)
}

fn of_file(path: &Path, failure: &Failure) -> OpenError {
    let (Failure::Broken(fault) | Failure::Fault(fault)) = failure else {
        return OpenError::new(OpenErrorKind::Database, format!("{} cannot be opened", path.display()));
    };
    OpenError::new(OpenErrorKind::Database, format!("{}: {fault}", path.display()))
}

/// Changing the journal mode waits for nobody by itself, and two processes may make one database at once.
async fn patiently(pool: &SqlitePoolOptions, options: SqliteConnectOptions) -> Result<SqlitePool, OpenError> {
    let begun = Instant::now();
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(sqlx::Error::Database(error))
                if error.code().and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
                    && begun.elapsed() < Duration::from_secs(5) =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            connected => return connected.map_err(|error| of_file(options.get_filename(), &Failure::of(&error))),
        }
    }
}

/// Makes names in a folder last: SQLite does that for its own files beside the database, and not for the database.
fn sync_folder(path: &Path) -> Result<(), OpenError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    #[cfg(unix)]
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("sync", folder, &error))?;
    let _ = folder;
    Ok(())
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::new(OpenErrorKind::File, format!("cannot {what} {}: {error}; check its permissions and the disk", path.display()))
}

#[cfg(unix)]
fn others_may_use(about: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(about) & 0o077 != 0
}

/// The sticky bit does not help: others could make the files that SQLite looks for beside the database, and what stands in a
/// write-ahead log is the database's content.
#[cfg(unix)]
fn others_may_write(folder: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::mode(folder) & 0o022 != 0
}

#[cfg(unix)]
fn is_ours(about: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(about) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_ours(_: &Metadata) -> bool {
    true
}

/// What belongs to a database beside it, if it is there: a plain file of ours that nobody else can use.
fn check_beside(path: &Path, ending: &str) -> Result<(), OpenError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(ending);
    let beside = Path::new(&beside);
    let bad = |text: String| Err(OpenError::new(OpenErrorKind::File, text));
    match beside.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", beside, &error)),
        Ok(about) if !about.is_file() => {
            bad(format!("{} is no plain file: remove it, after a look at who made it", beside.display()))
        }
        Ok(about) if !is_ours(&about) => {
            bad(format!("{} is another user's file: remove it, after a look at who made it", beside.display()))
        }
        Ok(about) if others_may_use(&about) => bad(format!("others may read or write {0}: `chmod 600 {0}`", beside.display())),
        Ok(_) => Ok(()),
    }
}

#[cfg(not(unix))]
fn others_may_use(_: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
fn others_may_write(_: &Metadata) -> bool {
    false
}
