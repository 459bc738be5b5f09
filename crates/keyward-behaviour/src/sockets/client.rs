//! A client of WebSockets, and what the cases ask of it.

use std::{
    collections::BTreeMap,
    fmt::{Debug, Display},
    pin::pin,
    time::{Duration, Instant},
};

use futures_util::{
    SinkExt as _, StreamExt as _,
    future::{Either, select},
};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, protocol::CloseFrame},
};

use crate::{
    cases::START,
    harness::Adapter,
    model::{request::ModelRequest, time::Moment},
    service::{Away, Place, Service},
    wire::{Protocol, Received},
};

/// So soon a connection has ended when its key has.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// So long a case waits for what has to come at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A service with the keys `alpha` and `beta`, named after themselves, and `brief`, which ends after a minute.
pub(super) async fn start(adapter: Adapter, policy: &str) -> Result<Service, String> {
    start_at(Place::Adapter(adapter, Protocol::Http1), policy).await
}

pub(super) async fn start_at(place: Place, policy: &str) -> Result<Service, String> {
    let keys = [
        json!({ "key": "alpha", "name": "alpha" }),
        json!({ "key": "beta", "name": "beta" }),
        json!({ "key": "brief", "name": "brief", "expires_at": crate::model::time::as_rfc3339(START + after(60)) }),
    ];
    let keys = keys.map(|key| key.to_string()).join("\n");
    let environment = BTreeMap::from([("CONFIGURED_KEY".to_owned(), "configured".to_owned())]);
    Service::start(place, policy, &keys, &environment, Away::Nothing).await
}

/// So many seconds, on the service's clock.
pub(super) fn after(seconds: i128) -> Moment {
    seconds * crate::model::time::SECOND
}

/// What came of a handshake.
pub(super) enum Opened {
    /// It is open, and the handler has told what it saw.
    Open(Box<Socket>),
    /// It was answered.
    Refused(Box<Response<Option<Vec<u8>>>>),
}

/// An open WebSocket.
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
    /// The handshake's answer.
    pub(super) answer: Response<Option<Vec<u8>>>,
    /// What the handler told.
    pub(super) told: Value,
    echoed: usize,
}

/// Sends a handshake.
///
/// # Errors
/// If neither a socket nor an answer comes of it.
pub(super) async fn handshake(service: &Service, target: &str, headers: &[(&'static str, &str)]) -> Result<Opened, String> {
    let mut request: Request<()> = format!("ws://api.test{target}").into_client_request().map_err(told)?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().map_err(told)?);
    }
    let address = service.address().ok_or("a socket needs a server")?;
    let stream = TcpStream::connect(address).await.map_err(told)?;
    match timeout(PATIENCE, client_async(request, stream)).await.map_err(told)? {
        Ok((stream, answer)) => {
            let mut socket = Socket { stream, answer, told: Value::Null, echoed: 0 };
            socket.told = serde_json::from_str(&socket.next_text().await?).map_err(told)?;
            Ok(Opened::Open(Box::new(socket)))
        }
        Err(Error::Http(answer)) => Ok(Opened::Refused(answer)),
        Err(error) => Err(format!("a handshake: {error}")),
    }
}

/// Opens a socket.
///
/// # Errors
/// If it is refused.
pub(super) async fn open(service: &Service, target: &str, headers: &[(&'static str, &str)]) -> Result<Socket, String> {
    match handshake(service, target, headers).await? {
        Opened::Open(socket) => Ok(*socket),
        Opened::Refused(answer) => Err(format!("a handshake of {target}: expected a socket, got {answer:?}")),
    }
}

/// Opens a socket with a key in a header.
pub(super) async fn open_with(service: &Service, key: &str) -> Result<Socket, String> {
    open(service, "/ws/a", &[("X-API-Key", key)]).await
}

/// Opens a socket as soon as it can be: the server may have to notice that another one has ended.
pub(super) async fn open_soon(service: &Service, key: &str) -> Result<Socket, String> {
    let begun = Instant::now();
    loop {
        match open_with(service, key).await {
            Err(_) if begun.elapsed() < PATIENCE => sleep(Duration::from_millis(20)).await,
            opened => return opened,
        }
    }
}

/// A handshake, written in lines, with more header lines.
pub(super) fn written(target: &str, more: &str) -> ModelRequest {
    let text = format!(
        "GET {target}\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    );
    request(&text, more)
}

/// A request, written in lines, with more header lines.
pub(super) fn request(text: &str, more: &str) -> ModelRequest {
    let text = if more.is_empty() { text.to_owned() } else { format!("{text}\n{more}") };
    ModelRequest::parse(&text, Some([127, 0, 0, 1].into()))
}

/// Sends a request that must be denied with this status and, in its one event, for this reason.
///
/// # Errors
/// What came instead.
pub(super) async fn denied(
    service: &mut Service,
    request: &ModelRequest,
    now: Moment,
    status: u16,
    reason: &str,
) -> Result<Received, String> {
    let before = service.answered();
    let (received, events) = service.ask(request, now).await?;
    let context = |problem| format!("{request:?}\n{problem}\n{received:?}\n{events:?}");
    same("status", &status, &received.status).map_err(context)?;
    let reasons: Vec<Option<&str>> = events.iter().map(|event| event["reason"].as_str()).collect();
    same("reasons", &vec![Some(reason)], &reasons).map_err(context)?;
    same("requests that handlers saw", &before, &service.answered()).map_err(context)?;
    Ok(received)
}

impl Socket {
    /// It is open in both directions.
    ///
    /// # Errors
    /// If nothing, or something else, comes back.
    pub(super) async fn echoes(&mut self) -> Result<(), String> {
        self.echoed += 1;
        let text = format!("echo me, {}", self.echoed);
        self.stream.send(Message::text(text.clone())).await.map_err(told)?;
        same("echo", &text, &self.next_text().await?)
    }

    /// It is still open after everybody has looked at it who might end it.
    ///
    /// # Errors
    /// If it is not.
    pub(super) async fn stays(&mut self) -> Result<(), String> {
        sleep(Duration::from_millis(700)).await;
        self.echoes().await.map_err(|problem| format!("a connection that has no reason to end: {problem}"))
    }

    /// Its key has just ended, and so has it, with this code.
    ///
    /// # Errors
    /// If it has not, or otherwise, or not soon enough.
    pub(super) async fn ends(&mut self, code: u16) -> Result<(), String> {
        self.ends_saying(code, |message| Err(format!("expected a close frame, got {message:?}"))).await
    }

    /// The same, where messages may be on their way.
    pub(super) async fn ends_in_the_midst(&mut self, code: u16) -> Result<(), String> {
        self.ends_saying(code, |_| Ok(())).await
    }

    async fn ends_saying(&mut self, code: u16, other: impl Fn(Message) -> Result<(), String>) -> Result<(), String> {
        let frame = within(ENDS_WITHIN, async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Close(frame))) => return Ok(frame),
                    Some(Ok(message)) => other(message)?,
                    end => return Err(format!("expected a close frame, got {end:?}")),
                }
            }
        });
        let frame = frame.await.ok_or("its key has ended, and the connection is open after a second")??;
        let Some(CloseFrame { code: got, reason }) = frame else { return Err("a close frame without a code".to_owned()) };
        same("close code", &code, &u16::from(got))?;
        same("whether a reason is told", &true, &!reason.is_empty())?;
        self.is_over().await
    }

    /// Nothing comes any more, and the server has ended the connection.
    async fn is_over(&mut self) -> Result<(), String> {
        match timeout(PATIENCE, self.stream.next()).await {
            Ok(None | Some(Err(_))) => Ok(()),
            Ok(Some(Ok(message))) => Err(format!("behind the close frame came {message:?}")),
            Err(_) => Err("the connection was closed, and never ended".to_owned()),
        }
    }

    /// Closes it, as clients do.
    ///
    /// # Errors
    /// If the server does not end it.
    pub(super) async fn close(mut self) -> Result<(), String> {
        self.stream.close(None).await.map_err(told)?;
        loop {
            match timeout(PATIENCE, self.stream.next()).await.map_err(told)? {
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Ok(()),
            }
        }
    }

    /// Goes away without a word.
    pub(super) fn vanish(self) -> Result<(), String> {
        self.stream.get_ref().set_zero_linger().map_err(told)
    }

    /// Sends a message, and does not wait for what comes back.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), String> {
        self.stream.send(Message::text(text)).await.map_err(told)
    }

    async fn next_text(&mut self) -> Result<String, String> {
        match timeout(PATIENCE, self.stream.next()).await.map_err(told)? {
            Some(Ok(Message::Text(text))) => Ok(text.to_string()),
            other => Err(format!("expected a text, got {other:?}")),
        }
    }
}

/// What comes of a future in time. A machine on which everything is late makes it later: each step of a server is, too.
async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    const TICK: Duration = Duration::from_millis(20);
    let begun = Instant::now();
    let mut future = pin!(timeout(PATIENCE, future));
    let mut late = Duration::ZERO;
    loop {
        let (ticked, tick) = (Instant::now(), pin!(sleep(TICK)));
        let ended = select(future, tick).await;
        late += ticked.elapsed().saturating_sub(2 * TICK);
        match ended {
            Either::Left((done, _)) => return done.ok().filter(|_| begun.elapsed() <= time + 2 * late),
            Either::Right(((), still)) => future = still,
        }
    }
}

pub(super) fn same<T: PartialEq + Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got { Ok(()) } else { Err(format!("{what}: expected {expected:?}, got {got:?}")) }
}

pub(super) fn told(problem: impl Display) -> String {
    problem.to_string()
}
