//! Quotas and failure budgets counted in Redis or Valkey, for several processes.
//!
//! [`RedisLimits`] are [`Limits`](keyward::limit::Limits) for a guard. This crate decides nothing but whether a quota gives: it
//! stores no key, and a server that is lost takes with it what was counted and nothing else.
//!
//! ```no_run
//! use keyward::{Guard, Policy};
//! use keyward_redis::{AwayMode, RedisLimits};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let limits = RedisLimits::builder("rediss://limits:PASSWORD@redis.internal:6379")
//!         .namespace("reports")
//!         .mode(AwayMode::Local)
//!         .nodes(4)
//!         .on_switch(|switch| eprintln!("away: {}, since {}: {}", switch.away, switch.at, switch.reason))
//!         .connect()
//!         .await?;
//!     let policy = Policy::from_toml("policy.toml", "[limits]\nper_key = [\"100/minute\"]")?;
//!     let guard = Guard::builder(policy).limits(limits.clone()).build()?;
//!
//!     let _ = guard; // give it to an adapter
//!     println!("{:?}", limits.statistics());
//!     Ok(())
//! }
//! ```
//!
//! # What is promised
//!
//! 1. A request takes one trip to the server, where a script takes from all of its quotas or from none, on the server's clock,
//!    by the arithmetic of [`Quota`](keyward::limit::Quota): all processes together are given exactly what there is.
//! 2. No request waits longer than the time-out (20 ms), whatever the server, the network or the connection do. What comes late
//!    or fails is answered as the mode says ([`AwayMode`]). Whether the server counted it is unknown, so
//!    it may be counted twice, there and here.
//! 3. Three takes in a row that fail, half of the last twenty, a connection that ends, or a word that nothing can be written, and
//!    the server counts as away: nobody asks it any more, and nobody waits. One task tries to bring it back, after 500 ms and up
//!    to every 5 seconds. What was counted here meanwhile is forgotten then.
//! 4. Each time it goes away or comes back is told: in the log (`tracing`, target `keyward`), to
//!    [`RedisBuilder::on_switch`], and in [`RedisLimits::statistics`]. So is, in the log and once a second at most, that a
//!    request was not counted without that.
//! 5. A script cache that was emptied costs a second trip, and is no failure.
//! 6. A changed limit takes hold with the next request and forgets nothing (R9.4).
//! 7. Names in the server hold hashes, never an id, an owner or an address. A counter vanishes a second after its longest window.
//!
//! [`RedisTickets`] are [`UsedTickets`](keyward::ticket::UsedTickets): a ticket works once among several processes. They have a
//! connection of their own, and no mode. While the server is away no ticket is made or used.
//!
//! `docs/redis.md` tells what is lost when, and how to run a server for this.

mod address;
mod atomic;
mod away;
mod breaker;
mod failure;
mod limits;
mod name;
mod open;
mod request;
mod shared;
mod tickets;
mod told;

pub use away::AwayMode;
pub use limits::RedisLimits;
pub use open::{OpenError, OpenErrorKind, RedisBuilder};
pub use tickets::{RedisTickets, RedisTicketsBuilder};
pub use told::{Statistics, Switch};
