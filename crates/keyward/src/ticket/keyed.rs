//! Tickets of stored keys (R14.1, R14.2).

use std::time::Duration;

use hkdf::Hkdf;
use serde_json::json;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::claims::{self, Lifespan};
use super::token::{self, Unverified};
use super::{BadTicket, ServerSecret, TicketId};
use crate::clock::Timestamp;
use crate::key::{Epoch, KeyId};

const TYPE: &str = "keyward-ticket+jwt";
const AUDIENCE: &str = "websocket";
const PREVIOUS: &str = "previous";

/// The longest issuer with which a ticket stays within 1,024 bytes, if none of its characters has to be escaped in JSON.
pub(crate) const LONGEST_ISSUER: usize = 256;

/// Through which of a key's secrets a ticket was asked for. One of the previous secret ends with its grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    Current,
    Previous,
}

/// What the policy says about tickets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'p> {
    /// Who issues them: visible ASCII without `"` and `\`, at most [`LONGEST_ISSUER`].
    pub(crate) issuer: &'p str,
    /// How long they live; whole seconds count, and no more than 300.
    pub(crate) lifetime: Duration,
}

/// For which key a ticket is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    pub(crate) key: KeyId,
    /// The record's, at this moment.
    pub(crate) epoch: Epoch,
    pub(crate) through: Through,
}

/// Makes a ticket.
pub(crate) fn mint(secret: &ServerSecret, terms: Terms<'_>, holder: Holder, id: &TicketId, now: Timestamp) -> String {
    let Lifespan { issued, expires } = Lifespan::starting(now, terms.lifetime);
    let key = holder.key.as_str();
    let header = json!({ "alg": "HS256", "typ": TYPE, "kid": key });
    let mut claims = json!({
        "iss": terms.issuer, "aud": AUDIENCE, "sub": key, "iat": issued, "exp": expires, "jti": id.to_string(),
    });
    if holder.through == Through::Previous {
        claims["slot"] = PREVIOUS.into();
    }
    token::sign(&header, &claims, &*signing_key(secret, holder.key, holder.epoch))
}

/// A ticket that is well formed. It names a key, whose record has to be found before anything else can be known.
pub(crate) struct Presented<'t> {
    token: Unverified<'t>,
    key: KeyId,
}

/// What a good ticket says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// What has to be spent, if tickets work once.
    pub(crate) id: TicketId,
    pub(crate) through: Through,
}

impl<'t> Presented<'t> {
    /// Reads the shape of a ticket, and the key that it names.
    ///
    /// # Errors
    /// [`BadTicket::Malformed`].
    pub(crate) fn parse(ticket: &'t [u8]) -> Result<Self, BadTicket> {
        let token = Unverified::parse(ticket).map_err(|_| BadTicket::Malformed)?;
        if token.typ() != Some(TYPE) {
            return Err(BadTicket::Malformed);
        }
        let key = token.kid().and_then(|kid| kid.parse().ok()).ok_or(BadTicket::Malformed)?;
        Ok(Self { token, key })
    }

    /// The key that it names, which is nobody's word until it is verified.
    pub(crate) fn key(&self) -> KeyId {
        self.key
    }

    /// Verifies it with the epoch of the record that was found, and any of the server's secrets: the current one, and those
    /// before it while tickets are about that they signed.
    ///
    /// # Errors
    /// Any [`BadTicket`].
    pub(crate) fn verify<'s>(
        self,
        secrets: impl IntoIterator<Item = &'s ServerSecret>,
        epoch: Epoch,
        terms: Terms<'_>,
        now: Timestamp,
    ) -> Result<Ticket, BadTicket> {
        let key = self.key;
        let mut token = self.token;
        for secret in secrets {
            match token.verify(&*signing_key(secret, key, epoch)) {
                Ok(verified) => return read(verified, key, terms, now),
                Err(unverified) => token = unverified,
            }
        }
        Err(BadTicket::Unknown)
    }
}

/// The claims, each of which has to be there and none besides.
fn read(verified: token::Verified, key: KeyId, terms: Terms<'_>, now: Timestamp) -> Result<Ticket, BadTicket> {
    let mut claims = verified.into_claims();
    let lifespan = Lifespan::take(&mut claims)?;
    let id = claims::text(&mut claims, "jti")?.and_then(|id| id.parse().ok()).ok_or(BadTicket::Malformed)?;
    let through = match claims::text(&mut claims, "slot")?.as_deref() {
        None => Through::Current,
        Some(PREVIOUS) => Through::Previous,
        Some(_) => return Err(BadTicket::Malformed),
    };
    for (name, expected) in [("iss", terms.issuer), ("aud", AUDIENCE), ("sub", key.as_str())] {
        claims::says(&mut claims, name, expected)?;
    }
    if !claims.is_empty() {
        return Err(BadTicket::Malformed);
    }
    lifespan.check(now, terms.lifetime)?;
    Ok(Ticket { id, through })
}

/// HKDF-SHA-256 (RFC 5869) over the server's secret. The id has its length before it, so that no two pairs of id and epoch are
/// the same bytes.
pub(super) fn signing_key(secret: &ServerSecret, key: KeyId, epoch: Epoch) -> Zeroizing<[u8; 32]> {
    let id = key.as_str().as_bytes();
    let length = u32::try_from(id.len()).expect("a key id is at most 36 bytes").to_be_bytes();
    let info: [&[u8]; 4] = [b"keyward-ticket-v1", &length, id, &epoch.to_bytes()];
    let mut derived = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::new(None, secret.expose());
    hkdf.expand_multi_info(&info, &mut *derived).expect("HKDF gives up to 255 blocks of 32 bytes");
    derived
}
