//! R12.2: a credential among the subprotocols.

use super::{Case, Expected, allowed, case, denied};

const SUBPROTOCOL: &str = "sources = [{ bearer = true }, { subprotocol = 'base64url.auth' }]";

const HANDSHAKE: &str =
    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

pub(super) fn cases() -> Vec<Case> {
    let offer = |subprotocols: &str| format!("GET /a\n{HANDSHAKE}\nSec-WebSocket-Protocol: {subprotocols}");
    // `YWxwaGE` is `alpha`, and `d3Jvbmc` is `wrong`.
    vec![
        case("R12.2 a subprotocol beside a real one carries a key", SUBPROTOCOL)
            .key("alpha")
            .ask(&offer("chat, base64url.auth.YWxwaGE"), allowed())
            .ask(&offer("base64url.auth.YWxwaGE, chat"), allowed())
            .ask(&offer("base64url.auth.YWxwaGE\nSec-WebSocket-Protocol: chat"), allowed()),
        case("R12.2 a bad key in a subprotocol is 401", SUBPROTOCOL)
            .key("alpha")
            .ask(&offer("chat, base64url.auth.d3Jvbmc"), denied("unknown"))
            .ask(&offer("chat, base64url.auth.YWxwaGE="), denied("malformed"))
            .ask(&offer("chat, base64url.auth.alpha!"), denied("malformed"))
            .ask(&offer("chat, base64url.auth."), denied("malformed")),
        case("R12.2 a key as the only subprotocol is 400", SUBPROTOCOL)
            .key("alpha")
            .ask(&offer("base64url.auth.YWxwaGE"), Expected { kind: None, ..denied("conflict") }),
        case("R12.2 without the name before it a subprotocol is only that", SUBPROTOCOL)
            .key("alpha")
            .ask(&offer("chat"), denied("missing"))
            .ask(&offer("chat, base64url.author.YWxwaGE"), denied("missing")),
        case("R12.2 a source of subprotocols that is not limited to handshakes counts on every request", SUBPROTOCOL)
            .key("alpha")
            .ask("POST /a\nSec-WebSocket-Protocol: chat, base64url.auth.YWxwaGE", allowed())
            .ask("GET /a\nSec-WebSocket-Protocol: chat, base64url.auth.d3Jvbmc", denied("unknown")),
        case(
            "R12.2 a source of subprotocols that is limited to handshakes counts on them alone",
            "sources = [{ subprotocol = 'base64url.auth', only = 'websocket' }]",
        )
        .key("alpha")
        .ask("GET /a\nSec-WebSocket-Protocol: chat, base64url.auth.YWxwaGE", denied("missing"))
        .ask(&offer("chat, base64url.auth.YWxwaGE"), allowed()),
        case("R12.2 a key in a subprotocol is a candidate like others", SUBPROTOCOL)
            .key("alpha")
            .ask(&format!("{}\nAuthorization: Bearer alpha", offer("chat, base64url.auth.YWxwaGE")), allowed())
            .ask(&format!("{}\nAuthorization: Bearer beta", offer("chat, base64url.auth.YWxwaGE")), denied("conflict")),
    ]
}
