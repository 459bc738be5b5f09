//! The suite of accounts is not blind: each fault that is planted here is found.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyward::{
    Answer, Fault, Timestamp,
    account::{
        Account, AccountChange, AccountId, AccountJournalled, AccountRefused, AccountStore, EmailAddress, MemoryAccounts,
        PasswordHash, Session, SessionDigest, SignedIn,
    },
    store::Attribution,
};
use keyward_behaviour::{
    accounts::{self, AccountHarness},
    stores::{Ability, Problem},
};
use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials =
        vec![Trial::test("nothing is found where nothing is planted", || match accounts::first_failure::<Planted<NONE>>() {
            None => Ok(()),
            Some(found) => Err(found.into()),
        })];
    macro_rules! plant {
        ($($fault:literal $name:literal)+) => {$(
            trials.push(Trial::test($name, || match accounts::first_failure::<Planted<$fault>>() {
                None => Err("the suite did not find it".into()),
                Some(found) => {
                    eprintln!("{}: found by {}", $name, found.split(": expected").next().unwrap_or_default());
                    Ok(())
                }
            }));
        )+};
    }
    // The numbers are those that `Faulty` asks about.
    plant! {
        1 "a session begins whatever the password is by now"
        2 "the password is looked at, and then the session begins"
        3 "who signs in to an account that is being switched off switches it on again"
        4 "sessions are kept in memory, and found when they have ended"
        5 "a sweep takes what is over at the instant"
        6 "a sweep takes what was seen last at the instant"
        7 "when a session was seen goes back"
        8 "a session that has ended is seen again"
        9 "the journal names another actor"
        10 "the first account need not be the first"
        11 "whether an account is the first is looked at, and then it is made"
        12 "a new name ends sessions"
        13 "another password ends the session that goes on, too"
        14 "all sessions end but one, and that one too"
        15 "NUL is left out of names"
        16 "a session's times are kept to the microsecond"
        17 "a digest that is there is taken over"
        18 "an account has one session less than it may have"
        19 "something happens before an answer is polled"
        20 "a page of accounts begins with the last of the one before"
        21 "a page of the journal has one row more"
        22 "the network of a session is forgotten"
        23 "another account is told of than the one that is there"
        24 "a change is acknowledged before it is made"
        25 "a password is changed whatever it is by now"
        26 "the password is looked at, and then it is changed"
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

const NONE: u32 = 0;

struct Planted<const FAULT: u32>;

impl<const FAULT: u32> AccountHarness for Planted<FAULT> {
    const NAME: &'static str = "planted";
    const LASTS: Ability = Ability::No("it is in memory");
    const SHARED: Ability = Ability::No("it is in one process's memory");
    type Store = Faulty<FAULT>;
    type Place = ();

    fn start() -> Result<Self, Problem> {
        Ok(Planted)
    }

    fn new_place(&self) -> Result<(), Problem> {
        Ok(())
    }

    async fn open(_: &()) -> Result<Faulty<FAULT>, Problem> {
        Ok(Faulty { memory: MemoryAccounts::new(), found: Arc::default() })
    }
}

/// Accounts in memory with one fault.
#[derive(Clone)]
struct Faulty<const FAULT: u32> {
    memory: MemoryAccounts,
    /// Sessions that somebody has asked for.
    found: Arc<Mutex<HashMap<SessionDigest, SignedIn>>>,
}

/// Does something when it is polled.
fn later<T: Send + 'static, W>(work: impl FnOnce() -> W + Send + 'static) -> Answer<T>
where
    W: Future<Output = Result<T, Fault>> + Send + 'static,
{
    Answer::Pending(Box::pin(async move { work().await }))
}

/// Long enough for others to come between.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

fn a_moment_later(time: Timestamp) -> Timestamp {
    time.after(Duration::from_nanos(1))
}

impl<const FAULT: u32> Faulty<FAULT> {
    async fn begin(self, mut session: Session, mut verified: PasswordHash) -> Result<Result<(), AccountRefused>, Fault> {
        let memory = &self.memory;
        let account = memory.account(&session.account).wait().await?;
        match FAULT {
            1 => verified = account.as_ref().map_or(verified, |account| account.password.clone()),
            2 if account.as_ref().is_some_and(|account| account.password == verified) => {
                a_while().await;
                if let Some(account) = memory.account(&session.account).wait().await? {
                    verified = account.password.clone();
                }
            }
            3 if account.as_ref().is_some_and(|account| !account.is_disabled) => {
                a_while().await;
                if memory.account(&session.account).wait().await?.is_some_and(|account| account.is_disabled) {
                    let by = Attribution { actor: "nobody".into(), at: session.created };
                    let _ = memory.change_account(&session.account, AccountChange::Disabled(false), by.clone()).wait().await?;
                    return memory.add_session(session, verified).wait().await;
                }
            }
            16 => {
                let microseconds = session.expires.unix_nanoseconds() / 1_000;
                session.expires = Timestamp::from_unix_nanoseconds(microseconds * 1_000);
            }
            17 => drop(memory.end_session(&session.digest).wait().await?),
            18 => {
                let mut sessions = memory.sessions_of(&session.account).wait().await?;
                if sessions.len() + 1 == Session::MOST_OF_AN_ACCOUNT {
                    sessions.sort_by_key(|session| (session.last_seen, session.created));
                    memory.end_session(&sessions[0].digest).wait().await?;
                }
            }
            22 => session.network = None,
            _ => {}
        }
        memory.add_session(session, verified).wait().await
    }

    async fn saw(self, digest: SessionDigest, at: Timestamp) -> Result<(), Fault> {
        let memory = &self.memory;
        let found = memory.session(&digest).wait().await?;
        match (FAULT, found) {
            (7, Some(SignedIn { session, account })) => {
                memory.end_session(&digest).wait().await?;
                let session = Session { last_seen: at, ..session };
                let _ = memory.add_session(session, account.password.clone()).wait().await?;
                Ok(())
            }
            (8, Some(SignedIn { session, account })) => {
                a_while().await;
                memory.end_session(&digest).wait().await?;
                let session = Session { last_seen: session.last_seen.max(at), ..session };
                let _ = memory.add_session(session, account.password.clone()).wait().await?;
                Ok(())
            }
            _ => memory.saw_session(&digest, at).wait().await,
        }
    }
}

impl<const FAULT: u32> AccountStore for Faulty<FAULT> {
    fn add_account(
        &self,
        mut account: Account,
        only_as_first: bool,
        mut by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>> {
        let memory = self.memory.clone();
        match FAULT {
            9 => by.actor = "somebody".into(),
            10 => return memory.add_account(account, false, by),
            11 if only_as_first => {
                return later(|| async move {
                    if !memory.accounts(None, 1).wait().await?.is_empty() {
                        return Ok(Err(AccountRefused::NotTheFirst));
                    }
                    a_while().await;
                    memory.add_account(account, false, by).wait().await
                });
            }
            15 => account.first_name = account.first_name.replace('\0', "").into(),
            _ => {}
        }
        memory.add_account(account, only_as_first, by)
    }

    fn account(&self, id: &AccountId) -> Answer<Option<Arc<Account>>> {
        self.memory.account(id)
    }

    fn account_at(&self, address: &EmailAddress) -> Answer<Option<Arc<Account>>> {
        self.memory.account_at(address)
    }

    fn accounts(&self, after: Option<AccountId>, limit: usize) -> Answer<Vec<Arc<Account>>> {
        let (memory, first) = (self.memory.clone(), after.filter(|_| FAULT == 20 && limit > 1));
        later(move || async move {
            let mut page = memory.accounts(after, limit).wait().await?;
            if let Some(first) = first
                && !page.is_empty()
                && let Some(first) = memory.account(&first).wait().await?
            {
                page.insert(0, first);
                page.truncate(limit);
            }
            Ok(page)
        })
    }

    fn change_account(
        &self,
        id: &AccountId,
        change: AccountChange,
        by: Attribution,
    ) -> Answer<Result<Arc<Account>, AccountRefused>> {
        let (memory, id) = (self.memory.clone(), *id);
        later(move || async move {
            let before = memory.account(&id).wait().await?;
            match (FAULT, change, before) {
                (12, change @ AccountChange::Rename { .. }, _) => {
                    memory.end_sessions_of(&id, None).wait().await?;
                    memory.change_account(&id, change, by).wait().await
                }
                (13, AccountChange::Password { instead_of, hash, .. }, _) => {
                    memory.change_account(&id, AccountChange::Password { instead_of, hash, keeps: None }, by).wait().await
                }
                (25, AccountChange::Password { hash, keeps, .. }, Some(before)) => {
                    let instead_of = before.password.clone();
                    memory.change_account(&id, AccountChange::Password { instead_of, hash, keeps }, by).wait().await
                }
                (26, AccountChange::Password { mut instead_of, hash, keeps }, Some(before)) => {
                    if before.password == instead_of {
                        a_while().await;
                        if let Some(account) = memory.account(&id).wait().await? {
                            instead_of = account.password.clone();
                        }
                    }
                    memory.change_account(&id, AccountChange::Password { instead_of, hash, keeps }, by).wait().await
                }
                (23, change, Some(before)) => Ok(memory.change_account(&id, change, by).wait().await?.map(|_| before)),
                (24, change, Some(before)) => {
                    let after = match change.apply(&before) {
                        Ok(after) => Arc::new(after),
                        Err(refused) => return Ok(Err(refused)),
                    };
                    tokio::spawn(async move {
                        a_while().await;
                        memory.change_account(&id, change, by).wait().await
                    });
                    Ok(Ok(after))
                }
                (_, change, _) => memory.change_account(&id, change, by).wait().await,
            }
        })
    }

    fn remove_account(&self, id: &AccountId, by: Attribution) -> Answer<Result<(), AccountRefused>> {
        self.memory.remove_account(id, by)
    }

    fn add_session(&self, session: Session, verified: PasswordHash) -> Answer<Result<(), AccountRefused>> {
        let store = self.clone();
        later(|| store.begin(session, verified))
    }

    fn session(&self, digest: &SessionDigest) -> Answer<Option<SignedIn>> {
        if FAULT != 4 {
            return self.memory.session(digest);
        }
        let (store, digest) = (self.clone(), *digest);
        later(move || async move {
            if let Some(found) = store.found.lock().unwrap_or_else(PoisonError::into_inner).get(&digest) {
                return Ok(Some(found.clone()));
            }
            let found = store.memory.session(&digest).wait().await?;
            if let Some(found) = &found {
                store.found.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, found.clone());
            }
            Ok(found)
        })
    }

    fn saw_session(&self, digest: &SessionDigest, at: Timestamp) -> Answer<()> {
        let (store, digest) = (self.clone(), *digest);
        later(move || store.saw(digest, at))
    }

    fn sessions_of(&self, account: &AccountId) -> Answer<Vec<Session>> {
        self.memory.sessions_of(account)
    }

    fn end_session(&self, digest: &SessionDigest) -> Answer<bool> {
        if FAULT != 19 {
            return self.memory.end_session(digest);
        }
        let mut ended = Box::pin(self.memory.end_session(digest).wait());
        match ended.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(Ok(ended)) => Answer::ready(ended),
            _ => Answer::fault(Fault::new("memory has to be waited for")),
        }
    }

    fn end_sessions_of(&self, account: &AccountId, but: Option<SessionDigest>) -> Answer<usize> {
        self.memory.end_sessions_of(account, but.filter(|_| FAULT != 14))
    }

    fn sweep_sessions(&self, over_before: Timestamp, unseen_since: Timestamp) -> Answer<usize> {
        match FAULT {
            5 => self.memory.sweep_sessions(a_moment_later(over_before), unseen_since),
            6 => self.memory.sweep_sessions(over_before, a_moment_later(unseen_since)),
            _ => self.memory.sweep_sessions(over_before, unseen_since),
        }
    }

    fn account_journal(&self, after: u64, limit: usize) -> Answer<Vec<AccountJournalled>> {
        self.memory.account_journal(after, limit + usize::from(FAULT == 21 && limit < 1_000))
    }
}
