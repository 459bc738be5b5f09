//! R13: cookies and origins.

use super::{Case, allowed, case, denied};

const OWN: &str = "
sources = [{ header = 'X-API-Key' }, { cookie = 'api-key' }]
[access]
public_url = 'https://own.test'
[websocket]
allowed_origins = ['https://friend.test']
";

const NO_OWN: &str = "sources = [{ header = 'X-API-Key' }, { cookie = 'api-key' }]";

const HANDSHAKE: &str = "GET /a\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nCookie: api-key=alpha";

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("R13 a cookie from the own origin may write", "POST /a\nCookie: api-key=alpha\nOrigin: https://own.test", true),
        ("R13 a cookie from a foreign origin may not write", "POST /a\nCookie: api-key=alpha\nOrigin: https://evil.test", false),
        ("R13 the own origin may be written in capitals", "POST /a\nCookie: api-key=alpha\nOrigin: HTTPS://Own.Test", true),
        ("R13 a cookie from a null origin may not write", "POST /a\nCookie: api-key=alpha\nOrigin: null", false),
        ("R13 another scheme is a foreign origin", "POST /a\nCookie: api-key=alpha\nOrigin: http://own.test", false),
        ("R13 another port is a foreign origin", "POST /a\nCookie: api-key=alpha\nOrigin: https://own.test:8443", false),
        (
            "R13 a name that begins like the own is a foreign origin",
            "POST /a\nCookie: api-key=alpha\nOrigin: https://own.test.evil.test",
            false,
        ),
        (
            "R13 a host header makes no own origin",
            "POST /a\nHost: evil.test\nCookie: api-key=alpha\nOrigin: https://evil.test",
            false,
        ),
        ("R13 a cookie from another site may not write", "POST /a\nCookie: api-key=alpha\nSec-Fetch-Site: cross-site", false),
        (
            "R13 a cross-site request may not write although it names the own origin",
            "POST /a\nCookie: api-key=alpha\nOrigin: https://own.test\nSec-Fetch-Site: cross-site",
            false,
        ),
        ("R13 a cookie from the same site may write", "POST /a\nCookie: api-key=alpha\nSec-Fetch-Site: same-origin", true),
        ("R13 a cookie without either header may write", "POST /a\nCookie: api-key=alpha", true),
        ("R13 other methods write, too", "DELETE /a\nCookie: api-key=alpha\nOrigin: https://evil.test", false),
        (
            "R13 a cookie may read from anywhere",
            "GET /a\nCookie: api-key=alpha\nOrigin: https://evil.test\nSec-Fetch-Site: cross-site",
            true,
        ),
        ("R13 HEAD reads", "HEAD /a\nCookie: api-key=alpha\nOrigin: https://evil.test", true),
        ("R13 OPTIONS reads", "OPTIONS /a\nCookie: api-key=alpha\nOrigin: https://evil.test", true),
        ("R13 a header is no cookie", "POST /a\nX-API-Key: alpha\nOrigin: https://evil.test\nSec-Fetch-Site: cross-site", true),
        (
            "R13 an origin allowed for handshakes may not write",
            "POST /a\nCookie: api-key=alpha\nOrigin: https://friend.test",
            false,
        ),
    ]
    .into_iter()
    .map(|(name, request, passes)| {
        let expected = if passes { allowed() } else { denied("origin").without_header("WWW-Authenticate") };
        case(name, OWN).key("alpha").ask(request, expected)
    })
    .collect();
    cases.extend([
        case("R13 a cookie on a handshake needs an allowed origin", OWN)
            .key("alpha")
            .ask(&format!("{HANDSHAKE}\nOrigin: https://own.test"), allowed())
            .ask(&format!("{HANDSHAKE}\nOrigin: https://friend.test"), allowed())
            .ask(&format!("{HANDSHAKE}\nOrigin: https://friend.test\nSec-Fetch-Site: cross-site"), allowed())
            .ask(&format!("{HANDSHAKE}\nOrigin: https://evil.test"), denied("origin"))
            .ask(&format!("{HANDSHAKE}\nOrigin: https://evil.test\nSec-Fetch-Site: cross-site"), denied("origin"))
            .ask(&format!("{HANDSHAKE}\nOrigin: https://own.test\nSec-Fetch-Site: cross-site"), denied("origin"))
            .ask(HANDSHAKE, denied("origin")),
        case("R13 whatever a framework may take for a handshake needs an allowed origin, too", OWN)
            .key("alpha")
            .ask("GET /a\nUpgrade: websocket\nConnection: x-upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nCookie: api-key=alpha\nOrigin: https://evil.test", denied("origin"))
            .ask("GET /a\nUpgrade: websockets\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nCookie: api-key=alpha\nOrigin: https://evil.test", denied("origin"))
            .ask("GET /a\nSec-WebSocket-Key: x\nCookie: api-key=alpha\nOrigin: https://evil.test", denied("origin"))
            .ask("GET /a\nSec-WebSocket-Key:\nCookie: api-key=alpha", denied("origin"))
            .ask("GET /a\nSec-WebSocket-Key: x\nCookie: api-key=alpha\nOrigin: https://friend.test", allowed())
            .ask("GET /a\nSec-WebSocket-Key: x\nX-API-Key: alpha\nOrigin: https://evil.test", allowed())
            .ask("HEAD /a\nSec-WebSocket-Key: x\nCookie: api-key=alpha\nOrigin: https://evil.test", allowed()),
        case("R13 without a public URL every origin is foreign", NO_OWN)
            .key("alpha")
            .ask("POST /a\nCookie: api-key=alpha\nOrigin: https://api.test", denied("origin"))
            .ask("POST /a\nCookie: api-key=alpha\nOrigin: http://api.test", denied("origin"))
            .ask("POST /a\nCookie: api-key=alpha", allowed())
            .ask(&format!("{HANDSHAKE}\nOrigin: https://api.test"), denied("origin")),
        case("R13 a bad cookie is 401 before its origin is asked", OWN)
            .ask("POST /a\nCookie: api-key=wrong\nOrigin: https://evil.test", denied("unknown")),
        case("R13 the origin is asked before the scopes", OWN)
            .key("alpha")
            .ask("POST /scoped/a:b/x\nCookie: api-key=alpha\nOrigin: https://evil.test", denied("origin"))
            .ask("POST /scoped/a:b/x\nCookie: api-key=alpha\nOrigin: https://own.test", denied("scope")),
        case("R13 a refused origin charges nothing", "sources = [{ cookie = 'api-key' }]\n[limits]\nper_key = ['1/minute']")
            .key("alpha")
            .ask_times(3, "POST /a\nCookie: api-key=alpha\nOrigin: https://evil.test", &denied("origin"))
            .ask("POST /a\nCookie: api-key=alpha", allowed()),
    ]);
    cases
}
