//! Which accounts can be made, and how they are found.

use keyward::account::{Account, AccountRefused};

use super::{Case, case};
use crate::{
    accounts::bench::{Bench, account, at, by, second_password, session},
    stores::{Outcome, holds, same},
};

pub(super) const CASES: &[Case] = &[
    case("A1 what was made is found by its id and its address, and nothing else is", found),
    case("A2 an address is one account's, however it is written, until that is gone", addresses),
    case("A2 an id is one account's", ids),
    case("R16 the first account is made where there is none, and nowhere else", only_as_first),
    case("A1 accounts are listed in the order of their ids, by pages", pages),
    case("A1 nothing happens before an answer is polled", lazily),
];

fn found(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let mut grace = account("grace")?;
    (grace.is_admin, grace.is_disabled, grace.created) = (true, true, at(7));
    let made = accounts.add(&grace, false, by("ada"))??;
    same("what is told of it", &grace, &made)?;
    same("by id", Some(&grace), accounts.account(&grace.id)?.as_ref())?;
    same("by address", Some(&grace), accounts.account_at(&grace.address)?.as_ref())?;
    same("another id", None, accounts.account(&account("grace")?.id)?)?;
    for other in ["grac@example.com", "grace@example.co", "grac_@example.com", "%@example.com"] {
        same(other, None, accounts.account_at(&other.parse()?)?)?;
    }
    Ok(())
}

fn addresses(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let first = bench.add("grace")?;
    let second = Account { address: "Grace@EXAMPLE.com".parse()?, ..account("x")? };
    same("the second", Err(AccountRefused::AddressTaken), accounts.add(&second, false, by("ada"))?)?;
    same("it is not there", None, accounts.account(&second.id)?)?;
    same("the first is", Some(&first), accounts.account_at(&second.address)?.as_ref())?;
    accounts.remove(&first.id, by("ada"))??;
    accounts.add(&second, false, by("ada"))??;
    same("afterwards", Some(&second), accounts.account_at(&first.address)?.as_ref())
}

fn ids(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let first = bench.add("grace")?;
    let second = Account { id: first.id, ..account("alan")? };
    same("the second", Err(AccountRefused::AddressTaken), accounts.add(&second, false, by("ada"))?)?;
    same("the first", Some(&first), accounts.account(&first.id)?.as_ref())?;
    same("its address", None, accounts.account_at(&second.address)?)
}

fn only_as_first(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (first, second) = (account("grace")?, account("alan")?);
    accounts.add(&first, true, by("grace"))??;
    same("another", Err(AccountRefused::NotTheFirst), accounts.add(&second, true, by("alan"))?)?;
    same("the same", Err(AccountRefused::NotTheFirst), accounts.add(&first, true, by("grace"))?)?;
    accounts.add(&second, false, by("grace"))??;
    accounts.remove(&first.id, by("grace"))??;
    same("one is left", Err(AccountRefused::NotTheFirst), accounts.add(&first, true, by("grace"))?)?;
    accounts.remove(&second.id, by("grace"))??;
    accounts.add(&first, true, by("grace"))??;
    same("all", vec![first], accounts.page(None, 10)?)
}

fn pages(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    // Bytes, and not letters of a language: `-` before digits before capitals before `_` before small letters.
    let mut all = Vec::new();
    for (number, id) in ["b", "a", "A", "_", "-", "0", "aa", "a.", "B"].into_iter().enumerate() {
        let account = Account { id: id.parse()?, ..account(&format!("n{number}"))? };
        accounts.add(&account, false, by("ada"))??;
        all.push(account);
    }
    all.sort_by(|one, other| one.id.as_str().as_bytes().cmp(other.id.as_str().as_bytes()));
    for size in [1, 2, 9, 100] {
        let mut listed: Vec<Account> = Vec::new();
        loop {
            let page = accounts.page(listed.last().map(|last| last.id), size)?;
            holds("a page has at most as many as were asked for", page.len() <= size)?;
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        same(format!("pages of {size}"), &all, &listed)?;
    }
    same("a page of nothing", 0, accounts.page(None, 0)?.len())
}

fn lazily(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let grace = bench.add("grace")?;
    let begun = bench.begin(&grace)?;
    let (unmade, unbegun) = (account("alan")?, session(&grace)?);
    drop(accounts.0.add_account(unmade.clone(), false, by("ada")));
    drop(accounts.0.change_account(&grace.id, second_password()?, by("ada")));
    drop(accounts.0.remove_account(&grace.id, by("ada")));
    drop(accounts.0.add_session(unbegun.clone(), grace.password.clone()));
    drop(accounts.0.saw_session(&begun.digest, at(5)));
    drop(accounts.0.end_session(&begun.digest));
    drop(accounts.0.end_sessions_of(&grace.id, None));
    drop(accounts.0.sweep_sessions(at(1_000_000), at(1_000_000)));
    same("accounts", vec![grace.clone()], accounts.page(None, 10)?)?;
    same("sessions", vec![begun], accounts.sessions_of(&grace.id)?)?;
    same("rows of the journal", 1, bench.journal()?.len())
}
