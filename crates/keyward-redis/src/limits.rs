//! What a guard is given.

use std::fmt;
use std::sync::Arc;

use keyward::Answer;
use keyward::limit::{Charge, Limits, Taking};

use crate::open::{OpenError, RedisBuilder};
use crate::request::Request;
use crate::shared::Shared;
use crate::told::Statistics;

/// Counts quotas and failure budgets in Redis or Valkey, for all processes that name the same server and namespace. Clones
/// share a connection.
///
/// The work is done on the runtime on which it was connected; decisions may wait for it on any, or on none.
#[derive(Clone)]
pub struct RedisLimits {
    shared: Arc<Shared>,
    counts_failures: bool,
}

impl RedisLimits {
    /// Connects to a server: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://…` for TLS, or `redis+unix:///PATH`;
    /// `valkey` in place of `redis` means the same.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, OpenError> {
        Self::builder(url).connect().await
    }

    /// Sets them up.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder::new(url.into())
    }

    pub(crate) fn new(shared: Arc<Shared>, counts_failures: bool) -> Self {
        Self { shared, counts_failures }
    }

    /// What was done so far.
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }
}

impl Limits for RedisLimits {
    fn take(&self, taking: &Taking<'_>) -> Answer<Charge> {
        if self.shared.is_away() {
            return Answer::Ready(self.shared.answer_away(taking));
        }
        let request = Request::of(taking, self.shared.namespace());
        let shared = self.shared.clone();
        Answer::Pending(Box::pin(async move { shared.take(&request).await }))
    }

    fn counts_failures(&self) -> bool {
        self.counts_failures
    }
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLimits").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}
