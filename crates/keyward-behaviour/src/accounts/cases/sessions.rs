//! When a session begins, when it is seen, and when it is at an end.

use keyward::account::{AccountChange, AccountRefused, Session};

use super::{Case, case};
use crate::{
    accounts::bench::{Bench, account, at, by, password, second_password, session},
    stores::{Outcome, holds, same},
};

pub(super) const CASES: &[Case] = &[
    case("A1 a session is found by its digest, over or not, with its account", found),
    case("A5 no session begins of an account that is gone or switched off", of_whom),
    case("A5 no session begins by a password that the account has no more", by_which_password),
    case("R16 a digest that is there already is a fault, and stays whose it was", digests),
    case("R16 an account has a hundred sessions; with one more, the one seen last the longest ago ends", most),
    case("R16 of sessions that were seen last at the same time, the one that began first ends", most_at_once),
    case("A1 when a session was seen last goes forward, and never back", seen),
    case("A4 a session that was ended stays so, whoever sees it", ended),
    case("A4 sessions of an account end together, all but one", ended_together),
];

fn found(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let mut of_grace = Vec::new();
    for (network, expires) in [(None, at(-1_000)), (Some("192.0.2.0".parse()?), at(0)), (Some("2001:db8:1::".parse()?), at(1))] {
        let session = Session { network, expires, created: at(3), last_seen: at(4), ..session(&grace)? };
        accounts.begin(&session, &grace.password)??;
        same("a session", Some((session.clone(), grace.clone())), accounts.session(&session.digest)?)?;
        of_grace.push(session);
    }
    let of_alan = bench.begin(&alan)?;
    of_grace.sort_by_key(|session| session.digest);
    same("of the one", of_grace, accounts.sessions_of(&grace.id)?)?;
    same("of the other", vec![of_alan], accounts.sessions_of(&alan.id)?)?;
    same("of nobody", vec![], accounts.sessions_of(&account("nobody")?.id)?)?;
    same("no session", None, accounts.session(&session(&grace)?.digest)?)
}

fn of_whom(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, nobody) = (bench.add("grace")?, account("nobody")?);
    let (of_grace, of_nobody) = (session(&grace)?, session(&nobody)?);
    same("of nobody", Err(AccountRefused::NotFound), accounts.begin(&of_nobody, &nobody.password)?)?;
    accounts.change(&grace.id, AccountChange::Disabled(true), by("ada"))??;
    same("switched off", Err(AccountRefused::NotFound), accounts.begin(&of_grace, &grace.password)?)?;
    // Which password it was is not told of an account that is switched off.
    same("another password", Err(AccountRefused::NotFound), accounts.begin(&of_grace, &password(1)?)?)?;
    same("its sessions", vec![], accounts.sessions_of(&grace.id)?)?;
    accounts.change(&grace.id, AccountChange::Disabled(false), by("ada"))??;
    accounts.begin(&of_grace, &grace.password)??;
    accounts.remove(&grace.id, by("ada"))??;
    same("gone", Err(AccountRefused::NotFound), accounts.begin(&session(&grace)?, &grace.password)?)
}

fn by_which_password(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let session = session(&grace)?;
    accounts.change(&grace.id, second_password()?, by("grace"))??;
    same("the old one", Err(AccountRefused::PasswordChanged), accounts.begin(&session, &grace.password)?)?;
    same("its sessions", vec![], accounts.sessions_of(&grace.id)?)?;
    accounts.begin(&session, &password(1)?)??;
    holds("the new one", accounts.session(&session.digest)?.is_some())
}

fn digests(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let first = bench.begin(&grace)?;
    for whose in [&grace, &alan] {
        let again = Session { digest: first.digest, agent: "another".into(), ..session(whose)? };
        holds("it is a fault", accounts.begin(&again, &whose.password).is_err())?;
        same("the first", Some((first.clone(), grace.clone())), accounts.session(&first.digest)?)?;
    }
    same("of the other", vec![], accounts.sessions_of(&alan.id)?)
}

fn most(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let of_alan = Session { last_seen: at(-1_000), ..session(&alan)? };
    accounts.begin(&of_alan, &alan.password)??;
    let most = i64::try_from(Session::MOST_OF_AN_ACCOUNT)?;
    let begin = |number: i64| {
        let session = Session { last_seen: at(number), ..session(&grace)? };
        accounts.begin(&session, &grace.password)??;
        Ok::<_, crate::stores::Problem>(session.digest)
    };
    let digests = (0..most - 1).map(begin).collect::<Result<Vec<_>, _>>()?;
    let count = || Ok::<_, crate::stores::Problem>(accounts.sessions_of(&grace.id)?.len());
    same("before", Session::MOST_OF_AN_ACCOUNT - 1, count()?)?;
    let last = begin(most)?;
    same("at", Session::MOST_OF_AN_ACCOUNT, count()?)?;
    holds("the oldest is there", accounts.session(&digests[0])?.is_some())?;
    // Seen just now, so that the second is the oldest.
    accounts.saw(&digests[0], at(most + 1))?;
    begin(most + 2)?;
    same("after", Session::MOST_OF_AN_ACCOUNT, count()?)?;
    same("the oldest", None, accounts.session(&digests[1])?)?;
    for digest in [&digests[0], &digests[2], &last] {
        holds("the others are there", accounts.session(digest)?.is_some())?;
    }
    holds("another account's is there", accounts.session(&of_alan.digest)?.is_some())?;
    // Older than all that are there: it is the new one that somebody has just signed in by, and it stays.
    let late = begin(-1)?;
    holds("the new one is there", accounts.session(&late)?.is_some())?;
    same("the oldest of the others", None, accounts.session(&digests[2])?)?;
    accounts.end(&digests[3])?;
    begin(most + 3)?;
    holds("where one had ended, no other ends", accounts.session(&late)?.is_some())
}

fn most_at_once(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let mut digests = Vec::new();
    for number in 0..=i64::try_from(Session::MOST_OF_AN_ACCOUNT)? {
        // The third began first.
        let created = if number == 2 { at(-1) } else { at(number) };
        let session = Session { created, ..session(&grace)? };
        accounts.begin(&session, &grace.password)??;
        digests.push(session.digest);
    }
    let gone: Vec<usize> = digests
        .iter()
        .enumerate()
        .filter_map(|(number, digest)| match accounts.session(digest) {
            Ok(Some(_)) => None,
            _ => Some(number),
        })
        .collect();
    same("which ended", vec![2], gone)
}

fn seen(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let (session, other) = (bench.begin(&grace)?, bench.begin(&grace)?);
    for (when, expected) in [(1, 1), (0, 1), (1, 1), (-5, 1), (2, 2), (5_000, 5_000)] {
        accounts.saw(&session.digest, at(when))?;
        let expected = Session { last_seen: at(expected), ..session.clone() };
        same(format!("seen at {when}"), Some((expected, grace.clone())), accounts.session(&session.digest)?)?;
    }
    same("the other", Some((other.clone(), grace)), accounts.session(&other.digest)?)
}

fn ended(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let (session, other) = (bench.begin(&grace)?, bench.begin(&grace)?);
    same("ended", true, accounts.end(&session.digest)?)?;
    same("ended again", false, accounts.end(&session.digest)?)?;
    accounts.saw(&session.digest, at(5))?;
    same("found", None, accounts.session(&session.digest)?)?;
    same("those of the account", vec![other], accounts.sessions_of(&grace.id)?)
}

fn ended_together(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let others = bench.begin(&alan)?;
    let [one, two, three] = [bench.begin(&grace)?, bench.begin(&grace)?, bench.begin(&grace)?];
    same("all but one", 2, accounts.end_all(&grace.id, Some(two.digest))?)?;
    same("what is left", vec![two.clone()], accounts.sessions_of(&grace.id)?)?;
    same("but one that has ended", 1, accounts.end_all(&grace.id, Some(one.digest))?)?;
    same("of none", 0, accounts.end_all(&grace.id, None)?)?;
    let _ = (bench.begin(&grace)?, bench.begin(&grace)?);
    same("all, for another account's is none of them", 2, accounts.end_all(&grace.id, Some(others.digest))?)?;
    for digest in [one.digest, two.digest, three.digest] {
        same("found", None, accounts.session(&digest)?)?;
    }
    same("of nobody", 0, accounts.end_all(&account("nobody")?.id, None)?)?;
    same("the other account's", vec![others], accounts.sessions_of(&alan.id)?)
}
