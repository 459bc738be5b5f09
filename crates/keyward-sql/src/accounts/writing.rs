//! A change to an account on its way into the database.
//!
//! Every change begins by counting up the one row of `keyward_account_store`, and holds that row until it is committed. So changes
//! to accounts are made one after the other, what is checked is still so when it is written, and rows of the journal become visible
//! in the order of their numbers. Sessions take no part in it: who signs in locks the account alone.

use keyward::account::{Account, AccountId, AccountJournalled, SessionDigest};

use super::row::{account_columns, read_account};
use crate::connection::{Dialect, Row, Session, Value, values};
use crate::database::Shared;
use crate::failure::{Failure, Outcome};
use crate::record::text;

pub(super) struct Writing {
    session: Session,
    /// The number of this change, and of its row in the journal.
    number: i64,
}

impl Shared {
    pub(super) async fn begin_change_of_account(&self) -> Outcome<Writing> {
        self.begin_with(Writing::begin).await
    }
}

impl Writing {
    async fn begin(session: Outcome<Session>) -> Outcome<Self> {
        let mut session = session?;
        let counted =
            session.rows("UPDATE keyward_account_store SET journalled = journalled + 1 RETURNING journalled", Vec::new()).await?;
        let row = counted.first().ok_or_else(|| Failure::fault("keyward_account_store has no row: restore a backup"))?;
        Ok(Self { number: row.get(0)?, session })
    }

    pub(super) async fn rows(&mut self, sql: &'static str, values: Vec<Value>) -> Outcome<Vec<Row>> {
        self.session.rows(sql, values).await
    }

    pub(super) async fn run(&mut self, sql: &'static str, values: Vec<Value>) -> Outcome<u64> {
        self.session.run(sql, values).await
    }

    /// The account, which nobody begins a session of until this is over.
    pub(super) async fn locked(&mut self, id: &AccountId) -> Outcome<Option<Account>> {
        locked(&mut self.session, id).await
    }

    pub(super) async fn end_sessions_of(&mut self, account: &AccountId, but: Option<SessionDigest>) -> Outcome<u64> {
        end_sessions_of(&mut self.session, account, but).await
    }

    /// Writes the row of the journal, and acknowledges the change.
    pub(super) async fn commit(self, row: AccountJournalled) -> Outcome<()> {
        self.commit_if(true, row).await
    }

    /// The same at the same cost, also where nothing was changed: without the row then.
    pub(super) async fn commit_if(mut self, is_changed: bool, row: AccountJournalled) -> Outcome<()> {
        let values = values![
            self.number,
            row.at.unix_nanoseconds(),
            text(&row.actor),
            &*row.action,
            row.account.as_str(),
            row.before.map(|told| told.to_string()),
            row.after.map(|told| told.to_string()),
            i64::from(is_changed),
        ];
        let sql = "INSERT INTO keyward_account_journal (number, made_at, actor, action, account_id, account_before, account_after) \
                   SELECT $1, $2, $3, $4, $5, $6, $7 WHERE $8 = 1";
        self.session.run(sql, values).await?;
        self.session.commit().await
    }

    pub(super) async fn roll_back(self) -> Outcome<()> {
        self.session.roll_back().await
    }
}

/// The account, as it stays until the transaction ends: SQLite has one writer at a time, PostgreSQL locks the row.
pub(super) async fn locked(session: &mut Session, id: &AccountId) -> Outcome<Option<Account>> {
    let sql = match session.dialect() {
        Dialect::Sqlite => concat!("SELECT ", account_columns!(), " FROM keyward_accounts a WHERE a.id = $1"),
        // Waits for whoever has it, and then reads what became of it.
        Dialect::Postgres => concat!("SELECT ", account_columns!(), " FROM keyward_accounts a WHERE a.id = $1 FOR UPDATE"),
    };
    let rows = session.rows(sql, values![id.as_str()]).await?;
    rows.first().map(read_account).transpose()
}

/// How many there were. The account has to be locked: of two who end several sessions at once, each might wait for the other's.
pub(super) async fn end_sessions_of(session: &mut Session, account: &AccountId, but: Option<SessionDigest>) -> Outcome<u64> {
    // No session has a digest of one byte. NULL would be unequal to nothing, and end none.
    let but = but.map_or_else(|| vec![0], |digest| digest.to_bytes().to_vec());
    session.run("DELETE FROM keyward_sessions WHERE account_id = $1 AND digest <> $2", values![account.as_str(), but]).await
}
