//! A real server around an application, and a client that sends bytes as they are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, HttpServer};
use keyward::clock::Now;
use keyward::key::{KeyId, Record};
use keyward::store::{KeyStore, Presented};
use keyward::{Answer, Guard, Keys, MemoryStore, NewKey, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A guard over a store that holds two keys.
pub(crate) struct Guarded {
    pub(crate) guard: Guard,
    /// A key without any scope.
    pub(crate) plain: String,
    /// A key with the scope `reports:read`.
    pub(crate) reader: String,
    /// How often a slow store was asked.
    pub(crate) lookups: Arc<AtomicUsize>,
}

/// Whether the store answers at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    InMemory,
    Slow(Duration),
}

pub(crate) async fn guarded(policy: &str, store: Store) -> Guarded {
    let memory = MemoryStore::new();
    let keys = Keys::new(memory.clone());
    let plain = keys.create(NewKey::named("plain")).await.unwrap();
    let reader = keys.create(NewKey::named("reader").scope("reports:read").unwrap()).await.unwrap();
    let builder = Guard::builder(Policy::from_toml("policy.toml", policy).unwrap());
    let lookups = Arc::new(AtomicUsize::new(0));
    let builder = match store {
        Store::InMemory => builder.store(memory),
        Store::Slow(delay) => builder.store(Slow { store: memory, delay, lookups: lookups.clone() }),
    };
    let secret = |made: &keyward::Made| made.secret().expose().to_owned();
    Guarded { guard: builder.build().unwrap(), plain: secret(&plain), reader: secret(&reader), lookups }
}

/// A store that always has to be waited for.
pub(crate) struct Slow {
    pub(crate) store: MemoryStore,
    pub(crate) delay: Duration,
    pub(crate) lookups: Arc<AtomicUsize>,
}

impl Slow {
    fn later(&self, found: Answer<Option<Arc<Record>>>) -> Answer<Option<Arc<Record>>> {
        let delay = self.delay;
        self.lookups.fetch_add(1, Ordering::SeqCst);
        Answer::Pending(Box::pin(async move {
            tokio::time::sleep(delay).await;
            found.wait().await
        }))
    }
}

impl KeyStore for Slow {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.later(self.store.find(presented))
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.later(self.store.find_by_id(id, now))
    }
}

/// Serves HTTP/1 and cleartext HTTP/2 for as long as the test's runtime lives.
pub(crate) fn serve<T, B>(app: impl Fn() -> App<T> + Send + Clone + 'static) -> SocketAddr
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()> + 'static,
    T::Service: 'static,
    T::Future: 'static,
    <T::Service as Service<ServiceRequest>>::Future: 'static,
    B: MessageBody + 'static,
{
    let server = HttpServer::new(app).workers(1).disable_signals().bind_auto_h2c("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    tokio::spawn(server.run());
    address
}

/// What comes back until the server closes; nothing, if it closes without an answer.
pub(crate) async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early closes while the rest is still on its way.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn get(address: SocketAddr, target: &str, key: &str) -> String {
    let key = if key.is_empty() { String::new() } else { format!("X-API-Key: {key}\r\n") };
    send(address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n")).await
}

/// The status, and 0 where there is no answer.
pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
