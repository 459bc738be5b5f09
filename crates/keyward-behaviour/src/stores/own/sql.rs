//! Keys in SQLite and PostgreSQL, with the records that they keep in memory and without.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyward::clock::ManualClock;
use keyward_sql::{PostgresStore, SqliteStore};

use super::folder::Folder;
use crate::{
    services::postgres::Postgres,
    stores::{harness::StoreHarness, problem::Problem},
};

/// How long a database may take. That a busy machine is slow is nothing that the suite wants to know.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keys in SQLite. Without `KEEPS`, each lookup asks the database.
pub(crate) struct Sqlite<const KEEPS: bool>;

impl<const KEEPS: bool> StoreHarness for Sqlite<KEEPS> {
    const NAME: &'static str = if KEEPS { "sqlite" } else { "sqlite-keeping-nothing" };
    const SEQUENCES: u32 = 12;
    type Store = SqliteStore;
    type Place = Folder;

    fn start() -> Result<Self, Problem> {
        Ok(Sqlite)
    }

    fn new_place(&self) -> Result<Folder, Problem> {
        Folder::create()
    }

    async fn open(place: &Folder, clock: ManualClock) -> Result<SqliteStore, Problem> {
        let builder = SqliteStore::builder(place.path().join("keys.db")).clock(clock).deadline(PATIENCE);
        Ok(if KEEPS { builder } else { builder.max_staleness(Duration::ZERO) }.open().await?)
    }

    async fn close(_: &Folder, store: SqliteStore) -> Result<(), Problem> {
        Ok(store.close().await?)
    }
}

/// Keys in PostgreSQL, a database for each store in one server. Without `KEEPS`, each lookup asks the database.
pub(crate) struct PostgreSql<const KEEPS: bool>(Arc<Postgres>);

/// A database of its own. It goes away when this is dropped.
pub(crate) struct Database {
    server: Arc<Postgres>,
    url: String,
}

impl<const KEEPS: bool> StoreHarness for PostgreSql<KEEPS> {
    const NAME: &'static str = if KEEPS { "postgres" } else { "postgres-keeping-nothing" };
    const SEQUENCES: u32 = if KEEPS { 8 } else { 4 };
    type Store = PostgresStore;
    type Place = Database;

    fn start() -> Result<Self, Problem> {
        Ok(PostgreSql(server()?))
    }

    fn new_place(&self) -> Result<Database, Problem> {
        Ok(Database { server: self.0.clone(), url: self.0.create_database()? })
    }

    async fn open(place: &Database, clock: ManualClock) -> Result<PostgresStore, Problem> {
        let builder = PostgresStore::builder(&place.url).clock(clock).connections(4);
        let builder = builder.deadline(PATIENCE).acquire_timeout(PATIENCE);
        Ok(if KEEPS { builder } else { builder.max_staleness(Duration::ZERO) }.connect().await?)
    }

    async fn close(_: &Database, store: PostgresStore) -> Result<(), Problem> {
        Ok(store.close().await?)
    }
}

/// One server for all.
fn server() -> Result<Arc<Postgres>, Problem> {
    static SERVER: Mutex<Option<Arc<Postgres>>> = Mutex::new(None);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    if server.is_none() {
        // What survives a crash is another suite's: here it would only be slow.
        let settings = [("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "300")];
        *server = Some(Arc::new(Postgres::start_with(&settings)?));
    }
    server.clone().ok_or_else(|| Problem::new("the server of PostgreSQL is gone"))
}

impl Drop for Database {
    fn drop(&mut self) {
        let name = self.url.rsplit('/').next().unwrap_or_default();
        // A server that does not answer any more goes away as a whole.
        let _ = self.server.query(&self.server.url("postgres"), &format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}
