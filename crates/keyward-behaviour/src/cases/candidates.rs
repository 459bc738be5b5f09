//! R5: finding candidates.

use super::{Case, allowed, case, denied};

const ALL: &str = "
sources = [
  { bearer = true },
  { header = 'X-API-Key' },
  { header = 'Authorization', scheme = 'ApiKey' },
  { cookie = 'api-key' },
  { query = 'api_key' },
]
";

const LIMITED: &str = "
sources = [
  { bearer = true },
  { query = 'api_key', only = 'websocket' },
  { header = 'X-Job-Key', paths = ['/jobs/*', '/one'] },
]
";

const HANDSHAKE: &str =
    "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = found();
    cases.extend(duplicates());
    cases.extend(malformed());
    cases.extend(absent());
    cases.extend(limited());
    cases.extend(aliases());
    cases
}

/// Requests that present the key `alpha`.
fn found() -> Vec<Case> {
    let long = "k".repeat(1_024);
    let mut cases: Vec<Case> = [
        ("R5.1 a bearer token is found", "GET /a\nAuthorization: Bearer alpha"),
        ("R5.1 a header is found", "GET /a\nX-API-Key: alpha"),
        ("R5.1 a header with a scheme is found", "GET /a\nAuthorization: ApiKey alpha"),
        ("R5.1 a cookie is found", "GET /a\nCookie: api-key=alpha"),
        ("R5.1 a parameter is found", "GET /a?api_key=alpha"),
        ("R5.1 a cookie is found among others", "GET /a\nCookie: a=b; api-key=alpha; c=d"),
        ("R5.1 several Cookie lines are one list", "GET /a\nCookie: a=b\nCookie: api-key=alpha\nCookie: c=d"),
        ("R5.1 a parameter is found among others", "GET /a?a=b&api_key=alpha&c"),
        ("R5.2 a scheme has any case", "GET /a\nAuthorization: bEaReR alpha"),
        ("R5.2 a scheme of a header has any case", "GET /a\nAuthorization: APIKEY alpha"),
        ("R5.2 several spaces may follow a scheme", "GET /a\nAuthorization: Bearer    alpha"),
        ("R5.2 blanks around a header's value do not count", "GET /a\nX-API-Key: \t alpha \t"),
        ("R5.2 blanks around a bearer value do not count", "GET /a\nAuthorization:   Bearer alpha  "),
        ("R5.3 a header's name has any case", "GET /a\nx-aPI-kEY: alpha"),
        ("R5.3 a parameter's value is decoded", "GET /a?api_key=%61lp%68a"),
        ("R5.3 a parameter's name is decoded", "GET /a?api%5Fkey=alpha"),
        ("R5.3 broken encoding elsewhere does not matter", "GET /a?x=%zz&%=1&api_key=alpha"),
    ]
    .into_iter()
    .map(|(name, request)| case(name, ALL).record(r#"{"key":"alpha","name":"alpha"}"#).ask(request, allowed().principal("alpha")))
    .collect();
    cases.extend([
        case("R5.2 quotes belong to a cookie's value", ALL)
            .record(r#"{"key":"\"alpha\"","name":"quoted"}"#)
            .key("alpha")
            .ask("GET /a\nCookie: api-key=\"alpha\"", allowed().principal("quoted")),
        case("R5.2 an equals sign belongs to a cookie's value", ALL)
            .record(r#"{"key":"a=b=","name":"equals"}"#)
            .ask("GET /a\nCookie: api-key=a=b=", allowed().principal("equals"))
            .ask("GET /a?api_key=a=b=", allowed().principal("equals")),
        case("R5.3 a plus sign in a parameter is a space, an encoded one is itself", ALL)
            .record(r#"{"key":"a+b","name":"plus"}"#)
            .ask("GET /a?api_key=a%2Bb", allowed().principal("plus"))
            .ask("GET /a?api_key=a+b", denied("malformed")),
        case("R5.3 a plus sign in a header is itself", ALL)
            .record(r#"{"key":"a+b%2B","name":"plus"}"#)
            .ask("GET /a\nX-API-Key: a+b%2B", allowed().principal("plus"))
            .ask("GET /a\nCookie: api-key=a+b%2B", allowed().principal("plus")),
        case("R5.4 a credential of 1,024 bytes is good", ALL)
            .key(&long)
            .ask(&format!("GET /a\nX-API-Key: {long}"), allowed())
            .ask(&format!("GET /a\nAuthorization: Bearer {long}"), allowed())
            .ask(&format!("GET /a?api_key={long}"), allowed())
            .ask(&format!("GET /a\nCookie: api-key={long}"), allowed()),
        case("R5.4 the first and the last visible character are good", ALL)
            .record(r#"{"key":"!~","name":"edges"}"#)
            .ask("GET /a\nX-API-Key: !~", allowed().principal("edges")),
        case("R5.4 a credential of one byte is good", ALL).key("k").ask("GET /a\nX-API-Key: k", allowed()),
        case("R5 the default sources are bearer and X-API-Key", "")
            .key("alpha")
            .ask("GET /a\nAuthorization: Bearer alpha", allowed())
            .ask("GET /a\nX-API-Key: alpha", allowed())
            .ask("GET /a?api_key=alpha", denied("missing"))
            .ask("GET /a\nCookie: X-API-Key=alpha", denied("missing"))
            .ask("GET /a\nAuthorization: ApiKey alpha", denied("missing")),
    ]);
    cases
}

fn duplicates() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        ("R5.1 two equal X-API-Key lines are 400", "GET /a\nX-API-Key: alpha\nX-API-Key: alpha"),
        ("R5.1 two X-API-Key lines in different case are 400", "GET /a\nX-API-Key: alpha\nx-api-key: alpha"),
        ("R5.1 two equal Authorization lines are 400", "GET /a\nAuthorization: Bearer alpha\nAuthorization: Bearer alpha"),
        (
            "R5.1 two Authorization lines of different schemes are 400",
            "GET /a\nAuthorization: Basic eA==\nAuthorization: Bearer alpha",
        ),
        ("R5.1 two Authorization lines of foreign schemes are 400", "GET /a\nAuthorization: Basic eA==\nAuthorization: Digest b"),
        ("R5.1 two empty X-API-Key lines are 400", "GET /a\nX-API-Key:\nX-API-Key:"),
        ("R5.1 two cookies of the name are 400", "GET /a\nCookie: api-key=alpha; api-key=alpha"),
        ("R5.1 two cookies of the name in two lines are 400", "GET /a\nCookie: api-key=alpha\nCookie: api-key=beta"),
        ("R5.1 two parameters of the name are 400", "GET /a?api_key=alpha&api_key=alpha"),
        ("R5.1 two parameters of the decoded name are 400", "GET /a?api_key=alpha&%61pi_key=alpha"),
        ("R5.1 a duplicate outweighs a good key in a higher source", "GET /a?api_key=a&api_key=a\nX-API-Key: alpha"),
    ]
    .into_iter()
    .map(|(name, request)| case(name, ALL).key("alpha").ask(request, denied("duplicate")))
    .collect();
    for (name, policy) in [
        ("R5.1 a duplicate is 400 under first-present too", "resolution = 'first-present'"),
        ("R5.1 a duplicate is 400 under first-valid too", "resolution = 'first-valid'"),
    ] {
        cases.push(
            case(name, policy)
                .key("alpha")
                .ask("GET /a\nX-API-Key: alpha\nX-API-Key: alpha", denied("duplicate"))
                .ask("GET /a\nAuthorization: Bearer alpha\nX-API-Key: x\nX-API-Key: x", denied("duplicate")),
        );
    }
    cases.push(
        case("R5.1 names in another case are no duplicates", ALL)
            .key("alpha")
            .ask("GET /a\nCookie: api-key=alpha; API-KEY=beta", allowed())
            .ask("GET /a?api_key=alpha&API_KEY=beta", allowed()),
    );
    cases.push(
        case("R5.1 a duplicate on an optional route is 400", ALL)
            .key("alpha")
            .ask("GET /optional/a\nX-API-Key: alpha\nX-API-Key: alpha", denied("duplicate")),
    );
    cases.push(
        case("R5.1 duplicates of a header that is no source do not matter", ALL)
            .key("alpha")
            .ask("GET /a\nX-API-Key: alpha\nX-Other: a\nX-Other: b", allowed()),
    );
    cases
}

fn malformed() -> Vec<Case> {
    let long = "k".repeat(1_025);
    let mut cases: Vec<Case> = [
        ("R5.2 Bearer with nothing is malformed", "GET /a\nAuthorization: Bearer"),
        ("R5.2 Bearer with blanks only is malformed", "GET /a\nAuthorization: Bearer   "),
        ("R5.2 a tab after Bearer is malformed", "GET /a\nAuthorization: Bearer\talpha"),
        ("R5.2 a tab after the space is malformed", "GET /a\nAuthorization: Bearer \talpha"),
        ("R5.2 a comma after Bearer is malformed", "GET /a\nAuthorization: Bearer,alpha"),
        ("R5.2 two tokens after Bearer are malformed", "GET /a\nAuthorization: Bearer alpha alpha"),
        ("R5.2 another scheme with nothing is malformed", "GET /a\nAuthorization: ApiKey"),
        ("R5.2 an empty header is malformed", "GET /a\nX-API-Key:"),
        ("R5.2 a header of blanks is malformed", "GET /a\nX-API-Key: \t "),
        ("R5.2 an empty Authorization is malformed", "GET /a\nAuthorization:"),
        ("R5.2 an empty cookie is malformed", "GET /a\nCookie: api-key="),
        ("R5.2 an empty parameter is malformed", "GET /a?api_key="),
        ("R5.2 a parameter without equals sign is malformed", "GET /a?api_key"),
        ("R5.3 broken encoding is malformed", "GET /a?api_key=%zz"),
        ("R5.3 an encoding that ends early is malformed", "GET /a?api_key=alpha%6"),
        ("R5.3 a percent sign alone is malformed", "GET /a?api_key=alpha%"),
        ("R5.4 a space inside is malformed", "GET /a\nX-API-Key: al pha"),
        ("R5.4 an encoded space is malformed", "GET /a?api_key=al%20pha"),
        ("R5.4 an encoded NUL is malformed", "GET /a?api_key=alpha%00"),
        ("R5.4 an encoded line end is malformed", "GET /a?api_key=alpha%0d%0a"),
        ("R5.4 byte 127 is malformed", "GET /a?api_key=alpha%7f"),
        ("R5.4 bytes over 127 are malformed", "GET /a\nX-API-Key: alph\u{e4}"),
        ("R5.4 encoded bytes over 127 are malformed", "GET /a?api_key=alph%C3%A4"),
        ("R5.4 bytes over 127 in a cookie are malformed", "GET /a\nCookie: api-key=alph\u{e4}"),
    ]
    .into_iter()
    .map(|(name, request)| case(name, ALL).key("alpha").ask(request, denied("malformed")))
    .collect();
    cases.push(
        case("R5.4 a credential of 1,025 bytes is malformed", ALL)
            .ask(&format!("GET /a\nX-API-Key: {long}"), denied("malformed"))
            .ask(&format!("GET /a\nAuthorization: Bearer {long}"), denied("malformed"))
            .ask(&format!("GET /a?api_key={long}"), denied("malformed"))
            .ask(&format!("GET /a\nCookie: api-key={long}"), denied("malformed")),
    );
    cases
}

fn absent() -> Vec<Case> {
    [
        ("R5.2 another scheme is absent", "GET /a\nAuthorization: Basic YTpi"),
        ("R5.2 a longer scheme is another", "GET /a\nAuthorization: Bearers alpha"),
        ("R5.2 a shorter scheme is another", "GET /a\nAuthorization: Beare alpha"),
        ("R5.2 a key without its scheme is absent", "GET /a\nAuthorization: alpha"),
        ("R5.3 an underscore is no hyphen", "GET /a\nX_API_Key: alpha"),
        ("R5.3 a name that goes on is another", "GET /a\nX-API-Key2: alpha"),
        ("R5.3 a cookie in another case is another", "GET /a\nCookie: API-Key=alpha"),
        ("R5.3 a parameter in another case is another", "GET /a?API_KEY=alpha"),
        ("R5.3 a parameter's name is whole", "GET /a?xapi_key=alpha&api_key2=alpha"),
        ("R5.3 a cookie's name is whole", "GET /a\nCookie: xapi-key=alpha; api-key2=alpha"),
        ("R5.3 a name decoded twice is another", "GET /a?api%255Fkey=alpha"),
    ]
    .into_iter()
    .map(|(name, request)| case(name, ALL).key("alpha").ask(request, denied("missing")))
    .collect()
}

/// Names that are nearly the right one, or that a gateway might take for it.
fn aliases() -> Vec<Case> {
    let mut spelt = case("R5.3 no alias of a header is read", ALL).key("alpha");
    for name in [
        "X_API_Key",
        "X-API_Key",
        "X_API-Key",
        "X--API-Key",
        "X-APIKey",
        "XAPI-Key",
        "X.API.Key",
        "X-API-Key-",
        "-X-API-Key",
        "X-API-Keys",
        "HTTP_X_API_KEY",
        "HTTP-X-API-Key",
        "X+API+Key",
        "X~API~Key",
        "X!API-Key",
        "API-Key",
        "ApiKey",
        "X-Key",
        "X-Auth-Token",
    ] {
        spelt = spelt.ask(&format!("GET /a\n{name}: alpha"), denied("missing"));
    }
    for name in ["Authorization_", "Authorisation", "Proxy-Authorization", "X-Authorization", "HTTP_AUTHORIZATION", "Auth"] {
        spelt = spelt.ask(&format!("GET /a\n{name}: Bearer alpha"), denied("missing"));
    }
    for name in ["Cookie2", "X-Cookie", "Set-Cookie"] {
        spelt = spelt.ask(&format!("GET /a\n{name}: api-key=alpha"), denied("missing"));
    }
    let mut listed = case("R5.3 a header that Connection lists is read all the same", ALL).key("alpha");
    for list in ["X-API-Key", "x-api-key", "X-Api-Key", "close, X-API-Key", "X-API-Key, keep-alive", "X-API-KEY"] {
        listed = listed.ask(&format!("GET /a\nConnection: {list}\nX-API-Key: alpha"), allowed());
        listed = listed.ask(&format!("GET /a\nConnection: {list}\nX-API-Key: alpha\nX-API-Key: alpha"), denied("duplicate"));
    }
    vec![spelt, listed]
}

fn limited() -> Vec<Case> {
    vec![
        case("R5.5 a source for handshakes counts on handshakes only", LIMITED)
            .key("alpha")
            .ask(&format!("GET /a?api_key=alpha\n{HANDSHAKE}"), allowed())
            .ask("GET /a?api_key=alpha", denied("missing"))
            .ask("GET /a?api_key=alpha&api_key=alpha", denied("missing")),
        case("R5 a source limited to paths counts there only", LIMITED)
            .key("alpha")
            .ask("GET /jobs/1\nX-Job-Key: alpha", allowed())
            .ask("GET /%6aobs/1\nX-Job-Key: alpha", allowed())
            .ask("GET /one\nX-Job-Key: alpha", allowed())
            .ask("GET /one/\nX-Job-Key: alpha", allowed())
            .ask("GET /jobs\nX-Job-Key: alpha", denied("missing"))
            .ask("GET /other\nX-Job-Key: alpha", denied("missing")),
        case("R5 a source limited to paths makes no conflict elsewhere", LIMITED)
            .key("alpha")
            .ask("GET /other\nAuthorization: Bearer alpha\nX-Job-Key: beta", allowed())
            .ask("GET /other\nAuthorization: Bearer alpha\nX-Job-Key: a\nX-Job-Key: b", allowed())
            .ask("GET /jobs/1\nAuthorization: Bearer alpha\nX-Job-Key: beta", denied("conflict")),
    ]
}
