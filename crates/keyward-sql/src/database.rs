//! The store over either database.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use keyward::clock::Now;
use keyward::key::{KeyDigest, KeyId, Record};
use keyward::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, Ledger, News, Presented, RecordStore, Refused,
    SlotUsage, Use,
};
use keyward::{Answer, Fault, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::connection::{Pools, Row, Session, Value};
use crate::failure::{Failure, Outcome, answered};
use crate::revocations::Revocations;
use crate::watch::Seen;
use crate::writing::Writing;

/// Keys in a database. Clones share it.
#[derive(Clone)]
pub(crate) struct Database(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) pools: Pools,
    pub(crate) settings: Settings,
    /// Where the work is done, whoever waits for it.
    runtime: Handle,
    pub(crate) prefixes: ArcSwap<HashSet<Box<str>>>,
    pub(crate) ledger: Ledger,
    /// Uses that were taken out of the ledger and could not be written yet.
    pub(crate) unwritten: tokio::sync::Mutex<Vec<SlotUsage>>,
    /// Says that the ledger had better be written now.
    pub(crate) flush: Arc<Notify>,
    /// How far the database was when it was opened, before anything of it was kept.
    pub(crate) opened: Seen,
    pub(crate) revocations: Option<Revocations>,
    /// What the file of revocations names, for somebody who only reads: it holds, whether the database has it or not yet.
    pub(crate) named: HashMap<KeyId, Timestamp>,
    tasks: Mutex<JoinSet<()>>,
}

/// What can be set of both.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) read_only: bool,
    pub(crate) deadline: Duration,
    pub(crate) usage_every: Duration,
    /// How often it is looked for changes of others.
    pub(crate) watch_every: Duration,
}

impl Database {
    /// Over connections to a database whose schema is in place.
    pub(crate) async fn over(
        pools: Pools,
        settings: Settings,
        runtime: Handle,
        revocations: Option<Revocations>,
        named: HashMap<KeyId, Timestamp>,
    ) -> Outcome<Self> {
        let mut session = pools.reader(settings.deadline).await?;
        let opened = Seen::read(&mut session).await?;
        let prefixes = read_prefixes(&mut session).await?;
        drop(session);
        let database = Self(Arc::new(Shared {
            pools,
            settings,
            runtime,
            prefixes: ArcSwap::from_pointee(prefixes),
            ledger: Ledger::new(),
            unwritten: tokio::sync::Mutex::default(),
            flush: Arc::default(),
            opened,
            revocations,
            named,
            tasks: Mutex::default(),
        }));
        let shared = &database.0;
        if !shared.settings.read_only {
            shared.spawn(crate::usage::flush_now_and_then(
                Arc::downgrade(shared),
                shared.flush.clone(),
                shared.settings.usage_every,
            ));
        }
        Ok(database)
    }

    /// Writes the uses that are not written yet, and lets go of the database. Whoever asks the store from now on gets a fault.
    pub(crate) fn close(&self) -> Answer<()> {
        self.run(|shared| async move {
            let was_closed = shared.pools.is_closed();
            let flushed = if shared.settings.read_only { Ok(()) } else { shared.flush_usage().await };
            // Held, so that nothing is written and forgotten when the tasks end.
            let _unwritten = shared.unwritten.lock().await;
            shared.tasks().abort_all();
            // A server that hangs would keep its connections for as long.
            let _ = tokio::time::timeout(shared.settings.deadline, shared.pools.close()).await;
            match flushed {
                Err(Failure::Fault(_)) if was_closed => Ok(()),
                flushed => flushed,
            }
        })
    }

    /// The shared part, for what belongs to it.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// Lazy; once it is polled, the work goes on to its end on the store's own runtime, whoever waits for it and how.
    pub(crate) fn run<T, W>(&self, work: impl FnOnce(Arc<Shared>) -> W + Send + 'static) -> Answer<T>
    where
        T: Send + 'static,
        W: Future<Output = Outcome<T>> + Send + 'static,
    {
        let shared = self.0.clone();
        Answer::Pending(Box::pin(async move {
            let runtime = shared.runtime.clone();
            match runtime.spawn(work(shared)).await {
                Ok(outcome) => outcome.map_err(Failure::into_fault),
                Err(error) if error.is_cancelled() => Err(Fault::new(
                    "the tokio runtime on which the store was opened has ended: open the store on the one that serves",
                )),
                Err(error) => Err(Fault::new(format!("the store failed: {error}; this is a bug of keyward-sql"))),
            }
        }))
    }

    fn run_answered<T, W>(&self, work: impl FnOnce(Arc<Shared>) -> W + Send + 'static) -> Answer<Result<T, Refused>>
    where
        T: Send + 'static,
        W: Future<Output = Outcome<T>> + Send + 'static,
    {
        self.run(|shared| {
            let work = work(shared);
            async { answered(work.await).map_err(Failure::Fault) }
        })
    }
}

impl Shared {
    /// Asks once more where a connection turns out to be broken: nothing can have been done by it.
    pub(crate) async fn read(&self, sql: String, values: impl Fn() -> Vec<Value>) -> Outcome<Vec<Row>> {
        for _ in 0..self.retries() {
            match self.read_once(sql.clone(), values()).await {
                Err(Failure::Broken(_)) => {}
                answer => return answer,
            }
        }
        self.read_once(sql, values()).await
    }

    async fn read_once(&self, sql: String, values: Vec<Value>) -> Outcome<Vec<Row>> {
        let mut session = self.pools.reader(self.settings.deadline).await?;
        session.rows(sql, values).await
    }

    /// Begins a change that adds at most so many rows to the journal.
    pub(crate) async fn begin(&self, rows: usize) -> Outcome<Writing> {
        self.begin_with(|session| Writing::begin(session, rows)).await
    }

    /// Begins a change of any kind: once more where a connection turns out to be broken, as long as nothing was done by it.
    pub(crate) async fn begin_with<T, B>(&self, begin: impl Fn(Outcome<Session>) -> B) -> Outcome<T>
    where
        B: Future<Output = Outcome<T>>,
    {
        for _ in 0..self.retries() {
            match begin(self.pools.writer(self.settings.deadline).await).await {
                Err(Failure::Broken(_)) => {}
                begun => return begun,
            }
        }
        begin(self.pools.writer(self.settings.deadline).await).await
    }

    /// After a failover, every connection in the pool may be broken.
    fn retries(&self) -> usize {
        match &self.pools {
            Pools::Sqlite { .. } => 1,
            Pools::Postgres { pool, .. } => pool.num_idle() + 1,
        }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks().spawn_on(task, &self.runtime);
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn read_prefixes(session: &mut Session) -> Outcome<HashSet<Box<str>>> {
    let rows = session.rows("SELECT prefix FROM keyward_prefixes", Vec::new()).await?;
    rows.iter().map(|row| Ok(crate::record::read_text(&row.get::<String>(0)?).into())).collect()
}

impl KeyStore for Database {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        let digests: Vec<KeyDigest> = presented.digests().to_vec();
        let handles: Vec<String> = presented.handles().map(str::to_owned).collect();
        self.run(|shared| async move { shared.find(&digests, &handles).await })
    }

    fn find_by_id(&self, id: &KeyId, _: Now) -> Answer<Option<Arc<Record>>> {
        self.get(id)
    }

    fn binds(&self, prefix: &str) -> bool {
        self.0.prefixes.load().contains(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        if self.0.settings.read_only {
            return;
        }
        if self.0.ledger.note(used) || used.better_digest.is_some() {
            self.0.flush.notify_one();
        }
    }
}

impl RecordStore for Database {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        self.run(|shared| async move { shared.insert(insert, &by).await })
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        let id = *id;
        self.run(move |shared| async move { shared.get(&id).await })
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        let filter = filter.clone();
        self.run(move |shared| async move { shared.list(&filter, after, limit).await })
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        let id = *id;
        self.run_answered(move |shared| async move { shared.change(&id, change, &by).await })
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        let id = *id;
        self.run_answered(move |shared| async move { shared.purge(&id, &by).await })
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        if self.binds(prefix) {
            return Answer::ready(Ok(()));
        }
        let prefix: Box<str> = prefix.into();
        self.run_answered(|shared| async move { shared.bind(prefix).await })
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        let ids = ids.to_vec();
        self.run(|shared| async move { shared.usage(&ids).await })
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        self.run(move |shared| async move { shared.journal(after, limit).await })
    }

    fn watch(&self, news: Weak<dyn News>) {
        crate::watch::watch(&self.0, news);
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({:?})", self.0.pools.dialect())
    }
}
