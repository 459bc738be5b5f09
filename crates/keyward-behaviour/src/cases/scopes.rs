//! R8: authorizing.

use super::{Case, allowed, anonymous, case, denied};

const ROUTES: &str = "
[[routes]]
path = '/all'
scopes = ['a:read', 'b:read']
[[routes]]
path = '/any'
any_scope = ['a:read', 'b:read']
[[routes]]
path = '/kinds'
kinds = ['service', 'admin']
[[routes]]
path = '/both'
kinds = ['service']
scopes = ['a:read']
[[routes]]
path = '/front'
optional = true
";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("R8.1 a key is used from its own networks only", "")
            .record(r#"{"key":"alpha","allowed_ips":["127.0.0.2","127.0.0.16/30"]}"#)
            .ask("GET /a\nX-API-Key: alpha", denied("address").without_header("WWW-Authenticate"))
            .from("127.0.0.2")
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .from("127.0.0.15")
            .ask("GET /a\nX-API-Key: alpha", denied("address"))
            .from("127.0.0.16")
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .from("127.0.0.19")
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .from("127.0.0.20")
            .ask("GET /a\nX-API-Key: alpha", denied("address")),
        case("R8.1 a bad key is 401 before its networks are asked", "")
            .record(r#"{"key":"alpha","allowed_ips":["203.0.113.1"],"revoked":true}"#)
            .ask("GET /a\nX-API-Key: alpha", denied("revoked")),
        case("R8.1 all of the scopes are demanded", ROUTES)
            .record(r#"{"key":"both","scopes":["b:read","a:read"]}"#)
            .record(r#"{"key":"one","scopes":["a:read"]}"#)
            .key("none")
            .ask("GET /all\nX-API-Key: both", allowed())
            .ask(
                "GET /all\nX-API-Key: one",
                denied("scope")
                    .header("WWW-Authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"a:read b:read\""),
            )
            .ask("GET /all\nX-API-Key: none", denied("scope")),
        case("R8.1 one of the scopes is demanded", ROUTES)
            .record(r#"{"key":"one","scopes":["b:read"]}"#)
            .record(r#"{"key":"other","scopes":["c:read"]}"#)
            .ask("GET /any\nX-API-Key: one", allowed())
            .ask(
                "GET /any\nX-API-Key: other",
                denied("scope").header("WWW-Authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\""),
            ),
        case("R8.1 one of the kinds is demanded", ROUTES)
            .record(r#"{"key":"service","kind":"service"}"#)
            .record(r#"{"key":"admin","kind":"admin"}"#)
            .record(r#"{"key":"user","kind":"user"}"#)
            .key("none")
            .ask("GET /kinds\nX-API-Key: service", allowed())
            .ask("GET /kinds\nX-API-Key: admin", allowed())
            .ask("GET /kinds\nX-API-Key: user", denied("kind").without_header("WWW-Authenticate"))
            .ask("GET /kinds\nX-API-Key: none", denied("kind")),
        case("R8.1 networks come before kinds, kinds before scopes", ROUTES)
            .record(r#"{"key":"far","allowed_ips":["203.0.113.1"]}"#)
            .record(r#"{"key":"user","kind":"user"}"#)
            .record(r#"{"key":"service","kind":"service"}"#)
            .record(r#"{"key":"good","kind":"service","scopes":["a:read"]}"#)
            .ask("GET /both\nX-API-Key: far", denied("address"))
            .ask("GET /both\nX-API-Key: user", denied("kind"))
            .ask("GET /both\nX-API-Key: service", denied("scope"))
            .ask("GET /both\nX-API-Key: good", allowed()),
        case("R8.2 a kind opens no scope", ROUTES)
            .record(r#"{"key":"admin","kind":"admin"}"#)
            .ask("GET /all\nX-API-Key: admin", denied("scope")),
        case("R8.1 a scoped route demands a key", ROUTES)
            .ask("GET /all", denied("missing"))
            .ask("GET /any", denied("missing"))
            .ask("GET /kinds", denied("missing")),
        case("R8.4 a key is used for its own paths only", "")
            .record(r#"{"key":"below","resource_pattern":"/jobs/*"}"#)
            .record(r#"{"key":"exact","resource_pattern":"/jobs"}"#)
            .key("unbound")
            .ask("GET /jobs/1\nX-API-Key: below", allowed())
            .ask("POST /jobs/1/runs/?x=/a\nX-API-Key: below", allowed())
            .ask("GET /%6Aobs/1\nX-API-Key: below", allowed())
            .ask("GET /jobs\nX-API-Key: below", denied("route").without_header("WWW-Authenticate"))
            .ask("GET /jobs/\nX-API-Key: below", denied("route"))
            .ask("GET /jobsearch/1\nX-API-Key: below", denied("route"))
            .ask("GET /a/jobs/1\nX-API-Key: below", denied("route"))
            .ask("GET /a?x=/jobs/1\nX-API-Key: below", denied("route"))
            .ask("OPTIONS /a\nX-API-Key: below", denied("route"))
            .ask("GET /jobs\nX-API-Key: exact", allowed())
            .ask("GET /jobs/\nX-API-Key: exact", allowed())
            .ask("GET /jobs/1\nX-API-Key: exact", denied("route"))
            .ask("GET /a\nX-API-Key: unbound", allowed()),
        case("R8.4 where readers differ about a path, a bound key is for neither, in a policy without path rules too", "")
            .record(r#"{"key":"below","resource_pattern":"/jobs/*"}"#)
            .record(r#"{"key":"exact","resource_pattern":"/jobs"}"#)
            .key("unbound")
            .ask("GET /jobs/../a\nX-API-Key: below", denied("path"))
            .ask("GET /jobs/%2e%2e/a\nX-API-Key: below", denied("path"))
            .ask("GET /jobs/..;/a\nX-API-Key: below", denied("path"))
            .ask("GET /jobs//1\nX-API-Key: below", denied("path"))
            .ask("GET /jobs%2F1\nX-API-Key: below", denied("path"))
            .ask("GET /a/../jobs/1\nX-API-Key: below", denied("path"))
            .ask("GET /jobs;a\nX-API-Key: exact", denied("path"))
            .ask("GET /jobs;a/1\nX-API-Key: below", denied("path"))
            .ask("GET /jobs/a;b\nX-API-Key: below", allowed())
            .ask("GET /jobs;a\nX-API-Key: unbound", allowed()),
        case("R8.4 a key's own paths come after its networks and before kinds, and open no route", ROUTES)
            .record(r#"{"key":"far","allowed_ips":["203.0.113.1"],"resource_pattern":"/jobs/*"}"#)
            .record(r#"{"key":"elsewhere","resource_pattern":"/jobs/*"}"#)
            .record(r#"{"key":"here","resource_pattern":"/both"}"#)
            .record(r#"{"key":"dead","resource_pattern":"/jobs/*","revoked":true}"#)
            .ask("GET /both\nX-API-Key: far", denied("address"))
            .ask("GET /both\nX-API-Key: elsewhere", denied("route"))
            .ask("GET /both\nX-API-Key: here", denied("kind"))
            .ask("GET /front\nX-API-Key: elsewhere", denied("route"))
            .ask("GET /front", anonymous())
            .ask("GET /both\nX-API-Key: dead", denied("revoked")),
        case(
            "R8.4 a key that is used elsewhere is charged for nothing",
            "[limits]\nfailures = '1/minute'\nper_key = ['1/minute']",
        )
        .record(r#"{"key":"alpha","resource_pattern":"/jobs/*"}"#)
        .ask("GET /a\nX-API-Key: alpha", denied("route"))
        .ask("GET /a\nX-API-Key: alpha", denied("route"))
        .ask("GET /jobs/1\nX-API-Key: alpha", allowed())
        .ask("GET /jobs/1\nX-API-Key: alpha", denied("limited"))
        .ask("GET /a\nX-API-Key: alpha", denied("route"))
        .ask("GET /a\nX-API-Key: wrong", denied("unknown")),
        case("R8.4 a key's own paths are not taken back by first-valid", "resolution = 'first-valid'")
            .record(r#"{"key":"alpha","resource_pattern":"/jobs/*"}"#)
            .key("beta")
            .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: beta", denied("route"))
            .ask("GET /a\nAuthorization: Bearer beta\nX-API-Key: alpha", allowed()),
        case("R8.1 a server's own demand is a demand", "")
            .record(r#"{"key":"one","scopes":["a:read"]}"#)
            .ask("GET /scoped/a:read/x\nX-API-Key: one", allowed())
            .ask(
                "GET /scoped/b:read/x\nX-API-Key: one",
                denied("scope")
                    .header("WWW-Authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"b:read\""),
            )
            .ask("GET /scoped/b:read/x\nX-API-Key: wrong", denied("unknown"))
            .ask("GET /scoped/b:read/x", denied("missing")),
        case("R8.3 an optional route lets nobody's key through", ROUTES)
            .key("alpha")
            .record(r#"{"key":"old","expires_at":"2023-12-31T23:59:59Z"}"#)
            .ask("GET /front", anonymous())
            .ask("GET /front\nX-API-Key: alpha", allowed())
            .ask("GET /front\nX-API-Key: wrong", denied("unknown"))
            .ask("GET /front\nX-API-Key: old", denied("expired"))
            .ask("GET /front\nX-API-Key:", denied("malformed"))
            .ask("GET /front\nAuthorization: Basic YTpi", anonymous()),
        case("R8.3 a server's own optional path does the same", "")
            .key("alpha")
            .ask("GET /optional/a", anonymous())
            .ask("GET /optional/a\nX-API-Key: alpha", allowed())
            .ask("GET /optional/a\nX-API-Key: wrong", denied("unknown")),
        case(
            "R8.3 a server's optional path opens no route that demands something",
            "[[routes]]\npath = '/optional/scoped/*'\nscopes = ['a:b']\n[[routes]]\npath = '/optional/kind/*'\nkinds = ['admin']",
        )
        .key("alpha")
        .ask("GET /optional/scoped/x", denied("missing"))
        .ask("GET /optional/kind/x", denied("missing"))
        .ask("GET /optional/else/x", anonymous())
        .ask("GET /optional/scoped/x\nX-API-Key: alpha", denied("scope")),
    ];
    for (name, held, demanded, covered) in [
        ("R8.2 a scope covers itself", "a:b", "a:b", true),
        ("R8.2 a scope does not cover what is below", "a:b", "a:b:c", false),
        ("R8.2 a scope does not cover what is above", "a:b:c", "a:b", false),
        ("R8.2 a wildcard covers one segment", "a:b:*", "a:b:c", true),
        ("R8.2 a wildcard covers several segments", "a:b:*", "a:b:c:d", true),
        ("R8.2 a wildcard does not cover where it hangs", "a:b:*", "a:b", false),
        ("R8.2 a wildcard does not cover a neighbour", "a:b:*", "a:bc", false),
        ("R8.2 a wildcard does not cover another branch", "a:b:*", "a:c:d", false),
        ("R8.2 a wildcard at the first segment covers what is below", "a:*", "a:b", true),
        ("R8.2 scopes have their case", "a:b", "a:B", false),
        ("R8.2 a longer scope is another", "a:b", "a:bb", false),
    ] {
        let expected = if covered { allowed() } else { denied("scope") };
        cases.push(
            case(name, "")
                .record(&serde_json::json!({ "key": "alpha", "scopes": [held] }).to_string())
                .ask(&format!("GET /scoped/{demanded}/x\nX-API-Key: alpha"), expected),
        );
    }
    cases
}
