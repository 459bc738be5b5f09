//! Redis: a whole server of one's own, which keeps nothing on the disk.
//!
//! `KEYWARD_REDIS_SERVER` names another server's program, such as `valkey-server`. Only Redis can be given a clock.

use std::{
    env, fmt, fs,
    io::{self, BufReader, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::Child,
    time::Duration,
};

use super::{
    ServiceError,
    command::{command, run},
    error::failed,
    folder::Folder,
    server::{Server, Service},
};

const INSTALL: &str = "install Redis' server: `apt-get install redis-server`";

/// How long a server may take to start or to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a clock that is set begins with, in microseconds since 1970.
const START: u64 = 1_800_000_000_000_000;

static SERVICE: Service = Service {
    name: "Redis",
    install: INSTALL,
    shutdown: "TERM",
    patience: PATIENCE,
    // Apart from PostgreSQL's.
    ports: 12_000..20_000,
};

/// A Redis server that runs until this is dropped, and never longer than the process.
pub struct Redis {
    program: PathBuf,
    settings: String,
    kind: Kind,
    server: Server,
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
        let server = Server::new(&SERVICE, folder);
        let redis = Self { program: program()?, settings: lines, kind, server };
        let data = redis.server.data();
        fs::create_dir(&data).map_err(|error| failed("make", &data, &error))?;
        match kind {
            Kind::Plain => {}
            Kind::Tls => redis.make_certificates()?,
            Kind::Clock => {
                redis.set_clock(START)?;
                let source = redis.folder().join("clock.c");
                fs::write(&source, include_str!("redis-clock.c")).map_err(|error| failed("write", &source, &error))?;
                let mut compiler = command("cc");
                compiler.args(["-shared", "-fPIC", "-O1", "-o", "clock.so", "clock.c"]).current_dir(redis.folder());
                run(&mut compiler, "install a C compiler: `apt-get install gcc libc6-dev`")?;
            }
        }
        redis.server.start(|| redis.launch())?;
        // Valkey asks its timers' clock between two looks at this one.
        if kind == Kind::Clock && redis.ask(&["TIME"])? != format!("{}\n{}", START / 1_000_000, START % 1_000_000) {
            return Err(ServiceError::new(format!("the server does not heed a clock that is set; {INSTALL}")));
        }
        Ok(redis)
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
        format!("{scheme}://{who}127.0.0.1:{}", self.server.port())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.server.port()
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
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server.port())).map_err(broken)?;
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
        self.server.kill()
    }

    /// Stops the server where it is. Connections are still accepted, by the kernel, and nothing answers.
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub fn pause(&self) -> Result<(), ServiceError> {
        self.server.pause()
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// If it cannot be resumed.
    pub fn resume(&self) -> Result<(), ServiceError> {
        self.server.resume()
    }

    /// Shuts the server down. A paused one is resumed first.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(&self) -> Result<(), ServiceError> {
        self.server.stop()
    }

    /// Starts a killed or stopped server on the same port, empty, and waits until it answers.
    ///
    /// # Errors
    /// If it runs, or does not start.
    pub fn start_again(&self) -> Result<(), ServiceError> {
        self.server.start_again(|| self.launch())
    }

    /// All that the server has logged since it was made.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The server's private folder.
    pub fn folder(&self) -> &Path {
        self.server.folder()
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
        let port = self.server.port();
        let listen = match self.kind {
            Kind::Tls => format!(
                "port 0\ntls-port {port}\ntls-cert-file ../server.pem\ntls-key-file ../server.key\ntls-ca-cert-file ../authority.pem\ntls-auth-clients no\n"
            ),
            _ => format!("port {port}\n"),
        };
        let configuration = self.folder().join("redis.conf");
        let lines = format!("bind 127.0.0.1\nsave \"\"\nappendonly no\n{listen}{}", self.settings);
        fs::write(&configuration, lines).map_err(|error| failed("write", &configuration, &error))?;

        let mut program = command(&self.program);
        if self.kind == Kind::Clock {
            program.env("LD_PRELOAD", self.folder().join("clock.so"));
            program.env("KEYWARD_TEST_CLOCK", self.folder().join("clock"));
        }
        program.arg(&configuration);
        self.server.launch(program, |_, said| said.contains("Ready to accept connections"))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Redis").field("port", &self.server.port()).field("folder", &self.folder()).finish_non_exhaustive()
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
