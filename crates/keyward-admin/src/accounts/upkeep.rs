//! Looking after accounts, whoever asks for it: a person by the API or the dashboard, or a program on the machine itself.

use std::fmt;
use std::sync::Arc;

use keyward::account::{Account, AccountChange, AccountId, AccountRefused, AccountStore, EmailAddress, PasswordHash};
use keyward::clock::{Clock, SystemClock};
use keyward::store::{Attribution, Filter};
use keyward::{Fault, Keys, Random, RevokedAll, SystemRandom};

use super::{NewAccount, PasswordRules};
use crate::fault::FieldFault;

/// Looks after the accounts of one place without a request, as [`Keys`] does after keys: for a program on the machine, like
/// `keyward accounts`. The API and the dashboard change accounts by the same code.
///
/// ```
/// use keyward::account::MemoryAccounts;
/// use keyward::{Keys, MemoryStore};
/// use keyward_admin::{Accounts, NewAccount};
///
/// # pollster::block_on(async {
/// let accounts = Accounts::new(Keys::new(MemoryStore::new()), MemoryAccounts::new()).acting_as("command line");
/// let new = NewAccount::checked("ada@example.com", "Ada", "Lovelace", "a dozen mauve geese")?;
/// let ada = accounts.create(new, false).await?;
/// assert!(ada.is_admin); // the first one, whatever was said
/// assert!(accounts.set_password(&ada.id, "ada@example.com").await.is_err());
/// # Ok::<(), keyward_admin::AccountsError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Accounts {
    pub(crate) store: Arc<dyn AccountStore>,
    pub(crate) keys: Keys,
    pub(crate) passwords: PasswordRules,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) actor: Box<str>,
}

/// Why something was not done to an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// Fields that cannot be taken, all of them.
    #[error("{}", FieldFault::told(.0))]
    Fields(Vec<FieldFault>),
    /// The store refused.
    #[error(transparent)]
    Refused(#[from] AccountRefused),
    /// Nobody would look after the accounts that are left.
    #[error("this is the last administrator that is not switched off: make another account one first")]
    LastAdministrator,
    /// The store, or the random generator, failed. Whether the change was made is unknown.
    #[error("the store failed: {0}")]
    Fault(#[from] Fault),
}

impl Accounts {
    /// Those of this place, who own these keys. With the machine's clock and randomness, and passwords of at least 8 characters.
    pub fn new(keys: Keys, accounts: impl AccountStore + 'static) -> Self {
        Self {
            store: Arc::new(accounts),
            keys,
            passwords: PasswordRules::USUAL,
            clock: Arc::new(SystemClock::new()),
            random: Arc::new(SystemRandom),
            actor: "program".into(),
        }
    }

    /// In the name of somebody, whom the journals name with each change. Without, they name `program`.
    #[must_use]
    pub fn acting_as(&self, actor: impl Into<Box<str>>) -> Self {
        let actor = actor.into();
        Self { keys: self.keys.acting_as(actor.clone()), actor, ..self.clone() }
    }

    /// The account with this id.
    ///
    /// # Errors
    /// A fault.
    pub async fn get(&self, id: &AccountId) -> Result<Option<Arc<Account>>, AccountsError> {
        Ok(self.store.account(id).wait().await?)
    }

    /// The account with this address.
    ///
    /// # Errors
    /// A fault.
    pub async fn at(&self, address: &EmailAddress) -> Result<Option<Arc<Account>>, AccountsError> {
        Ok(self.store.account_at(address).wait().await?)
    }

    /// Accounts in the order in which they were made, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// A fault.
    pub async fn list(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Arc<Account>>, AccountsError> {
        Ok(self.store.accounts(after, limit).wait().await?)
    }

    /// Makes an account: an administrator's if it is the first, or if that is said. Hashes the password on this thread, which takes
    /// about 20 ms.
    ///
    /// # Errors
    /// [`AccountRefused::AddressTaken`], or a fault.
    pub async fn create(&self, new: NewAccount, is_admin: bool) -> Result<Arc<Account>, AccountsError> {
        let account = self.account(new.clone(), PasswordHash::of(&new.password, &*self.random)?, true);
        match self.add(account.clone(), true).await {
            Err(AccountsError::Refused(AccountRefused::NotTheFirst)) => self.add(Account { is_admin, ..account }, false).await,
            made => made,
        }
    }

    pub(crate) fn account(&self, new: NewAccount, password: PasswordHash, is_admin: bool) -> Account {
        let now = self.clock.now().wall;
        Account {
            id: AccountId::new(now, &*self.random),
            address: new.address,
            first_name: new.first_name,
            last_name: new.last_name,
            password,
            is_admin,
            is_disabled: false,
            created: now,
        }
    }

    pub(crate) async fn add(&self, account: Account, only_as_first: bool) -> Result<Arc<Account>, AccountsError> {
        Ok(self.store.add_account(account, only_as_first, self.attribution()).wait().await??)
    }

    /// Sets another password, whatever the old one is, and ends every session of the account. Hashes it on this thread.
    ///
    /// # Errors
    /// [`AccountsError::Fields`]; [`AccountRefused::NotFound`]; [`AccountRefused::PasswordChanged`] where somebody else set one
    /// meanwhile; or a fault.
    pub async fn set_password(&self, id: &AccountId, password: &str) -> Result<Arc<Account>, AccountsError> {
        let account = self.get(id).await?.ok_or(AccountRefused::NotFound)?;
        let normal = PasswordRules::normal(password);
        self.check_password(&account, &normal, "password")?;
        self.replace_password(&account, PasswordHash::of(&normal, &*self.random)?).await
    }

    /// Whether a normal password can be this account's; `field` is how whoever sent it calls it.
    pub(crate) fn check_password(&self, account: &Account, normal: &str, field: &str) -> Result<(), AccountsError> {
        let known = [account.address.as_str(), &account.first_name, &account.last_name];
        let checked = self.passwords.check(normal, &known);
        checked.map_err(|bad| AccountsError::Fields(vec![FieldFault::new(field, bad.to_string())]))
    }

    /// In place of the password that the account has here, and of no other.
    pub(crate) async fn replace_password(&self, account: &Account, hash: PasswordHash) -> Result<Arc<Account>, AccountsError> {
        let change = AccountChange::Password { instead_of: account.password.clone(), hash, keeps: None };
        self.change(&account.id, change).await
    }

    /// Makes an account an administrator's, or no longer one. Ends all its sessions.
    ///
    /// # Errors
    /// [`AccountRefused::NotFound`], or a fault.
    pub async fn set_admin(&self, id: &AccountId, is_admin: bool) -> Result<Arc<Account>, AccountsError> {
        self.change(id, AccountChange::Admin(is_admin)).await
    }

    /// Switches an account off, or on again. Ends all its sessions; its keys are let in still.
    ///
    /// # Errors
    /// [`AccountRefused::NotFound`], or a fault.
    pub async fn set_disabled(&self, id: &AccountId, is_disabled: bool) -> Result<Arc<Account>, AccountsError> {
        self.change(id, AccountChange::Disabled(is_disabled)).await
    }

    pub(crate) async fn change(&self, id: &AccountId, change: AccountChange) -> Result<Arc<Account>, AccountsError> {
        Ok(self.store.change_account(id, change, self.attribution()).wait().await??)
    }

    /// Revokes all keys of an account, and removes it with its sessions. Which keys there were.
    ///
    /// In this order: it is switched off, so that nobody makes another key; its keys are revoked; it is removed. Whatever is cut off
    /// leaves less than before, and asking again goes on.
    ///
    /// # Errors
    /// [`AccountRefused::NotFound`], [`AccountsError::LastAdministrator`], or a fault.
    pub async fn delete(&self, id: &AccountId) -> Result<RevokedAll, AccountsError> {
        let account = self.get(id).await?.ok_or(AccountRefused::NotFound)?;
        if account.is_admin && !account.is_disabled && !self.can_do_without(id).await? {
            return Err(AccountsError::LastAdministrator);
        }
        self.set_disabled(id, true).await?;
        let filter = Filter { owner: Some(id.as_str().into()), ..Filter::default() };
        let revoked = self.keys.revoke_all(&filter).await.map_err(|failed| Fault::new(failed.to_string()))?;
        self.store.remove_account(id, self.attribution()).wait().await??;
        Ok(revoked)
    }

    /// Whether somebody looks after the accounts that are left, or there are none. Two administrators who leave in the same instant
    /// both see the other one: `keyward accounts` makes one again.
    async fn can_do_without(&self, leaving: &AccountId) -> Result<bool, AccountsError> {
        const PAGE: usize = 500;
        let (mut after, mut is_alone) = (None, true);
        loop {
            let page = self.list(after, PAGE).await?;
            let mut others = page.iter().filter(|account| account.id != *leaving).peekable();
            is_alone &= others.peek().is_none();
            if others.any(|account| account.is_admin && !account.is_disabled) {
                return Ok(true);
            }
            after = match page.last() {
                Some(last) if page.len() == PAGE => Some(last.id),
                _ => return Ok(is_alone),
            };
        }
    }

    fn attribution(&self) -> Attribution {
        Attribution { actor: self.actor.clone(), at: self.clock.now().wall }
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").field("actor", &self.actor).finish_non_exhaustive()
    }
}
