//! Accounts on trial, with people and sessions to put there.

use keyward::{
    SystemRandom, Timestamp,
    account::{Account, AccountChange, AccountId, AccountJournalled, PasswordHash, Session},
    store::Attribution,
};

use super::{
    any::AnyAccounts,
    harness::{AccountSubject, AnyOpened, AnyPlace},
};
use crate::stores::{Problem, holds};

/// When every trial begins. Not a whole second: times are kept to the nanosecond.
pub(crate) const BEGINNING: i64 = 1_767_225_600_123_456_789;

/// Hashed beforehand, since hashing takes its time.
const PASSWORDS: [&str; 2] = [
    "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$rbv34aBxhlwTkcoidUYmV0YxDlh05K1kwZ7GjPhpqXk",
    "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$y5fl1Fovnk8voabqmThJ+miJVh1j9sv9wePbYe4ocaw",
];

/// Accounts on trial.
pub(crate) struct Bench {
    pub(crate) subject: AccountSubject,
    place: Box<dyn AnyPlace>,
    opened: Option<Box<dyn AnyOpened>>,
}

/// The place once more, as another process has it.
pub(crate) struct Elsewhere {
    pub(crate) accounts: AnyAccounts,
    /// What keeps it open.
    _opened: Box<dyn AnyOpened>,
}

impl Bench {
    /// No accounts.
    pub(crate) fn new(subject: &AccountSubject) -> Result<Bench, Problem> {
        let place = subject.new_place()?;
        let opened = Some(place.open()?);
        Ok(Bench { subject: subject.clone(), place, opened })
    }

    pub(crate) fn accounts(&self) -> Result<AnyAccounts, Problem> {
        let opened = self.opened.as_ref().ok_or_else(|| Problem::new("it was closed and could not be opened again"))?;
        Ok(opened.accounts())
    }

    pub(crate) fn elsewhere(&self) -> Result<Elsewhere, Problem> {
        let opened = self.place.open()?;
        Ok(Elsewhere { accounts: opened.accounts(), _opened: opened })
    }

    /// Closes it and opens it again.
    pub(crate) fn reopen(&mut self) -> Result<(), Problem> {
        if let Some(opened) = self.opened.take() {
            opened.close().map_err(|problem| problem.while_doing("closing"))?;
        }
        self.opened = Some(self.place.open().map_err(|problem| problem.while_doing("opening again"))?);
        Ok(())
    }

    /// An account that is there.
    pub(crate) fn add(&self, name: &str) -> Result<Account, Problem> {
        let account = account(name)?;
        self.accounts()?.add(&account, false, by("ada"))??;
        Ok(account)
    }

    /// A session that is there.
    pub(crate) fn begin(&self, account: &Account) -> Result<Session, Problem> {
        let session = session(account)?;
        self.accounts()?.begin(&session, &account.password)??;
        Ok(session)
    }

    /// The whole journal, by pages.
    pub(crate) fn journal(&self) -> Result<Vec<AccountJournalled>, Problem> {
        journal(&self.accounts()?)
    }
}

/// The whole journal, by pages.
pub(crate) fn journal(accounts: &AnyAccounts) -> Result<Vec<AccountJournalled>, Problem> {
    let mut rows: Vec<AccountJournalled> = Vec::new();
    loop {
        let page = accounts.journal_page(rows.last().map_or(0, |row| row.number), 7)?;
        holds("a page of the journal has at most as many rows as were asked for", page.len() <= 7)?;
        if page.is_empty() {
            return Ok(rows);
        }
        for row in page {
            holds("numbers of rows grow", rows.last().map_or(0, |last| last.number) < row.number)?;
            rows.push(row);
        }
    }
}

/// So many nanoseconds after the beginning.
pub(crate) fn at(nanoseconds: i64) -> Timestamp {
    Timestamp::from_unix_nanoseconds(BEGINNING + nanoseconds)
}

/// Somebody who changes something, at the beginning.
pub(crate) fn by(actor: &str) -> Attribution {
    Attribution { actor: actor.into(), at: at(0) }
}

/// Somebody whose address begins with this, with the first password.
pub(crate) fn account(name: &str) -> Result<Account, Problem> {
    Ok(Account {
        id: AccountId::new(at(0), &SystemRandom),
        address: format!("{name}@example.com").parse()?,
        first_name: name.into(),
        last_name: "Lovelace".into(),
        password: password(0)?,
        is_admin: false,
        is_disabled: false,
        created: at(0),
    })
}

/// One of two passwords.
pub(crate) fn password(which: usize) -> Result<PasswordHash, Problem> {
    Ok(PasswordHash::from_phc(PASSWORDS[which % PASSWORDS.len()])?)
}

/// The second password instead of the first, with no session that goes on.
pub(crate) fn second_password() -> Result<AccountChange, Problem> {
    Ok(AccountChange::Password { instead_of: password(0)?, hash: password(1)?, keeps: None })
}

/// A session that nobody has begun yet.
pub(crate) fn session(account: &Account) -> Result<Session, Problem> {
    let (_, digest) = Session::token(&SystemRandom)?;
    Ok(Session {
        digest,
        account: account.id,
        created: at(0),
        last_seen: at(0),
        expires: at(1_000),
        network: Some("192.0.2.0".parse()?),
        agent: "a browser".into(),
    })
}
