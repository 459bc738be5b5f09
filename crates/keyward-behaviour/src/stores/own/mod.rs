//! The stores of this repository, each with its harness.

mod file;
pub(crate) mod folder;
mod memory;
pub(crate) mod sql;
mod trips;

use super::harness::Subject;

/// All of them.
pub fn all() -> Vec<Subject> {
    vec![
        Subject::of::<memory::Memory>(),
        Subject::of::<memory::WrittenDown>(),
        Subject::of::<memory::CachedMemory>(),
        Subject::of::<trips::CachedTrips>(),
        Subject::of::<file::File>(),
        Subject::of::<sql::Sqlite<true>>(),
        Subject::of::<sql::Sqlite<false>>(),
        Subject::of::<sql::PostgreSql<true>>(),
        Subject::of::<sql::PostgreSql<false>>(),
    ]
}
