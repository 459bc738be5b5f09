//! The end of a key.

use std::time::Duration;

use keyward::{
    KeysError, Kind, NewKey,
    key::{Epoch, KeyId, State},
    store::{Attribution, Change, Filter, RecordStore as _, Refused, Update},
};

use super::{Case, case};
use crate::stores::{
    bench::{Bench, hashed, plain},
    handles::HANDLED,
    problem::{Outcome, Problem, holds, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("C1 a revocation holds from its acknowledgement on, for every secret of the key", holds_at_once),
    case("C3 a revoked key takes no change, and none brings it back", no_way_back),
    case("C3 revoking again is no fault: the first time stays, and the journal has one row", twice),
    case("C3 only a revoked key can be purged, and then it is gone", purge),
    case("C3 a purged key's secrets cannot be imported again, in plain text or by their digests", purged_secrets),
    case("C3 secrets that rotations have ended cannot be imported again", rotated_secrets),
    case("C3 a purged key's handle cannot be taken again", purged_handle),
    case("C3 what is not there takes no change", not_there),
    case("R16 ending all keys of an owner ends those and no others", revoke_all),
    case("R16 the end of retention removes what was revoked before it, and nothing else", retention),
    case("R7.4 a revocation, a rotation and a switch change the epoch; an update does not", epochs),
];

fn refused<T>(result: Result<T, KeysError>) -> Result<Option<Refused>, Problem> {
    match result {
        Ok(_) => Ok(None),
        Err(KeysError::Refused(refused)) => Ok(Some(refused)),
        Err(other) => Err(other.into()),
    }
}

fn renamed() -> Update {
    Update { name: Some("another".into()), ..Update::default() }
}

fn holds_at_once(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    let made = wait(bench.keys()?.rotate(&id, Duration::from_secs(3_600)))?;
    let new = made.secret().expose();
    same("before", (Ok(id), Ok(id)), (bench.ask(&old)?, bench.ask(new)?))?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    same("after", (Err(Kind::Revoked), Err(Kind::Revoked)), (bench.ask(&old)?, bench.ask(new)?))
}

fn no_way_back(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    let before = bench.record(&id)?;
    let keys = bench.keys()?;
    same("update", Some(Refused::Revoked), refused(wait(keys.update(&id, renamed())))?)?;
    same("switching on", Some(Refused::Revoked), refused(wait(keys.set_disabled(&id, false)))?)?;
    same("expiry", Some(Refused::Revoked), refused(wait(keys.expire(&id)))?)?;
    same("rotation", Some(Refused::Revoked), refused(wait(keys.rotate(&id, Duration::from_secs(1))))?)?;
    // Past the check of `Keys`: the store itself has to refuse.
    let (other, _) = bench.create(NewKey::named("another"))?;
    let slot = bench.record(&other)?.current.clone();
    let by = || Attribution { actor: "nobody".into(), at: bench.now() };
    let rotate = Change::Rotate { slot, grace_ends: bench.now(), epoch: Epoch::from_bytes([1; 16]) };
    same("rotation in the store", Err(Refused::Revoked), wait(bench.store()?.change(&id, rotate, by()).wait())?.map(drop))?;
    let update = Change::Update(Box::new(renamed()));
    same("update in the store", Err(Refused::Revoked), wait(bench.store()?.change(&id, update, by()).wait())?.map(drop))?;
    same("import", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(plain(&key)?)))?)?;
    let after = bench.record(&id)?;
    same("name", &before.name, &after.name)?;
    same("time", before.revoked_at(), after.revoked_at())?;
    same("answer", Err(Kind::Revoked), bench.ask(&key)?)
}

fn twice(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let first = wait(bench.keys()?.revoke(&id))?;
    let at = first.record().revoked_at();
    bench.pass(Duration::from_secs(1));
    let second = wait(bench.keys()?.revoke(&id))?;
    same("time", at, second.record().revoked_at())?;
    same("epoch", first.record().epoch, second.record().epoch)?;
    same("kept time", at, bench.record(&id)?.revoked_at())?;
    same("rows", 1, bench.journal()?.iter().filter(|row| row.action.as_ref() == "revoke").count())?;
    same("answer", Err(Kind::Revoked), bench.ask(&key)?)
}

fn purge(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    same("a live key", Some(Refused::NotRevoked), refused(wait(bench.keys()?.purge(&id)))?)?;
    same("still there", Ok(id), bench.ask(&key)?)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    same("answer", Err(Kind::Unknown), bench.ask(&key)?)?;
    holds("it is gone", wait(bench.keys()?.get(&id))?.is_none())?;
    holds("it is not listed", wait(bench.keys()?.list(&Filter::default(), None, 10))?.is_empty())?;
    same("purged again", Some(Refused::NotFound), refused(wait(bench.keys()?.purge(&id)))?)
}

fn purged_secrets(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    let made = wait(bench.keys()?.rotate(&id, Duration::from_secs(3_600)))?;
    let new = made.secret().expose();
    let imported = "a-key-of-somebody-else-0123456789";
    let imported_id = wait(bench.keys()?.import(plain(imported)?))?.id;
    for id in [&id, &imported_id] {
        let _ = wait(bench.keys()?.revoke(id))?;
        wait(bench.keys()?.purge(id))?;
    }
    for key in [old.as_str(), new, imported] {
        same("in plain text", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(plain(key)?)))?)?;
        same("by its digest", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(hashed(key)?)))?)?;
        same("answer", Err(Kind::Unknown), bench.ask(key)?)?;
    }
    Ok(())
}

fn rotated_secrets(bench: &mut Bench) -> Outcome {
    let (id, first) = bench.create(NewKey::named("k"))?;
    for _ in 0..2 {
        let _ = wait(bench.keys()?.rotate(&id, Duration::ZERO))?;
    }
    same("in plain text", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(plain(&first)?)))?)?;
    same("by its digest", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(hashed(&first)?)))?)?;
    same("answer", Err(Kind::Unknown), bench.ask(&first)?)
}

fn purged_handle(bench: &mut Bench) -> Outcome {
    let id = wait(bench.keys()?.import(HANDLED[0].imported()?))?.id;
    same("before", Ok(id), bench.ask(HANDLED[0].key)?)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    same("gone", Err(Kind::Unknown), bench.ask(HANDLED[0].key)?)?;
    same("the same again", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(HANDLED[0].imported()?)))?)?;
    same("another with it", Some(Refused::SecretTaken), refused(wait(bench.keys()?.import(HANDLED[4].imported()?)))?)?;
    let behind = refused(wait(bench.keys()?.import(plain(HANDLED[0].key)?)))?;
    same("the key in plain text", Some(Refused::HandleTaken), behind)
}

fn not_there(bench: &mut Bench) -> Outcome {
    let nobody: KeyId = "nobody".parse()?;
    let keys = bench.keys()?;
    let not_found = Some(Refused::NotFound);
    same("revoke", not_found.clone(), refused(wait(keys.revoke(&nobody)))?)?;
    same("update", not_found.clone(), refused(wait(keys.update(&nobody, renamed())))?)?;
    same("rotate", not_found.clone(), refused(wait(keys.rotate(&nobody, Duration::ZERO)))?)?;
    same("purge", not_found, refused(wait(keys.purge(&nobody)))?)?;
    holds("get", wait(keys.get(&nobody))?.is_none())?;
    holds("usage", wait(keys.usage(&[nobody]))?.is_empty())?;
    same("rows", 0, bench.journal()?.len())
}

fn revoke_all(bench: &mut Bench) -> Outcome {
    let mut of_ada = Vec::new();
    for _ in 0..5 {
        of_ada.push(bench.create(NewKey::named("k").owner("ada"))?);
    }
    let others = [
        bench.create(NewKey::named("k").owner("Ada"))?,
        bench.create(NewKey::named("k").owner("ada "))?,
        bench.create(NewKey::named("k").owner(""))?,
        bench.create(NewKey::named("k"))?,
    ];
    let already = wait(bench.keys()?.revoke(&of_ada[0].0))?.record().revoked_at();
    bench.pass(Duration::from_secs(1));
    let filter = Filter { owner: Some("ada".into()), ..Filter::default() };
    let mut revoked = wait(bench.keys()?.revoke_all(&filter))?.ids().to_vec();
    revoked.sort();
    let mut expected: Vec<KeyId> = of_ada[1..].iter().map(|(id, _)| *id).collect();
    expected.sort();
    same("which were revoked", expected, revoked)?;
    same("the time of one that was revoked before", already, bench.record(&of_ada[0].0)?.revoked_at())?;
    for (_, key) in &of_ada {
        same("a key of ada's", Err(Kind::Revoked), bench.ask(key)?)?;
    }
    for (id, key) in &others {
        same("another's", Ok(*id), bench.ask(key)?)?;
    }
    Ok(())
}

fn retention(bench: &mut Bench) -> Outcome {
    let ids: Vec<KeyId> = (0..4).map(|_| Ok(bench.create(NewKey::named("k"))?.0)).collect::<Result<_, Problem>>()?;
    let _ = wait(bench.keys()?.revoke(&ids[0]))?;
    bench.pass(Duration::from_nanos(1));
    let end = bench.now();
    let _ = wait(bench.keys()?.revoke(&ids[1]))?;
    bench.pass(Duration::from_nanos(1));
    let _ = wait(bench.keys()?.revoke(&ids[2]))?;
    same("how many", 1, wait(bench.keys()?.purge_revoked_before(end))?)?;
    let mut there: Vec<KeyId> = wait(bench.keys()?.list(&Filter::default(), None, 10))?.iter().map(|record| record.id).collect();
    there.sort();
    let mut expected = ids[1..].to_vec();
    expected.sort();
    same("what is there", expected, there)?;
    let filter = Filter { state: Some((State::Revoked, bench.now())), ..Filter::default() };
    same("how many are revoked", 2, wait(bench.keys()?.list(&filter, None, 10))?.len())
}

fn epochs(bench: &mut Bench) -> Outcome {
    let (id, _) = bench.create(NewKey::named("k"))?;
    let mut before = bench.record(&id)?.epoch;
    let mut changed = |bench: &Bench, what: &str, expected: bool| {
        let now = bench.record(&id)?.epoch;
        let is_new = now != before;
        before = now;
        same(format!("whether {what} changes the epoch"), expected, is_new)
    };
    let _ = wait(bench.keys()?.update(&id, renamed()))?;
    changed(bench, "an update", false)?;
    let _ = wait(bench.keys()?.rotate(&id, Duration::from_secs(1)))?;
    changed(bench, "a rotation", true)?;
    let _ = wait(bench.keys()?.set_disabled(&id, true))?;
    changed(bench, "a switch", true)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    changed(bench, "a revocation", true)
}
