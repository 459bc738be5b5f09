//! Starts an example as anybody would, and talks to it over a real socket.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod person;
pub(crate) mod websocket;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running example. Ends with the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a program with these variables and no others, on a free port, and waits until it says where it listens.
    pub(crate) fn start(program: &str, variables: &[(&str, &str)]) -> Self {
        Self::run(command(program, variables))
    }

    /// As [`Server::start`], for a program with arguments.
    pub(crate) fn run(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let readers =
            vec![collect(child.stdout.take().unwrap(), output.clone()), collect(child.stderr.take().unwrap(), output.clone())];
        let address = wait_for_address(&output);
        Self { address, child, output, readers }
    }

    /// Sends a request as it stands, and reads the answer to the end of the connection.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        Answer::read(&text)
    }

    /// A GET with these header lines.
    pub(crate) fn get(&self, target: &str, headers: &[&str]) -> Answer {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{lines}Connection: close\r\n\r\n", self.address))
    }

    /// A request with a body, and nothing else in it than what is given.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        self.send(&format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{lines}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}",
            self.address
        ))
    }

    /// The first line that it has written, or will soon, with these words in it.
    pub(crate) fn says(&self, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = self.output();
            if let Some(line) = output.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "it never said {words:?}:\n{output}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All that it has written so far.
    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// Asks it to stop, as a service manager does, and gives its exit status and all that it wrote.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap().code();
        for reader in std::mem::take(&mut self.readers) {
            reader.join().unwrap();
        }
        (status, self.output())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have stopped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program with these variables and no others, on a free port.
pub(crate) fn command(program: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PORT", "0").envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn collect(stream: impl Read + Send + 'static, output: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        // Whole lines: two streams meet here.
        while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
            output.lock().unwrap().push_str(&line);
            line.clear();
        }
    })
}

fn wait_for_address(output: &Mutex<String>) -> SocketAddr {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let text = output.lock().unwrap().clone();
        let address = text.split([' ', '/', '\n']).find(|word| word.starts_with("127.0.0.1:"));
        if let Some(address) = address {
            return address.parse().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it never listened:\n{}", output.lock().unwrap());
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert!(values.next().is_none(), "{name} twice:\n{}", self.head);
        value
    }
}
