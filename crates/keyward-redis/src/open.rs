//! Setting limits up, and why they do not open.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward::limit::LocalLimits;
use tokio::runtime::Handle;

use crate::address::Address;
use crate::away::{AwayMode, Substitute};
use crate::failure::{Failure, FailureKind};
use crate::limits::RedisLimits;
use crate::name::Namespace;
use crate::shared::{Pace, Shared};
use crate::told::{Listener, Switch};

/// Sets [`RedisLimits`] up. `Debug` hides the address, which may hold a password.
#[must_use]
pub struct RedisBuilder {
    url: String,
    authorities: Option<Vec<u8>>,
    namespace: String,
    pace: Pace,
    mode: AwayMode,
    nodes: u32,
    counts_failures: bool,
    may_start_away: bool,
    listener: Listener,
}

impl RedisBuilder {
    pub(crate) fn new(url: String) -> Self {
        Self {
            url,
            authorities: None,
            namespace: "keyward".to_owned(),
            pace: Pace {
                timeout: Duration::from_millis(20),
                failures: 3,
                first_retry: Duration::from_millis(500),
                last_retry: Duration::from_secs(5),
            },
            mode: AwayMode::default(),
            nodes: 1,
            counts_failures: true,
            may_start_away: false,
            listener: Listener::default(),
        }
    }

    /// What all counters' names begin with (`keyward`): 1 to 64 letters, digits, `.`, `_`, `:` and `-`.
    ///
    /// Processes that share limits have the same one. Services that share a server without sharing limits have one each:
    /// quotas *per policy* are counted once for a namespace. In a cluster all of a namespace is on one node.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// How long a request waits for the server at most (20 ms), whatever it waits for.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.pace.timeout = timeout;
        self
    }

    /// After how many takes in a row that failed or came late the server counts as away (3); at least 1. It does, too, after as
    /// many of the last twenty, and at least ten. A connection that ends, or a server that tells that it cannot count for anybody
    /// (its memory is full, it is a replica), counts as that at once.
    pub fn failures(mut self, in_a_row: u32) -> Self {
        self.pace.failures = in_a_row.clamp(1, 1_000);
        self
    }

    /// How long to wait before the server is tried again (500 ms), and how long at most (5 seconds): each try that fails
    /// doubles the wait. One that stays for less than the latter counts as a try that failed.
    pub fn retry_after(mut self, first: Duration, at_most: Duration) -> Self {
        self.pace.first_retry = first.max(Duration::from_millis(1));
        self.pace.last_retry = at_most.max(self.pace.first_retry);
        self
    }

    /// What holds while the server is away ([`AwayMode::Local`]).
    pub fn mode(mut self, mode: AwayMode) -> Self {
        self.mode = mode;
        self
    }

    /// Among how many processes each quota is divided while the server is away and the mode is [`AwayMode::Local`] (1);
    /// at least 1. With fewer than there are, more can pass in all; with more, less than was promised.
    pub fn nodes(mut self, nodes: u32) -> Self {
        self.nodes = nodes.max(1);
        self
    }

    /// Counts bad keys (R3) in each process alone, which saves each of them a trip.
    pub fn without_failures(mut self) -> Self {
        self.counts_failures = false;
        self
    }

    /// Starts even if the server cannot be reached, as it would go on if that happened later. An address that cannot be read
    /// and a password that is refused are errors all the same.
    pub fn may_start_away(mut self) -> Self {
        self.may_start_away = true;
        self
    }

    /// Certificates (PEM) of whoever vouches for the server, in place of the system's: for an authority of your own.
    pub fn certificate_authorities(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities = Some(pem.into());
        self
    }

    /// Called whenever the server went away or came back, beside the log (`tracing`, target `keyward`). It is called on the
    /// runtime that does the work, one switch after the other, and should not block.
    pub fn on_switch(mut self, listen: impl Fn(&Switch) + Send + Sync + 'static) -> Self {
        self.listener = Listener::new(listen);
        self
    }

    /// Connects, and takes from a counter of its own to see that it can.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(self) -> Result<RedisLimits, OpenError> {
        let runtime = Handle::try_current().map_err(|_| {
            let text = "limits in Redis are opened on a tokio runtime, which does their work from then on: open them there";
            OpenError::new(OpenErrorKind::Runtime, text)
        })?;
        let namespace = Namespace::new(&self.namespace).ok_or_else(|| {
            let text = "the namespace has to have 1 to 64 letters, digits, `.`, `_`, `:` and `-`";
            OpenError::new(OpenErrorKind::Namespace, text)
        })?;
        let shared = Arc::new(Shared::new(
            runtime.clone(),
            Address::read(&self.url, self.authorities.as_deref())?,
            namespace,
            self.pace,
            Substitute { mode: self.mode, nodes: self.nodes, local: LocalLimits::new() },
            self.listener,
        ));
        let (opening, may_start_away) = (shared.clone(), self.may_start_away);
        // On the runtime that goes on, so that a caller who gives up leaves nothing half made.
        let task = runtime.spawn(async move { opening.start(may_start_away).await });
        let started = task.await;
        started.map_err(|error| OpenError::new(OpenErrorKind::Runtime, format!("the runtime ended: {error}")))??;
        Ok(RedisLimits::new(shared, self.counts_failures))
    }
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("namespace", &self.namespace)
            .field("pace", &self.pace)
            .field("mode", &self.mode)
            .field("nodes", &self.nodes)
            .field("counts_failures", &self.counts_failures)
            .finish_non_exhaustive()
    }
}

/// Why limits or tickets in Redis were not opened. The text says how to mend it; it holds no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct OpenError {
    kind: OpenErrorKind,
    text: String,
}

/// Of what kind an [`OpenError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// They were not opened on a tokio runtime.
    Runtime,
    /// The address cannot be read, or its certificates.
    Address,
    /// The namespace cannot be used.
    Namespace,
    /// The server refuses the user or the password, or the user may not do what is needed; or it has no such command, or no
    /// such database.
    Refused,
    /// The server cannot be reached, does not answer in time, or cannot count now.
    Away,
}

impl OpenError {
    pub(crate) fn new(kind: OpenErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    pub(crate) fn of(failure: Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Refused => OpenErrorKind::Refused,
            FailureKind::Away | FailureKind::Once | FailureKind::Counter => OpenErrorKind::Away,
        };
        Self::new(kind, format!("Redis cannot be used: {}", failure.text))
    }

    /// Of what kind it is.
    pub fn kind(&self) -> OpenErrorKind {
        self.kind
    }
}
