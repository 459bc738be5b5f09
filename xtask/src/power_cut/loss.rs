//! Which part of what was not synced is lost when the power is cut.

use std::fmt;

/// One way to lose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// All of it, as if the disk had never heard of it.
    Everything,
    /// None of it: the disk was quick.
    Nothing,
    /// Names survived and what was written did not: a new file is empty, whatever it was renamed to.
    Data,
    /// The same, and sizes survived, too: a new file is full of zeros.
    DataButSizes,
    /// What was written survived, and names did not.
    Names,
    /// Any pages of any file, any sizes and any names.
    Anything,
    /// Names survived, and of each file what was written up to some byte.
    EndOfData,
}

impl Loss {
    /// Those that are the same whenever they are tried.
    const CERTAIN: [Self; 5] = [Self::Everything, Self::Nothing, Self::Data, Self::DataButSizes, Self::Names];
    const RANDOM: [Self; 2] = [Self::Anything, Self::EndOfData];

    /// All that are tried at one point, the random ones so many times.
    pub(super) fn all(repetitions: usize) -> impl Iterator<Item = Self> {
        Self::CERTAIN.into_iter().chain(Self::RANDOM.into_iter().cycle().take(repetitions * Self::RANDOM.len()))
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Everything => "all that was not synced is lost",
            Self::Nothing => "nothing is lost",
            Self::Data => "what was written and not synced is lost, names are not",
            Self::DataButSizes => "what was written and not synced is lost, names and sizes are not",
            Self::Names => "names that were not synced are lost",
            Self::Anything => "any pages, sizes and names that were not synced are lost",
            Self::EndOfData => "the end of what was written and not synced is lost",
        })
    }
}

/// SplitMix64: a seed gives the same numbers everywhere and for ever, which no crate promises for its generators.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The numbers of one point under a seed.
    pub(super) fn of(seed: u64, point: usize) -> Self {
        Self::new(Self::new(seed).next() ^ point as u64)
    }

    /// A number from zero up to and without the limit.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        // A lower bit is as good as a higher one, and the limits are so small that none is favoured.
        (self.next() % limit as u64) as usize
    }

    pub(super) fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_losses_are_repeated_and_the_others_are_not() {
        assert_eq!(Loss::all(0).count(), 5);
        let twice: Vec<_> = Loss::all(2).skip(5).collect();
        assert_eq!(twice, [Loss::Anything, Loss::EndOfData, Loss::Anything, Loss::EndOfData]);
    }

    #[test]
    fn a_seed_gives_the_published_numbers() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }
}
