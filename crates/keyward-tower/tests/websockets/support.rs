//! A server on hyper whose handler opens WebSockets, and clients that can send anything.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use keyward::audit::{AuditEvent, AuditSink};
use keyward::clock::ManualClock;
use keyward::key::{KeyId, Record};
use keyward::store::{KeyStore, Presented};
use keyward::{Answer, Fault, Guard, Keys, MemoryStore, NewKey, Pass, Peer, Policy, SocketEnd, Timestamp};
use keyward_tower::live::{self, HeldSocket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::{Service, service_fn};

/// The handler's side of a connection.
pub(crate) type Socket = HeldSocket<WebSocketStream<TokioIo<Upgraded>>>;

/// The client's side of it.
pub(crate) type Client = WebSocketStream<TcpStream>;

/// What has to happen has to happen within this time, and does within a fraction of it.
pub(crate) const SOON: Duration = Duration::from_secs(5);

/// A guard, who looks after its keys, and its time.
pub(crate) struct World {
    pub(crate) guard: Guard,
    pub(crate) keys: Keys,
    pub(crate) clock: ManualClock,
    /// How many requests the handler has seen.
    pub(crate) handled: Arc<AtomicUsize>,
    /// How many connections have ended.
    pub(crate) finished: Arc<AtomicUsize>,
    /// Whether the store answers nothing any more.
    pub(crate) is_away: Arc<AtomicBool>,
    /// Whether the next lookup by id panics.
    pub(crate) panics_once: Arc<AtomicBool>,
}

/// How a guard's store and its audit answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Store {
    AtOnce,
    /// Everything has to be waited for, the audit included.
    Waiting,
}

pub(crate) fn world(policy: &str, store: Store) -> World {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
    let memory = MemoryStore::new();
    let is_away = Arc::new(AtomicBool::new(false));
    let panics_once = Arc::new(AtomicBool::new(false));
    let guard = Guard::builder(Policy::from_toml("policy.toml", policy).unwrap())
        .store(Stored { keys: memory.clone(), store, is_away: is_away.clone(), panics_once: panics_once.clone() })
        .audit(Sink(store))
        .clock(clock.clone())
        .build()
        .unwrap();
    World {
        guard,
        keys: Keys::new(memory).clock(clock.clone()),
        clock,
        handled: Arc::default(),
        finished: Arc::default(),
        is_away,
        panics_once,
    }
}

impl World {
    pub(crate) async fn key(&self) -> (KeyId, String) {
        let made = self.keys.create(NewKey::named("a key")).await.unwrap();
        (made.record().id, made.secret().expose().to_owned())
    }

    /// Serves a handler of WebSockets behind this guard.
    pub(crate) async fn serve<F, Fut>(&self, handler: F) -> SocketAddr
    where
        F: FnOnce(Socket) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        serve(tower::Layer::layer(&keyward_tower::guard(self.guard.clone()), self.opens(handler))).await
    }

    /// A service without a guard, that opens a WebSocket for whatever is asked.
    pub(crate) fn opens<F, Fut>(
        &self,
        handler: F,
    ) -> impl Service<Request<Incoming>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send> + Clone + Send + 'static
    where
        F: FnOnce(Socket) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (handled, finished) = (self.handled.clone(), self.finished.clone());
        service_fn(move |request| {
            handled.fetch_add(1, Ordering::SeqCst);
            let (handler, finished) = (handler.clone(), finished.clone());
            async move { Ok(open(request, handler, finished)) }
        })
    }
}

fn open<F, Fut>(mut request: Request<Incoming>, handler: F, finished: Arc<AtomicUsize>) -> Response<Full<Bytes>>
where
    F: FnOnce(Socket) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let mut response = Response::new(Full::default());
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else { return response };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key.as_bytes()).parse().unwrap();
    response.headers_mut().insert(header::CONNECTION, "upgrade".parse().unwrap());
    response.headers_mut().insert(header::UPGRADE, "websocket".parse().unwrap());
    response.headers_mut().insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    let live = request.extensions().get::<Pass>().unwrap().live_socket();
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = TokioIo::new(upgraded.await.unwrap());
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Server, None).await;
        live::run(live, socket, close, handler).await;
        finished.fetch_add(1, Ordering::SeqCst);
    });
    response
}

fn close(end: SocketEnd) -> Message {
    Message::Close(Some(CloseFrame { code: end.code().into(), reason: end.reason().into() }))
}

/// Serves connections with upgrades, as hyper calls it.
pub(crate) async fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service =
                TowerToHyperService::new(tower::util::MapRequest::new(service.clone(), move |mut request: Request<_>| {
                    request.extensions_mut().insert(Peer(peer.ip()));
                    request
                }));
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Opens a WebSocket with these headers.
pub(crate) async fn connect(address: SocketAddr, headers: &[(&'static str, &str)]) -> Result<(Client, Response<()>), Error> {
    let mut request = format!("ws://{address}/ws").into_client_request()?;
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (client, answer) = client_async(request, TcpStream::connect(address).await?).await?;
    Ok((client, answer.map(|_| ())))
}

pub(crate) async fn connect_with(address: SocketAddr, key: &str) -> Client {
    connect(address, &[("x-api-key", key)]).await.unwrap().0
}

/// The code and the reason with which the connection is closed, whatever comes before. An error is a connection that is broken off.
pub(crate) async fn closed(client: &mut Client) -> Result<(u16, String), String> {
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

/// Waits until it is so, which it is soon.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, waiting).await.expect("it is still not so");
}

/// Everything that comes back until the server closes. An error is a connection that is reset, or not closed soon.
pub(crate) async fn send(address: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    timeout(SOON, stream.read_to_end(&mut answer)).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    Ok(answer)
}

pub(crate) fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub(crate) fn body(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    &answer[end + 4..]
}

struct Stored {
    keys: MemoryStore,
    store: Store,
    is_away: Arc<AtomicBool>,
    panics_once: Arc<AtomicBool>,
}

impl Stored {
    fn answer(&self, found: Answer<Option<Arc<Record>>>) -> Answer<Option<Arc<Record>>> {
        if self.is_away.load(Ordering::SeqCst) {
            return Answer::fault(Fault::new("away"));
        }
        match self.store {
            Store::AtOnce => found,
            Store::Waiting => Answer::Pending(Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                found.wait().await
            })),
        }
    }
}

impl KeyStore for Stored {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.answer(self.keys.find(presented))
    }

    fn find_by_id(&self, id: &KeyId, now: keyward::clock::Now) -> Answer<Option<Arc<Record>>> {
        assert!(!self.panics_once.swap(false, Ordering::SeqCst), "as stores do");
        self.answer(self.keys.find_by_id(id, now))
    }
}

struct Sink(Store);

impl AuditSink for Sink {
    fn may_wait(&self) -> bool {
        self.0 == Store::Waiting
    }

    fn record(&self, _: &AuditEvent<'_>) -> Answer<()> {
        if !self.may_wait() {
            return Answer::ready(());
        }
        Answer::Pending(Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }))
    }
}
