//! The suite that every place for accounts and sessions passes: one list of named cases, and random changes beside accounts in
//! memory.
//!
//! A place promises what [`AccountStore`](keyward::account::AccountStore) says; `A1` to `A6` in the names of cases are the six
//! paragraphs of that contract, and `R…` the rules of `docs/rules.md`. What a place cannot do is a constant of its harness, with a
//! reason, and the suite prints it.
//!
//! # Your own
//!
//! Implement [`AccountHarness`] for it and let [`main`] be the `main` of a test with `harness = false`, as with
//! [`stores`](crate::stores). A store of keys that keeps accounts as well, and has a harness for its keys, has one for them too:
//! [`BesideKeys`].
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use keyward::account::MemoryAccounts;
//! use keyward_behaviour::{accounts::{self, AccountHarness}, stores::{Ability, Problem}};
//!
//! struct Mine;
//!
//! impl AccountHarness for Mine {
//!     const NAME: &'static str = "mine";
//!     const LASTS: Ability = Ability::No("it is in memory");
//!     const SHARED: Ability = Ability::No("it is in one process's memory");
//!     type Store = MemoryAccounts;
//!     type Place = ();
//!
//!     fn start() -> Result<Mine, Problem> {
//!         Ok(Mine)
//!     }
//!
//!     fn new_place(&self) -> Result<(), Problem> {
//!         Ok(())
//!     }
//!
//!     async fn open(_: &()) -> Result<MemoryAccounts, Problem> {
//!         Ok(MemoryAccounts::new())
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     accounts::main::<Mine>()
//! }
//! ```

mod any;
mod bench;
mod cases;
mod harness;
#[cfg(feature = "own-stores")]
pub mod own;
mod property;
mod steps;
mod trials;

pub use harness::{AccountHarness, AccountSubject, BesideKeys};
pub use trials::{first_failure, main, run};
