//! What is said of a key on a command line, read from its flags: for new keys and for changed ones alike.

use std::collections::BTreeMap;
use std::fmt;

use keyward::limit::Quota;
use keyward::scope::Scope;
use keyward::{AddressList, BadPathPattern, PathPattern, Timestamp};

use crate::failure::Failure;
use crate::time_span::When;

pub(super) fn time(flag: &str, when: Option<When>, now: Timestamp) -> Result<Option<Timestamp>, Failure> {
    when.map(|when| when.ahead(now)).transpose().map_err(|error| wrong(flag, &error))
}

pub(super) fn scopes(texts: &[String]) -> Result<Vec<Scope>, Failure> {
    texts.iter().map(|text| text.parse().map_err(|error| wrong("--scope", &error))).collect()
}

pub(super) fn limits(texts: &[String]) -> Result<Vec<Quota>, Failure> {
    texts.iter().map(|text| text.parse().map_err(|error| wrong("--limit", &error))).collect()
}

/// `None` where there are none: anybody's.
pub(super) fn networks(texts: &[String]) -> Result<Option<AddressList>, Failure> {
    let list = (!texts.is_empty()).then(|| AddressList::parse(texts));
    list.transpose().map_err(|error| wrong("--allow-ip", &error))
}

pub(super) fn resource_pattern(text: Option<&str>) -> Result<Option<PathPattern>, Failure> {
    text.map(str::parse).transpose().map_err(|error: BadPathPattern| wrong("--resource-pattern", &error))
}

pub(super) fn metadata(pairs: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let read = |pair: &String| {
        let (name, value) = pair.split_once('=').filter(|(name, _)| !name.is_empty())?;
        Some((name.to_owned(), value.to_owned()))
    };
    pairs.iter().map(|pair| read(pair).ok_or_else(|| wrong("--metadata", &"write NAME=VALUE"))).collect()
}

pub(super) fn name(name: &str) -> Result<&str, Failure> {
    if name.trim().is_empty() { Err(wrong("--name", &"it is empty; write what the key is for")) } else { Ok(name) }
}

/// A key whose end comes before its start is a slip.
pub(super) fn start_before_end(start: Option<Timestamp>, end: Option<Timestamp>) -> Result<(), Failure> {
    match (start, end) {
        (Some(start), Some(end)) if start >= end => {
            Err(wrong("--not-before", &"it is not before --expires: the key would never be accepted"))
        }
        _ => Ok(()),
    }
}

/// Under which flag a record's field is written.
pub(super) fn flag_of(field: &str) -> &'static str {
    match field {
        "name" => "--name",
        "kind" => "--kind",
        "owner" => "--owner",
        "scopes" => "--scope",
        "networks" => "--allow-ip",
        "resource_pattern" => "--resource-pattern",
        "limits" => "--limit",
        _ => "--metadata",
    }
}

pub(super) fn wrong(flag: &str, problem: &dyn fmt::Display) -> Failure {
    Failure::Configuration(format!("{flag}: {problem}"))
}
