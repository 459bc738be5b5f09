//! Stores by their addresses.

use std::{fmt, path::PathBuf, str::FromStr};

use keyward_file::FileStore;
use keyward_sql::{PostgresStore, SqliteStore};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::stores::{AnyStore, Problem};

/// A kind of store that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A SQLite database.
    Sqlite,
    /// A JSON file.
    Json,
    /// A PostgreSQL database.
    Postgres,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Sqlite, Kind::Json, Kind::Postgres];

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "sqlite",
            Kind::Json => "json",
            Kind::Postgres => "postgres",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Kind, String> {
        let named = Kind::ALL.into_iter().find(|kind| kind.name() == text);
        named.ok_or_else(|| "write `sqlite`, `json` or `postgres`".to_owned())
    }
}

/// Where a store is: `sqlite:PATH`, `json:PATH` or `postgres://…`. `Debug` hides what may be a password.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    kind: Kind,
    place: String,
}

impl FromStr for StoreUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<StoreUrl, String> {
        let (kind, place) = match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => (Kind::Sqlite, path),
            Some(("json", path)) if !path.is_empty() => (Kind::Json, path),
            Some(("postgres" | "postgresql", _)) => (Kind::Postgres, text),
            _ => return Err("write `sqlite:PATH`, `json:PATH` or `postgres://…`".to_owned()),
        };
        Ok(StoreUrl { kind, place: place.to_owned() })
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({})", self.kind.name())
    }
}

/// A store that is open.
#[derive(Debug)]
pub struct Open {
    store: AnyStore,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    Sqlite(SqliteStore, PathBuf),
    Json,
    Postgres(PostgresStore),
}

impl Open {
    /// Opens a store, and makes it if it is not there, within a Tokio runtime.
    ///
    /// # Errors
    /// If it cannot be opened, with the store's own words.
    pub async fn at(url: &StoreUrl) -> Result<Open, Problem> {
        Ok(match url.kind {
            Kind::Sqlite => {
                let path = PathBuf::from(&url.place);
                let store = SqliteStore::open(&path).await?;
                Open { store: AnyStore::new(store.clone()), kind: OpenKind::Sqlite(store, path) }
            }
            Kind::Json => Open { store: AnyStore::new(FileStore::open(&url.place)?), kind: OpenKind::Json },
            Kind::Postgres => {
                let store = PostgresStore::connect(&url.place).await?;
                Open { store: AnyStore::new(store.clone()), kind: OpenKind::Postgres(store) }
            }
        })
    }

    /// The store.
    pub fn store(&self) -> &AnyStore {
        &self.store
    }

    /// How many of the latest rows of its journal it keeps.
    pub fn journal(&self) -> usize {
        match self.kind {
            OpenKind::Json => 1_000,
            OpenKind::Sqlite(..) | OpenKind::Postgres(_) => usize::MAX,
        }
    }

    /// Has every page of a SQLite database looked at: one that no query needs may be damaged all the same. The other stores look
    /// at all that they have, or do so by themselves.
    ///
    /// # Errors
    /// What is damaged.
    pub async fn look_at_all_pages(&self) -> Result<(), Problem> {
        let OpenKind::Sqlite(_, path) = &self.kind else { return Ok(()) };
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let told: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(&mut connection).await?;
        connection.close().await?;
        if told == ["ok"] { Ok(()) } else { Err(Problem::new(format!("SQLite finds its pages damaged: {}", told.join("; ")))) }
    }

    /// Closes it in good order.
    ///
    /// # Errors
    /// If it cannot be closed.
    pub async fn close(self) -> Result<(), Problem> {
        match self.kind {
            // With its last clone.
            OpenKind::Json => {}
            OpenKind::Sqlite(store, _) => store.close().await?,
            OpenKind::Postgres(store) => store.close().await?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_found_by_its_address_and_no_password_is_shown() {
        let kind = |text: &str| text.parse::<StoreUrl>().map(|url| url.kind).ok();
        assert_eq!(kind("sqlite:keys.db"), Some(Kind::Sqlite));
        assert_eq!(kind("json:/keys/api-keys.json"), Some(Kind::Json));
        assert_eq!(kind("postgres://keyward:CANARY@localhost/keys"), Some(Kind::Postgres));
        for wrong in ["", "keys.db", "sqlite:", "json:", "mysql://localhost/keys"] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
        let shown = format!("{:?}", "postgres://keyward:CANARY@localhost/keys".parse::<StoreUrl>().unwrap());
        assert!(!shown.contains("CANARY"), "{shown}");
    }
}
