//! R6: choosing among candidates.

use super::{Case, allowed, case, denied};

const THREE: &str = "
sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]
";

const FIRST_PRESENT: &str = "
resolution = 'first-present'
sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]
";

const FIRST_VALID: &str = "
resolution = 'first-valid'
sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]
";

const STORE_THEN_CONFIGURED: &str = "
resolution = 'first-valid'
authenticators = ['store', 'configured']
[[configured_keys]]
env = 'ADMIN_API_KEY'
kind = 'admin'
";

const CONFIGURED_THEN_STORE: &str = "
resolution = 'first-valid'
authenticators = ['configured', 'store']
[[configured_keys]]
env = 'ADMIN_API_KEY'
kind = 'admin'
";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("R6.1 equal credentials in two sources are one", THREE)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: alpha", allowed().principal("alpha"))
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: alpha\nCookie: api-key=alpha", allowed().principal("alpha")),
        case("R6.1 equal bad credentials in two sources are one", THREE)
            .ask("GET /a\nAuthorization: Bearer wrong\nX-API-Key: wrong", denied("unknown")),
        case("R6.2 two different credentials conflict", THREE)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: beta", denied("conflict"))
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: wrong", denied("conflict"))
            .ask("GET /a\nAuthorization: Bearer wrong\nX-API-Key: alpha", denied("conflict"))
            .ask("GET /a\nX-API-Key: alpha\nCookie: api-key=beta", denied("conflict")),
        case("R6.2 credentials that differ in case are different", THREE)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: Alpha", denied("conflict")),
        case("R6.2 a malformed credential conflicts, too", THREE)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: a b", denied("conflict"))
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key:", denied("conflict"))
            .ask("GET /a\nAuthorization: Bearer\nX-API-Key: alpha", denied("conflict")),
        case("R6.1 equal malformed credentials in two sources are one", THREE)
            .ask("GET /a\nAuthorization: Bearer a b\nX-API-Key: a b", denied("malformed"))
            .ask("GET /a\nX-API-Key:\nCookie: api-key=", denied("malformed"))
            .ask("GET /a\nAuthorization: Bearer a b\nX-API-Key: a c", denied("conflict")),
        case("R6.2 a foreign scheme does not conflict", THREE)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Basic YTpi\nX-API-Key: alpha", allowed().principal("alpha")),
        case("R6.2 a conflict on an optional route is 400", THREE)
            .keys_in_all_states()
            .ask("GET /optional/a\nAuthorization: Bearer alpha\nX-API-Key: beta", denied("conflict")),
        case("R6.2 under first-present the first source decides", FIRST_PRESENT)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: beta", allowed().principal("alpha"))
            .ask("GET /a\nX-API-Key: beta\nCookie: api-key=alpha", allowed().principal("beta"))
            .ask("GET /a\nCookie: api-key=alpha\nX-API-Key: beta", allowed().principal("beta"))
            .ask("GET /a\nCookie: api-key=alpha", allowed().principal("alpha")),
        case("R6.2 under first-present a bad credential is not rescued", FIRST_PRESENT)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer wrong\nX-API-Key: alpha", denied("unknown"))
            .ask("GET /a\nAuthorization: Bearer\nX-API-Key: alpha", denied("malformed"))
            .ask("GET /a\nX-API-Key:\nCookie: api-key=alpha", denied("malformed")),
        case("R6.2 under first-present a foreign scheme is nothing", FIRST_PRESENT)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Basic YTpi\nX-API-Key: alpha", allowed().principal("alpha")),
        case("R6.2 under first-valid the first good one wins", FIRST_VALID)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: beta", allowed().principal("alpha"))
            .ask("GET /a\nX-API-Key: beta\nCookie: api-key=alpha", allowed().principal("beta")),
        case("R6.2 under first-valid a scope is final", FIRST_VALID)
            .keys_in_all_states()
            .record(r#"{"key":"scoped","scopes":["a:b"]}"#)
            .ask("GET /scoped/a:b/x\nAuthorization: Bearer alpha\nX-API-Key: scoped", denied("scope")),
        case("R6.2 under first-valid an address is final", FIRST_VALID)
            .keys_in_all_states()
            .record(r#"{"key":"elsewhere","allowed_ips":["203.0.113.1"]}"#)
            .ask("GET /a\nAuthorization: Bearer elsewhere\nX-API-Key: alpha", denied("address")),
        case("R6.2 under first-valid a limit is final", FIRST_VALID)
            .keys_in_all_states()
            .record(r#"{"key":"once","name":"once","limit":"1/hour"}"#)
            .ask("GET /a\nAuthorization: Bearer once\nX-API-Key: alpha", allowed().principal("once"))
            .ask("GET /a\nAuthorization: Bearer once\nX-API-Key: alpha", denied("limited")),
        case("R6.2 under first-valid the first bad one names the kind", FIRST_VALID)
            .keys_in_all_states()
            .ask("GET /a\nAuthorization: Bearer old\nX-API-Key: wrong", denied("expired"))
            .ask("GET /a\nAuthorization: Bearer wrong\nX-API-Key: old", denied("unknown"))
            .ask("GET /a\nAuthorization: Bearer\nX-API-Key: revoked", denied("malformed"))
            .ask("GET /a\nX-API-Key: revoked\nCookie: api-key=young", denied("revoked")),
        case("R6.3 authenticators are outside, candidates inside", STORE_THEN_CONFIGURED)
            .keys_in_all_states()
            .environment("ADMIN_API_KEY", "root")
            .ask("GET /a\nAuthorization: Bearer root\nX-API-Key: alpha", allowed().principal("alpha"))
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: root", allowed().principal("alpha"))
            .ask(
                "GET /a\nAuthorization: Bearer root\nX-API-Key: wrong",
                allowed().body("/principal/authenticator", "configured").body("/principal/kind", "admin"),
            )
            .ask(
                "GET /a\nAuthorization: Bearer wrong\nX-API-Key: root",
                allowed().body("/principal/authenticator", "configured"),
            ),
        case("R6.3 the policy orders the authenticators", CONFIGURED_THEN_STORE)
            .keys_in_all_states()
            .environment("ADMIN_API_KEY", "root")
            .ask(
                "GET /a\nAuthorization: Bearer alpha\nX-API-Key: root",
                allowed().body("/principal/authenticator", "configured"),
            ),
        case("R6.3 a key revoked in the store is not looked for among configured ones", STORE_THEN_CONFIGURED)
            .keys_in_all_states()
            .environment("ADMIN_API_KEY", "revoked")
            .ask("GET /a\nX-API-Key: revoked", denied("revoked")),
        case("R6.3 a configured key that is asked about first wins", CONFIGURED_THEN_STORE)
            .keys_in_all_states()
            .environment("ADMIN_API_KEY", "revoked")
            .ask("GET /a\nX-API-Key: revoked", allowed().body("/principal/authenticator", "configured")),
        case(
            "R6.3 several configured keys stand in one variable",
            "[[configured_keys]]\nenv = 'KEYS'\nseparator = ','\nkind = 'client'",
        )
        .environment("KEYS", "one, two")
        .ask("GET /a\nX-API-Key: one", allowed().body("/principal/kind", "client"))
        .ask("GET /a\nX-API-Key: two", allowed().body("/principal/kind", "client"))
        .ask("GET /a\nX-API-Key: one,two", denied("unknown"))
        .ask("GET /a\nX-API-Key: three", denied("unknown")),
        case("R6.3 without a separator a variable holds one key", "[[configured_keys]]\nenv = 'KEY'")
            .environment("KEY", "one,two")
            .ask("GET /a\nX-API-Key: one", denied("unknown"))
            .ask("GET /a\nX-API-Key: one,two", allowed()),
    ];
    for (name, bad) in [
        ("R6.2 under first-valid the next is tried after a malformed one", "Bearer a b"),
        ("R6.2 under first-valid the next is tried after an empty one", "Bearer"),
        ("R6.2 under first-valid the next is tried after an unknown one", "Bearer wrong"),
        ("R6.2 under first-valid the next is tried after an expired one", "Bearer old"),
        ("R6.2 under first-valid the next is tried after one before its time", "Bearer young"),
        ("R6.2 under first-valid the next is tried after a revoked one", "Bearer revoked"),
        ("R6.2 under first-valid the next is tried after a disabled one", "Bearer disabled"),
    ] {
        cases.push(
            case(name, FIRST_VALID)
                .keys_in_all_states()
                .ask(&format!("GET /a\nAuthorization: {bad}\nX-API-Key: alpha"), allowed().principal("alpha"))
                .ask(&format!("GET /a\nAuthorization: {bad}\nCookie: api-key=beta"), allowed().principal("beta")),
        );
    }
    cases
}

impl Case {
    /// Stores two good keys and one in each bad state.
    fn keys_in_all_states(self) -> Case {
        self.record(r#"{"key":"alpha","name":"alpha"}"#)
            .record(r#"{"key":"beta","name":"beta"}"#)
            .record(r#"{"key":"old","expires_at":"2023-12-31T23:59:59Z"}"#)
            .record(r#"{"key":"young","not_before":"2025-01-01T00:00:00Z"}"#)
            .record(r#"{"key":"revoked","revoked":true}"#)
            .record(r#"{"key":"disabled","disabled":true}"#)
    }
}
