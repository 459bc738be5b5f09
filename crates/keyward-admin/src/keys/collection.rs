//! The two ways to the same keys: all that somebody owns, and those of agents among them.

use std::collections::BTreeMap;

use keyward::PathPattern;
use keyward::key::Record;
use keyward::store::RecordTold;
use serde::Serialize;
use serde_json::Value;

use super::Told;
use super::fields::Fields;

/// Which keys a path is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collection {
    /// `/api/v1/user/api-keys`: every key that somebody owns, those of agents included, so that none works unseen.
    All,
    /// `/api/v1/agent-keys`.
    Agents,
}

/// What is told of an agent's key.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = AgentKey))]
pub(crate) struct AgentKeyTold {
    /// `None`: an administrator made it an agent's key, and said no more of it.
    app: Option<String>,
    agent: Option<String>,
    #[serde(flatten)]
    told: RecordTold,
}

/// The kind of agents' keys. Unlike other kinds everybody may give it, so a route that demands it keeps out other keys and no people.
pub(super) const AGENT: &str = "agent";

/// What is kept in a key's metadata under these names.
const APP: &str = "app";
const AGENT_NAME: &str = "agent";
/// How many bytes each of them has at most.
const LONGEST_NAME: usize = 256;

const SHARED_FIELDS: [&str; 8] =
    ["name", "scopes", "not_before", "expires_at", "allowed_ips", "limits", "metadata", "resource_pattern"];

impl Collection {
    /// The fields that a new key may have.
    pub(crate) fn fields_of_new(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Self::All => &["kind", "expires_in_days", "prefix"],
            Self::Agents => &["app", "agent", "expires_in_hours", "prefix"],
        };
        [&SHARED_FIELDS, own].concat()
    }

    /// The fields that may be changed.
    pub(crate) fn fields_of_change(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Self::All => &["kind", "disabled"],
            Self::Agents => &["app", "agent", "disabled"],
        };
        [&SHARED_FIELDS, own].concat()
    }

    /// The field for how long a key lasts, and its unit in seconds.
    pub(super) fn span(self) -> (&'static str, u64) {
        match self {
            Self::All => ("expires_in_days", 86_400),
            Self::Agents => ("expires_in_hours", 3_600),
        }
    }

    /// What the keys begin with that say nothing else.
    pub(super) fn prefix(self, of_settings: &str) -> &str {
        match self {
            Self::All => of_settings,
            Self::Agents => AGENT,
        }
    }

    /// The kind that its keys have.
    pub(super) fn kind(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Agents => Some(AGENT),
        }
    }

    pub(super) fn holds(self, record: &Record) -> bool {
        self.kind().is_none_or(|kind| record.kind.as_deref() == Some(kind))
    }

    /// The metadata of a new key.
    pub(super) fn metadata_of_new(self, fields: &mut Fields<'_>) -> BTreeMap<String, String> {
        let mut metadata = fields.metadata().unwrap_or_default();
        if self == Self::Agents {
            demand_without_names(&metadata, fields);
            for name in [APP, AGENT_NAME] {
                match name_of_agent(name, fields) {
                    Some(value) => _ = metadata.insert(name.to_owned(), value.into()),
                    None if fields.is_set(name) => {}
                    None => fields.fault(name, "is missing: it tells people who uses the key"),
                }
            }
        }
        metadata
    }

    /// What becomes of a key's metadata, if anything does. What an agent is called stays, whoever writes the others anew.
    pub(super) fn changed_metadata(self, before: &Record, fields: &mut Fields<'_>) -> Option<BTreeMap<String, String>> {
        let mut metadata = fields.metadata();
        if self == Self::Agents {
            if let Some(metadata) = &metadata {
                demand_without_names(metadata, fields);
            }
            for name in [APP, AGENT_NAME] {
                if let Some(value) = name_of_agent(name, fields) {
                    metadata.get_or_insert_with(|| before.metadata.clone()).insert(name.to_owned(), value.into());
                }
            }
        }
        let mut metadata = metadata?;
        if Self::Agents.holds(before) {
            for name in [APP, AGENT_NAME] {
                if let Some(value) = before.metadata.get(name) {
                    metadata.entry(name.to_owned()).or_insert_with(|| value.clone());
                }
            }
        }
        Some(metadata)
    }

    /// What is told of a key here.
    pub(super) fn told(self, mut told: RecordTold) -> Told {
        match self {
            Self::All => Told::Key(Box::new(told)),
            Self::Agents => {
                let (app, agent) = (told.metadata.remove(APP), told.metadata.remove(AGENT_NAME));
                Told::Agent(Box::new(AgentKeyTold { app, agent, told }))
            }
        }
    }
}

fn demand_without_names(metadata: &BTreeMap<String, String>, fields: &mut Fields<'_>) {
    for name in [APP, AGENT_NAME].into_iter().filter(|name| metadata.contains_key(*name)) {
        fields.fault(format!("metadata.{name}"), "is a field of its own: write it beside `metadata`");
    }
}

fn name_of_agent(field: &str, fields: &mut Fields<'_>) -> Option<Box<str>> {
    let name = fields.text(field)?.unwrap_or_default();
    if name.trim().is_empty() {
        fields.fault(field, "is empty: it tells people who uses the key");
        return None;
    }
    if name.len() > LONGEST_NAME {
        fields.fault(field, format!("has {} bytes, and may have at most {LONGEST_NAME}", name.len()));
        return None;
    }
    Some(name)
}

impl Fields<'_> {
    /// For which paths a key is accepted.
    pub(super) fn resource_pattern(&mut self) -> Option<Option<PathPattern>> {
        let read = |value: &Value| {
            let text = value.as_str()?;
            // A pattern that people know from elsewhere, and that no path would ever match here.
            if text.contains(['{', '}']) {
                return Some(Err("has a place to fill in: write the path itself, like \"/apps/7/*\"".to_owned()));
            }
            Some(text.parse().map_err(|bad: keyward::BadPathPattern| bad.to_string()))
        };
        self.read("resource_pattern", "a text", read)
    }
}
