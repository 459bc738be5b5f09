//! Worlds out of the suite's own generator, steered by the fuzzer's bytes in place of random numbers.
//!
//! Its policies are always good ones and its requests nearly so, and thus get to the rules at the end of a decision, where text
//! seldom gets; it knows nothing of what the generator's author did not think of, which `decision` is for.

use proptest::{
    strategy::{BoxedStrategy, Strategy as _, ValueTree as _},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::step::step;
use crate::{
    compare::leaks,
    generate::{World, worlds_without_some_peers},
};

thread_local! {
    static WORLDS: BoxedStrategy<World> = worlds_without_some_peers().boxed();
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some(world) = world(data) else { return };
    let answers = step(&world);
    let secrets = world.secrets();
    for received in answers {
        let found = leaks(&secrets, &received, &[]);
        assert!(found.is_empty(), "{world:?}\n{}", found.join("\n"));
    }
}

/// The world that the bytes stand for; `None` if a filter of the generator gives up.
pub fn world(data: &[u8]) -> Option<World> {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::PassThrough, &steering(data)));
    WORLDS.with(|worlds| worlds.new_tree(&mut runner).ok().map(|tree| tree.current()))
}

/// More than a world takes, even after it has been halved for the parts that take numbers of their own.
const STEERING: usize = 64 * 1_024;

/// The fuzzer's bytes, then themselves again and again under noise: the generator draws again while it gets nothing but zeros,
/// which is what it gets after the last byte.
fn steering(data: &[u8]) -> Vec<u8> {
    let noise = |index: usize| ((index as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let chosen = |index: usize| data.get(index % data.len().max(1)).copied().unwrap_or(0);
    data.iter().copied().chain((data.len()..STEERING).map(|index| chosen(index) ^ noise(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_make_a_difference() {
        let zeros = world(&[]).unwrap();
        let others: Vec<u8> = (0..4_096_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert_ne!(format!("{zeros:?}"), format!("{:?}", world(&others).unwrap()));
    }
}
