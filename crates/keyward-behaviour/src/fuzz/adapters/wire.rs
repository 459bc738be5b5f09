//! A connection without a socket: everything the client sends is there at once, and nothing follows.

use std::{
    cell::RefCell,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
};

use futures_util::poll;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::{Builder, Runtime},
    task::{LocalSet, yield_now},
};

use crate::compare::is_uuid;

/// The server's end of a connection.
pub(super) struct Wire {
    sent: Vec<u8>,
    read: usize,
    written: Rc<RefCell<Vec<u8>>>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.sent[self.read..];
        if rest.is_empty() {
            // The client waits for its answers; deliberately not the end of the connection, at which servers give answers up.
            return Poll::Pending;
        }
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..taken]);
        self.read += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Rounds in which a server writes nothing before it is taken to have nothing more to say. Nothing here waits for anything but
/// its own tasks, so a few are many.
const SILENT_ROUNDS: usize = 6;

/// A server that never falls silent is a finding; this many rounds are more than the longest input can cause.
const MOST_ROUNDS: usize = 100_000;

thread_local! {
    // Never dropped: what frameworks leave in them asks for thread locals of their own, which may be gone when a thread ends.
    static RUNTIME: &'static Runtime =
        Box::leak(Box::new(Builder::new_current_thread().enable_time().build().expect("a runtime starts")));
    static TASKS: &'static LocalSet = Box::leak(Box::new(LocalSet::new()));
}

/// Runs a future among the tasks that frameworks have started on this thread.
pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| TASKS.with(|tasks| tasks.block_on(runtime, future)))
}

/// Serves one connection on which these bytes are sent, and gives what is written.
pub(super) fn serve<F: Future>(sent: &[u8], connection: impl FnOnce(Wire) -> F) -> Vec<u8> {
    let written = Rc::new(RefCell::new(Vec::new()));
    let wire = Wire { sent: sent.to_vec(), read: 0, written: Rc::clone(&written) };
    run(async {
        let mut connection = pin!(connection(wire));
        let (mut length, mut silent, mut rounds) = (0, 0, 0);
        while silent < SILENT_ROUNDS && poll!(connection.as_mut()).is_pending() {
            let now = written.borrow().len();
            silent = if now == length { silent + 1 } else { 0 };
            length = now;
            rounds += 1;
            assert!(rounds < MOST_ROUNDS, "a server that never falls silent");
            yield_now().await;
        }
    });
    written.take()
}

/// One answer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Every answer behind a guard tells the request's id, and no parser does.
    pub(super) fn is_guarded(&self) -> bool {
        self.header("x-request-id").is_some()
    }

    /// The answer as text, without what may differ: the date, the framing, and the id of a request that brought none.
    pub(super) fn comparable(&self) -> String {
        let framing = ["date", "content-length", "connection", "transfer-encoding"];
        let mut lines: Vec<String> = self
            .headers
            .iter()
            .filter(|(name, _)| !framing.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {}", value.escape_ascii()))
            .collect();
        lines.sort();
        let text = format!("{}\n{}\n\n{}", self.status, lines.join("\n"), String::from_utf8_lossy(&self.body));
        let id = String::from_utf8_lossy(self.header("x-request-id").unwrap_or_default());
        if is_uuid(&id) { text.replace(&*id, "(a new id)") } else { text }
    }

    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(written, _)| written == name).map(|(_, value)| value.as_slice())
    }
}

/// The answers in what a server wrote, without the interim ones. The first has no body if it is to a `HEAD`.
pub(super) fn answers(mut written: &[u8], first_is_to_head: bool) -> Vec<Answer> {
    let mut answers: Vec<Answer> = Vec::new();
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = parsed.parse(written) else { return answers };
        let status = parsed.code.unwrap_or_default();
        let headers: Vec<_> =
            parsed.headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect();
        written = &written[length..];
        if status < 200 && status != 101 {
            continue;
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        let announced = answer.header("content-length").and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
        let announced: usize = announced.unwrap_or(0);
        if !(first_is_to_head && answers.is_empty()) {
            let (body, rest) = written.split_at(announced.min(written.len()));
            answer.body = body.to_vec();
            written = rest;
        }
        answers.push(answer);
    }
}
