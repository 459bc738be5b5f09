//! R1: the request id, the target, the path that rules see, routes and preflights.

use super::{
    policy::{ModelPolicy, Preflight, Route},
    request::ModelRequest,
};

/// What the target holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The path as written.
    pub path: String,
    /// The query as written, without its question mark.
    pub query: Option<String>,
}

/// R1.2: origin form, absolute form, or `*` with OPTIONS, in ASCII; anything else is `None`.
pub fn target(request: &ModelRequest) -> Option<Target> {
    let written = std::str::from_utf8(&request.target).ok().filter(|text| text.is_ascii())?;
    let path_and_query = if written == "*" {
        return (request.method == "OPTIONS").then(|| Target { path: "*".to_owned(), query: None });
    } else if written.starts_with('/') {
        written.to_owned()
    } else {
        let (scheme, rest) = written.split_once("://")?;
        let good_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !good_scheme {
            return None;
        }
        let end_of_authority = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at(end_of_authority);
        if authority.is_empty() {
            return None;
        }
        if after.starts_with('/') { after.to_owned() } else { format!("/{after}") }
    };
    match path_and_query.split_once('?') {
        Some((path, query)) => Some(Target { path: path.to_owned(), query: Some(query.to_owned()) }),
        None => Some(Target { path: path_and_query, query: None }),
    }
}

/// R1.2: the path that rules see, or `None` if it is written in a way on which routers disagree.
pub fn path_for_rules(written: &str) -> Option<String> {
    if written == "*" {
        return Some(written.to_owned());
    }
    let lowercase = written.to_ascii_lowercase();
    if ["%2f", "%5c", "%00", "\\"].iter().any(|trap| lowercase.contains(trap)) {
        return None;
    }
    let decoded = decode_unreserved_once(written);
    let segments: Vec<&str> = decoded.split('/').skip(1).collect();
    let (last, inner) = segments.split_last()?;
    let dotted = segments.iter().any(|segment| matches!(before_parameters(segment), "." | ".."));
    let nothing_but_parameters = !last.is_empty() && before_parameters(last).is_empty();
    if dotted || nothing_but_parameters || inner.iter().any(|segment| before_parameters(segment).is_empty()) {
        return None;
    }
    // An empty last segment is the trailing slash.
    if last.is_empty() && !inner.is_empty() {
        return Some(format!("/{}", inner.join("/")));
    }
    Some(decoded)
}

/// R1.2: a segment without what it has from its first `;` on, however that is written.
fn before_parameters(segment: &str) -> &str {
    let lowercase = segment.to_ascii_lowercase();
    let before = lowercase.split(';').next().unwrap_or_default().split("%3b").next().unwrap_or_default();
    &segment[..before.len()]
}

/// R1.3: whether a path falls under a pattern, either exact or `/x/*`.
pub fn matches(pattern: &str, path: &str) -> bool {
    let path = without_trailing_slash(path);
    match pattern.strip_suffix("/*") {
        Some(above) => path.strip_prefix(above).is_some_and(|below| below.len() > 1 && below.starts_with('/')),
        None => without_trailing_slash(pattern) == path,
    }
}

/// R1.2: open paths match the path as written, undecoded.
pub fn is_open(policy: &ModelPolicy, written: &str) -> bool {
    policy.access.open_paths.iter().any(|pattern| matches(pattern, written))
}

/// R1.3: what the routes say about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// The first route that matches.
    Route(Route),
    /// No route names the path.
    Unnamed,
    /// A route names the path, but none names it with this method.
    Forbidden,
}

/// All that is encoded, decoded once. Bytes as characters, so that what is no UTF-8 stays what it is.
fn wholly_decoded(text: &str) -> String {
    let (mut decoded, mut rest) = (String::new(), text);
    while let Some(first) = rest.chars().next() {
        match rest.strip_prefix('%').and_then(|after| after.get(..2)).and_then(hexadecimal) {
            Some(byte) => {
                decoded.push(char::from(byte));
                rest = &rest[3..];
            }
            None => {
                decoded.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    decoded
}

/// R1.2: what servers make of a path that decode reserved characters too, and those that then cut a segment at its first `;`.
fn readings(path: &str) -> [String; 2] {
    let reading = wholly_decoded(path);
    let cut: Vec<&str> = reading.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    let cut = cut.join("/");
    [reading, cut]
}

/// R8.4: whether a path is one of a key's own; `None` if that depends on who reads it.
pub fn is_own_path(pattern: &str, written: &str) -> Option<bool> {
    let path = path_for_rules(written)?;
    let is_own = matches(pattern, &path);
    let pattern = wholly_decoded(pattern);
    readings(&path).iter().all(|reading| matches(&pattern, reading) == is_own).then_some(is_own)
}

/// R1.2: whether every server would be led to the same route.
pub fn all_read_the_same_route(policy: &ModelPolicy, method: &str, path: &str) -> bool {
    let mut decoding = policy.clone();
    for (route, place) in decoding.routes.iter_mut().zip(0..) {
        route.path = wholly_decoded(&route.path);
        // Two routes may be alike but for their place.
        route.scopes.push(format!("place {place}"));
    }
    let mut as_written = policy.clone();
    for (route, place) in as_written.routes.iter_mut().zip(0..) {
        route.scopes.push(format!("place {place}"));
    }
    let named = |routing: Routing| match routing {
        Routing::Route(route) => route.scopes.last().cloned(),
        Routing::Unnamed => Some("unnamed".to_owned()),
        Routing::Forbidden => Some("forbidden".to_owned()),
    };
    let expected = named(route(&as_written, method, path));
    readings(path).iter().all(|reading| named(route(&decoding, method, reading)) == expected)
}

/// R1.3: the first route whose path and method match.
pub fn route(policy: &ModelPolicy, method: &str, path: &str) -> Routing {
    let naming: Vec<&Route> = policy.routes.iter().filter(|route| matches(&route.path, path)).collect();
    if naming.is_empty() {
        return Routing::Unnamed;
    }
    let first = naming.into_iter().find(|route| {
        route.methods.is_empty() || route.methods.iter().any(|named| named == method || (named == "GET" && method == "HEAD"))
    });
    match first {
        Some(route) => Routing::Route(route.clone()),
        None => Routing::Forbidden,
    }
}

/// R1.4: whether the request is a preflight that passes.
pub fn is_passing_preflight(policy: &ModelPolicy, request: &ModelRequest) -> bool {
    let asked = request.values("Access-Control-Request-Method");
    let one_token = matches!(asked.as_slice(), [one] if !one.is_empty() && one.iter().all(|byte| is_token_byte(*byte)));
    policy.access.preflight == Preflight::Pass
        && request.method == "OPTIONS"
        && request.values("Origin").len() == 1
        && one_token
        && !request.announces_body()
}

/// R1.1: the request's own id, if it brought exactly one good one.
pub fn request_id(policy: &ModelPolicy, request: &ModelRequest) -> Option<String> {
    let values = request.values(&policy.response.request_id_header);
    let [one] = values.as_slice() else { return None };
    let good =
        (1..=128).contains(&one.len()) && one.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._~:/+=@-".contains(byte));
    good.then(|| String::from_utf8_lossy(one).into_owned())
}

/// Whether a byte may stand in an HTTP token.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn without_trailing_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        Some("") | None => path,
        Some(rest) => rest,
    }
}

fn decode_unreserved_once(written: &str) -> String {
    let mut decoded = String::new();
    let mut rest = written;
    while let Some(first) = rest.chars().next() {
        let byte = rest.strip_prefix('%').and_then(|after| after.get(..2)).and_then(hexadecimal);
        match byte {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                decoded.push(char::from(byte));
                rest = &rest[3..];
            }
            _ => {
                decoded.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    decoded
}

/// Two hexadecimal digits, and nothing else that `from_str_radix` would take.
pub fn hexadecimal(digits: &str) -> Option<u8> {
    digits.chars().all(|c| c.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> ModelRequest {
        ModelRequest::parse(text, None)
    }

    #[test]
    fn targets_have_three_forms() {
        let read = |text: &str| target(&request(&format!("{text}\n\n"))).map(|t| (t.path, t.query));
        assert_eq!(read("GET /a?b"), Some(("/a".to_owned(), Some("b".to_owned()))));
        assert_eq!(read("GET http://h/a"), Some(("/a".to_owned(), None)));
        assert_eq!(read("GET http://h"), Some(("/".to_owned(), None)));
        assert_eq!(read("GET http://h?q"), Some(("/".to_owned(), Some("q".to_owned()))));
        assert_eq!(read("OPTIONS *"), Some(("*".to_owned(), None)));
        assert_eq!(read("GET *"), None);
        assert_eq!(read("GET healthz"), None);
        assert_eq!(read("CONNECT api.test:443"), None);
        assert_eq!(read("GET /caf\u{e9}"), None);
    }

    #[test]
    fn rules_see_one_spelling() {
        let seen = |written: &str| path_for_rules(written);
        assert_eq!(seen("/%72eports/1/").as_deref(), Some("/reports/1"));
        assert_eq!(seen("/").as_deref(), Some("/"));
        assert_eq!(seen("/a%20b").as_deref(), Some("/a%20b"));
        assert_eq!(seen("/%2541").as_deref(), Some("/%2541"), "decoded once, and % is not unreserved");
        assert_eq!(seen("/100%").as_deref(), Some("/100%"));
        assert_eq!(seen("/a%+1").as_deref(), Some("/a%+1"));
        for odd in [
            "/a/../b",
            "/a/%2e%2E",
            "/./a",
            "//a",
            "/a//",
            "//",
            "/a%2Fb",
            "/a%5cb",
            "/a%00",
            "/a\\b",
            "/a/..;b/c",
            "/.;",
            "/..%3B;",
            "/;a",
            "/a/;/b",
        ] {
            assert_eq!(seen(odd), None, "{odd}");
        }
    }

    #[test]
    fn below_is_not_the_thing_itself() {
        for (pattern, path, expected) in [
            ("/x/*", "/x/a", true),
            ("/x/*", "/x/a/b", true),
            ("/x/*", "/x", false),
            ("/x/*", "/x/", false),
            ("/x/*", "/xa", false),
            ("/x", "/x/", true),
            ("/x/", "/x", true),
            ("/*", "/", false),
            ("/*", "/a", true),
            ("/", "/", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_forgotten_method_is_no_open_door() {
        let policy = ModelPolicy::from_toml(
            "[[routes]]\npath = '/r/*'\nmethods = ['GET']\nscopes = ['a']\n[[routes]]\npath = '/r/1'\nmethods = ['PUT']",
        )
        .unwrap();
        assert!(matches!(route(&policy, "HEAD", "/r/1"), Routing::Route(found) if found.path == "/r/*"));
        assert!(matches!(route(&policy, "PUT", "/r/1"), Routing::Route(found) if found.path == "/r/1"));
        assert_eq!(route(&policy, "POST", "/r/1"), Routing::Forbidden);
        assert_eq!(route(&policy, "PUT", "/r/2"), Routing::Forbidden);
        assert_eq!(route(&policy, "POST", "/r"), Routing::Unnamed);
        assert_eq!(route(&policy, "get", "/r/1"), Routing::Forbidden);
    }

    #[test]
    fn a_preflight_is_exact() {
        let policy = ModelPolicy::default();
        let passes = |text: &str| is_passing_preflight(&policy, &request(text));
        let good = "OPTIONS /a\nOrigin: https://b.test\nAccess-Control-Request-Method: PUT\n\n";
        assert!(passes(good));
        assert!(passes(&good.replace("PUT", "PUT\nContent-Length: 0")));
        assert!(!passes(&good.replace("PUT", "PUT\nContent-Length: 1")));
        assert!(!passes(&good.replace("PUT", "PUT\nTransfer-Encoding: chunked")));
        assert!(!passes(&good.replace("PUT", "PUT, GET")));
        assert!(!passes(&good.replace("PUT", "PUT\nOrigin: https://c.test")));
        assert!(!passes(&good.replace("OPTIONS", "GET")));
        assert!(!passes("OPTIONS /a\nAccess-Control-Request-Method: PUT\n\n"));
        assert!(!passes("OPTIONS /a\nOrigin: https://b.test\n\n"));
    }

    #[test]
    fn a_request_id_is_taken_or_replaced() {
        let policy = ModelPolicy::default();
        let id = |value: &str| request_id(&policy, &request(&format!("GET /\nX-Request-ID: {value}\n\n")));
        assert_eq!(id("a.B_~:/+=@-9").as_deref(), Some("a.B_~:/+=@-9"));
        assert_eq!(id(&"a".repeat(128)), Some("a".repeat(128)));
        assert_eq!(id(&"a".repeat(129)), None);
        assert_eq!(id(""), None);
        assert_eq!(id("a b"), None);
        assert_eq!(id("a\nX-Request-ID: a"), None);
    }
}
