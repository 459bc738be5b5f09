//! R15: open access.

use super::{Case, Expected, allowed, anonymous, case, denied};

const OPEN: &str = "
authenticators = ['configured']
[[configured_keys]]
env = 'KEY'
[[configured_keys]]
env = 'MORE_KEYS'
separator = ','
[access]
insecure_allow_without_keys = true
[[routes]]
path = '/scoped-route'
scopes = ['a:b']
";

/// Refused, whether as 401 or as 403: the rules demand no more.
fn refused() -> Expected {
    Expected { statuses: vec![401, 403], modelled: false, ..allowed() }
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        case("R15 without any key everybody gets in, if the policy says so", OPEN)
            .ask("GET /a", anonymous())
            .ask("POST /a", anonymous()),
        case("R15 blank variables hold no key", OPEN)
            .environment("KEY", "  ")
            .environment("MORE_KEYS", "")
            .ask("GET /a", anonymous()),
        case("R15 scoped routes refuse nevertheless", OPEN)
            .ask("GET /scoped-route", refused())
            .ask("GET /scoped/a:b/x", refused()),
        case("R15 one key is enough to close the door", OPEN)
            .environment("MORE_KEYS", "alpha")
            .ask("GET /a", denied("missing"))
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .ask("GET /a\nX-API-Key: wrong", denied("unknown")),
        case("R15 open access is one event like any other", OPEN).ask("GET /a", anonymous().header("Cache-Control", "private")),
        case(
            "R15 a store beside configured keys is never open",
            "authenticators = ['store', 'configured']\n[[configured_keys]]\nenv = 'KEY'\n[access]\ninsecure_allow_without_keys = true",
        )
        .key("alpha")
        .ask("GET /a", denied("missing"))
        .ask("GET /a\nX-API-Key: alpha", allowed()),
    ]
}
