//! What a place for accounts brings to the suite: a way to open it. Nothing else of the suite is its to choose.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use keyward::{Timestamp, account::AccountStore, clock::ManualClock};

use super::{any::AnyAccounts, bench::BEGINNING};
use crate::stores::{Ability, Problem, StoreHarness, wait};

/// A kind of place for accounts.
///
/// What it cannot do is said in constants, so that no run decides by itself to leave something out. The suite prints them.
pub trait AccountHarness: Send + Sync + Sized + 'static {
    /// The name on the command line and in the suite's output.
    const NAME: &'static str;

    /// Whether what was acknowledged is there when it is opened again.
    const LASTS: Ability = Ability::Yes;

    /// Whether it can be opened a second time while it is open, as another process would.
    const SHARED: Ability = Ability::Yes;

    /// How many sequences of changes are tried beside accounts in memory in a usual run: fewer where a change costs more.
    const SEQUENCES: u32 = 16;

    /// The place.
    type Store: AccountStore + Clone + 'static;

    /// Where its data are: a folder, say, or the URL of a database. When it is dropped they may go.
    type Place: Send + Sync + 'static;

    /// Starts what all places of a run need, such as a server. Asked for once in a run, or not at all.
    ///
    /// # Errors
    /// What could not be started, and how to mend it: this fails the suite, and skips nothing.
    fn start() -> Result<Self, Problem>;

    /// A place without any data.
    ///
    /// # Errors
    /// If it cannot be made.
    fn new_place(&self) -> Result<Self::Place, Problem>;

    /// Opens a place, within a Tokio runtime.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(place: &Self::Place) -> impl Future<Output = Result<Self::Store, Problem>> + Send;

    /// Closes it, as a program does that ends in good order. Afterwards it may be opened again.
    ///
    /// # Errors
    /// If it cannot be closed.
    fn close(place: &Self::Place, store: Self::Store) -> impl Future<Output = Result<(), Problem>> + Send {
        let _ = place;
        drop(store);
        async { Ok(()) }
    }
}

/// The accounts that a store of keys keeps beside them, opened by the harness of its keys.
#[derive(Debug)]
pub struct BesideKeys<H>(H);

impl<H: StoreHarness<Store: AccountStore>> AccountHarness for BesideKeys<H> {
    const NAME: &'static str = H::NAME;
    const LASTS: Ability = H::LASTS;
    const SHARED: Ability = H::SHARED;
    const SEQUENCES: u32 = H::SEQUENCES;
    type Store = H::Store;
    type Place = H::Place;

    fn start() -> Result<Self, Problem> {
        Ok(BesideKeys(H::start()?))
    }

    fn new_place(&self) -> Result<H::Place, Problem> {
        self.0.new_place()
    }

    fn open(place: &H::Place) -> impl Future<Output = Result<H::Store, Problem>> + Send {
        H::open(place, ManualClock::at(Timestamp::from_unix_nanoseconds(BEGINNING)))
    }

    fn close(place: &H::Place, store: H::Store) -> impl Future<Output = Result<(), Problem>> + Send {
        H::close(place, store)
    }
}

/// A harness as a value, for lists of several.
#[derive(Clone)]
pub struct AccountSubject {
    /// See [`AccountHarness::NAME`].
    pub name: &'static str,
    /// See [`AccountHarness::LASTS`].
    pub lasts: Ability,
    /// See [`AccountHarness::SHARED`].
    pub shared: Ability,
    /// See [`AccountHarness::SEQUENCES`].
    pub sequences: u32,
    start: fn() -> Result<Arc<dyn Started>, Problem>,
    started: Arc<Mutex<Option<Arc<dyn Started>>>>,
}

impl AccountSubject {
    /// The value of a harness.
    pub fn of<H: AccountHarness>() -> AccountSubject {
        AccountSubject {
            name: H::NAME,
            lasts: H::LASTS,
            shared: H::SHARED,
            sequences: H::SEQUENCES,
            start: || Ok(Arc::new(H::start()?)),
            started: Arc::default(),
        }
    }

    /// A place without any data.
    pub(crate) fn new_place(&self) -> Result<Box<dyn AnyPlace>, Problem> {
        let started = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            match &*started {
                Some(started) => started.clone(),
                None => started.insert((self.start)()?).clone(),
            }
        };
        started.new_place()
    }
}

impl fmt::Debug for AccountSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

trait Started: Send + Sync {
    fn new_place(&self) -> Result<Box<dyn AnyPlace>, Problem>;
}

impl<H: AccountHarness> Started for H {
    fn new_place(&self) -> Result<Box<dyn AnyPlace>, Problem> {
        Ok(Box::new(Place::<H>(Arc::new(AccountHarness::new_place(self)?))))
    }
}

/// Where accounts are, of whatever type.
pub(crate) trait AnyPlace: Send + Sync {
    fn open(&self) -> Result<Box<dyn AnyOpened>, Problem>;
}

/// A place that is open.
pub(crate) trait AnyOpened: Send + Sync {
    fn accounts(&self) -> AnyAccounts;
    fn close(self: Box<Self>) -> Result<(), Problem>;
}

struct Place<H: AccountHarness>(Arc<H::Place>);

impl<H: AccountHarness> AnyPlace for Place<H> {
    fn open(&self) -> Result<Box<dyn AnyOpened>, Problem> {
        Ok(Box::new(Opened::<H> { store: wait(H::open(&self.0))?, place: self.0.clone() }))
    }
}

struct Opened<H: AccountHarness> {
    store: H::Store,
    place: Arc<H::Place>,
}

impl<H: AccountHarness> AnyOpened for Opened<H> {
    fn accounts(&self) -> AnyAccounts {
        AnyAccounts(Arc::new(self.store.clone()))
    }

    fn close(self: Box<Self>) -> Result<(), Problem> {
        wait(H::close(&self.place, self.store))
    }
}
