//! Accounts, sessions and the management of keys, over real sockets of every adapter that mounts them.
//!
//! What they answer is judged by the tests of `keyward-admin`, without a framework. Here it is what a mount can get wrong: paths, bodies,
//! headers in both directions, who is at the other end, and what the application's own guard makes of it.

mod cases;
mod client;

use std::{io, net::TcpListener};

use keyward::Guard;
use keyward_admin::Admin;

use crate::harness::Running;

pub use cases::{Case, all};

/// A way to mount an [`Admin`] beside an application of one framework.
///
/// The application has one route, `GET /reports`, behind the guard; it answers the principal's name.
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    /// What the output calls it.
    pub name: &'static str,
    /// Starts the application.
    pub start: fn(Admin, Guard, TcpListener) -> io::Result<Running>,
}
