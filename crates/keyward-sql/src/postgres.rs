//! Keys in PostgreSQL.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use keyward::Cached;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::runtime::Handle;

use crate::connection::{Pools, Session};
use crate::database::{Database, Settings};
use crate::failure::Failure;
use crate::open::{OpenError, OpenErrorKind, migrate, runtime};
use crate::store::{Common, common_setters};

/// Keys in PostgreSQL, for any number of machines. Clones share it.
///
/// The tables are made in the schema that is first in the `search_path`, under names that begin with `keyward_`.
#[derive(Clone, Debug)]
pub struct PostgresStore(pub(crate) Cached<Database>);

impl PostgresStore {
    /// Connects to a database (`postgres://USER@HOST/DATABASE`), and makes the tables if there are none.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(url: &str) -> Result<Self, OpenError> {
        Self::builder(url).connect().await
    }

    /// Sets one up.
    pub fn builder(url: impl Into<String>) -> PostgresBuilder {
        let common = Common::new(Duration::from_secs(5), Duration::from_secs(1));
        PostgresBuilder { url: url.into(), common, connections: 10, acquire_timeout: Duration::from_secs(5) }
    }
}

/// Sets a [`PostgresStore`] up. `Debug` hides the address, which may hold a password.
#[must_use]
pub struct PostgresBuilder {
    url: String,
    common: Common,
    connections: u32,
    acquire_timeout: Duration,
}

impl PostgresBuilder {
    common_setters!("5 seconds");

    /// Only reads: makes no tables, changes nothing, and counts no uses.
    pub fn read_only(mut self) -> Self {
        self.common.settings.read_only = true;
        self
    }

    /// How many connections there are at most (10); two of them watch for changes. At least 4.
    pub fn connections(mut self, most: u32) -> Self {
        self.connections = most.max(4);
        self
    }

    /// How long to wait for a connection at most (5 seconds).
    pub fn acquire_timeout(mut self, wait: Duration) -> Self {
        self.acquire_timeout = wait;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(self) -> Result<PostgresStore, OpenError> {
        let runtime = runtime()?;
        // On the store's own runtime, so that a caller who gives up leaves nothing half made.
        let task = runtime.spawn(self.connect_on(runtime.clone()));
        task.await.map_err(|error| OpenError::new(OpenErrorKind::Runtime, format!("the runtime ended: {error}")))?
    }

    async fn connect_on(self, runtime: Handle) -> Result<PostgresStore, OpenError> {
        let settings = self.common.settings();
        check_parameters(&self.url)?;
        // The error would tell pieces of what cannot be read, and one of them may be the password.
        let options = PgConnectOptions::from_str(&self.url).map_err(|_| {
            OpenError::new(OpenErrorKind::Address, "the address of the database cannot be read: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, and what is no letter or digit in the password as %XX")
        })?;
        let options = options.application_name("keyward").disable_statement_logging();
        // One of its own first: the pool would try for as long as it may wait, and then say only that none became free.
        let direct = tokio::time::timeout(self.acquire_timeout, options.connect()).await;
        let direct = direct.map_err(|_| {
            let text = format!(
                "the database did not answer within {:?}: check the address, the network and whether it runs",
                self.acquire_timeout
            );
            OpenError::new(OpenErrorKind::Database, text)
        })?;
        direct.map_err(|error| Failure::of(&error))?.close().await.map_err(|error| Failure::of(&error))?;
        let session_settings = session_settings(&settings);
        let pool = PgPoolOptions::new()
            .max_connections(self.connections)
            .acquire_timeout(self.acquire_timeout)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let session_settings = sqlx::AssertSqlSafe(session_settings.clone());
                Box::pin(async move { connection.execute(sqlx::raw_sql(session_settings)).await.map(drop) })
            })
            // One that was in use just now is good, most likely; if not, it is asked for once more.
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > Duration::from_secs(1) {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);

        let connection = pool.acquire().await.map_err(|error| Failure::of(&error))?;
        let mut session = Session::of_postgres(connection, Duration::from_secs(3600));
        if settings.read_only {
            session.script("BEGIN READ ONLY").await?;
        } else {
            session.begin().await?;
            // One node at a time makes the tables. Any number does, as long as it stays the same.
            session.script("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(7738147062911)").await?;
        }
        let encoding = session.rows("SELECT current_setting('server_encoding')", Vec::new()).await?;
        let encoding: String = encoding.first().map_or(Ok(String::new()), |row| row.get(0))?;
        if encoding != "UTF8" {
            let text = format!("the database's encoding is {encoding}: make one with ENCODING 'UTF8'");
            return Err(OpenError::new(OpenErrorKind::Database, text));
        }
        migrate(&mut session, !settings.read_only).await?;
        session.commit().await?;

        let pools = Pools::Postgres { pool, read_only: settings.read_only };
        let database = Database::over(pools, settings, runtime, None, HashMap::new()).await?;
        Ok(PostgresStore(self.common.cached(database)))
    }
}

/// What may stand behind the `?` of an address: what the driver reads.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Refuses what the driver would pass over, and write to the log with its value: a misspelt `sslmode`, which leaves the connection
/// open to others, or the end of a password with a `?` in it.
fn check_parameters(url: &str) -> Result<(), OpenError> {
    let Some((_, query)) = url.split_once('?') else { return Ok(()) };
    let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    let names = query.split('&').map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name));
    if names.filter(|name| !name.is_empty()).all(is_known) {
        return Ok(());
    }
    let text = format!(
        "the address of the database has a parameter that is not known: behind `?` there may be {}; a `?` in a password is written %3F",
        PARAMETERS.join(", ")
    );
    Err(OpenError::new(OpenErrorKind::Address, text))
}

/// What every connection begins with.
fn session_settings(settings: &Settings) -> String {
    let milliseconds = settings.deadline.as_millis().max(1);
    // What this process does not wait for any more, the server gives up as well; and a process that was stopped in the middle of a
    // change does not hold up all others.
    //
    // Every statement here goes by an index, row by row, and gives few rows. The planner takes some for large queries: it would
    // read all secrets once for a page of keys, or spend tens of milliseconds on compiling the plan. And a plan that is made while
    // the tables are empty is kept for as long as the connection.
    format!(
        "SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = {milliseconds}; \
         SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
         SET enable_material = off; SET enable_bitmapscan = off; SET enable_sort = off; SET max_parallel_workers_per_gather = 0; SET jit = off"
    )
}

impl std::fmt::Debug for PostgresBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresBuilder")
            .field("common", &self.common)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
