//! The rules of time that hold for every ticket (R14.1), and how claims are read.

use std::time::Duration;

use super::json::{Object, Value};
use super::{BadTicket, LONGEST_LIFETIME};
use crate::clock::Timestamp;

/// From when until when a ticket is good, in seconds since 1970 (RFC 7519 §2, NumericDate; whole ones only).
pub(super) struct Lifespan {
    pub(super) issued: u64,
    pub(super) expires: u64,
}

impl Lifespan {
    /// The lifespan of a ticket that is made now. `None` before 1970.
    pub(super) fn starting(now: Timestamp, lifetime: Duration) -> Self {
        let issued = u64::try_from(now.unix_nanoseconds().div_euclid(NANOSECONDS)).unwrap_or(0);
        Self { issued, expires: issued.saturating_add(lifetime.min(LONGEST_LIFETIME).as_secs()) }
    }

    /// Takes `iat` and `exp`, both of which are required.
    pub(super) fn take(claims: &mut Object) -> Result<Self, BadTicket> {
        let mut required = |name| time(claims, name)?.ok_or(BadTicket::Malformed);
        Ok(Self { issued: required("iat")?, expires: required("exp")? })
    }

    /// Good iff `iat ≤ now < exp`, without leeway, and `0 < exp − iat ≤ lifetime`. A ticket's own word for how long it lives
    /// is worth nothing: in plain mode whoever has the key writes it.
    pub(super) fn check(&self, now: Timestamp, lifetime: Duration) -> Result<(), BadTicket> {
        let longest = lifetime.min(LONGEST_LIFETIME).as_secs();
        match self.expires.checked_sub(self.issued) {
            Some(seconds) if (1..=longest).contains(&seconds) => {}
            _ => return Err(BadTicket::Malformed),
        }
        if !has_come(self.issued, now) {
            return Err(BadTicket::NotYetValid);
        }
        if has_come(self.expires, now) {
            return Err(BadTicket::Expired);
        }
        Ok(())
    }
}

const NANOSECONDS: i64 = 1_000_000_000;

/// Whether that second has begun. In 128 bits: a claim may be any number below 2^64.
pub(super) fn has_come(second: u64, now: Timestamp) -> bool {
    i128::from(second) * i128::from(NANOSECONDS) <= i128::from(now.unix_nanoseconds())
}

/// A NumericDate, if the claim is there. A string, a fraction or `null` is not the same as none: libraries have let tokens
/// live for ever by taking it so.
pub(super) fn time(claims: &mut Object, name: &str) -> Result<Option<u64>, BadTicket> {
    match claims.take(name) {
        None => Ok(None),
        Some(Value::Integer(seconds)) => Ok(Some(seconds)),
        Some(_) => Err(BadTicket::Malformed),
    }
}

/// A string, if the claim is there.
pub(super) fn text(claims: &mut Object, name: &str) -> Result<Option<String>, BadTicket> {
    match claims.take(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(BadTicket::Malformed),
    }
}

/// A claim that has to be there, and to say this.
pub(super) fn says(claims: &mut Object, name: &str, expected: &str) -> Result<(), BadTicket> {
    match text(claims, name)? {
        None => Err(BadTicket::Malformed),
        Some(written) if written == expected => Ok(()),
        Some(_) => Err(BadTicket::Unknown),
    }
}
