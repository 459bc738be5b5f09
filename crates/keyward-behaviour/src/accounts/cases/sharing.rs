//! What was acknowledged in one process is so in all others, for whoever asks afterwards.

use keyward::account::{AccountChange, AccountRefused, Session};

use super::{Case, sharing};
use crate::{
    accounts::{
        any::AnyAccounts,
        bench::{Bench, account, at, by, journal, second_password, session},
    },
    stores::{Outcome, holds, same},
};

pub(super) const CASES: &[Case] = &[
    sharing("A4 a session that was ended elsewhere, in whichever way, is not found again", ends),
    sharing("A1 accounts, sessions and rows of the journal of elsewhere are there at once", everything),
];

/// Ends a session.
type End = fn(&AnyAccounts, &Session) -> Outcome;

fn ends(bench: &mut Bench) -> Outcome {
    let (here, elsewhere) = (bench.accounts()?, bench.elsewhere()?.accounts);
    let ways: [(&str, End); 7] = [
        ("ended", |accounts, session| same("there was one", true, accounts.end(&session.digest)?)),
        ("ended with all others", |accounts, session| same("there was one", 1, accounts.end_all(&session.account, None)?)),
        ("swept", |accounts, _| same("there was one", 1, accounts.sweep(at(1_001), at(0))?)),
        ("by another password", |accounts, session| {
            accounts.change(&session.account, second_password()?, by("grace"))??;
            Ok(())
        }),
        ("by a right", |accounts, session| {
            accounts.change(&session.account, AccountChange::Admin(true), by("ada"))??;
            Ok(())
        }),
        ("switched off", |accounts, session| {
            accounts.change(&session.account, AccountChange::Disabled(true), by("ada"))??;
            Ok(())
        }),
        ("removed", |accounts, session| {
            accounts.remove(&session.account, by("ada"))??;
            Ok(())
        }),
    ];
    for (number, (what, end)) in ways.into_iter().enumerate() {
        let session = bench.begin(&bench.add(&format!("n{number}"))?)?;
        // Whoever keeps sessions in memory has it now.
        holds(format!("{what}: it is found elsewhere"), elsewhere.session(&session.digest)?.is_some())?;
        holds(format!("{what}: it is found here"), here.session(&session.digest)?.is_some())?;
        end(&elsewhere, &session).map_err(|problem| problem.while_doing(what))?;
        same(format!("{what}: here"), None, here.session(&session.digest)?)?;
        same(format!("{what}: those of the account"), vec![], here.sessions_of(&session.account)?)?;
    }
    Ok(())
}

fn everything(bench: &mut Bench) -> Outcome {
    let (here, elsewhere) = (bench.accounts()?, bench.elsewhere()?.accounts);
    let grace = account("grace")?;
    elsewhere.add(&grace, true, by("grace"))??;
    same("the account", Some(&grace), here.account_at(&grace.address)?.as_ref())?;
    same("the first", Err(AccountRefused::NotTheFirst), here.add(&account("alan")?, true, by("alan"))?)?;
    let session = session(&grace)?;
    elsewhere.begin(&session, &grace.password)??;
    same("the session", Some((session.clone(), grace.clone())), here.session(&session.digest)?)?;
    let renamed =
        elsewhere.change(&grace.id, AccountChange::Rename { first_name: "G".into(), last_name: "".into() }, by("x"))??;
    same("the session's account", Some((*renamed).clone()), here.session(&session.digest)?.map(|(_, account)| account))?;
    here.change(&grace.id, AccountChange::Admin(true), by("ada"))??;
    let actions: Vec<_> = journal(&here)?.into_iter().map(|row| row.action).collect();
    same("rows", vec!["create".into(), "rename".into(), "admin".into()], actions)?;
    same("rows elsewhere", journal(&here)?, journal(&elsewhere)?)
}
