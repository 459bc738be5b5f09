//! PostgreSQL: a whole server of one's own, with a password, durable unless told otherwise.

use std::{
    env, fmt,
    fs::{self, File, OpenOptions, Permissions},
    hash::{BuildHasher as _, RandomState},
    io::{self, Write as _},
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    ServiceError,
    command::{command, command_as, run},
    folder::Folder,
    processes::{self, Outcome},
};

/// Who owns all databases, and whom [`Postgres::url`] names.
const ROLE: &str = "keyward";

/// Whom the server runs as if the tests run as root.
const ACCOUNT: &str = "postgres";

const INSTALL: &str = "install PostgreSQL's server: `apt-get install postgresql`";

/// How long a server may take to start, recovery from a crash included, or to shut down.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not from those which the kernel gives away when asked for port 0: it would give a killed server's port to somebody else
/// before it is started again, and a client that keeps trying to reach it could be given it as its own, and be connected
/// with itself.
const PORTS: Range<u16> = 20_000..30_000;

const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    // The path of a socket may have 107 bytes at most, and a temporary folder's may have more.
    ("unix_socket_directories", ""),
    // In the data folder, and deleted with it. Otherwise each killed server leaves some in `/dev/shm`.
    ("dynamic_shared_memory_type", "mmap"),
];

/// A PostgreSQL server that runs until this is dropped, and never longer than the process.
///
/// Its folder holds `data` and `log`.
pub struct Postgres {
    binaries: PathBuf,
    port: u16,
    password: String,
    databases: AtomicU32,
    postmaster: Mutex<Option<Child>>,
    folder: Folder,
}

impl Postgres {
    /// Makes a new cluster and starts a server with PostgreSQL's own settings, which are durable ones.
    ///
    /// # Errors
    /// If no PostgreSQL is installed or it does not start; the text says how to mend that.
    pub fn start() -> Result<Self, ServiceError> {
        Self::start_with(&[])
    }

    /// The same with lines for `postgresql.conf`, such as `("fsync", "off")`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServiceError> {
        let folder = Folder::create("keyward-postgres", ACCOUNT)?;
        let mut server = Self {
            binaries: binaries()?,
            port: 0,
            password: format!("{:016x}", random()),
            databases: AtomicU32::new(0),
            postmaster: Mutex::new(None),
            folder,
        };
        server.make_cluster(settings)?;
        for _ in 0..20 {
            server.port = free_port()?;
            if let Some(postmaster) = server.launch()? {
                *server.postmaster() = Some(postmaster);
                return Ok(server);
            }
        }
        Err(no_port())
    }

    /// The URL of a database, with role and password. `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Makes a database of a name that no other has, and returns its URL.
    ///
    /// # Errors
    /// If the server does not run.
    pub fn create_database(&self) -> Result<String, ServiceError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query(&self.url("postgres"), &format!("CREATE DATABASE {name}"))?;
        Ok(self.url(&name))
    }

    /// Runs statements with `psql` and returns the rows, one a line, with `|` between columns.
    ///
    /// # Errors
    /// If the server does not run or refuses a statement.
    pub fn query(&self, url: &str, statements: &str) -> Result<String, ServiceError> {
        let mut psql = command(self.binaries.join("psql"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]).args([
            "--dbname",
            url,
            "--command",
            statements,
        ]);
        run(&mut psql, "correct the statement, or start the server again if it was stopped")
    }

    /// Kills the server and all its children at once, as a crash would, and waits until they are gone.
    ///
    /// # Errors
    /// If a process cannot be killed.
    pub fn kill(&self) -> Result<(), ServiceError> {
        let mut postmaster = self.postmaster();
        if let Some(child) = postmaster.as_mut() {
            self.bring(child, Outcome::Gone)?;
            ended(child.wait())?;
        }
        *postmaster = None;
        Ok(())
    }

    /// Stops every process of the server where it is. Connections are still accepted, by the kernel, and nothing answers.
    ///
    /// # Errors
    /// If a process cannot be stopped.
    pub fn pause(&self) -> Result<(), ServiceError> {
        self.postmaster().as_ref().map_or(Ok(()), |child| self.bring(child, Outcome::Stopped))
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// If a process cannot be resumed.
    pub fn resume(&self) -> Result<(), ServiceError> {
        self.postmaster().as_ref().map_or(Ok(()), |child| self.bring(child, Outcome::Running))
    }

    /// Shuts the server down cleanly, without waiting for its clients. A paused one is resumed first.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self) -> Result<(), ServiceError> {
        let mut postmaster = self.postmaster();
        let Some(child) = postmaster.as_mut() else { return Ok(()) };
        self.bring(child, Outcome::Running)?;
        processes::signal("INT", &[child.id()])?;
        let deadline = Instant::now() + PATIENCE;
        while ended(child.try_wait())?.is_none() {
            if Instant::now() > deadline {
                return Err(ServiceError::new(format!("PostgreSQL does not shut down; it said:\n{}", self.log())));
            }
            thread::sleep(Duration::from_millis(5));
        }
        *postmaster = None;
        Ok(())
    }

    /// Starts a killed or stopped server with the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// If it runs, or does not start.
    pub fn start_again(&self) -> Result<(), ServiceError> {
        let mut postmaster = self.postmaster();
        self.expect_ended(&mut postmaster)?;
        let deadline = Instant::now() + PATIENCE;
        while postmaster.is_none() {
            *postmaster = self.launch()?;
            if postmaster.is_none() {
                if Instant::now() > deadline {
                    return Err(no_port());
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    /// Copies the data of a killed or stopped server to a new folder, which is deleted with the server.
    ///
    /// # Errors
    /// If the server runs, whose copy could not be used, or the copy fails.
    pub fn back_up(&self) -> Result<PathBuf, ServiceError> {
        self.expect_ended(&mut self.postmaster())?;
        let backup = self.new_path("backup");
        copy(&self.data(), &backup)?;
        Ok(backup)
    }

    /// Puts a copy in the place of the data of a killed or stopped server.
    ///
    /// # Errors
    /// If the server runs, or the copy fails.
    pub fn restore(&self, backup: &Path) -> Result<(), ServiceError> {
        self.expect_ended(&mut self.postmaster())?;
        // Not deleted: a killed server's holds the number of a lock that has to be freed in the end.
        fs::rename(self.data(), self.new_path("replaced")).map_err(|error| failed("move", &self.data(), &error))?;
        copy(backup, &self.data())
    }

    /// The server's private folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All that the server has logged since it was made.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map_or_else(|error| error.to_string(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn new_path(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}-{:016x}", random()))
    }

    fn log_file(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn postmaster(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that panicked has to be able to clean up.
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring(&self, postmaster: &Child, outcome: Outcome) -> Result<(), ServiceError> {
        // The postmaster first: it would replace a child that dies before it.
        processes::bring(&self.data(), postmaster.id(), outcome)
    }

    fn expect_ended(&self, postmaster: &mut Option<Child>) -> Result<(), ServiceError> {
        if let Some(child) = postmaster.as_mut()
            && ended(child.try_wait())?.is_none()
        {
            return Err(ServiceError::new("the server runs; call `kill` or `stop` first"));
        }
        *postmaster = None;
        Ok(())
    }

    fn make_cluster(&self, settings: &[(&str, &str)]) -> Result<(), ServiceError> {
        let password_file = self.folder().join("password");
        let readable_by_the_account = Permissions::from_mode(0o644);
        fs::write(&password_file, &self.password)
            .and_then(|()| fs::set_permissions(&password_file, readable_by_the_account))
            .map_err(|error| failed("write", &password_file, &error))?;

        let mut initdb = command_as(ACCOUNT, self.binaries.join("initdb"));
        initdb
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--auth=scram-sha-256", "--username", ROLE])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(self.data())
            .current_dir(self.folder());
        run(&mut initdb, "mend what it said")?;

        let file = self.data().join("postgresql.conf");
        let lines: String = SETTINGS.iter().chain(settings).map(|(name, value)| setting(name, value)).collect();
        OpenOptions::new()
            .append(true)
            .open(&file)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| failed("write", &file, &error))
    }

    /// Starts the server and waits until it answers. `None` if somebody else has the port.
    fn launch(&self) -> Result<Option<Child>, ServiceError> {
        let logged_before = self.log().len();
        let open_log = || OpenOptions::new().create(true).append(true).open(self.log_file());
        let log = || -> Result<File, ServiceError> { open_log().map_err(|error| failed("open", &self.log_file(), &error)) };
        let mut postmaster = command_as(ACCOUNT, self.binaries.join("postgres"))
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .current_dir(self.data())
            // An interrupt from the terminal is for the tests, not for their server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
            .map_err(|error| ServiceError::new(format!("cannot run PostgreSQL: {error}; {INSTALL}")))?;

        let deadline = Instant::now() + PATIENCE;
        while !self.answers(&postmaster) {
            let status = ended(postmaster.try_wait())?;
            let said = || self.log().split_off(logged_before);
            if let Some(status) = status {
                if said().contains("Address already in use") {
                    return Ok(None);
                }
                return Err(ServiceError::new(format!(
                    "PostgreSQL ended while it started ({status}); mend what it said:\n{}",
                    said()
                )));
            }
            if Instant::now() > deadline {
                self.bring(&postmaster, Outcome::Gone)?;
                ended(postmaster.wait())?;
                return Err(ServiceError::new(format!(
                    "PostgreSQL did not answer within {PATIENCE:?}; mend what it said:\n{}",
                    said()
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Some(postmaster))
    }

    /// The server writes down when it does, in the last line of `postmaster.pid`. That file may be an earlier server's.
    fn answers(&self, postmaster: &Child) -> bool {
        let told = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        lines.first() == Some(&postmaster.id().to_string().as_str()) && lines.get(7) == Some(&"ready")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The folder would kill it too, but a child that nobody has waited for stays a zombie.
        let _ = self.kill();
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Postgres").field("port", &self.port).field("folder", &self.folder()).finish_non_exhaustive()
    }
}

/// Where the server's programs are: Debian keeps them beside the `PATH`, by version.
fn binaries() -> Result<PathBuf, ServiceError> {
    let mut by_version: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    by_version.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let newest_first = by_version.into_iter().rev().map(|(_, folder)| folder);
    newest_first
        .chain(env::split_paths(&path))
        // A folder of a newer version may hold the client alone.
        .find(|folder| ["initdb", "postgres", "psql"].iter().all(|program| folder.join(program).is_file()))
        .ok_or_else(|| ServiceError::new(format!("no PostgreSQL in /usr/lib/postgresql or on PATH; {INSTALL}")))
}

fn free_port() -> Result<u16, ServiceError> {
    let range = u64::from(PORTS.end - PORTS.start);
    (0..1000)
        .filter_map(|_| u16::try_from(random() % range).ok().map(|offset| PORTS.start + offset))
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .ok_or_else(no_port)
}

/// The standard library's one source of chance. It has to differ between processes, and is no secret of anybody's.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

fn setting(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\\', r"\\").replace('\'', "''"))
}

fn copy(from: &Path, to: &Path) -> Result<(), ServiceError> {
    // With owners and permissions, on which the server insists.
    run(command("cp").arg("-a").arg(from).arg(to), "make room in the temporary folder").map(drop)
}

fn ended<T>(waited: io::Result<T>) -> Result<T, ServiceError> {
    waited.map_err(|error| ServiceError::new(format!("cannot wait for PostgreSQL: {error}; do not wait for it elsewhere")))
}

fn failed(what: &str, file: &Path, error: &io::Error) -> ServiceError {
    ServiceError::new(format!("cannot {what} {}: {error}; check the temporary folder's room and permissions", file.display()))
}

fn no_port() -> ServiceError {
    ServiceError::new(format!("no port for PostgreSQL is free; end what listens on {}-{}", PORTS.start, PORTS.end - 1))
}
