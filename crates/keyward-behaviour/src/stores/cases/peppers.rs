//! Digests with peppers, and newer ones.

use std::time::Duration;

use keyward::{
    Keys, KeysError, Kind, NewKey,
    key::{Peppers, StoredSecret},
    store::{Attribution, Change, RecordStore as _, Refused},
};

use super::{Case, case};
use crate::stores::{
    bench::{Bench, answered, guard, hashed, pepper, peppers_up_to, plain, request},
    problem::{Outcome, Problem, holds, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("R7.2 a key that was stored without a pepper, or with an older one, is let in under newer ones", older),
    case("R7.2 the same secret under a newer pepper: no use is lost, and the old digest stays taken", rehashed),
    case("C2 a secret that was changed meanwhile is not put under another pepper", changed_meanwhile),
    case(
        "R7.2 of two records that one key opens, that under the newest pepper is found, whoever was asked for before",
        newest_first,
    ),
    case("R7.4 a key in plain text is known by the digest of every pepper", every_pepper),
    case("R7.2 what is let in again and again is stored under the newest pepper before long", on_use),
];

/// How often a key is used until a store has to have put it under the newest pepper.
const PATIENCE: u32 = 500;

fn by(bench: &Bench) -> Attribution {
    Attribution { actor: "operator".into(), at: bench.now() }
}

fn older(bench: &mut Bench) -> Outcome {
    let mut made = vec![bench.create(NewKey::named("k"))?];
    for _ in 0..2 {
        bench.add_pepper()?;
        made.push(bench.create(NewKey::named("k"))?);
        for (id, key) in &made {
            same("let in", Ok(*id), bench.ask(key)?)?;
        }
    }
    Ok(())
}

fn rehashed(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let epoch = bench.record(&id)?.epoch;
    let digest = peppers_up_to(1)?.digest(key.as_bytes());
    let change = || Change::Rehash { number: 0, digest };
    let changed = wait(bench.store()?.change(&id, change(), by(bench)).wait())?.map_err(Problem::from)?;
    same("what is stored", &StoredSecret::Digest(digest), &changed.current.secret)?;
    same("epoch", epoch, changed.epoch)?;
    same("without the pepper", Err(Kind::Unknown), bench.ask(&key)?)?;
    same("the old digest", Err(KeysError::Refused(Refused::SecretTaken)), wait(bench.keys()?.import(hashed(&key)?)).map(drop))?;
    same("the key", Err(KeysError::Refused(Refused::SecretTaken)), wait(bench.keys()?.import(plain(&key)?)).map(drop))?;
    same("once more", Err(Refused::SecretTaken), wait(bench.store()?.change(&id, change(), by(bench)).wait())?.map(drop))?;
    bench.add_pepper()?;
    same("with the pepper", Ok(id), bench.ask(&key)?)?;
    let rows: Vec<_> = bench.journal()?.iter().map(|row| row.action.to_string()).collect();
    same("rows", vec!["create".to_owned(), "rehash".to_owned()], rows)
}

fn changed_meanwhile(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.rotate(&id, Duration::from_secs(10)))?;
    let _ = wait(bench.keys()?.rotate(&id, Duration::from_secs(10)))?;
    let digest = peppers_up_to(1)?.digest(key.as_bytes());
    let late = Change::Rehash { number: 0, digest };
    let refused = wait(bench.store()?.change(&id, late.clone(), by(bench)).wait())?.map(drop);
    same("a secret that is gone", Err(Refused::SecretChanged), refused)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    let refused = wait(bench.store()?.change(&id, late, by(bench)).wait())?.map(drop);
    same("a revoked key", Err(Refused::Revoked), refused)?;
    let rows = bench.journal()?.len();
    same("rows", 4, rows)
}

/// A digest that is brought alone is compared with no other pepper's (R7.4), so two records may know one key.
fn newest_first(bench: &mut Bench) -> Outcome {
    bench.add_pepper()?;
    let (peppered, key) = bench.create(NewKey::named("k"))?;
    let plain = wait(bench.keys()?.import(hashed(&key)?))?.id;
    let other = wait(bench.keys()?.rotate(&plain, Duration::from_secs(3_600)))?.secret().expose().to_owned();
    let _ = wait(bench.keys()?.revoke(&peppered))?;
    same("the other record, by its other secret", Ok(plain), bench.ask(&other)?)?;
    same("the key", Err(Kind::Revoked), bench.ask(&key)?)?;
    same("the other record again", Ok(plain), bench.ask(&other)?)?;
    wait(bench.keys()?.purge(&peppered))?;
    same("the key when only the other record is there", Ok(plain), bench.ask(&key)?)
}

fn every_pepper(bench: &mut Bench) -> Outcome {
    let (_, plainly) = bench.create(NewKey::named("k"))?;
    bench.add_pepper()?;
    let (_, with_first) = bench.create(NewKey::named("k"))?;
    let foreign = "a-key-of-somebody-else-0123456789";
    let _ = wait(bench.keys()?.import(plain(foreign)?))?;
    bench.add_pepper()?;
    for key in [plainly.as_str(), &with_first, foreign] {
        same("in plain text", Err(KeysError::Refused(Refused::SecretTaken)), wait(bench.keys()?.import(plain(key)?)).map(drop))?;
    }
    Ok(())
}

fn on_use(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let (unused, _) = bench.create(NewKey::named("k"))?;
    bench.add_pepper()?;
    let pepper_of = |bench: &Bench, id| match &bench.record(id)?.current.secret {
        StoredSecret::Digest(digest) => Ok::<_, Problem>(digest.pepper()),
        StoredSecret::Argon2(_) => Err(Problem::new("a generated key is stored as Argon2id")),
    };
    // A store may forget a use, and put off what a use asks for.
    for _ in 0..PATIENCE {
        same("let in", Ok(id), bench.ask(&key)?)?;
        if pepper_of(bench, &id)? == 1 {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    same("the pepper of the one that was used", 1, pepper_of(bench, &id)?)?;
    same("of the one that was not", 0, pepper_of(bench, &unused)?)?;
    same("let in", Ok(id), bench.ask(&key)?)?;
    let rehashes: Vec<_> = bench.journal()?.iter().filter(|row| row.action.as_ref() == "rehash").map(|row| row.key).collect();
    same("rows", vec![id], rehashes)?;
    // Whoever knows the newest pepper alone knows the key now.
    let newest = Peppers::new([pepper(1)?])?;
    let guard = guard(bench.store()?, &bench.clock, newest.clone())?;
    let caller = crate::stores::bench::Caller::from("192.0.2.1")?;
    same("by the newest alone", Ok(id), answered(wait(guard.decide(&request(&key, caller)?)))?)?;
    let keys = Keys::new(bench.store()?.clone()).peppers(newest);
    holds("it is taken", wait(keys.import(plain(&key)?)).is_err())
}
