//! What the model says beside what came back: every difference, in words.

use serde_json::Value;

use crate::{
    model::{
        answer::{ModelAnswer, ModelBody, ModelEvent, RetryAfter},
        limits::{Standing, seconds},
        policy::ModelPolicy,
        request::ModelRequest,
        target,
        verify::ModelPrincipal,
        websocket::ModelClose,
    },
    wire::{Received, Upgraded},
};

/// Collects differences.
#[derive(Debug, Default)]
pub struct Differences(Vec<String>);

impl Differences {
    /// What was found; empty if nothing differs.
    pub fn found(self) -> Vec<String> {
        self.0
    }

    /// Compares two values of the same thing.
    pub fn expect<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, expected: T, got: T) {
        if expected != got {
            self.0.push(format!("{what}: expected {expected:?}, got {got:?}"));
        }
    }

    /// Notes something that has no two values.
    pub fn note(&mut self, difference: String) {
        self.0.push(difference);
    }
}

/// Everything in which an answer and the audit events of one request differ from what the model says.
pub fn differences(
    policy: &ModelPolicy,
    request: &ModelRequest,
    answer: &ModelAnswer,
    received: &Received,
    events: &[Value],
) -> Vec<String> {
    let mut differences = Differences::default();
    differences.expect("status", answer.status, received.status);
    compare_headers(policy, answer, received, &mut differences);
    let id = received.values(&policy.response.request_id_header).first().map(|id| (*id).to_owned()).unwrap_or_default();
    if request.method != "HEAD" && answer.status == received.status {
        match (&answer.body, &answer.close) {
            (Some(body), _) => compare_denial(body, &id, received, &mut differences),
            (None, Some(close)) => compare_close(policy, close, received, &mut differences),
            (None, None) => compare_handler(request, answer, &id, received, &mut differences),
        }
    }
    compare_events(request, answer, &id, events, &mut differences);
    differences.found()
}

/// Promise 1: no credential of the service stands in an audit event, in a head, in the body of a denial or in the reason of a
/// close. What a handler tells is its own affair.
pub fn leaks(secrets: &[String], received: &Received, events: &[Value]) -> Vec<String> {
    let mut places: Vec<String> = events.iter().map(Value::to_string).collect();
    places.extend(received.headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if received.status >= 400 {
        places.push(String::from_utf8_lossy(&received.body).into_owned());
    }
    places.extend(received.upgraded.iter().map(|upgraded| match upgraded {
        Upgraded::Closed { reason, .. } => reason.clone(),
        Upgraded::Otherwise(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }));
    let holds = |place: &String| secrets.iter().any(|secret| place.contains(secret.as_str()));
    places.iter().filter(|place| holds(place)).map(|place| format!("a credential stands in {place}")).collect()
}

fn compare_headers(policy: &ModelPolicy, answer: &ModelAnswer, received: &Received, differences: &mut Differences) {
    let ids = received.values(&policy.response.request_id_header);
    match (&answer.request_id, ids.as_slice()) {
        (Some(expected), ids) => differences.expect("request id", &[expected.as_str()][..], ids),
        (None, [id]) if is_uuid(id) => {}
        (None, ids) => differences.note(format!("request id: expected one new UUID, got {ids:?}")),
    }
    let challenge: Vec<&str> = answer.www_authenticate.as_deref().into_iter().collect();
    differences.expect("WWW-Authenticate", challenge, received.values("WWW-Authenticate"));
    let caching: Vec<&str> = answer.cache_control.into_iter().collect();
    differences.expect("Cache-Control", caching, received.values("Cache-Control"));
    let waits = received.values("Retry-After");
    match answer.retry_after {
        RetryAfter::Absent => differences.expect("Retry-After", vec![], waits),
        RetryAfter::Seconds(seconds) => differences.expect("Retry-After", vec![seconds.to_string().as_str()], waits),
        RetryAfter::Some if matches!(waits.as_slice(), [one] if one.parse::<u64>().is_ok_and(|seconds| seconds > 0)) => {}
        RetryAfter::Some => differences.note(format!("Retry-After: expected some seconds, got {waits:?}")),
    }
    compare_rate_limits(&answer.rate_limits, received, differences);
    compare_legacy_rate_limits(&answer.legacy_rate_limits, received, differences);
}

/// The quotas may be told in any order; their names and numbers may not differ.
fn compare_rate_limits(standings: &[Standing], received: &Received, differences: &mut Differences) {
    let told = |standing: &Standing, numbers: [i128; 2]| (standing.name.clone(), numbers);
    let sorted = |mut items: Vec<(String, [i128; 2])>| {
        items.sort_unstable();
        items
    };
    let policies = standings.iter().map(|standing| told(standing, [standing.quota.count, seconds(standing.quota.window)]));
    let left = standings.iter().map(|standing| told(standing, [standing.remaining, seconds(standing.full_in)]));
    for (name, expected, parameters) in
        [("RateLimit-Policy", policies.collect(), ["q", "w"]), ("RateLimit", Vec::from_iter(left), ["r", "t"])]
    {
        let got = items(&received.values(name));
        let got = got.iter().map(|item| (quoted(item), parameters.map(|parameter| self::parameter(item, parameter)))).collect();
        differences.expect(name, sorted(expected), sorted(got));
    }
}

/// The older names tell the quota of which the least is left: any of those, if several are.
fn compare_legacy_rate_limits(standings: &[Standing], received: &Received, differences: &mut Differences) {
    let got = ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"].map(|name| received.values(name));
    let least = standings.iter().map(|standing| standing.remaining).min();
    let tightest: Vec<[String; 3]> = standings
        .iter()
        .filter(|standing| Some(standing.remaining) == least)
        .map(|standing| [standing.quota.count, standing.remaining, seconds(standing.full_in)].map(|number| number.to_string()))
        .collect();
    let is_one = tightest.iter().any(|expected| got.iter().zip(expected).all(|(got, expected)| *got == [expected]));
    if !(is_one || tightest.is_empty() && got.iter().all(Vec::is_empty)) {
        differences.note(format!("X-RateLimit: expected one of {tightest:?}, got {got:?}"));
    }
}

fn items(lines: &[&str]) -> Vec<String> {
    lines.iter().flat_map(|line| line.split(',')).map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// The text that a structured-field item begins with; empty, which is no quota's name, if it begins with none.
fn quoted(item: &str) -> String {
    let text = item.split(';').next().and_then(|first| first.strip_prefix('"')?.strip_suffix('"'));
    text.unwrap_or_default().to_owned()
}

/// A parameter of a structured-field item; -1 if there is none, which equals no quota's number.
fn parameter(item: &str, name: &str) -> i128 {
    item.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')?.parse().ok()).unwrap_or(-1)
}

fn compare_denial(expected: &ModelBody, id: &str, received: &Received, differences: &mut Differences) {
    differences.expect("Content-Type", vec![expected.content_type], received.values("Content-Type"));
    let Some(Value::Object(body)) = received.json() else {
        differences.note(format!("body: expected an object, got {:?}", String::from_utf8_lossy(&received.body)));
        return;
    };
    for (name, value) in &expected.fixed {
        differences.expect(&format!("body's {name}"), Some(value), body.get(*name));
    }
    for name in &expected.some_text {
        if body.get(*name).and_then(Value::as_str).is_none_or(str::is_empty) {
            differences.note(format!("body's {name}: expected some text, got {:?}", body.get(*name)));
        }
    }
    for name in &expected.absent {
        differences.expect(&format!("body's {name}"), None, body.get(*name));
    }
    if let Some(told) = body.get("request_id") {
        differences.expect("body's request_id", Some(id), told.as_str());
    }
}

/// R12.1: a handshake that is completed, one frame, and no header that tells more.
fn compare_close(policy: &ModelPolicy, close: &ModelClose, received: &Received, differences: &mut Differences) {
    let subprotocol: Vec<&str> = close.subprotocol.as_deref().into_iter().collect();
    differences.expect("Sec-WebSocket-Accept", vec![close.accept.as_str()], received.values("Sec-WebSocket-Accept"));
    differences.expect("Sec-WebSocket-Protocol", subprotocol, received.values("Sec-WebSocket-Protocol"));
    differences.expect("Upgrade", vec!["websocket"], received.values("Upgrade"));
    // Beside it may stand what is to become of the connection otherwise.
    let connection = received.values("Connection");
    let lists_upgrade = |line: &str| line.split(',').any(|item| item.trim().eq_ignore_ascii_case("upgrade"));
    if !matches!(connection.as_slice(), [line] if lists_upgrade(line)) {
        differences.note(format!("Connection: expected one line with upgrade, got {connection:?}"));
    }
    let security =
        ["x-content-type-options", "x-frame-options", "referrer-policy", "permissions-policy", "content-security-policy"];
    for (name, value) in &received.headers {
        let is_of_the_policy = *name == policy.response.request_id_header.to_ascii_lowercase()
            || policy.response.security_headers && security.contains(&name.as_str())
            || policy.response.hsts.is_some() && name == "strict-transport-security";
        let is_of_the_handshake =
            ["connection", "upgrade", "sec-websocket-accept", "sec-websocket-protocol", "date"].contains(&name.as_str());
        if !is_of_the_policy && !is_of_the_handshake {
            differences.note(format!("{name}: has no place in a handshake that is closed, got {value:?}"));
        }
    }
    match &received.upgraded {
        Some(Upgraded::Closed { code, reason }) => {
            differences.expect("close code", close.code, *code);
            match &close.reason {
                Some(expected) => differences.expect("close reason", expected, reason),
                None if (1..=123).contains(&reason.len()) => {}
                None => differences.note(format!("close reason: expected some text of at most 123 bytes, got {reason:?}")),
            }
        }
        other => differences.note(format!("expected one close frame and nothing else, got {other:?}")),
    }
}

fn compare_handler(request: &ModelRequest, answer: &ModelAnswer, id: &str, received: &Received, differences: &mut Differences) {
    let Some(seen) = received.json() else {
        differences.note(format!("body: expected the handler's, got {:?}", String::from_utf8_lossy(&received.body)));
        return;
    };
    compare_principal(answer.principal.as_ref(), &seen["principal"], differences);
    differences.expect("handler's request_id", Some(id), seen["request_id"].as_str());
    if let Some(address) = answer.client_ip {
        differences.expect("handler's client_ip", Some(address.to_string().as_str()), seen["client_ip"].as_str());
    }
    differences.expect(
        "handler's query",
        answer.query.as_deref().unwrap_or_default(),
        seen["query"].as_str().unwrap_or_default(),
    );
    let path = target::target(request).map(|target| target.path);
    differences.expect("handler's path", path.as_deref(), seen["path"].as_str());
    if let Some(saw) = answer.saw_credential {
        differences.expect("handler's saw_credential", Some(saw), seen["saw_credential"].as_bool());
    }
}

fn compare_principal(expected: Option<&ModelPrincipal>, seen: &Value, differences: &mut Differences) {
    let Some(expected) = expected else {
        differences.expect("principal", &Value::Null, seen);
        return;
    };
    if let Some(name) = &expected.name {
        differences.expect("principal's name", Some(name.as_str()), seen["name"].as_str());
    }
    differences.expect("principal's kind", expected.kind.as_deref(), seen["kind"].as_str());
    differences.expect("principal's owner", expected.owner.as_deref(), seen["owner"].as_str());
    differences.expect("principal's authenticator", Some(expected.authenticator), seen["authenticator"].as_str());
    differences.expect("principal's scopes", serde_json::json!(expected.scopes), seen["scopes"].clone());
    if seen["id"].as_str().is_none_or(str::is_empty) {
        differences.note(format!("principal's id: expected some text, got {}", seen["id"]));
    }
}

fn compare_events(request: &ModelRequest, answer: &ModelAnswer, id: &str, events: &[Value], differences: &mut Differences) {
    match (&answer.event, events) {
        (None, []) => {}
        (Some(expected), [event]) => compare_event(request, answer, expected, id, event, differences),
        (expected, events) => {
            differences.note(format!("audit events: expected {}, got {events:?}", usize::from(expected.is_some())));
        }
    }
}

fn compare_event(
    request: &ModelRequest,
    answer: &ModelAnswer,
    expected: &ModelEvent,
    id: &str,
    event: &Value,
    differences: &mut Differences,
) {
    for name in ["timestamp", "level", "event", "outcome"] {
        if event[name].as_str().is_none_or(str::is_empty) {
            differences.note(format!("event's {name}: expected some text, got {}", event[name]));
        }
    }
    differences.expect("event's request_id", Some(id), event["request_id"].as_str());
    differences.expect("event's method", Some(request.method.as_str()), event["method"].as_str());
    if let Some(target) = target::target(request) {
        differences.expect("event's path", Some(target.path.as_str()), event["path"].as_str());
    }
    differences.expect("event's outcome", Some(if expected.allowed { "allow" } else { "deny" }), event["outcome"].as_str());
    let reason = event["reason"].as_str();
    if !expected.allowed && !expected.reasons.iter().any(|kind| reason == Some(kind)) {
        differences.note(format!("event's reason: expected one of {:?}, got {reason:?}", expected.reasons));
    }
    if let Some(address) = answer.client_ip {
        differences.expect("event's client_ip", Some(address.to_string().as_str()), event["client_ip"].as_str());
    }
    if let Some(present) = expected.key_present {
        differences.expect("event's key_status", Some(if present { "present" } else { "absent" }), event["key_status"].as_str());
    }
    if let Some(source) = expected.source {
        differences.expect("event's source", Some(source), event["source"].as_str());
    }
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        answer::ModelDenial,
        limits::{Quota, Quotas, Subject},
    };

    fn received(status: u16, headers: &[(&str, &str)], body: &str) -> Received {
        Received {
            status,
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: body.as_bytes().to_vec(),
            upgraded: None,
        }
    }

    /// A judge that finds nothing is worth nothing: each of these differences must be found.
    #[test]
    fn differences_are_found() {
        let policy = ModelPolicy::from_toml("[response]\nbody = 'detail'\nunauthorized = 'no'").unwrap();
        let request = ModelRequest::parse("GET /", None);
        let answer = ModelAnswer { request_id: Some("r".to_owned()), ..ModelDenial::of("unknown").render(&policy) };
        let challenge = "Bearer realm=\"api\", error=\"invalid_token\"";
        let headers = [
            ("x-request-id", "r"),
            ("www-authenticate", challenge),
            ("cache-control", "no-store"),
            ("content-type", "application/json"),
        ];
        let compare = |received: &Received| differences(&policy, &request, &answer, received, &[]);
        assert_eq!(compare(&received(401, &headers, r#"{"detail":"no"}"#)), [] as [&str; 0]);
        assert_eq!(compare(&received(401, &headers, r#"{"detail":"yes"}"#)).len(), 1);
        assert_eq!(compare(&received(403, &headers, r#"{"detail":"no"}"#)).len(), 1);
        for missing in 0..headers.len() {
            let mut fewer = headers.to_vec();
            fewer.remove(missing);
            assert_eq!(compare(&received(401, &fewer, r#"{"detail":"no"}"#)).len(), 1, "{:?}", headers[missing]);
            let mut more = headers.to_vec();
            more.push(headers[missing]);
            assert_eq!(compare(&received(401, &more, r#"{"detail":"no"}"#)).len(), 1, "{:?}", headers[missing]);
        }
        let mut limited = headers.to_vec();
        limited.push(("ratelimit", "\"key\";r=1;t=3"));
        assert_eq!(compare(&received(401, &limited, r#"{"detail":"no"}"#)).len(), 1);
        let mut limited = headers.to_vec();
        limited.push(("x-ratelimit-limit", "3"));
        assert_eq!(compare(&received(401, &limited, r#"{"detail":"no"}"#)).len(), 1);
    }

    #[test]
    fn differences_of_quotas_are_found() {
        let policy = ModelPolicy::default();
        let request = ModelRequest::parse("GET /", None);
        let charges = [(Subject::Key("k".to_owned()), vec![Quota::parse("1/minute"), Quota::parse("long=5/hour")])];
        let mut quotas = Quotas::default();
        quotas.take(&charges, 1, 0).unwrap();
        let spent = quotas.take(&charges, 1, 0).unwrap_err();
        let answer = ModelAnswer {
            request_id: Some("r".to_owned()),
            rate_limits: spent.clone(),
            legacy_rate_limits: spent.clone(),
            ..ModelDenial { spent, ..ModelDenial::of("limited") }.render(&policy)
        };
        let headers = [
            ("x-request-id", "r"),
            ("cache-control", "no-store"),
            ("content-type", "application/problem+json"),
            ("retry-after", "60"),
            ("ratelimit", "\"long\";r=4;t=720, \"key-60s\";r=0;t=60"),
            ("ratelimit-policy", "\"key-60s\";q=1;w=60, \"long\";q=5;w=3600"),
            ("x-ratelimit-limit", "1"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "60"),
        ];
        let body = serde_json::json!({
            "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
            "title": "Request cannot be satisfied as assigned quota has been exceeded",
            "status": 429, "code": "limited", "detail": "later", "request_id": "r", "violated-policies": ["key-60s"],
        });
        let body = body.to_string();
        let compare = |headers: &[(&str, &str)], body: &str| {
            differences(&policy, &request, &answer, &received(429, headers, body), &[]).len()
        };
        assert_eq!(compare(&headers, &body), 0);
        for (at, from, to) in [
            (3, "60", "59"),
            (4, "long", "short"),
            (4, "\"long\"", "long"),
            (4, "r=4", "r=5"),
            (4, "t=720", "t=719"),
            (4, ", \"key-60s\";r=0;t=60", ""),
            (5, "q=5", "q=4"),
            (5, "w=60", "w=61"),
            (5, "key-60s", "owner-60s"),
            (6, "1", "5"),
            (7, "0", "4"),
            (8, "60", "720"),
        ] {
            let mut other = headers;
            let value = headers[at].1.replace(from, to);
            other[at].1 = &value;
            assert_eq!(compare(&other, &body), 1, "{from} {to}");
        }
        for (from, to) in [
            ("[\"key-60s\"]", "[\"key-60s\",\"long\"]"),
            ("[\"key-60s\"]", "[]"),
            ("#quota-exceeded", "#temporary-reduced-capacity"),
            ("Request cannot", "Requests cannot"),
        ] {
            assert_eq!(compare(&headers, &body.replace(from, to)), 1, "{from} {to}");
        }
    }

    #[test]
    fn differences_of_closes_are_found() {
        let policy = ModelPolicy::from_toml("[response]\nunauthorized = 'no'\n[websocket]\non_denial = 'close'").unwrap();
        let request = ModelRequest::parse("GET /", None);
        let close = |subprotocol: Option<&str>, reason: Option<&str>| ModelAnswer {
            status: 101,
            request_id: Some("r".to_owned()),
            close: Some(ModelClose {
                accept: "a".to_owned(),
                subprotocol: subprotocol.map(str::to_owned),
                code: 1008,
                reason: reason.map(str::to_owned),
            }),
            ..ModelAnswer::default()
        };
        let headers = [
            ("x-request-id", "r"),
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-accept", "a"),
            ("sec-websocket-protocol", "chat"),
        ];
        let closed = |code, reason: &str| Upgraded::Closed { code, reason: reason.to_owned() };
        let compare = |answer: &ModelAnswer, headers: &[(&str, &str)], upgraded: Option<Upgraded>| {
            let received = Received { upgraded, ..received(101, headers, "") };
            differences(&policy, &request, answer, &received, &[]).len()
        };
        let good = || Some(closed(1008, "no"));
        let expected = close(Some("chat"), Some("no"));
        assert_eq!(compare(&expected, &headers, good()), 0);
        for missing in 0..headers.len() {
            let mut fewer = headers.to_vec();
            fewer.remove(missing);
            assert_eq!(compare(&expected, &fewer, good()), 1, "{:?}", headers[missing]);
            let mut more = headers.to_vec();
            more.push(headers[missing]);
            assert_eq!(compare(&expected, &more, good()), 1, "{:?}", headers[missing]);
        }
        for (name, value, found) in [
            ("retry-after", "1", 2),
            ("www-authenticate", "Bearer", 2),
            ("cache-control", "no-store", 2),
            ("ratelimit", "\"key\";r=1;t=3", 2),
            ("connection", "close", 1),
            ("content-length", "0", 1),
            ("content-type", "application/json", 1),
            ("sec-websocket-extensions", "permessage-deflate", 1),
            ("strict-transport-security", "max-age=1", 1),
        ] {
            let mut more = headers.to_vec();
            more.push((name, value));
            assert_eq!(compare(&expected, &more, good()), found, "{name}");
        }
        assert_eq!(compare(&close(None, Some("no")), &headers, good()), 1);
        for upgraded in [
            None,
            Some(closed(1000, "no")),
            Some(closed(1008, "yes")),
            Some(Upgraded::Otherwise(Vec::new())),
            Some(Upgraded::Otherwise(b"\x81\x00".to_vec())),
        ] {
            assert_eq!(compare(&expected, &headers, upgraded.clone()), 1, "{upgraded:?}");
        }
        let some_text = close(Some("chat"), None);
        for (reason, found) in [("no".to_owned(), 0), (String::new(), 1), ("a".repeat(124), 1)] {
            assert_eq!(compare(&some_text, &headers, Some(closed(1008, &reason))), found, "{reason}");
        }
    }

    #[test]
    fn leaks_are_found() {
        let secrets = ["alpha".to_owned()];
        let clean = received(401, &[("a", "b")], "c");
        assert_eq!(leaks(&secrets, &clean, &[]), [] as [&str; 0]);
        assert_eq!(leaks(&secrets, &clean, &[serde_json::json!({ "path": "/alpha" })]).len(), 1);
        assert_eq!(leaks(&secrets, &received(401, &[("a", "the alpha")], "alphabet"), &[]).len(), 2);
        assert_eq!(leaks(&secrets, &received(200, &[], "alpha"), &[]), [] as [&str; 0]);
        let upgraded = Some(Upgraded::Closed { code: 1008, reason: "not alpha".to_owned() });
        assert_eq!(leaks(&secrets, &Received { upgraded, ..received(101, &[], "") }, &[]).len(), 1);
    }

    #[test]
    fn a_new_request_id_is_a_uuid() {
        assert!(is_uuid("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"));
        assert!(!is_uuid("0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"));
        assert!(!is_uuid("r"));
    }
}
