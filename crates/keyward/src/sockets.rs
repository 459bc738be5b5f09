//! Open WebSockets by key: how many there are, and which have to end because their key did.
//!
//! A connection is decided once, when it opens. What holds it afterwards is a [`LiveSocket`]: it says when the key that opened the
//! connection was revoked, disabled, has expired, or was rotated and its grace is over. Looking is somebody else's part, since the
//! core has no timers: the [`Sweeper`] of a guard asks about every key that holds a connection open, twice a second. Asked is by id
//! and once a key, however many connections it has, and of the store of the guard that let it in: guards that share counts may have
//! a store each, and a reload may bring another one. Waiting for the news of a store was refused as the only way: an
//! expiry makes no news, and news can be lost.

mod sweeper;

pub use sweeper::Sweeper;

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_channel::oneshot;

use crate::answer::Fault;
use crate::clock::{Clock, Now};
use crate::decision::Pass;
use crate::decision::Principal;
use crate::key::{KeyId, Record, Standing};
use crate::proof::AuthenticatorName;
use crate::store::KeyStore;

/// For so long a connection stays open while the store cannot be asked whether its key is still good.
const UNCONFIRMED_FOR: Duration = Duration::from_secs(5);

/// Why a live connection has to end, as its close frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketEnd {
    /// The key is not valid any more.
    KeyEnded,
    /// For five seconds the store could not be asked whether it is: an open connection is not worth more than a revocation.
    Unconfirmed,
}

impl SocketEnd {
    /// The status code of the close frame (RFC 6455 §7.4.1): 1008, policy violation; 1013, try again later.
    pub const fn code(self) -> u16 {
        match self {
            Self::KeyEnded => 1008,
            Self::Unconfirmed => 1013,
        }
    }

    /// The reason of the close frame.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::KeyEnded => "The API key is not valid any more.",
            Self::Unconfirmed => "The API key could not be confirmed: try again later.",
        }
    }
}

/// All connections of one guard, and of those that share its counts.
pub(crate) struct Sockets {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct State {
    /// Handshakes that were let in, and have become connections or not yet.
    places: HashMap<Holder, u32, ahash::RandomState>,
    watched: HashMap<Watch, Watched, ahash::RandomState>,
    next: u64,
    has_sweeper: bool,
}

/// Whose connections are counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Holder {
    Key(KeyId),
    /// One of the user's authenticators, and its id for them.
    Identity(Box<str>, Box<str>),
}

impl Holder {
    fn of(principal: &Principal) -> Self {
        match principal.key_id() {
            Some(id) => Self::Key(id),
            None => Self::Identity(principal.authenticator().into(), principal.id().into()),
        }
    }
}

/// A key, and by its address the store that is asked about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Watch {
    store: usize,
    id: KeyId,
}

impl Watch {
    fn of(store: &Arc<dyn KeyStore>, id: KeyId) -> Self {
        // Nothing else has this address for as long as the store is held, as it is by what is watched.
        Self { store: Arc::as_ptr(store).cast::<()>().addr(), id }
    }
}

/// Connections that have to end when their secret does.
struct Watched {
    store: Arc<dyn KeyStore>,
    open: HashMap<u64, Open, ahash::RandomState>,
    /// Up to when the store is known to have held the key, on the steady clock.
    confirmed: u64,
}

struct Open {
    /// Which of the key's secrets opened it: see [`Slot::number`](crate::key::Slot::number).
    number: u32,
    end: oneshot::Sender<SocketEnd>,
}

impl Sockets {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), clock })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of a principal, of at most so many. It counts until the place is dropped.
    pub(crate) fn reserve(self: &Arc<Self>, principal: &Principal, most: u32) -> Option<SocketPlace> {
        let holder = Holder::of(principal);
        let mut state = self.state();
        if state.places.get(&holder).is_some_and(|places| *places >= most) {
            return None;
        }
        *state.places.entry(holder.clone()).or_default() += 1;
        drop(state);
        Some(SocketPlace { sockets: self.clone(), holder })
    }

    /// Whether another one would be let in.
    pub(crate) fn has_place(&self, principal: &Principal, most: u32) -> bool {
        self.state().places.get(&Holder::of(principal)).is_none_or(|places| *places < most)
    }

    fn open(&self, store: &Arc<dyn KeyStore>, id: KeyId, number: u32) -> (Watch, u64, oneshot::Receiver<SocketEnd>) {
        let (end, ended) = oneshot::channel();
        let (watch, confirmed) = (Watch::of(store, id), self.clock.now().steady);
        let mut state = self.state();
        let place = state.next;
        state.next += 1;
        let new = || Watched { store: store.clone(), open: HashMap::default(), confirmed };
        state.watched.entry(watch).or_insert_with(new).open.insert(place, Open { number, end });
        (watch, place, ended)
    }

    /// Takes connections out of what is watched, and with the last of them all of it.
    fn release(&self, watch: Watch, release: impl FnOnce(&mut Watched)) {
        let mut state = self.state();
        let Some(watched) = state.watched.get_mut(&watch) else { return };
        release(watched);
        if watched.open.is_empty() {
            let last = state.watched.remove(&watch);
            // The store may end with it, which is its own code: not behind the lock.
            drop(state);
            drop(last);
        }
    }

    /// Ends what has to end of one key's connections.
    fn end(&self, watch: Watch, ends: impl Fn(u64, &Open) -> Option<SocketEnd>) {
        self.release(watch, |watched| {
            let confirmed = watched.confirmed;
            for (_, open) in watched.open.extract_if(|_, open| ends(confirmed, open).is_some()) {
                if let Some(end) = ends(confirmed, &open) {
                    // Nobody waits for it: the connection ended by itself.
                    let _ = open.end.send(end);
                }
            }
        });
    }

    /// Judges one key's connections by what the store said.
    fn judge(&self, watch: Watch, asked: Now, found: Result<Option<Arc<Record>>, Fault>) {
        match found {
            Ok(record) => {
                let is_live = |number| {
                    record.as_ref().is_some_and(|record| {
                        let slot = record.slots().find(|slot| slot.number == number);
                        slot.is_some_and(|slot| Standing::of(record, slot, self.clock.now().wall) == Standing::Live)
                    })
                };
                self.end(watch, |_, open| (!is_live(open.number)).then_some(SocketEnd::KeyEnded));
                if let Some(watched) = self.state().watched.get_mut(&watch) {
                    watched.confirmed = watched.confirmed.max(asked.steady);
                }
            }
            Err(fault) => {
                tracing::error!(target: "keyward", key = %watch.id, %fault, "a key with open connections could not be asked for");
                self.end_if_unconfirmed(watch, asked);
            }
        }
    }

    fn end_if_unconfirmed(&self, watch: Watch, now: Now) {
        self.end(watch, |confirmed, _| is_over(confirmed, now).then_some(SocketEnd::Unconfirmed));
    }
}

/// Whether more than five seconds have passed since then.
fn is_over(since: u64, now: Now) -> bool {
    elapsed(since, now) > UNCONFIRMED_FOR
}

fn elapsed(since: u64, now: Now) -> Duration {
    Duration::from_nanos(now.steady.saturating_sub(since))
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sockets")
    }
}

/// One of the connections that a key may hold open. Freed when it is dropped.
pub(crate) struct SocketPlace {
    sockets: Arc<Sockets>,
    holder: Holder,
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        let mut state = self.sockets.state();
        if let Some(places) = state.places.get_mut(&self.holder) {
            *places = places.saturating_sub(1);
            if *places == 0 {
                state.places.remove(&self.holder);
            }
        }
    }
}

/// An open connection and the key that opened it. Hold it for as long as the connection lives: adapters do, and tell the client.
///
/// While it is held it counts against the policy's `connections_per_key`.
pub struct LiveSocket {
    sockets: Arc<Sockets>,
    /// `None`: a principal without a key in the store, which ends with the process.
    watched: Option<(Watch, u64, oneshot::Receiver<SocketEnd>)>,
    _place: Option<Arc<SocketPlace>>,
}

impl LiveSocket {
    pub(crate) fn of(pass: &Pass) -> Self {
        let sockets = pass.guard.sockets.clone();
        let watched = pass.principal().and_then(|principal| {
            let (id, number) = (principal.key_id()?, principal.slot_number()?);
            let store = pass.guard.store().filter(|_| principal.authenticator() == AuthenticatorName::Store.as_str())?;
            Some(sockets.open(store, id, number))
        });
        Self { sockets, watched, _place: pass.socket_place.clone() }
    }

    /// Waits until the connection has to end. For a principal without a stored key: for ever.
    pub async fn ended(&mut self) -> SocketEnd {
        match &mut self.watched {
            Some((_, _, ended)) => match ended.await {
                Ok(end) => end,
                // Asked again after the end was told, or nobody is left who could tell: never a reason to stay open.
                Err(_) => SocketEnd::KeyEnded,
            },
            None => pending().await,
        }
    }

    /// The part of looking whether keys have ended, for whoever asks first; `None` while somebody has it. Adapters run it: see
    /// [`Sweeper::sweep`].
    pub fn sweeper(&self) -> Option<Sweeper> {
        self.watched.as_ref()?;
        let mut state = self.sockets.state();
        let is_free = !mem::replace(&mut state.has_sweeper, true);
        is_free.then(|| Sweeper::of(self.sockets.clone()))
    }
}

impl Drop for LiveSocket {
    fn drop(&mut self) {
        if let Some((watch, place, _)) = &self.watched {
            self.sockets.release(*watch, |watched| drop(watched.open.remove(place)));
        }
    }
}

impl fmt::Debug for LiveSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSocket").field("key", &self.watched.as_ref().map(|(watch, ..)| watch.id)).finish_non_exhaustive()
    }
}
