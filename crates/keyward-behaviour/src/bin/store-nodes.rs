//! Several nodes on one PostgreSQL: how soon each refuses a key that another one revoked, while all is well, and while the server, or
//! the way to it, is not.

#![allow(clippy::print_stdout, reason = "its table is what it is for")]

use std::{
    error::Error,
    io::{self, BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, Subcommand};
use http::Request;
use keyward::{Decision, Guard, Keys, Kind, NewKey, Policy, key::KeyId};
use keyward_behaviour::services::postgres::Postgres;
use keyward_sql::PostgresStore;
use tokio::net::{TcpListener, TcpStream};

/// Several nodes on one PostgreSQL, and how soon each of them refuses a revoked key.
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  store-nodes
  store-nodes --rounds 20 --troubles 1

The server is started privately and ended again. Exit status: 0 if no node accepted a revoked key past the bound.")]
struct Arguments {
    #[command(subcommand)]
    node: Option<Node>,
    /// How many nodes ask at once.
    #[arg(long, default_value_t = 4)]
    nodes: usize,
    /// How many keys are revoked while all is well.
    #[arg(long, default_value_t = 250)]
    rounds: usize,
    /// How often each kind of trouble is made.
    #[arg(long, default_value_t = 5)]
    troubles: usize,
}

#[derive(Debug, Subcommand)]
enum Node {
    /// Asks about the keys that it reads, each until it is refused. The driver starts it.
    #[command(hide = true)]
    Node {
        /// The database.
        #[arg(long)]
        store: String,
    },
}

/// How long records are kept without news: the declared bound.
const BOUND: Duration = Duration::from_secs(5);
/// A lookup that began within the bound is answered a little after it, on a busy machine later still.
const SLACK: Duration = Duration::from_millis(250);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.node {
        Some(Node::Node { store }) => runtime().block_on(node(store)).map(|()| true),
        None => drive(&arguments),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("store-nodes: {error}");
            ExitCode::from(3)
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Nanoseconds of a clock that all processes of this machine share.
fn clock() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

/// Reads keys, one a line, and asks about each until it is refused. Tells `accepted`, and then `refused LAST UNAVAILABLE`: when it was
/// let in last, and how often the answer was 503.
async fn node(store: &str) -> Result<(), Box<dyn Error>> {
    let store = PostgresStore::builder(store).max_staleness(BOUND).connect().await?;
    let guard = Guard::builder(Policy::builder().build()?).store(store).build()?;
    say("ready");
    for line in io::stdin().lock().lines() {
        let key = line?;
        let request = Request::get("/").header("x-api-key", key).body(())?;
        let (mut last, mut unavailable) = (0, 0);
        loop {
            // The time at which it was decided, at the latest: what was let in later than that was let in too late.
            let asked = clock();
            match guard.decide(&request).await {
                Decision::Allowed(_) => {
                    if last == 0 {
                        say("accepted");
                    }
                    last = asked;
                }
                Decision::Denied(denial) => match denial.kind() {
                    Kind::Unavailable => unavailable += 1,
                    Kind::Revoked => break,
                    other => return Err(format!("a known key was answered {other}").into()),
                },
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        say(&format!("refused {last} {unavailable}"));
    }
    Ok(())
}

fn say(line: &str) {
    println!("{line}");
    let _ = io::stdout().flush();
}

/// A node's process, and what it says.
struct Running {
    child: Child,
    keys: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(store: &str) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", "--store", store])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (keys, out) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let running = Self { child, keys, lines };
        running.hear("ready")?;
        Ok(running)
    }

    fn hear(&self, word: &str) -> io::Result<Vec<u64>> {
        let line = self
            .lines
            .recv_timeout(Duration::from_secs(60))
            .map_err(|_| io::Error::other(format!("a node never said `{word}`")))?;
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.split_whitespace().filter_map(|number| number.parse().ok()).collect()),
            None => Err(io::Error::other(format!("a node said `{line}` and not `{word}`"))),
        }
    }

    fn ask_about(&mut self, key: &str) -> io::Result<()> {
        writeln!(self.keys, "{key}")?;
        self.hear("accepted").map(drop)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The way from the nodes to the server, which can be blocked so that nothing is answered and nothing is refused.
struct Way {
    address: String,
    is_blocked: Arc<AtomicBool>,
}

impl Way {
    async fn to(server: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, is_blocked) = (listener.local_addr()?.to_string(), Arc::new(AtomicBool::new(false)));
        let blocked = is_blocked.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (blocked, server) = (blocked.clone(), server.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(server).await else { return };
                    let (near_read, near_write) = near.into_split();
                    let (far_read, far_write) = far.into_split();
                    tokio::join!(carry(near_read, far_write, &blocked), carry(far_read, near_write, &blocked));
                });
            }
        });
        Ok(Self { address, is_blocked })
    }
}

async fn carry(mut from: impl tokio::io::AsyncRead + Unpin, mut to: impl tokio::io::AsyncWrite + Unpin, blocked: &AtomicBool) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut bytes = vec![0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        while blocked.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// What goes wrong once a revocation has been acknowledged, or just before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    WayBlocked,
    ServerPaused,
    ServerKilled,
    RestoredFromBackup,
}

impl Trouble {
    const ALL: [Self; 5] = [Self::None, Self::WayBlocked, Self::ServerPaused, Self::ServerKilled, Self::RestoredFromBackup];

    fn name(self) -> &'static str {
        match self {
            Self::None => "all is well",
            Self::WayBlocked => "way blocked for 8 s",
            Self::ServerPaused => "server paused for 8 s",
            Self::ServerKilled => "server killed",
            Self::RestoredFromBackup => "older copy restored",
        }
    }
}

struct World {
    server: Postgres,
    database: String,
    way: Way,
    nodes: Vec<Running>,
    runtime: tokio::runtime::Runtime,
}

impl World {
    fn keys(&self) -> Result<(Keys, PostgresStore), Box<dyn Error>> {
        let store = self.runtime.block_on(PostgresStore::builder(&self.database).max_staleness(BOUND).connect())?;
        Ok((Keys::new(store.clone()), store))
    }

    /// One key: accepted by all nodes, revoked, refused by all. How long after the acknowledgement each accepted it last, and how
    /// many requests were answered 503.
    fn round(&mut self, keys: &Keys, trouble: Trouble) -> Result<(Vec<Duration>, u64), Box<dyn Error>> {
        let made = self.runtime.block_on(keys.create(NewKey::named("round")))?;
        let key = made.secret().expose().to_owned();
        for node in &mut self.nodes {
            node.ask_about(&key)?;
        }
        let revoke = |id: &KeyId| self.runtime.block_on(keys.revoke(id));
        let acknowledged = match trouble {
            Trouble::None => {
                revoke(&made.record().id)?;
                clock()
            }
            Trouble::WayBlocked => {
                self.way.is_blocked.store(true, Ordering::SeqCst);
                revoke(&made.record().id)?;
                let acknowledged = clock();
                thread::sleep(Duration::from_secs(8));
                self.way.is_blocked.store(false, Ordering::SeqCst);
                acknowledged
            }
            Trouble::ServerPaused => {
                // Nodes hear nothing of it before the server stands still.
                self.way.is_blocked.store(true, Ordering::SeqCst);
                revoke(&made.record().id)?;
                let acknowledged = clock();
                self.server.pause()?;
                self.way.is_blocked.store(false, Ordering::SeqCst);
                thread::sleep(Duration::from_secs(8));
                self.server.resume()?;
                acknowledged
            }
            Trouble::ServerKilled => {
                self.way.is_blocked.store(true, Ordering::SeqCst);
                revoke(&made.record().id)?;
                let acknowledged = clock();
                self.server.kill()?;
                self.way.is_blocked.store(false, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(500));
                self.server.start_again()?;
                acknowledged
            }
            Trouble::RestoredFromBackup => unreachable!("has a round of its own"),
        };
        let (mut late, mut unavailable) = (Vec::new(), 0);
        for node in &self.nodes {
            let told = node.hear("refused")?;
            late.push(Duration::from_nanos(told.first().copied().unwrap_or(u64::MAX).saturating_sub(acknowledged)));
            unavailable += told.get(1).copied().unwrap_or_default();
        }
        Ok((late, unavailable))
    }

    /// The nodes know of a revocation that the server then forgets. None of them accepts the key again, and the first that meets it
    /// writes the revocation once more.
    fn restored(&mut self) -> Result<(Vec<Duration>, u64), Box<dyn Error>> {
        let (keys, store) = self.keys()?;
        let made = self.runtime.block_on(keys.create(NewKey::named("restored")))?;
        let key = made.secret().expose().to_owned();
        self.runtime.block_on(store.close())?;
        self.server.stop()?;
        let backup = self.server.back_up()?;
        self.server.start_again()?;
        let (keys, store) = self.keys()?;
        for node in &mut self.nodes {
            node.ask_about(&key)?;
        }
        self.runtime.block_on(keys.revoke(&made.record().id))?;
        let acknowledged = clock();
        let mut late = Vec::new();
        for node in &self.nodes {
            let told = node.hear("refused")?;
            late.push(Duration::from_nanos(told.first().copied().unwrap_or(u64::MAX).saturating_sub(acknowledged)));
        }
        self.runtime.block_on(store.close())?;
        self.server.kill()?;
        self.server.restore(&backup)?;
        self.server.start_again()?;
        // Asked again, a node that accepted it even once would say so first.
        for node in &mut self.nodes {
            writeln!(node.keys, "{key}")?;
        }
        let mut unavailable = 0;
        for node in &self.nodes {
            unavailable += node.hear("refused")?.get(1).copied().unwrap_or_default();
        }
        // Until now each may have answered from memory. It has seen by then that the server is another one.
        thread::sleep(Duration::from_secs(3));
        for node in &mut self.nodes {
            writeln!(node.keys, "{key}")?;
        }
        for node in &self.nodes {
            unavailable += node.hear("refused")?.get(1).copied().unwrap_or_default();
        }
        let (keys, store) = self.keys()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.runtime.block_on(keys.get(&made.record().id))?.is_some_and(|record| record.is_revoked()) {
            if Instant::now() > deadline {
                return Err("nobody wrote the lost revocation again".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.runtime.block_on(store.close())?;
        Ok((late, unavailable))
    }
}

fn drive(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let runtime = runtime();
    let server = Postgres::start()?;
    let database = server.create_database()?;
    // Migrated before the nodes come, and through no detour.
    runtime.block_on(async {
        let store = PostgresStore::connect(&database).await?;
        store.close().await?;
        Ok::<(), Box<dyn Error>>(())
    })?;
    let direct = database.rsplit_once('@').and_then(|(_, rest)| rest.split_once('/')).map(|(address, _)| address.to_owned());
    let direct = direct.ok_or("the database's URL has no address")?;
    let way = runtime.block_on(Way::to(direct.clone()))?;
    let through_the_way = database.replace(&direct, &way.address);
    let nodes = (0..arguments.nodes).map(|_| Running::start(&through_the_way)).collect::<Result<_, _>>()?;
    let mut world = World { server, database, way, nodes, runtime };
    println!("{:>24} {:>7} {:>10} {:>10} {:>10} {:>9} {:>12}", "", "refusals", "p50", "p99", "longest", "503s", "past bound");
    let mut good = true;
    for trouble in Trouble::ALL {
        let times = if trouble == Trouble::None { arguments.rounds } else { arguments.troubles };
        let (mut late, mut unavailable) = (Vec::new(), 0);
        for _ in 0..times {
            let (some, more) = match trouble {
                Trouble::RestoredFromBackup => world.restored()?,
                _ => {
                    let (keys, store) = world.keys()?;
                    let told = world.round(&keys, trouble)?;
                    world.runtime.block_on(store.close())?;
                    told
                }
            };
            late.extend(some);
            unavailable += more;
        }
        late.sort_unstable();
        let at = |percent: usize| late.get(late.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
        let past = late.iter().filter(|late| **late > BOUND + SLACK).count();
        good &= past == 0;
        let told = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1_000.0);
        println!(
            "{:>24} {:>7} {:>10} {:>10} {:>10} {unavailable:>9} {past:>12}",
            trouble.name(),
            late.len(),
            told(at(50)),
            told(at(99)),
            told(at(100))
        );
    }
    Ok(good)
}
