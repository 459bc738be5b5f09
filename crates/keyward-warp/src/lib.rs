//! Keyward for warp: a server around the guard, filters that read what it decided, and scopes for each route.

mod accept;
mod denied;
mod filters;
mod server;
mod service;

pub use accept::Accept;
pub use denied::{Denied, recover};
pub use filters::{Authenticated, allowed_by, authenticated, client_address, maybe_authenticated, request_id};
pub use server::{Graceful, Never, Server, Unbound, serve};
pub use service::service;
