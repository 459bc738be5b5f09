//! Places for connections, and who has to leave one when somebody waits.
//!
//! A client can hold a connection for as long as it likes by asking something now and then, or by reading slowly. As long as there
//! are places that is nobody's loss. When there are none, the one that has been quiet for longest goes first: it is closed between
//! two requests, or after its answer, and soon in any case. Refused: to share places out by address, since behind a proxy all
//! clients have one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A connection of which nothing is being decided for this long may have to go.
const QUIET: Duration = Duration::from_secs(1);
/// One that was told to go, and has been quiet for this long, is not waited for: it sends a request, or reads an answer, slowly.
const GIVEN_UP: Duration = Duration::from_secs(3);
/// Whoever waits for a place looks so often whether another one has to go.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// So many connections at once, and no more.
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
    freed: Notify,
}

#[derive(Default)]
struct Taken {
    next: u64,
    places: HashMap<u64, Arc<Holder>>,
}

/// What is known of the connection in a place.
struct Holder {
    since: Instant,
    state: Mutex<State>,
    told: Notify,
}

struct State {
    /// Since when nothing is being decided for it; `None` while something is.
    quiet: Option<Instant>,
    is_told: bool,
}

/// A place, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    holder: Arc<Holder>,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default(), freed: Notify::new() })
    }

    /// How many there are.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// How many are taken.
    pub(super) fn count(&self) -> usize {
        self.taken().places.len()
    }

    /// A place, if there is one.
    pub(super) fn free(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.places.len() >= self.most {
            return None;
        }
        let (number, now) = (taken.next, Instant::now());
        taken.next += 1;
        let state = Mutex::new(State { quiet: Some(now), is_told: false });
        let holder = Arc::new(Holder { since: now, state, told: Notify::new() });
        taken.places.insert(number, holder.clone());
        Some(Place { places: self.clone(), number, holder })
    }

    /// Waits for a place, and has others leave theirs.
    pub(super) async fn wait(self: &Arc<Self>) -> Place {
        let started = Instant::now();
        loop {
            if let Some(place) = self.free() {
                return place;
            }
            self.make_room(started);
            tokio::select! {
                () = self.freed.notified() => {}
                () = tokio::time::sleep(LOOKS_EVERY) => {}
            }
        }
    }

    /// Tells one to go: whoever is quiet, the longest first. If nobody is for a while, whoever has been here for longest.
    fn make_room(&self, waiting_since: Instant) {
        let taken = self.taken();
        let staying = || taken.places.values().filter(|holder| !holder.state().is_told);
        let quiet = staying().filter_map(|holder| Some((holder.quiet_for(QUIET)?, holder)));
        let quietest = quiet.min_by_key(|(since, _)| *since).map(|(_, holder)| holder);
        let oldest = || staying().min_by_key(|holder| holder.since).filter(|_| waiting_since.elapsed() >= QUIET);
        if let Some(holder) = quietest.or_else(oldest) {
            holder.tell();
        }
    }

    /// Tells all of them to go, and waits until they have.
    pub(super) async fn close(&self) {
        self.taken().places.values().for_each(|holder| holder.tell());
        while !self.taken().places.is_empty() {
            self.freed.notified().await;
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Holder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.state().is_told = true;
        self.told.notify_one();
    }

    /// Since when it is quiet, if it is for that long.
    fn quiet_for(&self, time: Duration) -> Option<Instant> {
        self.state().quiet.filter(|since| since.elapsed() >= time)
    }
}

impl Place {
    /// What tells that something is being decided for the connection, for as long as it is there.
    pub(super) fn watch(&self) -> Watch {
        Watch(self.holder.clone())
    }

    /// Waits until it has to be left.
    pub(super) async fn told(&self) {
        self.holder.told.notified().await;
    }

    /// Waits, once it has been told, until whoever is here is waited for no longer.
    pub(super) async fn given_up(&self) {
        loop {
            let quiet = self.holder.state().quiet;
            match quiet.map(|since| GIVEN_UP.saturating_sub(since.elapsed())) {
                Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
                None => tokio::time::sleep(LOOKS_EVERY).await,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().places.remove(&self.number);
        self.places.freed.notify_one();
    }
}

#[derive(Clone)]
pub(super) struct Watch(Arc<Holder>);

impl Watch {
    pub(super) fn deciding(&self) -> Deciding {
        self.0.state().quiet = None;
        Deciding(self.0.clone())
    }
}

/// Something is being decided for a connection.
pub(super) struct Deciding(Arc<Holder>);

impl Drop for Deciding {
    fn drop(&mut self) {
        self.0.state().quiet = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_quiet_for_longest_goes_first() {
        let places = Places::new(3);
        let [busy, first, second] = [(); 3].map(|()| places.free().unwrap());
        assert!(places.free().is_none());
        let deciding = busy.watch().deciding();
        drop(second.watch().deciding());
        tokio::time::sleep(QUIET).await;
        places.make_room(Instant::now());
        assert!(first.holder.state().is_told && !second.holder.state().is_told);
        places.make_room(Instant::now());
        assert!(second.holder.state().is_told && !busy.holder.state().is_told);
        // Nobody is left who is quiet.
        places.make_room(Instant::now());
        assert!(!busy.holder.state().is_told);
        places.make_room(Instant::now().checked_sub(QUIET).unwrap());
        assert!(busy.holder.state().is_told);
        // What is being decided is waited for.
        assert!(tokio::time::timeout(LOOKS_EVERY, busy.given_up()).await.is_err());
        drop(deciding);
        first.told().await;
        first.given_up().await;
        drop(first);
        assert!(places.free().is_some());
    }
}
