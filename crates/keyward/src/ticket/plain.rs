//! Plain tickets (R14.3): signed with a configured key itself, and so made and read by whoever knows that key.
//!
//! They follow a published API, whose claims are `exp`, `iat` and `type`. Nothing of ours is in them, so that they can be used
//! more than once, and end only with the key.

use std::time::Duration;

use serde_json::json;

use super::BadTicket;
use super::claims::{self, Lifespan};
use super::token::{self, Unverified};
use crate::clock::Timestamp;

const TYPE: &str = "websocket";

/// Makes a ticket with a configured key, which [`weakness_of_key`](super::weakness_of_key) must have found good.
pub(crate) fn mint(key: &[u8], lifetime: Duration, now: Timestamp) -> String {
    let Lifespan { issued, expires } = Lifespan::starting(now, lifetime);
    token::sign(&json!({ "alg": "HS256", "typ": "JWT" }), &json!({ "exp": expires, "iat": issued, "type": TYPE }), key)
}

/// A ticket that is well formed.
pub(crate) struct Presented<'t>(Unverified<'t>);

impl<'t> Presented<'t> {
    /// Reads the shape of a ticket.
    ///
    /// # Errors
    /// [`BadTicket::Malformed`].
    pub(crate) fn parse(ticket: &'t [u8]) -> Result<Self, BadTicket> {
        let token = Unverified::parse(ticket).map_err(|_| BadTicket::Malformed)?;
        // Media types have no case (RFC 7519 §5.1).
        let is_jwt = token.typ().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        if !is_jwt || token.kid().is_some() {
            return Err(BadTicket::Malformed);
        }
        Ok(Self(token))
    }

    /// Verifies it with the configured key.
    ///
    /// # Errors
    /// Any [`BadTicket`].
    pub(crate) fn verify(self, key: &[u8], lifetime: Duration, now: Timestamp) -> Result<(), BadTicket> {
        let mut claims = self.0.verify(key).map_err(|_| BadTicket::Unknown)?.into_claims();
        let lifespan = Lifespan::take(&mut claims)?;
        let not_before = claims::time(&mut claims, "nbf")?;
        for name in ["iss", "sub", "jti"] {
            claims::text(&mut claims, name)?;
        }
        claims::says(&mut claims, "type", TYPE)?;
        // Whoever does not find itself in an audience must refuse (RFC 7519 §4.1.3), and we have no name to be found by.
        if claims.take("aud").is_some() {
            return Err(BadTicket::Unknown);
        }
        lifespan.check(now, lifetime)?;
        match not_before {
            Some(second) if !claims::has_come(second, now) => Err(BadTicket::NotYetValid),
            _ => Ok(()),
        }
    }
}
