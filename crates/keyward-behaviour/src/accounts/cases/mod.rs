//! The named cases. One list: no place can edit it, or leave one out.

mod adding;
mod changing;
mod journal;
mod lasting;
mod races;
mod sessions;
mod sharing;
mod sweeping;
mod texts;

use super::bench::Bench;
use crate::stores::Outcome;

/// Something that every place does.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// The number of the rule, and what it comes to.
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&mut Bench) -> Outcome,
}

/// What a place has to be able to do so that a case can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// To be closed and opened again.
    Lasting,
    /// To be opened twice.
    Sharing,
}

const fn case(name: &'static str, run: fn(&mut Bench) -> Outcome) -> Case {
    Case { name, needs: Needs::Nothing, run }
}

const fn lasting(name: &'static str, run: fn(&mut Bench) -> Outcome) -> Case {
    Case { name, needs: Needs::Lasting, run }
}

const fn sharing(name: &'static str, run: fn(&mut Bench) -> Outcome) -> Case {
    Case { name, needs: Needs::Sharing, run }
}

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let groups = [
        adding::CASES,
        changing::CASES,
        sessions::CASES,
        sweeping::CASES,
        texts::CASES,
        journal::CASES,
        races::CASES,
        lasting::CASES,
        sharing::CASES,
    ];
    groups.concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_cite_a_rule_and_are_given_once() {
        let all = all();
        let names: BTreeSet<&str> = all.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), all.len());
        for name in names {
            let cited = name.split(' ').next().unwrap();
            assert!(matches!(cited, "A1" | "A2" | "A3" | "A4" | "A5" | "A6") || cited.starts_with('R'), "{name}");
        }
    }
}
