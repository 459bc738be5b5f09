//! A store behind an `Arc`, so that a program can choose its store at run time: `Arc<dyn RecordStore>`.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, News, Presented, RecordStore, Refused, SlotUsage, Use,
};
use crate::answer::Answer;
use crate::clock::Now;
use crate::key::{KeyId, Record};

impl<S: KeyStore + ?Sized> KeyStore for Arc<S> {
    fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
        (**self).find(presented)
    }

    fn find_by_id(&self, id: &KeyId, now: Now) -> Answer<Option<Arc<Record>>> {
        (**self).find_by_id(id, now)
    }

    fn binds(&self, prefix: &str) -> bool {
        (**self).binds(prefix)
    }

    fn used(&self, used: &Use<'_>) {
        (**self).used(used);
    }
}

impl<S: RecordStore + ?Sized> RecordStore for Arc<S> {
    fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
        (**self).insert(insert, by)
    }

    fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
        (**self).get(id)
    }

    fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
        (**self).list(filter, after, limit)
    }

    fn change(&self, id: &KeyId, change: Change, by: Attribution) -> Answer<Result<Arc<Record>, Refused>> {
        (**self).change(id, change, by)
    }

    fn purge(&self, id: &KeyId, by: Attribution) -> Answer<Result<(), Refused>> {
        (**self).purge(id, by)
    }

    fn bind(&self, prefix: &str) -> Answer<Result<(), Refused>> {
        (**self).bind(prefix)
    }

    fn usage(&self, ids: &[KeyId]) -> Answer<Vec<SlotUsage>> {
        (**self).usage(ids)
    }

    fn journal(&self, after: u64, limit: usize) -> Answer<Vec<Journalled>> {
        (**self).journal(after, limit)
    }

    fn revocation_bound(&self) -> Duration {
        (**self).revocation_bound()
    }

    fn watch(&self, news: Weak<dyn News>) {
        (**self).watch(news);
    }
}
