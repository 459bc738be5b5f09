//! PostgreSQL: a whole server of one's own, with a password, durable unless told otherwise.

use std::{
    env, fmt,
    fs::{self, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::{
    ServiceError,
    command::{command, command_as, run},
    error::failed,
    folder::Folder,
    server::{Server, Service, random},
};

/// Who owns all databases, and whom [`Postgres::url`] names.
const ROLE: &str = "keyward";

/// Whom the server runs as if the tests run as root.
const ACCOUNT: &str = "postgres";

const INSTALL: &str = "install PostgreSQL's server: `apt-get install postgresql`";

static SERVICE: Service = Service {
    name: "PostgreSQL",
    install: INSTALL,
    shutdown: "INT",
    patience: Duration::from_secs(60),
    // Apart from Redis'.
    ports: 20_000..30_000,
};

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
    password: String,
    databases: AtomicU32,
    server: Server,
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
        let postgres = Self {
            binaries: binaries()?,
            password: format!("{:016x}", random()),
            databases: AtomicU32::new(0),
            server: Server::new(&SERVICE, folder),
        };
        postgres.make_cluster(settings)?;
        postgres.server.start(|| postgres.launch())?;
        Ok(postgres)
    }

    /// The URL of a database, with role and password. `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{}@127.0.0.1:{}/{database}", self.password, self.server.port())
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
        self.server.kill()
    }

    /// Stops every process of the server where it is. Connections are still accepted, by the kernel, and nothing answers.
    ///
    /// # Errors
    /// If a process cannot be stopped.
    pub fn pause(&self) -> Result<(), ServiceError> {
        self.server.pause()
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// If a process cannot be resumed.
    pub fn resume(&self) -> Result<(), ServiceError> {
        self.server.resume()
    }

    /// Shuts the server down cleanly, without waiting for its clients. A paused one is resumed first.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self) -> Result<(), ServiceError> {
        self.server.stop()
    }

    /// Starts a killed or stopped server with the same port and data, and waits until it answers.
    ///
    /// # Errors
    /// If it runs, or does not start.
    pub fn start_again(&self) -> Result<(), ServiceError> {
        self.server.start_again(|| self.launch())
    }

    /// Copies the data of a killed or stopped server to a new folder, which is deleted with the server.
    ///
    /// # Errors
    /// If the server runs, whose copy could not be used, or the copy fails.
    pub fn back_up(&self) -> Result<PathBuf, ServiceError> {
        drop(self.server.expect_ended()?);
        let backup = self.new_path("backup");
        copy(&self.server.data(), &backup)?;
        Ok(backup)
    }

    /// Puts a copy in the place of the data of a killed or stopped server.
    ///
    /// # Errors
    /// If the server runs, or the copy fails.
    pub fn restore(&self, backup: &Path) -> Result<(), ServiceError> {
        drop(self.server.expect_ended()?);
        // Not deleted: a killed server's holds the number of a lock that has to be freed in the end.
        fs::rename(self.server.data(), self.new_path("replaced")).map_err(|error| failed("move", &self.server.data(), &error))?;
        copy(backup, &self.server.data())
    }

    /// The server's private folder.
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// All that the server has logged since it was made.
    pub fn log(&self) -> String {
        self.server.log()
    }

    fn new_path(&self, name: &str) -> PathBuf {
        self.folder().join(format!("{name}-{:016x}", random()))
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
            .arg(self.server.data())
            .current_dir(self.folder());
        run(&mut initdb, "mend what it said")?;

        let file = self.server.data().join("postgresql.conf");
        let lines: String = SETTINGS.iter().chain(settings).map(|(name, value)| setting(name, value)).collect();
        OpenOptions::new()
            .append(true)
            .open(&file)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| failed("write", &file, &error))
    }

    /// Starts the server and waits until it answers. `None` if somebody else has the port.
    fn launch(&self) -> Result<Option<Child>, ServiceError> {
        let mut program = command_as(ACCOUNT, self.binaries.join("postgres"));
        program.arg("-D").arg(self.server.data()).args(["-p", &self.server.port().to_string()]);
        self.server.launch(program, |postmaster, _| self.answers(postmaster))
    }

    /// The server writes down when it does, in the last line of `postmaster.pid`. That file may be an earlier server's.
    fn answers(&self, postmaster: &Child) -> bool {
        let told = fs::read_to_string(self.server.data().join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = told.lines().map(str::trim).collect();
        lines.first() == Some(&postmaster.id().to_string().as_str()) && lines.get(7) == Some(&"ready")
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Postgres")
            .field("port", &self.server.port())
            .field("folder", &self.folder())
            .finish_non_exhaustive()
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

fn setting(name: &str, value: &str) -> String {
    format!("{name} = '{}'\n", value.replace('\\', r"\\").replace('\'', "''"))
}

fn copy(from: &Path, to: &Path) -> Result<(), ServiceError> {
    // With owners and permissions, on which the server insists.
    run(command("cp").arg("-a").arg(from).arg(to), "make room in the temporary folder").map(drop)
}
