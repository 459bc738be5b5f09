//! Tickets (R14): what opens a WebSocket is what the rules say, and nothing that is one edit from it.
//!
//! An input is a header and claims, a line each, and on a third line what is put behind the token. They are signed with the
//! configured key, as whoever knows it could, so that what decides is what stands in them. The oracle reads them anew with `serde_json`.
//! Then a ticket of a stored key is made, and edited as the input's length and last byte say: that opens nothing, and the ticket does.

use std::{collections::BTreeSet, fmt, sync::OnceLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use keyward::{
    Decision, Guard, Keys, MemoryStore, NewKey, Policy, SystemRandom, Timestamp,
    clock::ManualClock,
    ticket::{ServerSecret, Tickets},
};
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::{Deserializer, Value};
use sha2::Sha256;

use super::step::at_once;

const KEY: &str = "kJ8s0vLzQ2mXw7Rb4TnYc9HfD1pGeU6aK3iOqZtVxNs";
const NOW: i64 = 1_800_000_000;
const LIFETIME: u64 = 60;
const LONGEST: usize = 1_024;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    plain(line(), line(), line());
    keyed(data);
}

fn plain(header: &[u8], claims: &[u8], behind: &[u8]) {
    static GUARD: OnceLock<Guard> = OnceLock::new();
    let guard = GUARD.get_or_init(|| {
        let policy = format!(
            "authenticators = ['configured']\n[[configured_keys]]\nenv = 'API_KEY'\n\
             [tickets]\nplain = true\nsingle_use = false\nquery = 'token'\nlifetime = '{LIFETIME}s'"
        );
        let builder = Guard::builder(Policy::from_toml("policy.toml", &policy).expect("a good policy"));
        builder.environment(|_| Some(KEY.into())).clock(clock()).build().expect("the guard has all its parts")
    });
    let signed = format!("{}.{}", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(claims));
    let signature = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any key will do").chain_update(&signed).finalize();
    let mut token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.into_bytes())).into_bytes();
    token.extend_from_slice(behind);
    let is_open = opens(guard, &token);
    let may_open = behind.is_empty() && token.len() <= LONGEST && is_good_header(header) && good_claims(claims).is_some();
    let context = || format!("{}\n{}", String::from_utf8_lossy(header), String::from_utf8_lossy(claims));
    assert!(!is_open || may_open, "this opens a WebSocket, with {behind:?} behind it:\n{}", context());
    let must_open = may_open && is_as_libraries_write_it(header, claims);
    assert!(is_open || !must_open, "this opens none:\n{}", context());
}

fn is_good_header(header: &[u8]) -> bool {
    let Some(names) = object(header) else { return false };
    names.iter().all(|(name, value)| match name.as_str() {
        "alg" => value == "HS256",
        "typ" => value.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("jwt")),
        _ => false,
    }) && names.iter().any(|(name, _)| name == "alg")
}

/// When it was made, and when it ends.
fn good_claims(claims: &[u8]) -> Option<(u64, u64)> {
    let names = object(claims)?;
    let of = |wanted: &str| names.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let (issued, expires) = (of("iat")?.as_u64()?, of("exp")?.as_u64()?);
    let now = NOW.unsigned_abs();
    let has_come = of("nbf").is_none_or(|time| time.as_u64().is_some_and(|time| time <= now));
    let is_good = of("type")? == "websocket" && of("aud").is_none() && has_come;
    (is_good && issued <= now && now < expires && expires - issued <= LIFETIME).then_some((issued, expires))
}

fn is_as_libraries_write_it(header: &[u8], claims: &[u8]) -> bool {
    let headers = [&br#"{"alg":"HS256","typ":"JWT"}"#[..], br#"{"typ":"JWT","alg":"HS256"}"#, br#"{"alg":"HS256"}"#];
    let written = good_claims(claims)
        .map(|(issued, expires)| format!(r#"{{"exp":{expires},"iat":{issued},"type":"websocket"}}"#).into_bytes());
    headers.contains(&header) && written.as_deref() == Some(claims)
}

/// What stands in an object, if no name stands there twice.
fn object(text: &[u8]) -> Option<Vec<(String, Value)>> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut names = Vec::new();
            while let Some(entry) = map.next_entry()? {
                names.push(entry);
            }
            Ok(names)
        }
    }
    let mut read = Deserializer::from_slice(text);
    let names = read.deserialize_map(Object).ok().filter(|_| read.end().is_ok())?;
    (names.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len() == names.len()).then_some(names)
}

fn keyed(data: &[u8]) {
    static WORLD: OnceLock<(Guard, String)> = OnceLock::new();
    let (guard, key) = WORLD.get_or_init(|| {
        let store = MemoryStore::new();
        let made = at_once(Keys::new(store.clone()).create(NewKey::named("fuzzed"))).expect("a key");
        let tickets = Tickets::new(ServerSecret::generate(&SystemRandom).expect("randomness"));
        let policy = Policy::from_toml("policy.toml", "[tickets]\nquery = 'token'").expect("a good policy");
        let guard = Guard::builder(policy).store(store).tickets(tickets).build().expect("the guard has all its parts");
        (guard, made.secret().expose().to_owned())
    });
    let ticket = exchange(guard, key);
    let mut edited = ticket.clone().into_bytes();
    let (at, last) = (data.len() % ticket.len(), data.last().copied().unwrap_or_default());
    match last % 4 {
        0 => _ = edited.remove(at),
        1 => edited.insert(at, last),
        2 => edited.truncate(at),
        _ => edited[at] ^= (last >> 2).max(1),
    }
    if edited != ticket.as_bytes() {
        assert!(!opens(guard, &edited), "{} was made of {ticket}", String::from_utf8_lossy(&edited));
    }
    assert!(opens(guard, ticket.as_bytes()), "{ticket} is good");
    assert!(!opens(guard, ticket.as_bytes()), "{ticket} has been used");
}

fn exchange(guard: &Guard, key: &str) -> String {
    let request = Request::post("/auth/token").header("X-API-Key", key).body(()).expect("a good request");
    let Decision::Allowed(pass) = at_once(guard.decide(&request)) else { panic!("the key is good") };
    let answer = at_once(pass.ticket("/auth/token"));
    let told: Value = serde_json::from_slice(answer.body()).expect("JSON");
    told["token"].as_str().expect("a ticket").to_owned()
}

fn opens(guard: &Guard, token: &[u8]) -> bool {
    let encoded: String = token.iter().map(|byte| format!("%{byte:02X}")).collect();
    let request = Request::get(format!("/ws?token={encoded}"))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    // A target of more than `http` takes reaches no guard.
    request.body(()).is_ok_and(|request| matches!(at_once(guard.decide(&request)), Decision::Allowed(_)))
}

fn clock() -> ManualClock {
    let clock = ManualClock::at(Timestamp::from_unix_seconds(NOW));
    clock.advance(Duration::from_millis(1));
    clock
}
