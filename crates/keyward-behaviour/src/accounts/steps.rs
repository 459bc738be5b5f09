//! Random changes to accounts and sessions, as data.

use proptest::prelude::*;

/// One step. Accounts and sessions are named by their place among those that were tried, the latest first.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Add { address: usize, again: bool, only_as_first: bool },
    Rename { whose: usize, text: &'static str },
    Password { whose: usize, old: usize, new: usize, keeps: Option<usize> },
    Admin { whose: usize, value: bool },
    Disabled { whose: usize, value: bool },
    Remove { whose: usize },
    Begin { whose: usize, which: usize, again: bool, seen: i64, expires: i64 },
    Saw { session: usize, seen: i64 },
    End { session: usize },
    EndAll { whose: usize, but: Option<usize> },
    Sweep { over_before: i64, unseen_since: i64 },
    Page { after: Option<usize>, limit: usize },
    Reopen,
}

/// Sequences of steps.
pub(crate) fn sequences(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=longest)
}

fn step() -> impl Strategy<Value = Step> {
    let (whose, session, time) = (0..4_usize, 0..8_usize, 0..6_i64);
    let text = prop::sample::select(vec!["", "\0", "\\0", "\u{1f511}", "a name"]);
    prop_oneof![
        5 => (0..4_usize, prop::bool::weighted(0.1), prop::bool::weighted(0.2))
            .prop_map(|(address, again, only_as_first)| Step::Add { address, again, only_as_first }),
        1 => (whose.clone(), text).prop_map(|(whose, text)| Step::Rename { whose, text }),
        3 => (whose.clone(), 0..2_usize, 0..2_usize, prop::option::of(session.clone()))
            .prop_map(|(whose, old, new, keeps)| Step::Password { whose, old, new, keeps }),
        1 => (whose.clone(), any::<bool>()).prop_map(|(whose, value)| Step::Admin { whose, value }),
        2 => (whose.clone(), any::<bool>()).prop_map(|(whose, value)| Step::Disabled { whose, value }),
        1 => whose.clone().prop_map(|whose| Step::Remove { whose }),
        8 => (whose.clone(), prop::bool::weighted(0.2), prop::bool::weighted(0.05), time.clone(), time.clone()).prop_map(
            |(whose, other, again, seen, expires)| Step::Begin { whose, which: usize::from(other), again, seen, expires }
        ),
        2 => (session.clone(), time.clone()).prop_map(|(session, seen)| Step::Saw { session, seen }),
        2 => session.clone().prop_map(|session| Step::End { session }),
        1 => (whose.clone(), prop::option::of(session)).prop_map(|(whose, but)| Step::EndAll { whose, but }),
        1 => (time.clone(), time).prop_map(|(over_before, unseen_since)| Step::Sweep { over_before, unseen_since }),
        1 => (prop::option::of(whose), 0..4_usize).prop_map(|(after, limit)| Step::Page { after, limit }),
        1 => Just(Step::Reopen),
    ]
}
