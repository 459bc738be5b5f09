//! `keyward serve` as a process, and requests to it over plain sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::keyward;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running server. Ended with the test.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Everything on standard error, once that is closed.
    errors: Option<JoinHandle<String>>,
}

impl Server {
    /// Serves on a free loopback port.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::spawn(keyward().current_dir(folder).args(["serve", "--listen", "127.0.0.1:0"]).args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let mut server = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), errors: Some(errors) };
        server.address = server.ready();
        server
    }

    /// Without anybody who reads its standard error.
    pub(crate) fn start_unheard(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = keyward();
        command.current_dir(folder).args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        let mut server = Self { child, address: SocketAddr::from(([0, 0, 0, 0], 0)), errors: None };
        server.address = server.ready();
        server
    }

    /// The address, from the line that says that the server is ready.
    fn ready(&mut self) -> SocketAddr {
        let (tell, told) = mpsc::channel();
        let stdout = self.child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(PATIENCE).expect("the server says that it listens");
        line.strip_prefix("listening on ").and_then(|rest| rest.strip_suffix('\n')).unwrap().parse().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request; `headers` are whole lines.
    pub(crate) fn get(&self, target: &str, headers: &[&str]) -> Answer {
        self.send("GET", target, headers)
    }

    pub(crate) fn send(&self, method: &str, target: &str, headers: &[&str]) -> Answer {
        self.send_body(method, target, headers, "")
    }

    /// The body's type is among the headers; its length is told.
    pub(crate) fn send_body(&self, method: &str, target: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.address);
        headers.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        let reach = SocketAddr::from(([127, 0, 0, 1], self.address.port()));
        let mut stream = TcpStream::connect(reach).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer::read(&answer)
    }

    /// Sends a signal by its name, waits for the end, and gives exit status and standard error.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        assert!(Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status().unwrap().success());
        let started = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(started.elapsed() < PATIENCE, "the server ends when it is asked to"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        let errors = self.errors.take().map(|thread| thread.join().unwrap());
        (status.code(), errors.unwrap_or_default())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer, read apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }

    /// Every header line but those of this one answer.
    pub(crate) fn lasting_headers(&self) -> Vec<&(String, String)> {
        self.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str())).collect()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}
