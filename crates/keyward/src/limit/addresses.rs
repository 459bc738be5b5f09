//! Quotas by client address: a table for each, all of the same addresses.
//!
//! What is charged is charged under every quota that there is a table for, also under those that this request is not asked by. So
//! a quota that comes back, or that another guard has, knows all that was charged meanwhile, and a new one begins with what is
//! taken of the others (R9.4). Rewriting one table whenever a quota changes was refused: requests of two guards that have
//! different quotas would rewrite it by turns, and round up what is taken each time.

use super::Quota;
use super::table::{AddressTable, Seed};

pub(super) struct Addresses {
    seed: Seed,
    counted: Vec<Counted>,
}

struct Counted {
    quota: Quota,
    table: AddressTable,
    /// When a request was last asked by it.
    asked: u64,
}

impl Counted {
    /// Nobody has gone by it for a whole window.
    fn is_unused(&self, now: u64) -> bool {
        let window = u64::try_from(self.quota.window().as_nanos()).unwrap_or(u64::MAX);
        self.asked.saturating_add(window) < now
    }
}

/// How many quotas are remembered beside those in use: each has a table of 8 MiB.
const MOST_RETIRED: usize = 8;

impl Addresses {
    pub(super) fn new() -> Self {
        Self { seed: Seed::new(), counted: Vec::new() }
    }

    /// What a quota's cell holds, or would begin with.
    pub(super) fn look(&self, bucket: u128, quota: Quota, now: u64) -> u64 {
        if let Some(counted) = self.counted.iter().find(|counted| counted.quota.gives_like(quota)) {
            return counted.table.look(bucket);
        }
        let taken = self.counted.iter().map(|counted| counted.quota.taken(counted.table.look(bucket), now));
        taken.max().map_or(0, |most| quota.cell_with(most, now))
    }

    /// Takes of every quota. Whether those that are asked by have as many was looked for before.
    pub(super) fn charge(&mut self, bucket: u128, cost: u32, now: u64) {
        for Counted { quota, table, .. } in &mut self.counted {
            let cell = table.cell(bucket);
            *cell = quota.noted(*cell, now, cost);
        }
    }

    /// A request is asked by these quotas. What nobody is asked by for a whole window is forgotten.
    pub(super) fn ask(&mut self, quotas: &[Quota], now: u64) {
        for quota in quotas {
            match self.counted.iter_mut().find(|counted| counted.quota.gives_like(*quota)) {
                Some(counted) => counted.asked = now,
                None => self.begin(*quota, now),
            }
        }
        if self.counted.len() > quotas.len() {
            self.counted.retain(|counted| !counted.is_unused(now));
        }
        while self.counted.len() > quotas.len() + MOST_RETIRED {
            // Those of this request were asked just now.
            let longest = (0..self.counted.len()).min_by_key(|&index| self.counted[index].asked);
            longest.map(|index| self.counted.swap_remove(index));
        }
    }

    fn begin(&mut self, quota: Quota, now: u64) {
        let before: Vec<_> = self.counted.iter().map(|counted| (counted.quota, &counted.table)).collect();
        let table = AddressTable::succeeding(&before, AddressTable::SETS, self.seed.clone(), quota, now);
        self.counted.push(Counted { quota, table, asked: now });
    }
}
