//! A session: somebody who signed in, until they sign out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::{Account, AccountId};
use crate::answer::Fault;
use crate::clock::Timestamp;
use crate::credential::Secret;
use crate::random::Random;

/// What is stored of a session's token: its SHA-256. The token is 256 random bits, so that nothing can be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionDigest([u8; 32]);

impl SessionDigest {
    /// Of a presented token; `None` for what cannot be one.
    pub fn of(token: &str) -> Option<Self> {
        let secret = token.strip_prefix(Session::PREFIX)?;
        (secret.len() == 43 && URL_SAFE_NO_PAD.decode(secret).is_ok()).then(|| Self(Sha256::digest(token).into()))
    }

    /// Read from storage.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// For storage.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// What the session is called in lists and journals.
    pub fn id(self) -> SessionId {
        SessionId(u128::from_be_bytes(std::array::from_fn(|place| self.0[place])))
    }
}

impl fmt::Debug for SessionDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionDigest(hidden)")
    }
}

/// What a session is called in lists and journals: 32 hexadecimal digits. It opens nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u128);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Somebody who signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// How its token is recognised.
    pub digest: SessionDigest,
    /// Whose it is.
    pub account: AccountId,
    /// When it began.
    pub created: Timestamp,
    /// When it was seen last, give or take a minute.
    pub last_seen: Timestamp,
    /// When it is over, however much it is used.
    pub expires: Timestamp,
    /// From where it began: the first 24 bits of an IPv4 address, 48 of an IPv6 one.
    pub network: Option<IpAddr>,
    /// What the browser calls itself, so that people recognise their own; at most [`Session::LONGEST_AGENT`] bytes.
    pub agent: Box<str>,
}

impl Session {
    /// What every token begins with (R6.4).
    pub const PREFIX: &str = "kws_";
    /// How many an account has at most.
    pub const MOST_OF_AN_ACCOUNT: usize = 100;
    /// How many bytes of a browser's name are kept.
    pub const LONGEST_AGENT: usize = 200;

    /// A new token and its digest: `kws_` and 43 characters of base64url.
    ///
    /// # Errors
    /// When the random generator cannot be read.
    pub fn token(random: &dyn Random) -> Result<(Secret, SessionDigest), Fault> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        random.secret(&mut *bytes)?;
        let token = Secret::new(format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(*bytes)));
        let digest = SessionDigest(Sha256::digest(token.expose()).into());
        Ok((token, digest))
    }

    /// Whether it is live: not over, and seen within the idle time.
    pub fn is_live(&self, now: Timestamp, idle: Duration) -> bool {
        now < self.expires && now < self.last_seen.after(idle)
    }
}

/// A session with its account.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// The account as it is now.
    pub account: Arc<Account>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn a_token_is_recognised_by_its_digest_alone() {
        let (token, digest) = Session::token(&SystemRandom).unwrap();
        assert_eq!(SessionDigest::of(token.expose()), Some(digest));
        let text = token.expose();
        for wrong in [
            "",
            "kws_",
            &text[..46],
            &format!("{text}a"),
            &text[4..],
            &text.replace("kws_", "kwt_"),
            &format!("{}=", &text[..46]),
        ] {
            assert_eq!(SessionDigest::of(wrong), None, "{wrong}");
        }
        assert_eq!(digest.id().to_string().len(), 32);
        assert!(!format!("{token:?} {digest:?}").contains(&text[4..]));
    }

    #[test]
    fn live_until_either_time_is_over() {
        let at = Timestamp::from_unix_seconds;
        let (_, digest) = Session::token(&SystemRandom).unwrap();
        let account = "a".parse().unwrap();
        let (created, last_seen, expires) = (at(0), at(100), at(150));
        let session = Session { digest, account, created, last_seen, expires, network: None, agent: "".into() };
        let idle = Duration::from_secs(60);
        for (now, live) in [(100, true), (149, true), (150, false), (99, true)] {
            assert_eq!(session.is_live(at(now), idle), live, "{now}");
        }
        let session = Session { expires: at(1_000), ..session };
        assert!(session.is_live(at(159), idle) && !session.is_live(at(160), idle));
    }
}
