//! All orders in which threads can take from one key's quota (T11): by the fast path, under the lock, while the quota is
//! exchanged for another, and while the counter is given up.
//!
//! The cells are the real ones (`limit/cells.rs`), with loom's atomics in place of the standard library's. The map and the lock
//! around them are a model of `limit/local.rs`, step by step, for one key; what is not a step of the two paths is left out.
//!
//! Without any bound in a release build (`cargo test --release -p keyward --test limit_orders`).

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the model needs a part of it")]
#[path = "../src/limit/quota.rs"]
mod quota;

#[allow(dead_code, reason = "the model needs a part of it")]
#[path = "../src/limit/cells.rs"]
mod cells;

/// Loom's: it runs the model once for each order that they allow.
mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering as Unmodelled};
use std::time::Duration;

use atomic::Ordering;
use cells::{Alone, Cells};
use loom::sync::Mutex;
use loom::thread;
use quota::Quota;

const NOW: u64 = 1;

#[derive(Default)]
struct World {
    /// What the map holds of the key. Its own lock is held for a look only, as `peek_with` pins an entry.
    map: Mutex<Option<Arc<Cells>>>,
    several: Mutex<()>,
    admitted: AtomicU32,
}

impl World {
    fn known(&self) -> Option<Arc<Cells>> {
        self.map.lock().unwrap().clone()
    }

    /// `take_together`, for this one bucket.
    fn take_together(&self, quota: Quota, now: u64, cost: u32, peek: bool) -> Alone {
        let _lock = self.several.lock().unwrap();
        let looked_at = |cells: &Cells| match quota.take(cells.look(0), now, cost) {
            Ok(cell) => Alone { cell, wait: None },
            Err(wait) => Alone { cell: cells.look(0), wait: Some(wait) },
        };
        let known = self.known();
        if peek {
            let seen = known.map(|known| if known.is_under(&[quota]) { known } else { known.seen_under(&[quota], now) });
            return looked_at(&seen.unwrap_or_else(|| Cells::new(&[quota])));
        }
        let cells = match known {
            Some(cells) if cells.is_under(&[quota]) && !cells.is_outdated(now) => cells,
            known => {
                let next = known.map_or_else(|| Cells::new(&[quota]), |old| old.moved_to(&[quota], now));
                *self.map.lock().unwrap() = None;
                *self.map.lock().unwrap() = Some(next.clone());
                next
            }
        };
        let mut taken = looked_at(&cells);
        if taken.wait.is_none()
            && let Some((quota, cell)) = cells.contested()
        {
            match cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, |cell| quota.take(cell, now, cost).ok()) {
                Ok(before) => taken.cell = quota.charged(before, now, cost),
                Err(cell) => taken = Alone { cell, wait: quota.take(cell, now, cost).err() },
            }
        } else if taken.wait.is_none() {
            cells.note(now, cost);
            taken.cell = cells.charge(0, now, cost);
        }
        taken
    }

    fn ask(&self, quota: Quota, now: u64, cost: u32, peek: bool) -> Alone {
        let alone = self.known().and_then(|cells| cells.take_alone(quota, now, cost, peek));
        alone.unwrap_or_else(|| self.take_together(quota, now, cost, peek))
    }

    fn take(&self, quota: Quota, cost: u32) {
        if expect_sense(quota, NOW, self.ask(quota, NOW, cost, false)) {
            self.admitted.fetch_add(cost, Unmodelled::SeqCst);
        }
    }

    /// What a sweep does with the counter.
    fn sweep(&self, now: u64) {
        let _lock = self.several.lock().unwrap();
        if self.known().is_some_and(|cells| cells.give_up(now)) {
            *self.map.lock().unwrap() = None;
        }
    }
}

/// Whether it was taken. What is told is what a quota can hold.
fn expect_sense(quota: Quota, now: u64, told: Alone) -> bool {
    assert!(told.cell <= quota.latest(now), "{} of {quota}", told.cell);
    assert!(told.wait.is_none_or(|wait| wait <= quota.nanoseconds()), "{:?} of {quota}", told.wait);
    told.wait.is_none()
}

fn quota(count: u32, seconds: u64) -> Quota {
    Quota::new(count, Duration::from_secs(seconds)).unwrap()
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut all = loom::model::Builder::new();
    // All orders take minutes in a debug build: there, those in which a thread is interrupted at most three times.
    all.preemption_bound = cfg!(debug_assertions).then_some(3);
    all.check(model);
}

/// Each list is one thread's requests: a quota and a cost.
fn all_orders(known: Option<Quota>, threads: &[&[(Quota, u32)]], admitted: u32) {
    let threads: Vec<Vec<(Quota, u32)>> = threads.iter().map(|requests| requests.to_vec()).collect();
    check(move || {
        let world = Arc::new(World::default());
        if let Some(quota) = known {
            *world.map.lock().unwrap() = Some(Cells::new(&[quota]));
        }
        let take_all =
            |world: &World, requests: &[(Quota, u32)]| requests.iter().for_each(|&(quota, cost)| world.take(quota, cost));
        let (own, others) = threads.split_first().unwrap();
        let others: Vec<_> = others
            .iter()
            .map(|requests| {
                let (world, requests) = (world.clone(), requests.clone());
                thread::spawn(move || take_all(&world, &requests))
            })
            .collect();
        take_all(&world, own);
        others.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(world.admitted.load(Unmodelled::SeqCst), admitted);
    });
}

#[test]
fn three_take_what_two_can_have() {
    let hour = quota(2, 3_600);
    all_orders(Some(hour), &[&[(hour, 1)], &[(hour, 1)], &[(hour, 1)]], 2);
}

#[test]
fn the_first_requests_of_a_key() {
    let hour = quota(1, 3_600);
    all_orders(None, &[&[(hour, 1)], &[(hour, 1)], &[(hour, 1)]], 1);
}

#[test]
fn all_of_a_quota_at_once_or_nothing_of_it() {
    let hour = quota(3, 3_600);
    all_orders(Some(hour), &[&[(hour, 3)], &[(hour, 3)]], 3);
    all_orders(None, &[&[(hour, 3)], &[(hour, 3)]], 3);
}

#[test]
fn a_window_that_is_exchanged_meanwhile() {
    let (hour, day) = (quota(2, 3_600), quota(2, 86_400));
    all_orders(Some(hour), &[&[(hour, 1), (hour, 1)], &[(day, 1), (day, 1)]], 2);
    all_orders(Some(hour), &[&[(hour, 1)], &[(hour, 1)], &[(day, 1)]], 2);
}

#[test]
fn a_name_that_is_exchanged_meanwhile() {
    let hour = quota(1, 3_600);
    let named = hour.named("hot").unwrap();
    all_orders(Some(hour), &[&[(hour, 1)], &[(hour, 1)], &[(named, 1)]], 1);
}

#[test]
fn a_count_that_is_exchanged_meanwhile() {
    let (two, one) = (quota(2, 3_600), quota(1, 3_600));
    all_orders(Some(two), &[&[(two, 1), (two, 1)], &[(one, 1), (one, 1)]], 2);
    all_orders(Some(two), &[&[(two, 1), (one, 1)], &[(two, 1), (two, 1)]], 2);
}

/// Whoever looks, alone or not, is told of the cell as it was or of the one that replaced it, and of nothing between.
#[test]
fn whoever_looks_or_is_refused_meanwhile_is_told_no_nonsense() {
    let (hour, wider) = (quota(1, 3_600), quota(2, 3_600));
    check(move || {
        let world = Arc::new(World::default());
        *world.map.lock().unwrap() = Some(Cells::new(&[hour]));
        world.take(hour, 1);
        let threads = [(hour, true), (wider, false)].map(|(quota, peek)| {
            let world = world.clone();
            thread::spawn(move || expect_sense(quota, NOW, world.ask(quota, NOW, 1, peek)))
        });
        world.take(hour, 1);
        threads.into_iter().for_each(|thread| _ = thread.join().unwrap());
    });
}

/// A counter that is full again is given up between a look and a charge, or not at all.
#[test]
fn what_is_given_up_meanwhile_has_no_charge() {
    let quotas = [quota(1, 3_600), quota(2, 86_400)];
    for [first, second] in [[quotas[0]; 2], quotas] {
        check(move || {
            let world = Arc::new(World::default());
            *world.map.lock().unwrap() = Some(Cells::new(&[first]));
            let threads = [first, second].map(|quota| {
                let world = world.clone();
                thread::spawn(move || world.take(quota, 2))
            });
            world.sweep(NOW);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            world.sweep(NOW);
            // Each takes all of its quota, so that nothing is left of the other.
            assert_eq!(world.admitted.load(Unmodelled::SeqCst), 2);
            assert!(world.known().is_some(), "what has a charge was given up");
        });
    }
}
