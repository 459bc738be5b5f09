//! A served router whose handlers open WebSockets, and clients that can send anything.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message as Sent, WebSocketUpgrade};
use axum::extract::{OriginalUri, Request};
use axum::response::Response;
use axum::routing::{any, post};
use futures_util::{SinkExt, StreamExt};
use keyward::clock::{ManualClock, Now};
use keyward::key::{KeyId, Record};
use keyward::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, News, Presented, RecordStore, Refused, SlotUsage,
};
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{Answer, Cached, Guard, Keys, MemoryStore, NewKey, Policy, SystemRandom, Timestamp, scopes};
use keyward_axum::{HeldSocket, LiveSocket};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// The client's side of a connection.
pub(crate) type Client = WebSocketStream<TcpStream>;

/// What has to happen has to happen within this time, and does within a fraction of it.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A served router, who looks after the keys, and the guard's time.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) keys: Keys,
    pub(crate) clock: ManualClock,
    /// The URIs that handlers of WebSockets saw.
    pub(crate) handled: Arc<Mutex<Vec<String>>>,
    /// How many connections are open, to the handlers' knowledge.
    pub(crate) open: Arc<AtomicUsize>,
}

/// Where the keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    /// Kept in front of one that always takes a while.
    Cached,
}

pub(crate) async fn start(policy: &str, store: Store) -> Service {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    let memory = MemoryStore::new();
    let store: Arc<dyn RecordStore> = match store {
        Store::Memory => Arc::new(memory),
        Store::Cached => Arc::new(Cached::builder().clock(clock.clone()).over(Slow(memory))),
    };
    let guard = Guard::builder(Policy::from_toml("policy.toml", policy).unwrap())
        .store(store.clone())
        .tickets(Tickets::new(ServerSecret::generate(&SystemRandom).unwrap()))
        .clock(clock.clone())
        .build()
        .unwrap();
    let (handled, open) = (Arc::default(), Arc::default());
    let app = app(guard, &handled, &open);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await });
    Service { address, keys: Keys::new(store).clock(clock.clone()), clock, handled, open }
}

fn app(guard: Guard, handled: &Arc<Mutex<Vec<String>>>, open: &Arc<AtomicUsize>) -> Router {
    let socket = |run: fn(HeldSocket) -> Running| {
        let (handled, open) = (handled.clone(), open.clone());
        any(move |live: LiveSocket, OriginalUri(original): OriginalUri, upgrade: WebSocketUpgrade, request: Request| {
            handled.lock().unwrap().push(format!("{} {original} {:?}", request.uri(), request.headers()));
            let alive = Alive::of(&open);
            async move {
                upgrade.protocols(["chat"]).on_upgrade(async move |socket| {
                    live.run(socket, run).await;
                    drop(alive);
                }) as Response
            }
        })
    };
    let admin = Router::new()
        .route("/ws", socket(|socket| Box::pin(echo(socket))))
        .layer(keyward_axum::guard(guard.requiring(scopes!["admin"])));
    let routes = Router::new()
        .route("/ws", socket(|socket| Box::pin(echo(socket))))
        .route("/ws/waits", socket(|socket| Box::pin(waits(socket))))
        .route("/ws/sends", socket(|socket| Box::pin(sends(socket))))
        .route("/ws/floods", socket(|socket| Box::pin(floods(socket))))
        .route("/ws/gives-up", socket(|socket| Box::pin(gives_up(socket))))
        .route("/ws/splits", socket(|socket| Box::pin(splits(socket))))
        .route("/auth/token", post(keyward_axum::ticket))
        .nest("/admin", admin);
    keyward_axum::guarded(routes, guard)
}

type Running = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn echo(mut socket: HeldSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Sent::Text(_)) && socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn waits(_socket: HeldSocket) {
    std::future::pending().await
}

async fn sends(mut socket: HeldSocket) {
    while socket.send(Sent::text("and another thing")).await.is_ok() {}
}

async fn floods(mut socket: HeldSocket) {
    while socket.send(Sent::binary(vec![0; 10_000])).await.is_ok() {}
}

async fn gives_up(mut socket: HeldSocket) {
    let send = async |socket: &mut HeldSocket| socket.send(Sent::binary(vec![0; 10_000])).await.is_ok();
    while timeout(Duration::from_millis(200), send(&mut socket)).await == Ok(true) {}
}

async fn splits(socket: HeldSocket) {
    let (mut sender, mut reader) = socket.split();
    tokio::spawn(async move { while let Some(Ok(_)) = reader.next().await {} });
    tokio::spawn(async move {
        while sender.send(Sent::text("tick")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// Counts as long as it is not dropped.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service {
    pub(crate) async fn key(&self) -> (KeyId, String) {
        let made = self.keys.create(NewKey::named("a key")).await.unwrap();
        (made.record().id, made.secret().expose().to_owned())
    }

    /// Opens a WebSocket with these headers.
    pub(crate) async fn connect(&self, target: &str, headers: &[(&'static str, &str)]) -> Result<(Client, Answered), Error> {
        let mut request = format!("ws://{}{target}", self.address).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (client, answer) = client_async(request, TcpStream::connect(self.address).await?).await?;
        Ok((client, answer.map(|_| ())))
    }

    pub(crate) async fn open(&self, target: &str, key: &str) -> Client {
        self.connect(target, &[("x-api-key", key)]).await.unwrap().0
    }

    /// With which status a handshake is refused.
    pub(crate) async fn refused(&self, target: &str, key: &str) -> u16 {
        match self.connect(target, &[("x-api-key", key)]).await {
            Err(Error::Http(answer)) => answer.status().as_u16(),
            other => panic!("{target}: {other:?}"),
        }
    }

    /// Everything that comes back until the server closes. An error is a connection that is reset, or not closed soon.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_ref()).await?;
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer)).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The text with which a request is denied that is no handshake.
    pub(crate) async fn told(&self, target: &str, key: &str) -> String {
        let answer = self.ask("GET", target, key).await;
        let told: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
        told["detail"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, key: &str) -> String {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: {key}\r\n\r\n");
        self.send(request).await.unwrap()
    }

    pub(crate) fn handled(&self) -> usize {
        self.handled.lock().unwrap().len()
    }

    pub(crate) fn open_now(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

type Answered = axum::http::Response<()>;

pub(crate) async fn is_open(client: &mut WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) -> bool {
    client.send(Message::text("are you there?")).await.is_ok()
        && matches!(timeout(SOON, client.next()).await, Ok(Some(Ok(Message::Text(_)))))
}

/// The code and the reason with which the connection is closed, whatever comes before. An error is a connection that is broken off.
pub(crate) async fn closed(client: &mut WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>) -> Result<(u16, String), String> {
    let mut close = None;
    timeout(SOON, async {
        while let Some(message) = client.next().await {
            if let Message::Close(frame) = message.map_err(|error| error.to_string())? {
                close = frame.map(|frame| (frame.code.into(), frame.reason.to_string()));
            }
        }
        close.ok_or_else(|| "closed without a close frame".to_owned())
    })
    .await
    .map_err(|_| "still open".to_owned())?
}

/// Whether the server has ended the connection of a client that does not read: what it still sends is answered by a reset.
pub(crate) async fn is_gone(client: &mut Client) -> bool {
    const EMPTY_PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
    for _ in 0..2 {
        if client.get_mut().write_all(&EMPTY_PONG).await.is_err() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Waits until it is so, which it is soon.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waiting).await.expect("it is still not so");
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// A store that always has to be waited for.
struct Slow(MemoryStore);

impl Slow {
    fn later<T: Send + 'static>(answer: Answer<T>) -> Answer<T> {
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answer.wait().await
        }))
    }
}

impl KeyStore for Slow {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        Self::later(self.0.find(presented))
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        Self::later(self.0.find_by_id(id, now))
    }

    fn binds(&self, prefix: &str) -> bool {
        self.0.binds(prefix)
    }
}

impl RecordStore for Slow {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        Self::later(self.0.insert(insert, by))
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        Self::later(self.0.get(id))
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        Self::later(self.0.list(filter, after, limit))
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        Self::later(self.0.change(id, change, by))
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        Self::later(self.0.purge(id, by))
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        Self::later(self.0.bind(prefix))
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        Self::later(self.0.usage(ids))
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        Self::later(self.0.journal(after, limit))
    }

    fn watch(&self, news: Weak<dyn News>) {
        self.0.watch(news);
    }
}
