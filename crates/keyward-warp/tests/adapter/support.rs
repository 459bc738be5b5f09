//! A served guard, two keys, and clients that can send anything.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyward::audit::{AuditEvent, AuditSink};
use keyward::clock::Now;
use keyward::key::{KeyId, Record};
use keyward::store::{KeyStore, Presented};
use keyward::ticket::{ServerSecret, Tickets};
use keyward::{Answer, Guard, Keys, MemoryStore, NewKey, Policy, SystemRandom};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use warp::{Filter, Rejection, Reply};

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) guard: Guard,
    /// A key without scopes.
    pub(crate) plain: String,
    /// A key with `reports:read`.
    pub(crate) reader: String,
    #[cfg(feature = "websocket")]
    pub(crate) keys: Keys,
    events: Events,
}

/// A guard with its two keys, which nothing serves yet. Its store and its audit may always have to be waited for.
pub(crate) async fn guard(policy: &str, slow: bool) -> Service {
    let memory = MemoryStore::new();
    let keys = Keys::new(memory.clone());
    let plain = keys.create(NewKey::named("plain")).await.unwrap();
    let reader = keys.create(NewKey::named("reader").scope("reports:read").unwrap()).await.unwrap();
    let events = Events::default();
    let guard = Guard::builder(Policy::from_toml("policy.toml", policy).unwrap())
        .store(Store { keys: memory, slow })
        .audit(Sink { events: events.clone(), slow })
        .tickets(Tickets::new(ServerSecret::generate(&SystemRandom).unwrap()))
        .build()
        .unwrap();
    let (plain, reader) = (plain.secret().expose().to_owned(), reader.secret().expose().to_owned());
    Service {
        address: ([127, 0, 0, 1], 0).into(),
        guard,
        plain,
        reader,
        #[cfg(feature = "websocket")]
        keys,
        events,
    }
}

pub(crate) async fn start<F>(policy: &str, routes: impl FnOnce(Guard) -> F) -> Service
where
    F: Filter<Error = Rejection> + Send + Sync + 'static,
    F::Extract: Reply,
{
    start_with(guard(policy, false).await, routes).await
}

pub(crate) async fn start_with<F>(mut service: Service, routes: impl FnOnce(Guard) -> F) -> Service
where
    F: Filter<Error = Rejection> + Send + Sync + 'static,
    F::Extract: Reply,
{
    let listener = TcpListener::bind(service.address).await.unwrap();
    service.address = listener.local_addr().unwrap();
    let routes = routes(service.guard.clone());
    tokio::spawn(keyward_warp::serve(service.guard.clone(), routes).incoming(listener).run());
    service
}

impl Service {
    /// Everything that comes back until the server closes.
    pub(crate) async fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early closes while the rest is still on its way.
        let _ = stream.write_all(request.as_ref()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, key: &str) -> String {
        let key = if key.is_empty() { String::new() } else { format!("X-API-Key: {key}\r\n") };
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n")).await
    }

    pub(crate) async fn get(&self, target: &str, key: &str) -> String {
        self.ask("GET", target, key).await
    }

    /// The audit events since the last time.
    pub(crate) fn events(&self) -> Vec<Value> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// Their reasons.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.events().iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }
}

/// The status; 0 where the server closed without an answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// What differs from one answer to the next is left out.
pub(crate) fn without_date(answer: &str) -> String {
    answer.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n")
}

struct Store {
    keys: MemoryStore,
    slow: bool,
}

impl Store {
    fn answer(&self, found: Answer<Option<Arc<Record>>>) -> Answer<Option<Arc<Record>>> {
        if !self.slow {
            return found;
        }
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            found.wait().await
        }))
    }
}

impl KeyStore for Store {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.answer(self.keys.find(presented))
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.answer(self.keys.find_by_id(id, now))
    }
}

type Events = Arc<Mutex<Vec<Value>>>;

struct Sink {
    events: Events,
    slow: bool,
}

impl AuditSink for Sink {
    fn may_wait(&self) -> bool {
        self.slow
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        let (events, event) = (self.events.clone(), serde_json::to_value(event).unwrap());
        if !self.slow {
            events.lock().unwrap().push(event);
            return Answer::ready(());
        }
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            events.lock().unwrap().push(event);
            Ok(())
        }))
    }
}
