//! The only place where a denial becomes a status, headers and a body (R10), and where allowed answers get theirs.

mod grpc;

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use smallvec::SmallVec;

use crate::decision::{AnswerHeaders, Kind, Pass};
use crate::guard::Parts;
use crate::head::Head;
use crate::limit::QuotaStanding;
use crate::policy::{BodyStyle, Policy};
use crate::proof::Allowed;
use crate::request_id::RequestId;
use crate::scope::{Demand, Requirement};
use crate::source::SourceKind;
use crate::trail::Trail;
use crate::websocket::WebSocketClose;

/// A denied request's answer, ready to be sent.
#[derive(Clone)]
pub struct Denial(Box<Rendered>);

#[derive(Clone)]
struct Rendered {
    kind: Kind,
    detail: Box<str>,
    headers: HeaderMap,
    body: Bytes,
    request_id: RequestId,
    retry_after: Option<Duration>,
    close: Option<WebSocketClose>,
}

impl Denial {
    /// Why. For logs and metrics: to the client, the six kinds of bad keys are one.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        status(self.0.kind)
    }

    /// Every header of the answer.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// The policy's text, for protocols that have no place for a body.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The request's id.
    pub fn request_id(&self) -> &RequestId {
        &self.0.request_id
    }

    /// When trying again may help.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How the handshake is completed and closed instead, where the request was a valid handshake of a WebSocket and the policy says
    /// `on_denial = "close"`. Where the connection cannot be upgraded, [`into_response`](Self::into_response) is the answer.
    pub fn websocket_close(&self) -> Option<&WebSocketClose> {
        self.0.close.as_ref()
    }

    /// The answer.
    pub fn into_response(self) -> http::Response<Bytes> {
        let status = self.status();
        let mut response = http::Response::new(self.0.body);
        *response.status_mut() = status;
        *response.headers_mut() = self.0.headers;
        response
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial").field("kind", &self.0.kind).field("request_id", &self.0.request_id).finish_non_exhaustive()
    }
}

/// Bodies of your own for denials. What a client may do and learn stays the policy's: status, challenge and the other headers
/// cannot be changed.
pub trait Renderer: Send + Sync {
    /// The content type and the body of a denial. `None`: the policy's own.
    fn render(&self, denied: &Denied<'_>) -> Option<(HeaderValue, Bytes)>;
}

/// What a renderer is told: what the client may know, and no more.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Denied<'a> {
    /// The status.
    pub status: StatusCode,
    /// The coarse code: `missing`, `unauthorized`, `invalid-request`, `path`, `forbidden`, `insufficient-scope`, `limited`,
    /// `unavailable`.
    pub code: &'static str,
    /// The policy's text.
    pub detail: &'a str,
    /// The request's id.
    pub request_id: &'a RequestId,
    /// The path, as sent, without the query.
    pub path: &'a str,
}

/// The table of R10.
pub(crate) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Missing | Kind::Malformed | Kind::Unknown | Kind::Expired | Kind::NotYetValid | Kind::Revoked | Kind::Disabled => {
            StatusCode::UNAUTHORIZED
        }
        Kind::Duplicate | Kind::Conflict | Kind::Path => StatusCode::BAD_REQUEST,
        Kind::Address | Kind::Kind | Kind::Route | Kind::Origin | Kind::Scope => StatusCode::FORBIDDEN,
        Kind::Limited | Kind::FailuresLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Within 401 a client learns whether it sent a key, and nothing about the key it sent (R7.5).
fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::Missing => "missing",
        Kind::Malformed | Kind::Unknown | Kind::Expired | Kind::NotYetValid | Kind::Revoked | Kind::Disabled => "unauthorized",
        Kind::Duplicate | Kind::Conflict => "invalid-request",
        Kind::Path => "path",
        Kind::Address | Kind::Kind | Kind::Route | Kind::Origin => "forbidden",
        Kind::Scope => "insufficient-scope",
        Kind::Limited | Kind::FailuresLimited => "limited",
        Kind::Unavailable => "unavailable",
    }
}

fn detail(policy: &Policy, kind: Kind) -> &str {
    let texts = &policy.response.texts;
    let (own, standard) = match code(kind) {
        "missing" => (texts.missing.as_ref().or(texts.unauthorized.as_ref()), "This request needs an API key."),
        "unauthorized" => (texts.unauthorized.as_ref(), "The API key is not valid."),
        "invalid-request" => (texts.conflict.as_ref(), "The request holds more than one API key: send one, once."),
        "path" => (None, "The request's path can be read in more than one way: send it in its plain spelling."),
        "forbidden" if kind == Kind::Address => {
            (texts.forbidden_address.as_ref(), "Requests from this address are not accepted.")
        }
        "forbidden" => (texts.forbidden_scope.as_ref(), "This is not allowed with this API key, or not in this way."),
        "insufficient-scope" => (texts.forbidden_scope.as_ref(), "The API key lacks a scope that this needs."),
        "limited" => (texts.limited.as_ref(), "Too many requests: try again later."),
        _ => (texts.unavailable.as_ref(), "The request could not be decided: try again later."),
    };
    own.map_or(standard, |own| own)
}

/// What of a decision stands in its denial.
struct Refused<'a> {
    guard: &'a Parts,
    kind: Kind,
    request_id: &'a RequestId,
    path: &'a str,
    is_head: bool,
    retry_after: Option<Duration>,
    standings: &'a [QuotaStanding],
    unmet: Option<&'a Requirement>,
}

pub(crate) fn denied<H: Head + ?Sized>(guard: &Parts, trail: &Trail<'_, H>, kind: Kind) -> Denial {
    let standings = if kind == Kind::Limited { &trail.standings[..] } else { &[] };
    let mut denial = render(&Refused {
        guard,
        kind,
        request_id: &trail.request_id,
        path: trail.head.path(),
        is_head: trail.head.method() == "HEAD",
        retry_after: trail.retry_after,
        standings,
        unmet: trail.unmet,
    });
    if let Some(code) = guard.policy.websocket.close_code
        && let Some(handshake) = guard.plan.handshake(&guard.policy, trail.head)
    {
        let mut headers = HeaderMap::new();
        for (name, value) in &guard.policy.response.fixed_headers {
            headers.insert(name, value.clone());
        }
        insert(&mut headers, guard.policy.response.request_id_header.clone(), trail.request_id.as_str());
        denial.0.close = Some(WebSocketClose::new(handshake, code, &denial.0.detail, headers));
    }
    denial
}

/// A denial after the guard has let the request in. The handshake, if it is one, is not closed but refused: nobody knows by now
/// whether it can still be completed.
pub(crate) fn deny_later(pass: &Pass, kind: Kind, path: &str) -> Denial {
    render(&Refused {
        guard: &pass.guard,
        kind,
        request_id: &pass.request_id,
        path,
        is_head: pass.is_head,
        retry_after: None,
        standings: &[],
        unmet: None,
    })
}

#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    request_id: &'a str,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<Vec<String>>,
}

/// draft-ietf-httpapi-ratelimit-headers-10 §6.1: a quota that was used up, and which ones.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

fn render(refused: &Refused<'_>) -> Denial {
    let policy = &refused.guard.policy;
    let (status, code, detail) = (status(refused.kind), code(refused.kind), detail(policy, refused.kind));
    let own = refused.guard.renderer.as_ref().and_then(|renderer| {
        renderer.render(&Denied { status, code, detail, request_id: refused.request_id, path: refused.path })
    });
    let (content_type, body) = own.unwrap_or_else(|| {
        let json = HeaderValue::from_static("application/json");
        match policy.response.body {
            BodyStyle::Problem => {
                // Without a quota it is that too many connections are open.
                let is_quota = refused.kind == Kind::Limited && !refused.standings.is_empty();
                let violated = refused.standings.iter().filter(|standing| standing.is_violated);
                let problem = Problem {
                    r#type: if is_quota { QUOTA_EXCEEDED } else { "about:blank" },
                    // RFC 9457 §4.2.1: the status's own words, unless the type has others.
                    title: if is_quota {
                        "Request cannot be satisfied as assigned quota has been exceeded"
                    } else {
                        status.canonical_reason().unwrap_or_default()
                    },
                    status: status.as_u16(),
                    detail,
                    code,
                    request_id: refused.request_id.as_str(),
                    violated_policies: is_quota.then(|| violated.map(|standing| standing.name().to_string()).collect()),
                };
                (HeaderValue::from_static("application/problem+json"), as_json(&problem))
            }
            BodyStyle::Detail => (json, as_json(&serde_json::json!({ "detail": detail }))),
            BodyStyle::Error => (json, as_json(&serde_json::json!({ "error": detail }))),
        }
    });
    let mut headers = HeaderMap::new();
    for (name, value) in &policy.response.fixed_headers {
        headers.insert(name, value.clone());
    }
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    insert(&mut headers, policy.response.request_id_header.clone(), refused.request_id.as_str());
    match &policy.response.challenge {
        Some(own) if status == StatusCode::UNAUTHORIZED => drop(headers.insert(header::WWW_AUTHENTICATE, own.clone())),
        _ => {
            if let Some(challenge) = challenge(policy, refused) {
                insert(&mut headers, header::WWW_AUTHENTICATE, &challenge);
            }
        }
    }
    let retry_after = match refused.kind {
        Kind::Limited | Kind::FailuresLimited => Some(refused.retry_after.unwrap_or(Duration::from_secs(1))),
        Kind::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    };
    if let Some(wait) = retry_after {
        insert(&mut headers, header::RETRY_AFTER, &whole_seconds(wait).max(1).to_string());
    }
    for (name, value) in rate_limit(policy, refused.standings) {
        headers.insert(name, value);
    }
    // RFC 9110 §9.3.2: what a GET would have got, without the content. Not every server leaves that out by itself.
    let body = if refused.is_head {
        insert(&mut headers, header::CONTENT_LENGTH, &body.len().to_string());
        Bytes::new()
    } else {
        body
    };
    Denial(Box::new(Rendered {
        close: None,
        kind: refused.kind,
        detail: detail.into(),
        headers,
        body,
        request_id: refused.request_id.clone(),
        retry_after,
    }))
}

/// An answer without any detail, in the policy's form.
pub(crate) fn plain_status(pass: &Pass, status: StatusCode) -> http::Response<Bytes> {
    let title = status.canonical_reason().unwrap_or_default();
    let (content_type, body) = match pass.guard.policy.response.body {
        BodyStyle::Problem => (
            "application/problem+json",
            as_json(&serde_json::json!({
                "type": "about:blank", "title": title, "status": status.as_u16(), "request_id": pass.request_id.as_str(),
            })),
        ),
        BodyStyle::Detail => ("application/json", as_json(&serde_json::json!({ "detail": title }))),
        BodyStyle::Error => ("application/json", as_json(&serde_json::json!({ "error": title }))),
    };
    let mut answer = http::Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(crate) fn as_json(value: &impl Serialize) -> Bytes {
    // Texts and numbers only: there is nothing that could fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Everything that is inserted has been checked when it was read; what could not stand in a header is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// RFC 6750 §3. Where bearer is no source, RFC 9110 §11.6.1 still asks for some challenge with a 401, and its error codes mean
/// nothing.
fn challenge(policy: &Policy, refused: &Refused<'_>) -> Option<String> {
    let bearer = policy.sources.iter().any(|source| source.kind() == SourceKind::Bearer);
    let realm = &policy.realm;
    let parameters = match code(refused.kind) {
        "missing" => String::new(),
        "unauthorized" => ", error=\"invalid_token\"".to_owned(),
        "invalid-request" => ", error=\"invalid_request\"".to_owned(),
        "insufficient-scope" => match refused.unmet.map(|requirement| &requirement.scopes) {
            Some(Demand::All(scopes)) => format!(", error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" ")),
            _ => ", error=\"insufficient_scope\"".to_owned(),
        },
        _ => return None,
    };
    match bearer {
        true => Some(format!("Bearer realm=\"{realm}\"{parameters}")),
        false if status(refused.kind) == StatusCode::UNAUTHORIZED => Some(format!("ApiKey realm=\"{realm}\"")),
        false => None,
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// draft-ietf-httpapi-ratelimit-headers-10, as structured fields (RFC 9651): `r` permissions left, `t` seconds until all are
/// back. The older `X-RateLimit-*` tell the quota that is closest to its end.
fn rate_limit(policy: &Policy, standings: &[QuotaStanding]) -> SmallVec<[(HeaderName, HeaderValue); 3]> {
    let mut headers = SmallVec::new();
    if standings.is_empty() {
        return headers;
    }
    // Written once and handed over: a value made from a text would be a second copy of it.
    let mut add = |name: &'static str, value: Vec<u8>| {
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
            headers.push((HeaderName::from_static(name), value));
        }
    };
    if policy.response.draft_rate_limit {
        let (mut limits, mut policies) = (Vec::with_capacity(64), Vec::with_capacity(64));
        for standing in standings {
            let separator = if limits.is_empty() { "" } else { ", " };
            let (name, window) = (standing.name(), whole_seconds(standing.quota.window()));
            let (remaining, full_in) = (standing.remaining, whole_seconds(standing.full_in));
            // Writing into memory cannot fail.
            let _ = write!(limits, "{separator}\"{name}\";r={remaining};t={full_in}");
            let _ = write!(policies, "{separator}\"{name}\";q={};w={window}", standing.quota.count());
        }
        add("ratelimit", limits);
        add("ratelimit-policy", policies);
    }
    if policy.response.legacy_rate_limit
        && let Some(tightest) = standings.iter().min_by_key(|standing| standing.remaining)
    {
        add("x-ratelimit-limit", tightest.quota.count().to_string().into());
        add("x-ratelimit-remaining", tightest.remaining.to_string().into());
        add("x-ratelimit-reset", whole_seconds(tightest.full_in).to_string().into());
    }
    headers
}

pub(crate) fn answer_headers(pass: &Pass) -> AnswerHeaders {
    let policy = &pass.guard.policy;
    let mut own: SmallVec<[(HeaderName, HeaderValue); 3]> = SmallVec::new();
    if let Ok(value) = HeaderValue::from_str(pass.request_id.as_str()) {
        own.push((policy.response.request_id_header.clone(), value));
    }
    own.extend(rate_limit(policy, &pass.standings));
    let cache_control = match () {
        () if pass.secret_in_query => Some((true, HeaderValue::from_static("no-store"))),
        () if Allowed::is_unguarded(&pass.allowed) => None,
        () => Some((false, HeaderValue::from_static("private"))),
    };
    AnswerHeaders { guard: Arc::clone(&pass.guard), own, cache_control }
}
