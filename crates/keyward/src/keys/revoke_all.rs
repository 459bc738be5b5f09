//! Ending many keys at once, in a hurry: a record that cannot be read keeps none of the others alive.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::{Keys, KeysError};
use crate::answer::Fault;
use crate::key::{KeyId, Record};
use crate::store::{Filter, Refused};

/// Keys that were ended together.
#[derive(Debug, Clone)]
pub struct RevokedAll {
    ids: Vec<KeyId>,
    within: Duration,
}

impl RevokedAll {
    /// Those that were not revoked before.
    pub fn ids(&self) -> &[KeyId] {
        &self.ids
    }

    /// How soon every process that shares the store refuses them. This one does already.
    pub fn holds_everywhere_within(&self) -> Duration {
        self.within
    }
}

/// Some of the keys that were to be ended together may not be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NotAllRevoked {
    /// Those that were ended.
    pub revoked: RevokedAll,
    /// Records that cannot be read, so that nobody can tell whether they were meant, or for which ending was not acknowledged.
    pub unreadable: Vec<(KeyId, Fault)>,
    /// Why it was not gone through to the end, if so.
    pub stopped: Option<KeysError>,
}

impl std::error::Error for NotAllRevoked {}

impl fmt::Display for NotAllRevoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys were revoked", self.revoked.ids.len())?;
        for (id, fault) in &self.unreadable {
            write!(f, "; key {id} cannot be read ({fault}): revoke it by its id if it is meant")?;
        }
        match &self.stopped {
            Some(error) => write!(f, "; then it stopped, and others may be left: {error}"),
            None => Ok(()),
        }
    }
}

impl From<NotAllRevoked> for KeysError {
    fn from(error: NotAllRevoked) -> Self {
        Self::Fault(Fault::new(error.to_string()))
    }
}

impl Keys {
    /// Ends every key that a filter means, those that are made meanwhile included. Goes through all of them, one change each. Where
    /// a listing fails on a record, the others are found one by one, by the ids in the journal.
    ///
    /// # Errors
    /// [`NotAllRevoked`]: what was ended, what could not be read, and whether it stopped early. Try again until it is acknowledged.
    pub async fn revoke_all(&self, filter: &Filter) -> Result<RevokedAll, NotAllRevoked> {
        let mut sweep = Sweep { keys: self, filter, ids: Vec::new(), unreadable: Vec::new() };
        let stopped = match sweep.by_pages().await {
            // Perhaps because of one record. If the store is away, this fails as well.
            Err(KeysError::Fault(of_pages)) => match sweep.by_ids().await {
                Ok(true) => None,
                // It names the record, as far as anybody can.
                Ok(false) => Some(of_pages.into()),
                Err(error) => Some(error),
            },
            swept => swept.err(),
        };
        let Sweep { ids, unreadable, .. } = sweep;
        let revoked = RevokedAll { ids, within: self.store.revocation_bound() };
        if stopped.is_none() && unreadable.is_empty() { Ok(revoked) } else { Err(NotAllRevoked { revoked, unreadable, stopped }) }
    }
}

struct Sweep<'k> {
    keys: &'k Keys,
    filter: &'k Filter,
    ids: Vec<KeyId>,
    unreadable: Vec<(KeyId, Fault)>,
}

impl Sweep<'_> {
    async fn by_pages(&mut self) -> Result<(), KeysError> {
        loop {
            // From the start each time, until nobody is left: so a key that was made behind our back is found as well.
            let before = self.ids.len();
            let mut after = None;
            loop {
                let page = self.keys.list(self.filter, after, Keys::PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                for record in page.iter().filter(|record| !record.is_revoked()) {
                    self.end(record).await?;
                }
            }
            if self.ids.len() == before {
                return Ok(());
            }
        }
    }

    /// Every key was made once, and the journal says so. Slower by far than pages, and nothing depends on a neighbour. Whether all of
    /// the journal could be read.
    async fn by_ids(&mut self) -> Result<bool, KeysError> {
        let (mut seen, mut after, mut limit, mut is_whole) = (BTreeSet::new(), 0, Keys::PAGE, true);
        loop {
            match self.keys.journal(after, limit).await {
                Ok(rows) => {
                    let Some(last) = rows.last() else { return Ok(is_whole) };
                    (after, limit) = (last.number, Keys::PAGE);
                    for id in rows.iter().map(|row| row.key) {
                        if seen.insert(id) {
                            self.look_at(id).await?;
                        }
                    }
                }
                Err(KeysError::Fault(_)) => {
                    self.check_store().await?;
                    // Closer to the row that is damaged, and then over it.
                    if limit > 1 {
                        limit /= 2;
                    } else {
                        (after, is_whole) = (after + 1, false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn look_at(&mut self, id: KeyId) -> Result<(), KeysError> {
        match self.keys.get(&id).await {
            Ok(Some(record)) if !record.is_revoked() && self.filter.matches(&record) => self.end(&record).await,
            Ok(_) => Ok(()),
            Err(KeysError::Fault(fault)) => self.pass(id, fault).await,
            Err(error) => Err(error),
        }
    }

    async fn end(&mut self, record: &Record) -> Result<(), KeysError> {
        match self.keys.revoke(&record.id).await {
            Ok(_) => self.ids.push(record.id),
            // Purged meanwhile.
            Err(KeysError::Refused(Refused::NotFound)) => {}
            Err(KeysError::Fault(fault)) => self.pass(record.id, fault).await?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Goes on behind a record.
    async fn pass(&mut self, id: KeyId, fault: Fault) -> Result<(), KeysError> {
        if self.unreadable.iter().all(|(other, _)| *other != id) {
            self.unreadable.push((id, fault));
        }
        self.check_store().await
    }

    /// Whether it is the whole store that fails: each of a million records would be waited for.
    async fn check_store(&self) -> Result<(), KeysError> {
        self.keys.journal(u64::MAX, 1).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::NewKey;
    use crate::answer::Answer;
    use crate::memory::MemoryStore;
    use crate::store::{Attribution, Change, Insert, Inserted, Journalled, KeyStore, Presented, RecordStore, SlotUsage};

    /// A store in which the records of one name cannot be read, and which is away where that is empty.
    struct Damaged(MemoryStore, &'static str);

    impl Damaged {
        fn check<T>(&self, records: impl IntoIterator<Item = Arc<Record>>, answer: Answer<T>) -> Answer<T> {
            let is_bad = |record: Arc<Record>| *record.name == *self.1;
            if records.into_iter().any(is_bad) { Answer::fault(Fault::new("damaged")) } else { answer }
        }
    }

    impl KeyStore for Damaged {
        fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
            self.0.find(presented)
        }
    }

    impl RecordStore for Damaged {
        fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
            self.0.insert(insert, by)
        }

        fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
            let Answer::Ready(Ok(found)) = self.0.get(id) else { panic!("in memory") };
            self.check(found.clone(), Answer::ready(found))
        }

        fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
            let Answer::Ready(Ok(page)) = self.0.list(filter, after, limit) else { panic!("in memory") };
            self.check(page.clone(), Answer::ready(page))
        }

        fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
            self.0.change(id, change, by)
        }

        fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
            self.0.purge(id, by)
        }

        fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
            self.0.bind(prefix)
        }

        fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
            self.0.usage(ids)
        }

        fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
            if self.1.is_empty() { Answer::fault(Fault::new("away")) } else { self.0.journal(after, limit) }
        }
    }

    #[test]
    fn a_damaged_record_keeps_no_other_key_alive() {
        let store = MemoryStore::new();
        let keys = Keys::new(store.clone());
        let make =
            |name: &str, owner: &str| pollster::block_on(keys.create(NewKey::named(name).owner(owner))).unwrap().record().id;
        let (first, bad, others, last) = (make("a", "ada"), make("bad", "ada"), make("b", "bob"), make("c", "ada"));
        let filter = Filter { owner: Some("ada".into()), ..Filter::default() };
        let told = pollster::block_on(Keys::new(Damaged(store.clone(), "bad")).revoke_all(&filter)).unwrap_err();
        assert_eq!((told.revoked.ids(), told.unreadable.len(), told.unreadable[0].0), (&[first, last][..], 1, bad));
        assert!(told.stopped.is_none() && told.to_string().contains(bad.as_str()), "{told}");
        let is_revoked = |id: &KeyId| pollster::block_on(keys.get(id)).unwrap().unwrap().is_revoked();
        assert!(is_revoked(&last) && !is_revoked(&others));
    }

    #[test]
    fn a_store_that_is_away_is_not_asked_for_each_key() {
        let store = MemoryStore::new();
        pollster::block_on(Keys::new(store.clone()).create(NewKey::named(""))).unwrap();
        let told = pollster::block_on(Keys::new(Damaged(store, "")).revoke_all(&Filter::default())).unwrap_err();
        assert!(told.revoked.ids().is_empty() && told.unreadable.is_empty() && told.stopped.is_some(), "{told}");
    }
}
