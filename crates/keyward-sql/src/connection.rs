//! One way to ask both databases. All that the drivers do differently is here, and in what opens a store.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Decode, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Type};

use crate::failure::{Failure, Outcome};
use crate::place::Place;

/// The connections of a store.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    /// SQLite has one writer at a time, so there is one connection for it, and others for readers.
    Sqlite {
        writer: Option<SqlitePool>,
        readers: SqlitePool,
        place: Place,
    },
    Postgres {
        pool: PgPool,
        read_only: bool,
    },
}

impl Pools {
    /// A connection to read with.
    pub(crate) async fn reader(&self, deadline: Duration) -> Outcome<Session> {
        let connection = match self {
            Self::Sqlite { readers, place, .. } => {
                place.check()?;
                readers.acquire().await.map(Connection::Sqlite)
            }
            Self::Postgres { pool, .. } => pool.acquire().await.map(Connection::Postgres),
        };
        Session::on(connection, deadline)
    }

    /// A connection on which a transaction has begun.
    pub(crate) async fn writer(&self, deadline: Duration) -> Outcome<Session> {
        let connection = match self {
            Self::Sqlite { writer: None, .. } | Self::Postgres { read_only: true, .. } => {
                return Err(Failure::fault("the store was opened read-only: open it for writing"));
            }
            Self::Sqlite { writer: Some(writer), place, .. } => {
                place.check()?;
                writer.acquire().await.map(Connection::Sqlite)
            }
            Self::Postgres { pool, .. } => pool.acquire().await.map(Connection::Postgres),
        };
        let mut session = Session::on(connection, deadline)?;
        session.begin().await?;
        Ok(session)
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers, .. } => {
                readers.close().await;
                if let Some(writer) = writer {
                    writer.close().await;
                }
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite { readers, .. } => readers.is_closed(),
            Self::Postgres { pool, .. } => pool.is_closed(),
        }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres { .. } => Dialect::Postgres,
        }
    }
}

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// `VALUES` with a place for each value. SQLite finds numbered places by going through all before them, so they have no
    /// numbers there.
    pub(crate) fn values(self, rows: usize, columns: usize) -> String {
        let mut text = String::from("VALUES ");
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for column in 0..columns {
                let comma = if column == 0 { "" } else { "," };
                let _ = match self {
                    Self::Sqlite => write!(text, "{comma}?"),
                    Self::Postgres => write!(text, "{comma}${}", row * columns + column + 1),
                };
            }
            text.push(')');
        }
        text
    }
}

/// What is given to a statement.
#[derive(Debug)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

macro_rules! values_from {
    ($($type:ty => $variant:ident($value:ident) $of:expr;)+) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                Self::$variant($of)
            }
        })+
    };
}

values_from! {
    i64 => Integer(value) Some(value);
    Option<i64> => Integer(value) value;
    String => Text(value) Some(value);
    &str => Text(value) Some(value.to_owned());
    Option<String> => Text(value) value;
    Vec<u8> => Bytes(value) Some(value);
    Option<Vec<u8>> => Bytes(value) value;
}

/// Values of several types.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(crate::connection::Value::from($value)),*] };
}
pub(crate) use values;

/// One row of an answer.
pub(crate) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

impl Row {
    pub(crate) fn get<'r, T>(&'r self, column: usize) -> Outcome<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| Failure::of(&error))
    }
}

#[derive(Debug)]
enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

/// How many rows go into one statement. SQLite takes 32,766 values in one; a key has 16, or 50 handles to look for.
pub(crate) const CHUNK: usize = 500;

/// Whether a prepared statement is kept: of those with a list of values, only those of full chunks, or there would be hundreds.
fn is_kept(sql: &str, values: &[Value]) -> bool {
    sql.len() < 4_096 || values.len().is_multiple_of(CHUNK)
}

/// One connection in use. What was left in the middle of something when it is dropped is closed, which ends its transaction.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    deadline: Duration,
    /// Since when it is in a transaction.
    begun: Option<Instant>,
    /// It is closed after its transaction.
    is_last: bool,
    is_clean: bool,
}

macro_rules! on_connection {
    ($connection:expr, $name:ident => $do:expr) => {
        match $connection {
            Connection::Sqlite($name) => $do,
            Connection::Postgres($name) => $do,
        }
    };
}

macro_rules! bound {
    ($query:expr, $values:expr) => {
        $values.into_iter().fold($query, |query, value| match value {
            Value::Integer(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        })
    };
}

impl Session {
    fn on(connection: Result<Connection, sqlx::Error>, deadline: Duration) -> Outcome<Self> {
        let connection = connection.map_err(|error| Failure::of(&error))?;
        Ok(Self { connection, deadline, begun: None, is_last: false, is_clean: true })
    }

    pub(crate) fn of_sqlite(connection: PoolConnection<Sqlite>, deadline: Duration) -> Self {
        Self { connection: Connection::Sqlite(connection), deadline, begun: None, is_last: false, is_clean: true }
    }

    pub(crate) fn of_postgres(connection: PoolConnection<Postgres>, deadline: Duration) -> Self {
        Self { connection: Connection::Postgres(connection), deadline, begun: None, is_last: false, is_clean: true }
    }

    pub(crate) fn dialect(&self) -> Dialect {
        match self.connection {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The rows that a statement answers with.
    pub(crate) async fn rows(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Outcome<Vec<Row>> {
        let sql = sql.into();
        let is_kept = is_kept(&sql, &values);
        let sql = AssertSqlSafe(sql);
        self.is_clean = false;
        let asked = async {
            Ok(match &mut self.connection {
                Connection::Sqlite(connection) => {
                    let rows =
                        bound!(sqlx::query::<Sqlite>(sql).persistent(is_kept), values).fetch_all(&mut **connection).await?;
                    rows.into_iter().map(Row::Sqlite).collect()
                }
                Connection::Postgres(connection) => {
                    let rows =
                        bound!(sqlx::query::<Postgres>(sql).persistent(is_kept), values).fetch_all(&mut **connection).await?;
                    rows.into_iter().map(Row::Postgres).collect()
                }
            })
        };
        let rows = within(self.deadline, asked).await?;
        self.is_clean = self.begun.is_none();
        Ok(rows)
    }

    /// How many rows a statement changed.
    pub(crate) async fn run(&mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Outcome<u64> {
        let sql = sql.into();
        let is_kept = is_kept(&sql, &values);
        let sql = AssertSqlSafe(sql);
        self.is_clean = false;
        let asked = async {
            Ok(match &mut self.connection {
                Connection::Sqlite(connection) => bound!(sqlx::query::<Sqlite>(sql).persistent(is_kept), values)
                    .execute(&mut **connection)
                    .await?
                    .rows_affected(),
                Connection::Postgres(connection) => bound!(sqlx::query::<Postgres>(sql).persistent(is_kept), values)
                    .execute(&mut **connection)
                    .await?
                    .rows_affected(),
            })
        };
        let changed = within(self.deadline, asked).await?;
        self.is_clean = self.begun.is_none();
        Ok(changed)
    }

    /// Statements without values, several at once.
    pub(crate) async fn script(&mut self, sql: impl Into<Cow<'static, str>>) -> Outcome<()> {
        let sql = AssertSqlSafe(sql.into());
        self.is_clean = false;
        let asked = async {
            on_connection!(&mut self.connection, connection => sqlx::raw_sql(sql).execute(&mut **connection).await.map(drop))
        };
        within(self.deadline, asked).await?;
        self.is_clean = self.begun.is_none();
        Ok(())
    }

    pub(crate) async fn begin(&mut self) -> Outcome<()> {
        self.begun = Some(Instant::now());
        self.script(match self.dialect() {
            // Not when the first row is written: a transaction that has read by then could not go on.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            // Each statement sees what was there when it began, so what is read behind the counter's lock is the latest.
            //
            // A change is on the disk when it is acknowledged, whatever the server's default. A stricter default stays.
            Dialect::Postgres => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
                 SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') IN ('off', 'local')"
            }
        })
        .await
    }

    /// For a transaction with very many rows: SQLite keeps the indexes that it changes in 256 MiB of memory, instead of writing
    /// them to the disk and reading them again. The connection is closed in the end, and the memory is free again.
    ///
    /// No request waits for such a one, and a slow disk may take long over it: above all SQLite, which copies its write-ahead log
    /// into a large database when it commits.
    pub(crate) async fn widen(&mut self) -> Outcome<()> {
        self.is_last = true;
        self.deadline = self.deadline.max(Duration::from_secs(600));
        match self.dialect() {
            Dialect::Sqlite => self.script("PRAGMA cache_size = -262144").await,
            Dialect::Postgres => Ok(()),
        }
    }

    pub(crate) async fn commit(mut self) -> Outcome<()> {
        // What took long to write takes long to bring to the disk.
        self.deadline = self.deadline.max(self.begun.map_or(Duration::ZERO, |begun| begun.elapsed()));
        self.script("COMMIT").await?;
        self.is_clean = !self.is_last;
        Ok(())
    }

    pub(crate) async fn roll_back(mut self) -> Outcome<()> {
        self.script("ROLLBACK").await?;
        self.is_clean = !self.is_last;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_clean {
            on_connection!(&mut self.connection, connection => connection.close_on_drop());
        }
    }
}

async fn within<T>(deadline: Duration, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Outcome<T> {
    match tokio::time::timeout(deadline, asked).await {
        Ok(answer) => answer.map_err(|error| Failure::of(&error)),
        Err(_) => Err(Failure::late(deadline)),
    }
}
