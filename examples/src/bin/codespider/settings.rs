//! What the environment says, read once and checked before anything starts.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use keyward::AddressList;
use keyward::limit::Quota;

pub(crate) const ADMIN_API_KEY: &str = "ADMIN_API_KEY";
pub(crate) const VALID_API_KEYS: &str = "VALID_API_KEYS";

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    /// Requests of one client.
    pub(crate) rate: Quota,
    /// From where requests are taken. Empty: from anywhere.
    pub(crate) allowed: Vec<String>,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) workspaces: PathBuf,
    /// Where browsers find the service, if it is told.
    pub(crate) public_url: Option<String>,
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
        let port = match text(&lookup, "PORT")? {
            None => 3000,
            Some(port) => port.parse().map_err(|_| wrong("PORT", "write a port from 0 to 65535"))?,
        };
        let rate = text(&lookup, "API_RATE_LIMIT")?.unwrap_or_else(|| "100".to_owned());
        Ok(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            rate: Quota::per_hour_from(&rate)
                .map_err(|_| wrong("API_RATE_LIMIT", "write how many requests an hour, 1 or more"))?,
            allowed: match text(&lookup, "ALLOWED_IPS")?.as_deref() {
                Some("*") => Vec::new(),
                _ => addresses(&lookup, "ALLOWED_IPS")?,
            },
            trusted_proxies: addresses(&lookup, "TRUSTED_PROXIES")?,
            workspaces: lookup("WORKSPACES").filter(|folder| !folder.is_empty()).unwrap_or("workspaces".into()).into(),
            public_url: text(&lookup, "PUBLIC_URL")?,
        })
    }
}

fn addresses(lookup: &impl Fn(&str) -> Option<OsString>, variable: &'static str) -> Result<Vec<String>, SettingsError> {
    let Some(list) = text(lookup, variable)? else { return Ok(Vec::new()) };
    let list: Vec<String> = list.split(',').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect();
    // A list that is there and holds nothing is somebody's mistake, and must not mean everybody.
    match AddressList::parse(&list) {
        Ok(_) if !list.is_empty() && !list.iter().any(|address| address == "*") => Ok(list),
        _ => Err(wrong(variable, "write addresses or networks like 192.168.1.100,10.0.0.0/8, separated by commas")),
    }
}

/// A value without its blanks; a blank value is none.
fn text(lookup: &impl Fn(&str) -> Option<OsString>, variable: &'static str) -> Result<Option<String>, SettingsError> {
    let Some(value) = lookup(variable) else { return Ok(None) };
    let value = value.into_string().map_err(|_| wrong(variable, "is not UTF-8"))?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
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
        assert_eq!((settings.address.to_string().as_str(), settings.rate.to_string().as_str()), ("127.0.0.1:3000", "100/hour"));
        assert_eq!((settings.allowed.len(), settings.trusted_proxies.len(), settings.public_url), (0, 0, None));
        assert_eq!(settings.workspaces, PathBuf::from("workspaces"));
    }

    #[test]
    fn lists_are_separated_by_commas_and_a_star_is_everybody() {
        let allowed = |list: &str| read(&[("ALLOWED_IPS", list)]).map(|settings| settings.allowed);
        assert_eq!(allowed("192.168.1.100, 10.0.0.50,").unwrap(), ["192.168.1.100", "10.0.0.50"]);
        assert_eq!(allowed(" * ").unwrap(), [""; 0]);
        assert_eq!(read(&[("TRUSTED_PROXIES", "10.0.0.0/8")]).unwrap().trusted_proxies, ["10.0.0.0/8"]);
    }

    #[test]
    fn wrong_values_name_their_variable_and_not_themselves() {
        for (variable, value) in [
            ("PORT", "65536"),
            ("API_RATE_LIMIT", "0"),
            ("API_RATE_LIMIT", "100/hour"),
            ("API_RATE_LIMIT", "canary"),
            ("ALLOWED_IPS", ","),
            ("ALLOWED_IPS", "*,10.0.0.50"),
            ("ALLOWED_IPS", "canary"),
            ("ALLOWED_IPS", "10.0.0.256"),
            ("TRUSTED_PROXIES", "*"),
            ("TRUSTED_PROXIES", "canary"),
        ] {
            let error = read(&[(variable, value)]).unwrap_err();
            assert_eq!(error.variable, variable, "{value}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}
