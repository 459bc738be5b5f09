//! Which keys are listed, in what order, in what pages.

use std::time::Duration;

use keyward::{
    NewKey, Timestamp,
    key::{KeyId, State},
    store::{Filter, RecordStore as _},
};

use super::{Case, case};
use crate::stores::{
    bench::Bench,
    problem::{Outcome, Problem, same},
    runtime::wait,
};

pub(super) const CASES: &[Case] = &[
    case("R16 ids sort by the time at which keys were made", order),
    case("R16 pages of any size go through every key once", pages),
    case("R16 what is made while pages are turned neither repeats nor hides an older key", pages_meanwhile),
    case("R16 an owner is meant to the letter", owners),
    case("R16 a kind is meant to the letter", kinds),
    case("R16 a beginning is meant to the letter: no pattern, no other case", beginnings),
    case("R16 a beginning is that of the secret in use", beginning_after_rotation),
    case("R16 a state is that at the time of the question", states),
    case("R16 from, before, and revoked before, to the nanosecond", bounds),
    case("R16 several conditions have to be met together", together),
    case("R16 a page of nothing is empty", nothing),
];

fn ids(bench: &Bench, filter: &Filter) -> Result<Vec<KeyId>, Problem> {
    Ok(wait(bench.keys()?.list(filter, None, 1_000))?.iter().map(|record| record.id).collect())
}

fn made_in_turn(bench: &Bench, count: usize) -> Result<Vec<KeyId>, Problem> {
    let one = |_| {
        bench.pass(Duration::from_millis(1));
        Ok(bench.create(NewKey::named("k"))?.0)
    };
    (0..count).map(one).collect()
}

fn order(bench: &mut Bench) -> Outcome {
    let made = made_in_turn(bench, 20)?;
    let mut sorted = made.clone();
    sorted.sort();
    same("sorted", &made, &sorted)?;
    same("listed", made, ids(bench, &Filter::default())?)
}

fn pages(bench: &mut Bench) -> Outcome {
    let made = made_in_turn(bench, 23)?;
    for size in [1, 2, 7, 22, 23, 24, 1_000] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = wait(bench.keys()?.list(&Filter::default(), after, size))?;
            same("size of a page", size.min(made.len() - seen.len()), page.len())?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            seen.extend(page.iter().map(|record| record.id));
        }
        same(format!("pages of {size}"), &made, &seen)?;
    }
    Ok(())
}

fn pages_meanwhile(bench: &mut Bench) -> Outcome {
    let made = made_in_turn(bench, 12)?;
    let (mut seen, mut after) = (Vec::new(), None);
    for _ in 0..4 {
        let page = wait(bench.keys()?.list(&Filter::default(), after, 3))?;
        after = page.last().map(|record| record.id);
        seen.extend(page.iter().map(|record| record.id));
        // Ones that come behind, and changes to those that were seen and those that were not.
        let _ = made_in_turn(bench, 2)?;
        let _ = wait(bench.keys()?.set_disabled(&made[0], true))?;
        let _ = wait(bench.keys()?.rotate(&made[11], Duration::ZERO))?;
    }
    same("the older keys", made, seen)
}

fn owners(bench: &mut Bench) -> Outcome {
    let owners = ["ada", "Ada", "ada ", "a%", "a_a", "", "%", "_", "*", "ada\0", "ad\u{e4}", "ada'--", "null", "NULL"];
    let mut made = Vec::new();
    for owner in owners {
        made.push(bench.create(NewKey::named("k").owner(owner))?.0);
    }
    let _nobodys = bench.create(NewKey::named("k"))?;
    for (owner, id) in owners.iter().zip(&made) {
        let filter = Filter { owner: Some((*owner).into()), ..Filter::default() };
        same(format!("owned by {owner:?}"), vec![*id], ids(bench, &filter)?)?;
    }
    let filter = Filter { owner: Some("ad".into()), ..Filter::default() };
    same("owned by nobody", Vec::<KeyId>::new(), ids(bench, &filter)?)
}

fn kinds(bench: &mut Bench) -> Outcome {
    let kinds = ["agent", "Agent", "agent ", "a%", "", "%", "_", "*", "agent\0", "ag\u{e4}", "agent'--"];
    let mut made = Vec::new();
    for kind in kinds {
        made.push(bench.create(NewKey::named("k").owner("ada").kind(kind))?.0);
    }
    let _unlabelled = bench.create(NewKey::named("k").owner("ada"))?;
    let _bobs = bench.create(NewKey::named("k").owner("bob").kind("service"))?;
    let of_ada = Filter { owner: Some("ada".into()), ..Filter::default() };
    for (kind, id) in kinds.iter().zip(&made) {
        let filter = Filter { kind: Some((*kind).into()), ..of_ada.clone() };
        same(format!("labelled {kind:?}"), vec![*id], ids(bench, &filter)?)?;
    }
    for kind in ["ag", "service"] {
        let filter = Filter { kind: Some(kind.into()), ..of_ada.clone() };
        same(format!("labelled {kind}"), Vec::<KeyId>::new(), ids(bench, &filter)?)?;
    }
    Ok(())
}

fn beginnings(bench: &mut Bench) -> Outcome {
    let (acme, key) = bench.create(NewKey::named("k").prefix("acme")?)?;
    let (live, _) = bench.create(NewKey::named("k").prefix("acme_live")?)?;
    let (lively, _) = bench.create(NewKey::named("k").prefix("acmexlive")?)?;
    let meant = |bench: &Bench, prefix: &str| ids(bench, &Filter { prefix: Some(prefix.into()), ..Filter::default() });
    let sorted = |mut ids: Vec<KeyId>| {
        ids.sort();
        ids
    };
    same("nothing", sorted(vec![acme, live, lively]), meant(bench, "")?)?;
    same("acme", sorted(vec![acme, live, lively]), meant(bench, "acme")?)?;
    same("acme_", sorted(vec![acme, live]), meant(bench, "acme_")?)?;
    same("acme_live", vec![live], meant(bench, "acme_live")?)?;
    same("all that is shown", vec![acme], meant(bench, &key[..9])?)?;
    let swapped =
        |letter: char| if letter.is_ascii_lowercase() { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
    let other_case: String = key[..9].chars().map(swapped).collect();
    let none = Vec::<KeyId>::new();
    for other in [
        &other_case,
        &key[..10],
        &key,
        "ACME",
        "Acme",
        "acm%",
        "acme%",
        "%",
        "_",
        "acme_l_ve",
        "acme\\_",
        "*",
        "acme\0",
        "\u{1f511}",
    ] {
        same(format!("{other:?}"), &none, &meant(bench, other)?)?;
    }
    Ok(())
}

fn beginning_after_rotation(bench: &mut Bench) -> Outcome {
    let (id, old) = bench.create(NewKey::named("k"))?;
    let made = wait(bench.keys()?.rotate(&id, Duration::from_secs(3_600)))?;
    let new = made.secret().expose();
    let meant = |bench: &Bench, key: &str| ids(bench, &Filter { prefix: Some(key[..7].into()), ..Filter::default() });
    same("the new one", vec![id], meant(bench, new)?)?;
    // One in fifteen million begins like the one before it.
    let expected = if old[..7] == new[..7] { vec![id] } else { Vec::new() };
    same("the old one", expected, meant(bench, &old)?)
}

fn states(bench: &mut Bench) -> Outcome {
    let now = bench.now();
    let (live, _) = bench.create(NewKey::named("k"))?;
    let (expires, _) = bench.create(NewKey::named("k").expires_at(now.after(Duration::from_secs(10))))?;
    let (begins, _) = bench.create(NewKey::named("k").not_before(now.after(Duration::from_secs(10))))?;
    let (disabled, _) = bench.create(NewKey::named("k"))?;
    let _ = wait(bench.keys()?.set_disabled(&disabled, true))?;
    let (revoked, _) = bench.create(NewKey::named("k").expires_at(now))?;
    let _ = wait(bench.keys()?.revoke(&revoked))?;
    let meant =
        |bench: &Bench, state: State, at: Timestamp| ids(bench, &Filter { state: Some((state, at)), ..Filter::default() });
    let sorted = |mut ids: Vec<KeyId>| {
        ids.sort();
        ids
    };
    let before = now.after(Duration::from_nanos(9_999_999_999));
    let at = now.after(Duration::from_secs(10));
    same("live before", sorted(vec![live, expires]), meant(bench, State::Live, before)?)?;
    same("live at it", sorted(vec![live, begins]), meant(bench, State::Live, at)?)?;
    same("expired before", Vec::<KeyId>::new(), meant(bench, State::Expired, before)?)?;
    same("expired at it", vec![expires], meant(bench, State::Expired, at)?)?;
    same("not begun before", vec![begins], meant(bench, State::NotYetValid, before)?)?;
    same("not begun at it", Vec::<KeyId>::new(), meant(bench, State::NotYetValid, at)?)?;
    same("disabled", vec![disabled], meant(bench, State::Disabled, at)?)?;
    same("revoked", vec![revoked], meant(bench, State::Revoked, at)?)
}

fn bounds(bench: &mut Bench) -> Outcome {
    let one = Duration::from_nanos(1);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push((bench.create(NewKey::named("k"))?.0, bench.now()));
        bench.pass(one);
    }
    let middle = made[1].1;
    let sorted = |ids: &[(KeyId, Timestamp)]| {
        let mut ids: Vec<KeyId> = ids.iter().map(|(id, _)| *id).collect();
        ids.sort();
        ids
    };
    let from = Filter { created_from: Some(middle), ..Filter::default() };
    same("from", sorted(&made[1..]), ids(bench, &from)?)?;
    let before = Filter { created_before: Some(middle), ..Filter::default() };
    same("before", sorted(&made[..1]), ids(bench, &before)?)?;
    let both = Filter { created_from: Some(middle), created_before: Some(middle.after(one)), ..Filter::default() };
    same("both", sorted(&made[1..2]), ids(bench, &both)?)?;
    for (id, at) in &mut made {
        *at = bench.now();
        let _ = wait(bench.keys()?.revoke(id))?;
        bench.pass(one);
    }
    let revoked = Filter { revoked_before: Some(made[1].1), ..Filter::default() };
    same("revoked before", sorted(&made[..1]), ids(bench, &revoked)?)
}

fn together(bench: &mut Bench) -> Outcome {
    let (meant, _) = bench.create(NewKey::named("k").owner("ada").prefix("acme")?)?;
    let _ = bench.create(NewKey::named("k").owner("bob").prefix("acme")?)?;
    let _ = bench.create(NewKey::named("k").owner("ada").prefix("kw")?)?;
    let (dead, _) = bench.create(NewKey::named("k").owner("ada").prefix("acme")?)?;
    let _ = wait(bench.keys()?.revoke(&dead))?;
    let filter = Filter {
        owner: Some("ada".into()),
        prefix: Some("acme_".into()),
        state: Some((State::Live, bench.now())),
        created_from: Some(bench.now()),
        ..Filter::default()
    };
    same("all four", vec![meant], ids(bench, &filter)?)
}

fn nothing(bench: &mut Bench) -> Outcome {
    let made = made_in_turn(bench, 3)?;
    same("of size zero", 0, wait(bench.store()?.list(&Filter::default(), None, 0).wait())?.len())?;
    same("behind the last", 0, wait(bench.keys()?.list(&Filter::default(), Some(made[2]), 10))?.len())?;
    let between = wait(bench.keys()?.list(&Filter::default(), Some("z".parse()?), 10))?.len();
    same("behind an id that is not there", 0, between)
}
