//! When keys were used, how often, from where.

use std::time::Duration;

use keyward::{
    NewKey, SourceKind,
    key::KeyId,
    store::{Day, RecordTold},
};

use super::{Case, case, lasting};
use crate::stores::{
    bench::{Bench, Caller},
    problem::{Outcome, Problem, holds, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("R16 uses are counted, with the time, the network and the source of the last", counted),
    case("R16 uses are counted for each secret, and those of the old one are told after a rotation", by_secret),
    case("R16 uses are counted by the day, for thirty days", by_day),
    case("R16 who is not let in has not used a key", not_let_in),
    case("R16 a purged key has no uses", purged),
    case("R16 uses of many threads are all counted", threads),
    lasting("R16 counts add up when a store is opened again", reopened),
    lasting("R16 counts of a day add up when a store is opened again", days_reopened),
];

fn counted(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    same("before", 0, wait(bench.keys()?.usage(&[id]))?.len())?;
    let callers = [
        (Caller::from("203.0.113.77")?, "203.0.113.0", "203.0.113.0/24"),
        (Caller::from("2001:db8:1:2:3:4:5:6")?.by_bearer(), "2001:db8:1::", "2001:db8:1::/48"),
        (Caller::from("::ffff:198.51.100.9")?, "198.51.100.0", "198.51.100.0/24"),
    ];
    for (count, (caller, network, told)) in (1..).zip(callers) {
        bench.pass(Duration::from_nanos(1));
        same("let in", Ok(id), bench.ask_as(&key, caller)?)?;
        let usage = wait(bench.keys()?.usage(&[id]))?;
        let [used] = &usage[..] else { return Err(Problem::new(format!("expected one usage, got {usage:?}"))) };
        let expected = (id, 0, count, bench.now(), Some(network.parse()?), Some(caller.source));
        same("usage", expected, (used.id, used.number, used.count, used.last_used, used.network, used.source))?;
        let record = RecordTold::of(&*bench.record(&id)?, bench.now(), &usage);
        same("what is told", Some(Some(told.to_owned())), record.current.usage.map(|usage| usage.network))?;
    }
    bench.pass(Duration::from_nanos(1));
    same("let in from nowhere", Ok(id), bench.ask(&key)?)?;
    let usage = wait(bench.keys()?.usage(&[id]))?;
    same(
        "from nowhere",
        vec![(4, None, Some(SourceKind::Header))],
        usage.iter().map(|u| (u.count, u.network, u.source)).collect(),
    )
}

fn by_secret(bench: &mut Bench) -> Outcome {
    let (id, first) = bench.create(NewKey::named("k"))?;
    let used_first = bench.now();
    same("the first", Ok(id), bench.ask(&first)?)?;
    bench.pass(Duration::from_secs(1));
    let second = wait(bench.keys()?.rotate(&id, Duration::from_secs(10)))?.secret().expose().to_owned();
    let used_second = bench.now();
    same("the second", Ok(id), bench.ask(&second)?)?;
    same("the first, in its grace", Ok(id), bench.ask(&first)?)?;
    bench.pass(Duration::from_secs(10));
    let _ = bench.ask(&first)?;
    let _ = wait(bench.keys()?.rotate(&id, Duration::ZERO))?;
    let _ = bench.ask(&second)?;
    let mut usage: Vec<_> =
        wait(bench.keys()?.usage(&[id]))?.iter().map(|used| (used.number, used.count, used.last_used)).collect();
    usage.sort();
    holds("times differ", used_first < used_second)?;
    same("usage", vec![(0, 2, used_second), (1, 1, used_second)], usage)
}

const DAY: Duration = Duration::from_secs(86_400);

/// How many days ago, and how often.
fn days_ago(bench: &mut Bench, id: KeyId) -> Result<Vec<(i64, u64)>, Problem> {
    let today = Day::of(bench.now()).number();
    let usage = wait(bench.keys()?.usage(&[id]))?;
    Ok(usage.iter().flat_map(|used| used.days.iter().map(|(day, count)| (today - day.number(), count))).collect())
}

fn by_day(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    for uses in [2, 0, 3] {
        for _ in 0..uses {
            same("let in", Ok(id), bench.ask(&key)?)?;
        }
        bench.pass(DAY);
    }
    same("days", vec![(3, 2), (1, 3)], days_ago(bench, id)?)?;
    // Whether or not they were taken out of memory meanwhile.
    same("let in", Ok(id), bench.ask(&key)?)?;
    same("days, looked at again", vec![(3, 2), (1, 3), (0, 1)], days_ago(bench, id)?)?;
    bench.pass(DAY * 26);
    same("let in", Ok(id), bench.ask(&key)?)?;
    same("the first of thirty days", vec![(29, 2), (27, 3), (26, 1), (0, 1)], days_ago(bench, id)?)?;
    bench.pass(DAY);
    same("let in", Ok(id), bench.ask(&key)?)?;
    same("one more", vec![(28, 3), (27, 1), (1, 1), (0, 1)], days_ago(bench, id)?)?;
    let counts = wait(bench.keys()?.usage(&[id]))?.iter().map(|used| used.count).collect();
    same("all that ever were", vec![8], counts)
}

fn days_reopened(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    for _ in 0..2 {
        same("let in", Ok(id), bench.ask(&key)?)?;
        bench.pass(DAY);
        same("let in", Ok(id), bench.ask(&key)?)?;
        bench.reopen()?;
    }
    same("days", vec![(2, 1), (1, 2), (0, 1)], days_ago(bench, id)?)
}

fn not_let_in(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k").not_before(bench.now().after(Duration::from_nanos(1))))?;
    let _ = bench.ask(&key)?;
    same("not begun", 0, wait(bench.keys()?.usage(&[id]))?.len())?;
    bench.pass(Duration::from_nanos(1));
    let _ = bench.ask(&key)?;
    same("live", 1, wait(bench.keys()?.usage(&[id]))?.len())?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    let _ = bench.ask(&key)?;
    let usage = wait(bench.keys()?.usage(&[id]))?;
    same("revoked", vec![1], usage.iter().map(|used| used.count).collect())
}

fn purged(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let (other, other_key) = bench.create(NewKey::named("k"))?;
    let _ = (bench.ask(&key)?, bench.ask(&other_key)?);
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    let usage = wait(bench.keys()?.usage(&[id, other]))?;
    same("of whom", vec![other], usage.iter().map(|used| used.id).collect())
}

fn threads(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let handle = bench.handle()?;
    let asked = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..25).map(|_| handle.ask(&key)).collect::<Result<Vec<_>, _>>())).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| Problem::new("a thread panicked"))?)
            .collect::<Result<Vec<_>, _>>()
    })?;
    holds("all are let in", asked.iter().flatten().all(|answered| *answered == Ok(id)))?;
    let usage = wait(bench.keys()?.usage(&[id]))?;
    same("count", vec![100], usage.iter().map(|used| used.count).collect())
}

fn reopened(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    for count in 1..=3_u64 {
        bench.pass(Duration::from_nanos(1));
        let caller = Caller::from("203.0.113.77")?;
        same("let in", Ok(id), bench.ask_as(&key, caller)?)?;
        let last = bench.now();
        bench.pass(Duration::from_nanos(1));
        bench.reopen()?;
        let usage = wait(bench.keys()?.usage(&[id]))?;
        let got = usage.iter().map(|used| (used.count, used.last_used, used.network, used.source)).collect();
        same("usage", vec![(count, last, Some("203.0.113.0".parse()?), Some(SourceKind::Header))], got)?;
    }
    Ok(())
}
