//! R5: finding candidates.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    policy::{ModelPolicy, Place, Source},
    request::{ModelRequest, trim},
    target::{Target, hexadecimal, is_token_byte, matches},
};

/// A credential with the source in which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it was found.
    pub source: Source,
    /// What was found.
    pub presented: Presented,
}

/// What was presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented {
    /// 1 to 1,024 bytes of visible ASCII.
    Credential(String),
    /// Anything else, as it stood there.
    Malformed(Vec<u8>),
}

/// Why a request is refused before anybody is asked about a credential: one kind, or several that are all true of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub Vec<&'static str>);

/// R5: the candidates, in the order of the policy's sources.
///
/// # Errors
/// R5.1: if a source holds more than one value, in whatever rank it stands. R12.2: if a credential is the only subprotocol,
/// which the rules give a status and no kind.
pub fn find(policy: &ModelPolicy, request: &ModelRequest, target: &Target, path: &str) -> Result<Vec<Candidate>, Unreadable> {
    let counting: Vec<Source> = policy.sources().into_iter().filter(|source| counts(source, request, path)).collect();
    let duplicate = counting.iter().any(|source| values(source, request, target).len() > 1);
    let alone = counting.iter().any(|source| {
        matches!(source.place, Place::Subprotocol(_))
            && !values(source, request, target).is_empty()
            && !offers_real_subprotocol(source, request)
    });
    match (duplicate, alone) {
        (true, true) => return Err(Unreadable(vec!["duplicate", "conflict"])),
        (true, false) => return Err(Unreadable(vec!["duplicate"])),
        (false, true) => return Err(Unreadable(vec!["conflict", "duplicate"])),
        (false, false) => {}
    }
    let mut candidates = Vec::new();
    for source in counting {
        let Some(value) = values(&source, request, target).pop() else { continue };
        if let Some(presented) = read(&source, &value) {
            candidates.push(Candidate { source, presented });
        }
    }
    Ok(candidates)
}

/// The query as the handler sees it: every parameter that a source reads is gone, every other byte is as it was.
pub fn query_without_credentials(sources: &[Source], target: &Target) -> Option<String> {
    let query = target.query.as_deref()?;
    let read_by_a_source = |parameter: &&str| {
        let name = decoded_parameter_name(parameter);
        sources.iter().any(|source| matches!(&source.place, Place::Query(read) if read.as_bytes() == name))
    };
    if !query.split('&').any(|parameter| read_by_a_source(&parameter)) {
        return Some(query.to_owned());
    }
    let kept: Vec<&str> = query.split('&').filter(|parameter| !read_by_a_source(parameter)).collect();
    (!kept.is_empty()).then(|| kept.join("&"))
}

/// Whether any header, cookie or subprotocol that one of the sources reads is there, whatever limits the source.
pub fn holds_header_credential(sources: &[Source], request: &ModelRequest) -> bool {
    let nowhere = Target { path: "/".to_owned(), query: None };
    sources.iter().any(|source| values(source, request, &nowhere).iter().any(|value| read(source, value).is_some()))
}

/// Whether the query holds a parameter that one of the sources reads, whatever limits the source.
pub fn holds_query_credential(sources: &[Source], target: &Target) -> bool {
    query_without_credentials(sources, target) != target.query
}

/// R5.5: whether a source counts for this request.
fn counts(source: &Source, request: &ModelRequest, path: &str) -> bool {
    (!source.only_websocket || request.is_handshake())
        && (source.paths.is_empty() || source.paths.iter().any(|pattern| matches(pattern, path)))
}

/// R5.1: every value of a source, by name alone.
fn values(source: &Source, request: &ModelRequest, target: &Target) -> Vec<Vec<u8>> {
    match &source.place {
        Place::Bearer => owned(request.values("Authorization")),
        Place::Header { name, .. } => owned(request.values(name)),
        Place::Cookie(name) => {
            let mut values = Vec::new();
            for line in request.values("Cookie") {
                for pair in line.split(|byte| *byte == b';') {
                    let pair = trim(pair);
                    if let Some(equals) = pair.iter().position(|byte| *byte == b'=')
                        && &pair[..equals] == name.as_bytes()
                    {
                        values.push(pair[equals + 1..].to_vec());
                    }
                }
            }
            values
        }
        Place::Query(name) => target
            .query
            .as_deref()
            .unwrap_or_default()
            .split('&')
            .filter(|parameter| decoded_parameter_name(parameter) == name.as_bytes())
            .map(|parameter| parameter.split_once('=').map_or("", |(_, value)| value).as_bytes().to_vec())
            .collect(),
        Place::Subprotocol(name) => {
            let lead = format!("{name}.");
            offered_subprotocols(request)
                .iter()
                .filter_map(|offered| offered.strip_prefix(&lead))
                .map(|encoded| encoded.as_bytes().to_vec())
                .collect()
        }
    }
}

/// R5.2 to R5.4: the credential in a value; `None` if the value is none of the source's.
fn read(source: &Source, value: &[u8]) -> Option<Presented> {
    match &source.place {
        Place::Bearer => after_scheme("Bearer", value),
        Place::Header { scheme: Some(scheme), .. } => after_scheme(scheme, value),
        Place::Header { scheme: None, .. } | Place::Cookie(_) => Some(credential(value)),
        Place::Query(_) => Some(match decode_parameter(value) {
            Ok(decoded) => credential(&decoded),
            Err(BrokenEncoding) => Presented::Malformed(value.to_vec()),
        }),
        Place::Subprotocol(_) => Some(match URL_SAFE_NO_PAD.decode(value) {
            Ok(decoded) => credential(&decoded),
            Err(_) => Presented::Malformed(value.to_vec()),
        }),
    }
}

/// R5.2: a scheme, one or more spaces, the credential.
fn after_scheme(scheme: &str, value: &[u8]) -> Option<Presented> {
    if value.is_empty() {
        return Some(Presented::Malformed(Vec::new()));
    }
    let length = value.iter().take_while(|byte| is_token_byte(**byte)).count();
    let (leading, mut rest) = value.split_at(length);
    if !leading.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    if rest.first() != Some(&b' ') {
        // No bytes of it are a credential's, so it equals nothing in another source.
        return Some(Presented::Malformed(value.to_vec()));
    }
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    Some(credential(rest))
}

/// R5.4: what a credential may consist of.
fn credential(bytes: &[u8]) -> Presented {
    let visible = bytes.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if visible && (1..=1_024).contains(&bytes.len()) {
        Presented::Credential(String::from_utf8_lossy(bytes).into_owned())
    } else {
        Presented::Malformed(bytes.to_vec())
    }
}

struct BrokenEncoding;

/// R5.3: `+` is a space, and each percent sign leads two hexadecimal digits.
fn decode_parameter(value: &[u8]) -> Result<Vec<u8>, BrokenEncoding> {
    decode(value, |_| Err(BrokenEncoding))
}

/// A broken sequence in a name stands for itself, as WHATWG has it: only the credential's value must be right.
fn decoded_parameter_name(parameter: &str) -> Vec<u8> {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    decode::<std::convert::Infallible>(name.as_bytes(), Ok).unwrap_or_else(|never| match never {})
}

fn decode<E>(written: &[u8], mut broken: impl FnMut(u8) -> Result<u8, E>) -> Result<Vec<u8>, E> {
    let mut decoded = Vec::new();
    let mut rest = written;
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).and_then(hexadecimal);
        rest = after;
        decoded.push(match (first, digits) {
            (b'%', Some(byte)) => {
                rest = &after[2..];
                byte
            }
            (b'%', None) => broken(b'%')?,
            (b'+', _) => b' ',
            (other, _) => *other,
        });
    }
    Ok(decoded)
}

/// Every subprotocol that is offered, in order.
pub fn offered_subprotocols(request: &ModelRequest) -> Vec<String> {
    let mut offered = Vec::new();
    for line in request.values("Sec-WebSocket-Protocol") {
        for token in line.split(|byte| *byte == b',') {
            offered.push(String::from_utf8_lossy(trim(token)).into_owned());
        }
    }
    offered
}

fn offers_real_subprotocol(source: &Source, request: &ModelRequest) -> bool {
    let Place::Subprotocol(name) = &source.place else { return true };
    let lead = format!("{name}.");
    offered_subprotocols(request).iter().any(|offered| !offered.is_empty() && !offered.starts_with(&lead))
}

fn owned(values: Vec<&[u8]>) -> Vec<Vec<u8>> {
    values.into_iter().map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::target, *};

    const ALL: &str = r#"
        sources = [
          { bearer = true },
          { header = "X-API-Key" },
          { header = "Authorization", scheme = "ApiKey" },
          { cookie = "k" },
          { query = "api_key" },
          { query = "ws_key", only = "websocket" },
          { header = "X-Job-Key", paths = ["/jobs/*"] },
          { subprotocol = "auth" },
        ]
    "#;

    /// A source's word, with the credential or, for a malformed one, nothing.
    type Found = (&'static str, Result<String, ()>);

    fn found(text: &str) -> Result<Vec<Found>, Unreadable> {
        let policy = ModelPolicy::from_toml(ALL).unwrap();
        let request = ModelRequest::parse(text, None);
        let target = target::target(&request).unwrap();
        let path = target::path_for_rules(&target.path).unwrap();
        find(&policy, &request, &target, &path).map(|candidates| {
            candidates
                .into_iter()
                .map(|candidate| {
                    let word = candidate.source.word();
                    match candidate.presented {
                        Presented::Credential(text) => (word, Ok(text)),
                        Presented::Malformed(_) => (word, Err(())),
                    }
                })
                .collect()
        })
    }

    fn good(word: &'static str, text: &str) -> Found {
        (word, Ok(text.to_owned()))
    }

    #[test]
    fn schemes() {
        for (value, expected) in [
            ("Bearer a", Some(Ok("a".to_owned()))),
            ("bEARER   a", Some(Ok("a".to_owned()))),
            ("Bearer a ", Some(Ok("a".to_owned()))),
            ("Bearer", Some(Err(()))),
            ("Bearer ", Some(Err(()))),
            ("Bearer\ta", Some(Err(()))),
            ("Bearer \ta", Some(Err(()))),
            ("Bearer,a", Some(Err(()))),
            ("Bearer a b", Some(Err(()))),
            ("Bearers a", None),
            ("Basic a", None),
            ("Negotiate", None),
        ] {
            let candidates = found(&format!("GET /\nAuthorization: {value}\n\n")).unwrap();
            let first = candidates.first().map(|(_, presented)| presented.clone());
            assert_eq!(first, expected, "{value:?}");
        }
        assert_eq!(found("GET /\nAuthorization: apikey x\n\n"), Ok(vec![good("header", "x")]));
    }

    #[test]
    fn duplicates_count_by_name_before_schemes() {
        for text in [
            "GET /\nAuthorization: Basic a\nAuthorization: Basic b\n\n",
            "GET /\nX-API-Key: a\nx-api-key: a\n\n",
            "GET /\nCookie: k=a; k=a\n\n",
            "GET /\nCookie: k=a\nCookie: k=a\n\n",
            "GET /?api_key=a&api%5Fkey=a\n\n",
        ] {
            assert_eq!(found(text), Err(Unreadable(vec!["duplicate"])), "{text}");
        }
        assert_eq!(found("GET /\nCookie: k=a\nCookie: j=a\n\n"), Ok(vec![good("cookie", "a")]));
        assert_eq!(found("GET /\nCookie: k=a; K=b\n\n"), Ok(vec![good("cookie", "a")]));
        assert_eq!(found("GET /?api_key=a&API_KEY=b\n\n"), Ok(vec![good("query", "a")]));
        assert_eq!(found("GET /a\nX-Job-Key: a\nX-Job-Key: b\n\n"), Ok(vec![]), "the source does not count here");
    }

    #[test]
    fn parameters_are_decoded() {
        assert_eq!(found("GET /?a=1&api%5fkey=%61+b\n\n"), Ok(vec![("query", Err(()))]));
        assert_eq!(found("GET /?api_key=%61b%2B\n\n"), Ok(vec![good("query", "ab+")]));
        assert_eq!(found("GET /?api_key=%6\n\n"), Ok(vec![("query", Err(()))]));
        assert_eq!(found("GET /?api_key=%zz\n\n"), Ok(vec![("query", Err(()))]));
        assert_eq!(found("GET /?api_key\n\n"), Ok(vec![("query", Err(()))]));
        assert_eq!(found("GET /?%zz=1&api_key=a\n\n"), Ok(vec![good("query", "a")]));
    }

    #[test]
    fn lengths_and_bytes() {
        let header = |value: &str| found(&format!("GET /\nX-API-Key: {value}\n\n"));
        assert_eq!(header(&"a".repeat(1_024)), Ok(vec![good("header", &"a".repeat(1_024))]));
        assert_eq!(header(&"a".repeat(1_025)), Ok(vec![("header", Err(()))]));
        assert_eq!(header("!~"), Ok(vec![good("header", "!~")]));
        assert_eq!(header("a\u{7f}"), Ok(vec![("header", Err(()))]));
        assert_eq!(header("caf\u{e9}"), Ok(vec![("header", Err(()))]));
        assert_eq!(header(""), Ok(vec![("header", Err(()))]));
        assert_eq!(found("GET /\nCookie: k=\"a\"\n\n"), Ok(vec![good("cookie", "\"a\"")]));
        assert_eq!(found("GET /\nCookie: k=\n\n"), Ok(vec![("cookie", Err(()))]));
    }

    #[test]
    fn limited_sources() {
        let handshake = "GET /?ws_key=a\nUpgrade: websocket\nConnection: Upgrade\n";
        assert_eq!(found("GET /?ws_key=a\n\n"), Ok(vec![]));
        assert_eq!(found(&format!("{handshake}\n")), Ok(vec![good("query", "a")]));
        assert_eq!(found("GET /%6aobs/1\nX-Job-Key: a\n\n"), Ok(vec![good("header", "a")]));
        let offers =
            |list: &str| found(&format!("GET /\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Protocol: {list}\n\n"));
        assert_eq!(offers("chat, auth.YWJj"), Ok(vec![good("subprotocol", "abc")]));
        assert_eq!(offers("auth.YWJj, chat"), Ok(vec![good("subprotocol", "abc")]));
        assert_eq!(offers("auth.YWJj"), Err(Unreadable(vec!["conflict", "duplicate"])));
        assert_eq!(offers("chat, auth.YWJj, auth.YWJj"), Err(Unreadable(vec!["duplicate"])));
        assert_eq!(offers("chat, auth.YWJj="), Ok(vec![("subprotocol", Err(()))]));
        assert_eq!(offers("chat"), Ok(vec![]));
    }

    #[test]
    fn only_the_parameter_goes() {
        let policy = ModelPolicy::from_toml(ALL).unwrap();
        let seen = |query: &str| {
            query_without_credentials(&policy.sources(), &Target { path: "/".to_owned(), query: Some(query.to_owned()) })
        };
        assert_eq!(seen("a=1&api_key=x&b=%7e+").as_deref(), Some("a=1&b=%7e+"));
        assert_eq!(seen("api_key=x&b").as_deref(), Some("b"));
        assert_eq!(seen("a&api_key").as_deref(), Some("a"));
        assert_eq!(seen("api_key=x&api_key=y"), None);
        assert_eq!(seen("&&").as_deref(), Some("&&"));
        assert_eq!(seen("ws_key=x"), None, "gone although the source does not count here");
    }
}
