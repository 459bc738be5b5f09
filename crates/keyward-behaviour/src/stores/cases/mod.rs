//! The named cases. One list: no store can edit it, or leave one out.

mod endings;
mod importing;
mod journal;
mod lasting;
mod listing;
mod peppers;
mod races;
mod sharing;
mod texts;
mod times;
mod usage;

use super::{bench::Bench, problem::Outcome};

/// Something that every store does.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// The number of the rule, and what it comes to.
    pub(crate) name: &'static str,
    pub(crate) needs: Needs,
    pub(crate) run: fn(&mut Bench) -> Outcome,
}

/// What a store has to be able to do so that a case can be tried.
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
        times::CASES,
        endings::CASES,
        importing::CASES,
        peppers::CASES,
        listing::CASES,
        texts::CASES,
        journal::CASES,
        usage::CASES,
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
            let (letter, number) = cited.split_at(1);
            assert!(matches!(letter, "R" | "C") && number.chars().all(|c| c.is_ascii_digit() || c == '.'), "{name}");
        }
    }
}
