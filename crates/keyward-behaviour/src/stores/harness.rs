//! What a store brings to the suite: a way to open it. Nothing else of the suite is its to choose.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use keyward::{clock::ManualClock, store::RecordStore};

use super::{any::AnyStore, problem::Problem, runtime::wait};

/// A kind of store.
///
/// What a store cannot do is said in constants, so that no run decides by itself to leave something out. The suite prints them.
pub trait StoreHarness: Send + Sync + Sized + 'static {
    /// The name on the command line and in the suite's output.
    const NAME: &'static str;

    /// Whether what was acknowledged is there when the store is opened again.
    const LASTS: Ability = Ability::Yes;

    /// Whether it can be opened a second time while it is open, as another process would.
    const SHARED: Ability = Ability::Yes;

    /// How many of the latest rows of the journal are kept at least.
    const JOURNAL: u64 = u64::MAX;

    /// How many sequences of changes are tried in a usual run: fewer where a change costs more.
    const SEQUENCES: u32 = 64;

    /// The store.
    type Store: RecordStore + Clone + 'static;

    /// Where one store's data are: a folder, say, or the URL of a database. When it is dropped they may go.
    type Place: Send + Sync + 'static;

    /// Starts what all stores of a run need, such as a server. Asked for once in a run, or not at all.
    ///
    /// # Errors
    /// What could not be started, and how to mend it: this fails the suite, and skips nothing.
    fn start() -> Result<Self, Problem>;

    /// A place without any data.
    ///
    /// # Errors
    /// If it cannot be made.
    fn new_place(&self) -> Result<Self::Place, Problem>;

    /// Opens the store in a place, within a Tokio runtime. If it keeps records in memory, their ages are counted by this clock,
    /// which is the guard's and stands still until a case moves it.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn open(place: &Self::Place, clock: ManualClock) -> impl Future<Output = Result<Self::Store, Problem>> + Send;

    /// Closes a store, as a program does that ends in good order. Afterwards it may be opened again.
    ///
    /// # Errors
    /// If it cannot be closed.
    fn close(place: &Self::Place, store: Self::Store) -> impl Future<Output = Result<(), Problem>> + Send {
        let _ = place;
        drop(store);
        async { Ok(()) }
    }
}

/// Whether a store can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// It can.
    Yes,
    /// It cannot, for this reason.
    No(&'static str),
}

/// A harness as a value, for lists of several.
#[derive(Clone)]
pub struct Subject {
    /// See [`StoreHarness::NAME`].
    pub name: &'static str,
    /// See [`StoreHarness::LASTS`].
    pub lasts: Ability,
    /// See [`StoreHarness::SHARED`].
    pub shared: Ability,
    /// See [`StoreHarness::JOURNAL`].
    pub journal: u64,
    /// See [`StoreHarness::SEQUENCES`].
    pub sequences: u32,
    start: fn() -> Result<Arc<dyn Started>, Problem>,
    started: Arc<Mutex<Option<Arc<dyn Started>>>>,
}

impl Subject {
    /// The value of a harness.
    pub fn of<H: StoreHarness>() -> Subject {
        Subject {
            name: H::NAME,
            lasts: H::LASTS,
            shared: H::SHARED,
            journal: H::JOURNAL,
            sequences: H::SEQUENCES,
            start: || Ok(Arc::new(H::start()?)),
            started: Arc::default(),
        }
    }

    /// An empty store.
    pub(crate) fn open_new(&self, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem> {
        let started = {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            match &*started {
                Some(started) => started.clone(),
                None => started.insert((self.start)()?).clone(),
            }
        };
        started.open_new(clock)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

trait Started: Send + Sync {
    fn open_new(&self, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem>;
}

impl<H: StoreHarness> Started for H {
    fn open_new(&self, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem> {
        let place = Arc::new(self.new_place()?);
        let store = wait(H::open(&place, clock.clone()))?;
        Ok(Box::new(InPlace::<H> { place, store }))
    }
}

/// A store that is open, of whatever type.
pub(crate) trait Opened: Send + Sync {
    fn store(&self) -> AnyStore;
    /// Opens the same place once more.
    fn second(&self, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem>;
    fn close(self: Box<Self>) -> Result<Box<dyn Closed>, Problem>;
}

/// The place of a store that was closed.
pub(crate) trait Closed: Send + Sync {
    fn open(self: Box<Self>, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem>;
}

struct InPlace<H: StoreHarness> {
    store: H::Store,
    place: Arc<H::Place>,
}

impl<H: StoreHarness> Opened for InPlace<H> {
    fn store(&self) -> AnyStore {
        AnyStore::new(self.store.clone())
    }

    fn second(&self, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem> {
        let store = wait(H::open(&self.place, clock.clone()))?;
        Ok(Box::new(InPlace::<H> { store, place: self.place.clone() }))
    }

    fn close(self: Box<Self>) -> Result<Box<dyn Closed>, Problem> {
        let InPlace { store, place } = *self;
        wait(H::close(&place, store))?;
        Ok(Box::new(Vacated::<H> { place }))
    }
}

struct Vacated<H: StoreHarness> {
    place: Arc<H::Place>,
}

impl<H: StoreHarness> Closed for Vacated<H> {
    fn open(self: Box<Self>, clock: &ManualClock) -> Result<Box<dyn Opened>, Problem> {
        let store = wait(H::open(&self.place, clock.clone()))?;
        Ok(Box::new(InPlace::<H> { store, place: self.place }))
    }
}
