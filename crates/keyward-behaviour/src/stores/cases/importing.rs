//! Keys from elsewhere.

use keyward::{
    KeysError, Kind, NewKey,
    import::ImportedKey,
    key::UnusableHash,
    store::{Filter, Refused, WhereRefused},
};
use serde_json::json;

use super::{Case, case};
use crate::{
    model::key::generated,
    stores::{
        bench::{Bench, hashed, plain, row},
        handles::HANDLED,
        problem::{Outcome, Problem, holds, same},
        runtime::wait,
    },
};

pub(super) const CASES: &[Case] = &[
    case("R5.4 a key of 1,024 characters is imported and found", longest),
    case("R5.4 a key of 1,025 characters, or with other bytes, is refused", too_long),
    case("R7.1 a key that looks generated and is not is refused, whichever comes first", shapes),
    case("R7.1 a damaged key is malformed, one that looks otherwise is unknown", damaged),
    case("R7.1 a foreign key that is revoked or purged does not keep a prefix from being bound", foreign_gone),
    case("R7.1 a generated key from elsewhere binds its prefix", generated_elsewhere),
    case("R7.3 a key that could be guessed is found by its handle and verified by its hash", guessable),
    case("R7.3 a key in plain text with a handle is stored as Argon2id, rotated and revoked like others", hashed_here),
    case("C4 handles never begin one another, and never a key", handles),
    case("C4 two records never share a digest", digests),
    case("R7.4 an imported key may be revoked already, and stays so", revoked_already),
    case("R16 AddNone adds nothing if a row is refused, and names every one that is", add_none),
    case("R16 AddOthers adds what is good and names what is not, in their order", add_others),
    case("R16 an import of many is told in its journal, one row for each", many),
];

fn import(bench: &Bench, key: ImportedKey) -> Result<Result<keyward::key::KeyId, Refused>, Problem> {
    match wait(bench.keys()?.import(key)) {
        Ok(record) => Ok(Ok(record.id)),
        Err(KeysError::Refused(refused)) => Ok(Err(refused)),
        Err(other) => Err(other.into()),
    }
}

fn count(bench: &Bench) -> Result<usize, Problem> {
    Ok(wait(bench.keys()?.list(&Filter::default(), None, 1_000))?.len())
}

fn longest(bench: &mut Bench) -> Outcome {
    let key: String = (33..=126_u8).map(char::from).cycle().take(1_024).collect();
    let id = import(bench, plain(&key)?)?;
    same("its answer", id, bench.ask(&key)?.map_err(|_| Refused::NotFound))?;
    same("one that is shorter", Err(Kind::Unknown), bench.ask(&key[..1_023])?)?;
    let bearer = crate::stores::bench::Caller::from("192.0.2.1")?.by_bearer();
    holds("it is let in as a bearer", bench.ask_as(&key, bearer)?.is_ok())
}

fn too_long(bench: &mut Bench) -> Outcome {
    for key in ["a".repeat(1_025), "with a blank in the middle".to_owned(), "umlaut-\u{fc}-0123456789012345".to_owned()] {
        same("import", Err(KeysError::NoKey), wait(bench.keys()?.import(plain(&key)?)).map(|record| record.id))?;
    }
    same("how many there are", 0, count(bench)?)?;
    same("rows", 0, bench.journal()?.len())
}

fn shapes(bench: &mut Bench) -> Outcome {
    let foreign = import(bench, plain("acme_not-generated-here")?)?;
    let refused = wait(bench.keys()?.create(NewKey::named("k").prefix("acme")?)).map(|made| made.record().id);
    same("made after", Err(KeysError::Refused(Refused::LooksGenerated)), refused)?;
    same("the foreign key", foreign, bench.ask("acme_not-generated-here")?.map_err(|_| Refused::NotFound))?;
    let (id, key) = bench.create(NewKey::named("k").prefix("fw_key")?)?;
    same("import after", Err(Refused::LooksGenerated), import(bench, plain("fw_key_not-generated-here")?)?)?;
    holds("a longer prefix is another one", import(bench, plain("fw_key_live_not-generated-here")?)?.is_ok())?;
    holds("so is a shorter one", import(bench, plain("fw_not-generated-here")?)?.is_ok())?;
    same("the generated key", Ok(id), bench.ask(&key)?)
}

fn damaged(bench: &mut Bench) -> Outcome {
    let (_, key) = bench.create(NewKey::named("k").prefix("acme")?)?;
    same("a letter less", Err(Kind::Malformed), bench.ask(&key[..key.len() - 1])?)?;
    same("a letter more", Err(Kind::Malformed), bench.ask(&format!("{key}0"))?)?;
    same("something else", Err(Kind::Malformed), bench.ask("acme_")?)?;
    same("with a right check", Err(Kind::Unknown), bench.ask(&generated("acme", &"0".repeat(32)))?)?;
    same("another prefix", Err(Kind::Unknown), bench.ask("Acme_x")?)?;
    same("a longer prefix", Err(Kind::Unknown), bench.ask("acme_live_x")?)
}

fn foreign_gone(bench: &mut Bench) -> Outcome {
    let id = import(bench, plain("acme_not-generated-here")?)?.map_err(Problem::from)?;
    let _ = wait(bench.keys()?.expire(&id))?;
    let refused = wait(bench.keys()?.create(NewKey::named("k").prefix("acme")?)).map(drop);
    same("while it may come back", Err(KeysError::Refused(Refused::LooksGenerated)), refused)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    let (made, key) = bench.create(NewKey::named("k").prefix("acme")?)?;
    same("the generated key", Ok(made), bench.ask(&key)?)?;
    wait(bench.keys()?.purge(&id))?;
    same("the foreign key again", Err(Kind::Malformed), bench.ask("acme_not-generated-here")?)?;
    same("its import", Err(Refused::SecretTaken), import(bench, plain("acme_not-generated-here")?)?)?;
    let id = import(bench, plain("k1_not-generated-here")?)?.map_err(Problem::from)?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    bench.create(NewKey::named("k").prefix("k1")?).map(drop)
}

fn generated_elsewhere(bench: &mut Bench) -> Outcome {
    let key = generated("acme", &"0123456789ABCDEFGHIJKLMNOPQRSTUV"[..32]);
    let id = import(bench, plain(&key)?)?;
    same("its answer", id, bench.ask(&key)?.map_err(|_| Refused::NotFound))?;
    same("a damaged one", Err(Kind::Malformed), bench.ask("acme_x")?)?;
    same("what looks so", Err(Refused::LooksGenerated), import(bench, plain("acme_not-generated-here")?)?)
}

fn guessable(bench: &mut Bench) -> Outcome {
    let first = import(bench, HANDLED[0].imported()?)?.map_err(Problem::from)?;
    let other = import(bench, HANDLED[3].imported()?)?.map_err(Problem::from)?;
    for _ in 0..2 {
        same("the first", Ok(first), bench.ask(HANDLED[0].key)?)?;
        same("the other", Ok(other), bench.ask(HANDLED[3].key)?)?;
        same("with another ending", Err(Kind::Unknown), bench.ask("customer1-first-secreT")?)?;
        same("the handle alone", Err(Kind::Unknown), bench.ask("customer1")?)?;
        same("less than the handle", Err(Kind::Unknown), bench.ask("customer")?)?;
    }
    let _ = wait(bench.keys()?.revoke(&first))?;
    same("revoked", Err(Kind::Revoked), bench.ask(HANDLED[0].key)?)
}

fn hashed_here(bench: &mut Bench) -> Outcome {
    let key = "customer9-0123456789";
    let with_handle = |handle: &str| row(json!({ "key": key, "handle": handle }));
    let bad = wait(bench.keys()?.import(with_handle("customer8")?)).map(drop);
    same("a handle that the key does not begin with", Err(KeysError::Hash(UnusableHash::BadHandle)), bad)?;
    let id = import(bench, with_handle("customer9")?)?.map_err(Problem::from)?;
    same("found", Ok(id), bench.ask(key)?)?;
    same("again", Err(Refused::SecretTaken), import(bench, with_handle("customer9")?)?)?;
    let made = wait(bench.keys()?.rotate(&id, std::time::Duration::from_secs(10)))?;
    same("within the grace", Ok(id), bench.ask(key)?)?;
    same("the new one", Ok(id), bench.ask(made.secret().expose())?)?;
    bench.pass(std::time::Duration::from_secs(10));
    same("behind the grace", Err(Kind::Expired), bench.ask(key)?)?;
    let _ = wait(bench.keys()?.rotate(&id, std::time::Duration::from_secs(10)))?;
    same("rotated twice", Err(Kind::Unknown), bench.ask(key)?)?;
    same("in plain text", Err(Refused::HandleTaken), import(bench, plain(key)?)?)
}

fn handles(bench: &mut Bench) -> Outcome {
    let taken = |bench: &Bench, which: usize| import(bench, HANDLED[which].imported()?);
    holds("the first is taken", taken(bench, 0)?.is_ok())?;
    same("the same handle", Err(Refused::SecretTaken), taken(bench, 4)?)?;
    same("one that begins with it", Err(Refused::HandleTaken), taken(bench, 1)?)?;
    same("one that it begins with", Err(Refused::HandleTaken), taken(bench, 2)?)?;
    holds("another is taken", taken(bench, 3)?.is_ok())?;
    let behind = "customer1-and-something-else";
    same("a key that begins with it", Err(Refused::HandleTaken), import(bench, plain(behind)?)?)?;
    let batch = [HANDLED[5].imported()?, HANDLED[5].imported()?];
    let imported = wait(bench.keys()?.import_all(batch.to_vec(), WhereRefused::AddOthers, None))?;
    same("twice in one batch", vec![(1, KeysError::Refused(Refused::SecretTaken))], imported.refused)
}

fn digests(bench: &mut Bench) -> Outcome {
    let (_, made) = bench.create(NewKey::named("k"))?;
    let key = "a-key-of-somebody-else-0123456789";
    holds("the first is taken", import(bench, plain(key)?)?.is_ok())?;
    for key in [key, &made] {
        same("in plain text", Err(Refused::SecretTaken), import(bench, plain(key)?)?)?;
        same("by its digest", Err(Refused::SecretTaken), import(bench, hashed(key)?)?)?;
    }
    let other = "another-key-of-somebody-else-0123456789";
    let batch = vec![plain(other)?, hashed(other)?, plain(other)?];
    let imported = wait(bench.keys()?.import_all(batch, WhereRefused::AddOthers, None))?;
    let taken = |place| (place, KeysError::Refused(Refused::SecretTaken));
    same("within a batch", vec![taken(1), taken(2)], imported.refused)?;
    same("how many there are", 3, count(bench)?)
}

fn revoked_already(bench: &mut Bench) -> Outcome {
    let key = "a-key-of-somebody-else-0123456789";
    let id = import(bench, revoked(key)?)?.map_err(Problem::from)?;
    same("its answer", Err(Kind::Revoked), bench.ask(key)?)?;
    same("when", Some(bench.now()), bench.record(&id)?.revoked_at())?;
    same("again", Err(Refused::SecretTaken), import(bench, plain(key)?)?)
}

fn revoked(key: &str) -> Result<ImportedKey, Problem> {
    row(json!({ "key": key, "entropy_bits": 128, "revoked": true }))
}

fn add_none(bench: &mut Bench) -> Outcome {
    let (_, made) = bench.create(NewKey::named("k").prefix("acme")?)?;
    let good = |number: u8| plain(&format!("a-key-of-somebody-else-{number}"));
    let batch = vec![
        good(1)?,
        plain(&made)?,
        good(2)?,
        good(1)?,
        plain("acme_not-generated-here")?,
        HANDLED[0].imported()?,
        HANDLED[1].imported()?,
    ];
    let mut expected: Vec<(usize, KeysError)> =
        [(1, Refused::SecretTaken), (3, Refused::SecretTaken), (4, Refused::LooksGenerated), (6, Refused::HandleTaken)]
            .into_iter()
            .map(|(place, refused)| (place, refused.into()))
            .collect();
    let imported = wait(bench.keys()?.import_all(batch.clone(), WhereRefused::AddNone, None))?;
    same("how many", 0, imported.count)?;
    same("which were refused", expected.clone(), imported.refused)?;
    // One that could never be presented does not hide what is wrong with the others.
    let with_another = batch.into_iter().chain([plain("with a blank in the middle")?]).collect();
    expected.push((7, KeysError::NoKey));
    let imported = wait(bench.keys()?.import_all(with_another, WhereRefused::AddNone, None))?;
    same("how many, with another", 0, imported.count)?;
    same("which were refused, with another", expected, imported.refused)?;
    same("how many there are", 1, count(bench)?)?;
    same("rows", 1, bench.journal()?.len())?;
    for number in [1, 2] {
        same("what was good", Err(Kind::Unknown), bench.ask(&format!("a-key-of-somebody-else-{number}"))?)?;
    }
    holds("it can be tried again", import(bench, good(1)?)?.is_ok())?;
    holds("with its handle, too", import(bench, HANDLED[0].imported()?)?.is_ok())
}

fn add_others(bench: &mut Bench) -> Outcome {
    let (_, made) = bench.create(NewKey::named("k").prefix("acme")?)?;
    let good = |number: u8| plain(&format!("a-key-of-somebody-else-{number}"));
    let batch = vec![
        plain(&made)?,
        good(1)?,
        plain("acme_not-generated-here")?,
        plain("with a blank in the middle")?,
        good(2)?,
        good(1)?,
    ];
    let imported = wait(bench.keys()?.import_all(batch, WhereRefused::AddOthers, None))?;
    same("how many", 2, imported.count)?;
    let expected = vec![
        (0, Refused::SecretTaken.into()),
        (2, Refused::LooksGenerated.into()),
        (3, KeysError::NoKey),
        (5, Refused::SecretTaken.into()),
    ];
    same("which were refused", expected, imported.refused)?;
    same("how many there are", 3, count(bench)?)?;
    for number in [1, 2] {
        holds("what was good is let in", bench.ask(&format!("a-key-of-somebody-else-{number}"))?.is_ok())?;
    }
    Ok(())
}

fn many(bench: &mut Bench) -> Outcome {
    let keys = (0..250).map(|number| plain(&format!("a-key-of-somebody-else-{number}"))).collect::<Result<Vec<_>, _>>()?;
    let imported = wait(bench.keys()?.import_all(keys, WhereRefused::AddNone, None))?;
    same("how many", (250, 0), (imported.count, imported.refused.len()))?;
    same("rows", 250, bench.journal()?.iter().filter(|row| row.action.as_ref() == "create").count())?;
    same("how many there are", 250, count(bench)?)?;
    for number in [0, 124, 249] {
        holds("they are let in", bench.ask(&format!("a-key-of-somebody-else-{number}"))?.is_ok())?;
    }
    Ok(())
}
