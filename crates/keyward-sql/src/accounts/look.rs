//! Looking for accounts, sessions and what became of them. Each is one statement that goes by an index.

use std::sync::Arc;

use keyward::account::{Account, AccountId, AccountJournalled, EmailAddress, Session, SessionDigest, SignedIn};
use keyward::{Fault, Timestamp};

use super::row::{OF_ACCOUNT, account_columns, read_account, read_session, session_columns};
use crate::connection::{Value, values};
use crate::database::Shared;
use crate::failure::{Failure, Outcome};
use crate::record::read_text;

const BY_ID: &str = concat!("SELECT ", account_columns!(), " FROM keyward_accounts a WHERE a.id = $1");
const BY_ADDRESS: &str = concat!("SELECT ", account_columns!(), " FROM keyward_accounts a WHERE a.address = $1");
const PAGE: &str = concat!("SELECT ", account_columns!(), " FROM keyward_accounts a WHERE a.id > $1 ORDER BY a.id LIMIT $2");
const SIGNED_IN: &str = concat!(
    "SELECT ",
    account_columns!(),
    ", ",
    session_columns!(),
    " FROM keyward_sessions s JOIN keyward_accounts a ON a.id = s.account_id WHERE s.digest = $1"
);
const SESSIONS: &str = concat!("SELECT ", session_columns!(), " FROM keyward_sessions s WHERE s.account_id = $1");
const JOURNAL: &str = "SELECT number, made_at, actor, action, account_id, account_before, account_after FROM keyward_account_journal \
                       WHERE number > $1 ORDER BY number LIMIT $2";

impl Shared {
    pub(super) async fn account(&self, id: &AccountId) -> Outcome<Option<Arc<Account>>> {
        Ok(self.accounts_by(BY_ID, || values![id.as_str()]).await?.pop())
    }

    pub(super) async fn account_at(&self, address: &EmailAddress) -> Outcome<Option<Arc<Account>>> {
        Ok(self.accounts_by(BY_ADDRESS, || values![address.as_str()]).await?.pop())
    }

    pub(super) async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Outcome<Vec<Arc<Account>>> {
        let after = after.as_ref().map_or("", AccountId::as_str);
        self.accounts_by(PAGE, || values![after, number(limit as u64)]).await
    }

    async fn accounts_by(&self, sql: &str, values: impl Fn() -> Vec<Value>) -> Outcome<Vec<Arc<Account>>> {
        let rows = self.read(sql.to_owned(), values).await?;
        rows.iter().map(|row| read_account(row).map(Arc::new)).collect()
    }

    pub(super) async fn session(&self, digest: SessionDigest) -> Outcome<Option<SignedIn>> {
        let rows = self.read(SIGNED_IN.to_owned(), || values![digest.to_bytes().to_vec()]).await?;
        let signed_in = rows
            .first()
            .map(|row| Ok(SignedIn { session: read_session(row, OF_ACCOUNT)?, account: Arc::new(read_account(row)?) }));
        signed_in.transpose()
    }

    pub(super) async fn sessions_of(&self, account: &AccountId) -> Outcome<Vec<Session>> {
        let rows = self.read(SESSIONS.to_owned(), || values![account.as_str()]).await?;
        rows.iter().map(|row| read_session(row, 0)).collect()
    }

    pub(super) async fn account_journal(&self, after: u64, limit: usize) -> Outcome<Vec<AccountJournalled>> {
        let rows = self.read(JOURNAL.to_owned(), || values![number(after), number(limit as u64)]).await?;
        let rows = rows.iter().map(|row| {
            let number: i64 = row.get(0)?;
            let bad =
                || Failure::Fault(Fault::new(format!("row {number} of keyward_account_journal is damaged: restore a backup")));
            let told = |column: usize| {
                let told: Option<String> = row.get(column)?;
                told.map(|told| serde_json::from_str(&told).map_err(|_| bad())).transpose()
            };
            Ok(AccountJournalled {
                number: u64::try_from(number).map_err(|_| bad())?,
                at: Timestamp::from_unix_nanoseconds(row.get(1)?),
                actor: read_text(&row.get::<String>(2)?).into(),
                action: row.get::<String>(3)?.into(),
                account: row.get::<String>(4)?.parse().map_err(|_| bad())?,
                before: told(5)?,
                after: told(6)?,
            })
        });
        rows.collect()
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
