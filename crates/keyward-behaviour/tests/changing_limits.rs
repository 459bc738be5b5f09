//! Quotas that change (R9.4), counted in memory and by the model's ledger, at any time and in any order.

use keyward::clock::Now;
use keyward::limit::{Bucket, Charge, Limits, LocalLimits, Quota, QuotaStanding, Taking, Whose};
use keyward::{Answer, Timestamp};
use keyward_behaviour::model::limits::{self as model, Quotas, Subject};
use keyward_behaviour::model::time::Moment;
use proptest::prelude::*;

/// All of them divide their windows: whether the fraction of a nanosecond counts is no rule's business.
const SETS: [&[&str]; 10] = [
    &["10/minute"],
    &["4/minute"],
    &["hot=4/minute"],
    &["12/minute", "4/hour"],
    &["5/minute", "100/hour"],
    &["100/hour"],
    &["4/hour", "40/day"],
    &["20/day"],
    &["1/day"],
    &["4/10s", "40/day"],
];

const OWNERS: [&str; 2] = ["ann", "bob"];

#[derive(Debug, Clone)]
struct Step {
    after: u64,
    /// Which set of quotas each owner is under.
    buckets: Vec<(usize, usize)>,
    cost: u32,
    peek: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let second = 1_000_000_000_u64;
    let after = prop_oneof![
        4 => Just(0),
        2 => 1..20 * second,
        2 => prop::sample::select(vec![6, 10, 15, 36, 60, 900, 3_600, 86_400]).prop_map(move |seconds| seconds * second),
        1 => prop::sample::select(vec![10, 60, 3_600, 86_400]).prop_map(move |seconds| seconds * second - 1),
        1 => 1..100_000 * second,
    ];
    let bucket = || (0..OWNERS.len(), 0..SETS.len());
    let buckets = prop_oneof![
        5 => bucket().prop_map(|one| vec![one]),
        1 => (0..SETS.len(), 0..SETS.len()).prop_map(|(one, other)| vec![(0, one), (1, other)]),
    ];
    let cost = prop_oneof![4 => Just(1), 2 => 1..6_u32, 1 => 1..200_u32];
    let step = (after, buckets, cost, prop::bool::weighted(0.15));
    let step = step.prop_map(|(after, buckets, cost, peek)| Step { after, buckets, cost, peek });
    prop::collection::vec(step, 1..60)
}

fn take(limits: &LocalLimits, steady: u64, buckets: &[Bucket<'_>], cost: u32, peek: bool) -> Charge {
    let now = Now { wall: Timestamp::EPOCH, steady };
    match limits.take(&Taking { now, buckets, cost, peek }) {
        Answer::Ready(Ok(charge)) => charge,
        other => panic!("counting in memory neither waits nor fails: {other:?}"),
    }
}

/// What is left of each quota, and how long until all of it is back.
type Told = Vec<(Moment, Moment)>;

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let sets = SETS.map(|set| set.iter().map(|quota| quota.parse().unwrap()).collect::<Vec<Quota>>());
    let ledgers = SETS.map(|set| set.iter().map(|quota| model::Quota::parse(quota)).collect::<Vec<_>>());
    let (cells, mut ledger) = (LocalLimits::new(), Quotas::default());
    // No cell is at zero when the first is taken.
    let mut now = 1_000_000_000_000;
    for step in steps {
        now += step.after;
        let buckets = step.buckets.iter();
        let buckets: Vec<_> =
            buckets.map(|&(owner, set)| Bucket { whose: Whose::Owner(OWNERS[owner]), quotas: &sets[set] }).collect();
        let charges = step.buckets.iter();
        let charges: Vec<model::Charge> =
            charges.map(|&(owner, set)| (Subject::Owner(OWNERS[owner].to_owned()), ledgers[set].clone())).collect();
        let before = step.peek.then(|| ledger.clone());
        let expected = ledger.take(&charges, step.cost.into(), now.into());
        if let Some(before) = before {
            ledger = before;
        }
        let got = take(&cells, now, &buckets, step.cost, step.peek);
        let wait = got.refused_for.map_or(0, |wait| Moment::try_from(wait.as_nanos()).unwrap());
        let full_in = |one: &QuotaStanding| Moment::try_from(one.full_in.as_nanos()).unwrap();
        let told: Told = got.standings.iter().map(|one| (one.remaining.into(), full_in(one))).collect();
        let standings = expected.as_ref().unwrap_or_else(|standings| standings);
        let longest = standings.iter().map(|one| one.wait).max().unwrap();
        let standings: Told = standings.iter().map(|one| (one.remaining, one.full_in)).collect();
        prop_assert_eq!((wait, told), (longest, standings), "{:?} at {}", step, now);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_cells_tell_what_the_ledger_tells(steps in steps()) {
        run(&steps)?;
    }
}
