//! Who changed which account.

use keyward::{
    account::{Account, AccountChange, AccountJournalled, AccountTold},
    store::Attribution,
};

use super::{Case, case};
use crate::{
    accounts::bench::{Bench, account, at, by, password, second_password},
    stores::{Outcome, holds, same},
};

pub(super) const CASES: &[Case] = &[
    case("R11.1 each change has a row: who, when, what, of which account, before and after", rows),
    case("R11.1 no row holds a password's hash or a session's digest", no_secret),
    case("A3 what is refused leaves no row", refused),
    case("R11.1 sessions leave no rows", of_sessions),
    case("R11.1 pages of the journal go through every row once, the oldest first", pages),
    case("R11.1 any text names an actor", actors),
];

fn rows(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let mut grace = account("grace")?;
    let id = grace.id;
    let mut expected: Vec<AccountJournalled> = Vec::new();
    let mut expect = |actor: &str, action: &str, before: Option<&Account>, after: Option<&Account>| {
        let by = Attribution { actor: actor.into(), at: at(i64::try_from(expected.len()).unwrap_or(i64::MAX)) };
        expected.push(AccountJournalled {
            number: 0,
            at: by.at,
            actor: actor.into(),
            action: action.into(),
            account: id,
            before: before.and_then(|account| serde_json::to_value(AccountTold::of(account)).ok()),
            after: after.and_then(|account| serde_json::to_value(AccountTold::of(account)).ok()),
        });
        by
    };
    accounts.add(&grace, false, expect("ada", "create", None, Some(&grace)))??;
    let changes = [
        ("bob", "rename", AccountChange::Rename { first_name: "\0\u{1f511}\\".into(), last_name: "".into() }),
        ("grace", "password", second_password()?),
        ("ada", "admin", AccountChange::Admin(true)),
        ("ada", "disable", AccountChange::Disabled(true)),
    ];
    for (actor, action, change) in changes {
        let after = change.apply(&grace)?;
        accounts.change(&grace.id, change, expect(actor, action, Some(&grace), Some(&after)))??;
        grace = after;
    }
    accounts.remove(&grace.id, expect("ada", "remove", Some(&grace), None))??;
    let got: Vec<_> = bench.journal()?.into_iter().map(|row| AccountJournalled { number: 0, ..row }).collect();
    same("rows", expected, got)
}

fn no_secret(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let session = bench.begin(&grace)?;
    let change = AccountChange::Password { instead_of: password(0)?, hash: password(1)?, keeps: Some(session.digest) };
    accounts.change(&grace.id, change, by("grace"))??;
    accounts.remove(&grace.id, by("ada"))??;
    let rows = bench.journal()?;
    same("rows", 3, rows.len())?;
    for row in rows {
        let text = serde_json::to_string(&row)?;
        holds("no hash", !text.contains("argon2") && !text.contains("BwcHBwcHBwc"))?;
        holds("no session", !text.contains(&session.digest.id().to_string()))?;
    }
    Ok(())
}

fn refused(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let again = Account { address: grace.address.clone(), ..account("x")? };
    holds("taken", accounts.add(&again, false, by("ada"))?.is_err())?;
    holds("not the first", accounts.add(&account("alan")?, true, by("ada"))?.is_err())?;
    holds("nobody", accounts.change(&again.id, second_password()?, by("ada"))?.is_err())?;
    holds("nobody", accounts.remove(&again.id, by("ada"))?.is_err())?;
    same("rows", 1, bench.journal()?.len())?;
    // And the next row comes as if nothing had been.
    accounts.remove(&grace.id, by("ada"))??;
    same("rows", 2, bench.journal()?.len())
}

fn of_sessions(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let session = bench.begin(&grace)?;
    accounts.saw(&session.digest, at(5))?;
    accounts.end(&session.digest)?;
    let _ = bench.begin(&grace)?;
    accounts.end_all(&grace.id, None)?;
    let _ = bench.begin(&grace)?;
    accounts.sweep(at(2_000), at(2_000))?;
    same("rows", 1, bench.journal()?.len())
}

fn pages(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    for number in 0..30 {
        accounts.change(&grace.id, AccountChange::Admin(number % 2 == 0), by(&format!("actor {number}")))??;
    }
    let all = bench.journal()?;
    same("rows", 31, all.len())?;
    for size in [1, 2, 30, 31, 32, 1_000] {
        let (mut rows, mut after): (Vec<AccountJournalled>, u64) = (Vec::new(), 0);
        loop {
            let page = accounts.journal_page(after, size)?;
            let Some(last) = page.last() else { break };
            after = last.number;
            rows.extend(page);
        }
        same(format!("pages of {size}"), &all, &rows)?;
    }
    let last = all.last().map_or(0, |row| row.number);
    same("behind the one before the last", 1, accounts.journal_page(last - 1, 10)?.len())?;
    same("behind the last", 0, accounts.journal_page(last, 10)?.len())?;
    same("behind all that there could be", 0, accounts.journal_page(u64::MAX, usize::MAX)?.len())?;
    same("a page of nothing", 0, accounts.journal_page(0, 0)?.len())
}

fn actors(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let actors = ["", "\0", "\\0", "'; DROP TABLE journal; --", "\u{1f511}\u{202e}", "a\nb"];
    let grace = bench.add("grace")?;
    for actor in actors {
        accounts.change(&grace.id, AccountChange::Admin(true), by(actor))??;
    }
    let rows = bench.journal()?;
    same("actors", actors.to_vec(), rows[1..].iter().map(|row| &*row.actor).collect::<Vec<_>>())
}
