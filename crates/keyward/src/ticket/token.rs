//! HS256 compact JWS (RFC 7515 §7.1), and nothing else of JOSE: no other algorithm, no parameter that names a key.

use base64::Engine;
// Refuses padding, and bits behind the last byte: otherwise four texts would be one signature.
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value as Json;
use sha2::Sha256;

use super::json::{Object, Value};
use crate::credential::LONGEST_CREDENTIAL;

/// The only algorithm. What the header says is compared with it, and selects nothing.
const ALGORITHM: &str = "HS256";

/// What was presented can be no token of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A token of which nobody knows yet who made it. Only its header can be read.
pub(super) struct Unverified<'t> {
    /// Both parts and the dot between them: what is signed.
    signed: &'t [u8],
    typ: Option<String>,
    kid: Option<String>,
    claims: Object,
    signature: [u8; 32],
}

/// The claims of a token that was signed with the key.
pub(super) struct Verified(Object);

impl<'t> Unverified<'t> {
    /// Three parts of base64url: a header that says HS256 and has `typ` and `kid` at most beside that, an object of claims,
    /// and 32 bytes.
    pub(super) fn parse(token: &'t [u8]) -> Result<Self, Malformed> {
        // Before anything is allocated.
        if token.len() > LONGEST_CREDENTIAL {
            return Err(Malformed);
        }
        let mut parts = token.split(|&byte| byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(Malformed);
        };
        let signed = &token[..header.len() + 1 + claims.len()];

        let mut header = object(header)?;
        if header.take("alg") != Some(Value::Text(ALGORITHM.into())) {
            return Err(Malformed);
        }
        let (typ, kid) = (text(&mut header, "typ")?, text(&mut header, "kid")?);
        // `crit` and `b64` change how a token is to be read; `jwk`, `jku` and `x5…` say whom to believe. A parameter that has no
        // effect here is refused too: whoever wrote it expects one.
        if !header.is_empty() {
            return Err(Malformed);
        }
        let claims = object(claims)?;
        let signature = bytes(signature)?.try_into().map_err(|_| Malformed)?;
        Ok(Self { signed, typ, kid, claims, signature })
    }

    /// The media type of the token.
    pub(super) fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// The name of a key, which is nobody's word as yet.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The claims, if this key signed them. Takes the same time whatever differs.
    pub(super) fn verify(self, key: &[u8]) -> Result<Verified, Self> {
        match mac(self.signed, key).verify_slice(&self.signature) {
            Ok(()) => Ok(Verified(self.claims)),
            Err(_) => Err(self),
        }
    }
}

impl Verified {
    pub(super) fn into_claims(self) -> Object {
        self.0
    }
}

/// Makes a token. The header must be one that is accepted here.
pub(super) fn sign(header: &Json, claims: &Json, key: &[u8]) -> String {
    let encode = |part: &Json| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut token = format!("{}.{}", encode(header), encode(claims));
    let signature = mac(token.as_bytes(), key).finalize().into_bytes();
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

fn mac(signed: &[u8], key: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(signed);
    mac
}

fn bytes(part: &[u8]) -> Result<Vec<u8>, Malformed> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Malformed)
}

fn object(part: &[u8]) -> Result<Object, Malformed> {
    Object::parse(&bytes(part)?).ok_or(Malformed)
}

fn text(object: &mut Object, name: &str) -> Result<Option<String>, Malformed> {
    match object.take(name) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(_) => Err(Malformed),
    }
}
