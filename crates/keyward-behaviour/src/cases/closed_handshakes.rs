//! R12.1: handshakes that are denied, and told so by a close frame.

use super::{Case, Expected, allowed, anonymous, case, closed, denied, unguarded};
use crate::service::Away;

const CLOSE: &str = "[websocket]\non_denial = 'close'";

/// The credential of `base64url.auth.YWxwaGE` is `alpha`, that of `base64url.auth.d3Jvbmc` is `wrong`.
const SUBPROTOCOL: &str = "sources = [{ bearer = true }, { subprotocol = 'base64url.auth' }]\n[websocket]\non_denial = 'close'";

const HEADERS: &str =
    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

/// A handshake, with more header lines.
fn handshake(target: &str, more: &str) -> String {
    let more = if more.is_empty() { String::new() } else { format!("\n{more}") };
    format!("GET {target}\n{HEADERS}{more}")
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = kinds();
    cases.extend(faults());
    cases.extend(reasons());
    cases.extend(subprotocols());
    cases.extend(passing());
    cases.extend(near_misses());
    cases
}

fn kinds() -> Vec<Case> {
    let bad = "X-API-Key: wrong\nX-Request-ID: of-the-client";
    vec![
        case("R12.1 a handshake without a key is completed and closed", CLOSE)
            .key("alpha")
            .ask(
                &handshake("/a", "X-Request-ID: of-the-client"),
                closed("missing")
                    .header("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
                    .header("X-Request-ID", "of-the-client")
                    .without_header("Sec-WebSocket-Protocol"),
            )
            .ask(&handshake("/a", ""), closed("missing").another_header("X-Request-ID", "of-the-client"))
            .ask("GET /a", denied("missing")),
        case("R12.1 a handshake with a bad key is closed", CLOSE)
            .key("alpha")
            .ask(&handshake("/a", "X-API-Key: wrong"), closed("unknown"))
            .ask(&handshake("/a", "X-API-Key: al pha"), closed("malformed"))
            .ask(&handshake("/a", "Authorization: Bearer"), closed("malformed")),
        case("R7.5 closes of bad keys are the same", CLOSE)
            .record(r#"{"key":"revoked","revoked":true}"#)
            .record(r#"{"key":"disabled","disabled":true}"#)
            .record(r#"{"key":"expired","expires_at":"2023-01-01T00:00:00Z"}"#)
            .record(r#"{"key":"early","not_before":"2025-01-01T00:00:00Z"}"#)
            .ask(&handshake("/a", bad), closed("unknown"))
            .ask(&handshake("/a", &bad.replace("wrong", "revoked")), closed("revoked").same_as_before())
            .ask(&handshake("/a", &bad.replace("wrong", "disabled")), closed("disabled").same_as_before())
            .ask(&handshake("/a", &bad.replace("wrong", "expired")), closed("expired").same_as_before())
            .ask(&handshake("/a", &bad.replace("wrong", "early")), closed("not-yet-valid").same_as_before())
            .ask(&handshake("/a", &bad.replace("wrong", "b\u{e4}d")), closed("malformed").same_as_before()),
        case("R12.1 a handshake with two keys is closed", CLOSE)
            .key("alpha")
            .ask(&handshake("/a", "X-API-Key: alpha\nAuthorization: Bearer beta"), closed("conflict"))
            .ask(&handshake("/a", "X-API-Key: alpha\nX-API-Key: alpha"), closed("duplicate")),
        case(
            "R12.1 a handshake that its key may not make is closed",
            "[websocket]\non_denial = 'close'\n[[routes]]\npath = '/admin'\nkinds = ['admin']\n[[routes]]\npath = '/posted'\nmethods = ['POST']",
        )
        .record(r#"{"key":"alpha","allowed_ips":["127.0.0.1"]}"#)
        .ask(&handshake("/scoped/a:b/x", "X-API-Key: alpha"), closed("scope"))
        .ask(&handshake("/admin", "X-API-Key: alpha"), closed("kind"))
        .ask(&handshake("/posted", "X-API-Key: alpha"), closed("route"))
        .from("127.0.0.2")
        .ask(&handshake("/a", "X-API-Key: alpha"), closed("address")),
        case(
            "R12.1 a handshake from a denied address is closed",
            "[network]\ndeny = ['127.0.0.1']\n[websocket]\non_denial = 'close'",
        )
        .key("alpha")
        .ask(&handshake("/a", "X-API-Key: alpha"), closed("address"))
        .from("127.0.0.2")
        .ask(&handshake("/a", "X-API-Key: alpha"), allowed()),
        case(
            "R12.1 a handshake with an ambiguous path is closed",
            "[access]\nopen_paths = ['/open/*']\n[websocket]\non_denial = 'close'",
        )
        .ask(&handshake("/open/../a", ""), closed("path"))
        .ask(&handshake("/open%2Fa", ""), closed("path")),
        case(
            "R12.3 a handshake with a cookie from a foreign origin is closed",
            "sources = [{ cookie = 'k' }]\n[access]\npublic_url = 'https://own.test'\n[websocket]\non_denial = 'close'",
        )
        .key("alpha")
        .ask(&handshake("/a", "Cookie: k=alpha\nOrigin: https://evil.test"), closed("origin"))
        .ask(&handshake("/a", "Cookie: k=alpha"), closed("origin"))
        .ask(&handshake("/a", "Cookie: k=alpha\nOrigin: https://own.test"), allowed()),
        case("R12.1 a handshake beyond a limit is closed", "[limits]\nper_key = ['1/minute']\n[websocket]\non_denial = 'close'")
            .key("alpha")
            .ask(&handshake("/a", "X-API-Key: alpha"), allowed())
            .ask(
                &handshake("/a", "X-API-Key: alpha"),
                closed("limited").without_header("X-RateLimit-Limit").without_header("X-RateLimit-Remaining"),
            )
            .ask("GET /a\nX-API-Key: alpha", denied("limited").header("Retry-After", "60")),
        case(
            "R12.1 a handshake beyond the failure budget is closed",
            "[limits]\nfailures = '1/minute'\n[websocket]\non_denial = 'close'",
        )
        .key("alpha")
        .ask(&handshake("/a", "X-API-Key: wrong"), closed("unknown"))
        .ask(&handshake("/a", "X-API-Key: wrong"), closed("failures-limited"))
        .ask(&handshake("/a", "X-API-Key: alpha"), allowed()),
        case("R12.1 unless the policy says so, no handshake is closed", "[websocket]\nclose_code = 4001")
            .key("alpha")
            .ask(&handshake("/a", ""), denied("missing").without_header("Sec-WebSocket-Accept"))
            .ask(&handshake("/a", "X-API-Key: wrong"), denied("unknown")),
    ]
}

fn faults() -> Vec<Case> {
    let not_modelled = |expected: Expected| Expected { modelled: false, ..expected };
    let without_event = |expected: Expected| Expected { kind: None, events: Some(0), ..not_modelled(expected) };
    vec![
        case("R12.1 a handshake that cannot be decided is closed", CLOSE)
            .key("alpha")
            .without(Away::Store)
            .ask(&handshake("/a", "X-API-Key: alpha"), not_modelled(closed("unavailable")))
            .ask(&handshake("/a", ""), not_modelled(closed("missing"))),
        case(
            "R11.1 an allowed handshake that cannot be recorded is closed if it has to be",
            "[audit]\nmode = 'required'\n[websocket]\non_denial = 'close'",
        )
        .key("alpha")
        .without(Away::Audit)
        .ask(&handshake("/a", "X-API-Key: alpha"), without_event(closed("unavailable")))
        .ask(&handshake("/a", "X-API-Key: wrong"), without_event(closed("unknown"))),
        case(
            "R2.3 a handshake from nobody is closed where a rule needs the address",
            "[limits]\nper_address = ['1/minute']\n[websocket]\non_denial = 'close'",
        )
        .key("alpha")
        .without_peer()
        .ask(&handshake("/a", "X-API-Key: alpha"), closed("unavailable")),
        case("R12.1 a handshake that a guard within another denies is closed", CLOSE)
            .record(r#"{"key":"reader","name":"reader","scopes":["reports:read"]}"#)
            .nested()
            .ask(&handshake("/within/reports:read/a", "X-API-Key: reader"), not_modelled(allowed()).principal("reader"))
            .ask(
                &handshake("/within/reports:write/a", "X-API-Key: reader"),
                // The outer guard has let it in, and says how that is to be cached.
                Expected { kind: None, events: Some(2), headers: Vec::new(), ..not_modelled(closed("scope")) },
            ),
    ]
}

fn reasons() -> Vec<Case> {
    const TEXTS: &str = "
        sources = [{ header = 'X-API-Key' }, { bearer = true }]
        [limits]
        per_key = ['1/minute']
        [network]
        deny = ['127.0.0.2']
        [response]
        unauthorized = 'the key is bad'
        missing = 'there is no key'
        conflict = 'there are two'
        forbidden_address = 'not from there'
        forbidden_scope = 'not with this key'
        limited = 'later'
        [websocket]
        on_denial = 'close'
        close_code = 4001
    ";
    const BOUNDS: &str = concat!(
        "[response]\n",
        "missing = '",
        "123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123",
        "'\nunauthorized = '",
        "123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 1234",
        "'\nconflict = '",
        "\u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 1\u{fc}",
        "'\n[websocket]\non_denial = 'close'",
    );
    const KEPT: &str = "123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123456789 123";
    const KEPT_OF_UMLAUTS: &str = "\u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 \u{fc}23456789 1";
    let own = |kind, text: &str| closed(kind).code(4001).reason(text);
    vec![
        case("R12.1 a close has the policy's code, and its text as the reason", TEXTS)
            .key("alpha")
            .ask(&handshake("/a", ""), own("missing", "there is no key"))
            .ask(&handshake("/a", "X-API-Key: wrong"), own("unknown", "the key is bad"))
            .ask(&handshake("/a", "X-API-Key: wrong\nAuthorization: Bearer x"), own("conflict", "there are two"))
            .ask(&handshake("/scoped/a:b/x", "X-API-Key: alpha"), own("scope", "not with this key"))
            .ask(&handshake("/a", "X-API-Key: alpha"), allowed())
            .ask(&handshake("/a", "X-API-Key: alpha"), own("limited", "later"))
            .from("127.0.0.2")
            .ask(&handshake("/a", "X-API-Key: alpha"), own("address", "not from there")),
        case("R12.1 a reason is cut to 123 bytes, between characters", BOUNDS)
            .ask(&handshake("/a", ""), closed("missing").reason(KEPT))
            .ask(&handshake("/a", "X-API-Key: wrong"), closed("unknown").reason(KEPT))
            .ask(&handshake("/a", "X-API-Key: x\nAuthorization: Bearer y"), closed("conflict").reason(KEPT_OF_UMLAUTS)),
        case(
            "R12.1 an empty text is an empty reason",
            "[response]\nmissing = ''\n[websocket]\non_denial = 'close'\nclose_code = 3000",
        )
        .ask(&handshake("/a", ""), closed("missing").code(3000).reason("")),
        case(
            "R10.1 a close has the security headers, if they are asked for",
            "[response]\nsecurity_headers = true\nhsts = 'max-age=1'\n[websocket]\non_denial = 'close'",
        )
        .ask(
            &handshake("/a", ""),
            closed("missing").header("X-Content-Type-Options", "nosniff").header("Strict-Transport-Security", "max-age=1"),
        ),
    ]
}

fn subprotocols() -> Vec<Case> {
    let offer = |offers: &str| handshake("/a", &format!("Sec-WebSocket-Protocol: {offers}"));
    let selected = |expected: Expected, subprotocol: &str| expected.header("Sec-WebSocket-Protocol", subprotocol);
    let none = |expected: Expected| expected.without_header("Sec-WebSocket-Protocol");
    vec![
        case("R12.1 a close selects the first subprotocol that is offered", CLOSE)
            .ask(&offer("chat"), selected(closed("missing"), "chat"))
            .ask(&offer("talk,chat"), selected(closed("missing"), "talk"))
            .ask(&offer(" , talk\nSec-WebSocket-Protocol: chat"), selected(closed("missing"), "talk"))
            .ask(&offer("a b, c/d, chat"), selected(closed("missing"), "chat"))
            .ask(&offer("a b, caf\u{e9}"), none(closed("missing")))
            .ask(&offer(""), none(closed("missing")))
            .ask(&handshake("/a", ""), none(closed("missing"))),
        case("R12.2 a close never echoes a credential", SUBPROTOCOL)
            .key("alpha")
            .ask(&offer("base64url.auth.d3Jvbmc, chat"), selected(closed("unknown"), "chat"))
            .ask(&offer("base64url.auth.d3Jvbmc\nSec-WebSocket-Protocol: chat, talk"), selected(closed("unknown"), "chat"))
            .ask(&offer("talk, base64url.auth.d3Jvbmc, chat"), selected(closed("unknown"), "talk"))
            .ask(&offer("base64url.auth.YWxwaGE=, chat"), selected(closed("malformed"), "chat"))
            .ask(
                &format!("{}\nAuthorization: Bearer beta", offer("base64url.auth.YWxwaGE, chat")),
                selected(closed("conflict"), "chat"),
            )
            .ask(&offer("base64url.auth.YWxwaGE, base64url.auth.d3Jvbmc, chat"), selected(closed("duplicate"), "chat")),
        case("R12.2 a credential as the only subprotocol is closed, and selects none", SUBPROTOCOL)
            .key("alpha")
            .ask(&offer("base64url.auth.YWxwaGE"), none(Expected { kind: None, ..closed("conflict") }))
            .ask(&offer("base64url.auth.YWxwaGE, ,"), none(Expected { kind: None, ..closed("conflict") })),
        case(
            "R12.2 a close never echoes the credential of a source that does not count here",
            "sources = [{ bearer = true }, { subprotocol = 'auth', paths = ['/jobs/*'] }]\n[websocket]\non_denial = 'close'",
        )
        .ask(&offer("auth.YWxwaGE, chat"), selected(closed("missing"), "chat"))
        .ask(&offer("auth.YWxwaGE"), none(closed("missing"))),
    ]
}

fn passing() -> Vec<Case> {
    vec![
        case("R12.1 a handshake that is let in reaches the handler", CLOSE)
            .key("alpha")
            .ask(&handshake("/a", "X-API-Key: alpha"), allowed())
            .ask(&handshake("/optional/a", ""), anonymous())
            .ask(&handshake("/optional/a", "X-API-Key: wrong"), closed("unknown")),
        case(
            "R1.5 a handshake on an open path reaches the handler",
            "[access]\nopen_paths = ['/open']\n[websocket]\non_denial = 'close'",
        )
        .ask(&handshake("/open", ""), unguarded())
        .ask(&handshake("/open", "X-API-Key: wrong"), unguarded())
        .ask(&handshake("/%6fpen", ""), closed("missing")),
    ]
}

/// Handshakes that a server must not complete are answered in HTTP; so is whatever is no handshake.
fn near_misses() -> Vec<Case> {
    const SPELLINGS: [(&str, &str); 5] = [
        ("Upgrade: websocket", "Upgrade: WebSocket"),
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        ("Connection: Upgrade", "Connection: upgrade"),
        ("Connection: Upgrade", "Connection: keep-alive\nConnection: Upgrade"),
        ("Version: 13", "Version:  13 "),
    ];
    const FLAWS: [(&str, &str, &str); 17] = [
        ("R12.1 without Upgrade it is no handshake", "Upgrade: websocket\n", ""),
        ("R12.1 to upgrade to something else is no handshake", "Upgrade: websocket", "Upgrade: h2c"),
        ("R12.1 to upgrade to something that begins like it is no handshake", "Upgrade: websocket", "Upgrade: websockets"),
        ("R12.1 without Connection it is no handshake", "Connection: Upgrade\n", ""),
        ("R12.1 a connection that is only kept is no handshake", "Connection: Upgrade", "Connection: keep-alive"),
        ("R12.1 without a version it is no handshake", "Sec-WebSocket-Version: 13\n", ""),
        ("R12.1 an older version is no handshake", "Version: 13", "Version: 8"),
        ("R12.1 a list of versions is no handshake", "Version: 13", "Version: 13, 8"),
        ("R12.1 a version in another spelling is no handshake", "Version: 13", "Version: 013"),
        ("R12.1 two versions are no handshake", "Version: 13", "Version: 13\nSec-WebSocket-Version: 13"),
        ("R12.1 without a key of its own it is no handshake", "\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", ""),
        ("R12.1 an empty key is no handshake's", "dGhlIHNhbXBsZSBub25jZQ==", ""),
        ("R12.1 a key of 15 bytes is no handshake's", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
        ("R12.1 a key of 17 bytes is no handshake's", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSE="),
        ("R12.1 a key without padding is no handshake's", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
        ("R12.1 a key with bits behind its last byte is no handshake's", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR=="),
        (
            "R12.1 two keys are no handshake's",
            "dGhlIHNhbXBsZSBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ),
    ];
    let refused = || denied("missing").without_header("Sec-WebSocket-Accept");
    let mut cases: Vec<Case> = FLAWS
        .into_iter()
        .map(|(name, right, wrong)| {
            case(name, CLOSE)
                .ask(&handshake("/a", "").replace(right, wrong), refused())
                .ask(&handshake("/a", ""), closed("missing"))
        })
        .collect();
    let spelt = case("R12.1 a handshake may be spelt in more than one way", CLOSE);
    cases.push(
        SPELLINGS
            .into_iter()
            .fold(spelt, |case, (usual, other)| case.ask(&handshake("/a", "").replace(usual, other), closed("missing"))),
    );
    cases.push(
        case("R12.1 a handshake is a GET", CLOSE)
            .ask(&handshake("/a", "").replace("GET", "HEAD"), refused())
            .ask(&handshake("/a", "").replace("GET", "PUT"), refused())
            .ask(&handshake("/a", "").replace("GET", "OPTIONS"), refused()),
    );
    cases.push(
        case("R12.1 a handshake with a body is refused", CLOSE)
            .ask(&handshake("/a", "Content-Length: 1\n\nx"), refused())
            .ask(&handshake("/a", "Content-Length: 0"), closed("missing")),
    );
    // Not every server looks further than the first.
    cases.push(case("R12.1 a handshake among other upgrades is closed or refused", CLOSE).ask(
        &handshake("/a", "").replace("Upgrade: websocket", "Upgrade: h2c, websocket"),
        Expected { statuses: vec![101, 401], kind: Some("missing"), modelled: false, parsers_may_refuse: true, ..allowed() },
    ));
    // The words that HTTP/2 has for it, too.
    cases.push(case("R12.1 HTTP/2 has no handshake", CLOSE).key("alpha").ask(
        "GET /a\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: chat\nX-API-Key: wrong",
        denied("unknown").without_header("Sec-WebSocket-Protocol"),
    ));
    cases
}
