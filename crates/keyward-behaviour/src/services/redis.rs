//! Redis: a whole server of one's own, which keeps nothing on the disk.
//!
//! `KEYWARD_REDIS_SERVER` names another server's program, such as `valkey-server`. Only Redis can be given a clock.

use std::{
    env, fmt,
    fs::{self, OpenOptions},
    hash::{BuildHasher as _, RandomState},
    io::{self, BufReader, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    ops::Range,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::{
    ServiceError,
    command::{command, run},
    folder::Folder,
    processes::{self, Outcome},
};

const INSTALL: &str = "install Redis' server: `apt-get install redis-server`";

/// How long a server may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a clock that is set begins with, in microseconds since 1970.
const START: u64 = 1_800_000_000_000_000;

/// See the same of PostgreSQL; apart from those.
const PORTS: Range<u16> = 12_000..20_000;

/// A Redis server that runs until this is dropped, and never longer than the process.
pub struct Redis {
    program: PathBuf,
    port: u16,
    settings: String,
    kind: Kind,
    process: Mutex<Option<Child>>,
    folder: Folder,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Tls,
    Clock,
}

impl Redis {
    /// Starts a server.
    ///
    /// # Errors
    /// If no Redis is installed or it does not start; the text says how to mend that.
    pub fn start() -> Result<Self, ServiceError> {
        Self::start_with(&[])
    }

    /// The same with lines for `redis.conf`, such as `("requirepass", "secret")`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[(&str, &str)]) -> Result<Self, ServiceError> {
        Self::make(Kind::Plain, settings)
    }

    /// One that speaks TLS alone, with a certificate for 127.0.0.1 from the authority in [`authority`](Self::authority).
    ///
    /// # Errors
    /// As [`start`](Self::start); and if `openssl` is missing.
    pub fn start_with_tls() -> Result<Self, ServiceError> {
        Self::make(Kind::Tls, &[])
    }

    /// One whose clock stands still: see [`set_clock`](Self::set_clock).
    ///
    /// # Errors
    /// As [`start`](Self::start); and if there is no C compiler.
    pub fn start_with_clock() -> Result<Self, ServiceError> {
        Self::make(Kind::Clock, &[])
    }

    fn make(kind: Kind, settings: &[(&str, &str)]) -> Result<Self, ServiceError> {
        let lines = settings.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
        // It refuses nobody, so it runs as whoever runs the tests.
        let folder = Folder::create("keyward-redis", "root")?;
        let mut server = Self { program: program()?, port: 0, settings: lines, kind, process: Mutex::new(None), folder };
        fs::create_dir(server.data()).map_err(|error| failed("make", &server.data(), &error))?;
        match kind {
            Kind::Plain => {}
            Kind::Tls => server.make_certificates()?,
            Kind::Clock => {
                server.set_clock(START)?;
                let source = server.folder().join("clock.c");
                fs::write(&source, include_str!("redis-clock.c")).map_err(|error| failed("write", &source, &error))?;
                let mut compiler = command("cc");
                compiler.args(["-shared", "-fPIC", "-O1", "-o", "clock.so", "clock.c"]).current_dir(server.folder());
                run(&mut compiler, "install a C compiler: `apt-get install gcc libc6-dev`")?;
            }
        }
        for _ in 0..20 {
            server.port = free_port()?;
            if let Some(process) = server.launch()? {
                *server.process() = Some(process);
                // Valkey asks its timers' clock between two looks at this one.
                if kind == Kind::Clock && server.ask(&["TIME"])? != format!("{}\n{}", START / 1_000_000, START % 1_000_000) {
                    return Err(ServiceError::new(format!("the server does not heed a clock that is set; {INSTALL}")));
                }
                return Ok(server);
            }
        }
        Err(no_port())
    }

    /// Where the server is, for somebody without a password.
    pub fn url(&self) -> String {
        self.url_of("")
    }

    /// Where the server is, for a user with a password.
    pub fn url_as(&self, user: &str, password: &str) -> String {
        self.url_of(&format!("{user}:{password}@"))
    }

    fn url_of(&self, who: &str) -> String {
        let scheme = if self.kind == Kind::Tls { "rediss" } else { "redis" };
        format!("{scheme}://{who}127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate of the authority that vouches for a server with TLS.
    ///
    /// # Errors
    /// If it has none.
    pub fn authority(&self) -> Result<Vec<u8>, ServiceError> {
        let file = self.folder().join("authority.pem");
        fs::read(&file).map_err(|error| failed("read", &file, &error))
    }

    /// Sends a command without a password, and returns the reply's elements, one a line.
    ///
    /// # Errors
    /// If the server does not run or answers with an error.
    pub fn ask(&self, words: &[&str]) -> Result<String, ServiceError> {
        let broken = |error: io::Error| ServiceError::new(format!("cannot ask Redis: {error}; does it run?"));
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(broken)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(broken)?;
        let mut sent = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| sent += &format!("${}\r\n{word}\r\n", word.len()));
        stream.write_all(sent.as_bytes()).map_err(broken)?;
        let mut lines = Vec::new();
        read_reply(&mut BufReader::new(stream), &mut lines).map_err(broken)?;
        Ok(lines.join("\n"))
    }

    /// Forgets everything that was stored.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn flush(&self) -> Result<(), ServiceError> {
        self.ask(&["FLUSHALL"]).map(drop)
    }

    /// Sets the clock of a server that was started with one, in microseconds since 1970.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_clock(&self, microseconds: u64) -> Result<(), ServiceError> {
        // Renamed: a file that is being written would be read as another time.
        let (file, new) = (self.folder().join("clock"), self.folder().join("clock.new"));
        let written = fs::write(&new, microseconds.to_string()).and_then(|()| fs::rename(&new, &file));
        written.map_err(|error| failed("write", &file, &error))
    }

    /// Kills the server, as a crash would.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&self) -> Result<(), ServiceError> {
        let mut process = self.process();
        if let Some(child) = process.as_mut() {
            self.bring(child, Outcome::Gone)?;
            ended(child.wait())?;
        }
        *process = None;
        Ok(())
    }

    /// Stops the server where it is. Connections are still accepted, by the kernel, and nothing answers.
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub fn pause(&self) -> Result<(), ServiceError> {
        self.process().as_ref().map_or(Ok(()), |child| self.bring(child, Outcome::Stopped))
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// If it cannot be resumed.
    pub fn resume(&self) -> Result<(), ServiceError> {
        self.process().as_ref().map_or(Ok(()), |child| self.bring(child, Outcome::Running))
    }

    /// Shuts the server down. A paused one is resumed first.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self) -> Result<(), ServiceError> {
        let mut process = self.process();
        let Some(child) = process.as_mut() else { return Ok(()) };
        self.bring(child, Outcome::Running)?;
        processes::signal("TERM", &[child.id()])?;
        let deadline = Instant::now() + PATIENCE;
        while ended(child.try_wait())?.is_none() {
            if Instant::now() > deadline {
                return Err(ServiceError::new(format!("Redis does not shut down; it said:\n{}", self.log())));
            }
            thread::sleep(Duration::from_millis(2));
        }
        *process = None;
        Ok(())
    }

    /// Starts a killed or stopped server on the same port, empty, and waits until it answers.
    ///
    /// # Errors
    /// If it runs, or does not start.
    pub fn start_again(&self) -> Result<(), ServiceError> {
        let mut process = self.process();
        if process.is_some() {
            return Err(ServiceError::new("the server runs; call `kill` or `stop` first"));
        }
        let deadline = Instant::now() + PATIENCE;
        while process.is_none() {
            *process = self.launch()?;
            if process.is_none() && Instant::now() > deadline {
                return Err(no_port());
            }
        }
        Ok(())
    }

    /// All that the server has logged since it was made.
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map_or_else(|error| error.to_string(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    /// The server's private folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.folder().join("log")
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that panicked has to be able to clean up.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bring(&self, process: &Child, outcome: Outcome) -> Result<(), ServiceError> {
        processes::bring(&self.data(), process.id(), outcome)
    }

    fn make_certificates(&self) -> Result<(), ServiceError> {
        let openssl = |line: &str| {
            let mut openssl = command("openssl");
            openssl.args(line.split(' ')).current_dir(self.folder());
            run(&mut openssl, "install it: `apt-get install openssl`").map(drop)
        };
        let names = self.folder().join("names");
        fs::write(&names, "subjectAltName = IP:127.0.0.1\n").map_err(|error| failed("write", &names, &error))?;
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -keyout authority.key -out authority.pem -days 2 -subj /CN=authority"))?;
        openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=server"))?;
        openssl(
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile names -out server.pem",
        )
    }

    /// Starts the server and waits until it answers. `None` if somebody else has the port.
    fn launch(&self) -> Result<Option<Child>, ServiceError> {
        let port = self.port;
        let listen = match self.kind {
            Kind::Tls => format!(
                "port 0\ntls-port {port}\ntls-cert-file ../server.pem\ntls-key-file ../server.key\ntls-ca-cert-file ../authority.pem\ntls-auth-clients no\n"
            ),
            _ => format!("port {port}\n"),
        };
        let configuration = self.folder().join("redis.conf");
        let lines = format!("bind 127.0.0.1\nsave \"\"\nappendonly no\n{listen}{}", self.settings);
        fs::write(&configuration, lines).map_err(|error| failed("write", &configuration, &error))?;

        let logged = || fs::read(self.log_file()).unwrap_or_default();
        let logged_before = logged().len();
        let open_log = || OpenOptions::new().create(true).append(true).open(self.log_file());
        let log = || open_log().map_err(|error| failed("open", &self.log_file(), &error));
        let mut start = command(&self.program);
        if self.kind == Kind::Clock {
            start.env("LD_PRELOAD", self.folder().join("clock.so"));
            start.env("KEYWARD_TEST_CLOCK", self.folder().join("clock"));
        }
        let mut process = start
            .arg(&configuration)
            .current_dir(self.data())
            // An interrupt from the terminal is for the tests, not for their server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
            .map_err(|error| ServiceError::new(format!("cannot run `{}`: {error}; {INSTALL}", self.program.display())))?;

        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = String::from_utf8_lossy(logged().get(logged_before..).unwrap_or_default()).into_owned();
            if said.contains("Ready to accept connections") {
                return Ok(Some(process));
            }
            if let Some(status) = ended(process.try_wait())? {
                if said.contains("Address already in use") {
                    return Ok(None);
                }
                return Err(ServiceError::new(format!("Redis ended while it started ({status}); mend what it said:\n{said}")));
            }
            if Instant::now() > deadline {
                self.bring(&process, Outcome::Gone)?;
                ended(process.wait())?;
                return Err(ServiceError::new(format!("Redis did not start within {PATIENCE:?}; mend what it said:\n{said}")));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // The folder would kill it too, but a child that nobody has waited for stays a zombie.
        let _ = self.kill();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redis").field("port", &self.port).field("folder", &self.folder()).finish_non_exhaustive()
    }
}

fn program() -> Result<PathBuf, ServiceError> {
    if let Some(named) = env::var_os("KEYWARD_REDIS_SERVER") {
        let named = PathBuf::from(named);
        return match named.is_file() {
            true => Ok(named),
            false => {
                let text = format!("KEYWARD_REDIS_SERVER names {}, and there is no such file", named.display());
                Err(ServiceError::new(text))
            }
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join("redis-server"))
        .find(|program| program.is_file())
        .ok_or_else(|| ServiceError::new(format!("no `redis-server` on PATH; {INSTALL}")))
}

/// One reply of the server's protocol, as the lines that it consists of.
fn read_reply(stream: &mut impl io::BufRead, lines: &mut Vec<String>) -> io::Result<()> {
    let mut head = String::new();
    stream.read_line(&mut head)?;
    let (kind, rest) = head.trim_end().split_at_checked(1).ok_or_else(|| io::Error::other("it closed the connection"))?;
    let length = || rest.parse::<i64>().map_err(io::Error::other);
    match kind {
        "-" => return Err(io::Error::other(rest.to_owned())),
        "*" => {
            for _ in 0..length()? {
                read_reply(stream, lines)?;
            }
        }
        "$" => {
            let length = usize::try_from(length()?).ok();
            let mut text = vec![0; length.map_or(0, |length| length + 2)];
            stream.read_exact(&mut text)?;
            lines.push(String::from_utf8_lossy(&text).trim_end().to_owned());
        }
        _ => lines.push(rest.to_owned()),
    }
    Ok(())
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

fn ended<T>(waited: io::Result<T>) -> Result<T, ServiceError> {
    waited.map_err(|error| ServiceError::new(format!("cannot wait for Redis: {error}; do not wait for it elsewhere")))
}

fn failed(what: &str, file: &Path, error: &io::Error) -> ServiceError {
    ServiceError::new(format!("cannot {what} {}: {error}; check the temporary folder's room and permissions", file.display()))
}

fn no_port() -> ServiceError {
    ServiceError::new(format!("no port for Redis is free; end what listens on {}-{}", PORTS.start, PORTS.end - 1))
}
