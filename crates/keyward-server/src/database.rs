//! Where keys are kept: from what the operator wrote to an open store, for every command alike.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyward::account::{AccountStore, MemoryAccounts};
use keyward::store::RecordStore;
use keyward::{CacheStatistics, MemoryStore};
use keyward_file::{FileError, FileErrorKind, FileStore};
use keyward_sql::{OpenError, OpenErrorKind, PostgresStore, SqliteStore};

use crate::failure::Failure;
use crate::output::visible;
use crate::setting::Setting;

/// What is opened where nothing is named.
const DEFAULT_FILE: &str = "keyward.db";

/// What a command does with a database, and so what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Looks, and leaves no trace.
    Read,
    /// Changes what is there. A database that is not there holds nothing to change.
    Change,
    /// Adds to it, and makes it where it is not there.
    Create,
}

/// An open database.
pub(crate) struct Database {
    store: Arc<dyn RecordStore>,
    opened: Opened,
    location: Location,
}

/// Reads what is kept in memory of a database.
pub(crate) type Cache = Box<dyn Fn() -> CacheStatistics + Send + Sync>;

enum Opened {
    Memory,
    Sqlite(SqliteStore),
    Postgres(PostgresStore),
    Json(FileStore),
}

impl Database {
    /// Opens what was named, or the default. Where the default is not there, and is not to be made, it is an empty one in memory.
    ///
    /// `accept_lost_revocations`: also a SQLite database whose file of revocations is gone.
    pub(crate) async fn open(wanted: Option<&Setting>, access: Access, accept_lost_revocations: bool) -> Result<Self, Failure> {
        let location = match wanted {
            Some(setting) => Location::read(setting)?,
            None => Location::Sqlite(PathBuf::from(DEFAULT_FILE)),
        };
        if let Location::Sqlite(path) | Location::Json(path) = &location
            && access != Access::Create
            && path.try_exists().is_ok_and(|is_there| !is_there)
        {
            let Some(Setting { name, .. }) = wanted else { return Ok(Self::in_memory()) };
            let mend = "name one that is there; `keyward serve` and `keyward keys create` make new ones";
            return Err(Failure::Configuration(format!("{name}: there is no {location}; {mend}")));
        }
        let by = wanted.map_or("the default database", |setting| setting.name);
        let (store, opened): (Arc<dyn RecordStore>, _) = match &location {
            Location::Memory => return Ok(Self::in_memory()),
            Location::Sqlite(path) => {
                let mut builder = SqliteStore::builder(path);
                if access == Access::Read {
                    builder = builder.read_only();
                }
                if accept_lost_revocations {
                    builder = builder.accept_lost_revocations();
                }
                let store = builder.open().await.map_err(|error| no_sql(by, &error))?;
                (Arc::new(store.clone()), Opened::Sqlite(store))
            }
            Location::Postgres(url) => {
                let builder = PostgresStore::builder(url);
                let builder = if access == Access::Read { builder.read_only() } else { builder };
                let store = builder.connect().await.map_err(|error| no_sql(by, &error))?;
                (Arc::new(store.clone()), Opened::Postgres(store))
            }
            Location::Json(path) => {
                let builder = FileStore::builder(path);
                let builder = if access == Access::Read { builder.read_only() } else { builder };
                let store = builder.open().map_err(|error| no_file(by, &error))?;
                (Arc::new(store.clone()), Opened::Json(store))
            }
        };
        Ok(Self { store, opened, location })
    }

    /// An empty one, which lasts as long as the process.
    pub(crate) fn in_memory() -> Self {
        Self { store: Arc::new(MemoryStore::new()), opened: Opened::Memory, location: Location::Memory }
    }

    pub(crate) fn store(&self) -> Arc<dyn RecordStore> {
        self.store.clone()
    }

    /// Where accounts are kept beside the keys; a JSON file keeps none.
    pub(crate) fn accounts(&self) -> Option<Arc<dyn AccountStore>> {
        match &self.opened {
            Opened::Memory => Some(Arc::new(MemoryAccounts::new())),
            Opened::Sqlite(store) => Some(Arc::new(store.clone())),
            Opened::Postgres(store) => Some(Arc::new(store.clone())),
            Opened::Json(_) => None,
        }
    }

    /// What is kept in memory of a database; nothing where all of it is in memory anyway.
    pub(crate) fn cache(&self) -> Option<Cache> {
        match &self.opened {
            Opened::Memory | Opened::Json(_) => None,
            Opened::Sqlite(store) => {
                let store = store.clone();
                Some(Box::new(move || store.cache_statistics()))
            }
            Opened::Postgres(store) => {
                let store = store.clone();
                Some(Box::new(move || store.cache_statistics()))
            }
        }
    }

    /// Whether keys are still there when the program has ended.
    pub(crate) fn lasts(&self) -> bool {
        !matches!(self.opened, Opened::Memory)
    }

    /// Writes what has not been written yet, like the uses of keys.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        let closed = match &self.opened {
            Opened::Memory => Ok(()),
            Opened::Sqlite(store) => store.close().await,
            Opened::Postgres(store) => store.close().await,
            Opened::Json(store) => store.flush(),
        };
        closed.map_err(|fault| Failure::Fault(format!("{}: not all was written: {fault}", self.location)))
    }
}

/// A file that is in use, damaged or on a broken disk is a fault; one that stands in the wrong place is the operator's.
fn no_file(by: &str, error: &FileError) -> Failure {
    let told = format!("{by}: {error}");
    match error.kind() {
        FileErrorKind::Missing | FileErrorKind::Insecure | FileErrorKind::Newer => Failure::Configuration(told),
        _ => Failure::Fault(told),
    }
}

fn no_sql(by: &str, error: &OpenError) -> Failure {
    let told = format!("{by}: {error}");
    match error.kind() {
        OpenErrorKind::Address | OpenErrorKind::File | OpenErrorKind::Foreign | OpenErrorKind::Version => {
            Failure::Configuration(told)
        }
        OpenErrorKind::LostRevocations if told.contains("accept_lost_revocations()") => {
            Failure::Fault(format!("{told}, which is --accept-lost-revocations here"))
        }
        _ => Failure::Fault(told),
    }
}

impl fmt::Display for Database {
    /// Without a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.location, f)
    }
}

/// What was written, read apart.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    /// The whole URL, which may hold a password.
    Postgres(String),
    Json(PathBuf),
    Memory,
}

impl Location {
    const FORMS: &str = "write sqlite:PATH, postgres://USER:PASSWORD@HOST/DATABASE, json:PATH, or memory: for keys that are gone when the program ends";

    pub(crate) fn read(setting: &Setting) -> Result<Self, Failure> {
        let wrong = |problem: String| Failure::Configuration(format!("{}: {problem}; {}", setting.name, Self::FORMS));
        let url = setting.value.to_str().ok_or_else(|| wrong("this is not UTF-8".to_owned()))?;
        // Only the scheme is ever repeated: the rest may hold a password.
        let (scheme, rest) = url.split_once(':').ok_or_else(|| wrong("this is no URL of a database".to_owned()))?;
        match (scheme, rest) {
            ("memory", "") => Ok(Self::Memory),
            ("memory", _) => Err(wrong("`memory:` has nothing behind it".to_owned())),
            ("postgres" | "postgresql", rest) if rest.starts_with("//") => Ok(Self::Postgres(url.to_owned())),
            ("postgres" | "postgresql", _) => Err(wrong(format!("`{scheme}:` goes on with `//`"))),
            ("sqlite" | "json", path) => {
                // `sqlite://PATH` is how other programs write it.
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() || path.starts_with(':') {
                    return Err(wrong(format!("`{scheme}:` needs the path of a file")));
                }
                if path.contains('?') {
                    return Err(wrong(format!("`{scheme}:` takes no settings behind a `?`")));
                }
                Ok(if scheme == "sqlite" { Self::Sqlite(path.into()) } else { Self::Json(path.into()) })
            }
            // What stands before a colon may be the name in `NAME:PASSWORD@HOST`, and is none of a scheme's form then.
            _ if is_scheme(scheme) => Err(wrong(format!("`{scheme}` databases are not available"))),
            _ => Err(wrong("this is no URL of a database".to_owned())),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() <= 16
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || b"0123456789+.-".contains(&byte))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = |path: &Path| visible(&path.display().to_string()).into_owned();
        match self {
            Self::Sqlite(file) => write!(f, "sqlite:{}", path(file)),
            Self::Json(file) => write!(f, "json:{}", path(file)),
            Self::Memory => f.write_str("memory:"),
            Self::Postgres(url) => match host_and_database(url) {
                Some(shown) => write!(f, "postgres://{}", visible(shown)),
                None => f.write_str("postgres://…"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `HOST:PORT/DATABASE`, if it is beyond doubt where the password ends: one with a raw `/`, `?`, `#` or `@` in it makes the rest of
/// the URL look like something else.
fn host_and_database(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let shown = match rest.split_once('@') {
        Some((credentials, shown)) if !credentials.contains(['/', '?', '#']) => shown,
        Some(_) => return None,
        None => rest,
    };
    if shown.contains('@') {
        return None;
    }
    // Settings may hold a password, too.
    let shown = shown.split(['?', '#']).next()?;
    let authority = shown.split('/').next()?;
    let (_, after_host) = authority.rsplit_once(']').unwrap_or(("", authority));
    // `NAME:PASSWORD` without a host would pass for `HOST:PORT`.
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    after_host.split_once(':').is_none_or(|(_, port)| is_port(port)).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Location, String> {
        let setting = Setting { value: url.into(), name: "--database" };
        Location::read(&setting).map_err(|failure| failure.to_string())
    }

    #[test]
    fn databases_by_url() {
        for (url, shown) in [
            ("memory:", "memory:"),
            ("sqlite:keyward.db", "sqlite:keyward.db"),
            ("sqlite://keyward.db", "sqlite:keyward.db"),
            ("sqlite:///var/lib/keyward.db", "sqlite:/var/lib/keyward.db"),
            ("json:/etc/keys.json", "json:/etc/keys.json"),
            ("postgres://db/keys", "postgres://db/keys"),
            ("postgresql://me:CANARY@db:5432/keys?sslmode=require", "postgres://db:5432/keys"),
            ("postgres://me:CANARY@[::1]:5432/keys", "postgres://[::1]:5432/keys"),
            ("postgres://me@db/keys?password=CANARY", "postgres://db/keys"),
            ("postgres:///keys?host=/run", "postgres:///keys"),
        ] {
            assert_eq!(read(url).unwrap().to_string(), shown, "{url}");
        }
    }

    #[test]
    fn a_password_that_cannot_be_told_apart_hides_the_rest() {
        for url in [
            "postgres://me:CAN/ARY@db/keys",
            "postgres://me:CAN?ARY@db/keys",
            "postgres://me:CAN#ARY@db/keys",
            "postgres://me:CAN@ARY@db/keys",
            "postgres://me:CANARY",
            "postgres://me:CANARY/keys",
            "postgres://me@db/keys?password=CAN@ARY",
        ] {
            assert_eq!(read(url).unwrap().to_string(), "postgres://…", "{url}");
        }
    }

    #[test]
    fn what_is_no_database_is_told_with_all_forms_and_without_what_was_written() {
        for url in [
            "",
            "CANARY",
            "CANARY:x",
            "me:CANARY@db/keys",
            "redis://:CANARY@db",
            "memory:CANARY",
            "sqlite:",
            "sqlite::memory:",
            "sqlite://",
            "json:",
            "sqlite:CANARY?mode=ro",
            "postgres:CANARY@db",
        ] {
            let told = read(url).unwrap_err();
            assert!(told.starts_with("--database: ") && told.ends_with(Location::FORMS) && !told.contains("CANARY"), "{told}");
        }
    }
}
