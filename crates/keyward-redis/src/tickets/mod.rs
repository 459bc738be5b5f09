//! Single use of tickets among several servers (R14.1).

mod link;
mod open;
mod request;

pub use open::RedisTicketsBuilder;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyward::clock::Now;
use keyward::key::KeyId;
use keyward::ticket::{Spent, TicketId, UsedTickets};
use keyward::{Answer, Fault};

use crate::failure::Failure;
use crate::open::OpenError;
use link::Link;
use request::{Named, Request};

/// Remembers used tickets in Redis or Valkey, so that each works once among all processes that name the same server and
/// namespace. Clones share a connection.
///
/// While the server cannot be asked, or does not answer within the time-out, every answer is a fault: no ticket is made, and
/// none is used. Whether a ticket was used is never guessed. One whose answer came late may count as used.
///
/// An id is the name of a generation (8 bytes), the server's time in microseconds at which it was made (8), and 16 random bytes. A
/// generation begins where the server has none, and where it has been started, or has taken over from another one, since it
/// began. A ticket of another generation is forgotten, and so is one that is older than its lifetime by the server's clock.
///
/// So many are noted and no more ([`RedisTicketsBuilder::most`]); one key's are at most as many as there is room left for others'.
///
/// The work is done on the runtime on which it was connected; decisions may wait for it on any, or on none.
///
/// ```no_run
/// use keyward::ticket::{ServerSecret, Tickets};
/// use keyward::{Guard, MemoryStore, Policy};
/// use keyward_redis::RedisTickets;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let used = RedisTickets::connect("redis://127.0.0.1:6379").await?;
///     let secret: ServerSecret = std::fs::read_to_string("/run/secrets/keyward")?.parse()?;
///     let policy = Policy::from_toml("policy.toml", "[tickets]\nquery = \"token\"")?;
///     let guard = Guard::builder(policy).store(MemoryStore::new()).tickets(Tickets::new(secret).used(used)).build()?;
///
///     let _ = guard; // give it to an adapter
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct RedisTickets {
    link: Arc<Link>,
    most: u32,
}

impl RedisTickets {
    /// Connects to a server: `redis://USER:PASSWORD@HOST:PORT/DATABASE`, `rediss://…` for TLS, or `redis+unix:///PATH`;
    /// `valkey` in place of `redis` means the same.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn connect(url: impl Into<String>) -> Result<Self, OpenError> {
        Self::builder(url).connect().await
    }

    /// Sets it up.
    pub fn builder(url: impl Into<String>) -> RedisTicketsBuilder {
        RedisTicketsBuilder::new(url.into())
    }

    /// Whether the server is away, as far as is known. Then every answer is a fault.
    pub fn is_away(&self) -> bool {
        self.link.is_away()
    }
}

impl UsedTickets for RedisTickets {
    fn issue(&self, _now: Now) -> Answer<TicketId> {
        let link = self.link.clone();
        Answer::Pending(Box::pin(async move {
            let request = Request::issue().map_err(|failure| fault("made", &failure))?;
            let named = link.ask::<Named>(&request).await.and_then(request::id);
            named.map_err(|failure| fault("made", &failure))
        }))
    }

    fn spend(&self, id: &TicketId, key: &KeyId, lifetime: Duration, _now: Now, peek: bool) -> Answer<Spent> {
        let (link, key, most) = (self.link.clone(), *key, self.most);
        let request = Request::Spend { id: *id, key: Some(key), lifetime, most, peek };
        Answer::Pending(Box::pin(async move {
            let spent = match link.ask::<u8>(&request).await {
                Ok(0) => Ok(Spent::Forgotten),
                Ok(1) => Ok(Spent::First),
                Ok(2) => Ok(Spent::Before),
                Ok(3) => {
                    return Err(Fault::new(format!(
                        "the key {key} has used as many tickets within 300 s as, of {most}, there is room left for in Redis: limit how \
                         often keys may ask for tickets (`limits.per_key`)"
                    )));
                }
                Ok(_) => Err(request::no_sense()),
                Err(failure) => Err(failure),
            };
            spent.map_err(|failure| fault("used", &failure))
        }))
    }
}

fn fault(what: &str, failure: &Failure) -> Fault {
    Fault::new(format!("a ticket cannot be {what} while Redis cannot be asked: {}", failure.text))
}

impl fmt::Debug for RedisTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTickets").field("is_away", &self.is_away()).finish_non_exhaustive()
    }
}
