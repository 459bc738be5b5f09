//! Scopes: what a key may do, and what a route demands (R8).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One permission that a key holds: words joined by `:`, the last of which may be `*`.
///
/// A held `a:b:*` covers one or more further words (`a:b:c`, `a:b:c:d`), not `a:b` itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Scope(Box<str>);

/// What was written is no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no scope: write visible ASCII without quotes or backslash, words joined by `:`, with `*` only as the last of several words (`reports:*`)"
)]
pub struct BadScope(String);

impl Scope {
    /// The scope as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether holding this scope satisfies a demand for `demanded`.
    pub fn covers(&self, demanded: &str) -> bool {
        match self.0.strip_suffix('*') {
            // The `:` before the star stays in the prefix, so `a:b` itself is not covered, nor `a:bc`.
            Some(prefix) => demanded.len() > prefix.len() && demanded.starts_with(prefix),
            None => *self.0 == *demanded,
        }
    }
}

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let demandable = match text.strip_suffix(":*") {
            Some(words) => is_demandable(words),
            None => is_demandable(text),
        };
        if demandable { Ok(Self(text.into())) } else { Err(BadScope(text.chars().take(64).collect())) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a route may demand this: 1 to 256 characters of RFC 6749 §3.3, no empty word, no `*`.
#[doc(hidden)]
pub const fn is_demandable(scope: &str) -> bool {
    let bytes = scope.as_bytes();
    let mut at = 0;
    let mut word_is_empty = true;
    while at < bytes.len() {
        match bytes[at] {
            b':' if word_is_empty => return false,
            b':' => word_is_empty = true,
            b'"' | b'\\' | b'*' => return false,
            0x21..=0x7e => word_is_empty = false,
            _ => return false,
        }
        at += 1;
    }
    !word_is_empty && bytes.len() <= 256
}

/// What a route demands beside a valid key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    pub(crate) scopes: Demand,
    /// Empty: any.
    pub(crate) kinds: Vec<Box<str>>,
    /// How many permissions a request takes of each quota; 0 where it is not said.
    pub(crate) cost: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Demand {
    #[default]
    Nothing,
    All(Vec<Box<str>>),
    Any(Vec<Box<str>>),
}

impl Requirement {
    /// All of these scopes.
    ///
    /// # Errors
    /// [`BadScope`] for a scope with a `*`: a demand names what it means.
    pub fn all_of<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Result<Self, BadScope> {
        Ok(Self { scopes: Demand::All(demandable(scopes)?), ..Self::default() })
    }

    /// At least one of these scopes.
    ///
    /// # Errors
    /// As [`Requirement::all_of`].
    pub fn any_of<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Result<Self, BadScope> {
        Ok(Self { scopes: Demand::Any(demandable(scopes)?), ..Self::default() })
    }

    /// One of these kinds, beside the scopes.
    #[must_use]
    pub fn of_kinds<S: AsRef<str>>(mut self, kinds: impl IntoIterator<Item = S>) -> Self {
        self.kinds = kinds.into_iter().map(|kind| kind.as_ref().into()).collect();
        self
    }

    /// Takes so many permissions of each quota (1) instead of one: for requests that are dear. Where several requirements say
    /// it, the most counts; a quota that never has as many gives all that it has. Within another guard of the same policy
    /// nothing is charged a second time.
    #[must_use]
    pub fn costing(mut self, permissions: u32) -> Self {
        self.cost = permissions;
        self
    }

    /// Whether it keeps anybody out.
    pub(crate) fn is_nothing(&self) -> bool {
        self.scopes == Demand::Nothing && self.kinds.is_empty()
    }

    pub(crate) fn accepts_kind(&self, kind: Option<&str>) -> bool {
        self.kinds.is_empty() || kind.is_some_and(|kind| self.kinds.iter().any(|allowed| **allowed == *kind))
    }

    pub(crate) fn accepts_scopes(&self, held: &[Scope]) -> bool {
        let holds = |demanded: &str| held.iter().any(|scope| scope.covers(demanded));
        match &self.scopes {
            Demand::Nothing => true,
            Demand::All(scopes) => scopes.iter().all(|demanded| holds(demanded)),
            Demand::Any(scopes) => scopes.iter().any(|demanded| holds(demanded)),
        }
    }
}

fn demandable<S: AsRef<str>>(scopes: impl IntoIterator<Item = S>) -> Result<Vec<Box<str>>, BadScope> {
    let check = |scope: S| match scope.as_ref() {
        scope if is_demandable(scope) => Ok(scope.into()),
        other => Err(BadScope(other.chars().take(64).collect())),
    };
    scopes.into_iter().map(check).collect()
}

/// A [`Requirement`] of all the scopes named, checked when the program is compiled.
///
/// ```
/// let demand = keyward::scopes!["reports:read", "reports:list"];
/// ```
///
/// ```compile_fail
/// let demand = keyward::scopes!["reports:*"]; // a demand has no wildcard
/// ```
#[macro_export]
macro_rules! scopes {
    [$($scope:literal),+ $(,)?] => {{
        $(const { assert!($crate::scope::is_demandable($scope), "not a scope that can be demanded") };)+
        $crate::scope::Requirement::of_literals(&[$($scope),+])
    }};
}

impl Requirement {
    /// For [`scopes!`], which has checked them.
    #[doc(hidden)]
    pub fn of_literals(scopes: &[&str]) -> Self {
        Self { scopes: Demand::All(scopes.iter().map(|&scope| scope.into()).collect()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_further_words_only() {
        let held: Scope = "a:b:*".parse().unwrap();
        for (demanded, covered) in
            [("a:b:c", true), ("a:b:c:d", true), ("a:b", false), ("a:bc", false), ("a:b:", false), ("a", false)]
        {
            assert_eq!(held.covers(demanded), covered, "{demanded}");
        }
    }

    #[test]
    fn what_is_a_scope() {
        for good in ["a", "reports:read", "reports:*", "https://api.example.com/x"] {
            assert!(good.parse::<Scope>().is_ok(), "{good}");
        }
        for bad in ["", "*", "a*", "a:*:b", "*:a", "a::b", ":a", "a:", "a b", "a\"", "a\\", "ä", ":*"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
        assert!(Requirement::all_of(["reports:*"]).is_err());
    }

    #[test]
    fn holding_nothing_authorises_nothing() {
        assert!(!Requirement::of_literals(&["a"]).accepts_scopes(&[]));
        assert!(!Requirement::any_of(["a", "b"]).unwrap().accepts_scopes(&[]));
        assert!(Requirement::default().accepts_scopes(&[]));
        let held = ["a".parse().unwrap()];
        assert!(!Requirement::all_of(["a", "b"]).unwrap().accepts_scopes(&held));
        assert!(Requirement::any_of(["a", "b"]).unwrap().accepts_scopes(&held));
    }
}
