//! The named cases of real WebSockets: opened through the guard or not (R12), by tickets (R14), and for how long.

mod client;
mod closing;
mod live;
mod opening;
mod tickets;

use std::fmt;

use futures_util::{FutureExt as _, future::LocalBoxFuture};

use crate::harness::Adapter;

/// What must come of one or several handshakes.
pub struct SocketCase {
    /// The rule's number and what it means here.
    pub name: &'static str,
    run: Box<dyn Fn(Adapter) -> LocalBoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl SocketCase {
    fn new<Ran>(name: &'static str, run: impl Fn(Adapter) -> Ran + Send + Sync + 'static) -> SocketCase
    where
        Ran: Future<Output = Result<(), String>> + 'static,
    {
        SocketCase { name, run: Box::new(move |adapter| run(adapter).boxed_local()) }
    }
}

impl fmt::Debug for SocketCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// Every case of how sockets open.
pub fn all() -> Vec<SocketCase> {
    [opening::cases(), closing::cases(), tickets::cases()].into_iter().flatten().collect()
}

/// Every case of how they end with their key, for adapters whose
/// [`LIVE_SOCKETS`](crate::harness::Harness::LIVE_SOCKETS) says that they do.
pub fn live() -> Vec<SocketCase> {
    live::cases()
}

/// Runs one case on an adapter.
///
/// # Errors
/// What came instead.
pub async fn run(adapter: Adapter, case: &SocketCase) -> Result<(), String> {
    (case.run)(adapter).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let names: Vec<&str> = super::all().iter().chain(&super::live()).map(|case| case.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.iter().all(|name| name.starts_with('R')));
    }
}
