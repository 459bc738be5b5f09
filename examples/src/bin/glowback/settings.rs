//! What the environment says, read once and checked before anything starts.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use keyward::audit::Level;
use keyward::limit::Quota;

/// The variable that holds the keys.
pub(crate) const API_KEY: &str = "GLOWBACK_API_KEY";

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    /// No key is set: the document's development mode.
    pub(crate) development: bool,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: Level,
    pub(crate) rate: Quota,
    pub(crate) max_body_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Json,
    Text,
}

/// A variable that cannot be used: which, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SettingsError {
    variable: &'static str,
    mend: String,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.mend)
    }
}

impl Settings {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, SettingsError> {
        let port = number::<u16>(&lookup, "PORT", 8000, "write a port from 0 to 65535")?;
        let count = number::<u32>(&lookup, "GLOWBACK_RATE_LIMIT", 100, "write how many requests, 1 or more")?;
        let window = number::<u64>(&lookup, "GLOWBACK_RATE_WINDOW", 60, "write whole seconds, 1 or more")?;
        let rate = Quota::new(count, Duration::from_secs(window)).ok_or_else(|| SettingsError {
            variable: if count == 0 { "GLOWBACK_RATE_LIMIT" } else { "GLOWBACK_RATE_WINDOW" },
            mend: format!("{count} requests in {window} seconds is no limit: both are 1 or more, the window at most 366 days"),
        })?;
        Ok(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            // Read as the guard reads it: a value of separators alone is not "not set", and the guard refuses it.
            development: lookup(API_KEY).is_none_or(|keys| keys.to_str().is_some_and(|keys| keys.trim().is_empty())),
            log_format: match text(&lookup, "GLOWBACK_LOG_FORMAT")?.map(|format| format.to_ascii_lowercase()).as_deref() {
                None | Some("json") => LogFormat::Json,
                Some("text") => LogFormat::Text,
                Some(_) => return Err(wrong("GLOWBACK_LOG_FORMAT", "write json or text")),
            },
            log_level: match text(&lookup, "GLOWBACK_LOG_LEVEL")? {
                None => Level::Info,
                Some(level) => level.parse().map_err(|_| wrong("GLOWBACK_LOG_LEVEL", "write DEBUG, INFO, WARNING or ERROR"))?,
            },
            rate,
            max_body_bytes: number(&lookup, "GLOWBACK_MAX_BODY_BYTES", 1024 * 1024, "write a number of bytes")?,
        })
    }
}

/// A value without its blanks; a blank value is none.
fn text(lookup: &impl Fn(&str) -> Option<OsString>, variable: &'static str) -> Result<Option<String>, SettingsError> {
    let Some(value) = lookup(variable) else { return Ok(None) };
    let value = value.into_string().map_err(|_| wrong(variable, "is not UTF-8"))?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}

fn number<N: FromStr>(
    lookup: &impl Fn(&str) -> Option<OsString>,
    variable: &'static str,
    default: N,
    mend: &str,
) -> Result<N, SettingsError> {
    match text(lookup, variable)? {
        None => Ok(default),
        // Digits alone: what `+8000` means is nobody's business.
        Some(value) if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().map_err(|_| wrong(variable, mend)),
        Some(_) => Err(wrong(variable, mend)),
    }
}

/// Never with the value: the next variable along may hold a key, and people swap them.
fn wrong(variable: &'static str, mend: &str) -> SettingsError {
    SettingsError { variable, mend: mend.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn an_empty_environment_is_the_documents_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.address.to_string(), "127.0.0.1:8000");
        assert!(settings.development);
        assert_eq!((settings.log_format, settings.log_level), (LogFormat::Json, Level::Info));
        assert_eq!((settings.rate.to_string().as_str(), settings.max_body_bytes), ("100/minute", 1_048_576));
    }

    #[test]
    fn blank_is_not_set_and_separators_alone_are_not_blank() {
        assert!(read(&[(API_KEY, "  "), ("PORT", ""), ("GLOWBACK_LOG_LEVEL", " ")]).unwrap().development);
        assert!(!read(&[(API_KEY, ",")]).unwrap().development);
        assert_eq!(read(&[("GLOWBACK_LOG_LEVEL", "warning")]).unwrap().log_level, Level::Warning);
        assert_eq!(read(&[("GLOWBACK_LOG_FORMAT", "TEXT")]).unwrap().log_format, LogFormat::Text);
    }

    #[test]
    fn wrong_values_name_their_variable_and_not_themselves() {
        for (variable, value) in [
            ("PORT", "65536"),
            ("PORT", "http"),
            ("GLOWBACK_LOG_FORMAT", "canary"),
            ("GLOWBACK_LOG_LEVEL", "canary"),
            ("GLOWBACK_RATE_LIMIT", "0"),
            ("GLOWBACK_RATE_LIMIT", "-1"),
            ("GLOWBACK_RATE_WINDOW", "0"),
            ("GLOWBACK_RATE_WINDOW", "60s"),
            ("GLOWBACK_RATE_WINDOW", "99999999999"),
            ("GLOWBACK_MAX_BODY_BYTES", "1MB"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err();
            assert_eq!(error.variable, variable, "{value}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
