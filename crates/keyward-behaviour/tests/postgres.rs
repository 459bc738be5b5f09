//! The PostgreSQL server that tests are given: it is real, can be harmed, and leaves nothing behind.

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use keyward_behaviour::services::postgres::Postgres;

#[test]
fn the_password_is_asked_for_and_each_database_is_its_own() {
    let server = Postgres::start().unwrap();
    let (first, second) = (server.create_database().unwrap(), server.create_database().unwrap());
    assert_ne!(first, second);
    server.query(&first, "CREATE TABLE things (name text)").unwrap();
    let missing = server.query(&second, "SELECT * FROM things").unwrap_err().to_string();
    assert!(missing.contains("\"things\" does not exist"), "{missing}");

    let (before, after) = first.split_once('@').unwrap();
    let refused = server.query(&format!("{before}x@{after}"), "SELECT 1").unwrap_err().to_string();
    assert!(refused.contains("password authentication failed"), "{refused}");
}

#[test]
fn it_is_durable_unless_told_otherwise() {
    let settings = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('work_mem')";
    let ask = |server: Postgres| server.query(&server.url("postgres"), settings).unwrap();
    assert_eq!(ask(Postgres::start().unwrap()), "on|on|4MB");
    assert_eq!(ask(Postgres::start_with(&[("fsync", "off"), ("work_mem", "8MB")]).unwrap()), "off|on|8MB");
}

#[test]
fn a_setting_that_is_refused_is_told_in_the_servers_words() {
    let problem = Postgres::start_with(&[("fsync", "it's")]).unwrap_err().to_string();
    assert!(problem.contains("parameter \"fsync\" requires a Boolean value"), "{problem}");
}

#[test]
fn what_was_committed_outlives_a_crash() {
    let server = Postgres::start().unwrap();
    let database = server.create_database().unwrap();
    server.query(&database, "CREATE TABLE things (name text); INSERT INTO things VALUES ('kept')").unwrap();
    for _ in 0..2 {
        server.kill().unwrap();
        assert!(server.query(&database, "SELECT 1").is_err());
        assert_eq!(processes_in(server.folder()), [] as [PathBuf; 0]);
        server.start_again().unwrap();
        assert_eq!(server.query(&database, "SELECT name FROM things").unwrap(), "kept");
    }
    assert!(server.log().contains("automatic recovery in progress"));
}

#[test]
fn a_port_that_somebody_else_took_meanwhile_is_waited_for() {
    let server = Postgres::start().unwrap();
    let url = server.url("postgres");
    let (_, address) = url.strip_suffix("/postgres").unwrap().split_once('@').unwrap();
    server.kill().unwrap();
    let other = TcpListener::bind(address).unwrap();
    thread::scope(|scope| {
        let started = scope.spawn(|| server.start_again());
        eventually(|| server.log().contains("Address already in use"));
        drop(other);
        started.join().unwrap().unwrap();
    });
    assert_eq!(server.query(&url, "SELECT 1").unwrap(), "1");
}

#[test]
fn a_paused_server_answers_when_it_is_resumed() {
    let server = Postgres::start().unwrap();
    let url = server.url("postgres");
    server.pause().unwrap();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        scope.spawn(|| {
            let sender = sender;
            sender.send(server.query(&url, "SELECT 1")).unwrap();
        });
        let silence = answers.recv_timeout(Duration::from_millis(500));
        // Before any assertion: the scope waits for the query.
        server.resume().unwrap();
        assert!(silence.is_err());
        assert_eq!(answers.recv().unwrap().unwrap(), "1");
    });
}

#[test]
fn a_backup_brings_back_what_was_and_a_running_server_is_neither_copied_nor_started() {
    let server = Postgres::start().unwrap();
    let database = server.create_database().unwrap();
    server.query(&database, "CREATE TABLE things (name text); INSERT INTO things VALUES ('early')").unwrap();
    assert!(server.back_up().is_err());
    assert!(server.start_again().is_err());

    // It has to end even so.
    server.pause().unwrap();
    server.stop().unwrap();
    let backup = server.back_up().unwrap();
    server.start_again().unwrap();
    server.query(&database, "INSERT INTO things VALUES ('late')").unwrap();
    assert!(server.restore(&backup).is_err());

    server.kill().unwrap();
    server.restore(&backup).unwrap();
    server.start_again().unwrap();
    assert_eq!(server.query(&database, "SELECT name FROM things").unwrap(), "early");
}

#[test]
fn nothing_is_left_of_a_server_that_is_dropped() {
    for harm in [|_: &Postgres| {}, |server: &Postgres| server.kill().unwrap(), |server: &Postgres| server.pause().unwrap()] {
        let server = Postgres::start().unwrap();
        let traces = Traces::of(server.folder());
        assert!(traces.all_there());
        harm(&server);
        drop(server);
        assert!(traces.none_there(), "{traces:?}");
    }
}

/// Set for the process that [`nothing_is_left_of_a_server_whose_test_is_killed`] starts: where to write the server's folder.
const VICTIM: &str = "KEYWARD_TEST_VICTIM";

#[test]
fn nothing_is_left_of_a_server_whose_test_is_killed() {
    if let Some(told) = env::var_os(VICTIM) {
        let server = Postgres::start().unwrap();
        server.pause().unwrap();
        let unfinished = PathBuf::from(&told).with_extension("unfinished");
        fs::write(&unfinished, server.folder().to_str().unwrap()).unwrap();
        fs::rename(unfinished, told).unwrap();
        thread::sleep(Duration::from_secs(60));
        return;
    }

    let told = Path::new(env!("CARGO_TARGET_TMPDIR")).join("victims-folder");
    let _ = fs::remove_file(&told);
    let mut victim = Command::new(env::current_exe().unwrap())
        .args(["--exact", "nothing_is_left_of_a_server_whose_test_is_killed"])
        .env(VICTIM, &told)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually(|| told.exists());
    let traces = Traces::of(Path::new(&fs::read_to_string(&told).unwrap()));
    assert!(traces.all_there());
    victim.kill().unwrap();
    victim.wait().unwrap();
    eventually(|| traces.none_there());
}

/// What could be left of a server.
#[derive(Debug)]
struct Traces {
    folder: PathBuf,
    shared_memory: String,
}

impl Traces {
    fn of(folder: &Path) -> Self {
        let lock = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        let shared_memory = lock.lines().nth(6).unwrap().split_whitespace().next_back().unwrap().to_owned();
        Self { folder: folder.to_owned(), shared_memory }
    }

    fn there(&self) -> [bool; 3] {
        let segments = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        let segment = segments.lines().any(|line| line.split_whitespace().nth(1) == Some(&self.shared_memory));
        [self.folder.exists(), !processes_in(&self.folder).is_empty(), segment]
    }

    fn all_there(&self) -> bool {
        self.there() == [true; 3]
    }

    fn none_there(&self) -> bool {
        self.there() == [false; 3]
    }
}

/// The working directories below a folder, even one that was deleted.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok()).filter(|cwd| cwd.starts_with(folder)).collect()
}

fn eventually(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 seconds");
        thread::sleep(Duration::from_millis(10));
    }
}
