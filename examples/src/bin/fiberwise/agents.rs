//! The agents, in memory and bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward::Timestamp;
use keyward::clock::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};

/// Agents of everybody. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Agents(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    of: BTreeMap<String, Vec<Agent>>,
    count: usize,
    last_id: u64,
}

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Agent {
    id: u64,
    name: String,
    description: String,
    created_at: Timestamp,
}

/// What somebody wants an agent to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAgent {
    name: String,
    #[serde(default)]
    description: String,
}

/// Why there is no such agent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BadAgent {
    Name,
    Description,
    Full,
}

impl std::fmt::Display for BadAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name => write!(f, "`name` is 1 to {} characters", Agents::LONGEST_NAME),
            Self::Description => write!(f, "`description` is at most {} characters", Agents::LONGEST_DESCRIPTION),
            Self::Full => f.write_str("There are as many agents as there can be."),
        }
    }
}

impl Agents {
    const LONGEST_NAME: usize = 100;
    const LONGEST_DESCRIPTION: usize = 1_000;
    /// Anybody can sign up.
    const MOST_OF_ONE: usize = 1_000;
    const MOST: usize = 10_000;

    /// The agents of one owner, the oldest first.
    pub(crate) fn of(&self, owner: &str) -> Vec<Agent> {
        self.kept().of.get(owner).cloned().unwrap_or_default()
    }

    pub(crate) fn add(&self, owner: &str, new: NewAgent) -> Result<Agent, BadAgent> {
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > Self::LONGEST_NAME {
            return Err(BadAgent::Name);
        }
        if new.description.chars().count() > Self::LONGEST_DESCRIPTION {
            return Err(BadAgent::Description);
        }
        let mut kept = self.kept();
        if kept.count >= Self::MOST || kept.of.get(owner).map_or(0, Vec::len) >= Self::MOST_OF_ONE {
            return Err(BadAgent::Full);
        }
        kept.count += 1;
        kept.last_id += 1;
        let created_at = SystemClock::new().now().wall;
        let agent = Agent { id: kept.last_id, name, description: new.description, created_at };
        kept.of.entry(owner.to_owned()).or_default().push(agent.clone());
        Ok(agent)
    }

    /// How many there are, and of how many owners.
    pub(crate) fn count(&self) -> (usize, usize) {
        let kept = self.kept();
        (kept.count, kept.of.keys().collect::<BTreeSet<_>>().len())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, description: &str) -> NewAgent {
        NewAgent { name: name.to_owned(), description: description.to_owned() }
    }

    #[test]
    fn names_descriptions_and_numbers_are_bounded() {
        let agents = Agents::default();
        let (longest, description) = ("\u{e9}".repeat(100), "\u{e9}".repeat(1_000));
        assert!(agents.add("a", agent(&longest, &description)).is_ok());
        assert_eq!(agents.add("a", agent(&format!("{longest}x"), "")), Err(BadAgent::Name));
        assert_eq!(agents.add("a", agent(" \t", "")), Err(BadAgent::Name));
        assert_eq!(agents.add("a", agent("x", &format!("{description}x"))), Err(BadAgent::Description));
        for owner in 0..10 {
            let owner = if owner == 0 { "a".to_owned() } else { owner.to_string() };
            while agents.of(&owner).len() < 1_000 {
                agents.add(&owner, agent("x", "")).unwrap();
            }
            assert_eq!(agents.add(&owner, agent("x", "")), Err(BadAgent::Full));
        }
        assert_eq!((agents.count(), agents.add("b", agent("x", ""))), ((10_000, 10), Err(BadAgent::Full)));
        assert_eq!(agents.of("b"), []);
    }
}
