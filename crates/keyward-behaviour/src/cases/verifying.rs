//! R7: verifying.

use std::time::Duration;

use super::{Case, allowed, case, denied};

/// A key of the generated shape with the right check.
const GENERATED: &str = "kw_test_0123456789abcdefghijABCDEFGHIJ01";

pub(super) fn cases() -> Vec<Case> {
    let nanosecond = Duration::from_nanos(1);
    let second = Duration::from_secs(1);
    let secret = GENERATED.trim_start_matches("kw_test_");
    let good = crate::model::key::generated("kw_test", secret);
    let mut typo = good.clone();
    let last = typo.pop().expect("a key is not empty");
    typo.push(if last == '0' { '1' } else { '0' });
    let swapped = good.replace("kw_test_01", "kw_test_10");
    let other = crate::model::key::generated("kw_test", "ZZZZ456789abcdefghijABCDEFGHIJ01");
    vec![
        case("R7.1 a generated key with its check is good", "").key(&good).ask(&format!("GET /a\nX-API-Key: {good}"), allowed()),
        case("R7.1 a wrong check under a bound prefix is malformed", "")
            .key(&good)
            .ask(&format!("GET /a\nX-API-Key: {typo}"), denied("malformed"))
            .ask(&format!("GET /a\nX-API-Key: {swapped}"), denied("malformed")),
        case("R7.1 a right check alone makes no key", "")
            .key(&good)
            .ask(&format!("GET /a\nX-API-Key: {other}"), denied("unknown")),
        case("R7.1 no check is demanded under a prefix that nobody bound", "")
            .key("alpha")
            .ask(&format!("GET /a\nX-API-Key: {typo}"), denied("unknown")),
        case("R7.2 a part of a key is no key", "")
            .key("alpha-key")
            .ask("GET /a\nX-API-Key: alpha", denied("unknown"))
            .ask("GET /a\nX-API-Key: alpha-key-", denied("unknown"))
            .ask("GET /a\nX-API-Key: alpha-keY", denied("unknown"))
            .ask("GET /a\nX-API-Key: alpha-key", allowed()),
        case("R7.4 a key is good until just before it expires", "")
            .record(r#"{"key":"alpha","expires_at":"2024-01-01T00:00:02Z"}"#)
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .wait(2 * second - nanosecond)
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .wait(nanosecond)
            .ask("GET /a\nX-API-Key: alpha", denied("expired"))
            .wait(nanosecond)
            .ask("GET /a\nX-API-Key: alpha", denied("expired")),
        case("R7.4 a key is good from the moment at which it begins", "")
            .record(r#"{"key":"alpha","not_before":"2024-01-01T00:00:02Z"}"#)
            .ask("GET /a\nX-API-Key: alpha", denied("not-yet-valid"))
            .wait(2 * second - nanosecond)
            .ask("GET /a\nX-API-Key: alpha", denied("not-yet-valid"))
            .wait(nanosecond)
            .ask("GET /a\nX-API-Key: alpha", allowed()),
        case("R7.4 moments count to the fraction of a second", "")
            .record(r#"{"key":"alpha","expires_at":"2024-01-01T00:00:00.5Z"}"#)
            .wait(Duration::from_millis(500) - nanosecond)
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .wait(nanosecond)
            .ask("GET /a\nX-API-Key: alpha", denied("expired")),
        case("R7.4 moments are read with their offset", "")
            .record(r#"{"key":"alpha","expires_at":"2024-01-01T01:00:01+01:00"}"#)
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .wait(second)
            .ask("GET /a\nX-API-Key: alpha", denied("expired")),
        case("R7.4 a life of no length is none", "")
            .record(r#"{"key":"alpha","not_before":"2024-01-01T00:00:01Z","expires_at":"2024-01-01T00:00:01.000000001Z"}"#)
            .ask("GET /a\nX-API-Key: alpha", denied("not-yet-valid"))
            .wait(second)
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .wait(nanosecond)
            .ask("GET /a\nX-API-Key: alpha", denied("expired")),
        case("R7.4 a revoked key is refused", "")
            .record(r#"{"key":"alpha","revoked":true}"#)
            .ask("GET /a\nX-API-Key: alpha", denied("revoked")),
        case("R7.4 a disabled key is refused", "")
            .record(r#"{"key":"alpha","disabled":true}"#)
            .ask("GET /a\nX-API-Key: alpha", denied("disabled")),
        case("R7.4 revoked false is not revoked", "")
            .record(r#"{"key":"alpha","revoked":false}"#)
            .ask("GET /a\nX-API-Key: alpha", allowed()),
        case("R7.5 the client cannot tell one bad key from another", "")
            .key(&good)
            .record(r#"{"key":"old","expires_at":"2023-12-31T23:59:59Z"}"#)
            .record(r#"{"key":"young","not_before":"2025-01-01T00:00:00Z"}"#)
            .record(r#"{"key":"revoked","revoked":true}"#)
            .record(r#"{"key":"disabled","disabled":true}"#)
            .ask("GET /a\nX-Request-ID: r\nX-API-Key: nobody", denied("unknown"))
            .ask("GET /a\nX-Request-ID: r\nX-API-Key: old", denied("expired").same_as_before())
            .ask("GET /a\nX-Request-ID: r\nX-API-Key: young", denied("not-yet-valid").same_as_before())
            .ask("GET /a\nX-Request-ID: r\nX-API-Key: revoked", denied("revoked").same_as_before())
            .ask("GET /a\nX-Request-ID: r\nX-API-Key: disabled", denied("disabled").same_as_before())
            .ask("GET /a\nX-Request-ID: r\nX-API-Key: a b", denied("malformed").same_as_before())
            .ask("GET /a\nX-Request-ID: r\nX-API-Key:", denied("malformed").same_as_before())
            .ask("GET /a\nX-Request-ID: r\nAuthorization: Bearer", denied("malformed").same_as_before())
            .ask(&format!("GET /a\nX-Request-ID: r\nX-API-Key: {typo}"), denied("malformed").same_as_before()),
        case("R7 the principal is what the record says", "")
            .record(r#"{"key":"alpha","name":"nightly","kind":"service","scopes":["a:b","c:*"]}"#)
            .ask(
                "GET /a\nX-API-Key: alpha",
                allowed()
                    .principal("nightly")
                    .body("/principal/kind", "service")
                    .body("/principal/scopes", serde_json::json!(["a:b", "c:*"]))
                    .body("/principal/authenticator", "store"),
            ),
    ]
}
