//! The failure budget (R3): how many bad keys one address may try.
//!
//! Counted in this process always, where a look costs nothing; and, if the guard's limits are shared by several processes, there
//! too. What is refused there is known here from then on, so that an address that is blocked costs no more trips.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::table::{AddressTable, Seed};
use super::{Bucket, Limits, Quota, Taking, Whose};
use crate::answer::Fault;
use crate::clock::Now;
use crate::network::bucket;

/// Whose budget is charged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Debtor {
    pub(crate) address: IpAddr,
    /// Somebody behind that address who cannot be told from others.
    pub(crate) flagged: bool,
}

/// Apart from every address's own bucket: see [`bucket`].
pub(super) fn failures_bucket(address: IpAddr, flagged: bool) -> u128 {
    bucket(address) | u128::from(flagged) << 33 | 1 << 34
}

impl Debtor {
    fn bucket(self) -> u128 {
        failures_bucket(self.address, self.flagged)
    }
}

#[derive(Clone)]
pub(crate) struct FailureBudget {
    quota: Quota,
    table: Arc<Mutex<AddressTable>>,
    /// How many failures were charged.
    charged: Arc<AtomicU64>,
    shared: Option<Arc<dyn Limits>>,
}

impl FailureBudget {
    /// Counted in `limits` too, if these count failures.
    pub(crate) fn new(quota: Quota, limits: &Arc<dyn Limits>) -> Self {
        Self {
            quota,
            table: Arc::new(Mutex::new(AddressTable::new(AddressTable::SETS, Seed::new()))),
            charged: Arc::default(),
            shared: limits.counts_failures().then(|| limits.clone()),
        }
    }

    /// The same addresses' failures, under a quota that may have changed: what was charged stays charged, and nobody is locked
    /// out for longer than the new window.
    pub(crate) fn sharing(&self, quota: Quota, now: u64) -> Self {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).convert(self.quota, quota, now);
        Self { quota, ..self.clone() }
    }

    /// Whether a charge has to be waited for.
    pub(crate) fn may_wait(&self) -> bool {
        self.shared.is_some()
    }

    /// How long until one more failure would be taken, if none is left now. What others count is known by what they refused.
    pub(crate) fn spent(&self, debtor: Debtor, now: u64) -> Option<Duration> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.look(debtor.bucket());
        self.quota.take(cell, now, 1).err().map(Duration::from_nanos)
    }

    /// How many failures were charged, here and by guards that share it.
    pub(crate) fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }

    /// Charges one failure here alone.
    ///
    /// # Errors
    /// Spent: how long until one more would be taken. Nothing is charged then.
    pub(crate) fn charge(&self, debtor: Debtor, now: u64) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.cell(debtor.bucket());
        *cell = self.quota.take(*cell, now, 1).map_err(Duration::from_nanos)?;
        self.charged.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Charges one failure where others count too. As [`FailureBudget::charge`].
    pub(crate) async fn charge_shared(&self, debtor: Debtor, now: Now) -> Result<Result<(), Duration>, Fault> {
        let Some(shared) = &self.shared else { return Ok(Ok(())) };
        let Debtor { address, flagged } = debtor;
        let buckets = [Bucket { whose: Whose::Failures { address, flagged }, quotas: &[self.quota] }];
        let answer = shared.take(&Taking { now, buckets: &buckets, cost: 1, peek: false });
        let Some(wait) = answer.wait().await?.refused_for else { return Ok(Ok(())) };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.cell(debtor.bucket());
        *cell = (*cell).max(self.quota.refusing_for(wait, now.steady));
        Ok(Err(wait))
    }
}
