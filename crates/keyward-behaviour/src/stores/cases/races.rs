//! Changes at the same time, from many threads, and from elsewhere where a store can be opened twice.

use std::{
    collections::BTreeMap,
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use keyward::{
    AddressList, Keys, KeysError, Kind, NewKey, Timestamp,
    key::Epoch,
    store::{Filter, RecordStore as _, Refused, Update},
};

use super::{Case, case, sharing};
use crate::stores::{
    bench::{Bench, plain},
    problem::{Outcome, Problem, holds, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("C3 a revocation wins over every change at the same time, and holds from its acknowledgement on", revoking),
    sharing("C3 a revocation wins over every change that is made elsewhere at the same time", revoking_elsewhere),
    case("C2 of two rotations at the same time neither loses a secret that was handed out", rotating),
    sharing("C2 of two rotations here and elsewhere neither loses a secret that was handed out", rotating_elsewhere),
    case("C2 changes of different fields at the same time are all there afterwards", fields),
    sharing("C2 changes of different fields here and elsewhere are all there afterwards", fields_elsewhere),
    case("R16 what is done once is done by one of many who try", once),
    sharing("R16 what is done once is done by one of many who try here and elsewhere", once_elsewhere),
    case("C4 a key is imported by one of many who try", importing),
    sharing("C4 a key is imported by one of many who try here and elsewhere", importing_elsewhere),
    case("R7.1 of a foreign key and a prefix that it is in the way of, one is refused", shapes),
    case("C2 a revoked key is purged by one of many who try", purging),
    case("R7.4 while a key is rotated, its secret in grace is never unknown", lookups),
];

/// How often what needs luck is tried.
fn rounds(bench: &Bench) -> u32 {
    (bench.subject.sequences / 4).clamp(3, 50)
}

/// Those who look after keys, in turn: all of this process, or every other one elsewhere.
fn in_turn<'k>(here: &'k Keys, elsewhere: Option<&'k Keys>, number: usize) -> &'k Keys {
    match elsewhere {
        Some(elsewhere) if number % 2 == 1 => elsewhere,
        _ => here,
    }
}

/// Does something in several threads that begin together.
fn race<T: Send>(threads: usize, work: impl Fn(usize) -> Result<T, Problem> + Sync) -> Result<Vec<T>, Problem> {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|number| {
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(number)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| Problem::new("a thread panicked"))?).collect()
    })
}

/// What was refused; a fault is a problem.
fn refused<T>(result: Result<T, KeysError>) -> Result<Result<T, Refused>, Problem> {
    match result {
        Ok(done) => Ok(Ok(done)),
        Err(KeysError::Refused(refused)) => Ok(Err(refused)),
        Err(other) => Err(other.into()),
    }
}

fn revoking(bench: &mut Bench) -> Outcome {
    revoke_among_changes(bench, None)
}

fn revoking_elsewhere(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    revoke_among_changes(bench, Some(&elsewhere.keys))
}

fn revoke_among_changes(bench: &Bench, elsewhere: Option<&Keys>) -> Outcome {
    for _ in 0..rounds(bench) {
        let (id, key) = bench.create(NewKey::named("k"))?;
        let (here, is_over) = (bench.keys()?, AtomicBool::new(false));
        let changed = race(4, |number| {
            if number == 0 {
                let revoked = wait(here.revoke(&id));
                // Whatever comes of it, the others have an end.
                is_over.store(true, Ordering::SeqCst);
                let at = revoked?.record().revoked_at();
                for _ in 0..3 {
                    let answered = bench.ask(&key)?;
                    holds("it is refused from the acknowledgement on", matches!(answered, Err(Kind::Revoked | Kind::Unknown)))?;
                }
                return Ok((0, at));
            }
            // Elsewhere are those who change, and here is who revokes.
            let keys = elsewhere.unwrap_or(here);
            let mut changed = 0;
            for turn in 0..1_000 {
                let was_over = is_over.load(Ordering::SeqCst);
                let done = match (number, turn % 2) {
                    (1, _) => refused(wait(keys.rotate(&id, Duration::from_secs(3_600))))?.map(drop),
                    (2, _) => refused(wait(keys.set_disabled(&id, turn % 2 == 1)))?.map(drop),
                    _ => refused(wait(keys.update(&id, Update { name: Some("n".into()), ..Update::default() })))?.map(drop),
                };
                match done {
                    Ok(()) => {
                        holds("no change is made after the revocation was acknowledged", !was_over)?;
                        changed += 1;
                    }
                    Err(refused) => {
                        same("why a change is refused", Refused::Revoked, refused)?;
                        break;
                    }
                }
            }
            Ok((changed, None))
        })?;
        let record = bench.record(&id)?;
        holds("it is revoked in the end", record.is_revoked())?;
        same("since when", changed[0].1, record.revoked_at())?;
        let rows = bench.journal()?.iter().filter(|row| row.key == id).count();
        let changes: usize = changed.iter().map(|(changed, _)| changed).sum();
        if rows_are_all_there(bench)? {
            same("rows of the key", changes + 2, rows)?;
        }
        let last = bench.journal()?.into_iter().rfind(|row| row.key == id).map(|row| row.action);
        same("the last row", Some("revoke"), last.as_deref())?;
    }
    Ok(())
}

/// Whether the journal is still shorter than what the store keeps.
fn rows_are_all_there(bench: &Bench) -> Result<bool, Problem> {
    Ok(u64::try_from(bench.journal()?.len()).unwrap_or(u64::MAX) < bench.subject.journal)
}

fn rotating(bench: &mut Bench) -> Outcome {
    rotate_twice(bench, None)
}

fn rotating_elsewhere(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    rotate_twice(bench, Some(&elsewhere.keys))
}

fn rotate_twice(bench: &Bench, elsewhere: Option<&Keys>) -> Outcome {
    for _ in 0..rounds(bench) {
        let (id, first) = bench.create(NewKey::named("k"))?;
        let (here, grace) = (bench.keys()?, bench.store()?.revocation_bound() + Duration::from_secs(3_600));
        let made = race(2, |number| {
            let rotated = refused(wait(in_turn(here, elsewhere, number).rotate(&id, grace)))?;
            Ok(rotated.ok().map(|made| (made.secret().expose().to_owned(), made.record().current.number)))
        })?;
        if elsewhere.is_some() {
            bench.pass(bench.store()?.revocation_bound() + Duration::from_nanos(1));
        }
        let made: Vec<_> = made.into_iter().flatten().collect();
        holds("one of them at least is done", !made.is_empty())?;
        for (key, _) in &made {
            same("a secret that was handed out", Ok(id), bench.ask(key)?)?;
        }
        let expected = if made.len() == 1 { Ok(id) } else { Err(Kind::Unknown) };
        same("the first secret", expected, bench.ask(&first)?)?;
        let mut numbers: Vec<u32> = made.iter().map(|(_, number)| *number).collect();
        numbers.sort_unstable();
        same("their numbers", (1..).take(made.len()).collect(), numbers)?;
    }
    Ok(())
}

fn fields(bench: &mut Bench) -> Outcome {
    change_fields(bench, None)
}

fn fields_elsewhere(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    change_fields(bench, Some(&elsewhere.keys))
}

fn change_fields(bench: &Bench, elsewhere: Option<&Keys>) -> Outcome {
    for _ in 0..rounds(bench) {
        let (id, _) = bench.create(NewKey::named("k"))?;
        let (here, time) = (bench.keys()?, Timestamp::from_unix_seconds(7));
        let metadata = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let none = Update::default;
        let updates = [
            Update { name: Some("changed".into()), ..none() },
            Update { kind: Some(Some("changed".into())), ..none() },
            Update { scopes: Some(vec!["changed".parse()?]), ..none() },
            Update { not_before: Some(Some(time)), ..none() },
            Update { expires: Some(Some(time)), ..none() },
            Update { networks: Some(Some(AddressList::parse(["192.0.2.0/24"])?)), ..none() },
            Update { resource_pattern: Some(Some("/a/*".parse()?)), ..none() },
            Update { limits: Some(Some(vec!["5/10s".parse()?])), ..none() },
            Update { metadata: Some(metadata.clone()), ..none() },
            Update { disabled: Some((true, Epoch::from_bytes([7; 16]))), ..none() },
        ];
        let _ = race(updates.len(), |number| Ok(wait(in_turn(here, elsewhere, number).update(&id, updates[number].clone()))?))?;
        let record = bench.record(&id)?;
        let is_changed = [
            ("name", &*record.name == "changed"),
            ("kind", record.kind.as_deref() == Some("changed")),
            ("scopes", record.scopes.len() == 1),
            ("not_before", record.not_before == Some(time)),
            ("expires", record.expires == Some(time)),
            ("networks", record.networks.is_some()),
            ("resource_pattern", record.resource_pattern.is_some()),
            ("limits", record.limits.is_some()),
            ("metadata", record.metadata == metadata),
            ("disabled", record.disabled),
        ];
        for (field, is_changed) in is_changed {
            holds(format!("the change of {field} is there"), is_changed)?;
        }
        same("rows", updates.len() + 1, bench.journal()?.iter().filter(|row| row.key == id).count())?;
    }
    Ok(())
}

fn once(bench: &mut Bench) -> Outcome {
    make_once(bench, None)
}

fn once_elsewhere(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    make_once(bench, Some(&elsewhere.keys))
}

fn make_once(bench: &Bench, elsewhere: Option<&Keys>) -> Outcome {
    for round in 0..rounds(bench) {
        let (here, name) = (bench.keys()?, format!("bootstrap {round}"));
        let made = race(6, |number| {
            let made = wait(in_turn(here, elsewhere, number).create_once(&name, NewKey::named("k").owner(name.as_str())))?;
            Ok(usize::from(made.is_some()))
        })?;
        same("how many made it", 1, made.iter().sum())?;
        let filter = Filter { owner: Some(name.as_str().into()), ..Filter::default() };
        same("how many there are", 1, wait(here.list(&filter, None, 10))?.len())?;
    }
    Ok(())
}

fn importing(bench: &mut Bench) -> Outcome {
    import_once(bench, None)
}

fn importing_elsewhere(bench: &mut Bench) -> Outcome {
    let elsewhere = bench.second()?;
    import_once(bench, Some(&elsewhere.keys))
}

fn import_once(bench: &Bench, elsewhere: Option<&Keys>) -> Outcome {
    for round in 0..rounds(bench) {
        let (here, key) = (bench.keys()?, format!("a-key-of-somebody-else-{round}"));
        let imported = race(6, |number| refused(wait(in_turn(here, elsewhere, number).import(plain(&key)?))))?;
        let mut ids = Vec::new();
        for imported in imported {
            match imported {
                Ok(record) => ids.push(record.id),
                Err(why) => same("why the others are refused", Refused::SecretTaken, why)?,
            }
        }
        same("how many imported it", 1, ids.len())?;
        if elsewhere.is_some() {
            bench.pass(bench.store()?.revocation_bound().max(Duration::from_secs(1)) + Duration::from_nanos(1));
        }
        same("whose it is", Ok(ids[0]), bench.ask(&key)?)?;
    }
    Ok(())
}

fn shapes(bench: &mut Bench) -> Outcome {
    for round in 0..rounds(bench) {
        let (keys, prefix) = (bench.keys()?, format!("acme{round}"));
        let foreign = format!("{prefix}_not-generated-here-but-strong");
        let done = race(2, |number| match number {
            0 => Ok(refused(wait(keys.create(NewKey::named("k").prefix(&prefix)?)))?.map(drop)),
            _ => Ok(refused(wait(keys.import(plain(&foreign)?)))?.map(drop)),
        })?;
        same("how many were done", 1, done.iter().filter(|done| done.is_ok()).count())?;
        for done in done {
            holds("the other one looks generated", done.is_ok() || done == Err(Refused::LooksGenerated))?;
        }
    }
    Ok(())
}

fn purging(bench: &mut Bench) -> Outcome {
    for _ in 0..rounds(bench) {
        let (id, key) = bench.create(NewKey::named("k"))?;
        let keys = bench.keys()?;
        let _ = wait(keys.revoke(&id))?;
        let purged = race(4, |_| refused(wait(keys.purge(&id))))?;
        same("how many purged it", 1, purged.iter().filter(|purged| purged.is_ok()).count())?;
        for purged in purged {
            holds("the others find nothing", purged.is_ok() || purged == Err(Refused::NotFound))?;
        }
        same("its answer", Err(Kind::Unknown), bench.ask(&key)?)?;
    }
    Ok(())
}

fn lookups(bench: &mut Bench) -> Outcome {
    let (id, first) = bench.create(NewKey::named("k"))?;
    let (is_over, rotations) = (AtomicBool::new(false), rounds(bench) * 2);
    let current = std::sync::RwLock::new(first);
    let _ = race(3, |number| {
        if number == 0 {
            for _ in 0..rotations {
                let made = wait(bench.keys()?.rotate(&id, Duration::from_secs(3_600)));
                match made {
                    Ok(made) => {
                        let mut current = current.write().map_err(|_| Problem::new("a thread panicked"))?;
                        made.secret().expose().clone_into(&mut current);
                    }
                    Err(error) => {
                        is_over.store(true, Ordering::SeqCst);
                        return Err(error.into());
                    }
                }
            }
            is_over.store(true, Ordering::SeqCst);
            return Ok(());
        }
        while !is_over.load(Ordering::SeqCst) {
            // Held while it is asked for, so that there is at most one rotation meanwhile.
            let secret = current.read().map_err(|_| Problem::new("a thread panicked"))?;
            same("the secret that was handed out last", Ok(id), bench.ask(&secret)?)?;
            drop(secret);
            std::thread::yield_now();
        }
        Ok(())
    })?;
    Ok(())
}
