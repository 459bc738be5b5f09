//! A service with WebSockets behind a guard, and clients of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, rt, web};
use actix_ws::{Message as Sent, MessageStream, Session};
use futures_util::{SinkExt as _, StreamExt as _};
use keyward::clock::ManualClock;
use keyward::key::KeyId;
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{Guard, GuardBuilder, Keys, MemoryStore, NewKey, Policy, SystemRandom, Timestamp};
use keyward_actix::LiveSocket;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{
    Error as SocketError, Message, client::IntoClientRequest as _, handshake::client::Response,
};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{Slow, Store, serve};

pub(crate) type Client = WebSocketStream<TcpStream>;

/// A connection ends within a second of its key; and half of one for a busy machine.
pub(crate) const WITHIN: Duration = Duration::from_millis(1_500);

/// A guard, what is behind it, and the time there.
pub(crate) struct World {
    pub(crate) guard: Guard,
    pub(crate) keys: Keys,
    pub(crate) clock: ManualClock,
    pub(crate) tally: Tally,
}

/// What the handlers did.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    opened: Arc<AtomicUsize>,
    told: Arc<AtomicUsize>,
}

impl Tally {
    /// How many handshakes have reached a handler.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// How many tasks with a clone of a session were told that it is closed.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }
}

impl World {
    pub(crate) fn of(policy: &str, store: Store) -> Self {
        Self::with(policy, store, |builder| builder)
    }

    pub(crate) fn with(policy: &str, store: Store, more: impl FnOnce(GuardBuilder) -> GuardBuilder) -> Self {
        let clock = ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000));
        let memory = MemoryStore::new();
        let keys = Keys::new(memory.clone()).clock(clock.clone());
        let builder = Guard::builder(Policy::from_toml("policy.toml", policy).unwrap()).clock(clock.clone());
        let builder = match store {
            Store::InMemory => builder.store(memory),
            Store::Slow(delay) => builder.store(Slow { store: memory, delay, lookups: Arc::default() }),
        };
        let builder = builder.tickets(Tickets::new(ServerSecret::generate(&SystemRandom).unwrap()));
        Self { guard: more(builder).build().unwrap(), keys, clock, tally: Tally::default() }
    }

    pub(crate) async fn key(&self) -> (KeyId, String) {
        let made = self.keys.create(NewKey::named("socket")).await.unwrap();
        (made.record().id, made.secret().expose().to_owned())
    }

    pub(crate) fn serve(&self) -> SocketAddr {
        let (guard, routes) = (self.guard.clone(), self.routes());
        serve(move || App::new().configure(&routes).wrap(keyward_actix::guard(guard.clone())))
    }

    /// As [`serve`](Self::serve), by a server that lends its sockets to the guard.
    pub(crate) fn serve_with_sockets(&self) -> SocketAddr {
        let (guard, routes) = (self.guard.clone(), self.routes());
        let app = move || App::new().configure(&routes).wrap(keyward_actix::guard(guard.clone()));
        let server = HttpServer::new(app).workers(1).disable_signals().on_connect(keyward_actix::on_connect);
        let server = server.bind("127.0.0.1:0").unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        address
    }

    /// `/ws/{handler}`, and `/auth/token`.
    pub(crate) fn routes(&self) -> impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static {
        let tally = self.tally.clone();
        move |services: &mut web::ServiceConfig| {
            services
                .app_data(web::Data::new(tally.clone()))
                .route("/ws/{handler}", web::get().to(open))
                .route("/auth/token", web::post().to(keyward_actix::ticket));
        }
    }
}

async fn open(
    live: LiveSocket,
    tally: web::Data<Tally>,
    handler: web::Path<String>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse, Error> {
    tally.opened.fetch_add(1, Ordering::SeqCst);
    let (answer, mut session, messages) = actix_ws::handle_with_protocols(&request, body, &["chat"])?;
    let first = request.query_string().to_owned();
    let tally = tally.as_ref().clone();
    let handler = handler.into_inner();
    let is_aborted = handler == "is-aborted";
    let running = rt::spawn(live.run(session.clone(), messages, async move |own, messages| {
        let _ = session.text(first).await;
        drop(session);
        handle(&handler, own, messages, &tally).await;
    }));
    if is_aborted {
        rt::spawn(async move {
            sleep(Duration::from_millis(100)).await;
            running.abort();
        });
    }
    Ok(answer)
}

/// What handlers do.
async fn handle(how: &str, mut session: Session, mut messages: MessageStream, tally: &Tally) {
    match how {
        "echoes" => {
            while let Some(Ok(Sent::Text(text))) = messages.recv().await {
                if session.text(text).await.is_err() {
                    return;
                }
            }
        }
        "never-looks" => std::future::pending().await,
        "only-sends" => while session.text("more").await.is_ok() {},
        "floods" => while session.binary(vec![0; 10_000]).await.is_ok() {},
        "gives-up" => {
            let send = async |session: &mut Session| session.binary(vec![0; 10_000]).await.is_ok();
            while timeout(Duration::from_millis(200), send(&mut session)).await == Ok(true) {}
        }
        "has-clones" | "is-aborted" => {
            send_from_elsewhere(&session, tally);
            let _idle = rt::spawn({
                let session = session.clone();
                async move {
                    std::future::pending::<()>().await;
                    drop(session);
                }
            });
            std::future::pending().await
        }
        "returns" => send_from_elsewhere(&session, tally),
        other => panic!("no handler {other}"),
    }
}

fn send_from_elsewhere(session: &Session, tally: &Tally) {
    let (mut session, told) = (session.clone(), tally.told.clone());
    rt::spawn(async move {
        while session.text("from elsewhere").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        told.fetch_add(1, Ordering::SeqCst);
    });
}

/// Opens a connection, or has the status of the refusal.
pub(crate) async fn connect(
    address: SocketAddr,
    target: &str,
    headers: &[(&'static str, &str)],
) -> Result<(Client, Response), u16> {
    let mut request = format!("ws://localhost{target}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    match client_async(request, stream).await {
        Ok(opened) => Ok(opened),
        Err(SocketError::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Opens a connection with a key, and waits until its handler runs.
pub(crate) async fn open_with(address: SocketAddr, handler: &str, key: &str) -> Client {
    let target = format!("/ws/{handler}?hello");
    let (mut client, _) = connect(address, &target, &[("X-API-Key", key)]).await.unwrap();
    assert_eq!(next_text(&mut client).await, "hello");
    client
}

pub(crate) async fn next_text(client: &mut Client) -> String {
    client.next().await.unwrap().unwrap().into_text().unwrap().to_string()
}

/// Whether somebody answers there.
pub(crate) async fn echoes(client: &mut Client) -> bool {
    client.send("are you there?".into()).await.is_ok() && next_text(client).await == "are you there?"
}

/// Reads to the close frame, and to the end behind it; the frame's code, 1005 for none in it, and its reason.
pub(crate) async fn closed_within(client: &mut Client, most: Duration) -> Option<(u16, String)> {
    let close = timeout(most, async {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(close))) => return close,
                Some(Ok(_)) => {}
                other => panic!("no close frame, but {other:?}"),
            }
        }
    });
    let told = close.await.ok()?.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string()));
    let rest = timeout(Duration::from_secs(4), client.next()).await;
    assert!(matches!(rest, Ok(None | Some(Err(SocketError::ConnectionClosed)))), "{rest:?} behind the close frame");
    Some(told)
}

/// Whether the server has ended the connection of a client that does not read: what it still sends is answered by a reset.
pub(crate) async fn is_gone(client: &mut Client) -> bool {
    const EMPTY_PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
    for _ in 0..2 {
        if client.get_mut().write_all(&EMPTY_PONG).await.is_err() {
            return true;
        }
        sleep(Duration::from_millis(20)).await;
    }
    false
}

pub(crate) async fn closed(client: &mut Client) -> Option<(u16, String)> {
    closed_within(client, WITHIN).await
}
