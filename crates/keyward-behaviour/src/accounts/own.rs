//! The places of this repository, each with its harness.

use keyward::account::MemoryAccounts;

use super::harness::{AccountHarness, AccountSubject, BesideKeys};
use crate::stores::{
    Ability, Problem,
    own::sql::{PostgreSql, Sqlite},
};

/// All of them.
pub fn all() -> Vec<AccountSubject> {
    vec![
        AccountSubject::of::<Memory>(),
        AccountSubject::of::<BesideKeys<Sqlite<true>>>(),
        AccountSubject::of::<BesideKeys<PostgreSql<true>>>(),
    ]
}

/// Accounts in memory.
struct Memory;

impl AccountHarness for Memory {
    const NAME: &'static str = "memory";
    const LASTS: Ability = Ability::No("nothing is kept when the process ends");
    const SHARED: Ability = Ability::No("it is in one process's memory, and its clones are one place");
    // It is what the others are compared with.
    const SEQUENCES: u32 = 0;
    type Store = MemoryAccounts;
    type Place = ();

    fn start() -> Result<Memory, Problem> {
        Ok(Memory)
    }

    fn new_place(&self) -> Result<(), Problem> {
        Ok(())
    }

    async fn open(_: &()) -> Result<MemoryAccounts, Problem> {
        Ok(MemoryAccounts::new())
    }
}
