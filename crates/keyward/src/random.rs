//! Randomness, injected: secrets from the operating system, identifiers from a fast generator.

use crate::answer::Fault;

/// Where a [`Guard`](crate::Guard) and [`Keys`](crate::Keys) take random numbers from.
pub trait Random: Send + Sync {
    /// Fills `bytes` for a secret. Must be the operating system's generator or as good.
    ///
    /// # Errors
    /// When the generator cannot be read; nothing is made then.
    fn secret(&self, bytes: &mut [u8]) -> Result<(), Fault>;

    /// A number that does not repeat, for request and event ids. Nothing depends on its being unguessable.
    fn identifier(&self) -> u128;
}

/// The operating system's generator for secrets, the thread's own for identifiers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn secret(&self, bytes: &mut [u8]) -> Result<(), Fault> {
        getrandom::fill(bytes).map_err(|error| Fault::new(format!("the operating system's random generator failed: {error}")))
    }

    fn identifier(&self) -> u128 {
        rand::random()
    }
}
