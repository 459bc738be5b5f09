//! Accounts and sessions beside the keys, in tables of their own.
//!
//! Nothing of them is kept in memory: a session that was ended in one process is asked for in vain in all others from then on.
//! So there is no revision, and nobody listens. A change to an account takes no turn among the changes of keys either: it has a
//! counter and a journal of its own (`writing.rs`).
//!
//! In PostgreSQL, what is locked is locked in one order: the counter, an account, its sessions. The sweep, which knows no accounts,
//! passes over what is locked. So nobody waits in a circle.

mod change;
mod look;
mod row;
mod session;
mod sweep;
mod writing;

use std::sync::Arc;

use keyward::account::{
    Account, AccountChange, AccountId, AccountJournalled, AccountRefused, AccountStore, EmailAddress, PasswordHash, Session,
    SessionDigest, SignedIn,
};
use keyward::store::Attribution;
use keyward::{Answer, Timestamp};

use crate::database::Database;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

/// What comes of a change that may be refused.
type Answered<T> = Result<T, AccountRefused>;

impl AccountStore for Database {
    fn add_account(&self, account: Account, only_as_first: bool, by: Attribution) -> Answer<Answered<Arc<Account>>> {
        self.run(move |shared| async move { shared.add_account(account, only_as_first, &by).await })
    }

    fn account(&self, id: &AccountId) -> Answer<Option<Arc<Account>>> {
        let id = *id;
        self.run(move |shared| async move { shared.account(&id).await })
    }

    fn account_at(&self, address: &EmailAddress) -> Answer<Option<Arc<Account>>> {
        let address = address.clone();
        self.run(|shared| async move { shared.account_at(&address).await })
    }

    fn accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<Vec<Arc<Account>>> {
        self.run(move |shared| async move { shared.accounts(after, limit).await })
    }

    fn change_account(&self, id: &AccountId, change: AccountChange, by: Attribution) -> Answer<Answered<Arc<Account>>> {
        let id = *id;
        self.run(move |shared| async move { shared.change_account(&id, &change, &by).await })
    }

    fn remove_account(&self, id: &AccountId, by: Attribution) -> Answer<Answered<()>> {
        let id = *id;
        self.run(move |shared| async move { shared.remove_account(&id, &by).await })
    }

    fn add_session(&self, session: Session, verified: PasswordHash) -> Answer<Answered<()>> {
        self.run(|shared| async move { shared.add_session(&session, &verified).await })
    }

    fn session(&self, digest: &SessionDigest) -> Answer<Option<SignedIn>> {
        let digest = *digest;
        self.run(move |shared| async move { shared.session(digest).await })
    }

    fn saw_session(&self, digest: &SessionDigest, at: Timestamp) -> Answer<()> {
        let digest = *digest;
        self.run(move |shared| async move { shared.saw_session(digest, at).await })
    }

    fn sessions_of(&self, account: &AccountId) -> Answer<Vec<Session>> {
        let account = *account;
        self.run(move |shared| async move { shared.sessions_of(&account).await })
    }

    fn end_session(&self, digest: &SessionDigest) -> Answer<bool> {
        let digest = *digest;
        self.run(move |shared| async move { shared.end_session(digest).await })
    }

    fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Answer<usize> {
        let account = *account;
        self.run(move |shared| async move { shared.end_sessions_of(&account, but).await })
    }

    fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Answer<usize> {
        self.run(move |shared| async move { shared.sweep_sessions(over_before, unseen_since).await })
    }

    fn account_journal(&self, after: u64, limit: usize) -> Answer<Vec<AccountJournalled>> {
        self.run(move |shared| async move { shared.account_journal(after, limit).await })
    }
}

/// Asks the database itself: the records that are kept in front of it are keys'.
macro_rules! delegated {
    ($store:ident) => {
        impl AccountStore for $store {
            fn add_account(&self, account: Account, only_as_first: bool, by: Attribution) -> Answer<Answered<Arc<Account>>> {
                self.0.store().add_account(account, only_as_first, by)
            }

            fn account(&self, id: &AccountId) -> Answer<Option<Arc<Account>>> {
                self.0.store().account(id)
            }

            fn account_at(&self, address: &EmailAddress) -> Answer<Option<Arc<Account>>> {
                self.0.store().account_at(address)
            }

            fn accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<Vec<Arc<Account>>> {
                self.0.store().accounts(after, limit)
            }

            fn change_account(&self, id: &AccountId, change: AccountChange, by: Attribution) -> Answer<Answered<Arc<Account>>> {
                self.0.store().change_account(id, change, by)
            }

            fn remove_account(&self, id: &AccountId, by: Attribution) -> Answer<Answered<()>> {
                self.0.store().remove_account(id, by)
            }

            fn add_session(&self, session: Session, verified: PasswordHash) -> Answer<Answered<()>> {
                self.0.store().add_session(session, verified)
            }

            fn session(&self, digest: &SessionDigest) -> Answer<Option<SignedIn>> {
                self.0.store().session(digest)
            }

            fn saw_session(&self, digest: &SessionDigest, at: Timestamp) -> Answer<()> {
                self.0.store().saw_session(digest, at)
            }

            fn sessions_of(&self, account: &AccountId) -> Answer<Vec<Session>> {
                self.0.store().sessions_of(account)
            }

            fn end_session(&self, digest: &SessionDigest) -> Answer<bool> {
                self.0.store().end_session(digest)
            }

            fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Answer<usize> {
                self.0.store().end_sessions_of(account, but)
            }

            fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Answer<usize> {
                self.0.store().sweep_sessions(over_before, unseen_since)
            }

            fn account_journal(&self, after: u64, limit: usize) -> Answer<Vec<AccountJournalled>> {
                self.0.store().account_journal(after, limit)
            }
        }
    };
}

delegated!(SqliteStore);
delegated!(PostgresStore);
