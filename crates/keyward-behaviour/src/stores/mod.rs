//! The suite that every store passes: one list of named cases, and random changes that are judged by a naive model.
//!
//! A store promises what [`RecordStore`](keyward::store::RecordStore) says; `C1` to `C5` in the names of cases are the five
//! paragraphs of that contract, and `R…` the rules of `docs/rules.md`. No store can leave a case out: what it cannot do is a
//! constant of its harness, with a reason, and the suite prints it.
//!
//! # Your own store
//!
//! Implement [`StoreHarness`] for it and let [`main`] be the `main` of a test with `harness = false`:
//!
//! ```toml
//! [dev-dependencies]
//! keyward-behaviour = { git = "https://github.com/keyward/keyward", default-features = false, features = ["stores"] }
//!
//! [[test]]
//! name = "stores"
//! harness = false
//! ```
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use keyward::{MemoryStore, clock::ManualClock};
//! use keyward_behaviour::stores::{self, Ability, Problem, StoreHarness};
//!
//! struct Mine;
//!
//! impl StoreHarness for Mine {
//!     const NAME: &'static str = "mine";
//!     const LASTS: Ability = Ability::No("it is in memory");
//!     const SHARED: Ability = Ability::No("it is in one process's memory");
//!     type Store = MemoryStore;
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
//!     async fn open(_: &(), _: ManualClock) -> Result<MemoryStore, Problem> {
//!         Ok(MemoryStore::new())
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     stores::main::<Mine>()
//! }
//! ```

mod any;
mod bench;
mod cases;
mod handles;
mod harness;
mod model;
#[cfg(feature = "own-stores")]
pub mod own;
mod problem;
mod property;
mod runtime;
mod steps;
mod trials;

pub use any::AnyStore;
pub use harness::{Ability, StoreHarness, Subject};
pub use problem::Problem;
pub(crate) use problem::{Outcome, holds, same};
pub use property::run as run_sequences;
pub(crate) use runtime::{entered, wait};
pub use trials::{first_failure, main, run};
