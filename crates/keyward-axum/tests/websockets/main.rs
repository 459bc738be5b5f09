//! WebSockets behind the guard, in a real axum with a real client.

mod denied;
mod live;
mod support;
mod tickets;
