//! Keys in SQLite and PostgreSQL.

mod change;
mod connection;
mod database;
mod failure;
mod insert;
mod known;
mod open;
mod postgres;
mod record;
mod revocations;
mod select;
mod sqlite;
mod store;
mod usage;
mod watch;
mod writing;

pub use open::{OpenError, OpenErrorKind};
pub use postgres::{PostgresBuilder, PostgresStore};
pub use sqlite::{SqliteBuilder, SqliteStore};
