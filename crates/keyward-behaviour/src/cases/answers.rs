//! R10: answering.

use serde_json::{Value, json};

use super::{Case, Expected, allowed, anonymous, case, denied, unguarded};

const NO_BEARER: &str = "
sources = [{ header = 'X-API-Key' }, { cookie = 'api-key' }]
[access]
realm = 'vault'
[[routes]]
path = '/scoped'
scopes = ['a:b']
";

const QUERY: &str = "
sources = [{ header = 'X-API-Key' }, { query = 'api_key' }, { query = 'ws_key', only = 'websocket' }]
[access]
open_paths = ['/open']
";

const TEXTS: &str = "
[network]
deny = ['127.0.0.2']
[limits]
per_key = ['1/minute']
[response]
body = 'detail'
missing = 'text of missing'
unauthorized = 'text of unauthorized'
forbidden_address = 'text of address'
forbidden_scope = 'text of scope'
limited = 'text of limited'
conflict = 'text of conflict'
";

pub(super) fn cases() -> Vec<Case> {
    [challenges(), bodies(), caching(), stripping(), security_headers(), beside_handlers()].into_iter().flatten().collect()
}

fn challenges() -> Vec<Case> {
    vec![
        case("R10 a missing key is challenged without an error", "[access]\nrealm = 'vault'")
            .ask("GET /a", denied("missing").header("WWW-Authenticate", "Bearer realm=\"vault\"")),
        case("R10 a bad key is challenged with invalid_token", "[access]\nrealm = 'vault'")
            .ask(
                "GET /a\nX-API-Key: wrong",
                denied("unknown").header("WWW-Authenticate", "Bearer realm=\"vault\", error=\"invalid_token\""),
            )
            .ask(
                "GET /a\nX-API-Key:",
                denied("malformed").header("WWW-Authenticate", "Bearer realm=\"vault\", error=\"invalid_token\""),
            ),
        case("R10 duplicates and conflicts are challenged with invalid_request", "[access]\nrealm = 'vault'")
            .ask(
                "GET /a\nX-API-Key: a\nX-API-Key: b",
                denied("duplicate").header("WWW-Authenticate", "Bearer realm=\"vault\", error=\"invalid_request\""),
            )
            .ask(
                "GET /a\nX-API-Key: a\nAuthorization: Bearer b",
                denied("conflict").header("WWW-Authenticate", "Bearer realm=\"vault\", error=\"invalid_request\""),
            ),
        case("R10 where bearer is no source the challenge is ApiKey", NO_BEARER)
            .key("alpha")
            .ask("GET /a", denied("missing").header("WWW-Authenticate", "ApiKey realm=\"vault\""))
            .ask("GET /a\nX-API-Key: wrong", denied("unknown").header("WWW-Authenticate", "ApiKey realm=\"vault\""))
            .ask("GET /a\nX-API-Key: a\nX-API-Key: b", denied("duplicate").without_header("WWW-Authenticate"))
            .ask("GET /a\nX-API-Key: a\nCookie: api-key=b", denied("conflict").without_header("WWW-Authenticate"))
            .ask("GET /scoped\nX-API-Key: alpha", denied("scope").without_header("WWW-Authenticate")),
        case("R10 an own challenge is that of every 401, with bearer as a source", "[response]\nchallenge = 'APIKey'")
            .key("alpha")
            .record(r#"{"key":"old","expires_at":"2023-01-01T00:00:00Z"}"#)
            .record(r#"{"key":"ended","revoked":true}"#)
            .ask("GET /a", denied("missing").header("WWW-Authenticate", "APIKey"))
            .ask("GET /a\nX-API-Key: wrong", denied("unknown").header("WWW-Authenticate", "APIKey"))
            .ask("GET /a\nX-API-Key: a b", denied("malformed").header("WWW-Authenticate", "APIKey"))
            .ask("GET /a\nX-API-Key: old", denied("expired").header("WWW-Authenticate", "APIKey"))
            .ask("GET /a\nX-API-Key: ended", denied("revoked").header("WWW-Authenticate", "APIKey"))
            .ask(
                "GET /a\nX-API-Key: a\nX-API-Key: b",
                denied("duplicate").header("WWW-Authenticate", "Bearer realm=\"api\", error=\"invalid_request\""),
            )
            .ask(
                "GET /scoped/a:b/x\nX-API-Key: alpha",
                denied("scope").header("WWW-Authenticate", "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"a:b\""),
            )
            .ask("GET /a\nX-API-Key: alpha", allowed().without_header("WWW-Authenticate")),
        case(
            "R10 an own challenge is that of every 401, without bearer as a source",
            "sources = [{ header = 'X-API-Key' }]\n[response]\nchallenge = 'ApiKey realm=\"a, b\", Other'",
        )
        .ask("GET /a", denied("missing").header("WWW-Authenticate", "ApiKey realm=\"a, b\", Other"))
        .ask("GET /a\nX-API-Key: wrong", denied("unknown").header("WWW-Authenticate", "ApiKey realm=\"a, b\", Other"))
        .ask("GET /a\nX-API-Key: a\nX-API-Key: b", denied("duplicate").without_header("WWW-Authenticate")),
        case("R10 only 429 and 503 say when to come back", "")
            .ask("GET /a", denied("missing").without_header("Retry-After"))
            .ask("GET /a\nX-API-Key: wrong", denied("unknown").without_header("Retry-After")),
    ]
}

fn bodies() -> Vec<Case> {
    vec![
        case("R10.1 a denial is a problem by default", "").ask(
            "GET /a\nX-Request-ID: r",
            denied("missing")
                .header("Content-Type", "application/problem+json")
                .body("/type", "about:blank")
                .body("/title", "Unauthorized")
                .body("/status", 401)
                .body("/request_id", "r"),
        ),
        case("R10.1 each status has its own title", "[network]\ndeny = ['127.0.0.2']\n[limits]\nper_key = ['1/minute']")
            .key("alpha")
            .ask("GET /a\nX-API-Key: a\nX-API-Key: a", denied("duplicate").body("/title", "Bad Request").body("/status", 400))
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .ask("GET /a\nX-API-Key: alpha", denied("limited").body("/status", 429))
            .from("127.0.0.2")
            .ask("GET /a", denied("address").body("/title", "Forbidden").body("/status", 403)),
        case("R10.1 a denial names its text detail if asked to", TEXTS)
            .key("alpha")
            .record(r#"{"key":"far","allowed_ips":["203.0.113.1"]}"#)
            .ask("GET /a", denied("missing").header("Content-Type", "application/json").body("", detail("text of missing")))
            .ask("GET /a\nX-API-Key: wrong", denied("unknown").body("", detail("text of unauthorized")))
            .ask("GET /a\nX-API-Key: a b", denied("malformed").body("", detail("text of unauthorized")))
            .ask("GET /a\nX-API-Key: a\nX-API-Key: a", denied("duplicate").body("", detail("text of conflict")))
            .ask("GET /a\nX-API-Key: a\nAuthorization: Bearer b", denied("conflict").body("", detail("text of conflict")))
            .ask("GET /a\nX-API-Key: far", denied("address").body("", detail("text of address")))
            .ask("GET /scoped/a:b/x\nX-API-Key: alpha", denied("scope").body("", detail("text of scope")))
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .ask("GET /a\nX-API-Key: alpha", denied("limited").body("", detail("text of limited")))
            .from("127.0.0.2")
            .ask("GET /a", denied("address").body("", detail("text of address"))),
        case("R10.1 a denial names its text error if asked to", "[response]\nbody = 'error'\nunauthorized = 'no'").ask(
            "GET /a\nX-API-Key: wrong",
            denied("unknown").header("Content-Type", "application/json").body("", json!({ "error": "no" })),
        ),
        case(
            "R10.1 without a text of its own a missing key has that of a bad one",
            "[response]\nbody = 'detail'\nunauthorized = 'no'",
        )
        .ask("GET /a", denied("missing").body("/detail", "no"))
        .ask("GET /a\nX-API-Key: wrong", denied("unknown").body("/detail", "no")),
        case("R10.1 an own text stands in a problem, too", "[response]\nunauthorized = 'no \"quotes\" harm'")
            .ask("GET /a\nX-API-Key: wrong", denied("unknown").body("/detail", "no \"quotes\" harm").body("/status", 401)),
        case("R10.1 a denied HEAD is the same without its body", "")
            .ask("HEAD /a", denied("missing").header("WWW-Authenticate", "Bearer realm=\"api\"")),
    ]
}

fn detail(text: &str) -> Value {
    json!({ "detail": text })
}

fn caching() -> Vec<Case> {
    vec![
        case("R10.2 an allowed answer is private", "")
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", allowed().header("Cache-Control", "private"))
            .ask("GET /optional/a", anonymous().header("Cache-Control", "private")),
        case("R10.2 an answer to a key in the query is not stored", QUERY)
            .key("alpha")
            .ask("GET /a?api_key=alpha", allowed().header("Cache-Control", "no-store"))
            .ask("GET /a?api_key=wrong", denied("unknown").header("Cache-Control", "no-store"))
            .ask("GET /a?b=c\nX-API-Key: alpha", allowed().header("Cache-Control", "private")),
        case("R10.2 an answer to a key in the query is not stored whichever source wins", QUERY)
            .key("alpha")
            .ask("GET /a?api_key=alpha\nX-API-Key: alpha", allowed().header("Cache-Control", "no-store")),
        case("R10.2 a handler's own Cache-Control stays", QUERY)
            .key("alpha")
            .ask("GET /own-cache/a\nX-API-Key: alpha", allowed().header("Cache-Control", "public, max-age=60"))
            .ask("GET /own-cache/a?api_key=alpha", allowed().header("Cache-Control", "no-store"))
            .ask("GET /own-cache/a", denied("missing")),
        case("R10.2 an open answer is left alone", QUERY).ask("GET /open", unguarded().without_header("Cache-Control")),
    ]
}

fn stripping() -> Vec<Case> {
    vec![
        case("R10.3 a key in the query is gone, and nothing else", QUERY)
            .key("alpha")
            .ask("GET /a?api_key=alpha", allowed().body("/query", Value::Null))
            .ask("GET /a?b=%7e+&api_key=alpha&c", allowed().body("/query", "b=%7e+&c"))
            .ask("GET /a?api_key=alpha&b=1", allowed().body("/query", "b=1"))
            .ask("GET /a?b=1&api_key=alpha", allowed().body("/query", "b=1"))
            .ask("GET /a?b=1&%61pi_key=%61lpha", allowed().body("/query", "b=1"))
            .ask("GET /a?b=1\nX-API-Key: alpha", allowed().body("/query", "b=1")),
        case("R10.3 a key in the query is gone on open paths, too", QUERY)
            .ask("GET /open?api_key=alpha&b=1", unguarded().body("/query", "b=1")),
        case("R10.3 a key in a query that does not count is gone, too", QUERY)
            .key("alpha")
            .ask("GET /a?ws_key=alpha&b=1\nX-API-Key: alpha", allowed().body("/query", "b=1")),
        case(
            "R10.3 a handler sees no credential",
            "sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]",
        )
        .key("alpha")
        .ask("GET /a\nAuthorization: Bearer alpha", allowed().body("/saw_credential", false))
        .ask("GET /a\nX-API-Key: alpha", allowed().body("/saw_credential", false))
        .ask("GET /a\nCookie: a=b; api-key=alpha; c=d", allowed().body("/saw_credential", false)),
        case(
            "R10.3 a handler sees no credential that did not win either",
            "resolution = 'first-valid'\nsources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]",
        )
        .key("alpha")
        .ask(
            "GET /a\nAuthorization: Bearer wrong\nX-API-Key: alpha\nCookie: api-key=beta",
            allowed().body("/saw_credential", false),
        ),
        case("R10.3 what is no credential stays", "sources = [{ bearer = true }, { header = 'X-API-Key' }, { cookie = 'api-key' }]")
            .key("alpha")
            .ask(
                "GET /seen/a\nCookie: a=b; api-key=alpha; c=d",
                allowed().body("/headers/cookie", json!(["a=b", "c=d"])),
            )
            .ask(
                "GET /seen/a\nCookie: api-key=alpha\nCookie: a=b\nCookie: c=d",
                allowed().body("/headers/cookie", json!(["a=b", "c=d"])),
            )
            .ask("GET /seen/a\nCookie: flag; api-key=alpha; =x", allowed().body("/headers/cookie", json!(["flag", "=x"])))
            .ask("GET /seen/a\nCookie: api-key=alpha", allowed().body("/headers/cookie", json!([])))
            .ask("GET /seen/a\nCookie: api-key2=x; API-KEY=y\nX-API-Key: alpha", allowed().body("/headers/cookie", json!(["api-key2=x", "API-KEY=y"])))
            .ask(
                "GET /seen/a\nAuthorization: Basic YTpi\nX-API-Key: alpha",
                allowed().body("/headers/authorization", json!(["Basic YTpi"])).body("/headers/x-api-key", json!([])),
            )
            .ask("GET /seen/a\nAuthorization: bearer   alpha", allowed().body("/headers/authorization", json!([]))),
        case("R10.3 a real subprotocol stays", "sources = [{ subprotocol = 'auth' }]")
            .key("alpha")
            .ask(
                "GET /seen/a\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: chat, auth.YWxwaGE, superchat",
                allowed().body("/headers/sec-websocket-protocol", json!(["chat", "superchat"])),
            ),
        case("R10.3 a handler sees credentials if the policy wants it", "[response]\nstrip_credentials = false")
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", allowed().body("/saw_credential", true)),
        case(
            "R10.3 a key in the query is gone although credentials stay",
            "sources = [{ query = 'api_key' }]\n[response]\nstrip_credentials = false",
        )
        .key("alpha")
        .ask("GET /a?api_key=alpha&b=1", allowed().body("/query", "b=1").body("/saw_credential", false)),
    ]
}

fn security_headers() -> Vec<Case> {
    const ALL: &str = "
        [access]
        open_paths = ['/open']
        [response]
        security_headers = true
        hsts = 'max-age=63072000'
    ";
    let protected = |expected: Expected| {
        expected
            .header("X-Content-Type-Options", "nosniff")
            .header("X-Frame-Options", "DENY")
            .header("Referrer-Policy", "no-referrer")
            .header("Strict-Transport-Security", "max-age=63072000")
    };
    vec![
        case("R10 security headers are sent with every answer if asked for", ALL)
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", protected(allowed()))
            .ask("GET /a", protected(denied("missing")))
            .ask("GET /open", protected(unguarded())),
        case("R10 security headers are not sent unasked", "")
            .key("alpha")
            .ask(
                "GET /a\nX-API-Key: alpha",
                allowed().without_header("X-Frame-Options").without_header("Strict-Transport-Security"),
            )
            .ask("GET /a", denied("missing").without_header("X-Frame-Options").without_header("Strict-Transport-Security")),
    ]
}

/// What the guard does to answers that handlers make otherwise than most.
fn beside_handlers() -> Vec<Case> {
    let told = |status| {
        let mut expected = allowed();
        (expected.statuses, expected.modelled) = (vec![status], false);
        expected.header("X-Request-ID", "of-the-client")
    };
    let ask = |path: &str| format!("GET {path}\nX-API-Key: alpha\nX-Request-ID: of-the-client");
    vec![
        case("R10.2 a handler's error has the guard's headers", "[limits]\nper_key = ['9/minute']")
            .key("alpha")
            .ask(&ask("/status/404/a"), told(404).header("Cache-Control", "private").another_header("RateLimit", ""))
            .ask(&ask("/status/500/a"), told(500).header("Cache-Control", "private").another_header("RateLimit", ""))
            .ask("GET /status/404/a", denied("missing")),
        case("R1.1 a handler's own request id does not stand beside the request's", "")
            .key("alpha")
            .ask(&ask("/own-headers/a"), told(200).header("X-Own", "the handler's")),
        case("R10.1 a handler's own security header stays", "[response]\nsecurity_headers = true")
            .key("alpha")
            .ask(
                &ask("/own-headers/a"),
                told(200).header("X-Content-Type-Options", "the handler's").header("X-Frame-Options", "the handler's"),
            )
            .ask(&ask("/a"), told(200).header("X-Content-Type-Options", "nosniff")),
        case("R10.1 a denied HEAD has the length of what a GET gets", "[response]\nbody = 'detail'\nunauthorized = 'no'")
            .ask("HEAD /a\nX-API-Key: wrong", denied("unknown").header("Content-Length", "15"))
            .ask("GET /a\nX-API-Key: wrong", denied("unknown").body("", json!({ "detail": "no" }))),
        case("R5.3 a query begins at the first question mark", "sources = [{ header = 'X-API-Key' }, { query = 'api_key' }]")
            .key("alpha")
            .ask("GET /a?b=1?api_key=alpha", denied("missing"))
            .ask("GET /a?b=1?api_key=x\nX-API-Key: alpha", allowed().body("/query", "b=1?api_key=x")),
    ]
}
