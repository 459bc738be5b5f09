//! R12.1, R12.2: denied handshakes that are completed and closed at once.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{
    candidates::offered_subprotocols,
    policy::{ModelPolicy, OnDenial, Place},
    request::ModelRequest,
    target::is_token_byte,
};

/// How a denied handshake is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelClose {
    /// The value of `Sec-WebSocket-Accept`.
    pub accept: String,
    /// The subprotocol that is selected.
    pub subprotocol: Option<String>,
    /// The status code of the close frame.
    pub code: u16,
    /// Its reason; `None` for some text of at most 123 bytes.
    pub reason: Option<String>,
}

/// R12.1: how a denied request is closed, with the policy's own text for the denial; `None` if it is answered in HTTP.
pub fn close(policy: &ModelPolicy, request: &ModelRequest, own_text: Option<&String>) -> Option<ModelClose> {
    if policy.websocket.on_denial == OnDenial::Refuse || !is_valid_handshake(request) {
        return None;
    }
    Some(ModelClose {
        accept: derive_accept_key(request.values("Sec-WebSocket-Key")[0]),
        subprotocol: subprotocol(policy, request),
        code: policy.websocket.close_code.unwrap_or(1008),
        reason: own_text.map(|text| at_most_123_bytes(text)),
    })
}

/// RFC 6455 §4.2.1: whether a server may complete it.
pub fn is_valid_handshake(request: &ModelRequest) -> bool {
    let keys = request.values("Sec-WebSocket-Key");
    request.is_handshake()
        && !request.announces_body()
        && request.values("Sec-WebSocket-Version") == [b"13"]
        && keys.len() == 1
        && is_key(keys[0])
}

/// Whether this is what 16 bytes are in base64: 22 characters, of which the last has two bits left, and the padding.
fn is_key(written: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    written.len() == 24 && written[..22].iter().all(is_base64) && b"AQgw".contains(&written[21]) && &written[22..] == b"=="
}

/// The first that is offered, can stand in an answer and carries no credential.
fn subprotocol(policy: &ModelPolicy, request: &ModelRequest) -> Option<String> {
    let carries_credential = |offered: &String| {
        policy.sources().iter().any(|source| match &source.place {
            Place::Subprotocol(name) => offered.starts_with(&format!("{name}.")),
            _ => false,
        })
    };
    let is_token = |offered: &String| !offered.is_empty() && offered.bytes().all(is_token_byte);
    offered_subprotocols(request).into_iter().find(|offered| is_token(offered) && !carries_credential(offered))
}

fn at_most_123_bytes(text: &str) -> String {
    let mut kept = String::new();
    for character in text.chars() {
        if kept.len() + character.len_utf8() > 123 {
            break;
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: &str = "GET /\nUpgrade: websocket\nConnection: keep-alive, Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

    fn closed(policy: &str, text: &str) -> Option<ModelClose> {
        close(&ModelPolicy::from_toml(policy).unwrap(), &ModelRequest::parse(text, None), None)
    }

    #[test]
    fn the_handshake_of_the_standard() {
        let close = closed("[websocket]\non_denial = 'close'", HANDSHAKE).unwrap();
        assert_eq!((close.accept.as_str(), close.code, close.subprotocol), ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 1008, None));
        assert_eq!(closed("", HANDSHAKE), None);
    }

    #[test]
    fn keys() {
        for (key, good) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("AAAAAAAAAAAAAAAAAAAAAA==", true),
            ("////////////////////+w==", true),
            ("AAAAAAAAAAAAAAAAAAAAAB==", false),
            ("AAAAAAAAAAAAAAAAAAAAAAA=", false),
            ("AAAAAAAAAAAAAAAAAAAAAAAA", false),
            ("AAAAAAAAAAAAAAAAAAAAAA", false),
            ("AAAAAAAAAAAAAAAAAAAA", false),
            ("____________________-w==", false),
            ("", false),
        ] {
            assert_eq!(is_key(key.as_bytes()), good, "{key}");
        }
    }

    #[test]
    fn subprotocols() {
        let policy = "sources = [{ subprotocol = 'auth' }]\n[websocket]\non_denial = 'close'";
        for (offers, expected) in [
            ("chat", Some("chat")),
            ("auth.YQ, chat, talk", Some("chat")),
            ("auth.YQ\nSec-WebSocket-Protocol: talk", Some("talk")),
            ("auth.YQ", None),
            ("auth.", None),
            ("auth, chat", Some("auth")),
            (", a b, a/b, a.b", Some("a.b")),
        ] {
            let close = closed(policy, &format!("{HANDSHAKE}\nSec-WebSocket-Protocol: {offers}")).unwrap();
            assert_eq!(close.subprotocol.as_deref(), expected, "{offers}");
        }
    }

    #[test]
    fn reasons_end_between_characters() {
        assert_eq!(at_most_123_bytes(&"a".repeat(123)).len(), 123);
        assert_eq!(at_most_123_bytes(&"a".repeat(124)).len(), 123);
        assert_eq!(at_most_123_bytes(&"\u{fc}".repeat(62)).len(), 122);
        assert_eq!(at_most_123_bytes("no"), "no");
    }
}
