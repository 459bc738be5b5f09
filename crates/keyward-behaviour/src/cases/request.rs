//! R1: the request.

use super::{Case, allowed, anonymous, case, denied, not_let_through, unguarded};

const OPEN: &str = "[access]\nopen_paths = ['/healthz', '/docs/*']";

const REPORTS: &str = "
[[routes]]
path = '/reports/*'
methods = ['GET']
scopes = ['reports:read']
";

const ODD_NAMES: &str = "
[[routes]]
path = '/jobs:purge'
scopes = ['admin']
[[routes]]
path = '/caf%C3%A9'
scopes = ['admin']
[[routes]]
path = '/below/*'
scopes = ['admin']
";

const READER: &str = r#"{"key":"reader","name":"reader","scopes":["reports:read"]}"#;

const PREFLIGHT: &str = "OPTIONS /a\nOrigin: https://page.test\nAccess-Control-Request-Method: PUT";

pub(super) fn cases() -> Vec<Case> {
    [request_ids(), targets(), paths(), open_paths(), routes(), preflights()].into_iter().flatten().collect()
}

fn request_ids() -> Vec<Case> {
    vec![
        case("R1.1 a good request id comes back with an allowed answer", "").key("alpha").ask(
            "GET /a\nX-API-Key: alpha\nX-Request-ID: a.B_~:/+=@-9",
            allowed().header("X-Request-ID", "a.B_~:/+=@-9").body("/request_id", "a.B_~:/+=@-9"),
        ),
        case("R1.1 a good request id comes back with a denial and in its body", "").ask(
            "GET /a\nX-Request-ID: abc-123",
            denied("missing").header("X-Request-ID", "abc-123").body("/request_id", "abc-123"),
        ),
        case("R1.1 a request id comes back from an open path", OPEN)
            .ask("GET /healthz\nX-Request-ID: abc", unguarded().header("X-Request-ID", "abc")),
        case("R1.1 without a request id a new one is made", "")
            .ask("GET /a", denied("missing").another_header("X-Request-ID", "")),
        case("R1.1 a request id of 128 characters is taken", "").ask(
            &format!("GET /a\nX-Request-ID: {}", "a".repeat(128)),
            denied("missing").header("X-Request-ID", &"a".repeat(128)),
        ),
        case("R1.1 a request id of 129 characters is replaced", "").ask(
            &format!("GET /a\nX-Request-ID: {}", "a".repeat(129)),
            denied("missing").another_header("X-Request-ID", &"a".repeat(129)),
        ),
        case("R1.1 a request id with a foreign byte is replaced", "")
            .ask("GET /a\nX-Request-ID: a b", denied("missing").another_header("X-Request-ID", "a b"))
            .ask("GET /a\nX-Request-ID: a\"b", denied("missing").another_header("X-Request-ID", "a\"b")),
        case("R1.1 an empty request id is replaced", "")
            .ask("GET /a\nX-Request-ID:", denied("missing").another_header("X-Request-ID", "")),
        case("R1.1 two equal request ids are replaced", "")
            .ask("GET /a\nX-Request-ID: abc\nX-Request-ID: abc", denied("missing").another_header("X-Request-ID", "abc")),
        case("R1.1 the policy names the header of the request id", "[response]\nrequest_id_header = 'X-Trace'").ask(
            "GET /a\nX-Trace: mine\nX-Request-ID: other",
            denied("missing").header("X-Trace", "mine").body("/request_id", "mine"),
        ),
    ]
}

fn targets() -> Vec<Case> {
    vec![
        case("R1.2 the absolute form is read as its path", OPEN)
            .ask("GET http://api.test/healthz", unguarded())
            .ask("GET http://api.test/other", denied("missing")),
        case("R1.2 the absolute form keeps its query", "sources = [{ query = 'api_key' }]")
            .key("alpha")
            .ask("GET http://api.test/a?api_key=alpha", allowed()),
        case("R1.2 OPTIONS * is guarded", "")
            .key("alpha")
            .ask("OPTIONS *", denied("missing"))
            .ask("OPTIONS *\nX-API-Key: alpha", allowed()),
        case("R1.2 the authority form is not let through", "")
            .key("alpha")
            .ask("CONNECT api.test:443\nX-API-Key: alpha", not_let_through()),
        case("R1.2 a target without its slash is not let through", OPEN)
            .key("alpha")
            .ask("GET healthz\nX-API-Key: alpha", not_let_through()),
        case("R1.2 a target beyond ASCII is not let through", "")
            .key("alpha")
            .ask("GET /caf\u{e9}\nX-API-Key: alpha", not_let_through()),
    ]
}

fn paths() -> Vec<Case> {
    let mut cases = vec![
        case("R1.2 an encoded unreserved character does not hide a route", REPORTS)
            .key("alpha")
            .ask("GET /%72eports/1\nX-API-Key: alpha", denied("scope"))
            .ask("GET /%72%65ports%2F1\nX-API-Key: alpha", denied("path")),
        case("R1.2 a trailing slash does not hide a route", REPORTS)
            .key("alpha")
            .ask("GET /reports/1/\nX-API-Key: alpha", denied("scope")),
        case("R1.2 a path is decoded once, not twice", REPORTS)
            .key("alpha")
            .ask("GET /%2572eports/1\nX-API-Key: alpha", allowed()),
        case("R1.2 an encoded reserved character stays encoded", REPORTS)
            .key("alpha")
            .ask("GET /%3Areports/1\nX-API-Key: alpha", allowed())
            .ask("GET /reports/a%20b\nX-API-Key: alpha", denied("scope")),
        case("R1.2 a percent sign that leads nothing is left alone", REPORTS)
            .key("alpha")
            .ask("GET /100%\nX-API-Key: alpha", allowed())
            .ask("GET /%7zeports/1\nX-API-Key: alpha", allowed())
            .ask("GET /reports/%7\nX-API-Key: alpha", denied("scope"))
            .ask("GET /reports/%zz\nX-API-Key: alpha", denied("scope")),
        case("R1.2 a path that other servers read as another route is refused", ODD_NAMES)
            .key("alpha")
            .ask("GET /jobs:purge\nX-API-Key: alpha", denied("scope"))
            .ask("GET /jobs%3Apurge\nX-API-Key: alpha", denied("path"))
            .ask("GET /jobs%3Astart\nX-API-Key: alpha", allowed())
            .ask("GET /caf%C3%A9\nX-API-Key: alpha", denied("scope"))
            .ask("GET /caf%c3%a9\nX-API-Key: alpha", denied("path"))
            .ask("GET /caf%25C3%A9\nX-API-Key: alpha", allowed()),
        case("R1.2 a path whose parameters hide another route is refused", ODD_NAMES)
            .key("alpha")
            .ask("GET /jobs:purge;a=b\nX-API-Key: alpha", denied("path"))
            .ask("GET /jobs:purge%3Ba\nX-API-Key: alpha", denied("path"))
            .ask("GET /below;a/1\nX-API-Key: alpha", denied("path"))
            .ask("GET /below/1;a\nX-API-Key: alpha", denied("scope"))
            .ask("GET /below/1%3Ba\nX-API-Key: alpha", denied("scope"))
            .ask("GET /elsewhere;a\nX-API-Key: alpha", allowed()),
        case("R1.2 the query is no part of the path", REPORTS)
            .key("alpha")
            .ask("GET /a?b=/../c//d%2F\nX-API-Key: alpha", allowed()),
        case("R1.2 a source limited to paths is a path rule", "sources = [{ header = 'X-Job-Key', paths = ['/jobs/*'] }]")
            .ask("GET /a//b", denied("path")),
        case("R1.2 an open path is a path rule", OPEN).ask("GET /a//b", denied("path")),
        case("R1.2 without a path rule no spelling is refused", "")
            .key("alpha")
            .ask("GET /a//b\nX-API-Key: alpha", allowed())
            .ask("GET /a/../b\nX-API-Key: alpha", allowed())
            .ask("GET /a%2fb\nX-API-Key: alpha", allowed())
            .ask("GET /a%2fb", denied("missing")),
    ];
    for (name, path) in [
        ("R1.2 a dot segment is refused", "/./a"),
        ("R1.2 a dot-dot segment is refused", "/a/../b"),
        ("R1.2 a dot-dot segment at the end is refused", "/a/.."),
        ("R1.2 an encoded dot-dot segment is refused", "/a/%2e%2E/b"),
        ("R1.2 a half encoded dot-dot segment is refused", "/a/.%2e/b"),
        ("R1.2 a dot-dot segment with parameters is refused", "/a/..;x/b"),
        ("R1.2 a dot-dot segment with an encoded semicolon before a plain one is refused", "/a/..%3bx;y/b"),
        ("R1.2 an empty segment is refused", "/a//b"),
        ("R1.2 an empty first segment is refused", "//a"),
        ("R1.2 two trailing slashes are refused", "/a//"),
        ("R1.2 an encoded slash is refused", "/a%2Fb"),
        ("R1.2 an encoded slash in lower case is refused", "/a%2fb"),
        ("R1.2 an encoded backslash is refused", "/a%5cb"),
        ("R1.2 a raw backslash is refused", "/a\\b"),
        ("R1.2 an encoded NUL is refused", "/a%00b"),
    ] {
        cases.push(
            case(name, REPORTS)
                .key("alpha")
                .ask(&format!("GET {path}\nX-API-Key: alpha"), denied("path").without_header("WWW-Authenticate")),
        );
    }
    cases
}

fn open_paths() -> Vec<Case> {
    vec![
        case("R1.2 an open path needs no key", OPEN)
            .ask("GET /healthz", unguarded().without_header("Cache-Control"))
            .ask("POST /healthz", unguarded())
            .ask("GET /healthz?a=b", unguarded())
            .ask("GET /healthz/", unguarded()),
        case("R1.2 an odd spelling of an open path is guarded", OPEN)
            .ask("GET /health%7a", denied("missing"))
            .ask("GET /Healthz", denied("missing")),
        case("R1.2 what begins like an open path is guarded", OPEN)
            .ask("GET /healthz2", denied("missing"))
            .ask("GET /healthz/x", denied("missing")),
        case("R1.3 below an open path is not the path itself", OPEN)
            .ask("GET /docs/a", unguarded())
            .ask("GET /docs/a/b/", unguarded())
            .ask("GET /docs", denied("missing"))
            .ask("GET /docs/", denied("missing"))
            .ask("GET /docsa", denied("missing")),
        case("R1.2 a way out of an open path is refused", OPEN)
            .ask("GET /docs/../secret", denied("path"))
            .ask("GET /docs/%2e%2e/secret", denied("path"))
            .ask("GET /docs/..%2fsecret", denied("path")),
        case("R1.3 everything below the root is not the root", "[[routes]]\npath = '/*'\nscopes = ['a:b']")
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha", denied("scope"))
            .ask("GET /a/\nX-API-Key: alpha", denied("scope"))
            .ask("GET /\nX-API-Key: alpha", allowed()),
        case("R1.5 nobody looks at a key on an open path", OPEN)
            .ask("GET /healthz\nX-API-Key: wrong", unguarded())
            .ask("GET /healthz\nX-API-Key: a\nX-API-Key: b", unguarded()),
        case("R1.5 an open path charges nothing", "[access]\nopen_paths = ['/open']\n[limits]\nper_address = ['1/minute']")
            .key("alpha")
            .ask_times(3, "GET /open", &unguarded())
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .ask("GET /open", unguarded())
            .ask("GET /a\nX-API-Key: alpha", denied("limited")),
        case(
            "R1.5 bad keys on an open path charge no failure",
            "[access]\nopen_paths = ['/open']\n[limits]\nfailures = '1/minute'",
        )
        .ask_times(3, "GET /open\nX-API-Key: wrong", &unguarded())
        .ask("GET /a\nX-API-Key: wrong", denied("unknown")),
    ]
}

fn routes() -> Vec<Case> {
    const FIRST: &str = "
        [[routes]]
        path = '/a/b'
        scopes = ['one']
        [[routes]]
        path = '/a/*'
        scopes = ['two']
    ";
    const METHODS: &str = "
        [network]
        deny = ['127.0.0.1']
        [[routes]]
        path = '/a'
        methods = ['GET']
        [[routes]]
        path = '/a'
        methods = ['PUT']
        scopes = ['write']
    ";
    const OPTIONAL: &str = "
        [[routes]]
        path = '/front'
        optional = true
    ";
    vec![
        case("R1.3 of several routes the first that matches counts", FIRST)
            .record(r#"{"key":"one","scopes":["one"]}"#)
            .record(r#"{"key":"two","scopes":["two"]}"#)
            .ask("GET /a/b\nX-API-Key: one", allowed())
            .ask("GET /a/b\nX-API-Key: two", denied("scope"))
            .ask("GET /a/c\nX-API-Key: one", denied("scope"))
            .ask("GET /a/c\nX-API-Key: two", allowed()),
        case("R1.3 GET means HEAD too", REPORTS)
            .record(READER)
            .key("alpha")
            .ask("HEAD /reports/1\nX-API-Key: reader", allowed())
            .ask("HEAD /reports/1\nX-API-Key: alpha", denied("scope")),
        case("R1.3 a method that no route names is refused", REPORTS)
            .record(READER)
            .ask("POST /reports/1\nX-API-Key: reader", denied("route").without_header("WWW-Authenticate"))
            .ask("DELETE /reports/1", denied("route"))
            .ask("OPTIONS /reports/1\nX-API-Key: reader", denied("route")),
        case("R1.3 methods are written in capitals", REPORTS)
            .record(READER)
            .ask("get /reports/1\nX-API-Key: reader", denied("route")),
        case("R1.3 a path that no route names needs a key and no scope", REPORTS)
            .key("alpha")
            .ask("POST /other\nX-API-Key: alpha", allowed())
            .ask("POST /other", denied("missing")),
        case("R1.3 a route below a path does not name the path", REPORTS)
            .key("alpha")
            .ask("POST /reports\nX-API-Key: alpha", allowed())
            .ask("POST /reports/\nX-API-Key: alpha", allowed())
            .ask("POST /reportsx\nX-API-Key: alpha", allowed()),
        case("R1.3 a forgotten method is refused before addresses and keys", METHODS)
            .key("alpha")
            .ask("DELETE /a\nX-API-Key: alpha", denied("route"))
            .ask("DELETE /a", denied("route"))
            .ask("GET /a\nX-API-Key: alpha", denied("address"))
            .from("127.0.0.2")
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .ask("PUT /a\nX-API-Key: alpha", denied("scope")),
        case("R1.3 an optional route lets a missing key through", OPTIONAL)
            .key("alpha")
            .ask("GET /front", anonymous().header("Cache-Control", "private"))
            .ask("GET /front\nX-API-Key: alpha", allowed())
            .ask("GET /back", denied("missing")),
    ]
}

fn preflights() -> Vec<Case> {
    vec![
        case("R1.4 a preflight passes as anonymous", "").ask(PREFLIGHT, unguarded()),
        case("R1.4 a preflight passes where no route names OPTIONS", REPORTS)
            .ask("OPTIONS /reports/1\nOrigin: https://page.test\nAccess-Control-Request-Method: GET", unguarded()),
        case("R1.4 a preflight is guarded if the policy says so", "[access]\npreflight = 'guard'")
            .ask(PREFLIGHT, denied("missing")),
        case("R1.4 OPTIONS without an origin is guarded", "")
            .ask("OPTIONS /a\nAccess-Control-Request-Method: PUT", denied("missing")),
        case("R1.4 OPTIONS without a requested method is guarded", "")
            .ask("OPTIONS /a\nOrigin: https://page.test", denied("missing")),
        case("R1.4 OPTIONS with two origins is guarded", "").ask(
            "OPTIONS /a\nOrigin: https://page.test\nOrigin: https://page.test\nAccess-Control-Request-Method: PUT",
            denied("missing"),
        ),
        case("R1.4 OPTIONS that requests two methods is guarded", "")
            .ask("OPTIONS /a\nOrigin: https://page.test\nAccess-Control-Request-Method: PUT, GET", denied("missing"))
            .ask("OPTIONS /a\nOrigin: https://page.test\nAccess-Control-Request-Method: PUT GET", denied("missing"))
            .ask(
                "OPTIONS /a\nOrigin: https://page.test\nAccess-Control-Request-Method: PUT\nAccess-Control-Request-Method: PUT",
                denied("missing"),
            ),
        case("R1.4 OPTIONS with a body is guarded", "")
            .ask(&format!("{PREFLIGHT}\nContent-Length: 1\n\nx"), denied("missing"))
            .ask(&format!("{PREFLIGHT}\nTransfer-Encoding: chunked\n\n0\r\n\r\n"), denied("missing"))
            .ask(&format!("{PREFLIGHT}\nContent-Length: 0"), unguarded()),
        case("R1.4 no other method is a preflight", "")
            .ask("GET /a\nOrigin: https://page.test\nAccess-Control-Request-Method: PUT", denied("missing")),
        case("R1.5 a preflight charges nothing", "[limits]\nper_address = ['1/minute']\nfailures = '1/minute'")
            .key("alpha")
            .ask_times(3, &format!("{PREFLIGHT}\nX-API-Key: wrong"), &unguarded())
            .ask("GET /a\nX-API-Key: wrong", denied("unknown"))
            .ask("GET /a\nX-API-Key: alpha", allowed()),
    ]
}
