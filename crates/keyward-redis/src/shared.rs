//! The connection that all clones share: used, given up, and made again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use keyward::limit::{Bucket, Charge, Taking, Whose};
use keyward::{Fault, Timestamp, clock::Now};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, Script, ServerErrorKind};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::address::Address;
use crate::away::Substitute;
use crate::breaker::Breaker;
use crate::failure::{Failure, FailureKind};
use crate::name::Namespace;
use crate::open::OpenError;
use crate::request::Request;
use crate::told::{Listener, Seldom, Statistics, Tally, count};

const SCRIPT: &str = include_str!("take.lua");

const RIGHTS: &str = include_str!("rights.lua");

/// How long a connection may take to be made, with all that is said on it before the first take.
const CONNECTING: Duration = Duration::from_secs(2);

/// How many takes may wait to be written. What comes later waits for room, within its time-out.
const QUEUE: usize = 1_024;

/// What is waited for, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) timeout: Duration,
    /// In a row.
    pub(crate) failures: u32,
    pub(crate) first_retry: Duration,
    pub(crate) last_retry: Duration,
}

pub(crate) struct Shared {
    runtime: Handle,
    address: Address,
    namespace: Namespace,
    script: Script,
    pace: Pace,
    substitute: Substitute,
    listener: Listener,
    tally: Tally,
    uncounted: Seldom,
    /// `None` while the server is away; then exactly one task is there that will change that: see [`Breaker`].
    live: ArcSwapOption<Live>,
    /// Whether the address is right: it was once.
    has_been_live: AtomicBool,
    /// Why the server is away, and how long was waited before it was tried last.
    last: Mutex<(String, Duration)>,
}

/// One connection.
struct Live {
    connection: MultiplexedConnection,
    breaker: Arc<Breaker>,
    since: Instant,
    driver: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        // By itself it would wait for a server that does not answer any more.
        self.driver.abort();
    }
}

/// Somebody has to see to another connection.
struct Lost {
    why: String,
    wait: Duration,
}

impl Shared {
    pub(crate) fn new(
        runtime: Handle,
        address: Address,
        namespace: Namespace,
        pace: Pace,
        substitute: Substitute,
        listener: Listener,
    ) -> Self {
        Self {
            runtime,
            address,
            namespace,
            script: Script::new(SCRIPT),
            pace,
            substitute,
            listener,
            tally: Tally::default(),
            uncounted: Seldom::new(),
            live: ArcSwapOption::empty(),
            has_been_live: AtomicBool::new(false),
            last: Mutex::new((String::new(), Duration::ZERO)),
        }
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(crate) fn is_away(&self) -> bool {
        self.live.load().is_none()
    }

    pub(crate) fn statistics(&self) -> Statistics {
        self.tally.read(self.is_away())
    }

    /// Makes the first connection.
    pub(crate) async fn start(self: Arc<Self>, may_start_away: bool) -> Result<(), OpenError> {
        let failure = match self.open().await {
            Ok(live) => {
                self.has_been_live.store(true, Ordering::Relaxed);
                self.live.store(Some(live.clone()));
                if live.breaker.opened() {
                    return Ok(());
                }
                self.live.store(None);
                Failure::away("the connection ended at once: see its log, and whether it has room for another client")
            }
            Err(failure) => failure,
        };
        if !may_start_away || failure.kind == FailureKind::Refused {
            return Err(OpenError::of(failure));
        }
        self.go_away(Lost { why: failure.text, wait: self.pace.first_retry });
        Ok(())
    }

    /// Asks the server; as the mode says if it does not answer in time.
    pub(crate) async fn take(self: &Arc<Self>, request: &Request) -> Result<Charge, Fault> {
        let Some(live) = self.live.load_full() else {
            return request.with_taking(|taking| self.answer_away(taking));
        };
        let asking = {
            // The timer is the runtime's that we were opened on: whoever waits may have none.
            let _entered = self.runtime.enter();
            tokio::time::timeout(self.pace.timeout, self.ask(&live.connection, request))
        };
        let failure = match asking.await {
            Ok(Ok(charge)) => {
                live.breaker.succeeded();
                count(&self.tally.taken);
                return Ok(charge);
            }
            Ok(Err(failure)) => {
                count(&self.tally.failed);
                failure
            }
            Err(_) => {
                count(&self.tally.timed_out);
                Failure::late(self.pace.timeout)
            }
        };
        tracing::debug!(target: "keyward", failure = failure.text, "a take was not answered by Redis");
        let is_lost = match failure.kind {
            FailureKind::Once => live.breaker.failed(self.pace.failures),
            // Not after some in a row: who is refused writes nothing, and would be answered well in between.
            FailureKind::Away | FailureKind::Refused => live.breaker.ended(),
            FailureKind::Counter => false,
        };
        if is_lost {
            self.lose(&live, &failure.text, false);
        } else {
            self.uncounted.tell(self.substitute.mode, &failure.text);
        }
        request.with_taking(|taking| self.substitute(taking, || failure.text.clone()))
    }

    pub(crate) fn answer_away(&self, taking: &Taking<'_>) -> Result<Charge, Fault> {
        self.substitute(taking, || self.last.lock().unwrap_or_else(PoisonError::into_inner).0.clone())
    }

    fn substitute(&self, taking: &Taking<'_>, why: impl FnOnce() -> String) -> Result<Charge, Fault> {
        count(&self.tally.answered_away);
        self.substitute.answer(taking, why)
    }

    /// One trip; two if the server has forgotten the script, as it may at any time.
    async fn ask(&self, connection: &MultiplexedConnection, request: &Request) -> Result<Charge, Failure> {
        let mut connection = connection.clone();
        let asked = request.command("EVALSHA", self.script.get_hash()).query_async::<Vec<u64>>(&mut connection).await;
        let reply = match asked {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                request.command("EVAL", SCRIPT).query_async::<Vec<u64>>(&mut connection).await
            }
            reply => reply,
        };
        let reply = reply.map_err(|error: RedisError| Failure::of(&error, &self.namespace))?;
        request.charge(&reply).ok_or_else(|| Failure::once("its answer makes no sense: is it Redis, and are its scripts?"))
    }

    /// A connection on which the script has run within the time-out, in as many tries as may fail.
    async fn open(self: &Arc<Self>) -> Result<Arc<Live>, Failure> {
        let late = |_| {
            Failure::away(format!(
                "no connection within {CONNECTING:?}: {}",
                self.address.check(self.has_been_live.load(Ordering::Relaxed))
            ))
        };
        let live = tokio::time::timeout(CONNECTING, self.connect()).await.map_err(late)??;
        let mut last = Failure::late(self.pace.timeout);
        for _ in 0..self.pace.failures {
            match tokio::time::timeout(self.pace.timeout, self.probe(&live.connection)).await {
                Ok(Ok(())) => return Ok(live),
                Ok(Err(failure)) => return Err(failure),
                Err(_) => last = Failure::late(self.pace.timeout),
            }
        }
        Err(last)
    }

    async fn connect(self: &Arc<Self>) -> Result<Arc<Live>, Failure> {
        let wire = self.address.connect().await?;
        // Time-outs are ours alone.
        let configuration =
            AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None).set_pipeline_buffer_size(QUEUE);
        let made = MultiplexedConnection::new_with_config(&self.address.login, wire, configuration).await;
        let (mut connection, driver) = made.map_err(|error| Failure::of(&error, &self.namespace))?;
        let breaker = Arc::new(Breaker::new());
        let (shared, watched) = (Arc::downgrade(self), breaker.clone());
        let driver = self.runtime.spawn(async move {
            driver.await;
            if watched.ended()
                && let Some(shared) = shared.upgrade()
                && let Some(live) = shared.live.load_full()
            {
                shared.lose(&live, "the connection ended: see whether the server runs", true);
            }
        });
        let live = |connection| Live { connection, breaker, since: Instant::now(), driver: driver.abort_handle() };
        let loaded = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async::<String>(&mut connection).await;
        let key = self.namespace.key(Whose::Identity("keyward-redis", "rights"));
        let tried = redis::cmd("EVAL").arg(RIGHTS).arg(1).arg(key).query_async::<u64>(&mut connection).await;
        let live = Arc::new(live(connection));
        loaded.and(tried).map_err(|error| Failure::of(&error, &self.namespace))?;
        Ok(live)
    }

    /// Takes for real, within the time-out.
    async fn probe(&self, connection: &MultiplexedConnection) -> Result<(), Failure> {
        let quotas = ["1000000/second".parse().map_err(|_| Failure::away("a quota cannot be read"))?];
        let buckets = [Bucket { whose: Whose::Identity("keyward-redis", "probe"), quotas: &quotas }];
        let now = Now { wall: Timestamp::EPOCH, steady: 0 };
        let request = Request::of(&Taking { now, buckets: &buckets, cost: 1, peek: false }, &self.namespace);
        self.ask(connection, &request).await.map(drop)
    }

    /// Called by whom the connection's breaker told to, and by nobody else.
    fn lose(self: &Arc<Self>, live: &Live, why: &str, ended: bool) {
        let Pace { first_retry, last_retry, .. } = self.pace;
        let wait = if live.since.elapsed() < last_retry {
            // It comes and goes.
            let waited = self.last.lock().unwrap_or_else(PoisonError::into_inner).1;
            (waited * 2).clamp(first_retry, last_retry)
        } else if ended {
            // Most likely it was restarted, or closed what was idle.
            Duration::ZERO
        } else {
            first_retry
        };
        self.go_away(Lost { why: why.to_owned(), wait });
    }

    fn go_away(self: &Arc<Self>, lost: Lost) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).0.clone_from(&lost.why);
        self.live.store(None);
        self.runtime.spawn(recover(Arc::downgrade(self), lost));
    }
}

/// Tries until there is a connection again, or nobody is left who would use it. No request waits for this.
async fn recover(shared: Weak<Shared>, Lost { why, mut wait }: Lost) {
    let tell = |away, why: &str| {
        let shared = shared.upgrade()?;
        count(&shared.tally.switches);
        shared.listener.tell(away, shared.substitute.mode, why);
        Some(())
    };
    if tell(true, &why).is_none() {
        return;
    }
    let mut told = why;
    loop {
        tokio::time::sleep(wait).await;
        let Some(shared) = shared.upgrade() else { return };
        match shared.open().await {
            Ok(live) => {
                shared.has_been_live.store(true, Ordering::Relaxed);
                shared.last.lock().unwrap_or_else(PoisonError::into_inner).1 = wait;
                // Told before others can find it away again.
                tell(false, "it counts again");
                shared.live.store(Some(live.clone()));
                if live.breaker.opened() {
                    return;
                }
                shared.live.store(None);
                tell(true, "the connection ended at once: see its log, and whether it has room for another client");
            }
            Err(failure) => {
                // Each try may fail in the same way. Another one may be mended by somebody else.
                if told == failure.text {
                    tracing::debug!(target: "keyward", reason = failure.text, "Redis is still away");
                } else {
                    tracing::warn!(target: "keyward", reason = failure.text, "Redis is still away, for another reason");
                    told.clone_from(&failure.text);
                }
                shared.last.lock().unwrap_or_else(PoisonError::into_inner).0 = failure.text;
            }
        }
        wait = (wait * 2).clamp(shared.pace.first_retry, shared.pace.last_retry);
    }
}
