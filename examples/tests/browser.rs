//! What a real browser sees: Chromium opens the page of `browser-sockets`, the page tries every way to send a key, and posts here
//! what it saw. The same on each framework.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use support::{Server, command};

const PROGRAM: &str = env!("CARGO_BIN_EXE_browser-sockets");
const FRAMEWORKS: [&str; 3] = ["axum", "actix", "warp"];
const PATIENCE: Duration = Duration::from_secs(90);

/// What the page tells of one try.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Seen {
    opened: bool,
    protocol: String,
    message: Option<String>,
    code: Option<u16>,
    reason: String,
}

type Report = BTreeMap<String, Seen>;

/// A server with a good key.
struct Site {
    server: Server,
    key: String,
}

impl Site {
    fn start(framework: &str, on_denial: &str) -> Self {
        let mut command = command(PROGRAM, &[]);
        command.args(["--framework", framework, "--on-denial", on_denial]);
        let server = Server::run(command);
        let deadline = Instant::now() + PATIENCE;
        let key = loop {
            let output = server.output();
            if let Some((_, rest)) = output.split_once("/#key=") {
                break rest.lines().next().unwrap().to_owned();
            }
            assert!(Instant::now() < deadline, "no key:\n{output}");
            std::thread::sleep(Duration::from_millis(5));
        };
        Self { server, key }
    }

    /// Opens its page in a browser, and waits for what the page has seen.
    fn visited(&self, host: &str, parameters: &str) -> Report {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let report = listener.local_addr().unwrap();
        let port = self.server.address.port();
        let mut browser = Browser::start(&format!("http://{host}:{port}/#report=http://{report}/{parameters}"));
        serde_json::from_str(&posted(&listener, &mut browser)).unwrap()
    }

    /// The reasons of the audit's denials, in their order.
    fn denials(self) -> Vec<String> {
        let (_, output) = self.server.stop();
        let lines = output.lines().filter(|line| line.starts_with('{'));
        // The address that is printed for a person has the key; nothing else has.
        assert!(!lines.clone().any(|line| line.contains(&self.key)), "{output}");
        let events = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.filter(|event| event["outcome"] == "deny").map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }
}

/// The body of the first request with one, which the browser makes.
fn posted(listener: &TcpListener, browser: &mut Browser) -> String {
    listener.set_nonblocking(true).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "the page has posted nothing in {PATIENCE:?}; the browser says:\n{}", browser.said());
        let Ok((stream, _)) = listener.accept() else {
            let ended = browser.process.try_wait().unwrap();
            assert!(ended.is_none(), "the browser has ended ({}), and says:\n{}", ended.unwrap(), browser.said());
            std::thread::sleep(Duration::from_millis(10));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut stream = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while stream.read_line(&mut line).is_ok_and(|read| read > 0) && line != "\r\n" {
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        // Browsers open connections that they never use.
        if length > 0 && stream.read_exact(&mut body).is_ok() {
            let _ = stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            return String::from_utf8(body).unwrap();
        }
    }
}

/// A browser of its own, which knows nothing of others. Ends with the test.
struct Browser {
    process: Child,
    profile: PathBuf,
}

impl Browser {
    fn start(address: &str) -> Self {
        static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("browser-{}-{number}", std::process::id()));
        fs::create_dir_all(&profile).unwrap();
        let program = std::env::var_os("KEYWARD_CHROMIUM").unwrap_or_else(|| "chromium".into());
        let mut command = Command::new(&program);
        command
            // Its sandbox does not work for root, nor in most containers; the pages are ours.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            // It is to talk to nobody else.
            .args(["--no-proxy-server", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(address)
            .env("HOME", &profile)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(profile.join(SAID)).unwrap());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!(
                "cannot run `{}`: {error}; install Chromium (`apt-get install chromium`), or name one by KEYWARD_CHROMIUM",
                program.display()
            )
        });
        Self { process, profile }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.profile.join(SAID)).unwrap_or_default()
    }
}

/// The file of what a browser says, among what else it keeps.
const SAID: &str = "said";

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already. Its own processes end with it, and may still be writing.
        let _ = self.process.kill();
        let _ = self.process.wait();
        for _ in 0..50 {
            if fs::remove_dir_all(&self.profile).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn let_in(source: &str, protocol: &str) -> Seen {
    let message = format!(r#"{{"hello":"browser","source":"{source}"}}"#);
    Seen { opened: true, protocol: protocol.to_owned(), message: Some(message), code: Some(1000), reason: String::new() }
}

/// What a page sees of a denial that closes.
fn closed(protocol: &str, reason: &str) -> Seen {
    Seen { opened: true, protocol: protocol.to_owned(), message: None, code: Some(1008), reason: reason.to_owned() }
}

/// What a page sees of one that refuses: nothing at all.
fn refused() -> Seen {
    Seen { opened: false, protocol: String::new(), message: None, code: Some(1006), reason: String::new() }
}

fn never_tried(reason: &str) -> Seen {
    Seen { opened: false, protocol: String::new(), message: None, code: None, reason: reason.to_owned() }
}

/// What is expected of each try where a denial is seen so.
fn expected(denied: impl Fn(&str, &str) -> Seen) -> Report {
    let unknown = || denied("", UNKNOWN);
    let tries = [
        ("no key", denied("", MISSING)),
        ("query, good key", let_in("query", "")),
        ("query, bad key", unknown()),
        ("ticket, good key", let_in("query", "")),
        ("ticket, bad key", never_tried("the token endpoint answers 401")),
        ("ticket, made up", unknown()),
        ("ticket, used twice", unknown()),
        ("subprotocol, good key", let_in("subprotocol", "chat")),
        ("subprotocol, bad key", denied("chat", UNKNOWN)),
        // None is selected, which a browser takes for a failure.
        ("subprotocol, no real one beside it", refused()),
        ("cookie, good key", let_in("cookie", "")),
        ("cookie, bad key", unknown()),
    ];
    tries.map(|(name, seen)| (name.to_owned(), seen)).into()
}

const MISSING: &str = "This request needs an API key.";
const UNKNOWN: &str = "The API key is not valid.";
const ENDED: &str = "The API key is not valid any more.";

#[test]
fn a_page_sees_who_is_let_in_and_why_others_are_not() {
    for framework in FRAMEWORKS {
        let site = Site::start(framework, "close");
        let mut report = site.visited("127.0.0.1", &format!("&key={}&revoke", site.key));
        let revoked = report.remove("revoked while open").unwrap();
        assert_eq!(revoked, Seen { code: Some(1008), reason: ENDED.to_owned(), ..let_in("query", "") }, "{framework}");
        assert_eq!(report, expected(closed), "{framework}");
    }
}

#[test]
fn a_page_sees_nothing_of_a_handshake_that_is_refused() {
    for framework in FRAMEWORKS {
        let site = Site::start(framework, "refuse");
        assert_eq!(site.visited("127.0.0.1", &format!("&key={}", site.key)), expected(|_, _| refused()), "{framework}");
    }
}

/// A cookie goes along with whatever a page asks of its host, on any port. From a page of another origin it does not count; what a page
/// has to know to send it does.
#[test]
fn a_cookie_counts_on_handshakes_of_our_own_pages_alone() {
    for framework in FRAMEWORKS {
        let (ours, foreign) = (Site::start(framework, "close"), Site::start(framework, "close"));
        let parameters = format!("&key={}&target={}", ours.key, ours.server.address);
        let report = foreign.visited("127.0.0.1", &parameters);
        let origin = "This is not allowed with this API key, or not in this way.";
        assert_eq!(report["cookie, good key"], closed("", origin), "{framework}");
        assert_eq!(report["cookie, bad key"], closed("", UNKNOWN), "{framework}");
        assert_eq!(report["query, good key"], let_in("query", ""), "{framework}");
        assert_eq!(report["subprotocol, good key"], let_in("subprotocol", "chat"), "{framework}");
        // A header of its own needs the server's leave (CORS), which it does not give.
        assert_eq!(report["ticket, good key"], never_tried("Failed to fetch"), "{framework}");

        // `localhost` is another host: the browser does not even send the cookie.
        let report = foreign.visited("localhost", &parameters);
        assert_eq!(report["cookie, good key"], closed("", MISSING), "{framework}");

        let denials = ours.denials();
        assert_eq!(denials.iter().filter(|reason| *reason == "origin").count(), 1, "{framework}: {denials:?}");
    }
}
