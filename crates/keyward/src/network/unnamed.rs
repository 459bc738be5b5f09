//! What is told of trusted proxies that name no client.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, ClientHeader};

/// Tells it at most once a minute: what leaves the header out is most likely every request, or a client that wants the log full.
#[derive(Debug, Default)]
pub(crate) struct UnnamedClients {
    /// Until when it was told, on the steady clock.
    told_until: AtomicU64,
}

const MINUTE: u64 = 60 * 1_000_000_000;

impl UnnamedClients {
    /// Tells that a request came without the policy's header from a proxy that is trusted.
    pub(crate) fn tell(&self, client: &Client, header: ClientHeader, now: u64) {
        if !self.is_due(now) {
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

    fn is_due(&self, now: u64) -> bool {
        let told_until = self.told_until.load(Ordering::Relaxed);
        // One of those who find it due at once tells it.
        told_until <= now
            && self
                .told_until
                .compare_exchange(told_until, now.saturating_add(MINUTE), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute() {
        let unnamed = UnnamedClients::default();
        let due = [0, 0, 1, MINUTE - 1, MINUTE, MINUTE + 1, 3 * MINUTE].map(|now| unnamed.is_due(now));
        assert_eq!(due, [true, false, false, false, true, false, true]);
    }
}
