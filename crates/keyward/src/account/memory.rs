//! Accounts in memory: for tests, and for services whose people come and go with the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Account, AccountChange, AccountId, AccountJournalled, AccountRefused, AccountStore, EmailAddress, PasswordHash, Session,
    SessionDigest, SignedIn,
};
use crate::answer::{Answer, Fault};
use crate::clock::Timestamp;
use crate::store::Attribution;

/// Accounts in memory. Clones share them; of the journal only the latest thousand rows are there.
#[derive(Clone, Default)]
pub struct MemoryAccounts(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    accounts: BTreeMap<AccountId, Arc<Account>>,
    by_address: HashMap<EmailAddress, AccountId>,
    sessions: HashMap<SessionDigest, Session>,
    journal: VecDeque<AccountJournalled>,
    journalled: u64,
}

impl MemoryAccounts {
    /// How many rows of the journal are kept.
    const JOURNAL: usize = 1_000;

    /// No accounts.
    pub fn new() -> Self {
        Self::default()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something once the answer is polled, and not before.
    fn later<T: Send + 'static>(&self, change: impl FnOnce(&mut Kept) -> T + Send + 'static) -> Answer<T> {
        let kept = self.clone();
        Answer::Pending(Box::pin(async move { Ok(change(&mut kept.kept())) }))
    }
}

impl Kept {
    fn journal(&mut self, row: AccountJournalled) {
        self.journalled += 1;
        self.journal.push_back(AccountJournalled { number: self.journalled, ..row });
        if self.journal.len() > MemoryAccounts::JOURNAL {
            self.journal.pop_front();
        }
    }

    fn end_sessions_of(&mut self, account: AccountId, but: Option<SessionDigest>) -> usize {
        let before = self.sessions.len();
        self.sessions.retain(|digest, session| session.account != account || Some(*digest) == but);
        before - self.sessions.len()
    }
}

impl AccountStore for MemoryAccounts {
    fn add_account(
        &self,
        account: Account,
        only_as_first: bool,
        by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>> {
        self.later(move |kept| {
            if only_as_first && !kept.accounts.is_empty() {
                return Err(AccountRefused::NotTheFirst);
            }
            if kept.accounts.contains_key(&account.id) || kept.by_address.contains_key(&account.address) {
                return Err(AccountRefused::AddressTaken);
            }
            let account = Arc::new(account);
            kept.by_address.insert(account.address.clone(), account.id);
            kept.accounts.insert(account.id, account.clone());
            kept.journal(AccountJournalled::new(&by, "create", account.id, None, Some(&account)));
            Ok(account)
        })
    }

    fn account(&self, id: &AccountId) -> Answer<Option<Arc<Account>>> {
        Answer::ready(self.kept().accounts.get(id).cloned())
    }

    fn account_at(&self, address: &EmailAddress) -> Answer<Option<Arc<Account>>> {
        let kept = self.kept();
        Answer::ready(kept.by_address.get(address).and_then(|id| kept.accounts.get(id)).cloned())
    }

    fn accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<Vec<Arc<Account>>> {
        let kept = self.kept();
        let behind = kept.accounts.iter().filter(|(id, _)| after.is_none_or(|after| **id > after));
        Answer::ready(behind.take(limit).map(|(_, account)| account.clone()).collect())
    }

    fn change_account(
        &self,
        id: &AccountId,
        change: AccountChange,
        by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>> {
        let id = *id;
        self.later(move |kept| {
            let before = kept.accounts.get(&id).cloned().ok_or(AccountRefused::NotFound)?;
            let after = Arc::new(change.apply(&before)?);
            kept.accounts.insert(id, after.clone());
            if change.ends_sessions() {
                kept.end_sessions_of(id, change.keeps());
            }
            kept.journal(AccountJournalled::new(&by, change.action(), id, Some(&before), Some(&after)));
            Ok(after)
        })
    }

    fn remove_account(&self, id: &AccountId, by: Attribution) -> Answer<Result<(), AccountRefused>> {
        let id = *id;
        self.later(move |kept| {
            let account = kept.accounts.remove(&id).ok_or(AccountRefused::NotFound)?;
            kept.by_address.remove(&account.address);
            kept.end_sessions_of(id, None);
            kept.journal(AccountJournalled::new(&by, "remove", id, Some(&account), None));
            Ok(())
        })
    }

    fn add_session(&self, session: Session, verified: PasswordHash) -> Answer<Result<(), AccountRefused>> {
        let added = self.later(move |kept| {
            let Some(account) = kept.accounts.get(&session.account).filter(|account| !account.is_disabled) else {
                return Ok(Err(AccountRefused::NotFound));
            };
            if account.password != verified {
                return Ok(Err(AccountRefused::PasswordChanged));
            }
            if kept.sessions.contains_key(&session.digest) {
                return Err(Fault::new("the token of a new session is another one's: the random generator repeats itself"));
            }
            let of_account = |other: &&Session| other.account == session.account;
            if kept.sessions.values().filter(of_account).count() >= Session::MOST_OF_AN_ACCOUNT {
                let oldest =
                    kept.sessions.values().filter(of_account).min_by_key(|other| (other.last_seen, other.created, other.digest));
                if let Some(digest) = oldest.map(|oldest| oldest.digest) {
                    kept.sessions.remove(&digest);
                }
            }
            kept.sessions.insert(session.digest, session);
            Ok(Ok(()))
        });
        added.then(|added| added.and_then(|added| added))
    }

    fn session(&self, digest: &SessionDigest) -> Answer<Option<SignedIn>> {
        let kept = self.kept();
        Answer::ready(kept.sessions.get(digest).and_then(|session| {
            let account = kept.accounts.get(&session.account)?.clone();
            Some(SignedIn { session: session.clone(), account })
        }))
    }

    fn saw_session(&self, digest: &SessionDigest, at: Timestamp) -> Answer<()> {
        let digest = *digest;
        self.later(move |kept| {
            if let Some(session) = kept.sessions.get_mut(&digest) {
                session.last_seen = session.last_seen.max(at);
            }
        })
    }

    fn sessions_of(&self, account: &AccountId) -> Answer<Vec<Session>> {
        Answer::ready(self.kept().sessions.values().filter(|session| session.account == *account).cloned().collect())
    }

    fn end_session(&self, digest: &SessionDigest) -> Answer<bool> {
        let digest = *digest;
        self.later(move |kept| kept.sessions.remove(&digest).is_some())
    }

    fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Answer<usize> {
        let account = *account;
        self.later(move |kept| kept.end_sessions_of(account, but))
    }

    fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Answer<usize> {
        self.later(move |kept| {
            let before = kept.sessions.len();
            kept.sessions.retain(|_, session| session.expires >= over_before && session.last_seen >= unseen_since);
            before - kept.sessions.len()
        })
    }

    fn account_journal(&self, after: u64, limit: usize) -> Answer<Vec<AccountJournalled>> {
        Answer::ready(self.kept().journal.iter().filter(|row| row.number > after).take(limit).cloned().collect())
    }
}

impl fmt::Debug for MemoryAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAccounts").field("accounts", &self.kept().accounts.len()).finish_non_exhaustive()
    }
}
