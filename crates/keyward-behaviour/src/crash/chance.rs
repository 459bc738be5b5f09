//! Numbers that look random, and are the same again for the same seed.

/// SplitMix64. A crate was refused: whoever has a seed wants the same changes next year, too.
pub(super) struct Chance(u64);

impl Chance {
    /// The numbers of one thing among all that belong to a seed.
    pub(super) fn new(seed: u64, of: u64) -> Chance {
        let start = Chance(seed).number();
        Chance(start ^ of.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, and without, `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.number().checked_rem(end).unwrap_or(0)
    }

    /// One time in so many.
    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of them, if there are any.
    pub(super) fn among<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let place = self.below(u64::try_from(all.len()).unwrap_or(u64::MAX));
        all.get(usize::try_from(place).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_another_one_does_not() {
        let numbers = |seed, of| {
            let mut chance = Chance::new(seed, of);
            [chance.number(), chance.number()]
        };
        assert_eq!(numbers(7, 1), numbers(7, 1));
        assert_ne!(numbers(7, 1), numbers(7, 2));
        assert_ne!(numbers(7, 1), numbers(8, 1));
        assert_ne!(numbers(0, 0)[0], numbers(0, 0)[1]);
    }

    #[test]
    fn every_number_below_the_end_comes_up_and_no_other() {
        let mut chance = Chance::new(1, 1);
        let seen: std::collections::BTreeSet<u64> = (0..1_000).map(|_| chance.below(5)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(chance.below(0), 0);
        assert_eq!(chance.among::<u8>(&[]), None);
    }
}
