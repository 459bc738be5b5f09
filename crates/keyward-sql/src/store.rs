//! What users hold: a database with records of it kept in memory.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use keyward::clock::Clock;
use keyward::{Cached, Fault};

use crate::database::{Database, Settings};

/// What can be set of both kinds of store.
pub(crate) struct Common {
    pub(crate) settings: Settings,
    pub(crate) max_staleness: Duration,
    pub(crate) capacity: usize,
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl Common {
    pub(crate) fn new(max_staleness: Duration, watch_every: Duration) -> Self {
        let deadline = Duration::from_secs(5);
        let usage_every = Duration::from_secs(10);
        Self {
            settings: Settings { read_only: false, deadline, usage_every, watch_every },
            max_staleness,
            capacity: 100_000,
            clock: None,
        }
    }

    /// The settings. Who wants to hear of changes sooner than usual is told sooner.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        if !self.max_staleness.is_zero() {
            settings.watch_every = settings.watch_every.min(self.max_staleness / 4).max(Duration::from_millis(50));
        }
        settings
    }

    pub(crate) fn cached(self, database: Database) -> Cached<Database> {
        let builder = Cached::builder().max_staleness(self.max_staleness).capacity(self.capacity);
        match self.clock {
            None => builder.over(database),
            Some(clock) => builder.clock(clock).over(database),
        }
    }
}

impl fmt::Debug for Common {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Common")
            .field("settings", &self.settings)
            .field("max_staleness", &self.max_staleness)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// Setters of a builder with a field `common`.
macro_rules! common_setters {
    ($default:literal) => {
        #[doc = concat!("How long a record may be used without word from the database (", $default, "): how soon a revocation made elsewhere holds here")]
        /// in the worst case. Zero asks the database each time.
        pub fn max_staleness(mut self, age: Duration) -> Self {
            self.common.max_staleness = age;
            self
        }

        /// How many records are kept in memory at most (100,000).
        pub fn capacity(mut self, records: usize) -> Self {
            self.common.capacity = records;
            self
        }

        /// How long one query may take (5 seconds). What takes longer is a fault, and the request 503.
        pub fn deadline(mut self, deadline: Duration) -> Self {
            self.common.settings.deadline = deadline;
            self
        }

        /// How often uses are written (10 seconds): so many of them are lost at most when the process is killed.
        pub fn usage_every(mut self, every: Duration) -> Self {
            self.common.settings.usage_every = every;
            self
        }

        /// Another clock: the guard's.
        pub fn clock(mut self, clock: impl keyward::clock::Clock + 'static) -> Self {
            self.common.clock = Some(std::sync::Arc::new(clock));
            self
        }
    };
}
pub(crate) use common_setters;

/// Makes a newtype of `Cached<Database>` a store.
macro_rules! delegated {
    ($store:ident) => {
        impl $store {
            /// Writes the uses that are not written yet, ends the tasks in the background and closes all connections. Whoever asks
            /// this store, or a clone of it, for anything that is not in memory gets a fault from then on.
            ///
            /// A store that is dropped without this loses the uses since they were last written.
            ///
            /// # Errors
            /// If uses could not be written; everything is closed all the same.
            pub async fn close(&self) -> Result<(), Fault> {
                self.0.store().close().wait().await
            }

            /// What is kept in memory of the database, and how often it was asked: for a page of metrics.
            pub fn cache_statistics(&self) -> keyward::CacheStatistics {
                self.0.statistics()
            }
        }

        impl KeyStore for $store {
            fn find(&self, presented: &Presented<'_>) -> Answer<Option<Arc<Record>>> {
                self.0.find(presented)
            }

            fn find_by_id(&self, id: &KeyId, now: keyward::clock::Now) -> Answer<Option<Arc<Record>>> {
                self.0.find_by_id(id, now)
            }

            fn binds(&self, prefix: &str) -> bool {
                self.0.binds(prefix)
            }

            fn used(&self, used: &Use<'_>) {
                self.0.used(used);
            }
        }

        impl RecordStore for $store {
            fn insert(&self, insert: Insert, by: Attribution) -> Answer<Inserted> {
                self.0.insert(insert, by)
            }

            fn get(&self, id: &KeyId) -> Answer<Option<Arc<Record>>> {
                self.0.get(id)
            }

            fn list(&self, filter: &Filter, after: Option<KeyId>, limit: usize) -> Answer<Vec<Arc<Record>>> {
                self.0.list(filter, after, limit)
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
                self.0.journal(after, limit)
            }

            fn revocation_bound(&self) -> Duration {
                self.0.revocation_bound()
            }

            fn watch(&self, news: Weak<dyn News>) {
                self.0.watch(news);
            }
        }
    };
}

use keyward::Answer;
use keyward::key::{KeyId, Record};
use keyward::store::{
    Attribution, Change, Filter, Insert, Inserted, Journalled, KeyStore, News, Presented, RecordStore, Refused, SlotUsage, Use,
};

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

delegated!(SqliteStore);
delegated!(PostgresStore);
