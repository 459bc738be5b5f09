//! Plain tickets and `jsonwebtoken`, both ways.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::signature::{Error, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::*;

#[derive(Serialize, Deserialize)]
struct Claims {
    exp: u64,
    iat: u64,
    #[serde(rename = "type")]
    sort: String,
}

/// HMAC for `jsonwebtoken`, whose own providers would bring RSA and three elliptic curves with them.
struct HmacSha256(Vec<u8>);

impl Signer<Vec<u8>> for HmacSha256 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| Error::new())?;
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for HmacSha256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        if self.try_sign(message)? == *signature { Ok(()) } else { Err(Error::new()) }
    }
}

impl JwtSigner for HmacSha256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for HmacSha256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, key| Ok(Box::new(HmacSha256(key.as_bytes().to_vec()))),
    verifier_factory: |_, key| Ok(Box::new(HmacSha256(key.try_get_as_bytes()?.to_vec()))),
    key_utils: KeyUtils::new_unimplemented(),
};

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| PROVIDER.install_default().unwrap());
}

#[test]
fn it_reads_ours() {
    install();
    let now = Timestamp::from_system(std::time::SystemTime::now());
    let ticket = plain::mint(SECRET, TERMS.lifetime, now);
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    let read = jsonwebtoken::decode::<Claims>(ticket.as_bytes(), &DecodingKey::from_secret(SECRET), &validation).unwrap();
    assert_eq!((read.claims.sort.as_str(), read.claims.exp - read.claims.iat), ("websocket", 300));
    assert_eq!((read.header.alg, read.header.typ.as_deref(), read.header.kid), (Algorithm::HS256, Some("JWT"), None));
    assert!(jsonwebtoken::decode::<Claims>(ticket.as_bytes(), &DecodingKey::from_secret(b"another"), &validation).is_err());
}

#[test]
fn we_read_its() {
    install();
    let encode = |header: &Header, key: &[u8]| {
        let claims = Claims { exp: MADE + 300, iat: MADE, sort: "websocket".into() };
        jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(key)).unwrap()
    };
    assert_eq!(Plain.verify(encode(&Header::default(), SECRET)), Ok(()));
    assert_eq!(Plain.verify(encode(&Header { typ: None, ..Header::default() }, SECRET)), Ok(()));
    assert_eq!(Plain.verify(encode(&Header::default(), b"another")), Err(BadTicket::Unknown));
    assert_eq!(Plain.verify(encode(&Header { kid: Some("1".into()), ..Header::default() }, SECRET)), Err(BadTicket::Malformed));
    assert_eq!(Plain.verify(encode(&Header { cty: Some("JWT".into()), ..Header::default() }, SECRET)), Err(BadTicket::Malformed));
}
