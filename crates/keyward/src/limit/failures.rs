//! The failure budget (R3): how many bad keys one address may try.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Quota;
use super::table::AddressTable;
use crate::network::bucket;

pub(crate) struct FailureBudget {
    quota: Quota,
    table: Arc<Mutex<AddressTable>>,
}

impl FailureBudget {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, table: Arc::new(Mutex::new(AddressTable::new(AddressTable::SETS))) }
    }

    /// The same addresses' failures, under a quota that may have changed.
    pub(crate) fn sharing(&self, quota: Quota) -> Self {
        Self { quota, table: self.table.clone() }
    }

    /// How long until one more failure would be taken, if none is left now.
    pub(crate) fn spent(&self, address: IpAddr, now: u64) -> Option<Duration> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.look(bucket(address), 0, self.quota, now);
        self.quota.take(cell, now).err().map(Duration::from_nanos)
    }

    /// Charges one failure.
    ///
    /// # Errors
    /// Spent: how long until one more would be taken. Nothing is charged then.
    pub(crate) fn charge(&self, address: IpAddr, now: u64) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = table.cell(bucket(address), 0, self.quota, now);
        *cell = self.quota.take(*cell, now).map_err(Duration::from_nanos)?;
        Ok(())
    }
}
