//! What may become of an account, and which sessions end by it.

use keyward::account::{Account, AccountChange, AccountRefused, SessionDigest};

use super::{Case, case};
use crate::{
    accounts::bench::{Bench, account, by, password, second_password},
    stores::{Outcome, Problem, same},
};

pub(super) const CASES: &[Case] = &[
    case("A3 a change is of one thing, of one account", one_thing),
    case("A3 an account that is not there is neither changed nor removed", nobody),
    case("A3 a new name ends no session", renaming),
    case("A4 another password ends all sessions but the one that is named", passwords),
    case("A6 a password is changed from the one that was looked at, or nothing is", from_another),
    case("A4 being an administrator, or no longer one, ends all sessions", |bench| {
        ends_all(bench, &[true, false, false], AccountChange::Admin)
    }),
    case("A4 switching an account off, or on again, ends all sessions", |bench| {
        ends_all(bench, &[true, true], AccountChange::Disabled)
    }),
    case("A5 an account that is gone has no sessions, and others keep theirs", removing),
];

/// What a change makes of an account, not by the core's own hand.
type Becomes = fn(&mut Account) -> Outcome;

fn one_thing(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (mut grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let rename = AccountChange::Rename { first_name: "G".into(), last_name: "".into() };
    let changes: [(AccountChange, Becomes); 6] = [
        (rename, |account| {
            (account.first_name, account.last_name) = ("G".into(), "".into());
            Ok(())
        }),
        (second_password()?, |account| {
            account.password = password(1)?;
            Ok(())
        }),
        (AccountChange::Admin(true), |account| {
            account.is_admin = true;
            Ok(())
        }),
        (AccountChange::Disabled(true), |account| {
            account.is_disabled = true;
            Ok(())
        }),
        (AccountChange::Admin(false), |account| {
            account.is_admin = false;
            Ok(())
        }),
        (AccountChange::Disabled(false), |account| {
            account.is_disabled = false;
            Ok(())
        }),
    ];
    for (change, expected) in changes {
        expected(&mut grace)?;
        let told = accounts.change(&grace.id, change.clone(), by("ada"))??;
        same(format!("what is told of {change:?}"), &grace, &told)?;
        same(format!("by id after {change:?}"), Some(&grace), accounts.account(&grace.id)?.as_ref())?;
        same(format!("by address after {change:?}"), Some(&grace), accounts.account_at(&grace.address)?.as_ref())?;
    }
    same("the other", Some(alan.clone()), accounts.account(&alan.id)?)
}

fn nobody(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, nobody) = (bench.add("grace")?, account("nobody")?);
    same("changed", Err(AccountRefused::NotFound), accounts.change(&nobody.id, AccountChange::Admin(true), by("ada"))?)?;
    same("removed", Err(AccountRefused::NotFound), accounts.remove(&nobody.id, by("ada"))?)?;
    same("all", vec![grace], accounts.page(None, 10)?)?;
    same("rows of the journal", 1, bench.journal()?.len())
}

fn renaming(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let session = bench.begin(&grace)?;
    let rename = AccountChange::Rename { first_name: "G".into(), last_name: "H".into() };
    let renamed = accounts.change(&grace.id, rename, by("ada"))??;
    same(
        "the session, with the account as it is now",
        Some((session.clone(), (*renamed).clone())),
        accounts.session(&session.digest)?,
    )
}

fn passwords(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (mut grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let others = bench.begin(&alan)?;
    let mut change = |which: usize, keeps: Option<SessionDigest>| -> Result<_, Problem> {
        let sessions = [bench.begin(&grace)?, bench.begin(&grace)?, bench.begin(&grace)?];
        let keeps = keeps.or(Some(sessions[1].digest)).filter(|_| which > 0);
        let instead_of = std::mem::replace(&mut grace.password, password(which)?);
        let change = AccountChange::Password { instead_of, hash: grace.password.clone(), keeps };
        accounts.change(&grace.id, change, by("ada"))??;
        let left: Vec<_> = accounts.sessions_of(&grace.id)?.into_iter().map(|session| session.digest).collect();
        let found = sessions.iter().map(|session| Ok(accounts.session(&session.digest)?.is_some()));
        Ok((left.len(), found.collect::<Result<Vec<bool>, Problem>>()?))
    };
    same("keeping none", (0, vec![false, false, false]), change(0, None)?)?;
    same("keeping one", (1, vec![false, true, false]), change(1, None)?)?;
    same("keeping another account's", (0, vec![false, false, false]), change(1, Some(others.digest))?)?;
    same("the other account's", Some((others.clone(), alan)), accounts.session(&others.digest)?)
}

fn from_another(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let mut grace = bench.add("grace")?;
    accounts.change(&grace.id, second_password()?, by("grace"))??;
    grace.password = password(1)?;
    let session = bench.begin(&grace)?;
    let change = AccountChange::Password { instead_of: password(0)?, hash: password(0)?, keeps: None };
    same("from the first once more", Err(AccountRefused::PasswordChanged), accounts.change(&grace.id, change, by("eve"))?)?;
    same("the account and its session", Some((session.clone(), grace)), accounts.session(&session.digest)?)?;
    same("rows of the journal", 2, bench.journal()?.len())
}

fn ends_all(bench: &Bench, values: &[bool], change: fn(bool) -> AccountChange) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let others = bench.begin(&alan)?;
    for value in values {
        let sessions = [bench.begin(&grace)?, bench.begin(&grace)?];
        let changed = accounts.change(&grace.id, change(*value), by("ada"))??;
        for session in &sessions {
            same(format!("a session after {value}"), None, accounts.session(&session.digest)?)?;
        }
        same(format!("sessions after {value}"), vec![], accounts.sessions_of(&grace.id)?)?;
        if changed.is_disabled {
            accounts.change(&grace.id, change(false), by("ada"))??;
        }
    }
    same("the other account's", Some((others.clone(), alan)), accounts.session(&others.digest)?)
}

fn removing(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan) = (bench.add("grace")?, bench.add("alan")?);
    let (session, others) = (bench.begin(&grace)?, bench.begin(&alan)?);
    accounts.remove(&grace.id, by("ada"))??;
    same("by id", None, accounts.account(&grace.id)?)?;
    same("by address", None, accounts.account_at(&grace.address)?)?;
    same("its session", None, accounts.session(&session.digest)?)?;
    same("its sessions", vec![], accounts.sessions_of(&grace.id)?)?;
    same("once more", Err(AccountRefused::NotFound), accounts.remove(&grace.id, by("ada"))?)?;
    // Whoever comes back is somebody else.
    accounts.add(&grace, false, by("ada"))??;
    same("its session afterwards", None, accounts.session(&session.digest)?)?;
    same("the other account's", Some((others.clone(), alan)), accounts.session(&others.digest)?)
}
