//! What is there when a store is opened again.

use std::time::Duration;

use keyward::{
    KeysError, Kind, NewKey,
    store::{Filter, Refused},
};

use super::{Case, lasting};
use crate::{
    model::key::generated,
    stores::{
        bench::{Bench, hashed, plain},
        handles::HANDLED,
        model::Seen,
        problem::{Outcome, holds, same},
        runtime::wait,
    },
};

pub(super) const CASES: &[Case] = &[
    lasting("C1 records, their secrets and their ends are there when the store is opened again", records),
    lasting("C3 secrets and handles that ended stay taken when the store is opened again", taken),
    lasting("R7.1 prefixes stay bound, and foreign keys in the way, when the store is opened again", prefixes),
    lasting("R16 what is done once stays done: opened again, revoked and purged", once),
    lasting("R11.1 the journal goes on where it was when the store is opened again", journal),
    lasting("R7.4 a grace ends when it should, also if the store was closed meanwhile", grace),
];

fn records(bench: &mut Bench) -> Outcome {
    let (live, key) =
        bench.create(NewKey::named("\0'\u{1f511}").owner("ada").scope("a:*")?.limit("5/10s")?.metadata("\0", "\u{5d0}"))?;
    let new = wait(bench.keys()?.rotate(&live, Duration::from_secs(10)))?.secret().expose().to_owned();
    let (revoked, revoked_key) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.revoke(&revoked))?;
    let (disabled, disabled_key) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.set_disabled(&disabled, true))?;
    let handled = wait(bench.keys()?.import(HANDLED[0].imported()?))?.id;
    let seen = |bench: &Bench| {
        let listed = wait(bench.keys()?.list(&Filter::default(), None, 10))?;
        Ok::<_, crate::stores::Problem>(listed.iter().map(|record| (Seen::of(record), record.epoch)).collect::<Vec<_>>())
    };
    let before = seen(bench)?;
    for _ in 0..2 {
        bench.reopen()?;
        same("records", &before, &seen(bench)?)?;
        same("the old secret", Ok(live), bench.ask(&key)?)?;
        same("the new one", Ok(live), bench.ask(&new)?)?;
        same("the revoked one", Err(Kind::Revoked), bench.ask(&revoked_key)?)?;
        same("the disabled one", Err(Kind::Disabled), bench.ask(&disabled_key)?)?;
        same("the one with a handle", Ok(handled), bench.ask(HANDLED[0].key)?)?;
    }
    let refused = wait(bench.keys()?.set_disabled(&revoked, false)).map(drop);
    same("a change of the revoked one", Err(KeysError::Refused(Refused::Revoked)), refused)
}

fn taken(bench: &mut Bench) -> Outcome {
    let (id, first) = bench.create(NewKey::named("k"))?;
    let second = wait(bench.keys()?.rotate(&id, Duration::ZERO))?.secret().expose().to_owned();
    let third = wait(bench.keys()?.rotate(&id, Duration::ZERO))?.secret().expose().to_owned();
    let handled = wait(bench.keys()?.import(HANDLED[0].imported()?))?.id;
    for id in [&id, &handled] {
        let _ = wait(bench.keys()?.revoke(id))?;
        wait(bench.keys()?.purge(id))?;
    }
    bench.reopen()?;
    let taken = |refused: Result<(), KeysError>| same("import", Err(KeysError::Refused(Refused::SecretTaken)), refused);
    for key in [&first, &second, &third] {
        taken(wait(bench.keys()?.import(plain(key)?)).map(drop))?;
        taken(wait(bench.keys()?.import(hashed(key)?)).map(drop))?;
        same("answer", Err(Kind::Unknown), bench.ask(key)?)?;
    }
    taken(wait(bench.keys()?.import(HANDLED[0].imported()?)).map(drop))?;
    let longer = wait(bench.keys()?.import(HANDLED[1].imported()?)).map(drop);
    same("a longer handle", Err(KeysError::Refused(Refused::HandleTaken)), longer)
}

fn prefixes(bench: &mut Bench) -> Outcome {
    let _ = bench.create(NewKey::named("k").prefix("acme")?)?;
    let foreign = wait(bench.keys()?.import(plain("k1_not-generated-here")?))?.id;
    bench.reopen()?;
    let looks = |refused: Result<(), KeysError>| same("refused", Err(KeysError::Refused(Refused::LooksGenerated)), refused);
    looks(wait(bench.keys()?.import(plain("acme_not-generated-here")?)).map(drop))?;
    looks(wait(bench.keys()?.create(NewKey::named("k").prefix("k1")?)).map(drop))?;
    same("a damaged key", Err(Kind::Malformed), bench.ask("acme_x")?)?;
    same("the foreign key", Ok(foreign), bench.ask("k1_not-generated-here")?)?;
    same("one that could be", Err(Kind::Unknown), bench.ask(&generated("acme", &"0".repeat(32)))?)
}

fn once(bench: &mut Bench) -> Outcome {
    let made = wait(bench.keys()?.create_once("bootstrap", NewKey::named("k")))?;
    let Some(made) = made else { return holds("it is made the first time", false) };
    let id = made.record().id;
    let again = |bench: &Bench| {
        let again = wait(bench.keys()?.create_once("bootstrap", NewKey::named("k")))?;
        holds("it is not made again", again.is_none())
    };
    again(bench)?;
    bench.reopen()?;
    again(bench)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    again(bench)?;
    wait(bench.keys()?.purge(&id))?;
    again(bench)?;
    bench.reopen()?;
    again(bench)?;
    same("how many there are", 0, wait(bench.keys()?.list(&Filter::default(), None, 10))?.len())?;
    let other = wait(bench.keys()?.create_once("Bootstrap", NewKey::named("k")))?;
    holds("another name is another thing", other.is_some())
}

fn journal(bench: &mut Bench) -> Outcome {
    let (id, _) = bench.create(NewKey::named("k"))?;
    let before = bench.journal()?;
    bench.reopen()?;
    same("rows", &before, &bench.journal()?)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    let after = bench.journal()?;
    same("the rows before", &before[..], &after[..before.len()])?;
    same("how many more", 1, after.len() - before.len())?;
    bench.reopen()?;
    same("rows", after, bench.journal()?)
}

fn grace(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.rotate(&id, Duration::from_nanos(1_000)))?;
    bench.reopen()?;
    bench.pass(Duration::from_nanos(999));
    same("one before", Ok(id), bench.ask(&old)?)?;
    bench.reopen()?;
    bench.pass(Duration::from_nanos(1));
    same("at its end", Err(Kind::Expired), bench.ask(&old)?)
}
