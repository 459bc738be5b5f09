//! What is put in comes out as it was: texts to the last character, times to the nanosecond.

use keyward::{
    Timestamp,
    account::{Account, AccountChange, Session},
};

use super::{Case, case};
use crate::{
    accounts::bench::{Bench, account, at, by, session},
    stores::{Outcome, same},
};

pub(super) const CASES: &[Case] = &[
    case("A1 any text is kept as a name and as a browser", texts),
    case("A1 the longest address, names and browser are kept", longest),
    case("A1 times are kept to the nanosecond, and to the ends of their range", times),
];

const TEXTS: [&str; 15] = [
    "",
    " ",
    "\0",
    "\\",
    "\\0",
    "\\\\0\0",
    "a\0b\\c\0",
    "\u{1f511}\u{1f469}\u{200d}\u{1f4bb}",
    "\u{202e}\u{feff}",
    "e\u{301} \u{e9}",
    "'; DROP TABLE keyward_accounts; --",
    "\"%_$1?",
    "a\r\n\tb",
    "null",
    "\u{10ffff}\u{1}\u{7f}",
];

fn texts(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    for (number, text) in TEXTS.into_iter().enumerate() {
        let other = TEXTS[(number + 1) % TEXTS.len()];
        let mut grace = Account { first_name: text.into(), last_name: other.into(), ..account(&format!("n{number}"))? };
        accounts.add(&grace, false, by("ada"))??;
        let session = Session { agent: text.into(), ..session(&grace)? };
        accounts.begin(&session, &grace.password)??;
        same(format!("{text:?}"), Some((session.clone(), grace.clone())), accounts.session(&session.digest)?)?;
        (grace.first_name, grace.last_name) = (other.into(), text.into());
        let rename = AccountChange::Rename { first_name: other.into(), last_name: text.into() };
        let renamed = accounts.change(&grace.id, rename, by("ada"))??;
        same(format!("{text:?} as a last name"), &grace, &renamed)?;
        same(format!("{text:?} by address"), Some(grace.clone()), accounts.account_at(&grace.address)?)?;
    }
    Ok(())
}

fn longest(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    let name = |character: &str| character.repeat(Account::LONGEST_NAME).into_boxed_str();
    let address = format!("{}@example.com", "a".repeat(254 - 12)).parse()?;
    let grace = Account { address, first_name: name("\u{1f511}"), last_name: name("\\"), ..account("x")? };
    accounts.add(&grace, false, by("ada"))??;
    let session = Session { agent: "\0".repeat(Session::LONGEST_AGENT).into(), ..session(&grace)? };
    accounts.begin(&session, &grace.password)??;
    same("all of it", Some((session.clone(), grace)), accounts.session(&session.digest)?)
}

fn times(bench: &mut Bench) -> Outcome {
    let accounts = bench.accounts()?;
    for (number, time) in [i64::MIN, -1, 0, 1, i64::MAX].into_iter().enumerate() {
        let time = Timestamp::from_unix_nanoseconds(time);
        let grace = Account { created: time, ..account(&format!("n{number}"))? };
        accounts.add(&grace, false, by("ada"))??;
        let session = Session { created: time, last_seen: at(7), expires: time, ..session(&grace)? };
        accounts.begin(&session, &grace.password)??;
        same("all of it", Some((session.clone(), grace)), accounts.session(&session.digest)?)?;
    }
    Ok(())
}
