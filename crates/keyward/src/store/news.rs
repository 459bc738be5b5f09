//! What a store tells those who keep records of it.

use crate::key::KeyId;

/// Listens to a store: see [`RecordStore::watch`](super::RecordStore::watch).
///
/// A store looks for changes now and then: it takes [`News::now`], asks for all changes since it last asked, tells them, and says
/// with [`News::verified`] that everything else was unchanged at that time. News that are lost, late or made up can make records be
/// reread too often; they can make none be kept too long, as long as `verified` is said in this order.
pub trait News: Send + Sync {
    /// The time by which ages are counted, in nanoseconds.
    fn now(&self) -> u64;

    /// Others may have changed these records.
    fn changed(&self, ids: &[KeyId]);

    /// These keys have been revoked.
    fn revoked(&self, ids: &[KeyId]);

    /// Anything may have changed.
    fn all_changed(&self);

    /// Every change that was there at `time` has been told.
    fn verified(&self, time: u64);
}
