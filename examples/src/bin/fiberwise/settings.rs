//! What the environment says, read once and checked before anything starts.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

const DATABASE_URL: &str = "DATABASE_URL";
const DATABASES: &str = "write sqlite:PATH, or postgres://USER:PASSWORD@HOST/DATABASE";

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) database: Place,
    /// Where browsers find the service, if it is told.
    pub(crate) public_url: Option<String>,
}

/// Where accounts, sessions and keys are. Without `Debug` of the URL, which may hold a password.
#[derive(PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

/// A variable that cannot be used: which, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingsError {
    variable: &'static str,
    mend: &'static str,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.mend)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(hidden)"),
        }
    }
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let port = match text(&lookup, "PORT")? {
            None => 5757,
            Some(port) => port.parse().map_err(|_| SettingsError { variable: "PORT", mend: "write a port from 0 to 65535" })?,
        };
        Ok(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            database: match text(&lookup, DATABASE_URL)? {
                None => Place::Sqlite("fiberwise.db".into()),
                Some(url) => Place::read(&url).ok_or(SettingsError { variable: DATABASE_URL, mend: DATABASES })?,
            },
            public_url: text(&lookup, "PUBLIC_URL")?,
        })
    }
}

impl Place {
    fn read(url: &str) -> Option<Self> {
        match url.split_once(':')? {
            ("postgres" | "postgresql", rest) if rest.starts_with("//") => Some(Self::Postgres(url.to_owned())),
            // `sqlite://PATH` is how other programs write it.
            ("sqlite", path) => match path.strip_prefix("//").unwrap_or(path) {
                "" => None,
                path if path.starts_with(':') || path.contains('?') => None,
                path => Some(Self::Sqlite(path.into())),
            },
            _ => None,
        }
    }
}

/// A value without its blanks; a blank value is none.
fn text(lookup: &impl Fn(&str) -> Option<OsString>, variable: &'static str) -> Result<Option<String>, SettingsError> {
    let Some(value) = lookup(variable) else { return Ok(None) };
    let value = value.into_string().map_err(|_| SettingsError { variable, mend: "is not UTF-8" })?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn an_empty_environment_is_the_documents_defaults() {
        for variables in [&[][..], &[("PORT", " "), ("DATABASE_URL", ""), ("PUBLIC_URL", "")]] {
            let settings = read(variables).unwrap();
            assert_eq!(settings.address.to_string(), "127.0.0.1:5757");
            assert_eq!((settings.database, settings.public_url), (Place::Sqlite("fiberwise.db".into()), None));
        }
    }

    #[test]
    fn databases_by_url() {
        let place = |url: &str| read(&[("DATABASE_URL", url)]).map(|settings| settings.database);
        for (url, path) in [("sqlite:a.db", "a.db"), ("sqlite://a.db", "a.db"), ("sqlite:///var/lib/a.db", "/var/lib/a.db")] {
            assert_eq!(place(url), Ok(Place::Sqlite(path.into())));
        }
        assert_eq!(place("postgres://me:CANARY@db/x"), Ok(Place::Postgres("postgres://me:CANARY@db/x".to_owned())));
        assert!(!format!("{:?}", place("postgres://me:CANARY@db/x")).contains("CANARY"));
        for bad in
            ["CANARY", "sqlite:", "sqlite://", "sqlite::memory:", "sqlite:a.db?CANARY", "postgres:CANARY", "mysql://CANARY"]
        {
            let error = place(bad).unwrap_err();
            assert!(error.variable == DATABASE_URL && !error.to_string().contains("CANARY"), "{error}");
        }
        for bad in ["65536", "-1", "http"] {
            assert_eq!(read(&[("PORT", bad)]).unwrap_err().variable, "PORT");
        }
    }
}
