//! The proof that no acknowledged change is lost when a process is killed, whenever that happens.
//!
//! A workload changes a store and tells of each change twice: `try N …` before it is made, and `ack N …` once the store has
//! acknowledged it. A driver kills it with SIGKILL at a random instant and has what is left checked: every change that was
//! acknowledged is there, the one that was under way is there whole or not at all, and nothing else is. Then it goes on with
//! the same store, or with a new one.
//!
//! - `log.rs`: the lines that the workload prints, and what was attempted according to them.
//! - `attempt.rs`: one change, as it is written down before it is made; chosen from a seed and its number.
//! - `expected.rs`: what has to be in the store after that.
//! - `work.rs`: makes the changes.
//! - `check.rs`: compares a store with what is expected.
//! - `drive.rs`: starts, kills and checks, until there were enough kills.
//!
//! The programs are `store-workload`, which works and checks, and `store-crash`, which drives it. The check knows nothing of how
//! changes were chosen: it reads the log alone.

mod attempt;
mod chance;
mod check;
mod drive;
mod expected;
mod log;
mod open;
mod place;
mod tally;
mod work;

pub use check::{Findings, check};
pub use drive::{Crash, STORE_VARIABLE};
pub use open::{Kind, Open, StoreUrl};
pub use tally::Tally;
pub use work::{Run, run};
