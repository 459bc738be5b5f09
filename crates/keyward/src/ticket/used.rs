//! Which tickets have been used (R14.1).

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::LONGEST_LIFETIME;
use crate::answer::{Answer, Fault};
use crate::clock::Now;
use crate::key::KeyId;
use crate::random::{Random, SystemRandom};

/// Remembers which tickets have been used, so that each works once.
///
/// An implementation must answer [`Spent::First`] for an id once at the most, however many ask at the same time, and through
/// its own restart: whatever it may have forgotten is [`Spent::Forgotten`]. One that cannot tell answers with a fault, and the
/// handshake is refused with 503. Saying [`Spent::First`] is never the safe wrong answer.
pub trait UsedTickets: Send + Sync {
    /// The name of a new ticket, never given out before. It should hold whatever is needed to see later that the ticket has been
    /// forgotten.
    fn issue(&self, now: Now) -> Answer<TicketId>;

    /// Uses a ticket that was verified to be ours, and made for this key. `lifetime` is that of tickets under the policy, at most
    /// 300 s. With `peek`, tell what would happen and note nothing: `explain`.
    ///
    /// An implementation that can remember so many and no more must not let one key take all of it: answer with a fault where
    /// `key` has as many noted as there is room left.
    fn spend(&self, id: &TicketId, key: &KeyId, lifetime: Duration, now: Now, peek: bool) -> Answer<Spent>;
}

impl<U: UsedTickets + ?Sized> UsedTickets for Arc<U> {
    fn issue(&self, now: Now) -> Answer<TicketId> {
        (**self).issue(now)
    }

    fn spend(&self, id: &TicketId, key: &KeyId, lifetime: Duration, now: Now, peek: bool) -> Answer<Spent> {
        (**self).spend(id, key, lifetime, now, peek)
    }
}

/// What came of using a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "only the first use may open a connection"]
pub enum Spent {
    /// Nobody has used it before: it is good, and is none any more.
    First,
    /// It has been used.
    Before,
    /// Whether it has been used is not known any more: it is from another process, from before a restart, or too old.
    Forgotten,
}

/// The name of a ticket: 32 bytes that mean something to the [`UsedTickets`] that made them, and to nobody else.
///
/// It is no secret: a ticket is good by its signature.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketId([u8; 32]);

/// What was written is no ticket id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a ticket id is 32 bytes in base64url, without padding")]
pub struct NotATicketId;

impl TicketId {
    /// For tickets whose uses nobody notes.
    pub(crate) fn random(random: &dyn Random) -> Result<Self, Fault> {
        let mut bytes = [0; 32];
        random.secret(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// From the bytes that an implementation made.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for TicketId {
    type Err = NotATicketId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotATicketId)?;
        bytes.try_into().map(Self).map_err(|_| NotATicketId)
    }
}

impl fmt::Display for TicketId {
    /// base64url.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketId({self})")
    }
}

/// Remembers used tickets in this process's memory. Clones share it; give a new guard the old one's when a policy is reloaded.
///
/// An id is a nonce of this object (8 bytes), the steady time at which it was made (8), and 16 random bytes. A ticket with
/// another nonce is forgotten, so one from before a restart, or from another process, opens nothing. So is one that is older
/// than the lifetime by the steady clock: a wall clock that steps back makes no ticket live longer. A used ticket is
/// remembered for the longest lifetime that any policy can ask for, 300 s, so that no change of the policy makes one good
/// again.
#[derive(Clone)]
pub struct LocalUsedTickets(Arc<Memory>);

struct Memory {
    nonce: [u8; 8],
    random: Arc<dyn Random>,
    most: usize,
    hasher: ahash::RandomState,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// The oldest first.
    noted: BTreeMap<Use, Holder>,
    /// How many of them are whose.
    of: HashMap<Holder, usize, ahash::RandomState>,
    /// The last that was cleared away. Of those before it nothing is known, whatever time a slow thread believes it is.
    cleared: Option<Use>,
}

/// When a used ticket was made, and its random bytes.
type Use = (u64, [u8; 16]);

/// A key, by a hash that nobody can foresee: a million ids would take as much room as all else. Two keys that share one share their
/// room.
type Holder = u64;

impl LocalUsedTickets {
    /// How many used tickets are remembered: 3,333 a second, in some 60 MiB.
    pub(crate) const MOST: usize = 1_000_000;

    /// How many forgotten tickets are cleared away at each use. More than one, so that they get fewer; not all, which would keep
    /// everybody waiting.
    const CLEARED: usize = 16;

    /// Remembers up to 1,000,000 used tickets. While there are more, within 300 s, no further ticket can be used.
    ///
    /// One key's are at most as many as there is room left for others': half of all of it, where it is the only one.
    ///
    /// # Errors
    /// When the operating system's random generator cannot be read.
    pub fn new() -> Result<Self, Fault> {
        Self::with(Arc::new(SystemRandom), Self::MOST)
    }

    /// With another source of randomness, and another bound.
    ///
    /// # Errors
    /// When the random generator cannot be read.
    pub fn with(random: Arc<dyn Random>, most: usize) -> Result<Self, Fault> {
        let mut nonce = [0; 8];
        random.secret(&mut nonce)?;
        Ok(Self(Arc::new(Memory { nonce, random, most, hasher: ahash::RandomState::default(), used: Mutex::default() })))
    }
}

impl UsedTickets for LocalUsedTickets {
    fn issue(&self, now: Now) -> Answer<TicketId> {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.0.nonce);
        bytes[8..16].copy_from_slice(&now.steady.to_be_bytes());
        Answer::Ready(self.0.random.secret(&mut bytes[16..]).map(|()| TicketId(bytes)))
    }

    fn spend(&self, id: &TicketId, key: &KeyId, lifetime: Duration, now: Now, peek: bool) -> Answer<Spent> {
        Answer::Ready(self.0.spend(id, key, lifetime, now.steady, peek))
    }
}

impl Memory {
    fn spend(&self, id: &TicketId, key: &KeyId, lifetime: Duration, now: u64, peek: bool) -> Result<Spent, Fault> {
        let (nonce, rest) = id.0.split_at(8);
        let (minted, rest) = rest.split_at(8);
        let (Ok(minted), Ok(random)) = (minted.try_into().map(u64::from_be_bytes), rest.try_into()) else {
            return Ok(Spent::Forgotten);
        };
        let age = |minted: u64| Duration::from_nanos(now.saturating_sub(minted));
        if nonce != self.nonce || age(minted) >= lifetime.min(LONGEST_LIFETIME) {
            return Ok(Spent::Forgotten);
        }
        let this: Use = (minted, random);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if Some(this) <= used.cleared {
            return Ok(Spent::Forgotten);
        }
        if used.noted.contains_key(&this) {
            return Ok(Spent::Before);
        }
        for _ in 0..LocalUsedTickets::CLEARED {
            match used.noted.first_key_value() {
                Some((&(oldest, _), _)) if age(oldest) >= LONGEST_LIFETIME => used.clear_first(),
                _ => break,
            }
        }
        let holder = self.hasher.hash_one(key.as_str());
        let (of_this, left) = (used.of.get(&holder).copied().unwrap_or(0), self.most.saturating_sub(used.noted.len()));
        if of_this >= left {
            return Err(Fault::new(format!(
                "the key {key} has used {of_this} tickets within {} s, and of {} there is room for {left} more: limit how often keys \
                 may ask for tickets (`limits.per_key`)",
                LONGEST_LIFETIME.as_secs(),
                self.most
            )));
        }
        if !peek {
            used.noted.insert(this, holder);
            *used.of.entry(holder).or_default() += 1;
        }
        Ok(Spent::First)
    }
}

impl Used {
    fn clear_first(&mut self) {
        let Some((first, holder)) = self.noted.pop_first() else { return };
        self.cleared = Some(first);
        if let Some(of_holder) = self.of.get_mut(&holder) {
            *of_holder -= 1;
            if *of_holder == 0 {
                self.of.remove(&holder);
            }
        }
    }
}

impl fmt::Debug for LocalUsedTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalUsedTickets")
    }
}
