//! A service under test: a guard made from a policy file, keys and an environment, and its audit events.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::Display,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use keyward::{
    Answer, Fault, Guard, Keys, KeysError, MemoryStore, Policy,
    audit::{AuditEvent, AuditSink, LineFormat, Lines},
    clock::{ManualClock, Now, Timestamp},
    import::{self, ImportedSecret},
    key::{KeyId, Record},
    limit::Quota,
    store::{KeyStore, Presented, Refused, Update},
    ticket::{ServerSecret, Tickets},
};
use serde_json::Value;

use crate::{
    cases::{Case, START},
    conformance::Conformance,
    harness::{Adapter, Running},
    in_process,
    model::{
        happening::Happening,
        policy::{ModelPolicy, OnDenial},
        request::ModelRequest,
        time::Moment,
    },
    wire::{self, Protocol, Received},
};

/// A service that an adapter runs, with its clock in our hands.
#[derive(Debug)]
pub struct Service {
    reached: Reached,
    conformance: Conformance,
    clock: ManualClock,
    now: Moment,
    /// How far civil time is ahead of the steady clock.
    civil_ahead: Moment,
    keys: Keys,
    ids: BTreeMap<String, KeyId>,
    events: Events,
    store_is_away: Arc<AtomicBool>,
}

/// What tickets of services under test are signed with.
const SERVER_SECRET: &[u8] = b"7Qz!r2m@Wk9#Xv4$Lp6%Tn8^Bh1&Jd3*";

/// How requests get to the guard.
#[derive(Debug)]
enum Reached {
    Socket(Running, Protocol),
    InProcess(Box<Conformance>),
}

/// Where a service runs.
#[derive(Clone, Copy)]
pub enum Place {
    /// In an adapter's server, asked over this protocol.
    Adapter(Adapter, Protocol),
    /// The same, where every decision has to wait for its audit event to be recorded.
    Waiting(Adapter),
    /// In this process, without a server.
    InProcess,
}

impl Place {
    /// What the suite's output calls it.
    pub fn name(&self) -> String {
        match self {
            Place::Adapter(adapter, Protocol::Http1) => adapter.name.to_owned(),
            Place::Adapter(adapter, Protocol::Http2) => format!("{} over HTTP/2", adapter.name),
            Place::Waiting(adapter) => format!("{} waiting", adapter.name),
            Place::InProcess => "core".to_owned(),
        }
    }

    /// Whether the request can get there.
    pub fn can_be_asked(&self, request: &ModelRequest) -> bool {
        match self {
            Place::InProcess => true,
            // Every socket has somebody at its other end.
            _ if request.peer.is_none() => false,
            Place::Adapter(_, Protocol::Http2) => wire::can_be_said_in_http2(request),
            Place::Adapter(_, Protocol::Http1) | Place::Waiting(_) => true,
        }
    }

    /// Whether everything that a case needs is there.
    pub fn can_run(&self, case: &Case) -> bool {
        let nests = match self {
            Place::Adapter(adapter, _) | Place::Waiting(adapter) => adapter.nests,
            Place::InProcess => false,
        };
        (nests || !case.nests)
            && case
                .steps
                .iter()
                .all(|step| self.can_be_asked(&step.request) && (self.upgrades() || step.expected.close.is_none()))
    }

    /// The policy as it takes effect there: a server without WebSockets completes no handshake, not even to close it.
    pub(crate) fn in_force(&self, mut policy: ModelPolicy) -> ModelPolicy {
        if !self.upgrades() {
            policy.websocket.on_denial = OnDenial::Refuse;
        }
        policy
    }

    fn upgrades(&self) -> bool {
        match self {
            Place::Adapter(adapter, _) | Place::Waiting(adapter) => adapter.websockets,
            Place::InProcess => true,
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl Service {
    /// Starts a service at [`START`].
    ///
    /// # Errors
    /// What the policy, the keys or the adapter complain about.
    pub async fn start(
        place: Place,
        policy: &str,
        keys: &str,
        environment: &BTreeMap<String, String>,
        away: Away,
    ) -> Result<Service, String> {
        let clock = ManualClock::at(timestamp(START));
        let events = Events::default();
        let environment = environment.clone();
        let (store, ids) = store_with_ids("keys.jsonl", keys).await?;
        let keys = Keys::new(store.clone()).clock(clock.clone());
        let store_is_away = Arc::new(AtomicBool::new(away == Away::Store));
        let guard = Guard::builder(Policy::from_toml("policy.toml", policy).map_err(told)?)
            .store(Store { keys: store, is_away: store_is_away.clone() })
            .clock(clock.clone())
            .tickets(Tickets::new(ServerSecret::from_bytes(SERVER_SECRET).map_err(told)?))
            .audit(Sink {
                lines: Lines::new(events.clone(), LineFormat::Json),
                waits: matches!(place, Place::Waiting(_)),
                is_away: away == Away::Audit,
            })
            .environment(move |name| environment.get(name).map(OsString::from))
            .build()
            .map_err(told)?;
        let conformance = Conformance::new(guard, policy).map_err(told)?;
        let reached = match place {
            Place::InProcess => Reached::InProcess(Box::new(conformance.clone())),
            Place::Adapter(adapter, protocol) => {
                Reached::Socket((adapter.start)(conformance.clone(), listener()?).map_err(told)?, protocol)
            }
            Place::Waiting(adapter) => {
                Reached::Socket((adapter.start)(conformance.clone(), listener()?).map_err(told)?, Protocol::Http1)
            }
        };
        Ok(Service { reached, conformance, clock, now: START, civil_ahead: 0, keys, ids, events, store_is_away })
    }

    /// Where it listens; `None` without a server.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.reached {
            Reached::Socket(running, _) => Some(running.address()),
            Reached::InProcess(_) => None,
        }
    }

    /// How many requests its handlers have seen.
    pub(crate) fn answered(&self) -> u64 {
        self.conformance.answered()
    }

    /// What its keys are changed with.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The id of a stored key.
    ///
    /// # Errors
    /// If there is no such key.
    pub(crate) fn id(&self, key: &str) -> Result<KeyId, String> {
        self.ids.get(key).copied().ok_or_else(|| format!("{key} is no stored key"))
    }

    /// Takes its keys away from it, or gives them back.
    pub(crate) fn take_store_away(&self, is_away: bool) {
        self.store_is_away.store(is_away, Ordering::SeqCst);
    }

    /// What the guard's clock says, the one that never steps.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }

    /// Sets the clock, which never goes back.
    pub(crate) fn wait_until(&mut self, now: Moment) {
        let wait = u64::try_from(now - self.now).expect("the suite's clock goes forward");
        self.clock.advance(std::time::Duration::from_nanos(wait));
        self.now = now;
    }

    /// Lets something happen that is no request.
    ///
    /// # Errors
    /// If it cannot.
    pub(crate) async fn happen(&mut self, happening: &Happening) -> Result<(), String> {
        match happening {
            Happening::Limits { key, limits } => {
                let id = self.id(key)?;
                let quotas = limits.iter().map(|quota| quota.parse()).collect::<Result<Vec<Quota>, _>>().map_err(told)?;
                let limits = Some((!quotas.is_empty()).then_some(quotas));
                match self.keys.update(&id, Update { limits, ..Update::default() }).await {
                    // It has no use for quotas any more.
                    Ok(_) | Err(KeysError::Refused(Refused::Revoked)) => Ok(()),
                    Err(problem) => Err(told(problem)),
                }
            }
            Happening::ClockStep(by) => {
                self.civil_ahead += by;
                self.clock.set(timestamp(self.now + self.civil_ahead));
                Ok(())
            }
        }
    }

    /// The events since the last time.
    ///
    /// # Errors
    /// If one of them is no JSON.
    pub(crate) fn events(&self) -> Result<Vec<Value>, String> {
        self.events.take()
    }

    /// Sends a request at a moment, which is not before the last one; gives the answer and the events that it left.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn ask(&mut self, request: &ModelRequest, now: Moment) -> Result<(Received, Vec<Value>), String> {
        self.wait_until(now);
        let received = match &self.reached {
            Reached::Socket(running, protocol) => wire::send(running.address(), request, *protocol).await.map_err(told)?,
            Reached::InProcess(conformance) => in_process::answer(conformance, request).await,
        };
        Ok((received, self.events.take()?))
    }
}

/// A listener on a port that the system picks, as a [`Harness`](crate::harness::Harness) takes it.
pub(crate) fn listener() -> Result<TcpListener, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(told)?;
    listener.set_nonblocking(true).map_err(told)?;
    Ok(listener)
}

/// Reads keys, one JSON object a line, into a store.
///
/// # Errors
/// What is wrong, with the file and the line.
pub async fn store(file: &str, keys: &str) -> Result<MemoryStore, String> {
    Ok(store_with_ids(file, keys).await?.0)
}

/// As [`store`], and the id of each key.
async fn store_with_ids(file: &str, keys: &str) -> Result<(MemoryStore, BTreeMap<String, KeyId>), String> {
    let (store, mut ids) = (MemoryStore::new(), BTreeMap::new());
    let importing = Keys::new(store.clone());
    for (number, row) in import::keys_file(keys).enumerate() {
        let imported = row.map_err(|bad| format!("{file}:{}: {}", bad.line, bad.problem))?;
        let credential = match &imported.secret {
            ImportedSecret::Key { key, .. } => Some(key.expose().to_owned()),
            _ => None,
        };
        let record = importing.import(imported).await;
        let record = record.map_err(|problem| format!("{file}:{}: {problem}", line_of_row(keys, number)))?;
        ids.extend(credential.map(|credential| (credential, record.id)));
    }
    Ok((store, ids))
}

/// The line, from 1, on which a row stands; blank lines are no rows.
fn line_of_row(keys: &str, row: usize) -> usize {
    keys.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).nth(row).map_or(0, |(index, _)| index + 1)
}

/// What a service cannot reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Away {
    /// Nothing.
    #[default]
    Nothing,
    /// Its keys.
    Store,
    /// Where its events go.
    Audit,
}

/// Keys that may be away.
struct Store {
    keys: MemoryStore,
    is_away: Arc<AtomicBool>,
}

impl Store {
    fn unless_away<T>(&self, answer: impl FnOnce(&MemoryStore) -> Answer<T>) -> Answer<T> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Answer::Ready(Err(Fault::new("the store is away"))),
            false => answer(&self.keys),
        }
    }
}

impl KeyStore for Store {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        self.unless_away(|keys| keys.find(presented))
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        self.unless_away(|keys| keys.find_by_id(id, now))
    }

    fn binds(&self, prefix: &str) -> bool {
        self.keys.binds(prefix)
    }
}

/// A sink that may make each decision wait, or be away.
struct Sink {
    lines: Lines<Events>,
    waits: bool,
    is_away: bool,
}

impl AuditSink for Sink {
    fn may_wait(&self) -> bool {
        self.waits
    }

    fn record(&self, event: &AuditEvent<'_>) -> Answer<()> {
        if self.is_away {
            return Answer::Ready(Err(Fault::new("the disk is full")));
        }
        let told = self.lines.record(event);
        if !self.waits {
            return told;
        }
        Answer::Pending(Box::pin(async move {
            // More than once, so that whoever polls it once does not get by.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            told.wait().await
        }))
    }
}

/// What the guard's audit wrote, line by line.
#[derive(Clone, Debug, Default)]
struct Events(Arc<Mutex<Vec<u8>>>);

impl Events {
    /// The events since the last time.
    fn take(&self) -> Result<Vec<Value>, String> {
        let written = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let text = String::from_utf8(written).map_err(told)?;
        text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("audit line {line:?}: {error}"))).collect()
    }
}

impl io::Write for Events {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn timestamp(moment: Moment) -> Timestamp {
    Timestamp::from_unix_nanoseconds(i64::try_from(moment).expect("the suite's moments lie near its start"))
}

fn told(problem: impl Display) -> String {
    problem.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bad_key_is_told_with_its_line() {
        let problem = store("keys.jsonl", "{\"key\":\"a\"}\n\n{\"key\":\"a\"}\n").await.unwrap_err();
        assert!(problem.starts_with("keys.jsonl:3: "), "{problem}");
        let problem = store("keys.jsonl", "\n{\"key\":7}").await.unwrap_err();
        assert!(problem.starts_with("keys.jsonl:2: "), "{problem}");
    }
}
