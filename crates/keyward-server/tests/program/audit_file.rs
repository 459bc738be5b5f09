//! `keyward serve --audit FILE`: every decision is in the file, whatever happens to the server.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::audit_verify::{events, lines, verify, write_key, write_more, written};
use crate::folder::Folder;
use crate::metrics::samples;
use crate::server::Server;
use crate::{keyward, run};

const KEY: &str = "X-API-Key: a-key-of-its-own-0123456789abcdef";
const REQUIRED: &str = "[audit]\nmode = \"required\"\n[limits]\nfailures = \"off\"";

fn arguments() -> [&'static str; 4] {
    ["--keys", "keys.jsonl", "--audit", "audit.jsonl"]
}

fn names(folder: &Folder) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events(folder).iter().map(|event| (text(&event["event"]), text(&event["reason"]))).collect()
}

#[test]
fn a_restart_goes_on_with_the_chain() {
    let folder = written(&[]);
    write_more(&folder, &[]);
    let told = names(&folder);
    for (told, reason) in [(&told[..7], "new"), (&told[7..], "continued")] {
        let one = |event: &str, reason: &str| (event.to_owned(), reason.to_owned());
        // Events of several threads are written together, thread by thread.
        let mut decisions = told[1..6].to_vec();
        decisions.sort();
        let (accepted, rejected) = (one("api_key_accepted", "valid"), one("api_key_rejected", "unknown"));
        assert_eq!(decisions, [[&accepted; 3].as_slice(), &[&rejected; 2]].concat().into_iter().cloned().collect::<Vec<_>>());
        assert_eq!((&told[0], &told[6]), (&one("audit_started", reason), &one("audit_stopped", "asked")));
    }
    let sequence: Vec<_> = events(&folder).iter().map(|event| event["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=14).collect::<Vec<_>>());
    assert_eq!(verify(&folder, &[]).status, 0);
    #[cfg(unix)]
    {
        let about = fs::metadata(folder.join("audit.jsonl")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777, 0o600);
    }
}

#[test]
fn events_are_in_the_file_and_not_on_standard_error_and_the_log_tells_the_last_hash() {
    let folder = Folder::with("keys.jsonl", "{\"key\":\"a-key-of-its-own-0123456789abcdef\"}");
    let server = Server::start(&folder, &arguments());
    assert_eq!(server.get("/whoami?secret=CANARY", &[KEY, "X-Request-ID: trace-7"]).status, 200);
    let (_, errors) = server.stop("TERM");
    assert!(!errors.contains("api_key_accepted"), "{errors}");
    let events = events(&folder);
    assert!(errors.contains(&format!("head={}", events.last().unwrap()["hash"].as_str().unwrap())), "{errors}");
    let event = &events[1];
    assert_eq!(
        (&event["request_id"], &event["path"], &event["client_ip"]),
        (&json!("trace-7"), &json!("/whoami"), &json!("127.0.0.1"))
    );
    let text = lines(&folder).concat();
    assert!(!text.contains("CANARY") && !text.contains("a-key-of-its-own-0123456789abcdef"), "{text}");
}

/// The variable names it, too, and what is written before the server says that it listens is there.
#[test]
fn a_file_that_cannot_be_gone_on_with_is_told_and_nothing_is_served() {
    let refused = |folder: &Folder, arguments: &[&str], status: i32, told: &str| {
        let ran = run(folder, &[&["serve", "--listen", ":0", "--keys", "keys.jsonl"], arguments].concat(), "");
        assert!(ran.status == status && ran.err.contains(told) && ran.out.is_empty(), "{arguments:?}: {ran:?}");
    };
    let folder = written(&[]);
    let audit = ["--audit", "audit.jsonl"];
    let whole = lines(&folder).concat();
    folder.write("audit.jsonl", whole.replace("\"asked\"", "\"other\""));
    refused(&folder, &audit, 3, "`keyward audit verify`");
    assert!(!lines(&folder).concat().contains("\"torn\""), "it was left as it was");
    folder.write("audit.jsonl", format!("{whole}{{\"event\":\"mine\"}}\n"));
    refused(&folder, &audit, 3, "--audit: audit.jsonl: ");
    folder.write("audit.jsonl", "plain text\nof somebody else's".repeat(400_000));
    refused(&folder, &audit, 3, "no whole line");
    folder.write("audit.jsonl", &whole);
    refused(&folder, &["--audit", "."], 2, "--audit: .: ");
    refused(&folder, &["--audit", "none/audit.jsonl"], 2, "name a file in a folder that is there");
    refused(&folder, &["--audit-key-file", "audit.key"], 2, "--audit-key-file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        refused(&folder, &["--audit", "/dev/null"], 2, "no plain file");
        assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
        refused(&folder, &["--audit", "pipe"], 2, "no plain file");
        write_key(&folder, "audit.key", "kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs=");
        refused(&folder, &["--audit", "audit.jsonl", "--audit-key-file", "audit.key"], 2, "not vouched for with a key");
        write_more(&folder, &[]);
        fs::set_permissions(folder.join("audit.jsonl"), PermissionsExt::from_mode(0o622)).unwrap();
        refused(&folder, &audit, 2, "`chmod go-w` it");
        // Who carries lines elsewhere may read them.
        fs::set_permissions(folder.join("audit.jsonl"), PermissionsExt::from_mode(0o644)).unwrap();
    }
    write_more(&folder, &[]);
}

#[test]
fn two_servers_do_not_share_a_file() {
    let folder = written(&[]);
    let server = Server::start(&folder, &arguments());
    let ran = run(&folder, &[&["serve", "--listen", ":0"][..], &arguments()].concat(), "");
    assert!(ran.status == 3 && ran.err.contains("another process writes to it"), "{ran:?}");
    assert_eq!(server.get("/whoami", &[KEY]).status, 200);
    server.stop("TERM");
    assert_eq!(verify(&folder, &[]).status, 0);
}

/// A piece of a line, as a kill in the midst of writing leaves it.
#[test]
fn a_line_that_was_cut_off_is_told_and_the_chain_goes_on_behind_it() {
    let folder = written(&[]);
    let mut file = fs::OpenOptions::new().append(true).open(folder.join("audit.jsonl")).unwrap();
    file.write_all(&lines(&folder)[2].as_bytes()[..200]).unwrap();
    drop(file);
    assert_eq!(verify(&folder, &["--json"]).json()["broken"]["line"], 8);
    let server = Server::start(&folder, &arguments());
    assert_eq!(server.get("/whoami", &[KEY]).status, 200);
    let (_, errors) = server.stop("TERM");
    assert!(errors.contains("ends with a line that was cut off"), "{errors}");
    let ran = verify(&folder, &["--json"]);
    let told = ran.json();
    assert_eq!((ran.status, &told["lines"], &told["torn"]), (0, &json!(10), &json!([{ "line": 9, "bytes": 200 }])), "{told}");
    assert_eq!(names(&folder)[7], ("audit_started".to_owned(), "torn".to_owned()));
    assert!(verify(&folder, &[]).out.starts_with("audit.jsonl:9: note: before this line stand 200 bytes"));
}

/// T25: whatever instant the server is killed at, each request that it let in is in the file, and the chain is whole.
#[cfg(unix)]
#[test]
fn kills_lose_nothing_that_was_answered_and_break_no_chain() {
    let folder = Folder::with("keys.jsonl", "{\"key\":\"a-key-of-its-own-0123456789abcdef\"}");
    folder.write("policy.toml", REQUIRED);
    let mut answered = HashSet::new();
    for round in 0..6_u32 {
        let server = Server::start(&folder, &[&arguments()[..], &["--policy", "policy.toml"]].concat());
        let is_over = AtomicBool::new(false);
        let (address, id) = (server.address, server.id());
        let told = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..4)
                .map(|client| {
                    let is_over = &is_over;
                    scope.spawn(move || asked_until(address, is_over, &format!("{round}-{client}")))
                })
                .collect();
            std::thread::sleep(Duration::from_millis(40 + u64::from(round) * 37));
            assert!(Command::new("kill").args(["-KILL", &id.to_string()]).status().unwrap().success());
            is_over.store(true, Ordering::SeqCst);
            clients.into_iter().flat_map(|client| client.join().unwrap()).collect::<Vec<_>>()
        });
        drop(server);
        assert!(!told.is_empty(), "round {round}: nothing was answered");
        answered.extend(told);
    }
    write_more(&folder, &[]);
    let ran = verify(&folder, &["--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let recorded: HashSet<String> =
        events(&folder).iter().map(|event| event["request_id"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<_> = answered.difference(&recorded).collect();
    assert!(lost.is_empty(), "{} of {}: {lost:?}", lost.len(), answered.len());
    let starts = names(&folder).iter().filter(|(event, _)| event == "audit_started").count();
    let stops = names(&folder).iter().filter(|(event, _)| event == "audit_stopped").count();
    assert_eq!((starts, stops), (7, 1), "a start that follows no end tells of a kill");
}

/// Asks on one connection until it ends. Which requests were answered 200.
#[cfg(unix)]
fn asked_until(address: std::net::SocketAddr, is_over: &AtomicBool, name: &str) -> Vec<String> {
    use std::io::{BufRead, BufReader, Read};
    let mut answered = Vec::new();
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return answered };
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for number in 0.. {
        if is_over.load(Ordering::SeqCst) {
            break;
        }
        let id = format!("{name}-{number}");
        let request = format!("GET /whoami HTTP/1.1\r\nHost: a\r\n{KEY}\r\nX-Request-ID: {id}\r\n\r\n");
        let mut head = String::new();
        if stream.write_all(request.as_bytes()).is_err() {
            break;
        }
        while !head.ends_with("\r\n\r\n") {
            if !reader.read_line(&mut head).is_ok_and(|read| read > 0) {
                return answered;
            }
        }
        if head.starts_with("HTTP/1.1 200") {
            answered.push(id);
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        if reader.read_exact(&mut vec![0; length]).is_err() {
            break;
        }
    }
    answered
}

/// T24: where the disk is full. A limit of files' sizes stands for it; the keys are in memory.
#[cfg(unix)]
fn on_a_full_disk(policy: &str) -> (Folder, Server) {
    let folder = Folder::with(
        "keys.jsonl",
        "{\"key\":\"a-key-of-its-own-0123456789abcdef\",\"scopes\":[\"keys:manage\",\"metrics:read\"]}",
    );
    folder.write("policy.toml", policy);
    // The signal that comes with the limit would end the process.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
    let program = keyward();
    let mut command = Command::new("sh");
    command.current_dir(&*folder).args(["-c", script, "sh"]).arg(program.get_program());
    for (variable, _) in program.get_envs() {
        command.env_remove(variable);
    }
    command.args(["serve", "--listen", "127.0.0.1:0", "--policy", "policy.toml"]).args(arguments());
    (folder, Server::spawn(&mut command))
}

#[cfg(unix)]
#[test]
fn required_events_that_find_no_room_are_503_and_nothing_is_changed_without_its_event() {
    let (folder, server) = on_a_full_disk(REQUIRED);
    let mut let_in = 0;
    while server.get("/whoami", &[KEY]).status == 200 {
        let_in += 1;
        assert!(let_in < 1_000, "the disk is never full");
    }
    let refused = server.get("/whoami", &[KEY]);
    assert_eq!((refused.status, refused.header("content-type")), (503, Some("application/problem+json")));
    // A denial keeps its status.
    assert_eq!(server.get("/whoami", &["X-API-Key: wrong"]).status, 401);
    assert_eq!(server.get("/whoami", &[]).status, 401);
    // The same for the management: no change without its event.
    let json = ["Content-Type: application/json", KEY];
    let begun = Instant::now();
    assert_eq!(server.send_body("POST", "/api/v1/user/api-keys", &json, "{\"name\":\"unrecorded\"}").status, 503);
    assert!(begun.elapsed() < Duration::from_secs(10), "it is answered");
    assert_eq!(server.get("/healthz", &[]).status, 200);
    let (status, errors) = server.stop("TERM");
    assert!(status == Some(0) && errors.contains("an audit event was not recorded"), "{errors}");
    // Every request that was let in is there, and with room again the chain goes on.
    let accepted = names(&folder).iter().filter(|(event, _)| event == "api_key_accepted").count();
    assert_eq!(accepted, let_in);
    write_more(&folder, &[]);
    let ran = verify(&folder, &["--json"]);
    assert_eq!((ran.status, ran.json()["torn_in_all"].as_u64()), (0, Some(1)), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn best_effort_lets_requests_in_and_tells_how_many_events_were_lost() {
    let (folder, server) = on_a_full_disk("");
    let mut let_in = 60;
    for _ in 0..let_in {
        assert_eq!(server.get("/whoami", &[KEY]).status, 200);
    }
    let begun = Instant::now();
    let failed = loop {
        let_in += 1;
        let failed = samples(&server.get("/metrics", &[KEY]))["keyward_audit_events_total{result=\"failed\"}"] as usize;
        if failed >= 10 {
            break failed;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "what was lost is not counted");
        std::thread::sleep(Duration::from_millis(20));
    };
    let (status, errors) = server.stop("TERM");
    assert_eq!(status, Some(0));
    let recorded = names(&folder).iter().filter(|(event, _)| event == "api_key_accepted").count();
    let told = errors.lines().filter(|line| line.contains("audit events were not recorded"));
    let lost: usize = told.map(|line| number_in(line, "failed=")).sum();
    assert_eq!((recorded + lost, lost >= failed), (let_in, true), "{errors}");
    write_more(&folder, &[]);
    assert_eq!(verify(&folder, &[]).status, 0);
}

#[cfg(unix)]
fn number_in(line: &str, field: &str) -> usize {
    let (_, rest) = line.split_once(field).unwrap_or_else(|| panic!("{field} in {line}"));
    rest.split(|character: char| !character.is_ascii_digit()).next().unwrap().parse().unwrap()
}
