//! What a service answers when it cannot reach its keys, or where its events go: never as if it knew something about a key.

use super::{Case, allowed, case, denied, unguarded};
use crate::service::Away;

pub(super) fn cases() -> Vec<Case> {
    let unavailable = || {
        let mut expected = denied("unavailable").header("Retry-After", "1").without_header("WWW-Authenticate");
        expected.modelled = false;
        expected
    };
    let without_event = |mut expected: super::Expected| {
        (expected.kind, expected.events, expected.modelled) = (None, Some(0), false);
        expected
    };
    vec![
        case("R6.3 a store that is away is 503", "[access]\nopen_paths = ['/healthz']")
            .key("alpha")
            .without(Away::Store)
            .ask("GET /a\nX-API-Key: alpha", unavailable())
            .ask("GET /a\nX-API-Key: wrong", unavailable())
            .ask("GET /a", denied("missing"))
            .ask("GET /healthz\nX-API-Key: alpha", unguarded()),
        case("R6.3 a store that is away opens no optional path", "[[routes]]\npath = '/a'\noptional = true")
            .without(Away::Store)
            .ask("GET /a\nX-API-Key: alpha", unavailable()),
        case("R11.1 an allowed request that cannot be recorded is 503 if it has to be", "[audit]\nmode = 'required'")
            .key("alpha")
            .without(Away::Audit)
            .ask("GET /a\nX-API-Key: alpha", without_event(denied("unavailable")))
            .ask("GET /a\nX-API-Key: wrong", without_event(denied("unknown"))),
        case("R11.1 an allowed request that cannot be recorded goes on otherwise", "")
            .key("alpha")
            .without(Away::Audit)
            .ask("GET /a\nX-API-Key: alpha", without_event(allowed())),
    ]
}
