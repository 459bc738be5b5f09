//! Looking which keys with open connections have ended.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::FuturesUnordered;

use super::{Sockets, Watch, elapsed, is_over};
use crate::answer::{Answer, Fault, Later};
use crate::clock::Now;
use crate::key::Record;
use crate::store::KeyStore;

/// How many lookups a sweep begins before the first of them have answered. More at once only wait in line for a store's connections.
const AT_ONCE: usize = 64;

/// How many lookups that do not answer are under way beside those, at most. They do not keep other keys waiting, and a store that
/// hangs is not given more and more to do.
const SLOW_AT_ONCE: usize = 64;

/// A lookup that takes so long is one of them: half a sweep's time.
const SLOW_AFTER: Duration = Duration::from_millis(250);

/// For so long it is waited for where another key waits for its place: nearly two sweeps' time. Then the key is asked for anew, in
/// its turn.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(900);

/// After so many keys a sweep lets others have the thread.
const IN_A_ROW: usize = 256;

/// A key that its store was asked for, and when.
struct Asked {
    watch: Watch,
    store: Arc<dyn KeyStore>,
    at: Now,
    answer: Later<Option<Arc<Record>>>,
}

impl Future for Asked {
    type Output = (Watch, Now, Result<Option<Arc<Record>>, Fault>);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = unless_it_panics(|| self.answer.as_mut().poll(context)).unwrap_or_else(|fault| Poll::Ready(Err(fault)));
        polled.map(|found| (self.watch, self.at, found))
    }
}

/// Looks which keys with open connections have ended. There is at most one for a guard.
///
/// ```no_run
/// # async fn sleep(time: std::time::Duration) {}
/// # async fn within<T>(time: std::time::Duration, future: impl Future<Output = T>) -> Option<T> { Some(future.await) }
/// # async fn run(mut sweeper: keyward::Sweeper) {
/// // An adapter spawns this where `LiveSocket::sweeper` gives it the part.
/// loop {
///     sleep(keyward::Sweeper::INTERVAL).await;
///     // A store that hangs must not keep the other keys waiting.
///     if within(keyward::Sweeper::INTERVAL, sweeper.sweep()).await == Some(false) {
///         break;
///     }
/// }
/// # }
/// ```
pub struct Sweeper {
    sockets: Arc<Sockets>,
    /// Keys that are in their turn: `waiting` for it, or `asked` for.
    in_turn: HashSet<Watch, ahash::RandomState>,
    waiting: VecDeque<(Watch, Arc<dyn KeyStore>)>,
    /// Each is woken by itself: thousands of answers do not poll each other.
    asked: FuturesUnordered<Asked>,
    /// How many may be asked for at once.
    most: usize,
    has_part: bool,
}

impl Sweeper {
    /// How often to sweep: twice a second, so that connections end within one second of their key.
    pub const INTERVAL: Duration = Duration::from_millis(500);

    pub(super) fn of(sockets: Arc<Sockets>) -> Self {
        Self {
            sockets,
            in_turn: HashSet::default(),
            waiting: VecDeque::new(),
            asked: FuturesUnordered::new(),
            most: AT_ONCE,
            has_part: true,
        }
    }

    /// Asks about every key once, 64 at a time, and up to 64 more where the store hangs, and ends the connections of those that are
    /// not valid any more. Dropping the future loses nothing: the next sweep goes on with what this one has not come to.
    ///
    /// `false`: no connection is left. The part is given back, and this sweeper is to be dropped.
    pub async fn sweep(&mut self) -> bool {
        if !self.begin() {
            return false;
        }
        poll_fn(|context| self.go_on(context)).await;
        true
    }

    /// Goes on as far as can be gone without waiting.
    fn go_on(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..IN_A_ROW {
            let next = if self.asked.len() < self.most { self.waiting.pop_front() } else { None };
            let (watch, at, found) = if let Some((watch, store)) = next {
                let at = self.sockets.clock.now();
                match unless_it_panics(|| store.find_by_id(&watch.id, at)).unwrap_or_else(Answer::fault) {
                    Answer::Ready(found) => (watch, at, found),
                    Answer::Pending(answer) => {
                        self.asked.push(Asked { watch, store, at, answer });
                        continue;
                    }
                }
            } else {
                match Pin::new(&mut self.asked).poll_next(context) {
                    Poll::Ready(Some(answered)) => answered,
                    // Nothing is asked for, so that there was room for whatever waits: nothing does.
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            };
            self.in_turn.remove(&watch);
            self.sockets.judge(watch, at, found);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn begin(&mut self) -> bool {
        let mut state = self.sockets.state();
        let watched: Vec<(Watch, Arc<dyn KeyStore>)> =
            state.watched.iter().map(|(watch, watched)| (*watch, watched.store.clone())).collect();
        if watched.is_empty() {
            state.has_sweeper = false;
            self.has_part = false;
            return false;
        }
        drop(state);
        self.tell_late_ones();
        for (watch, store) in watched {
            if self.in_turn.insert(watch) {
                self.waiting.push_back((watch, store));
            }
        }
        self.give_up_slow_ones();
        true
    }

    /// What the sweep before this one has not come to the end of.
    fn tell_late_ones(&mut self) {
        if self.in_turn.is_empty() {
            return;
        }
        let now = self.sockets.clock.now();
        tracing::error!(target: "keyward", keys = self.in_turn.len(), "keys with open connections could not be asked for in time");
        for watch in &self.in_turn {
            self.sockets.end_if_unconfirmed(*watch, now);
        }
    }

    fn give_up_slow_ones(&mut self) {
        let now = self.sockets.clock.now();
        let others_wait = !self.waiting.is_empty() && self.asked.len() >= AT_ONCE + SLOW_AT_ONCE;
        let is_given_up = |asked: &Asked| others_wait && elapsed(asked.at.steady, now) >= GIVEN_UP_AFTER;
        if self.asked.iter().any(|asked| is_over(asked.at.steady, now) || is_given_up(asked)) {
            for asked in mem::take(&mut self.asked) {
                if is_over(asked.at.steady, now) {
                    // Nobody waits any longer for this answer.
                    self.in_turn.remove(&asked.watch);
                } else if is_given_up(&asked) {
                    self.waiting.push_back((asked.watch, asked.store));
                } else {
                    self.asked.push(asked);
                }
            }
        }
        let slow = self.asked.iter().filter(|asked| elapsed(asked.at.steady, now) >= SLOW_AFTER).count();
        self.most = AT_ONCE + slow.min(SLOW_AT_ONCE);
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        if self.has_part {
            self.sockets.state().has_sweeper = false;
        }
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sweeper")
    }
}

/// What a store says, or that it panicked: with the sweep, it would end for all keys that are still to be asked for.
fn unless_it_panics<T>(ask: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(ask)).map_err(|_| Fault::new("the store panicked"))
}
