//! All orders in which threads can use and lose a connection (T11, T22): never two who make the next one, never nobody.

#[path = "../src/breaker.rs"]
mod breaker;

/// Loom's, in place of the standard library's: it runs the model once for each order that they allow.
mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

// What only the model counts is the standard library's: loom has not to try their orders too.
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use breaker::Breaker;
use loom::sync::Mutex;
use loom::thread;

/// As `shared.rs` does it: a place where all look for the connection, and the duty to fill it.
struct World {
    live: Mutex<Option<Arc<Breaker>>>,
    /// Who makes a connection at this moment.
    making: AtomicU32,
    made: AtomicU32,
}

impl World {
    /// With a connection that is in use.
    fn new() -> (Arc<Self>, Arc<Breaker>) {
        let first = Arc::new(Breaker::new());
        assert!(first.opened());
        let world = Self { live: Mutex::new(Some(first.clone())), making: AtomicU32::new(0), made: AtomicU32::new(1) };
        (Arc::new(world), first)
    }

    /// What whoever has the duty does. `ends`: how many of the connections made end before they are in use.
    fn make_another(&self, ends: u32) {
        assert_eq!(self.making.fetch_add(1, Ordering::SeqCst), 0, "two make a connection");
        *self.live.lock().unwrap() = None;
        for number in 0.. {
            let next = Arc::new(Breaker::new());
            self.made.fetch_add(1, Ordering::SeqCst);
            *self.live.lock().unwrap() = Some(next.clone());
            if number < ends {
                assert!(!next.ended(), "it was not in use: the duty is still here");
            }
            // The duty ends with the step that opens the breaker.
            self.making.fetch_sub(1, Ordering::SeqCst);
            if next.opened() {
                return;
            }
            self.making.fetch_add(1, Ordering::SeqCst);
            *self.live.lock().unwrap() = None;
        }
    }

    fn take(&self, most: u32, answered: bool) {
        let Some(live) = self.live.lock().unwrap().clone() else { return };
        if answered {
            live.succeeded();
        } else if live.failed(most) {
            self.make_another(0);
        }
    }

    fn expect_a_connection(&self) {
        assert_eq!(self.making.load(Ordering::SeqCst), 0);
        let live = self.live.lock().unwrap().clone().expect("nobody made a connection: away for ever");
        // It is in use, so its end is somebody's duty.
        assert!(live.ended(), "the connection in use has ended, and nobody makes another");
    }
}

#[test]
fn one_of_three_who_fail_makes_the_next_connection() {
    loom::model(|| {
        let (world, _) = World::new();
        let threads = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || world.take(1, false))
        });
        world.take(1, false);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.expect_a_connection();
        assert!((2..=4).contains(&world.made.load(Ordering::SeqCst)));
    });
}

#[test]
fn an_end_a_failure_and_a_success_at_once() {
    loom::model(|| {
        let (world, first) = World::new();
        let (failing, ending) = (world.clone(), world.clone());
        assert!(!first.failed(2));
        let fails = thread::spawn(move || failing.take(2, false));
        let ends = thread::spawn(move || {
            if first.ended() {
                ending.make_another(0);
            }
        });
        world.take(2, true);
        fails.join().unwrap();
        ends.join().unwrap();
        world.expect_a_connection();
    });
}

#[test]
fn a_connection_that_ends_before_it_is_used_is_made_again_by_the_same_hand() {
    loom::model(|| {
        let (world, first) = World::new();
        let failing = world.clone();
        let fails = thread::spawn(move || failing.take(1, false));
        if first.ended() {
            world.make_another(1);
        }
        fails.join().unwrap();
        world.expect_a_connection();
    });
}

#[test]
fn a_success_between_failures_starts_the_count_anew() {
    loom::model(|| {
        let (world, first) = World::new();
        assert!(!first.failed(2));
        first.succeeded();
        assert!(!first.failed(2), "one in a row");
        assert!(first.failed(2), "two in a row");
        assert!(!first.failed(2) && !first.ended(), "once is enough");
        first.succeeded();
        assert!(!first.failed(1), "given up is given up");
        drop(world);
    });
}

/// Every second one fails: never three in a row, and given up all the same.
#[test]
fn half_of_the_last_twenty_are_enough() {
    // Whoever lets eleven fail in a row has more patience.
    for (most, expected) in [(3, Some(19)), (10, Some(19)), (11, None), (30, None)] {
        loom::model(move || {
            let (_, first) = World::new();
            let mut given_up = None;
            for take in 0..60 {
                if take % 2 == 0 {
                    first.succeeded();
                } else if first.failed(most) {
                    assert_eq!(given_up.replace(take), None, "once is enough");
                }
            }
            assert_eq!(given_up, expected, "{most}");
        });
    }
    loom::model(|| {
        let (_, first) = World::new();
        for _ in 0..30 {
            assert!(!first.failed(3), "a third is not half");
            first.succeeded();
            first.succeeded();
        }
    });
}

#[test]
fn the_tenth_failure_of_twenty_in_any_order() {
    loom::model(|| {
        let (world, first) = World::new();
        for _ in 0..8 {
            assert!(!first.failed(3));
            first.succeeded();
        }
        let failing = world.clone();
        let fails = thread::spawn(move || failing.take(3, false));
        world.take(3, true);
        world.take(3, false);
        fails.join().unwrap();
        world.expect_a_connection();
        assert_eq!(world.made.load(Ordering::SeqCst), 2, "eight and two");
    });
}

/// As a server does that tells each of them that its memory is full.
#[test]
fn many_hear_at_once_that_nothing_is_counted() {
    loom::model(|| {
        let (world, _) = World::new();
        let hears = |world: &World| {
            let Some(live) = world.live.lock().unwrap().clone() else { return };
            if live.ended() {
                world.make_another(0);
            }
        };
        let threads = [(); 2].map(|()| {
            let world = world.clone();
            thread::spawn(move || hears(&world))
        });
        world.take(3, true);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.expect_a_connection();
        assert!((2..=3).contains(&world.made.load(Ordering::SeqCst)));
    });
}
