//! Where accounts, sessions and keys are kept.

use std::sync::Arc;

use keyward::Keys;
use keyward::account::AccountStore;
use keyward::store::RecordStore;
use keyward_examples::failure::Failure;
use keyward_sql::{OpenError, OpenErrorKind, PostgresStore, SqliteStore};

use crate::settings::Place;

pub(crate) enum Database {
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
}

impl Database {
    pub(crate) async fn open(place: &Place) -> Result<Self, Failure> {
        match place {
            Place::Sqlite(path) => SqliteStore::open(path).await.map(Self::Sqlite),
            Place::Postgres(url) => PostgresStore::connect(url).await.map(Self::Postgres),
        }
        .map_err(|error| told(&error))
    }

    pub(crate) fn store(&self) -> Arc<dyn RecordStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) fn accounts(&self) -> Arc<dyn AccountStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    pub(crate) fn keys(&self) -> Keys {
        Keys::new(self.store())
    }

    /// Writes what is not written yet, like the uses of keys.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
        .map_err(Failure::fault)
    }
}

fn told(error: &OpenError) -> Failure {
    let text = format!("DATABASE_URL: {error}");
    match error.kind() {
        OpenErrorKind::Address | OpenErrorKind::File | OpenErrorKind::Foreign | OpenErrorKind::Version => {
            Failure::configuration(text)
        }
        _ => Failure::fault(text),
    }
}
