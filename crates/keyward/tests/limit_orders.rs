//! All orders in which threads can take from one key's quota (T11): by the fast path, under the lock, and while the quota is
//! exchanged for another.
//!
//! A model of `LocalLimits` for one key, with loom's atomics and lock in place of the real ones, step by step as in
//! `limit/local.rs`; what is not a step of the two paths (the map, other buckets) is left out. The arithmetic is the real one.
//!
//! Without any bound in a release build (`cargo test --release -p keyward --test limit_orders`).

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the model needs a part of it")]
#[path = "../src/limit/quota.rs"]
mod quota;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering as Unmodelled};
use std::time::Duration;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use quota::Quota;

const SEALED: u64 = u64::MAX;
const NOW: u64 = 1;

struct Cells {
    quota: Quota,
    cell: AtomicU64,
    /// Another window that counted here before: value, and how many were charged by then.
    retired: Option<(Quota, u64, u64)>,
    charged: AtomicU64,
}

#[derive(Default)]
struct World {
    /// What the map holds of the key. Its own lock is held for a look only, as `peek_with` pins an entry.
    map: Mutex<Option<Arc<Cells>>>,
    several: Mutex<()>,
    admitted: AtomicU32,
}

impl Cells {
    fn moved_to(&self, quota: Quota) -> Self {
        let seen = self.charged.load(Ordering::Acquire);
        let cell = self.cell.swap(SEALED, Ordering::AcqRel);
        let old = (self.quota, cell, seen);
        let known = [Some(old), self.retired].into_iter().flatten().find(|(known, ..)| known.window() == quota.window());
        let most = self.quota.taken(cell, NOW);
        let next = match known {
            Some((known, cell, then)) if known.count() == quota.count() && then == seen => cell,
            Some((known, cell, then)) => quota.cell_with(known.taken(cell, NOW) + (seen - then), NOW),
            None => quota.cell_with(most, NOW),
        };
        let retired = (old.0.window() != quota.window()).then_some(old);
        Self { quota, cell: AtomicU64::new(next), retired, charged: AtomicU64::new(seen) }
    }
}

impl World {
    fn peek(&self) -> Option<Arc<Cells>> {
        self.map.lock().unwrap().clone()
    }

    /// `take_alone`: `None` where the lock has to be asked for.
    fn take_alone(&self, quota: Quota, cost: u32) -> Option<bool> {
        let cells = self.peek()?;
        if cells.quota != quota || cells.retired.is_some() {
            return None;
        }
        let step = |cell| if cell == SEALED { None } else { quota.take(cell, NOW, cost).ok() };
        match cells.cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, step) {
            Ok(_) => Some(true),
            Err(SEALED) => None,
            Err(_) => Some(false),
        }
    }

    /// `take_together`, for this one bucket.
    fn take_together(&self, quota: Quota, cost: u32) -> bool {
        let _lock = self.several.lock().unwrap();
        let cells = match self.peek() {
            Some(cells) if cells.quota == quota => cells,
            Some(old) => {
                let moved = Arc::new(old.moved_to(quota));
                *self.map.lock().unwrap() = None;
                *self.map.lock().unwrap() = Some(moved.clone());
                moved
            }
            None => {
                let fresh = Arc::new(Cells { quota, cell: AtomicU64::new(0), retired: None, charged: AtomicU64::new(0) });
                *self.map.lock().unwrap() = Some(fresh.clone());
                fresh
            }
        };
        if quota.take(cells.cell.load(Ordering::Acquire), NOW, cost).is_err() {
            return false;
        }
        if cells.retired.is_none() {
            let step = |cell| quota.take(cell, NOW, cost).ok();
            if cells.cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).is_err() {
                return false;
            }
            cells.charged.fetch_add(u64::from(cost), Ordering::AcqRel);
        } else {
            cells.charged.fetch_add(u64::from(cost), Ordering::AcqRel);
            let step = |cell| Some(quota.charged(cell, NOW, cost));
            let _ = cells.cell.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        }
        true
    }

    fn take(&self, quota: Quota, cost: u32) {
        if self.take_alone(quota, cost).unwrap_or_else(|| self.take_together(quota, cost)) {
            self.admitted.fetch_add(cost, Unmodelled::SeqCst);
        }
    }
}

fn quota(count: u32, seconds: u64) -> Quota {
    Quota::new(count, Duration::from_secs(seconds)).unwrap()
}

/// Each list is one thread's requests: a quota and a cost.
fn all_orders(known: Option<Quota>, threads: &[&[(Quota, u32)]], admitted: u32) {
    let threads: Vec<Vec<(Quota, u32)>> = threads.iter().map(|requests| requests.to_vec()).collect();
    let mut model = loom::model::Builder::new();
    // All of them take minutes in a debug build: there, those in which a thread is interrupted at most three times.
    model.preemption_bound = cfg!(debug_assertions).then_some(3);
    model.check(move || {
        let world = Arc::new(World::default());
        if let Some(quota) = known {
            let cells = Cells { quota, cell: AtomicU64::new(0), retired: None, charged: AtomicU64::new(0) };
            *world.map.lock().unwrap() = Some(Arc::new(cells));
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
