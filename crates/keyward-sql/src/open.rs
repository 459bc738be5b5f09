//! What opening a store has in common, and why one does not open.

use keyward::{Random, SystemRandom};
use tokio::runtime::Handle;

use crate::connection::{Dialect, Session, values};
use crate::failure::{Failure, Outcome};

/// Why a store was not opened. The text says how to mend it; it holds no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct OpenError {
    kind: OpenErrorKind,
    text: String,
}

/// Of what kind an [`OpenError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// It was not opened on a tokio runtime.
    Runtime,
    /// The address of a database cannot be read.
    Address,
    /// Others could read or write the file, or there is no file where there should be one.
    File,
    /// It is no database, or another program's. Nothing was changed.
    Foreign,
    /// It was written by a newer version of Keyward, or has to be brought up to date and is open for reading only. Nothing was
    /// changed.
    Version,
    /// The file of revocations is missing, shorter than it was, damaged, or another database's.
    LostRevocations,
    /// The database cannot be reached, or failed.
    Database,
}

impl OpenError {
    pub(crate) fn new(kind: OpenErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// Of what kind it is.
    pub fn kind(&self) -> OpenErrorKind {
        self.kind
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::new(OpenErrorKind::Database, failure.into_fault().to_string())
    }
}

/// The runtime that does the store's work.
pub(crate) fn runtime() -> Result<Handle, OpenError> {
    Handle::try_current().map_err(|_| {
        OpenError::new(
            OpenErrorKind::Runtime,
            "a store is opened on a tokio runtime, which does its work from then on: open it there",
        )
    })
}

/// All changes of the schema, in SQLite's words. What has been released is never changed.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema.sql"),
    include_str!("accounts.sql"),
    include_str!("usage_days.sql"),
    include_str!("resource_pattern.sql"),
];

fn in_words_of(dialect: Dialect, migration: &str) -> String {
    match dialect {
        Dialect::Sqlite => migration.to_owned(),
        // "C": in the order of bytes, as ids and prefixes are compared everywhere else.
        Dialect::Postgres => migration
            .replace(" INTEGER", " BIGINT")
            .replace(" BLOB", " BYTEA")
            .replace(" TEXT", " TEXT COLLATE \"C\"")
            .replace(") STRICT;", ");"),
    }
}

/// Brings the schema up to date, in a transaction that has begun and that only one process at a time is in.
pub(crate) async fn migrate(session: &mut Session, may_write: bool) -> Result<(), OpenError> {
    let dialect = session.dialect();
    let found = version(session).await?;
    let wanted = MIGRATIONS.len();
    if found > wanted {
        return Err(OpenError::new(
            OpenErrorKind::Version,
            format!(
                "the database has version {found} of the schema, and this program knows {wanted}: use a newer Keyward; nothing was changed"
            ),
        ));
    }
    if found < wanted && !may_write {
        let text = if found == 0 {
            "there are no tables of Keyward here: name the right database (for PostgreSQL also the search_path, and a role that may use the schema), or open it for writing once, which makes them".to_owned()
        } else {
            format!("the database has version {found} of the schema and needs {wanted}: open it for writing once")
        };
        return Err(OpenError::new(OpenErrorKind::Version, text));
    }
    for migration in &MIGRATIONS[found..] {
        session.script(in_words_of(dialect, migration)).await?;
    }
    if found == wanted {
        return Ok(());
    }
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX);
    if found == 0 {
        let identity = format!("{:032x}", SystemRandom.identifier());
        let sql = "INSERT INTO keyward_store (one, version, identity, revision, journalled, revocation_bytes) VALUES (1, $1, $2, 0, 0, 0)";
        session.run(sql, values![wanted, identity]).await?;
    } else {
        session.run("UPDATE keyward_store SET version = $1", values![wanted]).await?;
    }
    Ok(())
}

/// The version of the schema; 0 where there is none.
async fn version(session: &mut Session) -> Outcome<usize> {
    let is_there = match session.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_schema WHERE name = 'keyward_store'",
        Dialect::Postgres => "SELECT 1::BIGINT WHERE to_regclass('keyward_store') IS NOT NULL",
    };
    if session.rows(is_there, Vec::new()).await?.is_empty() {
        return Ok(0);
    }
    let rows = session.rows("SELECT version FROM keyward_store", Vec::new()).await?;
    let version: i64 = rows.first().ok_or_else(|| Failure::fault("keyward_store has no row: restore a backup"))?.get(0)?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}
