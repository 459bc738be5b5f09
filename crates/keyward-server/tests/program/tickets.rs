//! `POST /auth/token`, and handshakes with what it gives (R14), described by a proxy.

use std::time::{Duration, Instant};

use keyward_behaviour::services::redis::Redis;

use crate::folder::Folder;
use crate::server::{Answer, Server};
use crate::{keyward, run, run_command, succeed};

const KEY: &str = "X-API-Key: a-key-of-its-own-0123456789abcdef";
const POLICY: &str = "[network]\ntrusted_proxies = [\"127.0.0.1/32\"]\n";
const SECRETS: [&str; 3] = [
    "Yp0dX8sKqLr3vN5wTzB1cF7hJ9mQ2uE4gA6iO0xRkZs=",
    "m3Vb9KxQ1rT7yP5wLdN2sH8jF4gZ6cU0aEoXiRkMtWq=",
    "H7nQ2bW9eR4tY6uI1oP3aS5dF8gJ0kLzXcVmBqNwErT=",
];
/// What proxies leave of a handshake: its `Upgrade` and `Connection` are about one connection alone.
const HANDSHAKE: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";

/// A folder with one key, and a policy.
fn folder(policy: &str) -> Folder {
    let folder = Folder::new();
    folder.write("policy.toml", policy);
    succeed(&folder, &["keys", "create", "--name", "makes the database", "--database", "sqlite:keys.db"], "");
    let key = KEY.strip_prefix("X-API-Key: ").unwrap();
    folder.write("keys.jsonl", format!("{{\"key\":\"{key}\",\"entropy_bits\":128}}\n"));
    succeed(&folder, &["keys", "import", "keys.jsonl", "--database", "sqlite:keys.db"], "");
    folder
}

fn start(folder: &Folder, more: &[&str]) -> Server {
    Server::start(folder, &[&["--policy", "policy.toml", "--database", "sqlite:keys.db"], more].concat())
}

fn start_with(folder: &Folder, redis: &Redis, secrets: &[&str]) -> Server {
    let file = format!("secrets-{}", SECRETS.iter().position(|secret| *secret == secrets[0]).unwrap());
    folder.write_private(&file, secrets.join("\n"));
    start(folder, &["--redis", &redis.url(), "--server-secret-file", &file])
}

fn exchange(server: &Server) -> Answer {
    server.send("POST", "/auth/token", &[KEY])
}

/// Where everything else runs at the same time, Redis may be late by more than 20 ms: then there is none, and another is asked for.
fn ticket(server: &Server) -> String {
    let answer = in_time(503, || exchange(server));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// What a proxy is told that holds a handshake.
fn open(server: &Server, ticket: &str) -> u16 {
    let target = format!("X-Forwarded-Uri: /ws?token={ticket}");
    server.get("/auth", &["X-Forwarded-Method: GET", &target, HANDSHAKE]).status
}

/// A ticket that was made by one server and opened a connection on another.
fn opened(made_on: &Server, used_on: &Server) -> String {
    let mut used = String::new();
    // Whose answer came late may be used up.
    let answer = in_time(503, || {
        used = ticket(made_on);
        let target = format!("X-Forwarded-Uri: /ws?token={used}");
        used_on.get("/auth", &["X-Forwarded-Method: GET", &target, HANDSHAKE])
    });
    assert_eq!(answer.status, 200, "{answer:?}");
    used
}

fn assert_refused(server: &Server, ticket: &str) {
    let target = format!("X-Forwarded-Uri: /ws?token={ticket}");
    let answer = in_time(503, || server.get("/auth", &["X-Forwarded-Method: GET", &target, HANDSHAKE]));
    assert_eq!(answer.status, 401, "{answer:?}");
}

/// Asks until the answer is another one than what is said when Redis is late.
fn in_time(late: u16, mut ask: impl FnMut() -> Answer) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if answer.status != late || begun.elapsed() > Duration::from_secs(20) {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_key_is_exchanged_for_a_ticket_that_opens_one_connection() {
    let folder = folder(POLICY);
    let server = start(&folder, &[]);
    let answer = exchange(&server);
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["expires_in", "token"]);
    assert_eq!(answer.json()["expires_in"], 300);

    let ticket = answer.json()["token"].as_str().unwrap().to_owned();
    let target = format!("X-Forwarded-Uri: /ws?token={ticket}");
    let opened = server.get("/auth", &["X-Forwarded-Method: GET", &target, HANDSHAKE]);
    assert_eq!(opened.status, 200);
    let who = server.get("/whoami", &[KEY]).json();
    assert_eq!(opened.header("x-keyward-key-id"), who["id"].as_str(), "{who}");
    assert_eq!((open(&server, &ticket), open(&server, &ticket)), (401, 401));

    let (_, errors) = server.stop("TERM");
    assert!(!errors.contains(&ticket) && !errors.contains("a-key-of-its-own"), "{errors}");
}

#[test]
fn who_gets_none() {
    let folder = folder(&format!("sources = [{{ header = \"X-API-Key\" }}, {{ query = \"api_key\" }}]\n{POLICY}"));
    let server = start(&folder, &[]);
    let in_query = format!("/auth/token?api_key={}", KEY.strip_prefix("X-API-Key: ").unwrap());
    let ticket = ticket(&server);
    for (method, target, headers, status, allow) in [
        ("POST", "/auth/token", &[][..], 401, None),
        ("POST", "/auth/token", &["X-API-Key: nobody-has-this-key-0123456789ab"], 401, None),
        ("POST", "/auth/token", &[&format!("X-API-Key: {ticket}")], 401, None),
        ("POST", &format!("/auth/token?token={ticket}"), &[], 401, None),
        ("POST", &in_query, &[], 403, None),
        ("GET", "/auth/token", &[], 401, None),
        ("GET", "/auth/token", &[KEY], 405, Some("POST")),
        ("PUT", "/auth/token", &[KEY], 405, Some("POST")),
        ("POST", "/auth/tokens", &[KEY], 404, None),
    ] {
        let answer = server.send(method, target, headers);
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {target}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {target}");
    }
    assert_eq!(open(&server, &ticket), 200, "none of these has used it up");
}

#[test]
fn a_policy_may_have_no_tickets_or_others() {
    let of = |policy: &str| folder(&format!("{policy}\n{POLICY}"));
    let folder = of("sources = [{ header = \"X-API-Key\" }, { query = \"token\" }]");
    assert_eq!(exchange(&start(&folder, &[])).status, 404);

    let folder = of("[tickets]\nquery = \"t\"\nlifetime = \"60s\"\nsingle_use = false");
    let server = start(&folder, &[]);
    let answer = exchange(&server);
    assert_eq!(answer.json()["expires_in"], 60);
    let target = format!("X-Forwarded-Uri: /ws?t={}", answer.json()["token"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(server.get("/auth", &["X-Forwarded-Method: GET", &target, HANDSHAKE]).status, 200);
    }
}

/// Most proxies take `Upgrade` and `Connection` out of what they ask; the key of the handshake stays.
#[test]
fn forward_auth_knows_a_handshake_by_its_key() {
    let folder = folder(POLICY);
    let server = start(&folder, &[]);
    let upgrade = ["Upgrade: websocket", "Connection: Upgrade"];
    for (method, headers, status) in [
        ("GET", &[HANDSHAKE][..], 200),
        // Without its key no server could complete it.
        ("GET", &upgrade, 401),
        ("GET", &[HANDSHAKE, upgrade[0], upgrade[1]], 200),
        ("GET", &[HANDSHAKE, "Upgrade: h2c"], 200),
        ("GET", &[], 401),
        ("GET", &["Upgrade: websocket"], 401),
        ("GET", &["Sec-WebSocket-Version: 13"], 401),
        ("POST", &[HANDSHAKE, upgrade[0], upgrade[1]], 401),
    ] {
        let target = format!("/ws?token={}", ticket(&server));
        let forwarded = [format!("X-Forwarded-Method: {method}"), format!("X-Forwarded-Uri: {target}")];
        let lines: Vec<&str> = forwarded.iter().map(String::as_str).chain(headers.iter().copied()).collect();
        assert_eq!(server.get("/auth", &lines).status, status, "{method} {headers:?}");

        let target = format!("http://example.com/ws?token={}", ticket(&server));
        let original = [format!("X-Original-Method: {method}"), format!("X-Original-URL: {target}")];
        let lines: Vec<&str> = original.iter().map(String::as_str).chain(headers.iter().copied()).collect();
        assert_eq!(server.get("/auth?nginx", &lines).status, status, "{method} {headers:?}");
    }
    // Nobody's own request becomes a handshake by that header.
    assert_eq!(server.get(&format!("/whoami?token={}", ticket(&server)), &[HANDSHAKE]).status, 401);
}

/// R13: another site's page opens a WebSocket with the user's cookie, and the proxy takes away what says that it is one.
#[test]
fn a_foreign_page_opens_no_socket_with_a_cookie_through_a_proxy() {
    let key = KEY.strip_prefix("X-API-Key: ").unwrap();
    let folder = folder(&format!("sources = [{{ cookie = \"key\" }}]\n[access]\npublic_url = \"https://own.example\"\n{POLICY}"));
    let server = start(&folder, &[]);
    let cookie = format!("Cookie: key={key}");
    for (headers, status) in [
        (&["Origin: https://own.example", HANDSHAKE][..], 200),
        (&["Origin: https://evil.example", HANDSHAKE], 403),
        (&[HANDSHAKE], 403),
        (&["Origin: https://evil.example"], 200),
    ] {
        let described = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /ws", &cookie];
        assert_eq!(server.get("/auth", &[&described, headers].concat()).status, status, "{headers:?}");
    }
}

#[test]
fn servers_with_one_secret_and_one_redis_take_each_others_tickets_once() {
    let (redis, folder) = (Redis::start().unwrap(), folder(POLICY));
    let servers = [start_with(&folder, &redis, &SECRETS[..1]), start_with(&folder, &redis, &SECRETS[..1])];
    for (made, used) in [(0, 1), (1, 0), (0, 0)] {
        let ticket = opened(&servers[made], &servers[used]);
        servers.iter().for_each(|server| assert_refused(server, &ticket));
    }
    // A restart of a server ends no ticket, and makes none good again.
    let [first, second] = servers;
    let used = opened(&first, &second);
    let unused: Vec<_> = (0..5).map(|_| ticket(&first)).collect();
    drop((first, second));
    let again = start_with(&folder, &redis, &SECRETS[..1]);
    assert_refused(&again, &used);
    assert!(unused.iter().any(|ticket| open(&again, ticket) == 200), "all of them, but for what Redis was late with");
    // All of them end where Redis is emptied.
    let ticket = ticket(&again);
    redis.flush().unwrap();
    assert_refused(&again, &ticket);
}

#[test]
fn many_handshakes_on_two_servers_with_one_ticket_open_one_connection() {
    let (redis, folder) = (Redis::start().unwrap(), folder(POLICY));
    let servers = [start_with(&folder, &redis, &SECRETS[..1]), start_with(&folder, &redis, &SECRETS[..1])];
    for _ in 0..5 {
        let ticket = &ticket(&servers[0]);
        let opened = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|number| {
                    scope.spawn({
                        let server = &servers[number % 2];
                        move || open(server, ticket)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        // An answer of Redis that comes late, on a machine that is busy, is 503 for whoever waited for it.
        assert!(opened.iter().filter(|status| **status == 200).count() <= 1, "{opened:?}");
        assert!(opened.iter().all(|status| [200, 401, 429, 503].contains(status)), "{opened:?}");
        assert!(opened.contains(&200) || opened.contains(&503), "{opened:?}");
    }
}

#[test]
fn servers_without_a_common_secret_or_memory_refuse_each_others_tickets() {
    let (redis, folder) = (Redis::start().unwrap(), folder(POLICY));
    // Nobody said a secret; or it is said, and each has its own memory of used tickets.
    let url = redis.url();
    folder.write_private("secret", SECRETS[0]);
    for arguments in [&["--redis", &url][..], &["--server-secret-file", "secret"]] {
        let servers = [start(&folder, arguments), start(&folder, arguments)];
        assert_refused(&servers[1], &ticket(&servers[0]));
        opened(&servers[0], &servers[0]);
        let told = servers.map(|server| server.stop("TERM").1.contains("no server secret is set"));
        assert_eq!(told, [arguments[0] == "--redis"; 2], "{arguments:?}");
    }
    let said = start_with(&folder, &redis, &SECRETS[..1]);
    let (_, errors) = said.stop("TERM");
    assert!(errors.contains("used tickets: in Redis") && !errors.contains("no server secret is set"), "{errors}");
}

#[test]
fn the_secret_is_changed_step_by_step_and_no_ticket_is_lost() {
    let (redis, folder) = (Redis::start().unwrap(), folder(POLICY));
    let [new, old, other] = SECRETS;
    let before = start_with(&folder, &redis, &[old]);
    // The new one is known everywhere before it signs anywhere.
    let knows_both = start_with(&folder, &redis, &[old, new]);
    let signs_with_new = start_with(&folder, &redis, &[new, old]);
    opened(&before, &signs_with_new);
    opened(&signs_with_new, &knows_both);
    assert_refused(&before, &ticket(&signs_with_new));
    // Afterwards the old one is gone.
    let after = start_with(&folder, &redis, &[new]);
    assert_refused(&after, &ticket(&knows_both));
    opened(&signs_with_new, &after);
    assert_refused(&start_with(&folder, &redis, &[other, new]), &ticket(&before));
}

#[test]
fn while_redis_is_away_no_ticket_is_made_or_used() {
    let (redis, folder) = (Redis::start().unwrap(), folder(POLICY));
    let server = start_with(&folder, &redis, &SECRETS[..1]);
    let earlier = ticket(&server);
    redis.kill().unwrap();
    let answer = exchange(&server);
    assert_eq!((answer.status, answer.body.contains("redis") || answer.body.contains("Redis")), (503, false), "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(open(&server, &earlier), 503);
    assert_eq!(server.get("/whoami", &[KEY]).status, 200, "all else goes on");
    redis.start_again().unwrap();
    opened(&server, &server);
    assert_refused(&server, &earlier);
    let (_, errors) = server.stop("TERM");
    for line in [
        "a ticket could not be made",
        "Redis is away: no ticket can be made or used",
        "Redis is back: tickets can be made and used",
    ] {
        assert!(errors.contains(line), "{line}: {errors}");
    }
}

#[test]
fn a_server_starts_before_its_redis() {
    let (redis, folder) = (Redis::start().unwrap(), folder(POLICY));
    redis.kill().unwrap();
    let server = start_with(&folder, &redis, &SECRETS[..1]);
    assert_eq!(exchange(&server).status, 503);
}

#[test]
fn a_secret_that_cannot_be_used_is_told_and_not_shown() {
    let folder = Folder::new();
    let weak = [
        "hunter2",
        "hunter2hunter2hunter2hunter2hunter2hunter2",
        "hunter2-0123456789012345678901234567890123456789",
        &SECRETS[0][..31],
    ];
    let serve = |set: &[(&str, &str)], more: &[&str]| {
        let mut command = keyward();
        command.current_dir(&*folder).args(["serve", "--database", "memory:", "--listen", "127.0.0.1:0"]).args(more);
        set.iter().for_each(|(name, value)| {
            command.env(name, value);
        });
        run_command(&mut command, "")
    };
    let expect = |set: &[(&str, &str)], more: &[&str], told: &[&str]| {
        let ran = serve(set, more);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{set:?} {more:?}: {}", ran.err);
        assert!(told.iter().all(|told| ran.err.contains(told)), "{told:?}: {}", ran.err);
        for part in ["hunter2", &SECRETS[0][..8], &SECRETS[1][..8], "0123456789"] {
            assert!(!ran.err.contains(part), "{part}: {}", ran.err);
        }
    };
    for weak in weak {
        expect(&[("KEYWARD_SERVER_SECRET", weak)], &[], &["KEYWARD_SERVER_SECRET: line 1", "openssl rand"]);
        folder.write_private("weak", format!("{}\n\n{weak}\n", SECRETS[1]));
        expect(&[], &["--server-secret-file", "weak"], &["--server-secret-file: line 3", "openssl rand"]);
        expect(&[("KEYWARD_SERVER_SECRET_FILE", "weak")], &[], &["KEYWARD_SERVER_SECRET_FILE: line 3", "openssl rand"]);
    }
    folder.write_private("good", SECRETS[0]);
    folder.write_private("empty", "");
    folder.write_private("blank", "\n  \r\n");
    folder.write_private("binary", b"\xff\xfe".repeat(32));
    let both = [("KEYWARD_SERVER_SECRET", SECRETS[1])];
    expect(&both, &["--server-secret-file", "good"], &["--server-secret-file", "KEYWARD_SERVER_SECRET is set, too"]);
    let both = [("KEYWARD_SERVER_SECRET", SECRETS[1]), ("KEYWARD_SERVER_SECRET_FILE", "good")];
    expect(&both, &[], &["KEYWARD_SERVER_SECRET_FILE", "KEYWARD_SERVER_SECRET is set, too"]);
    for (file, told) in [
        ("empty", "empty"),
        ("blank", "empty"),
        ("missing", "cannot read missing"),
        (".", "is no plain file"),
        ("binary", "cannot read"),
    ] {
        expect(&[], &["--server-secret-file", file], &["--server-secret-file", told]);
    }
    folder.write_private("large", format!("{}\n", SECRETS[0]).repeat(2_000));
    expect(&[], &["--server-secret-file", "large"], &["--server-secret-file", "too large"]);
    expect(&[("KEYWARD_SERVER_SECRET", " \n")], &[], &["KEYWARD_SERVER_SECRET", "empty"]);
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_can_read_is_refused_unless_it_is_asked_for_by_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = folder(POLICY);
    folder.write("secret", SECRETS[0]);
    for mode in [0o644, 0o640, 0o604, 0o660, 0o610] {
        std::fs::set_permissions(folder.join("secret"), std::fs::Permissions::from_mode(mode)).unwrap();
        let ran = run(&folder, &["serve", "--listen", "127.0.0.1:0", "--server-secret-file", "secret"], "");
        assert_eq!(ran.status, 2, "{mode:o}: {}", ran.err);
        assert!(ran.err.contains("--server-secret-file: secret holds secrets, and others can read it"), "{}", ran.err);
        drop(start(&folder, &["--server-secret-file", "secret", "--insecure-readable-server-secret"]));
    }
    for mode in [0o600, 0o400] {
        std::fs::set_permissions(folder.join("secret"), std::fs::Permissions::from_mode(mode)).unwrap();
        drop(start(&folder, &["--server-secret-file", "secret"]));
    }
}

#[test]
fn the_secret_is_in_no_help_no_log_and_no_answer() {
    let folder = folder(POLICY);
    let with_secret = |arguments: &[&str]| {
        let mut command = keyward();
        command.current_dir(&*folder).args(arguments).env("KEYWARD_SERVER_SECRET", SECRETS[0]).env("KEYWARD_LOG", "trace");
        command
    };
    let mut seen = String::new();
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["explain", "--help"],
        &["serve", "--no-such-flag"],
        &["serve", "--policy", "missing.toml"],
        &["serve", "--database", "postgres://user:word@127.0.0.1:1/none"],
        &["explain", "--database", "sqlite:keys.db"],
    ] {
        let ran = run_command(&mut with_secret(arguments), "GET / HTTP/1.1\n\n");
        seen += &format!("{} {}", ran.out, ran.err);
    }
    assert!(seen.contains("KEYWARD_SERVER_SECRET_FILE, or KEYWARD_SERVER_SECRET"), "{seen}");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--policy", "policy.toml", "--database", "sqlite:keys.db"];
    let server = Server::spawn(&mut with_secret(&arguments));
    let ticket = ticket(&server);
    assert_eq!((open(&server, &ticket), open(&server, &ticket)), (200, 401));
    seen += &server.get("/whoami", &[KEY]).body;
    let (_, errors) = server.stop("TERM");
    assert!(!errors.contains(&ticket), "a ticket in the log");
    seen += &errors;
    for length in [8, 16, SECRETS[0].len()] {
        assert!(!seen.contains(&SECRETS[0][..length]), "the secret, or its beginning");
    }
    let ran = run(&folder, &["serve", "--server-secret-file"], "");
    assert_eq!(ran.status, 2);
}
