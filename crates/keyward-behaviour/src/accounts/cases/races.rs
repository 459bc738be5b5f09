//! Changes at the same time, from many threads, and from elsewhere where a place can be opened twice.

use std::sync::{
    Barrier,
    atomic::{AtomicBool, Ordering},
};

use keyward::account::{Account, AccountChange, AccountRefused, Session};

use super::{Case, case, sharing};
use crate::{
    accounts::{
        any::AnyAccounts,
        bench::{Bench, account, at, by, journal, password, second_password, session},
    },
    stores::{Outcome, Problem, holds, same},
};

pub(super) const CASES: &[Case] = &[
    case("A2 of many who register one address at once, one has it and all others are refused", |bench| registering(bench, false)),
    sharing("A2 of many who register one address at once here and elsewhere, one has it", |bench| registering(bench, true)),
    case("R16 of many who make the first account at once, one does", |bench| first(bench, false)),
    sharing("R16 of many who make the first account at once here and elsewhere, one does", |bench| first(bench, true)),
    case("A5 nobody is signed in by an old password whose change was acknowledged", |bench| against_password(bench, false)),
    sharing("A5 nobody is signed in by an old password that was changed elsewhere", |bench| against_password(bench, true)),
    case("A6 of many who change one password at once from the same one, one does", |bench| passwords(bench, false)),
    sharing("A6 of many who change one password at once here and elsewhere, one does", |bench| passwords(bench, true)),
    case("A5 nobody is signed in to an account that is being switched off", |bench| against_disabling(bench, false)),
    sharing("A5 nobody is signed in to an account that is switched off elsewhere", |bench| against_disabling(bench, true)),
    case("A5 nobody is signed in to an account that is being removed", |bench| against_removal(bench, false)),
    sharing("A5 nobody is signed in to an account that is removed elsewhere", |bench| against_removal(bench, true)),
    case("A4 a session that is seen while it ends is not found again", |bench| seen_while_ended(bench, false)),
    sharing("A4 a session that is seen elsewhere while it ends is not found again", |bench| seen_while_ended(bench, true)),
    case("R16 many who sign in at once have a hundred sessions together", |bench| signing_in(bench, false)),
    sharing("R16 many who sign in at once here and elsewhere have a hundred sessions together", |bench| signing_in(bench, true)),
    case("A3 of many who change one account at once each has a row, and no two changes are made of one state", |bench| {
        changing(bench, false)
    }),
    sharing("A3 of many who change one account here and elsewhere each has a row", |bench| changing(bench, true)),
    case("A3 all that may be done to sessions at once is done, and none of it is a fault", |bench| everything(bench, false)),
    sharing("A3 all that may be done to sessions here and elsewhere at once is done, and none of it is a fault", |bench| {
        everything(bench, true)
    }),
];

/// How often what needs luck is tried.
const ROUNDS: usize = 6;

/// Does something in several threads that begin together, in turn here and elsewhere.
fn race<T: Send>(
    bench: &Bench,
    is_shared: bool,
    threads: usize,
    work: impl Fn(usize, &AnyAccounts) -> Result<T, Problem> + Sync,
) -> Result<Vec<T>, Problem> {
    let here = bench.accounts()?;
    let elsewhere = is_shared.then(|| bench.elsewhere()).transpose()?;
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|number| {
                let accounts = match &elsewhere {
                    Some(elsewhere) if number % 2 == 1 => elsewhere.accounts.clone(),
                    _ => here.clone(),
                };
                let (start, work) = (&start, &work);
                scope.spawn(move || {
                    start.wait();
                    work(number, &accounts)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| Problem::new("a thread panicked"))?).collect()
    })
}

fn registering(bench: &Bench, is_shared: bool) -> Outcome {
    let accounts = bench.accounts()?;
    for round in 0..ROUNDS {
        let said = race(bench, is_shared, 8, |_, accounts| {
            let account = account(&format!("grace{round}"))?;
            Ok((account.id, accounts.add(&account, false, by("somebody"))?.map(drop)))
        })?;
        let winners: Vec<_> = said.iter().filter(|(_, said)| said.is_ok()).collect();
        same("how many have it", 1, winners.len())?;
        let refused = said.iter().filter(|(_, said)| *said == Err(AccountRefused::AddressTaken)).count();
        same("how many are refused", said.len() - 1, refused)?;
        let kept = accounts.account_at(&format!("grace{round}@example.com").parse()?)?;
        same("who has it", Some(winners[0].0), kept.map(|account| account.id))?;
        same("rows of the journal", round + 1, bench.journal()?.len())?;
    }
    same("accounts", ROUNDS, accounts.page(None, 1_000)?.len())
}

fn first(bench: &Bench, is_shared: bool) -> Outcome {
    let accounts = bench.accounts()?;
    for _ in 0..ROUNDS {
        let said = race(bench, is_shared, 8, |number, accounts| {
            let account = account(&format!("n{number}"))?;
            Ok((account.id, accounts.add(&account, true, by("somebody"))?.map(drop)))
        })?;
        let refused = said.iter().filter(|(_, said)| *said == Err(AccountRefused::NotTheFirst)).count();
        same("how many are refused", said.len() - 1, refused)?;
        let kept: Vec<_> = accounts.page(None, 10)?.into_iter().map(|account| account.id).collect();
        same("who is there", said.iter().filter(|(_, said)| said.is_ok()).map(|(id, _)| *id).collect(), kept.clone())?;
        accounts.remove(&kept[0], by("ada"))??;
    }
    Ok(())
}

/// Some sign in for as long as they are let, and one changes the account: afterwards nobody is signed in.
fn against(
    bench: &Bench,
    is_shared: bool,
    refused: AccountRefused,
    change: impl Fn(&AnyAccounts, &Account) -> Outcome + Sync,
) -> Outcome {
    let accounts = bench.accounts()?;
    for round in 0..ROUNDS {
        let grace = bench.add(&format!("grace{round}"))?;
        let is_changed = AtomicBool::new(false);
        let digests = race(bench, is_shared, 4, |number, accounts| {
            let mut digests = Vec::new();
            if number == 0 {
                let _ = bench.begin(&grace)?;
                let changed = change(accounts, &grace);
                // Whatever comes of it, the others have an end.
                is_changed.store(true, Ordering::SeqCst);
                changed?;
                return Ok(digests);
            }
            loop {
                let was_changed = is_changed.load(Ordering::SeqCst);
                let session = session(&grace)?;
                match accounts.begin(&session, &grace.password)? {
                    Ok(()) => digests.push(session.digest),
                    Err(why) => {
                        same("why", refused, why)?;
                        return Ok(digests);
                    }
                }
                holds("nobody signs in once the change was acknowledged", !was_changed)?;
            }
        })?;
        same("sessions that are left", vec![], accounts.sessions_of(&grace.id)?)?;
        for digest in digests.into_iter().flatten() {
            same("a session that had begun before", None, accounts.session(&digest)?)?;
        }
    }
    Ok(())
}

fn against_password(bench: &Bench, is_shared: bool) -> Outcome {
    against(bench, is_shared, AccountRefused::PasswordChanged, |accounts, grace| {
        accounts.change(&grace.id, second_password()?, by("grace"))??;
        Ok(())
    })
}

fn passwords(bench: &Bench, is_shared: bool) -> Outcome {
    let grace = bench.add("grace")?;
    for round in 0..ROUNDS {
        let said = race(bench, is_shared, 8, |_, accounts| {
            let change = AccountChange::Password { instead_of: password(round)?, hash: password(round + 1)?, keeps: None };
            Ok(accounts.change(&grace.id, change, by("somebody"))?.map(drop))
        })?;
        same("how many did", 1, said.iter().filter(|said| said.is_ok()).count())?;
        let refused = said.iter().filter(|said| **said == Err(AccountRefused::PasswordChanged)).count();
        same("how many are refused", said.len() - 1, refused)?;
        same("rows of the journal", round + 2, bench.journal()?.len())?;
    }
    Ok(())
}

fn against_disabling(bench: &Bench, is_shared: bool) -> Outcome {
    against(bench, is_shared, AccountRefused::NotFound, |accounts, grace| {
        accounts.change(&grace.id, AccountChange::Disabled(true), by("ada"))??;
        Ok(())
    })
}

fn against_removal(bench: &Bench, is_shared: bool) -> Outcome {
    against(bench, is_shared, AccountRefused::NotFound, |accounts, grace| {
        accounts.remove(&grace.id, by("ada"))??;
        Ok(())
    })
}

fn seen_while_ended(bench: &Bench, is_shared: bool) -> Outcome {
    let grace = bench.add("grace")?;
    for _ in 0..ROUNDS {
        let session = bench.begin(&grace)?;
        let is_ended = AtomicBool::new(false);
        race(bench, is_shared, 4, |number, accounts| {
            if number == 0 {
                let ended = accounts.end(&session.digest);
                is_ended.store(true, Ordering::SeqCst);
                return same("whether there was one", true, ended?);
            }
            for turn in 1.. {
                let was_ended = is_ended.load(Ordering::SeqCst);
                accounts.saw(&session.digest, at(turn))?;
                let found = accounts.session(&session.digest)?;
                if was_ended {
                    return same("a session that was ended", None, found);
                }
            }
            Ok(())
        })?;
        same("of the account", vec![], bench.accounts()?.sessions_of(&grace.id)?)?;
    }
    Ok(())
}

fn signing_in(bench: &Bench, is_shared: bool) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    for _ in 0..Session::MOST_OF_AN_ACCOUNT - 5 {
        let _ = bench.begin(&grace)?;
    }
    let latest = race(bench, is_shared, 4, |number, accounts| {
        let mut digests = Vec::new();
        for turn in 0..5 {
            let seen = at(1 + i64::try_from(number)? * 10 + turn);
            let session = Session { last_seen: seen, ..session(&grace)? };
            accounts.begin(&session, &grace.password)??;
            digests.push(session.digest);
        }
        Ok(digests)
    })?;
    same("sessions", Session::MOST_OF_AN_ACCOUNT, accounts.sessions_of(&grace.id)?.len())?;
    for digest in latest.into_iter().flatten() {
        holds("those seen last are there", accounts.session(&digest)?.is_some())?;
    }
    Ok(())
}

fn changing(bench: &Bench, is_shared: bool) -> Outcome {
    let grace = bench.add("grace")?;
    race(bench, is_shared, 6, |number, accounts| {
        for turn in 0..5 {
            let change = match number % 3 {
                0 => AccountChange::Rename { first_name: format!("{number} {turn}").into(), last_name: "".into() },
                1 => AccountChange::Admin(turn % 2 == 0),
                _ => AccountChange::Disabled(turn % 2 == 0),
            };
            accounts.change(&grace.id, change, by("somebody"))??;
        }
        Ok(())
    })?;
    let rows = journal(&bench.accounts()?)?;
    same("rows", 31, rows.len())?;
    for (earlier, later) in rows.iter().zip(&rows[1..]) {
        same("what a change was made of", &earlier.after, &later.before)?;
    }
    let told = serde_json::to_value(keyward::account::AccountTold::of(&bench.accounts()?.account(&grace.id)?.unwrap_or(grace)))?;
    same("what it became", Some(&told), rows.last().and_then(|row| row.after.as_ref()))
}

fn everything(bench: &Bench, is_shared: bool) -> Outcome {
    let grace = bench.add("grace")?;
    race(bench, is_shared, 8, |number, accounts| {
        for turn in 0..12 {
            let sessions = accounts.sessions_of(&grace.id)?;
            match number {
                0 => drop(accounts.change(&grace.id, AccountChange::Admin(turn % 2 == 0), by("ada"))??),
                1 => drop(accounts.end_all(&grace.id, sessions.first().map(|session| session.digest))?),
                2 | 3 => drop(accounts.sweep(at(1_000), at(turn))?),
                4 => {
                    for session in sessions.iter().rev() {
                        accounts.saw(&session.digest, at(turn))?;
                    }
                }
                5 => {
                    for session in &sessions {
                        accounts.end(&session.digest)?;
                    }
                }
                _ => {
                    for expires in [999, 1_000, 2_000] {
                        let session = Session { expires: at(expires), ..session(&grace)? };
                        accounts.begin(&session, &password(0)?)??;
                    }
                }
            }
        }
        Ok(())
    })?;
    let accounts = bench.accounts()?;
    accounts.sweep(at(3_000), at(3_000))?;
    same("what is left in the end", vec![], accounts.sessions_of(&grace.id)?)
}
