//! Keyward for actix-web: a middleware, an extractor, and scopes for each route.

mod answer;
mod authenticated;
mod future;
mod lent;
mod names;
mod service;
mod strip;

pub use authenticated::{Authenticated, Unauthenticated};
pub use future::GuardFuture;
pub use service::{GuardMiddleware, GuardService};

use keyward::Guard;

/// Guards an application, a scope, a resource or a route: the argument of their `wrap`.
pub fn guard(guard: Guard) -> GuardMiddleware {
    GuardMiddleware::new(guard)
}
