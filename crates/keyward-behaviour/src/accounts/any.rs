//! Any place for accounts behind one type, whose answers are waited for on the spot.

use std::sync::Arc;

use keyward::{
    Timestamp,
    account::{
        Account, AccountChange, AccountId, AccountJournalled, AccountRefused, AccountStore, EmailAddress, PasswordHash, Session,
        SessionDigest,
    },
    store::Attribution,
};

use crate::stores::{Problem, wait};

/// What a place says to a change.
pub(crate) type Said<T> = Result<Result<T, AccountRefused>, Problem>;

/// A place whose type is forgotten. Clones share it.
#[derive(Clone)]
pub(crate) struct AnyAccounts(pub(crate) Arc<dyn AccountStore>);

impl AnyAccounts {
    pub(crate) fn add(&self, account: &Account, only_as_first: bool, by: Attribution) -> Said<Arc<Account>> {
        Ok(wait(self.0.add_account(account.clone(), only_as_first, by).wait())?)
    }

    pub(crate) fn account(&self, id: &AccountId) -> Result<Option<Account>, Problem> {
        Ok(wait(self.0.account(id).wait())?.map(Arc::unwrap_or_clone))
    }

    pub(crate) fn account_at(&self, address: &EmailAddress) -> Result<Option<Account>, Problem> {
        Ok(wait(self.0.account_at(address).wait())?.map(Arc::unwrap_or_clone))
    }

    pub(crate) fn page(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>, Problem> {
        Ok(wait(self.0.accounts(after, limit).wait())?.into_iter().map(Arc::unwrap_or_clone).collect())
    }

    pub(crate) fn change(&self, id: &AccountId, change: AccountChange, by: Attribution) -> Said<Arc<Account>> {
        Ok(wait(self.0.change_account(id, change, by).wait())?)
    }

    pub(crate) fn remove(&self, id: &AccountId, by: Attribution) -> Said<()> {
        Ok(wait(self.0.remove_account(id, by).wait())?)
    }

    pub(crate) fn begin(&self, session: &Session, verified: &PasswordHash) -> Said<()> {
        Ok(wait(self.0.add_session(session.clone(), verified.clone()).wait())?)
    }

    pub(crate) fn session(&self, digest: &SessionDigest) -> Result<Option<(Session, Account)>, Problem> {
        let found = wait(self.0.session(digest).wait())?;
        Ok(found.map(|found| (found.session, Arc::unwrap_or_clone(found.account))))
    }

    pub(crate) fn saw(&self, digest: &SessionDigest, at: Timestamp) -> Result<(), Problem> {
        Ok(wait(self.0.saw_session(digest, at).wait())?)
    }

    /// In the order of their digests.
    pub(crate) fn sessions_of(&self, account: &AccountId) -> Result<Vec<Session>, Problem> {
        let mut sessions = wait(self.0.sessions_of(account).wait())?;
        sessions.sort_by_key(|session| session.digest);
        Ok(sessions)
    }

    pub(crate) fn end(&self, digest: &SessionDigest) -> Result<bool, Problem> {
        Ok(wait(self.0.end_session(digest).wait())?)
    }

    pub(crate) fn end_all(&self, account: &AccountId, but: Option<SessionDigest>) -> Result<usize, Problem> {
        Ok(wait(self.0.end_sessions_of(account, but).wait())?)
    }

    pub(crate) fn sweep(&self, over_before: Timestamp, unseen_since: Timestamp) -> Result<usize, Problem> {
        Ok(wait(self.0.sweep_sessions(over_before, unseen_since).wait())?)
    }

    pub(crate) fn journal_page(&self, after: u64, limit: usize) -> Result<Vec<AccountJournalled>, Problem> {
        Ok(wait(self.0.account_journal(after, limit).wait())?)
    }
}
