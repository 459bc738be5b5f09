//! One store, opened twice.

use std::time::Duration;

use keyward::{
    Keys, KeysError, Kind, NewKey,
    key::{Pepper, Peppers},
    store::{Filter, RecordStore as _, Refused},
};

use super::{Case, sharing};
use crate::stores::{
    any::AnyStore,
    bench::{Bench, plain},
    problem::{Outcome, Problem, holds, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    sharing("C3 a revocation holds elsewhere within the bound that is told", revocation),
    sharing("C1 every other change holds elsewhere within the bound, too", changes),
    sharing("C1 a key that is made here is known elsewhere at once if nobody asked for it, else within the bound", made),
    sharing("C4 what is taken here is taken elsewhere at once", taken),
    sharing("R16 what is done once here is not done elsewhere", once),
    sharing("R7.1 a prefix that is bound here keeps foreign keys out elsewhere", bound),
    sharing("R7.2 of two secrets for one pepper the second is refused elsewhere at once, and stores nothing", peppers),
    sharing("R11.1 the journal is one", journal),
];

/// A hair more than the bound.
fn bound_passes(bench: &Bench) -> Outcome {
    bench.pass(bench.store()?.revocation_bound() + Duration::from_nanos(1));
    Ok(())
}

fn revocation(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let elsewhere = bench.second()?;
    same("before, elsewhere", Ok(id), elsewhere.ask(&key)?)?;
    let revoked = wait(bench.keys()?.revoke(&id))?;
    same("the bound", bench.store()?.revocation_bound(), revoked.holds_everywhere_within())?;
    same("here, at once", Err(Kind::Revoked), bench.ask(&key)?)?;
    bound_passes(bench)?;
    same("elsewhere", Err(Kind::Revoked), elsewhere.ask(&key)?)?;
    let refused = wait(elsewhere.keys.set_disabled(&id, false)).map(drop);
    same("a change elsewhere", Err(KeysError::Refused(Refused::Revoked)), refused)
}

/// Which prefixes are bound has to be told by the store as it is, and not as a process remembers it.
fn peppers(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    let with = |store: &AnyStore, secret: u8| -> Result<Keys, Problem> {
        Ok(Keys::new(store.clone()).peppers(Peppers::new([Pepper::new(7, &[secret; 32])?])?))
    };
    let here = with(bench.store()?, 1)?;
    wait(here.note_peppers())?;
    let other = with(&elsewhere.store, 2)?;
    for _ in 0..2 {
        let refused = wait(other.create(NewKey::named("k")));
        holds("another secret is refused", matches!(refused, Err(KeysError::Peppers(_))))?;
    }
    wait(with(&elsewhere.store, 1)?.create(NewKey::named("k")))?;
    same("how many there are", 1, wait(here.list(&Filter::default(), None, 10))?.len())
}

fn changes(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    let elsewhere = bench.second()?;
    same("before", Ok(id), elsewhere.ask(&old)?)?;
    let new = wait(bench.keys()?.rotate(&id, Duration::ZERO))?.secret().expose().to_owned();
    bound_passes(bench)?;
    same("rotated: the old one", Err(Kind::Expired), elsewhere.ask(&old)?)?;
    same("rotated: the new one", Ok(id), elsewhere.ask(&new)?)?;
    let _ = wait(bench.keys()?.set_disabled(&id, true))?;
    bound_passes(bench)?;
    same("switched off", Err(Kind::Disabled), elsewhere.ask(&new)?)?;
    let _ = wait(elsewhere.keys.set_disabled(&id, false))?;
    bound_passes(bench)?;
    same("switched on elsewhere", Ok(id), bench.ask(&new)?)?;
    let _ = wait(bench.keys()?.expire(&id))?;
    bound_passes(bench)?;
    same("expired", Err(Kind::Expired), elsewhere.ask(&new)?)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    bound_passes(bench)?;
    same("revoked", Err(Kind::Revoked), elsewhere.ask(&new)?)?;
    wait(bench.keys()?.purge(&id))?;
    bound_passes(bench)?;
    // A store that looks for changes now and then has looked by now, and has to have seen that this key is gone.
    std::thread::sleep(Duration::from_millis(1_500));
    same("purged", Err(Kind::Unknown), elsewhere.ask(&new)?)
}

fn made(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    let (id, key) = bench.create(NewKey::named("k"))?;
    same("elsewhere", Ok(id), elsewhere.ask(&key)?)?;
    let foreign = "a-key-of-somebody-else-0123456789";
    same("before", Err(Kind::Unknown), elsewhere.ask(foreign)?)?;
    let imported = wait(bench.keys()?.import(plain(foreign)?))?.id;
    bench.pass(bench.store()?.revocation_bound().max(Duration::from_secs(1)) + Duration::from_nanos(1));
    same("after", Ok(imported), elsewhere.ask(foreign)?)
}

fn taken(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    let (id, key) = bench.create(NewKey::named("k"))?;
    let refused = wait(elsewhere.keys.import(plain(&key)?)).map(drop);
    same("a live key", Err(KeysError::Refused(Refused::SecretTaken)), refused)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    let refused = wait(elsewhere.keys.import(plain(&key)?)).map(drop);
    same("a purged key", Err(KeysError::Refused(Refused::SecretTaken)), refused)
}

fn once(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    holds("made here", wait(bench.keys()?.create_once("bootstrap", NewKey::named("k")))?.is_some())?;
    holds("not made elsewhere", wait(elsewhere.keys.create_once("bootstrap", NewKey::named("k")))?.is_none())
}

fn bound(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    let _ = bench.create(NewKey::named("k").prefix("acme")?)?;
    let refused = wait(elsewhere.keys.import(plain("acme_not-generated-here")?)).map(drop);
    same("a foreign key", Err(KeysError::Refused(Refused::LooksGenerated)), refused)?;
    let _ = wait(bench.keys()?.import(plain("k1_not-generated-here")?))?;
    let refused = wait(elsewhere.keys.create(NewKey::named("k").prefix("k1")?)).map(drop);
    same("a prefix in the way", Err(KeysError::Refused(Refused::LooksGenerated)), refused)
}

fn journal(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    let (id, _) = bench.create(NewKey::named("k"))?;
    let _ = wait(elsewhere.keys.acting_as("elsewhere").revoke(&id))?;
    let rows = bench.journal()?;
    let told: Vec<_> = rows.iter().map(|row| (&*row.action, &*row.actor)).collect();
    same("rows", vec![("create", "program"), ("revoke", "elsewhere")], told)?;
    same("the same elsewhere", rows.clone(), wait(elsewhere.keys.journal(0, 10))?)
}
