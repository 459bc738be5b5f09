//! `keyward serve` and many connections.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::server::Server;
use crate::{keyward, run, run_command};

const PATIENCE: Duration = Duration::from_secs(20);
/// As long as nothing must happen.
const NOTHING: Duration = Duration::from_millis(700);

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks for `/healthz` and leaves the connection open; whether there was an answer within the time.
fn ask(stream: &mut TcpStream, within: Duration) -> bool {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    is_answered(stream, within)
}

fn is_answered(stream: &mut TcpStream, within: Duration) -> bool {
    stream.set_read_timeout(Some(within)).unwrap();
    let mut answer = [0; 1_024];
    match stream.read(&mut answer) {
        Ok(read) => {
            assert!(answer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer[..read]));
            true
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
            false
        }
    }
}

/// How long a client waits for its first answer.
fn waits(server: &Server) -> Duration {
    let started = Instant::now();
    assert!(ask(&mut connect(server), PATIENCE));
    started.elapsed()
}

const SOON: Duration = Duration::from_secs(6);

#[test]
fn one_connection_more_than_there_may_be_waits_until_another_ends() {
    let server = Server::start(&Folder::new(), &["--database", "memory:", "--max-connections", "3"]);
    let mut taken: Vec<TcpStream> = (0..3).map(|_| connect(&server)).collect();
    // As many as there may be, all at once, whether they are asking or half way through.
    taken[0].write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    assert!(ask(&mut taken[1], PATIENCE) && ask(&mut taken[2], PATIENCE));

    // Taken, and not served: nobody has been quiet for long.
    let mut waiting = connect(&server);
    assert!(!ask(&mut waiting, NOTHING));
    assert!(ask(&mut taken[2], PATIENCE), "those that have a place are served still");
    drop(taken.remove(0));
    assert!(is_answered(&mut waiting, PATIENCE));
    let (status, errors) = server.stop("TERM");
    assert_eq!(status, Some(0));
    assert_eq!(errors.matches("the bound of 3 connections at once is reached").count(), 1, "{errors}");
}

#[test]
fn clients_that_ask_now_and_then_lock_nobody_out() {
    let server = Server::start(&Folder::new(), &["--database", "memory:", "--max-connections", "4"]);
    let mut holders: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
    assert!(holders.iter_mut().all(|holder| ask(holder, PATIENCE)));
    for _ in 0..3 {
        assert!(waits(&server) < SOON);
    }
    // One had to go. More only where a visitor had not quite left when the next one came, and never all.
    let is_closed = |holder: &mut TcpStream| {
        holder.set_read_timeout(Some(NOTHING)).unwrap();
        matches!(holder.read(&mut [0; 16]), Ok(0))
    };
    let closed = holders.iter_mut().map(is_closed).filter(|is_closed| *is_closed).count();
    assert!((1..=3).contains(&closed), "{closed}");
}

#[test]
fn clients_that_send_their_heads_slowly_lock_nobody_out() {
    let server = Server::start(&Folder::new(), &["--database", "memory:", "--max-connections", "4"]);
    let mut holders: Vec<TcpStream> = (0..4).map(|_| connect(&server)).collect();
    holders[0].write_all(b"GET /").unwrap();
    holders[1].write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    assert!(ask(&mut holders[2], PATIENCE) && ask(&mut holders[3], PATIENCE));
    holders[2].write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    holders[3].write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n").unwrap();
    let _more: Vec<TcpStream> = (0..3)
        .map(|_| {
            let (mut stream, started) = (connect(&server), Instant::now());
            assert!(ask(&mut stream, PATIENCE) && started.elapsed() < SOON);
            stream
        })
        .collect();
}

#[test]
fn clients_that_ask_and_do_not_read_lock_nobody_out() {
    let server = Server::start(&Folder::new(), &["--database", "memory:", "--max-connections", "4"]);
    let stop = Arc::new(AtomicBool::new(false));
    let holders: Vec<_> = (0..4)
        .map(|_| {
            let (mut stream, stop) = (connect(&server), stop.clone());
            stream.set_nonblocking(true).unwrap();
            std::thread::spawn(move || {
                let requests = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
                // What is read is a drop of what is asked for, and never nothing for long.
                while !stop.load(Ordering::SeqCst) {
                    match stream.write(&requests) {
                        Err(error) if error.kind() != ErrorKind::WouldBlock => return true,
                        _ => {}
                    }
                    std::thread::sleep(Duration::from_millis(20));
                    let _ = stream.read(&mut [0; 16]);
                }
                false
            })
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    assert!(waits(&server) < SOON);
    // Until they notice.
    std::thread::sleep(NOTHING);
    stop.store(true, Ordering::SeqCst);
    let closed = holders.into_iter().map(|holder| holder.join().unwrap()).filter(|is_closed| *is_closed).count();
    assert!(closed >= 1);
}

/// Nobody is quiet: then a connection ends after an answer, and whoever had it opens another.
#[test]
fn clients_that_ask_all_the_time_share_the_places() {
    let server = Server::start(&Folder::new(), &["--database", "memory:", "--max-connections", "2"]);
    let (address, stop) = (server.address, Arc::new(AtomicBool::new(false)));
    let holders: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                let (mut answers, mut whole) = ([0; 4_096], true);
                while !stop.load(Ordering::SeqCst) {
                    if stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").is_err() {
                        break;
                    }
                    match stream.read(&mut answers) {
                        Ok(read) if read > 0 => whole = answers[..read].ends_with(b"{\"status\":\"ok\"}"),
                        _ => break,
                    }
                }
                whole
            })
        })
        .collect();
    std::thread::sleep(NOTHING);
    assert!(waits(&server) < SOON);
    stop.store(true, Ordering::SeqCst);
    assert!(holders.into_iter().all(|holder| holder.join().unwrap()), "no answer is cut off");
}

#[test]
fn a_server_without_room_stops_when_it_is_asked_to() {
    let server = Server::start(&Folder::new(), &["--database", "memory:", "--max-connections", "1"]);
    let mut taken = connect(&server);
    assert!(ask(&mut taken, PATIENCE));
    let _waiting = connect(&server);
    assert_eq!(server.stop("TERM").0, Some(0));
}

/// A server with so many files may be open, and these arguments and variables; its standard error.
fn errors_with_open_files(files: u32, arguments: &[&str], variable: Option<&str>) -> String {
    let folder = Folder::new();
    let script = format!("ulimit -n {files} && exec \"$0\" serve --listen 127.0.0.1:0 --database memory: \"$@\"");
    let mut command = Command::new("sh");
    command.current_dir(&*folder).args(["-c", &script, env!("CARGO_BIN_EXE_keyward")]).args(arguments);
    command.env_remove("KEYWARD_MAX_CONNECTIONS").env_remove("KEYWARD_LOG");
    command.envs(variable.map(|value| ("KEYWARD_MAX_CONNECTIONS", value)));
    Server::spawn(&mut command).stop("TERM").1
}

#[test]
fn there_are_no_more_connections_than_files_that_may_be_open() {
    let told = |connections: u32, files: u32| format!("at most {connections} connections at once: of {files} files");
    for (files, arguments, variable, connections) in [
        (1_024, &[][..], None, Some(960)),
        (200, &["--max-connections", "137"], None, Some(136)),
        (200, &["--max-connections", "136"], None, None),
        (200, &[], Some("5000"), Some(136)),
        (200, &["--max-connections", "5"], Some("5000"), None),
        (200, &[], Some(""), Some(136)),
    ] {
        let errors = errors_with_open_files(files, arguments, variable);
        match connections {
            Some(connections) => assert!(errors.contains(&told(connections, files)), "{arguments:?} {variable:?}: {errors}"),
            None => assert!(!errors.contains("connections at once"), "{arguments:?} {variable:?}: {errors}"),
        }
    }
}

#[test]
fn how_many_connections_is_a_number() {
    let folder = Folder::new();
    for bad in ["0", "-1", "many", "1.5", "99999999999999999999", " "] {
        let by_flag = run(&folder, &["serve", &format!("--max-connections={bad}")], "");
        let by_variable = run_command(keyward().current_dir(&*folder).arg("serve").env("KEYWARD_MAX_CONNECTIONS", bad), "");
        assert_eq!((by_flag.status, by_flag.out.as_str()), (2, ""), "{by_flag:?}");
        assert!(by_flag.err.starts_with("--max-connections: ") && by_flag.err.contains("from 1 "), "{by_flag:?}");
        assert_eq!(by_variable.err.replace("KEYWARD_MAX_CONNECTIONS", "--max-connections"), by_flag.err);
    }
    assert_eq!(folder.names(), [""; 0]);
}
