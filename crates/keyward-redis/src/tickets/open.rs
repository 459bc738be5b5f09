//! Setting up where used tickets are noted.

use std::fmt;
use std::time::Duration;

use tokio::runtime::Handle;

use super::RedisTickets;
use super::link::{Link, Opening};
use crate::address::Address;
use crate::failure::FailureKind;
use crate::name::Namespace;
use crate::open::{OpenError, OpenErrorKind};

/// Sets [`RedisTickets`] up. `Debug` hides the address, which may hold a password.
#[must_use]
pub struct RedisTicketsBuilder {
    url: String,
    authorities: Option<Vec<u8>>,
    namespace: String,
    timeout: Duration,
    most: u32,
    may_start_away: bool,
}

impl RedisTicketsBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            authorities: None,
            namespace: "keyward".to_owned(),
            timeout: Duration::from_millis(20),
            most: 1_000_000,
            may_start_away: false,
        }
    }

    /// What the name begins with under which used tickets are noted (`keyward`): 1 to 64 letters, digits, `.`, `_`, `:` and `-`.
    /// Processes that accept each other's tickets have the same one.
    pub fn namespace(mut self, name: impl Into<String>) -> Self {
        self.namespace = name.into();
        self
    }

    /// How long a handshake or a token endpoint waits for the server at most (20 ms), whatever it waits for.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many used tickets are noted, within 300 s (1,000,000: 3,333 a second, in some 200 MB of the server's memory). While there
    /// are more, no further ticket can be used. Processes that share them have the same number.
    pub fn most(mut self, most: u32) -> Self {
        self.most = most;
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

    /// Connects, and uses a ticket that nobody gets, to see that it can.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(self) -> Result<RedisTickets, OpenError> {
        let runtime = Handle::try_current().map_err(|_| {
            let text = "tickets in Redis are opened on a tokio runtime, which does their work from then on: open them there";
            OpenError::new(OpenErrorKind::Runtime, text)
        })?;
        let namespace = Namespace::new(&self.namespace).ok_or_else(|| {
            let text = "the namespace has to have 1 to 64 letters, digits, `.`, `_`, `:` and `-`";
            OpenError::new(OpenErrorKind::Namespace, text)
        })?;
        let address = Address::read(&self.url, self.authorities.as_deref())?;
        let opening = Opening::new(runtime.clone(), address, self.timeout, namespace);
        let may_start_away = self.may_start_away;
        // On the runtime that goes on, so that a caller who gives up leaves nothing half made.
        let opened = runtime.spawn(async move {
            match opening.connect().await {
                Err(failure) if !may_start_away || failure.kind == FailureKind::Refused => Err(OpenError::of(failure)),
                made => Ok(Link::keep(opening, made)),
            }
        });
        let opened = opened.await;
        let link = opened.map_err(|error| OpenError::new(OpenErrorKind::Runtime, format!("the runtime ended: {error}")))??;
        Ok(RedisTickets { link, most: self.most })
    }
}

impl fmt::Debug for RedisTicketsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTicketsBuilder")
            .field("namespace", &self.namespace)
            .field("timeout", &self.timeout)
            .field("most", &self.most)
            .field("may_start_away", &self.may_start_away)
            .finish_non_exhaustive()
    }
}
