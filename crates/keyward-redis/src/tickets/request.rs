//! What is asked about a ticket, in the script's words.

use std::time::Duration;

use keyward::key::KeyId;
use keyward::ticket::TicketId;
use keyward::{Random, SystemRandom};
use redis::Cmd;

use crate::failure::Failure;

pub(super) enum Request {
    /// `generation`: what the next one is called, if there is none. Never sent for a second ticket: a generation that was lost must
    /// not come back.
    Issue { generation: [u8; 8] },
    /// `key`: whose ticket it is. `most`: how many used ones are noted.
    Spend { id: TicketId, key: Option<KeyId>, lifetime: Duration, most: u32, peek: bool },
}

/// The generation, and the server's time in microseconds.
pub(super) type Named = (Vec<u8>, u64);

impl Request {
    pub(super) fn issue() -> Result<Self, Failure> {
        let mut generation = [0; 8];
        chance(&mut generation)?;
        Ok(Self::Issue { generation })
    }

    pub(super) fn write(&self, sent: &mut Cmd) {
        match self {
            Self::Issue { generation } => sent.arg("issue").arg(&generation[..]),
            Self::Spend { id, key, lifetime, most, peek } => {
                let id = id.to_bytes();
                let (generation, entry) = id.split_at(8);
                let minted = entry.iter().take(8).fold(0, |minted: u64, &byte| minted << 8 | u64::from(byte));
                let lifetime = u64::try_from(lifetime.as_micros()).unwrap_or(u64::MAX);
                let key = key.as_ref().map_or("", KeyId::as_str);
                sent.arg(if *peek { "peek" } else { "spend" })
                    .arg(generation)
                    .arg(minted)
                    .arg(entry)
                    .arg(lifetime)
                    .arg(key)
                    .arg(most)
            }
        };
    }
}

/// The id of a ticket that has just been named.
pub(super) fn id((generation, minted): Named) -> Result<TicketId, Failure> {
    let generation: [u8; 8] = generation.try_into().map_err(|_| no_sense())?;
    let mut id = [0; 32];
    id[..8].copy_from_slice(&generation);
    id[8..16].copy_from_slice(&minted.to_be_bytes());
    chance(&mut id[16..])?;
    Ok(TicketId::from_bytes(id))
}

pub(super) fn no_sense() -> Failure {
    Failure::away("its answer makes no sense: is it Redis, and are its scripts?")
}

fn chance(bytes: &mut [u8]) -> Result<(), Failure> {
    SystemRandom.secret(bytes).map_err(|fault| Failure::away(fault.to_string()))
}
