//! A place behind an `Arc`, so that a program can choose it at run time: `Arc<dyn AccountStore>`.

use std::sync::Arc;

use super::{
    Account, AccountChange, AccountId, AccountJournalled, AccountRefused, AccountStore, EmailAddress, PasswordHash, Session,
    SessionDigest, SignedIn,
};
use crate::answer::Answer;
use crate::clock::Timestamp;
use crate::store::Attribution;

impl<S: AccountStore + ?Sized> AccountStore for Arc<S> {
    fn add_account(
        &self,
        account: Account,
        only_as_first: bool,
        by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>> {
        (**self).add_account(account, only_as_first, by)
    }

    fn account(&self, id: &AccountId) -> Answer<Option<Arc<Account>>> {
        (**self).account(id)
    }

    fn account_at(&self, address: &EmailAddress) -> Answer<Option<Arc<Account>>> {
        (**self).account_at(address)
    }

    fn accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<Vec<Arc<Account>>> {
        (**self).accounts(after, limit)
    }

    fn change_account(
        &self,
        id: &AccountId,
        change: AccountChange,
        by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>> {
        (**self).change_account(id, change, by)
    }

    fn remove_account(&self, id: &AccountId, by: Attribution) -> Answer<Result<(), AccountRefused>> {
        (**self).remove_account(id, by)
    }

    fn add_session(&self, session: Session, verified: PasswordHash) -> Answer<Result<(), AccountRefused>> {
        (**self).add_session(session, verified)
    }

    fn session(&self, digest: &SessionDigest) -> Answer<Option<SignedIn>> {
        (**self).session(digest)
    }

    fn saw_session(&self, digest: &SessionDigest, at: Timestamp) -> Answer<()> {
        (**self).saw_session(digest, at)
    }

    fn sessions_of(&self, account: &AccountId) -> Answer<Vec<Session>> {
        (**self).sessions_of(account)
    }

    fn end_session(&self, digest: &SessionDigest) -> Answer<bool> {
        (**self).end_session(digest)
    }

    fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Answer<usize> {
        (**self).end_sessions_of(account, but)
    }

    fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Answer<usize> {
        (**self).sweep_sessions(over_before, unseen_since)
    }

    fn account_journal(&self, after: u64, limit: usize) -> Answer<Vec<AccountJournalled>> {
        (**self).account_journal(after, limit)
    }
}
