//! Why a request is denied, in a sentence for the operator: the kind of the denial, with what of the decision it hangs on.

use http::{Method, Request};
use keyward::{Explanation, Policy, SourceKind};

/// `None`: it is not denied.
pub(super) fn why(told: &Explanation, request: &Request<()>, policy: &Policy) -> Option<String> {
    let client = told.client_ip.map_or_else(|| "an unknown address".to_owned(), |client| client.to_string());
    let places = || candidates(told);
    Some(match told.denial? {
        "missing" => format!("no place that the policy names holds a key; it looks in {}", sources(policy)),
        "malformed" => format!(
            "what stands in {} can be no key: foreign bytes, or longer than 1024, or the checksum of its prefix is wrong, as after a slip of the pen",
            places()
        ),
        "duplicate" => format!("{} is there more than once: send one, once", places()),
        "conflict" => match told.candidates.len() {
            0 | 1 => format!("{} cannot stand there alone, or stands beside another key", places()),
            _ => format!("keys that differ stand in {}, and the policy's `resolution` takes none of them", places()),
        },
        "unknown" => format!("no authenticator knows the key in {}: {}", places(), asked(told)),
        "expired" => format!("the key in {} is known, and its `expires_at`, or the grace of a rotation, is over", places()),
        "not-yet-valid" => format!("the key in {} is known, and its `not_before` is still to come", places()),
        "revoked" => format!("the key in {} is known, and it was revoked", places()),
        "disabled" => format!("the key in {} is known, and it is switched off", places()),
        "path" => path(request),
        // Routes of the policy come before any candidate is looked for, paths of a key after it was verified.
        "route" if is_verified(told) => {
            format!("the key is valid, but {} is not under its own `resource_pattern`", request.uri().path())
        }
        "route" => format!(
            "the first of `routes` whose path is {} does not list {}, and what it does not list is denied",
            request.uri().path(),
            request.method()
        ),
        "address" if told.client_is_flagged => format!(
            "the way to the client could not be read beyond {client}, and who is flagged for that fails every allow-list and every deny-list that is not empty"
        ),
        // Networks of the policy come before any candidate is looked for, those of a key after it was verified.
        "address" if is_verified(told) => format!("the key is valid, but its own `allowed_ips` do not hold {client}"),
        "address" => format!(
            "the policy's `network.allow` does not hold {client}, or its `network.deny` does, or the route has lists of its own that say so"
        ),
        "kind" => "the key is valid, but its kind is not among the `kinds` of the route".to_owned(),
        "scope" => match challenged_scopes(told) {
            Some(scopes) => format!("the key is valid, but does not hold all that the route demands: {scopes}"),
            None => "the key is valid, but holds none of the scopes in the route's `any_scope`".to_owned(),
        },
        "origin" => {
            "the credential is a cookie, which a browser sends by itself, and the request may come from a foreign page".to_owned()
        }
        "limited" => format!("a quota is used up{}", retry(told)),
        "failures-limited" => format!("too many bad keys came from {client}: `limits.failures` is used up{}", retry(told)),
        "unavailable" => "something that has to be asked could not answer: the steps say how far it went".to_owned(),
        _ => return None,
    })
}

fn is_verified(told: &Explanation) -> bool {
    told.candidates.iter().any(|candidate| candidate.outcome == "valid")
}

fn candidates(told: &Explanation) -> String {
    let places: Vec<String> = told.candidates.iter().map(|found| place(found.source, &found.name, None)).collect();
    if places.is_empty() { "the request".to_owned() } else { places.join(" and ") }
}

fn sources(policy: &Policy) -> String {
    policy.sources().map(|(kind, name, scheme)| place(kind, name, scheme)).collect::<Vec<_>>().join(", ")
}

fn place(kind: SourceKind, name: &str, scheme: Option<&str>) -> String {
    match (kind, scheme) {
        (SourceKind::Bearer, _) => "Authorization: Bearer".to_owned(),
        (SourceKind::Header, Some(scheme)) => format!("the header {name} behind {scheme}"),
        (SourceKind::Header, None) => format!("the header {name}"),
        (SourceKind::Cookie, _) => format!("the cookie {name}"),
        (SourceKind::Query, _) => format!("the query's {name}"),
        (SourceKind::Subprotocol, _) => format!("the subprotocol {name}"),
    }
}

fn asked(told: &Explanation) -> String {
    let asked: Vec<&str> = told.steps.iter().filter(|step| step.step == "authentication").map(|step| &*step.outcome).collect();
    if asked.is_empty() { "none was asked".to_owned() } else { asked.join(", ") }
}

fn path(request: &Request<()>) -> String {
    match request.uri().path() {
        _ if request.method() == Method::CONNECT => "CONNECT has no path to decide about".to_owned(),
        path if !path.starts_with('/') => "the target has no path that starts with /".to_owned(),
        _ => "the path can be read in more than one way, which a policy with path rules and a key with a `resource_pattern` refuse: it has an empty, `.` or `..` segment, a backslash, an encoded `/`, `\\` or NUL, or bytes that are not ASCII".to_owned(),
    }
}

/// What the challenge tells the client: all the scopes that the route demands, where it demands all of them.
fn challenged_scopes(told: &Explanation) -> Option<&str> {
    let challenges = told.response.headers.iter().filter(|(name, _)| name == "www-authenticate");
    challenges.filter_map(|(_, value)| value.split_once(" scope=\"")?.1.split_once('"')).map(|(scopes, _)| scopes).next()
}

fn retry(told: &Explanation) -> String {
    let after = told.response.headers.iter().find(|(name, _)| name == "retry-after");
    after.map(|(_, seconds)| format!("; there is room again in {seconds} s")).unwrap_or_default()
}
