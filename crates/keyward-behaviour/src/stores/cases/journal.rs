//! Who changed what.

use std::time::Duration;

use keyward::{
    NewKey,
    store::{Journalled, RecordStore as _, Refused, Update, WhereRefused},
};
use serde_json::Value;

use super::{Case, case};
use crate::stores::{
    bench::{Bench, hashed, plain},
    handles::HANDLED,
    problem::{Outcome, Problem, holds, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("R11.1 each change has a row: who, when, what, of which key", rows),
    case("R11.1 a row tells what was before and what became of it", before_and_after),
    case("R11.1 no row holds a secret, a digest or a hash", no_secret),
    case("C5 what is refused leaves no row", refused),
    case("R11.1 pages of the journal go through every row once, the oldest first", pages),
    case("R11.1 any text names an actor", actors),
];

fn rows(bench: &mut Bench) -> Outcome {
    let ada = bench.keys()?.acting_as("ada");
    let made = wait(ada.create(NewKey::named("k")))?;
    let id = made.record().id;
    let mut expected = vec![("create", "ada", bench.now())];
    let step = |bench: &Bench| {
        bench.pass(Duration::from_nanos(1));
        bench.now()
    };
    expected.push(("update", "bob", step(bench)));
    let _ = wait(bench.keys()?.acting_as("bob").update(&id, Update { name: Some("n".into()), ..Update::default() }))?;
    expected.push(("update", "program", step(bench)));
    let _ = wait(bench.keys()?.set_disabled(&id, true))?;
    expected.push(("rotate", "ada", step(bench)));
    let _ = wait(ada.rotate(&id, Duration::ZERO))?;
    expected.push(("revoke", "ada", step(bench)));
    let _ = wait(ada.revoke(&id))?;
    expected.push(("purge", "ada", step(bench)));
    wait(ada.purge(&id))?;
    let rows = bench.journal()?;
    holds("all rows are of the key", rows.iter().all(|row| row.key == id))?;
    let got = rows.iter().map(|row| (&*row.action, &*row.actor, row.at)).collect();
    same("rows", expected, got)
}

fn before_and_after(bench: &mut Bench) -> Outcome {
    let (id, _) = bench.create(NewKey::named("old").owner("ada").metadata("a", "1"))?;
    let _ = wait(bench.keys()?.update(&id, Update { name: Some("new".into()), ..Update::default() }))?;
    let _ = wait(bench.keys()?.rotate(&id, Duration::from_secs(1)))?;
    bench.pass(Duration::from_nanos(1));
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    let rows = bench.journal()?;
    let [create, update, rotate, revoke, purge] = &rows[..] else {
        return Err(Problem::new(format!("expected five rows, got {}", rows.len())));
    };
    let before = |row: &Journalled, name: &str| row.before.as_ref().map(|told| told[name].clone());
    let after = |row: &Journalled, name: &str| row.after.as_ref().map(|told| told[name].clone());
    let text = |text: &str| Some(Value::from(text));
    same("create", (None, text("old")), (before(create, "name"), after(create, "name")))?;
    same("its owner", text("ada"), after(create, "owner"))?;
    same("its id", text(id.as_str()), after(create, "id"))?;
    same("update", (text("old"), text("new")), (before(update, "name"), after(update, "name")))?;
    let previous = |told: Option<Value>| told.is_some_and(|told| !told.is_null());
    same("rotate", (false, true), (previous(before(rotate, "previous")), previous(after(rotate, "previous"))))?;
    same("revoke", (text("live"), text("revoked")), (before(revoke, "state"), after(revoke, "state")))?;
    same("revoke's time", (Some(Value::Null), true), (before(revoke, "revoked_at"), previous(after(revoke, "revoked_at"))))?;
    same("purge", (text("revoked"), None), (before(purge, "state"), after(purge, "state")))
}

fn no_secret(bench: &mut Bench) -> Outcome {
    let (id, first) = bench.create(NewKey::named("k"))?;
    let second = wait(bench.keys()?.rotate(&id, Duration::from_secs(1)))?.secret().expose().to_owned();
    let imported = "a-key-of-somebody-else-0123456789".to_owned();
    let _ = wait(bench.keys()?.import(plain(&imported)?))?;
    let _ = wait(bench.keys()?.import(hashed("another-key-of-somebody-else")?))?;
    let _ = wait(bench.keys()?.import(HANDLED[0].imported()?))?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    wait(bench.keys()?.purge(&id))?;
    for row in bench.journal()? {
        let text = serde_json::to_string(&row)?;
        for key in [&first, &second, &imported] {
            let secret = key.rsplit_once('_').map_or(key.as_str(), |(_, secret)| secret);
            let digest: String =
                keyward::key::KeyDigest::sha256(key.as_bytes()).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            let lower = text.to_lowercase();
            holds(format!("{} hides the secret", row.action), !text.contains(&secret[..16]))?;
            holds(format!("{} hides the digest", row.action), !lower.contains(&digest[..16]))?;
        }
        holds(format!("{} hides the hash", row.action), !text.contains("argon2id$") && !text.contains("-first-secret"))?;
        holds(format!("{} hides the epoch", row.action), !text.contains("epoch"))?;
    }
    Ok(())
}

fn refused(bench: &mut Bench) -> Outcome {
    let (id, key) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    let before = bench.journal()?;
    let refused = |refused: bool| holds("it is refused", refused);
    refused(wait(bench.keys()?.update(&id, Update::default())).is_err())?;
    refused(wait(bench.keys()?.rotate(&id, Duration::ZERO)).is_err())?;
    refused(wait(bench.keys()?.import(plain(&key)?)).is_err())?;
    refused(wait(bench.keys()?.revoke(&"nobody".parse()?)).is_err())?;
    refused(wait(bench.keys()?.purge(&"nobody".parse()?)).is_err())?;
    let batch = vec![plain("a-key-of-somebody-else-0123456789")?, plain(&key)?];
    refused(wait(bench.keys()?.import_all(batch, WhereRefused::AddNone, None))?.count == 0)?;
    let once = wait(bench.keys()?.create_once("once", NewKey::named("k")))?;
    holds("made once", once.is_some())?;
    let again = wait(bench.keys()?.create_once("once", NewKey::named("k")))?;
    holds("not made again", again.is_none())?;
    let _ = wait(bench.keys()?.revoke(&id))?;
    same("rows", before.len() + 1, bench.journal()?.len())?;
    same("refused by the store", Err(Refused::NotFound), wait(bench.store()?.purge(&"nobody".parse()?, by(bench)).wait())?)
}

fn by(bench: &Bench) -> keyward::store::Attribution {
    keyward::store::Attribution { actor: "nobody".into(), at: bench.now() }
}

fn pages(bench: &mut Bench) -> Outcome {
    let (id, _) = bench.create(NewKey::named("k"))?;
    for number in 0..30 {
        let name = format!("name {number}");
        let _ = wait(bench.keys()?.update(&id, Update { name: Some(name.into()), ..Update::default() }))?;
    }
    let all = bench.journal()?;
    same("rows", 31, all.len())?;
    for size in [1, 2, 31, 1_000] {
        let (mut rows, mut after): (Vec<Journalled>, u64) = (Vec::new(), 0);
        loop {
            let page = wait(bench.keys()?.journal(after, size))?;
            let Some(last) = page.last() else { break };
            after = last.number;
            rows.extend(page);
        }
        same(format!("pages of {size}"), &all, &rows)?;
    }
    same("a page of nothing", 0, wait(bench.keys()?.journal(0, 0))?.len())
}

fn actors(bench: &mut Bench) -> Outcome {
    let actors = ["", "\0", "'; DROP TABLE journal; --", "\u{1f511}\u{202e}", "a\nb"];
    for actor in actors {
        let _ = wait(bench.keys()?.acting_as(actor).create(NewKey::named("k")))?;
    }
    same("actors", actors.to_vec(), bench.journal()?.iter().map(|row| &*row.actor).collect())
}
