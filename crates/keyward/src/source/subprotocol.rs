//! A credential in `Sec-WebSocket-Protocol` (R12.2): `NAME.TOKEN` beside a real subprotocol, where browsers can set no header.
//!
//! The token is the credential in base64url without padding, as Kubernetes has it: a subprotocol must be a token of RFC 9110,
//! which not every key is.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Found;
use super::header::trim_blanks;
use crate::credential::Credential;

pub(super) fn look<'r>(lines: &[&'r [u8]], prefix: &str) -> Found<'r> {
    let offers =
        || lines.iter().flat_map(|line| line.split(|&byte| byte == b',')).map(trim_blanks).filter(|offer| !offer.is_empty());
    let token = |offer: &'r [u8]| offer.strip_prefix(prefix.as_bytes())?.strip_prefix(b".");
    // Without a real one beside it there would be nothing to select, and echoing the token would publish it.
    if offers().any(|offer| token(offer).is_some()) && offers().all(|offer| token(offer).is_some()) {
        return Found::Alone;
    }
    Found::of(offers().filter_map(token), |token| {
        Some(match URL_SAFE_NO_PAD.decode(token) {
            Ok(decoded) => Credential::new(decoded),
            Err(_) => Credential::malformed(token),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_beside_a_real_subprotocol() {
        let look = |value: &'static [u8]| look(&[value], "base64url.bearer.authorization.keyward");
        let Found::One(credential) = look(b"chat, base64url.bearer.authorization.keyward.YWJj") else { panic!("one") };
        assert_eq!(credential.expose(), b"abc");
        let Found::One(credential) = look(b"base64url.bearer.authorization.keyward.!!, chat") else { panic!("one") };
        assert!(credential.is_malformed());
        assert!(matches!(look(b"base64url.bearer.authorization.keyward, chat"), Found::Nothing));
        assert!(matches!(look(b"base64url.bearer.authorization.keyward.YWJj"), Found::Alone));
    }
}
