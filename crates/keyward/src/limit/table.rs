//! Cells by client address in a fixed amount of memory, for one quota.
//!
//! Sixteen bytes a cell, eight cells a set. A newcomer to a full set takes over the cell of which least is taken, with what was
//! taken of it, as space-saving counters do: what is counted for an address is never less than it took. So a flood of addresses
//! can crowd newcomers, and cannot free anybody: whoever was pushed out comes back to at least as much as it had left behind.
//! In a set of which little is taken, a newcomer takes over next to nothing. (Starting afresh in the place of whoever has a
//! permission to give again was refused: one interval after it was spent, a flood would free it.)

use std::hash::{BuildHasher, Hasher};

use smallvec::SmallVec;

use super::Quota;

const WAYS: usize = 8;

#[derive(Clone, Copy, Default)]
struct Cell {
    tag: u64,
    arrival: u64,
}

#[derive(Clone, Copy, Default)]
struct Set([Cell; WAYS]);

pub(super) struct AddressTable {
    /// Allocated with the first charge, so that a guard without budgets costs nothing.
    sets: Vec<Set>,
    size: usize,
    seed: Seed,
}

/// Of each process: otherwise an attacker could choose addresses that fall into one set. Tables of one seed keep an address in the
/// same set, under the same tag.
pub(super) type Seed = ahash::RandomState;

impl Set {
    /// Where an address is counted: in its own cell, or in the one of which least is taken. A free cell is such a one.
    fn way(&self, tag: u64) -> usize {
        let own = self.0.iter().position(|cell| cell.tag == tag);
        own.or_else(|| (0..WAYS).min_by_key(|&way| self.0[way].arrival)).unwrap_or(0)
    }

    fn arrival(&self, tag: u64) -> u64 {
        self.0[self.way(tag)].arrival
    }
}

impl AddressTable {
    /// Half a million addresses in 8 MiB.
    pub(super) const SETS: usize = 1 << 16;

    pub(super) fn new(size: usize, seed: Seed) -> Self {
        Self { sets: Vec::new(), size: size.next_power_of_two(), seed }
    }

    /// The cell of a bucket. A bucket that has none yet takes one over.
    pub(super) fn cell(&mut self, bucket: u128) -> &mut u64 {
        if self.sets.is_empty() {
            self.sets.resize(self.size, Set::default());
        }
        let (set, tag) = self.place(bucket);
        let set = &mut self.sets[set];
        let cell = &mut set.0[set.way(tag)];
        cell.tag = tag;
        &mut cell.arrival
    }

    /// What the cell holds, or would hold, without taking one over.
    pub(super) fn look(&self, bucket: u128) -> u64 {
        let (set, tag) = self.place(bucket);
        self.sets.get(set).map_or(0, |set| set.arrival(tag))
    }

    /// Rewrites every cell for another quota (R9.4).
    pub(super) fn convert(&mut self, from: Quota, to: Quota, now: u64) {
        if from.gives_like(to) {
            return;
        }
        for cell in self.sets.iter_mut().flat_map(|set| &mut set.0).filter(|cell| cell.arrival > now) {
            cell.arrival = to.cell_with(from.taken(cell.arrival, now), now);
        }
    }

    /// A table for another quota, in which of each address is taken what is taken in the table in which most is (R9.4). The
    /// tables are of one size and one seed.
    pub(super) fn succeeding(before: &[(Quota, &Self)], size: usize, seed: Seed, quota: Quota, now: u64) -> Self {
        let mut table = Self::new(size, seed);
        let used: SmallVec<[&(Quota, &Self); 4]> = before.iter().filter(|(_, before)| !before.sets.is_empty()).collect();
        if used.is_empty() {
            return table;
        }
        table.sets.resize(table.size, Set::default());
        for (index, set) in table.sets.iter_mut().enumerate() {
            let most = |tag| used.iter().map(|(quota, table)| quota.taken(table.sets[index].arrival(tag), now)).max();
            let tags = used.iter().flat_map(|(_, table)| table.sets[index].0).map(|cell| cell.tag).filter(|&tag| tag != 0);
            let mut taken: SmallVec<[(u64, u64); 4 * WAYS]> = tags.map(|tag| (most(tag).unwrap_or(0), tag)).collect();
            taken.sort_unstable_by(|one, other| other.cmp(one));
            taken.dedup();
            // Those that are left out have no more than the least of these, which is what they will be counted by.
            for (cell, (taken, tag)) in set.0.iter_mut().zip(taken) {
                *cell = Cell { tag, arrival: quota.cell_with(taken, now) };
            }
        }
        table
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

    const SECOND: u64 = 1_000_000_000;

    fn take(table: &mut AddressTable, bucket: u128, quota: Quota, now: u64, cost: u32) -> bool {
        if quota.take(table.look(bucket), now, cost).is_err() {
            return false;
        }
        let cell = table.cell(bucket);
        *cell = quota.take(*cell, now, cost).unwrap();
        true
    }

    #[test]
    fn a_spent_cell_survives_any_flood_and_memory_stays_fixed() {
        let quota: Quota = "3/minute".parse().unwrap();
        let mut table = AddressTable::new(16, Seed::new());
        let spent = (0..4).map(|_| take(&mut table, 7, quota, 1, 1)).collect::<Vec<_>>();
        assert_eq!(spent, [true, true, true, false]);
        for bucket in 1_000..101_000 {
            take(&mut table, bucket, quota, 2, 1);
        }
        assert!(!take(&mut table, 7, quota, 3, 1));
        assert_eq!(table.sets.capacity(), 16);
        assert_eq!(quota.remaining(table.look(7), 3), 0);
    }

    /// More addresses than a set has cells take turns, so that each is pushed out by the others and comes back.
    #[test]
    fn addresses_that_push_each_other_out_take_no_more_than_their_own() {
        let quota: Quota = "3/minute".parse().unwrap();
        for pause in [0, 1, SECOND, 7 * SECOND, 20 * SECOND - 1, 20 * SECOND, 61 * SECOND] {
            let mut table = AddressTable::new(1, Seed::new());
            let mut now = SECOND;
            let mut own = [0; 12];
            for _ in 0..200 {
                for (bucket, own) in own.iter_mut().enumerate() {
                    while take(&mut table, bucket as u128, quota, now, 1) {
                        *own = quota.take(*own, now, 1).expect("more than its own budget gives");
                    }
                    now += pause / 12;
                }
                now += pause;
            }
        }
    }

    #[test]
    fn a_newcomer_to_a_set_of_which_little_is_taken_has_nearly_all() {
        let quota: Quota = "20/minute".parse().unwrap();
        let mut table = AddressTable::new(1, Seed::new());
        // One is spent, and the others have taken one each.
        assert!(take(&mut table, 0, quota, 1, 20));
        assert!((1..8).all(|bucket| take(&mut table, bucket, quota, 1, 1)));
        assert_eq!(quota.remaining(table.look(8), 1), 19);
        assert!((8..8 + 7 * 19).all(|newcomer| take(&mut table, newcomer, quota, 1, 1)), "seven cells have 19 each");
        assert!(!take(&mut table, 0, quota, 1, 1));
        assert_eq!(quota.remaining(table.look(999), 1 + 3 * SECOND), 1);
        assert_eq!(quota.remaining(table.look(999), 1 + 60 * SECOND), 20);
    }

    #[test]
    fn a_table_for_another_quota_has_what_was_taken_of_each() {
        let (day, hour, minute): (Quota, Quota, Quota) =
            ("3/day".parse().unwrap(), "40/hour".parse().unwrap(), "10/minute".parse().unwrap());
        let seed = Seed::new();
        let mut before = [(day, AddressTable::new(4, seed.clone())), (hour, AddressTable::new(4, seed.clone()))];
        for bucket in 0..200 {
            let number = (bucket % 6) as usize;
            for (quota, table) in &mut before {
                (0..number).for_each(|_| {
                    take(table, bucket, *quota, 1, 1);
                });
            }
        }
        let before = before.each_ref().map(|(quota, table)| (*quota, table));
        let after = AddressTable::succeeding(&before, 4, seed, minute, 1);
        for bucket in 0..300 {
            let least = before.iter().map(|(quota, table)| quota.taken(table.look(bucket), 1)).max().unwrap();
            assert!(minute.taken(after.look(bucket), 1) >= least.min(10), "{bucket}");
        }
        let nothing = AddressTable::succeeding(&[(day, &AddressTable::new(4, Seed::new()))], 4, Seed::new(), minute, 1);
        assert_eq!((nothing.look(1), nothing.sets.len()), (0, 0));
    }
}
