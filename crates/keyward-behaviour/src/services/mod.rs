//! Real servers for the tests of stores, each private to the test that starts it.
//!
//! A server that is not installed is an error, never a test that is skipped. What one is started in is a folder that is
//! watched from outside the test: however the test's process ends, the server goes with it. A further service is a further
//! file beside [`postgres`].
//!
//! Everything here blocks, so that tests with and without a runtime can use it, and needs Linux: processes are found in
//! `/proc`.

mod command;
mod error;
mod folder;
mod installed;
pub mod postgres;
mod processes;
pub mod redis;
mod server;

pub use error::ServiceError;
pub use installed::Installed;
