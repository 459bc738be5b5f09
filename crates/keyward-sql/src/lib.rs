//! Keys in SQLite, for one machine, and in PostgreSQL, for many.
//!
//! Both are a [`KeyStore`](keyward::KeyStore) for a guard, a [`RecordStore`](keyward::store::RecordStore) for
//! [`Keys`](keyward::Keys), and an [`AccountStore`](keyward::account::AccountStore) for the people who look after them. This crate
//! decides nothing about a request: it finds records, changes them in transactions, and keeps those that were lately asked for in
//! memory, in front of the database ([`Cached`](keyward::Cached)).
//!
//! ```
//! use keyward::{Decision, Guard, Keys, NewKey, Policy};
//! use keyward_sql::SqliteStore;
//!
//! # fn folder() -> std::io::Result<std::path::PathBuf> {
//! #     let number = keyward::Random::identifier(&keyward::SystemRandom);
//! #     let folder = std::env::temp_dir().join(format!("keyward-example-{number:x}"));
//! #     std::fs::DirBuilder::new().create(&folder)?;
//! #     Ok(folder)
//! # }
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let folder = folder()?;
//! #   let path = folder.join("keys.db");
//!     let store = SqliteStore::open(&path).await?; // made with mode 0600 if it is not there
//!     let guard = Guard::builder(Policy::from_toml("policy.toml", "")?).store(store.clone()).build()?;
//!     let keys = Keys::new(store.clone());
//!
//!     let made = keys.create(NewKey::named("nightly export")).await?;
//!     let request = http::Request::get("/reports")
//!         .header("Authorization", format!("Bearer {}", made.secret().expose()))
//!         .body(())?;
//!     assert!(matches!(guard.decide(&request).await, Decision::Allowed(_)));
//!
//!     keys.revoke(&made.record().id).await?;
//!     assert!(matches!(guard.decide(&request).await, Decision::Denied(_)));
//!     store.close().await?;
//! #   std::fs::remove_dir_all(folder)?;
//!     Ok(())
//! }
//! ```
//!
//! With PostgreSQL, the store is `PostgresStore::connect("postgres://keyward@db/keyward").await?`, and all else stays.
//!
//! # What is promised
//!
//! 1. A change that is acknowledged is on the disk, with its row in the journal: SQLite writes ahead with `synchronous = FULL`, and
//!    sessions in PostgreSQL have `synchronous_commit` at least `on`.
//! 2. A revocation holds in this process at once, and in others within their `max_staleness`: 1 second for SQLite, 5 for
//!    PostgreSQL, unless told otherwise. In the usual case it takes 250 ms, or as long as a notification.
//! 3. A database that is away, or slower than the deadline, is a fault (503), never an answer about a key.
//! 4. Where a caller gives up, what was begun is made whole: the work is done on the runtime on which the store was opened,
//!    whoever waits for it, and from whichever executor.
//! 5. Uses are written every 10 seconds and on `close`: so many are lost at most when the process is killed.
//! 6. A SQLite database that is restored from a backup revokes again what had been revoked since, as long as the file
//!    `….revocations` beside it was not replaced as well.
//! 7. A session that was ended is found by nobody who asks afterwards, in any process: sessions and accounts are kept in front of
//!    no database.
//!
//! Changes to keys are made one after the other, in all processes together. A large import is one change: nothing else can be changed
//! until it is done, at 10,000 to 25,000 keys a second, while keys are looked up as ever. In PostgreSQL, changes to accounts have a
//! line of their own, and who signs in stands in neither; SQLite has one writer for all.

mod accounts;
mod change;
mod connection;
mod database;
mod failure;
mod insert;
mod known;
mod open;
mod place;
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
