//! What is told of trusted proxies that name no client.

use super::{Client, ClientHeader};
use crate::seldom::Seldom;

/// Tells it at most once a minute: what leaves the header out is most likely every request, or a client that wants the log full.
#[derive(Debug, Default)]
pub(crate) struct UnnamedClients {
    told: Seldom,
}

const MINUTE: u64 = 60 * 1_000_000_000;

impl UnnamedClients {
    /// Tells that a request came without the policy's header from a proxy that is trusted.
    pub(crate) fn tell(&self, client: &Client, header: ClientHeader, now: u64) {
        if self.told.due(now, MINUTE).is_none() {
            return;
        }
        let header = header.name();
        let taken_for = match client {
            Client { flagged: true, .. } => "its client passes no list of networks",
            Client { is_proxy: true, .. } => "the proxy is taken for the client, and no bad key is charged to it",
            Client { .. } => "the proxy is taken for the client",
        };
        tracing::warn!(
            target: "keyward",
            proxy = client.address.map(tracing::field::display),
            "a trusted proxy sent no {header}, which client_address_header names: {taken_for}. Check that the proxy sets it on every request; it may also have dropped it because the client asked for that (Connection: {header}), which a proxy in front of it has to refuse"
        );
    }
}
