//! What is there when a place is opened again.

use keyward::account::{AccountChange, AccountRefused};

use super::{Case, lasting};
use crate::{
    accounts::bench::{Bench, account, at, by, password},
    stores::{Outcome, same},
};

pub(super) const CASES: &[Case] = &[lasting("A1 accounts, sessions and journal are there when it is opened again", again)];

fn again(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let (grace, alan, gone) = (bench.add("grace")?, bench.add("alan")?, bench.add("gone")?);
    let (kept, ended, of_alan, of_gone) = (bench.begin(&grace)?, bench.begin(&grace)?, bench.begin(&alan)?, bench.begin(&gone)?);
    let change = AccountChange::Password { instead_of: password(0)?, hash: password(1)?, keeps: Some(kept.digest) };
    let grace = (*accounts.change(&grace.id, change, by("grace"))??).clone();
    accounts.saw(&of_alan.digest, at(9))?;
    accounts.remove(&gone.id, by("ada"))??;
    let (all, journal) = (accounts.page(None, 10)?, bench.journal()?);
    drop(accounts);
    bench.reopen()?;

    let accounts = bench.accounts()?;
    same("accounts", all, accounts.page(None, 10)?)?;
    same("journal", journal, bench.journal()?)?;
    same("a session that was kept", Some((kept.clone(), grace.clone())), accounts.session(&kept.digest)?)?;
    let seen = accounts.session(&of_alan.digest)?.map(|(session, _)| session.last_seen);
    same("when one was seen", Some(at(9)), seen)?;
    for session in [ended, of_gone] {
        same("a session that was ended", None, accounts.session(&session.digest)?)?;
    }
    same("the first", Err(AccountRefused::NotTheFirst), accounts.add(&account("x")?, true, by("x"))?)?;
    accounts.change(&alan.id, AccountChange::Admin(true), by("ada"))??;
    same("rows of the journal", 6, bench.journal()?.len())
}
