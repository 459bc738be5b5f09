//! Forward-auth: a proxy describes the request that it holds, and is told whether to let it through.
//!
//! 1. The peer is a trusted proxy of the policy, or it is told 403: whoever describes requests chooses what is decided.
//! 2. The described request has the method and the target of one family of headers, and every other header of the request that
//!    carries the description. Its client is found by R2, from the same peer.
//! 3. A method or target that is missing, repeated or unreadable is 400. What `/auth` itself was called with is never decided.
//! 4. One decision, one audit event. A WebSocket handshake is refused, never closed: the proxy holds the socket (R12.1).
//! 5. A GET with a `Sec-WebSocket-Key` is such a handshake. `Upgrade` and `Connection` say so on one connection alone (RFC 9110 §7.6.1),
//!    and most proxies take them away; the key reaches us, and without it no handshake can be completed.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use keyward::{Decision, Guard, Pass, Peer, Principal};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use super::problem::identified_problem;

const PRINCIPAL: HeaderName = HeaderName::from_static("x-keyward-principal");
const KEY_ID: HeaderName = HeaderName::from_static("x-keyward-key-id");
const SCOPES: HeaderName = HeaderName::from_static("x-keyward-scopes");
const STATUS: HeaderName = HeaderName::from_static("x-keyward-status");

/// The answer to `/auth`, or, in nginx's way, to `/auth?nginx`.
#[utoipa::path(
    method(get, put, post, delete, options, head, patch, trace),
    path = "/auth",
    tag = "Deciding",
    summary = "Decides the request that a proxy describes",
    description = "Forward-auth. Everything but method and target is taken from the request itself: keys, cookies, the client's address.",
    params(
        ("nginx" = Option<String>, Query, description = "If there: in nginx's way, which knows 200, 401 and 403 alone."),
        ("X-Forwarded-Method" = Option<String>, Header, example = "GET", description = "The method of the described request."),
        ("X-Forwarded-Uri" = Option<String>, Header, example = "/reports/7?full", description = "Its target, with the query."),
        ("X-Original-Method" = Option<String>, Header, description = "The method, in nginx's way."),
        ("X-Original-URL" = Option<String>, Header, description = "The target, in nginx's way."),
    ),
    responses((
        status = 200,
        description = "The request may pass.",
        headers(
            ("X-Keyward-Principal" = String, description = "Whose it is; empty for nobody's."),
            ("X-Keyward-Key-Id" = String, description = "The key's id; empty where there is none."),
            ("X-Keyward-Scopes" = String, description = "What it may do, separated by blanks."),
            ("X-Keyward-Status" = String, description = "In nginx's way: the status that this would be."),
        )
    ))
)]
pub(super) async fn answer(State(guard): State<Guard>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let family = Family::asked_for(parts.uri.query());
    let answer = decide(&guard, family, parts).await;
    match family {
        Family::Forwarded => answer,
        Family::Original => for_nginx(answer),
    }
}

async fn decide(guard: &Guard, family: Family, carrier: Parts) -> Response {
    let peer = carrier.extensions.get::<Peer>().map(|peer| peer.0.to_canonical());
    let told_peer = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string());
    // Chosen before the description is read, since not every request has one that can be.
    let request_id = guard.request_id(&carrier);
    let refused = |status, problem: &str| identified_problem(guard, &request_id, status, problem);
    if !peer.is_some_and(|peer| guard.policy().trusts(peer)) {
        tracing::warn!(%request_id, peer = told_peer, "forward-auth was asked by a peer that is not in `network.trusted_proxies`");
        let problem = format!(
            "Forward-auth answers trusted proxies only, and {told_peer} is not in the policy's `network.trusted_proxies`."
        );
        return refused(StatusCode::FORBIDDEN, &problem);
    }
    let described = match family.described(carrier) {
        Ok(described) => described,
        Err(problem) => {
            tracing::warn!(%request_id, peer = told_peer, "a proxy's description of a request is refused: {problem}");
            return refused(StatusCode::BAD_REQUEST, &problem);
        }
    };
    match guard.decide(&described).await {
        Decision::Denied(denial) => denial.into_response().map(Body::from),
        Decision::Allowed(pass) => allowed(&pass),
    }
}

/// Every header is set in any case, if empty, so that a proxy that copies them overwrites what a client made up.
fn allowed(pass: &Pass) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    pass.headers().apply(headers);
    let principal = pass.principal();
    let scopes = principal.map(Principal::scopes).unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>();
    let key_id = principal.and_then(Principal::key_id);
    headers.insert(PRINCIPAL, header_value(principal.map(Principal::id).unwrap_or_default()));
    headers.insert(KEY_ID, header_value(key_id.as_ref().map(keyward::key::KeyId::as_str).unwrap_or_default()));
    headers.insert(SCOPES, header_value(&scopes.join(" ")));
    response
}

/// Ids of stored keys are plain; an authenticator's own may hold anything.
fn header_value(text: &str) -> HeaderValue {
    let encoded = utf8_percent_encode(text, CONTROLS).to_string();
    HeaderValue::try_from(encoded).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// nginx's `auth_request` takes 2xx, 401 and 403, and makes 500 of everything else.
fn for_nginx(mut response: Response) -> Response {
    let status = response.status();
    if !status.is_success() && !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response.headers_mut().insert(STATUS, HeaderValue::from(status.as_u16()));
    response
}

/// Which headers describe the request. The other family's are the client's own words, and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    /// `X-Forwarded-Method` and `X-Forwarded-Uri`: Traefik, Caddy.
    Forwarded,
    /// `X-Original-Method` and `X-Original-URL`: nginx.
    Original,
}

/// Left out of the described request. `X-Forwarded-For` is not among them: R2 may read it.
const DESCRIBING: [&str; 8] = [
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-uri",
    "x-forwarded-port",
    "x-original-method",
    "x-original-url",
    "x-original-uri",
];

impl Family {
    fn asked_for(query: Option<&str>) -> Self {
        let names_nginx = |parameter: &str| parameter == "nginx" || parameter.starts_with("nginx=");
        if query.is_some_and(|query| query.split('&').any(names_nginx)) { Self::Original } else { Self::Forwarded }
    }

    fn described(self, mut carrier: Parts) -> Result<Parts, String> {
        let (method_header, target_header) = match self {
            Self::Forwarded => ("X-Forwarded-Method", "X-Forwarded-Uri"),
            Self::Original => ("X-Original-Method", "X-Original-URL"),
        };
        let method = only(&carrier.headers, method_header)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method_header} is no method."))?;
        let target = only(&carrier.headers, target_header)?;
        let target = read_target(&method, target).ok_or_else(|| format!("{target_header} is no path and no URL with one."))?;
        carrier.method = method;
        carrier.uri = target;
        for name in DESCRIBING {
            carrier.headers.remove(name);
        }
        if carrier.method == Method::GET && carrier.headers.contains_key(header::SEC_WEBSOCKET_KEY) {
            carrier.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            carrier.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        }
        Ok(carrier)
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h str, String> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(format!("{name} is missing.")),
        (Some(_), Some(_)) => Err(format!("{name} is there twice.")),
        (Some(value), None) => value.to_str().map_err(|_| format!("{name} is not visible ASCII.")),
    }
}

/// A path with its query, alone or behind scheme and host. Whatever proxy and guard might read differently is refused: a `#`,
/// behind which some servers go on reading the path, and a host that holds more than a host's characters, behind which the
/// path would begin elsewhere.
fn read_target(method: &Method, text: &str) -> Option<Uri> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
        return None;
    }
    let path_and_query = match text.split_once("://") {
        _ if text.starts_with('/') => text,
        _ if text == "*" && method == Method::OPTIONS => text,
        Some((scheme, rest)) if ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            let (host, _) = rest.split_once('/')?;
            let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte));
            is_host.then(|| &rest[host.len()..])?
        }
        _ => return None,
    };
    PathAndQuery::try_from(path_and_query).ok().map(Uri::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let read = |text: &str| read_target(&Method::GET, text).map(|uri| uri.to_string());
        for (text, target) in [
            ("/", "/"),
            ("/a/b?c=d?e", "/a/b?c=d?e"),
            ("//a/b", "//a/b"),
            ("/?u=http://a/b", "/?u=http://a/b"),
            ("http://example.com/a?b", "/a?b"),
            ("HTTPS://[::1]:8443/", "/"),
            ("wss://example.com:1//a", "//a"),
        ] {
            assert_eq!(read(text).as_deref(), Some(target), "{text}");
        }
        for text in [
            "",
            "a",
            "*",
            "?a",
            "http://example.com",
            "http://example.com?/a",
            "http:///a",
            "http://a?b/c",
            "http://user@a/b",
            "http://a\\b/c",
            "ftp://a/b",
            "/a#b",
            "/a b",
            "/a, /b",
            "/a\\b#",
            "http://a/b#/c",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read_target(&Method::OPTIONS, "*").unwrap().path(), "*");
    }

    #[test]
    fn families() {
        assert_eq!(Family::asked_for(None), Family::Forwarded);
        assert_eq!(Family::asked_for(Some("nginxes")), Family::Forwarded);
        for query in ["nginx", "nginx=", "a&nginx"] {
            assert_eq!(Family::asked_for(Some(query)), Family::Original);
        }
    }
}
