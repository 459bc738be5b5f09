//! Making, changing and removing accounts.

use std::sync::Arc;

use keyward::account::{Account, AccountChange, AccountId, AccountJournalled, AccountRefused};
use keyward::store::Attribution;

use super::Answered;
use super::row::account_values;
use super::writing::Writing;
use crate::connection::values;
use crate::database::Shared;
use crate::failure::Outcome;

/// Adds it if `$9` is 1.
const ADD: &str = "INSERT INTO keyward_accounts (id, address, first_name, last_name, password, is_admin, is_disabled, created) \
                   SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE $9 = 1";
const UPDATE: &str = "UPDATE keyward_accounts SET (id, address, first_name, last_name, password, is_admin, is_disabled, created) \
                      = ($1, $2, $3, $4, $5, $6, $7, $8) WHERE id = $1";

impl Shared {
    pub(super) async fn add_account(
        &self,
        account: Account,
        only_as_first: bool,
        by: &Attribution,
    ) -> Outcome<Answered<Arc<Account>>> {
        let mut writing = self.begin_change_of_account().await?;
        let refused = why_not(&mut writing, &account, only_as_first).await?;
        if let Some(refused @ AccountRefused::NotTheFirst) = refused {
            return refuse(writing, refused).await;
        }
        // Whoever registers must not learn by what it costs that an address is taken. So it is the same statements, which add nothing
        // then, and a commit of the number, which the journal leaves out. Refused: rolling back, which waits for no disk.
        let is_added = refused.is_none();
        let mut values = account_values(&account);
        values.push(i64::from(is_added).into());
        writing.run(ADD, values).await?;
        writing.commit_if(is_added, AccountJournalled::new(by, "create", account.id, None, Some(&account))).await?;
        Ok(match refused {
            Some(refused) => Err(refused),
            None => Ok(Arc::new(account)),
        })
    }

    pub(super) async fn change_account(
        &self,
        id: &AccountId,
        change: &AccountChange,
        by: &Attribution,
    ) -> Outcome<Answered<Arc<Account>>> {
        let mut writing = self.begin_change_of_account().await?;
        let Some(before) = writing.locked(id).await? else { return refuse(writing, AccountRefused::NotFound).await };
        let after = match change.apply(&before) {
            Ok(after) => after,
            Err(refused) => return refuse(writing, refused).await,
        };
        writing.run(UPDATE, account_values(&after)).await?;
        if change.ends_sessions() {
            writing.end_sessions_of(id, change.keeps()).await?;
        }
        writing.commit(AccountJournalled::new(by, change.action(), *id, Some(&before), Some(&after))).await?;
        Ok(Ok(Arc::new(after)))
    }

    pub(super) async fn remove_account(&self, id: &AccountId, by: &Attribution) -> Outcome<Answered<()>> {
        let mut writing = self.begin_change_of_account().await?;
        let Some(account) = writing.locked(id).await? else { return refuse(writing, AccountRefused::NotFound).await };
        writing.end_sessions_of(id, None).await?;
        writing.run("DELETE FROM keyward_accounts WHERE id = $1", values![id.as_str()]).await?;
        writing.commit(AccountJournalled::new(by, "remove", *id, Some(&account), None)).await?;
        Ok(Ok(()))
    }
}

/// Why an account cannot be made. Behind the counter, so that of two who make one at once the second sees the first's.
async fn why_not(writing: &mut Writing, account: &Account, only_as_first: bool) -> Outcome<Option<AccountRefused>> {
    if only_as_first && !writing.rows("SELECT id FROM keyward_accounts ORDER BY id LIMIT 1", Vec::new()).await?.is_empty() {
        return Ok(Some(AccountRefused::NotTheFirst));
    }
    // Two statements, each by its index: one with OR would go through all accounts in PostgreSQL.
    let has_id = writing.rows("SELECT id FROM keyward_accounts WHERE id = $1", values![account.id.as_str()]).await?;
    let has_address =
        writing.rows("SELECT id FROM keyward_accounts WHERE address = $1", values![account.address.as_str()]).await?;
    Ok((!has_id.is_empty() || !has_address.is_empty()).then_some(AccountRefused::AddressTaken))
}

/// A refusal leaves nothing behind. After a fault the connection is closed with what it had begun.
async fn refuse<T>(writing: Writing, refused: AccountRefused) -> Outcome<Answered<T>> {
    // If this fails, the connection is closed, which does it as well.
    let _ = writing.roll_back().await;
    Ok(Err(refused))
}
