//! Cells by client address in a fixed amount of memory, for quotas of one window.
//!
//! Sixteen bytes a cell, eight cells a set. A newcomer takes the place of the set's cell that is closest to being full
//! again. A cell whose quota is spent is never given up: where a whole set is spent, its newcomers share the set's last cell,
//! so a flood of addresses can crowd newcomers, and cannot free anybody.

use std::hash::{BuildHasher, Hasher};

use super::Quota;

const WAYS: usize = 8;

#[derive(Clone, Copy, Default)]
struct Cell {
    tag: u64,
    arrival: u64,
}

#[derive(Clone, Copy, Default)]
struct Set {
    cells: [Cell; WAYS],
    shared: u64,
}

pub(super) struct AddressTable {
    /// Allocated with the first charge, so that a guard without budgets costs nothing.
    sets: Vec<Set>,
    size: usize,
    // Seeded for each process: otherwise an attacker could choose addresses that fall into one set.
    seed: ahash::RandomState,
}

impl AddressTable {
    /// Half a million addresses in 9 MiB.
    pub(super) const SETS: usize = 1 << 16;

    pub(super) fn new(size: usize) -> Self {
        Self { sets: Vec::new(), size: size.next_power_of_two(), seed: ahash::RandomState::new() }
    }

    /// The cell of a bucket. A bucket that has none yet gets one.
    pub(super) fn cell(&mut self, bucket: u128, quota: Quota, now: u64) -> &mut u64 {
        if self.sets.is_empty() {
            self.sets.resize(self.size, Set::default());
        }
        let (set, tag) = self.place(bucket);
        let set = &mut self.sets[set];
        let way = match set.cells.iter().position(|cell| cell.tag == tag) {
            Some(way) => way,
            None => {
                let oldest = (0..WAYS).min_by_key(|&way| set.cells[way].arrival).unwrap_or(0);
                if quota.remaining(set.cells[oldest].arrival, now) == 0 {
                    return &mut set.shared;
                }
                set.cells[oldest] = Cell { tag, arrival: 0 };
                oldest
            }
        };
        &mut set.cells[way].arrival
    }

    /// What the cell holds, without making one.
    pub(super) fn look(&self, bucket: u128, quota: Quota, now: u64) -> u64 {
        let (set, tag) = self.place(bucket);
        let Some(set) = self.sets.get(set) else { return 0 };
        match set.cells.iter().find(|cell| cell.tag == tag) {
            Some(cell) => cell.arrival,
            None if set.cells.iter().all(|cell| quota.remaining(cell.arrival, now) == 0) => set.shared,
            None => 0,
        }
    }

    /// Rewrites every cell for another quota (R9.4).
    pub(super) fn convert(&mut self, from: Quota, to: Quota, now: u64) {
        if (from.count(), from.window()) == (to.count(), to.window()) {
            return;
        }
        let convert = |cell: &mut u64| {
            if *cell > now {
                *cell = to.cell_with(from.taken(*cell, now), now);
            }
        };
        for set in &mut self.sets {
            set.cells.iter_mut().for_each(|cell| convert(&mut cell.arrival));
            convert(&mut set.shared);
        }
    }

    /// The set and the tag. The set comes from the middle bits, the tag from all; no tag is zero, which marks a free cell.
    fn place(&self, bucket: u128) -> (usize, u64) {
        let mut hasher = self.seed.build_hasher();
        hasher.write_u128(bucket);
        let hash = hasher.finish();
        ((hash >> 1) as usize & (self.size - 1), hash | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_cell_survives_any_flood_and_memory_stays_fixed() {
        let quota: Quota = "3/minute".parse().unwrap();
        let mut table = AddressTable::new(16);
        let take = |table: &mut AddressTable, bucket, now| {
            let cell = table.cell(bucket, quota, now);
            quota.take(*cell, now, 1).map(|next| *cell = next).is_ok()
        };
        let spent = (0..4).map(|_| take(&mut table, 7, 1)).collect::<Vec<_>>();
        assert_eq!(spent, [true, true, true, false]);
        for bucket in 1_000..101_000 {
            take(&mut table, bucket, 2);
        }
        assert!(!take(&mut table, 7, 3));
        assert_eq!(table.sets.capacity(), 16);
        assert_eq!(quota.remaining(table.look(7, quota, 3), 3), 0);
    }
}
