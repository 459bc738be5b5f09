//! A guard within another: it asks for more, and neither decides nor charges a second time.

use super::{Case, Expected, allowed, case, denied, not_let_through};

const READER: &str = r#"{"key":"reader","name":"reader","scopes":["reports:read"]}"#;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R1.5 a guard within another lets through whom both let through, and makes no event", "")
            .record(READER)
            .nested()
            .ask("GET /within/reports:read/a\nX-API-Key: reader", not_modelled(allowed()).body("/principal/name", "reader")),
        case("R1.5 a guard within another denies what it demands, with an event of its own", "")
            .record(READER)
            .nested()
            .ask(
                "GET /within/reports:write/a\nX-API-Key: reader",
                Expected { kind: None, events: Some(2), ..not_modelled(denied("scope")) }
                    .header("WWW-Authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"reports:write\""),
            )
            .ask("GET /within/reports:read/a", not_modelled(denied("missing"))),
        case("R9.2 a guard within another charges nothing", "[limits]\nper_key = ['2/minute']")
            .record(READER)
            .nested()
            .ask("GET /within/reports:read/a\nX-API-Key: reader", not_modelled(allowed()))
            .ask("GET /within/reports:read/a\nX-API-Key: reader", not_modelled(allowed()))
            .ask("GET /within/reports:read/a\nX-API-Key: reader", not_modelled(denied("limited"))),
        case("R1.4 a preflight does not go past a guard that demands something", "").nested().ask(
            "OPTIONS /within/reports:read/a\nOrigin: https://page.test\nAccess-Control-Request-Method: GET",
            not_modelled(denied("missing")),
        ),
        case("R1.5 a guard of another policy decides for itself", "")
            .record(READER)
            .nested()
            // Or, where the framework has filters in place of layers, says that it was given the wrong one.
            .ask("GET /other/a\nX-API-Key: reader", not_let_through()),
    ]
}

fn not_modelled(expected: Expected) -> Expected {
    Expected { modelled: false, ..expected }
}
