//! Tickets (R14): short-lived tokens that open one WebSocket, for clients that cannot send a header with the handshake.
//!
//! A *keyed* ticket stands for a stored key. It is signed with a secret that is derived from the server's own and from the
//! key's record, so that whatever changes the record's epoch ends its tickets. A *plain* ticket is signed with a configured
//! key itself, so that any JWT library that knows the key makes and reads it.
//!
//! Everything here is a function of its arguments: nothing reads a clock or a store. The format is a strict subset of HS256
//! compact JWS (RFC 7515), in `token.rs`. That we write it ourselves is decision 0013.

mod claims;
mod json;
pub(crate) mod keyed;
mod known;
pub(crate) mod plain;
mod secret;
mod signing;
#[cfg(test)]
mod tests;
mod token;
mod used;
mod weak;
mod words;

pub use secret::{ServerSecret, WeakSecret};
pub(crate) use signing::Signing;
#[cfg(feature = "openapi")]
pub(crate) use signing::TicketTold;
pub use signing::Tickets;
pub use used::{LocalUsedTickets, NotATicketId, Spent, TicketId, UsedTickets};
pub(crate) use weak::{Weakness, doubt_of_key, weakness, weakness_of_key};

use std::time::Duration;

use crate::decision::Kind;

/// No ticket lives longer (R14.1).
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(300);

/// Why a ticket is refused. Clients cannot tell one from another (R7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadTicket {
    /// No ticket of this policy can look like that.
    Malformed,
    /// Not signed by us for this key, or meant for somebody else.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was made in the future.
    NotYetValid,
}

impl BadTicket {
    /// As what it is told to the audit event, and charged (R3.1).
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Malformed => Kind::Malformed,
            Self::Unknown => Kind::Unknown,
            Self::Expired => Kind::Expired,
            Self::NotYetValid => Kind::NotYetValid,
        }
    }
}
