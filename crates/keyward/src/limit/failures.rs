//! The failure budget (R3): how many bad keys one address may try.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Quota;
use super::table::AddressTable;
use crate::network::bucket;

/// Whose budget is charged.
#[derive(Clone, Copy)]
pub(crate) struct Debtor {
    pub(crate) address: IpAddr,
    /// Somebody behind that address who cannot be told from others.
    pub(crate) flagged: bool,
}

impl Debtor {
    fn bucket(self) -> u128 {
        // Apart from every address's own bucket: see [`bucket`].
        bucket(self.address) | u128::from(self.flagged) << 33
    }
}

#[derive(Clone)]
pub(crate) struct FailureBudget {
    quota: Quota,
    table: Arc<Mutex<AddressTable>>,
}

impl FailureBudget {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, table: Arc::new(Mutex::new(AddressTable::new(AddressTable::SETS))) }
    }

    /// The same addresses' failures, under a quota that may have changed: what was charged stays charged, and nobody is locked
    /// out for longer than the new window.
    pub(crate) fn sharing(&self, quota: Quota, now: u64) -> Self {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).convert(self.quota, quota, now);
        Self { quota, table: self.table.clone() }
    }

    /// How long until one more failure would be taken, if none is left now.
    pub(crate) fn spent(&self, debtor: Debtor, now: u64) -> Option<Duration> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.look(debtor.bucket(), self.quota, now);
        self.quota.take(cell, now).err().map(Duration::from_nanos)
    }

    /// Charges one failure.
    ///
    /// # Errors
    /// Spent: how long until one more would be taken. Nothing is charged then.
    pub(crate) fn charge(&self, debtor: Debtor, now: u64) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.cell(debtor.bucket(), self.quota, now);
        *cell = self.quota.take(*cell, now).map_err(Duration::from_nanos)?;
        Ok(())
    }
}
