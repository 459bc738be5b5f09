//! A connection to the server, and the one task that makes it anew whenever it is lost.
//!
//! That of limits is another: while the server is away a mode holds for them, and nothing does here. A server that is away costs a
//! request nothing where that is known, and the time-out where it is not.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, FromRedisValue, RedisError, Script, ServerErrorKind};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::request::{self, Named, Request};
use crate::address::Address;
use crate::failure::{Failure, FailureKind};
use crate::name::Namespace;

const SCRIPT: &str = include_str!("tickets.lua");

/// How long a connection may take to be made, and to be tried out.
const CONNECTING: Duration = Duration::from_secs(2);

/// How long is waited before the server is tried again: twice as long after each try, from the former up to the latter.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Where every answer comes late for so long, the connection may be one to a machine that is gone, and another is made. Not by
/// their number: many wait at once for a server that forks to write a snapshot.
const LATE: Duration = Duration::from_secs(1);

/// How many requests may wait to be written. What comes later waits for room, within its time-out.
const QUEUE: usize = 1_024;

/// The connection that all clones share.
pub(super) struct Link {
    opening: Arc<Opening>,
    state: Arc<State>,
    task: AbortHandle,
}

/// How the server is asked.
pub(super) struct Opening {
    runtime: Handle,
    address: Address,
    timeout: Duration,
    /// Where used tickets are noted.
    namespace: Namespace,
    key: String,
    script: Script,
}

#[derive(Default)]
struct State {
    /// `None` while the server is away.
    live: ArcSwapOption<Live>,
    /// Why it is.
    why: Mutex<String>,
}

/// One connection.
struct Live {
    connection: MultiplexedConnection,
    /// Since when every answer came late.
    late_since: Mutex<Option<Instant>>,
    given_up: Notify,
}

/// What moves the bytes of a connection. Where it ends, the connection has.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) type Connected = (MultiplexedConnection, Driver);

impl Link {
    /// Goes on with a connection that was made, or with trying to make one.
    pub(super) fn keep(opening: Opening, made: Result<Connected, Failure>) -> Arc<Self> {
        let (opening, state) = (Arc::new(opening), Arc::new(State::default()));
        let driver = state.show(made);
        let task = opening.runtime.spawn(keep(opening.clone(), state.clone(), driver)).abort_handle();
        Arc::new(Self { opening, state, task })
    }

    /// Asks once. Whoever gets no answer does not know what came of it, and must not ask again.
    pub(super) async fn ask<T: FromRedisValue>(&self, request: &Request) -> Result<T, Failure> {
        let Some(live) = self.state.live.load_full() else { return Err(Failure::away(self.state.why())) };
        let Opening { runtime, timeout, .. } = &*self.opening;
        let asking = {
            // The timer is the runtime's that we were opened on: whoever waits may have none.
            let _entered = runtime.enter();
            tokio::time::timeout(*timeout, self.opening.ask(&live.connection, request))
        };
        let asked = asking.await;
        let mut late_since = live.late_since.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(answer) = asked {
            *late_since = None;
            return answer;
        }
        if late_since.get_or_insert_with(Instant::now).elapsed() >= LATE {
            live.given_up.notify_one();
        }
        Err(Failure::late(*timeout))
    }

    pub(super) fn is_away(&self) -> bool {
        self.state.live.load().is_none()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Opening {
    pub(super) fn new(runtime: Handle, address: Address, timeout: Duration, namespace: Namespace) -> Self {
        Self { runtime, address, timeout, key: namespace.tickets(), namespace, script: Script::new(SCRIPT) }
    }

    /// A connection on which a ticket was named and used, since a server that can be read and not written to does not count.
    pub(super) async fn connect(&self) -> Result<Connected, Failure> {
        let late = |_| Failure::away(format!("no connection within {CONNECTING:?}: {}", self.address.check(false)));
        tokio::time::timeout(CONNECTING, self.try_to_connect()).await.map_err(late)?
    }

    async fn try_to_connect(&self) -> Result<Connected, Failure> {
        let wire = self.address.connect().await?;
        // Time-outs are ours alone.
        let configuration =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None).set_pipeline_buffer_size(QUEUE);
        let made = MultiplexedConnection::new_with_config(&self.address.login, wire, configuration).await;
        let (connection, driver) = made.map_err(|error| failure(&error, &self.namespace))?;
        let mut driver: Driver = Box::pin(driver);
        tokio::select! {
            tried = self.try_out(&connection) => tried?,
            () = &mut driver => {
                return Err(Failure::away("the connection ended at once: see its log, and whether it has room for another client"));
            }
        }
        Ok((connection, driver))
    }

    async fn try_out(&self, connection: &MultiplexedConnection) -> Result<(), Failure> {
        let id = request::id(self.ask::<Named>(connection, &Request::issue()?).await?)?;
        // Whether there is room for it does not matter.
        let spend = Request::Spend { id, key: None, lifetime: CONNECTING, most: u32::MAX, peek: false };
        self.ask::<u8>(connection, &spend).await.map(drop)
    }

    /// One trip; two if the server has forgotten the script, as it may at any time.
    async fn ask<T: FromRedisValue>(&self, connection: &MultiplexedConnection, request: &Request) -> Result<T, Failure> {
        let mut connection = connection.clone();
        let command = |name: &str, script: &str| {
            let mut sent = redis::cmd(name);
            sent.arg(script).arg(1).arg(&self.key);
            request.write(&mut sent);
            sent
        };
        let asked = command("EVALSHA", self.script.get_hash()).query_async::<T>(&mut connection).await;
        let reply = match asked {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", SCRIPT).query_async::<T>(&mut connection).await
            }
            reply => reply,
        };
        reply.map_err(|error| failure(&error, &self.namespace))
    }
}

impl State {
    /// Makes a connection the one that is used, and gives back what has to be polled for that.
    fn show(&self, made: Result<Connected, Failure>) -> Option<(Arc<Live>, Driver)> {
        match made {
            Ok((connection, driver)) => {
                let live = Arc::new(Live { connection, late_since: Mutex::default(), given_up: Notify::new() });
                self.live.store(Some(live.clone()));
                Some((live, driver))
            }
            Err(failure) => {
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = failure.text;
                None
            }
        }
    }

    fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Tries until there is a connection, and again when it is lost. No request waits for this.
async fn keep(opening: Arc<Opening>, state: Arc<State>, mut used: Option<(Arc<Live>, Driver)>) {
    let mut wait = FIRST_RETRY;
    let mut is_told = false;
    loop {
        if let Some((live, driver)) = used {
            if is_told {
                tracing::info!(target: "keyward", "Redis is back: tickets can be made and used");
                is_told = false;
            }
            let since = Instant::now();
            let why = tokio::select! {
                () = driver => "the connection ended: see whether the server runs".to_owned(),
                () = live.given_up.notified() => Failure::late(opening.timeout).text,
            };
            *state.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
            state.live.store(None);
            // Unless it comes and goes.
            if since.elapsed() > LAST_RETRY {
                wait = FIRST_RETRY;
            }
        }
        if !is_told {
            tracing::warn!(target: "keyward", reason = state.why(), "Redis is away: no ticket can be made or used");
            is_told = true;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_RETRY);
        used = state.show(opening.connect().await);
    }
}

/// As for limits, but for what they do not need.
fn failure(error: &RedisError, namespace: &Namespace) -> Failure {
    // In a script, a missing right is an error without a code of its own.
    let lacks_a_right = error.detail().is_some_and(|detail| detail.contains("The user executing the script can't"));
    match error.code() {
        code if code == Some("NOPERM") || lacks_a_right => Failure {
            kind: FailureKind::Refused,
            text: format!(
"it failed ({error}): for tickets the user needs ~{} +evalsha +eval +time +info +zrange +zadd +zscore +zcount \
                 +zrangebyscore +zrem +zremrangebyscore +unlink +pexpire",
                namespace.tickets()
            ),
        },
        Some("NOREPLID") => Failure {
            kind: FailureKind::Refused,
            text: "it does not tell by which id it replicates (`INFO replication`), and so not whether it has lost what it knew: note \
                   used tickets in a server of Redis or Valkey itself"
                .to_owned(),
        },
        _ => Failure::of(error, namespace),
    }
}
