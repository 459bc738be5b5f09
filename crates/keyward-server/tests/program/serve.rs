//! `keyward serve`: starting, `/whoami`, `/healthz`, the bootstrap key, stopping.

use std::fs;

use serde_json::Value;

use crate::folder::Folder;
use crate::server::Server;
use crate::{keyward, run, run_command, succeed};

const KEYS: &str = r#"{"key":"CANARY-alpha-0123456789","name":"nightly export","scopes":["reports:read"]}"#;

/// The curl line of the bootstrap key, as the header that it sends and the target.
fn curl_line(errors: &str) -> (String, String) {
    let line = errors.lines().find_map(|line| line.trim_start().strip_prefix("curl -H '")).expect("a curl line is shown");
    let (header, url) = line.split_once("' 'http://").unwrap();
    let (_, path) = url.strip_suffix('\'').unwrap().split_once('/').unwrap();
    (header.to_owned(), format!("/{path}"))
}

#[test]
fn a_database_has_one_bootstrap_key_ever() {
    for database in [&[][..], &["--database", "json:keys.json"]] {
        let folder = Folder::new();
        let server = Server::start(&folder, database);
        let (status, first) = server.stop("TERM");
        let (header, target) = curl_line(&first);
        assert!(status == Some(0) && first.contains("it holds keys:manage and metrics:read, and stays until it is revoked"));

        let server = Server::start(&folder, database);
        assert_eq!(server.get(&target, &[&header]).status, 200);
        let (_, second) = server.stop("TERM");
        assert!(!second.contains("bootstrap key, shown") && !second.contains("curl"), "{second}");
        let shown = database.last().copied().unwrap_or("sqlite:keyward.db");
        assert!(second.contains(&format!("keys: {shown}\n")), "{second}");
    }
}

#[test]
fn of_two_first_starts_at_once_one_makes_the_bootstrap_key() {
    let folder = Folder::new();
    let start = || Server::start(&folder, &[]).stop("TERM").1;
    let errors = std::thread::scope(|scope| [scope.spawn(start), scope.spawn(start)].map(|thread| thread.join().unwrap()));
    let shown = errors.iter().filter(|errors| errors.contains("bootstrap key, shown")).count();
    assert_eq!(shown, 1, "{errors:?}");
    assert_eq!(succeed(&folder, &["keys", "list"], "").out.lines().count(), 1);
}

/// Revoked or purged, it is not made again: what was made stays made.
#[test]
fn a_bootstrap_key_that_is_gone_does_not_come_back() {
    let folder = Folder::new();
    Server::start(&folder, &[]).stop("TERM");
    succeed(&folder, &["keys", "revoke", "--prefix", "kw_", "--yes"], "");
    succeed(&folder, &["keys", "purge", "--revoked-before", "0s", "--yes"], "");
    let (_, errors) = Server::start(&folder, &[]).stop("TERM");
    assert!(!errors.contains("bootstrap"), "{errors}");
    assert_eq!(succeed(&folder, &["keys", "list"], "").out, "");
}

#[test]
fn in_memory_each_start_has_a_bootstrap_key_of_its_own() {
    let folder = Folder::new();
    let server = Server::start(&folder, &["--database", "memory:"]);
    let (_, first) = server.stop("TERM");
    assert!(first.contains(", and lives as long as this process"), "{first}");
    let (dead_header, target) = curl_line(&first);
    let server = Server::start(&folder, &["--database", "memory:"]);
    let refused = server.get(&target, &[&dead_header]);
    assert_eq!((target.as_str(), refused.status), ("/whoami", 401));
    assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"api\", error=\"invalid_token\""));
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_start_that_fails_leaves_nothing_behind() {
    let folder = Folder::with("p.toml", "resolution = \"guess\"");
    for arguments in [&["serve", "--policy", "p.toml"][..], &["serve", "--keys", "none"], &["serve", "--pepper-file", "none"]] {
        assert_eq!(run(&folder, arguments, "").status, 2, "{arguments:?}");
        assert_eq!(folder.names(), ["p.toml"]);
    }
}

#[test]
fn keys_from_a_file_and_a_database_are_one_too_many() {
    let folder = Folder::with("keys.jsonl", KEYS);
    for database in ["sqlite:keyward.db", "json:keys.json", "postgres://me:CANARY@db/keys"] {
        let ran = run(&folder, &["serve", "--keys", "keys.jsonl", "--database", database], "");
        assert!(ran.status == 2 && ran.err.contains("`keyward keys import FILE`") && !ran.err.contains("CANARY"), "{ran:?}");
    }
    let server = Server::start(&folder, &["--keys", "keys.jsonl", "--database", "memory:"]);
    assert_eq!(server.get("/whoami", &["X-API-Key: CANARY-alpha-0123456789"]).status, 200);
    assert_eq!(folder.names(), ["keys.jsonl"]);
}

#[test]
fn the_shown_line_opens_whoami() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    for (policy, way) in [
        ("", "-H 'Authorization: Bearer "),
        ("sources = [{ header = \"X-Own-Key\" }]", "-H 'x-own-key: "),
        ("sources = [{ cookie = \"key\" }]", "-b 'key="),
        ("sources = [{ query = \"api_key\" }]", "'http://"),
    ] {
        let folder = Folder::with("p.toml", policy);
        let mut child = keyward()
            .current_dir(&*folder)
            .args(["serve", "--listen", ":0", "--policy", "p.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        let line = lines.find(|line| line.contains("curl ")).unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let line = line.trim().strip_prefix("curl ").unwrap();
        assert!(line.starts_with(way), "{line}");

        let answer = ask_as_curl(line);
        let told: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(told["scopes"], serde_json::json!(["keys:manage", "metrics:read"]));
    }
}

/// Does what curl would do with these words of a shell.
fn ask_as_curl(line: &str) -> String {
    use std::io::{Read, Write};
    let words: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
    let (header, url) = match line.split_once(' ').map(|(flag, _)| flag) {
        Some("-H") => (format!("{}\r\n", words[0]), words[1]),
        Some("-b") => (format!("Cookie: {}\r\n", words[0]), words[1]),
        _ => (String::new(), words[0]),
    };
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{header}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[cfg(unix)]
#[test]
fn where_others_may_read_standard_error_the_bootstrap_key_is_in_a_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let server = Server::spawn(keyward().current_dir(&*folder).args(["serve", "--listen", "0.0.0.0:0"]));
    let names = folder.names().into_iter().filter(|name| name.starts_with("keyward-bootstrap-"));
    let files: Vec<_> = names.map(|name| folder.join(name)).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let key = fs::read_to_string(file).unwrap();
    assert_eq!(server.get("/whoami", &[&format!("Authorization: Bearer {}", key.trim_end())]).status, 200);
    let (_, errors) = server.stop("TERM");
    assert!(!errors.contains(key.trim_end()), "{errors}");
    assert!(errors.contains(&format!("\"$(cat {})\"", file.file_name().unwrap().to_str().unwrap())), "{errors}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_bootstrap_key_that_cannot_be_shown_is_a_fault() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let status = keyward().current_dir(&*Folder::new()).args(["serve", "--listen", ":0"]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

/// It is made once, so whoever loses it has to be told how to go on.
#[cfg(unix)]
#[test]
fn a_bootstrap_key_that_is_lost_is_told_with_its_mend() {
    // No file can be made in a folder that is gone, while the database elsewhere can.
    let (folder, gone) = (Folder::new(), Folder::new());
    let database = format!("sqlite:{}", folder.join("keys.db").display());
    let script = "rmdir \"$PWD\" && exec \"$0\" serve --listen 0.0.0.0:0 --database \"$1\"";
    let mut command = std::process::Command::new("sh");
    command.current_dir(&*gone).args(["-c", script, env!("CARGO_BIN_EXE_keyward"), &database]);
    let ran = run_command(&mut command, "");
    assert!(ran.status == 3 && ran.err.contains("cannot write the bootstrap key to keyward-bootstrap-"), "{ran:?}");
    let (_, mend) = ran.err.split_once("make another by `keyward ").expect("the mend is told");
    let (arguments, _) = mend.split_once('`').unwrap();
    let arguments: Vec<&str> = arguments.split(' ').chain(["--database", &database]).collect();
    let key = succeed(&folder, &arguments, "").out;
    let server = Server::start(&folder, &["--database", &database]);
    let who = server.get("/whoami", &[&format!("X-API-Key: {}", key.trim_end())]).json();
    assert_eq!(who["scopes"], serde_json::json!(["keys:manage", "metrics:read"]));
}

#[test]
fn keys_from_a_file_are_taken_and_no_bootstrap_key_is_made() {
    let folder = Folder::with("keys.jsonl", KEYS);
    let server = Server::start(&folder, &["--keys", "keys.jsonl"]);

    let answer = server.get("/whoami", &["X-API-Key: CANARY-alpha-0123456789", "X-Request-ID: trace-7"]);
    assert_eq!((answer.status, answer.header("x-request-id")), (200, Some("trace-7")));
    let told = answer.json();
    assert_eq!(
        (&told["name"], &told["request_id"], &told["client_ip"]),
        (&"nightly export".into(), &"trace-7".into(), &"127.0.0.1".into())
    );
    assert_eq!((&told["authenticator"], &told["scopes"][0]), (&"store".into(), &"reports:read".into()));

    let answer = server.get("/whoami", &[]);
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer realm=\"api\"")));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));

    let answer = server.get("/healthz", &[]);
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));

    let (status, errors) = server.stop("TERM");
    assert_eq!(status, Some(0));
    assert!(!errors.contains("bootstrap") && !errors.contains("CANARY"), "{errors}");
    let events: Vec<Value> = errors.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut told: Vec<_> = events.iter().map(|event| event["reason"].as_str().unwrap()).collect();
    // Each thread has a ring of its own, and events of two threads may be written in either order.
    told.sort_unstable();
    assert_eq!(told, ["missing", "valid"], "one event for each decision: {errors}");
    for field in [
        "timestamp",
        "level",
        "event",
        "outcome",
        "request_id",
        "method",
        "path",
        "client_ip",
        "key_status",
        "key_id",
        "key_prefix",
        "source",
    ] {
        assert!(events[0].get(field).is_some(), "{field}");
    }
}

#[test]
fn without_a_key_paths_and_methods_are_not_told() {
    let folder = Folder::with("keys.jsonl", KEYS);
    let server = Server::start(&folder, &["--keys", "keys.jsonl"]);
    let unknown = server.get("/nowhere", &[]);
    assert_eq!((unknown.status, unknown.header("allow")), (401, None));
    for (method, path) in
        [("DELETE", "/nowhere"), ("POST", "/whoami"), ("OPTIONS", "/whoami"), ("DELETE", "/whoami"), ("POST", "/healthz")]
    {
        let known = server.send(method, path, &[]);
        assert_eq!((known.status, known.lasting_headers()), (401, unknown.lasting_headers()), "{method} {path}");
    }
}

#[test]
fn who_has_a_key_is_told_what_is_not_there() {
    let folder = Folder::with("keys.jsonl", KEYS);
    let server = Server::start(&folder, &["--keys", "keys.jsonl"]);
    for (method, path, status) in
        [("GET", "/nowhere", 404), ("POST", "/nowhere", 404), ("POST", "/whoami", 405), ("POST", "/healthz", 405)]
    {
        let answer = server.send(method, path, &["X-API-Key: CANARY-alpha-0123456789", "X-Request-ID: trace-8"]);
        assert_eq!((answer.status, answer.header("x-request-id")), (status, Some("trace-8")), "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["status"], status);
        assert_eq!(answer.header("allow"), (status == 405).then_some("GET, HEAD"));
    }
    assert_eq!(server.send("HEAD", "/healthz", &[]).status, 200);
}

#[test]
fn open_access_is_told_where_it_is_and_only_there() {
    const IN_VAIN: &str = "[[configured_keys]]\nenv = \"NOT_SET\"\n[access]\ninsecure_allow_without_keys = true\n";
    let folder = Folder::with("vain.toml", IN_VAIN);
    folder.write("open.toml", format!("authenticators = [\"configured\"]\n{IN_VAIN}"));

    let server = Server::start(&folder, &["--policy", "vain.toml"]);
    assert_eq!(server.get("/whoami", &[]).status, 401);
    let (_, errors) = server.stop("TERM");
    assert!(errors.contains("insecure_allow_without_keys is set and has no effect"), "{errors}");
    assert!(!errors.contains("everybody") && !errors.contains("OPEN ACCESS"), "{errors}");

    // A bootstrap key would be a secret that never works.
    let server = Server::start(&folder, &["--policy", "open.toml"]);
    let (_, errors) = server.stop("TERM");
    assert!(errors.contains("OPEN ACCESS"), "{errors}");
    assert!(!errors.contains("bootstrap key, shown") && !errors.contains("no place that curl"), "{errors}");
    assert!(errors.contains("`store` is left out"), "{errors}");
}

#[test]
fn short_keys_are_told_by_their_place() {
    let folder = Folder::with("keys.jsonl", &format!("{KEYS}\n{{\"key\":\"CANARY-short\"}}\n"));
    folder.write("p.toml", "[[configured_keys]]\nenv = \"TEST_KEYS\"\nseparator = \",\"\n");
    let mut command = keyward();
    command.current_dir(&*folder).args(["serve", "--listen", ":0", "--policy", "p.toml", "--keys", "keys.jsonl"]);
    let server = Server::spawn(command.env("TEST_KEYS", "CANARY-0123456789-0123456789,CANARY-b"));
    let (_, errors) = server.stop("TERM");
    assert!(errors.contains("keys.jsonl:2: its key has fewer than 20 characters"), "{errors}");
    assert!(errors.contains("TEST_KEYS: its key number 2 has fewer than 20 characters"), "{errors}");
    assert_eq!(errors.matches("fewer than 20").count(), 2, "{errors}");
    assert!(!errors.contains("CANARY"), "{errors}");
}

#[test]
fn every_bad_row_is_told_with_file_and_line() {
    let rows =
        ["{\"key\":\"CANARY-a\"}", "", "{\"key\":\"CANARY-b\",\"colour\":1}", "CANARY", "{\"key\":\"CANARY-a\"}"].join("\n");
    let ran = run(&Folder::with("keys.jsonl", &rows), &["serve", "--listen", ":0", "--keys", "keys.jsonl"], "");
    assert_eq!((ran.status, ran.out.as_str()), (2, ""));
    let places: Vec<_> = ran.err.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["keys.jsonl:3", "keys.jsonl:4", "keys.jsonl:5"], "{}", ran.err);
    assert!(!ran.err.contains("CANARY"), "{}", ran.err);
}

#[test]
fn a_bad_policy_is_told_with_its_line() {
    let folder = Folder::with("p.toml", "\nresolution = \"guess\"\n");
    let ran = run(&folder, &["serve", "--policy", "p.toml"], "");
    assert_eq!(ran.status, 2);
    assert!(ran.err.starts_with("p.toml:2: resolution: "), "{}", ran.err);
    folder.write("p.toml", "authenticators = [\"palmist\"]\n");
    let ran = run(&folder, &["serve", "--policy", "p.toml"], "");
    assert_eq!(ran.status, 2);
    assert!(ran.err.contains("p.toml:1: authenticators[0]: nothing is called `palmist`"), "{}", ran.err);
}

#[test]
fn an_address_that_is_taken_is_a_fault() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let ran = run(&folder, &["serve", "--listen", &server.address.to_string()], "");
    assert_eq!((ran.status, ran.out.as_str()), (3, ""));
    assert!(ran.err.contains(&format!("cannot listen on {}", server.address)), "{}", ran.err);
    assert!(ran.err.contains("; choose another port with `--listen`"), "{}", ran.err);
}

#[test]
fn guessing_is_bounded_unless_the_policy_says_otherwise() {
    let folder = Folder::with("keys.jsonl", KEYS);
    folder.write("off.toml", "[limits]\nfailures = \"off\"\n");
    let guesses = |arguments: &[&str]| {
        let server = Server::start(&folder, arguments);
        let statuses: Vec<u16> =
            (0..62).map(|guess| server.get("/whoami", &[&format!("X-API-Key: guess-{guess}")]).status).collect();
        assert_eq!(server.get("/whoami", &["X-API-Key: CANARY-alpha-0123456789"]).status, 200);
        assert!(statuses[..60].iter().all(|status| *status == 401), "{statuses:?}");
        statuses[61]
    };
    assert_eq!(guesses(&["--keys", "keys.jsonl"]), 429);
    assert_eq!(guesses(&["--keys", "keys.jsonl", "--policy", "off.toml"]), 401);
}

#[test]
fn audit_lines_can_be_text() {
    let folder = Folder::with("p.toml", "[audit]\nmode = \"required\"\nformat = \"text\"\n");
    let server = Server::start(&folder, &["--policy", "p.toml"]);
    server.get("/whoami", &["X-API-Key: CANARY"]);
    let (_, errors) = server.stop("INT");
    assert!(
        errors.lines().any(|line| line.contains(" WARNING api_key_rejected ") && line.contains(" reason=unknown")),
        "{errors}"
    );
    assert!(!errors.contains("CANARY"), "{errors}");
}

#[test]
fn where_nobody_reads_the_audit_a_required_one_lets_nobody_in() {
    let folder = Folder::with("keys.jsonl", KEYS);
    folder.write("required.toml", "[audit]\nmode = \"required\"\n");
    let server = Server::start_unheard(&folder, &["--keys", "keys.jsonl", "--policy", "required.toml"]);
    assert_eq!(server.get("/whoami", &["X-API-Key: CANARY-alpha-0123456789"]).status, 503);
    assert_eq!(server.get("/whoami", &[]).status, 401);
    assert_eq!(server.get("/healthz", &[]).status, 200);

    let server = Server::start_unheard(&folder, &["--keys", "keys.jsonl"]);
    assert_eq!(server.get("/whoami", &["X-API-Key: CANARY-alpha-0123456789"]).status, 200);
    assert_eq!(server.stop("TERM").0, Some(0));
}

/// A proxy that lost the header, or that a client made lose it, is told of: but not for each request, nor where it asks itself.
#[test]
fn a_proxy_that_names_no_client_is_told_of_once_a_minute() {
    let header = "client_address_header = \"X-Forwarded-For\"\n";
    let told_by = |policy: &str, targets: &[(&str, &[&str])]| {
        let folder = Folder::with("p.toml", policy);
        folder.write("keys.jsonl", "{\"key\":\"alpha-0123456789\"}\n");
        let server = Server::start(&folder, &["--keys", "keys.jsonl", "--policy", "p.toml"]);
        targets.iter().for_each(|(target, headers)| drop(server.get(target, headers)));
        let (_, errors) = server.stop("TERM");
        let told =
            |line: &&str| line.contains("WARN") && line.contains("sent no X-Forwarded-For") && line.contains("proxy=127.0.0.1");
        (errors.lines().filter(told).count(), errors)
    };
    let proxies = format!("[access]\nopen_paths = [\"/status\"]\n[network]\ntrusted_proxies = [\"127.0.0.1\"]\n{header}");
    let (told, errors) = told_by(&proxies, &[("/", &[]), ("/a", &["X-Real-IP: 203.0.113.9"]), ("/b", &[])]);
    assert_eq!(told, 1, "{errors}");
    assert!(errors.contains("Connection: X-Forwarded-For") && errors.contains("no bad key is charged to it"), "{errors}");
    let (told, errors) =
        told_by(&proxies, &[("/status", &[]), ("/", &["X-Forwarded-For: 203.0.113.9"]), ("/", &["X-Forwarded-For: a"])]);
    assert_eq!(told, 0, "{errors}");
    let (told, errors) = told_by(&format!("[network]\ntrusted_hops = 1\n{header}"), &[("/", &[]), ("/", &[])]);
    assert!(told == 1 && errors.contains("its client passes no list of networks"), "{errors}");
    let (told, errors) = told_by(&format!("[network]\ntrusted_proxies = [\"10.0.0.1\"]\n{header}"), &[("/", &[])]);
    assert_eq!(told, 0, "{errors}");
}
