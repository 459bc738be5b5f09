//! What it costs to register: whoever does must not learn by it whether there is an account with an address. Counted and not timed.

use std::sync::{Arc, Mutex};

use keyward::account::{
    Account, AccountChange, AccountId, AccountJournalled, AccountRefused, AccountStore, EmailAddress, MemoryAccounts,
    PasswordHash, Session, SessionDigest, SignedIn,
};
use keyward::store::Attribution;
use keyward::{Answer, Job, ThreadPerJob, Timestamp, Workers};

use crate::client::{PASSWORD, Service};

/// What was asked of a place for accounts, and of those who hash passwords, in this order.
#[derive(Clone, Default)]
struct Work(Arc<Mutex<Vec<&'static str>>>);

impl Work {
    fn is(&self, what: &'static str) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct CountedWorkers(Work);

impl Workers for CountedWorkers {
    fn start(&self, job: Job) -> Result<(), keyward::Fault> {
        self.0.is("hash");
        ThreadPerJob.start(job)
    }
}

struct CountedAccounts {
    accounts: MemoryAccounts,
    work: Work,
}

macro_rules! counted {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        impl AccountStore for CountedAccounts {$(
            fn $name(&self, $($argument: $kind),*) -> Answer<$answer> {
                self.work.is(stringify!($name));
                self.accounts.$name($($argument),*)
            }
        )+}
    };
}

counted! {
    add_account(account: Account, only_as_first: bool, by: Attribution) -> Result<Arc<Account>, AccountRefused>;
    account(id: &AccountId) -> Option<Arc<Account>>;
    account_at(address: &EmailAddress) -> Option<Arc<Account>>;
    accounts(after: Option<AccountId>, limit: usize) -> Vec<Arc<Account>>;
    change_account(id: &AccountId, change: AccountChange, by: Attribution) -> Result<Arc<Account>, AccountRefused>;
    remove_account(id: &AccountId, by: Attribution) -> Result<(), AccountRefused>;
    add_session(session: Session, verified: PasswordHash) -> Result<(), AccountRefused>;
    session(digest: &SessionDigest) -> Option<SignedIn>;
    saw_session(digest: &SessionDigest, at: Timestamp) -> ();
    sessions_of(account: &AccountId) -> Vec<Session>;
    end_session(digest: &SessionDigest) -> bool;
    end_sessions_of(account: &AccountId, but: Option<SessionDigest>) -> usize;
    sweep_sessions(over_before: Timestamp, unseen_since: Timestamp) -> usize;
    account_journal(after: u64, limit: usize) -> Vec<AccountJournalled>;
}

#[test]
fn a_taken_address_costs_what_a_free_one_does() {
    let work = Work::default();
    let accounts = CountedAccounts { accounts: MemoryAccounts::new(), work: work.clone() };
    let service = Service::over(accounts, |builder| builder.workers(CountedWorkers(work.clone())));
    let registering = |address: &str| {
        work.take();
        assert_eq!(service.register(address, PASSWORD).status, 303);
        work.take()
    };
    let free = registering("ada@example.com");
    assert_eq!(free.iter().filter(|what| **what == "hash").count(), 1, "{free:?}");
    assert!(free.contains(&"add_account"), "{free:?}");
    assert_eq!(registering("ada@example.com"), free);
    assert_eq!(registering("bob@example.com"), free);
}
