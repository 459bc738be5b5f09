//! What a driver's error means for whoever asked.

use std::time::Duration;

use keyward::Fault;
use keyward::store::Refused;

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store refuses.
    Refused(Refused),
    /// The connection is broken, or was before anything was asked: another may be good.
    Broken(Fault),
    /// What is stored cannot be read: this row, whatever becomes of others.
    Damaged(Fault),
    /// It cannot be told.
    Fault(Fault),
}

pub(crate) type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn fault(what: impl Into<String>) -> Self {
        Self::Fault(Fault::new(what))
    }

    pub(crate) fn late(deadline: Duration) -> Self {
        Self::fault(format!(
            "the database did not answer within {deadline:?}, and whether a change was made is unknown: check its load, its disk and the network"
        ))
    }

    /// The one place where errors of both drivers are read.
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::fault(
                "no connection to the database became free in time: it is down, or a long change holds it up, or there are too few connections",
            ),
            sqlx::Error::PoolClosed => Self::fault("the store was closed: open it again"),
            sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => Self::Broken(
                Fault::new(format!("the connection to the database broke ({error}): check that it runs and can be reached")),
            ),
            sqlx::Error::Database(database) => Self::of_database(&**database),
            _ => Self::fault(format!("the database failed: {error}")),
        }
    }

    fn of_database(error: &dyn sqlx::error::DatabaseError) -> Self {
        let what = error.message();
        if error.is_unique_violation() {
            // PostgreSQL names the index, SQLite the columns.
            let broken = error.constraint().unwrap_or(what);
            return match broken {
                _ if broken.contains("keyward_secrets") => Self::Refused(Refused::SecretTaken),
                _ if broken.contains("keyward_keys") => Self::Refused(Refused::IdTaken),
                _ if broken.contains("keyward_done") => Self::Refused(Refused::DoneBefore),
                _ => Self::fault(format!("the database refused a row: {what}")),
            };
        }
        let code = error.code().unwrap_or_default();
        // SQLite's codes are numbers whose lowest byte is the class; PostgreSQL's have five characters.
        let mend = match (code.len(), code.parse::<u32>().ok()) {
            (5, _) => match &*code {
                "57P01" | "57P02" | "57P03" => {
                    return Self::Broken(Fault::new(format!("the database is shutting down or starting: {what}; wait for it")));
                }
                "57014" | "55P03" => "it took too long, perhaps because another change holds it up: try again",
                "28000" | "28P01" => "check the user and the password in the address, and what pg_hba.conf lets in",
                "3D000" => "make it with `createdb`, or name another",
                "26000" | "42P05" => {
                    "a pooler in transaction mode is between: connect to the server itself, or set the pooler to session mode"
                }
                "25006" => "it takes no changes: connect to the primary server",
                "25P03" => "the transaction waited too long for this process: check its load",
                "42501" => "give the role its rights on the tables whose names begin with keyward_",
                "42P01" => "the tables are missing: does the search_path name the right schema?",
                "53100" => "its disk is full: make room",
                "53300" => "it has no connection left: raise max_connections, or use fewer",
                _ => "see its log",
            },
            // A rollback journal waits for somebody who may write.
            (_, Some(776)) => "a change was interrupted, or is being made just now: try again, or open it for writing once",
            (_, Some(number)) => match number & 0xff {
                5 | 6 => "another process is writing to it: try again, and end what holds it up",
                8 => "it is read-only: check its permissions and those of its folder",
                10 => "its disk fails: check it before you go on",
                11 | 26 => "the file is damaged: restore a backup",
                13 => "its disk is full: make room",
                14 => "the file cannot be opened: check its permissions and those of its folder",
                _ => "check the file and its disk",
            },
            _ => "see its log",
        };
        Self::fault(format!("the database failed: {what} (code {code}); {mend}"))
    }

    /// As a fault, where nothing can be refused.
    pub(crate) fn into_fault(self) -> Fault {
        match self {
            Self::Refused(refused) => Fault::new(format!("the database refused what had been checked: {refused}")),
            Self::Broken(fault) | Self::Damaged(fault) | Self::Fault(fault) => fault,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// A refusal is an answer.
pub(crate) fn answered<T>(outcome: Outcome<T>) -> Result<Result<T, Refused>, Fault> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Failure::Refused(refused)) => Ok(Err(refused)),
        Err(failure) => Err(failure.into_fault()),
    }
}
