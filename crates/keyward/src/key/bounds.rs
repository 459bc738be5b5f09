//! How much a record holds at most.
//!
//! What is written about a key is carried by every listing, every row of the journal and, in part, every answer: without bounds
//! one key could make all of these as large as it likes. The bounds are wide, the same for every store, and looked at where a key
//! is made, imported or changed. What a store holds already stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::Record;
use crate::limit::Quota;
use crate::network::AddressList;
use crate::path::PathPattern;
use crate::scope::Scope;

impl Record {
    /// How many bytes each of `name`, `kind`, `owner` and `resource_pattern` has at most. Whatever they are, an index of a database can hold them.
    pub const LONGEST_TEXT: usize = 1_024;
    /// How many scopes there are at most. Each has at most 256 characters.
    pub const MOST_SCOPES: usize = 256;
    /// How many networks there are at most.
    pub const MOST_NETWORKS: usize = 256;
    /// How many quotas there are at most: a request is charged for each.
    pub const MOST_LIMITS: usize = 16;
    /// How many entries the metadata have at most.
    pub const MOST_METADATA: usize = 64;
    /// How many bytes all names and values of the metadata have at most, together.
    pub const LONGEST_METADATA: usize = 16 * 1024;
}

/// A field of a record that cannot be as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct BadField {
    field: &'static str,
    problem: String,
}

impl BadField {
    /// The field, as [`Record`] calls it.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What is wrong with it. Repeats nothing of what was written.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// What is about to be written into a record; what is not set is not.
#[derive(Default)]
pub(crate) struct Fields<'f> {
    pub(crate) name: Option<&'f str>,
    pub(crate) kind: Option<&'f str>,
    pub(crate) owner: Option<&'f str>,
    pub(crate) scopes: &'f [Scope],
    pub(crate) networks: Option<&'f AddressList>,
    pub(crate) resource_pattern: Option<&'f PathPattern>,
    pub(crate) limits: Option<&'f [Quota]>,
    pub(crate) metadata: Option<&'f BTreeMap<String, String>>,
}

impl Fields<'_> {
    pub(crate) fn check(&self) -> Result<(), BadField> {
        for (field, text) in [("name", self.name), ("kind", self.kind), ("owner", self.owner)] {
            at_most(field, text.map_or(0, str::len), Record::LONGEST_TEXT, "bytes")?;
        }
        let pattern = self.resource_pattern.map_or(0, |pattern| pattern.to_string().len());
        at_most("resource_pattern", pattern, Record::LONGEST_TEXT, "bytes")?;
        at_most("scopes", self.scopes.len(), Record::MOST_SCOPES, "entries")?;
        if self.networks.is_some_and(AddressList::is_empty) {
            // Stores take it for damage: no key was ever meant to be nobody's.
            let problem = "is empty, which admits nobody: leave it out for anybody".to_owned();
            return Err(BadField { field: "networks", problem });
        }
        at_most("networks", self.networks.map_or(0, |networks| networks.iter().count()), Record::MOST_NETWORKS, "entries")?;
        if let Some(limits) = self.limits {
            at_most("limits", limits.len(), Record::MOST_LIMITS, "entries")?;
            let mut windows = BTreeSet::new();
            if let Some(twice) = limits.iter().find(|quota| !windows.insert(quota.window())) {
                let problem = format!("has two quotas of one window, like {twice}: keep the smaller");
                return Err(BadField { field: "limits", problem });
            }
            let mut names = BTreeSet::new();
            if let Some(twice) = limits.iter().filter_map(Quota::name).find(|name| !names.insert(*name)) {
                let problem = format!("has two quotas that are called {twice}: give one of them another name");
                return Err(BadField { field: "limits", problem });
            }
        }
        if let Some(metadata) = self.metadata {
            at_most("metadata", metadata.len(), Record::MOST_METADATA, "entries")?;
            let bytes = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
            at_most("metadata", bytes, Record::LONGEST_METADATA, "bytes")?;
        }
        Ok(())
    }
}

fn at_most(field: &'static str, found: usize, most: usize, what: &str) -> Result<(), BadField> {
    if found <= most {
        return Ok(());
    }
    Err(BadField { field, problem: format!("has {found} {what}, and may have at most {most}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The field that is refused, and whether it is for its entries.
    fn refused(fields: &Fields<'_>) -> Option<(&'static str, bool)> {
        fields.check().err().map(|bad| (bad.field(), bad.problem().contains("entries")))
    }

    #[test]
    fn on_each_bound_it_is_good_and_beyond_it_is_not() {
        let text = |length: usize| "x".repeat(length);
        let (good, bad) = (text(Record::LONGEST_TEXT), text(Record::LONGEST_TEXT + 1));
        // Bytes count, not characters.
        let umlauts = "ä".repeat(Record::LONGEST_TEXT / 2 + 1);
        let fields = |text| {
            [
                ("name", Fields { name: Some(text), ..Fields::default() }),
                ("kind", Fields { kind: Some(text), ..Fields::default() }),
                ("owner", Fields { owner: Some(text), ..Fields::default() }),
            ]
        };
        for (text, is_good) in [(&*good, true), (&*bad, false), (&*umlauts, false), ("", true)] {
            for (name, fields) in fields(text) {
                assert_eq!(refused(&fields), (!is_good).then_some((name, false)));
            }
        }

        let pattern = |length: usize| format!("/{}", "x".repeat(length - 1)).parse().unwrap();
        let (good, bad) = (pattern(Record::LONGEST_TEXT), pattern(Record::LONGEST_TEXT + 1));
        assert_eq!(refused(&Fields { resource_pattern: Some(&good), ..Fields::default() }), None);
        assert_eq!(refused(&Fields { resource_pattern: Some(&bad), ..Fields::default() }), Some(("resource_pattern", false)));

        let scopes: Vec<Scope> = (0..=Record::MOST_SCOPES).map(|number| format!("s{number}").parse().unwrap()).collect();
        assert_eq!(refused(&Fields { scopes: &scopes[1..], ..Fields::default() }), None);
        assert_eq!(refused(&Fields { scopes: &scopes, ..Fields::default() }), Some(("scopes", true)));

        let networks =
            |count: usize| AddressList::parse((0..count).map(|number| format!("10.0.{}.{}", number / 256, number % 256)));
        let (some, many) = (networks(Record::MOST_NETWORKS).unwrap(), networks(Record::MOST_NETWORKS + 1).unwrap());
        assert_eq!(refused(&Fields { networks: Some(&some), ..Fields::default() }), None);
        // A store would keep it, and not read it again.
        assert_eq!(refused(&Fields { networks: Some(&networks(0).unwrap()), ..Fields::default() }), Some(("networks", false)));
        assert_eq!(refused(&Fields { networks: Some(&many), ..Fields::default() }), Some(("networks", true)));

        let limits: Vec<Quota> = (0..=Record::MOST_LIMITS).map(|number| format!("5/{}s", number + 1).parse().unwrap()).collect();
        assert_eq!(refused(&Fields { limits: Some(&limits[1..]), ..Fields::default() }), None);
        assert_eq!(refused(&Fields { limits: Some(&limits), ..Fields::default() }), Some(("limits", true)));

        let mut metadata: BTreeMap<String, String> =
            (0..Record::MOST_METADATA).map(|number| (number.to_string(), String::new())).collect();
        assert_eq!(refused(&Fields { metadata: Some(&metadata), ..Fields::default() }), None);
        let names: usize = metadata.keys().map(String::len).sum();
        metadata.insert("0".to_owned(), text(Record::LONGEST_METADATA - names));
        assert_eq!(refused(&Fields { metadata: Some(&metadata), ..Fields::default() }), None);
        metadata.insert("1".to_owned(), text(1));
        assert_eq!(refused(&Fields { metadata: Some(&metadata), ..Fields::default() }), Some(("metadata", false)));
        metadata.insert("one more".to_owned(), String::new());
        assert_eq!(refused(&Fields { metadata: Some(&metadata), ..Fields::default() }), Some(("metadata", true)));
    }

    #[test]
    fn two_quotas_of_one_name_are_one_too_many() {
        let checked = |limits: &[&str]| {
            let limits: Vec<Quota> = limits.iter().map(|quota| quota.parse().unwrap()).collect();
            refused(&Fields { limits: Some(&limits), ..Fields::default() })
        };
        assert_eq!(checked(&["twin=3/minute", "twin=200/hour"]), Some(("limits", false)));
        assert_eq!(checked(&["one=3/minute", "other=200/hour", "9/day"]), None);
    }

    #[test]
    fn two_quotas_of_one_window_are_one_too_many() {
        let quotas = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Quota>>();
        for (texts, is_good) in [
            (&["5/minute", "9/hour"][..], true),
            (&["5/minute", "5/minute"], false),
            (&["5/minute", "9/hour", "7/60s"], false),
            (&["24/day", "1/24h"], false),
        ] {
            let limits = quotas(texts);
            let checked = Fields { limits: Some(&limits), ..Fields::default() }.check();
            assert_eq!(checked.is_ok(), is_good, "{texts:?}");
            assert!(checked.is_ok() || checked.unwrap_err().to_string().starts_with("`limits` has two quotas of one window"));
        }
    }
}
