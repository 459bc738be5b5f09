//! Accounts, sessions and the management of keys, over the same database (R16).

use std::net::SocketAddr;

use keyward::Guard;
use keyward::account::MemoryAccounts;
use keyward::audit::AuditSink;
use keyward_admin::{Admin, FailedAttempts, Registration};

use crate::configuration::Configuration;
use crate::failure::Failure;

/// Nobody signs up by themselves: whoever runs the server makes the first account, and administrators make others.
pub(super) fn open(
    configuration: &Configuration,
    guard: &Guard,
    (sink, attempts): (impl AuditSink + 'static, FailedAttempts),
    address: SocketAddr,
) -> Result<Admin, Failure> {
    let policy = configuration.policy().clone();
    // Where nothing else is said, pages come from where we listen.
    let policy = policy.with_default_public_url(&format!("http://{address}"));
    let policy = policy.map_err(|error| Failure::Configuration(error.to_string()))?;
    let builder = match configuration.database.accounts() {
        Some(accounts) => Admin::builder(configuration.keys(), accounts),
        None => Admin::builder(configuration.keys(), MemoryAccounts::new()).without_accounts(),
    };
    let builder = builder.policy(policy).sharing(guard).audit(sink).failed_attempts(attempts).registration(Registration::Closed);
    let builder = builder.workers(|job: keyward::Job| drop(tokio::task::spawn_blocking(job)));
    builder.build().map_err(|error| Failure::Fault(format!("accounts and the management of keys cannot be served: {error}")))
}
