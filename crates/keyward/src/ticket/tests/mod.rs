//! Hostile tickets. Each differs from a good one in one thing, and is signed correctly unless the signature is that thing: so
//! it is that thing that it is refused for.

mod claims;
mod encoding;
mod header;
mod interoperation;
mod signature;
mod time;
mod vectors;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::keyed::{self, Holder, Terms, Through, Ticket};
use super::{BadTicket, ServerSecret, TicketId, plain};
use crate::clock::Timestamp;
use crate::key::{Epoch, KeyId};

const SECRET: &[u8] = b"kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs=";
const KEY: &str = "0190b3c4d5e6f708192a3b4c5d6e7f80";
const OTHER_KEY: &str = "0190b3c4d5e6f708192a3b4c5d6e7f81";
const EPOCH: [u8; 16] = *b"sixteen of epoch";
const TERMS: Terms<'static> = Terms { issuer: "keyward", lifetime: Duration::from_secs(300) };
/// When tickets are made here, and half a second before they are looked at.
const MADE: u64 = 1_800_000_000;
const NOW: Timestamp = Timestamp::from_unix_nanoseconds(1_800_000_000_500_000_000);

fn key() -> KeyId {
    KEY.parse().unwrap()
}

fn secret() -> ServerSecret {
    ServerSecret::from_bytes(SECRET).unwrap()
}

fn id() -> TicketId {
    TicketId::from_bytes(*b"thirty-two bytes of a ticket id!")
}

/// Signs any two texts, with the tests' own arithmetic.
fn forge(header: &str, claims: &str, key: &[u8]) -> String {
    sign(&format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims)), key)
}

/// Puts the signature behind what is to be signed.
fn sign(signed: &str, key: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

/// The two kinds of tickets, so that what holds for both is tried with both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Keyed,
    Plain,
}

use Sort::{Keyed, Plain};

impl Sort {
    const BOTH: [Self; 2] = [Keyed, Plain];

    fn header(self) -> String {
        match self {
            Keyed => format!(r#"{{"alg":"HS256","typ":"keyward-ticket+jwt","kid":"{KEY}"}}"#),
            Plain => r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(),
        }
    }

    /// The claims of a good ticket, as names and written values.
    fn claims(self) -> Vec<(&'static str, String)> {
        let text = |text: &str| format!("{text:?}");
        let mut claims = vec![("iat", MADE.to_string()), ("exp", (MADE + 300).to_string())];
        match self {
            Keyed => claims.extend([
                ("iss", text("keyward")),
                ("aud", text("websocket")),
                ("sub", text(KEY)),
                ("jti", text(&id().to_string())),
            ]),
            Plain => claims.push(("type", text("websocket"))),
        }
        claims
    }

    /// The same with some of them written otherwise; `""` leaves one out, and new names are added.
    fn claims_with(self, changed: &[(&'static str, &str)]) -> String {
        let mut claims = self.claims();
        for &(name, written) in changed {
            match claims.iter_mut().find(|(claim, _)| *claim == name) {
                Some((_, value)) => *value = written.to_owned(),
                None => claims.push((name, written.to_owned())),
            }
        }
        let written: Vec<String> =
            claims.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", written.join(","))
    }

    fn with_claims(self, changed: &[(&'static str, &str)]) -> String {
        forge(&self.header(), &self.claims_with(changed), &self.signing_key())
    }

    fn with_header(self, header: &str) -> String {
        forge(header, &self.claims_with(&[]), &self.signing_key())
    }

    fn good(self) -> String {
        self.with_claims(&[])
    }

    fn signing_key(self) -> Vec<u8> {
        match self {
            Keyed => keyed::signing_key(&secret(), key(), Epoch::from_bytes(EPOCH)).to_vec(),
            Plain => SECRET.to_vec(),
        }
    }

    fn verify(self, ticket: impl AsRef<[u8]>) -> Result<(), BadTicket> {
        self.verify_at(ticket, NOW)
    }

    fn verify_at(self, ticket: impl AsRef<[u8]>, now: Timestamp) -> Result<(), BadTicket> {
        match self {
            Keyed => verify_keyed(ticket.as_ref(), now).map(drop),
            Plain => plain::Presented::parse(ticket.as_ref())?.verify(SECRET, TERMS.lifetime, now),
        }
    }

    /// Asserts that each is refused, and as what.
    fn refuses(self, as_what: BadTicket, tickets: impl IntoIterator<Item = String>) -> usize {
        let mut count = 0;
        for ticket in tickets {
            assert_eq!(self.verify(&ticket), Err(as_what), "{self:?} {}", shown(&ticket));
            count += 1;
        }
        assert!(count > 0);
        count
    }
}

fn verify_keyed(ticket: &[u8], now: Timestamp) -> Result<Ticket, BadTicket> {
    keyed::Presented::parse(ticket)?.verify([&secret()], Epoch::from_bytes(EPOCH), TERMS, now)
}

/// A ticket with its first two parts decoded.
fn shown(ticket: &str) -> String {
    let part = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    ticket.split('.').map(|text| part(text).unwrap_or_else(|| text.to_owned())).collect::<Vec<_>>().join(" . ")
}

#[test]
fn good_ones_are_taken() {
    for sort in Sort::BOTH {
        assert_eq!(sort.verify(sort.good()), Ok(()), "{sort:?}");
    }
    let minted = |through| {
        let holder = Holder { key: key(), epoch: Epoch::from_bytes(EPOCH), through };
        keyed::mint(&secret(), TERMS, holder, &id(), NOW)
    };
    for through in [Through::Current, Through::Previous] {
        let ticket = minted(through);
        let presented = keyed::Presented::parse(ticket.as_bytes()).unwrap();
        assert_eq!(presented.key(), key());
        let verified = presented.verify([&secret()], Epoch::from_bytes(EPOCH), TERMS, NOW).unwrap();
        assert_eq!(verified, Ticket { id: id(), through });
    }
    assert_eq!(Plain.verify(plain::mint(SECRET, TERMS.lifetime, NOW)), Ok(()));
}

#[test]
fn what_is_minted_says_what_it_should() {
    let holder = Holder { key: key(), epoch: Epoch::from_bytes(EPOCH), through: Through::Current };
    let json = |text: &str| serde_json::from_slice::<serde_json::Value>(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap();
    let read = |ticket: &str| {
        let parts: Vec<&str> = ticket.split('.').collect();
        (json(parts[0]), json(parts[1]))
    };
    let (header, claims) = read(&keyed::mint(&secret(), TERMS, holder, &id(), NOW));
    assert_eq!(header, serde_json::json!({ "alg": "HS256", "typ": "keyward-ticket+jwt", "kid": KEY }));
    let expected = serde_json::json!({
        "iss": "keyward", "aud": "websocket", "sub": KEY, "iat": MADE, "exp": MADE + 300, "jti": id().to_string(),
    });
    assert_eq!(claims, expected);
    let (_, claims) = read(&keyed::mint(&secret(), TERMS, Holder { through: Through::Previous, ..holder }, &id(), NOW));
    assert_eq!(claims["slot"], "previous");

    let (header, claims) = read(&plain::mint(SECRET, TERMS.lifetime, NOW));
    assert_eq!(header, serde_json::json!({ "alg": "HS256", "typ": "JWT" }));
    assert_eq!(claims, serde_json::json!({ "exp": MADE + 300, "iat": MADE, "type": "websocket" }));

    let longer = Terms { lifetime: Duration::from_secs(3600), ..TERMS };
    let (_, claims) = read(&keyed::mint(&secret(), longer, holder, &id(), NOW));
    assert_eq!(claims["exp"], MADE + 300, "never longer than 300 s");
}

#[test]
fn the_longest_ticket_fits() {
    let issuer = "i".repeat(keyed::LONGEST_ISSUER);
    let (key, terms) = ("k".repeat(36).parse().unwrap(), Terms { issuer: &issuer, ..TERMS });
    let holder = Holder { key, epoch: Epoch::from_bytes(EPOCH), through: Through::Previous };
    let ticket = keyed::mint(&secret(), terms, holder, &id(), NOW);
    assert!(ticket.len() <= 1024, "{}", ticket.len());
    let presented = keyed::Presented::parse(ticket.as_bytes()).unwrap();
    assert!(presented.verify([&secret()], Epoch::from_bytes(EPOCH), terms, NOW).is_ok());
}
