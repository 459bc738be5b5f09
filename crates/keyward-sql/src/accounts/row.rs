//! Accounts and sessions as rows.

use keyward::account::{Account, AccountId, PasswordHash, Session, SessionDigest};
use keyward::{Fault, Timestamp};

use crate::connection::{Row, Value, values};
use crate::failure::{Failure, Outcome};
use crate::record::{read_text, text};

/// The columns of an account `a`, which [`account_values`] gives in this order.
macro_rules! account_columns {
    () => {
        "a.id, a.address, a.first_name, a.last_name, a.password, a.is_admin, a.is_disabled, a.created"
    };
}
pub(super) use account_columns;

/// The columns of a session `s`, which [`session_values`] gives in this order.
macro_rules! session_columns {
    () => {
        "s.digest, s.account_id, s.created, s.last_seen, s.expires, s.network, s.agent"
    };
}
pub(super) use session_columns;

/// How many columns an account has.
pub(super) const OF_ACCOUNT: usize = 8;

pub(super) fn account_values(account: &Account) -> Vec<Value> {
    values![
        account.id.as_str(),
        account.address.as_str(),
        text(&account.first_name),
        text(&account.last_name),
        account.password.phc(),
        i64::from(account.is_admin),
        i64::from(account.is_disabled),
        account.created.unix_nanoseconds(),
    ]
}

/// The account in the first columns of a row.
pub(super) fn read_account(row: &Row) -> Outcome<Account> {
    let id: String = row.get(0)?;
    let bad = |what: &str| {
        let text = format!("the row of account {id} in keyward_accounts is damaged: {what}; mend it, or restore a backup");
        Failure::Damaged(Fault::new(text))
    };
    Ok(Account {
        id: id.parse().map_err(|_| bad("`id` is none"))?,
        address: row.get::<String>(1)?.parse().map_err(|_| bad("`address` is no e-mail address"))?,
        first_name: read_text(&row.get::<String>(2)?).into(),
        last_name: read_text(&row.get::<String>(3)?).into(),
        password: PasswordHash::from_phc(&row.get::<String>(4)?).map_err(|_| bad("`password` is no hash that can be used"))?,
        is_admin: row.get::<i64>(5)? != 0,
        is_disabled: row.get::<i64>(6)? != 0,
        created: Timestamp::from_unix_nanoseconds(row.get(7)?),
    })
}

pub(super) fn session_values(session: &Session) -> Vec<Value> {
    values![
        session.digest.to_bytes().to_vec(),
        session.account.as_str(),
        session.created.unix_nanoseconds(),
        session.last_seen.unix_nanoseconds(),
        session.expires.unix_nanoseconds(),
        session.network.map(|network| network.to_string()),
        text(&session.agent),
    ]
}

/// The session in the columns from this one on.
pub(super) fn read_session(row: &Row, first: usize) -> Outcome<Session> {
    let account: String = row.get(first + 1)?;
    let bad = |what: &str| {
        let text = format!("a session of account {account} in keyward_sessions is damaged: {what}; delete the row");
        Failure::Damaged(Fault::new(text))
    };
    let time = |column: usize| Ok::<_, Failure>(Timestamp::from_unix_nanoseconds(row.get(first + column)?));
    let digest: Vec<u8> = row.get(first)?;
    let network: Option<String> = row.get(first + 5)?;
    Ok(Session {
        digest: SessionDigest::from_bytes(digest.try_into().map_err(|_| bad("`digest` is not 32 bytes"))?),
        account: account.parse::<AccountId>().map_err(|_| bad("`account_id` is none"))?,
        created: time(2)?,
        last_seen: time(3)?,
        expires: time(4)?,
        network: network.map(|network| network.parse()).transpose().map_err(|_| bad("`network` is no address"))?,
        agent: read_text(&row.get::<String>(first + 6)?).into(),
    })
}
