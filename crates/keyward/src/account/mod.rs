//! People who look after keys: their accounts, the sessions they are signed in by, and what a place that keeps these has to promise.

mod address;
mod journal;
mod memory;
mod password;
mod person;
mod session;
mod shared;

pub use address::{BadEmailAddress, EmailAddress};
pub use journal::AccountJournalled;
pub use memory::MemoryAccounts;
pub use password::{PasswordHash, UnusablePassword};
pub use person::{Account, AccountChange, AccountId, AccountTold, BadName, NotAnAccountId};
pub use session::{Session, SessionDigest, SessionId, SignedIn};

use std::sync::Arc;

use crate::answer::Answer;
use crate::clock::Timestamp;
use crate::store::Attribution;

/// Where accounts and their sessions are kept.
///
/// The contract, which `keyward-behaviour` tests for every store:
///
/// 1. What was acknowledged is there, whatever happens to the process.
/// 2. Two accounts never share an e-mail address.
/// 3. A change, the sessions that it ends and its row in the journal are made together, or none of them is.
/// 4. A session that was ended is not found again by anybody who asks afterwards, in any process.
/// 5. An account that is gone, or switched off, has no sessions; and none begins by a password that the account has no more.
/// 6. A password is changed from the one that was looked at, or not at all: of two who change it at once, one is refused.
///
/// Nothing happens before an answer is polled.
pub trait AccountStore: Send + Sync {
    /// Adds an account; where it may only be the first, there must be none so far.
    ///
    /// To refuse an address that is taken should cost what it costs to add one, down to the commit: whoever registers would learn by
    /// the time it takes whether somebody has an account. The database's own rows are what remains of the difference.
    fn add_account(&self, account: Account, only_as_first: bool, by: Attribution)
    -> Answer<Result<Arc<Account>, AccountRefused>>;

    /// The account with this id.
    fn account(&self, id: &AccountId) -> Answer<Option<Arc<Account>>>;

    /// The account with this address.
    fn account_at(&self, address: &EmailAddress) -> Answer<Option<Arc<Account>>>;

    /// Accounts in the order of their ids, which is that in which they were made, behind `after`, at most `limit`.
    fn accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<Vec<Arc<Account>>>;

    /// Changes an account by [`AccountChange::apply`], which may refuse it, and ends its sessions where [`AccountChange::ends_sessions`] says so.
    fn change_account(
        &self,
        id: &AccountId,
        change: AccountChange,
        by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>>;

    /// Removes an account and its sessions. What it owns is not touched: revoke its keys before.
    fn remove_account(&self, id: &AccountId, by: Attribution) -> Answer<Result<(), AccountRefused>>;

    /// Adds a session. Of more than [`Session::MOST_OF_AN_ACCOUNT`], the one that was seen last the longest ago ends; of several,
    /// the one that began first.
    ///
    /// `verified` is the hash that the password was verified against. Verifying takes its time, in which the password may be
    /// changed: a store looks once more, so that nobody is signed in by the old one after its change had ended all sessions.
    ///
    /// `Err(AccountRefused::NotFound)` where the account is gone, or switched off; `Err(AccountRefused::PasswordChanged)` where its
    /// hash is another one by now. A digest that is there already is a fault: the random generator repeats itself.
    fn add_session(&self, session: Session, verified: PasswordHash) -> Answer<Result<(), AccountRefused>>;

    /// The session with this digest and its account as it is now, over or not.
    fn session(&self, digest: &SessionDigest) -> Answer<Option<SignedIn>>;

    /// Notes when a session was seen last. One that has ended stays so.
    fn saw_session(&self, digest: &SessionDigest, at: Timestamp) -> Answer<()>;

    /// The sessions of an account, in no order.
    fn sessions_of(&self, account: &AccountId) -> Answer<Vec<Session>>;

    /// Ends a session. Whether there was one.
    fn end_session(&self, digest: &SessionDigest) -> Answer<bool>;

    /// Ends the sessions of an account, all but one. How many there were.
    fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Answer<usize>;

    /// Removes sessions that were over before a time, or not seen since another one. How many there were. Where there are very
    /// many, it is done in parts, and others get their turn between them.
    fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Answer<usize>;

    /// Rows of the journal of accounts behind the one with this number, the oldest first, at most `limit`.
    fn account_journal(&self, after: u64, limit: usize) -> Answer<Vec<AccountJournalled>>;
}

/// Why a store did not do what it was asked about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountRefused {
    /// There is no such account.
    #[error("there is no such account")]
    NotFound,
    /// The id or the address is another account's.
    #[error("there is an account with this e-mail address already")]
    AddressTaken,
    /// It may only be made as the first, and there are others.
    #[error("there are accounts already: an administrator makes further ones")]
    NotTheFirst,
    /// The password that was looked at is the account's no more.
    #[error("the password was changed meanwhile: sign in again")]
    PasswordChanged,
}
