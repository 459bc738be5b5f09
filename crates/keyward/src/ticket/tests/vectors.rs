//! Published vectors.

use super::super::token::Unverified;
use super::*;

/// RFC 7515, appendix A.1: the token as printed there, and its key.
#[test]
fn the_example_of_rfc_7515() {
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
                 eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
                 dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key =
        URL_SAFE_NO_PAD.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").unwrap();
    let parsed = Unverified::parse(token.as_bytes()).unwrap();
    assert_eq!((parsed.typ(), parsed.kid()), (Some("JWT"), None));
    assert!(parsed.verify(&key).is_ok());
    assert!(Unverified::parse(token.as_bytes()).unwrap().verify(&key[1..]).is_err());
    // As a ticket it is nothing: it has no `iat`, no `type`, and ended in 2011.
    let presented = plain::Presented::parse(token.as_bytes()).unwrap();
    assert_eq!(presented.verify(&key, TERMS.lifetime, NOW), Err(BadTicket::Malformed));
}

/// RFC 4231's keys of 4, 20, 25 and 131 bytes: shorter and longer than a block of SHA-256.
#[test]
fn keys_of_any_length_sign() {
    for length in [0, 1, 31, 32, 63, 64, 65, 131, 1024] {
        let key = vec![0xaa; length];
        let ticket = plain::mint(&key, TERMS.lifetime, NOW);
        let verify = |key: &[u8]| plain::Presented::parse(ticket.as_bytes()).unwrap().verify(key, TERMS.lifetime, NOW);
        assert_eq!(verify(&key), Ok(()), "{length}");
        assert_eq!(verify(&[&key[..], &[0xaa]].concat()), Err(BadTicket::Unknown), "{length}");
    }
}

/// HKDF by hand (RFC 5869), for the one block that is needed: what another implementation has to compute.
#[test]
fn the_signing_key_is_hkdf_of_the_length_prefixed_id_and_the_epoch() {
    let mac = |key: &[u8], text: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text);
        mac.finalize().into_bytes()
    };
    let extracted = mac(&[0; 32], SECRET);
    let mut info = b"keyward-ticket-v1\0\0\0\x20".to_vec();
    info.extend(KEY.as_bytes());
    info.extend(EPOCH);
    info.push(1);
    assert_eq!(mac(&extracted, &info).to_vec(), Keyed.signing_key());
}
