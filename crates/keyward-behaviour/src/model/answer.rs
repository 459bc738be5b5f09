//! R10: what goes back to the client, and what else a decision leaves behind.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{
    limits::{Standing, retry_after},
    policy::{BodyShape, ModelPolicy},
    verify::ModelPrincipal,
    websocket::ModelClose,
};

/// draft-ietf-httpapi-ratelimit-headers-10, section 6.1.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const QUOTA_EXCEEDED_TITLE: &str = "Request cannot be satisfied as assigned quota has been exceeded";

/// Everything about a decision that can be seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelAnswer {
    /// The status; 200 for whatever reaches the handler, and 101 for a handshake that is completed and closed.
    pub status: u16,
    /// Why it was denied. Where several kinds are true, the first is the model's choice and the others are as good.
    pub kinds: Vec<&'static str>,
    /// Who called; `None` for anonymous and denied.
    pub principal: Option<ModelPrincipal>,
    /// The challenge.
    pub www_authenticate: Option<String>,
    /// When to come back.
    pub retry_after: RetryAfter,
    /// The body of a denial, as far as the rules fix it.
    pub body: Option<ModelBody>,
    /// How a denied handshake is closed.
    pub close: Option<ModelClose>,
    /// The `Cache-Control` of the answer.
    pub cache_control: Option<&'static str>,
    /// How the quotas stand; empty if nothing is told about them under the names of the draft.
    pub rate_limits: Vec<Standing>,
    /// The same for the older names, which tell one of them.
    pub legacy_rate_limits: Vec<Standing>,
    /// The client's address, if the decision got that far.
    pub client_ip: Option<IpAddr>,
    /// The query as the handler sees it, if the handler is reached.
    pub query: Option<String>,
    /// Whether the handler still sees a credential in a header; `None` where the rules leave it open.
    pub saw_credential: Option<bool>,
    /// The request id that must come back; `None` for a new one.
    pub request_id: Option<String>,
    /// The audit event; `None` for no event.
    pub event: Option<ModelEvent>,
}

/// The `Retry-After` of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryAfter {
    /// There is none.
    #[default]
    Absent,
    /// Exactly so many seconds.
    Seconds(u64),
    /// Some positive number of seconds.
    Some,
}

/// The body of a denial.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelBody {
    /// The media type.
    pub content_type: &'static str,
    /// The members that are fixed, with their values.
    pub fixed: Vec<(&'static str, Value)>,
    /// The members that must be there with some text.
    pub some_text: Vec<&'static str>,
    /// The members that must not be there.
    pub absent: Vec<&'static str>,
}

/// The audit event of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelEvent {
    /// Whether the request was let through.
    pub allowed: bool,
    /// The kinds that may stand as the reason of a denial.
    pub reasons: Vec<&'static str>,
    /// Whether a credential was there; `None` if nobody looked.
    pub key_present: Option<bool>,
    /// Where the credential that decided was found; `None` where there is no such one.
    pub source: Option<&'static str>,
}

/// A denial, before it is rendered.
#[derive(Clone, Debug, Default)]
pub struct ModelDenial {
    /// The kinds that are true of it.
    pub kinds: Vec<&'static str>,
    /// What `scope` a challenge names.
    pub scope: Option<String>,
    /// How the spent quotas stand.
    pub spent: Vec<Standing>,
}

impl ModelDenial {
    /// A denial of one kind.
    pub fn of(kind: &'static str) -> ModelDenial {
        ModelDenial { kinds: vec![kind], ..ModelDenial::default() }
    }

    /// R10's table.
    pub fn status(&self) -> u16 {
        match self.kinds[0] {
            "missing" | "malformed" | "unknown" | "expired" | "not-yet-valid" | "revoked" | "disabled" => 401,
            "duplicate" | "conflict" | "path" => 400,
            "address" | "kind" | "route" | "origin" | "scope" => 403,
            "limited" | "failures-limited" => 429,
            "unavailable" => 503,
            other => panic!("{other} is no kind"),
        }
    }

    /// R10: the denial as the client sees it.
    pub fn render(&self, policy: &ModelPolicy) -> ModelAnswer {
        let status = self.status();
        ModelAnswer {
            status,
            kinds: self.kinds.clone(),
            www_authenticate: self.challenge(policy),
            retry_after: match status {
                429 => RetryAfter::Seconds(retry_after(&self.spent)),
                503 => RetryAfter::Some,
                _ => RetryAfter::Absent,
            },
            body: Some(self.body(policy)),
            cache_control: Some("no-store"),
            ..ModelAnswer::default()
        }
    }

    fn challenge(&self, policy: &ModelPolicy) -> Option<String> {
        let realm = &policy.access.realm;
        let kind = self.kinds[0];
        if self.status() == 401 && policy.response.challenge.is_some() {
            return policy.response.challenge.clone();
        }
        if !policy.has_bearer() {
            return (self.status() == 401).then(|| format!("ApiKey realm=\"{realm}\""));
        }
        let bearer = format!("Bearer realm=\"{realm}\"");
        match (self.status(), kind) {
            (401, "missing") => Some(bearer),
            (401, _) => Some(format!("{bearer}, error=\"invalid_token\"")),
            (400, "duplicate" | "conflict") => Some(format!("{bearer}, error=\"invalid_request\"")),
            (403, "scope") => {
                let scope = self.scope.as_ref().map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
                Some(format!("{bearer}, error=\"insufficient_scope\"{scope}"))
            }
            _ => None,
        }
    }

    fn body(&self, policy: &ModelPolicy) -> ModelBody {
        let own = self.own_text(policy);
        let mut body = ModelBody { content_type: "application/json", ..ModelBody::default() };
        let text_member = match policy.response.body {
            BodyShape::Error => "error",
            BodyShape::Detail => "detail",
            BodyShape::Problem => {
                body.content_type = "application/problem+json";
                let is_quota = self.kinds[0] == "limited";
                body.fixed.push(("type", json!(if is_quota { QUOTA_EXCEEDED } else { "about:blank" })));
                body.fixed.push(("status", json!(self.status())));
                body.fixed.push(("title", json!(if is_quota { QUOTA_EXCEEDED_TITLE } else { reason_phrase(self.status()) })));
                if is_quota {
                    let refusing = self.spent.iter().filter(|standing| standing.wait > 0);
                    let names: Vec<&str> = refusing.map(|standing| standing.name.as_str()).collect();
                    body.fixed.push(("violated-policies", json!(names)));
                } else {
                    body.absent.push("violated-policies");
                }
                body.fixed.push(("code", json!(self.code())));
                body.some_text.push("request_id");
                "detail"
            }
        };
        match own {
            Some(text) => body.fixed.push((text_member, json!(text))),
            None => body.some_text.push(text_member),
        }
        body
    }

    fn code(&self) -> &'static str {
        match (self.status(), self.kinds[0]) {
            (401, "missing") => "missing",
            (401, _) => "unauthorized",
            (400, "path") => "path",
            (400, _) => "invalid-request",
            (403, "scope") => "insufficient-scope",
            (403, _) => "forbidden",
            (429, _) => "limited",
            _ => "unavailable",
        }
    }

    /// The policy's own text for it.
    pub fn own_text<'p>(&self, policy: &'p ModelPolicy) -> Option<&'p String> {
        let texts = &policy.response;
        match (self.status(), self.kinds[0]) {
            (401, "missing") => texts.missing.as_ref().or(texts.unauthorized.as_ref()),
            (401, _) => texts.unauthorized.as_ref(),
            (400, "duplicate" | "conflict") => texts.conflict.as_ref(),
            (403, "address") => texts.forbidden_address.as_ref(),
            (403, "scope") => texts.forbidden_scope.as_ref(),
            (429, _) => texts.limited.as_ref(),
            (503, _) => texts.unavailable.as_ref(),
            _ => None,
        }
    }
}

impl ModelAnswer {
    /// The first of the kinds.
    pub fn kind(&self) -> Option<&'static str> {
        self.kinds.first().copied()
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        other => panic!("{other} is no denial"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(policy: &str, denial: &ModelDenial) -> Option<String> {
        denial.render(&ModelPolicy::from_toml(policy).unwrap()).www_authenticate
    }

    #[test]
    fn challenges_with_bearer_and_without() {
        let cookie_only = "sources = [{ cookie = 'k' }]\n[access]\nrealm = 'r'";
        let scope = ModelDenial { scope: Some("a b".to_owned()), ..ModelDenial::of("scope") };
        for (denial, with, without) in [
            (ModelDenial::of("missing"), Some("Bearer realm=\"api\""), Some("ApiKey realm=\"r\"")),
            (ModelDenial::of("revoked"), Some("Bearer realm=\"api\", error=\"invalid_token\""), Some("ApiKey realm=\"r\"")),
            (ModelDenial::of("conflict"), Some("Bearer realm=\"api\", error=\"invalid_request\""), None),
            (ModelDenial::of("path"), None, None),
            (ModelDenial::of("address"), None, None),
            (scope, Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"a b\""), None),
            (ModelDenial::of("scope"), Some("Bearer realm=\"api\", error=\"insufficient_scope\""), None),
            (ModelDenial::of("limited"), None, None),
            (ModelDenial::of("unavailable"), None, None),
        ] {
            assert_eq!(challenge("", &denial).as_deref(), with, "{denial:?}");
            assert_eq!(challenge(cookie_only, &denial).as_deref(), without, "{denial:?}");
        }
    }

    #[test]
    fn an_own_challenge_stands_in_every_401_and_nowhere_else() {
        let own = "[response]\nchallenge = 'APIKey'";
        for kind in ["missing", "malformed", "unknown", "expired", "not-yet-valid", "revoked", "disabled"] {
            assert_eq!(challenge(own, &ModelDenial::of(kind)).as_deref(), Some("APIKey"), "{kind}");
        }
        for kind in ["duplicate", "path", "address", "scope", "limited", "unavailable"] {
            assert_eq!(challenge(own, &ModelDenial::of(kind)), challenge("", &ModelDenial::of(kind)), "{kind}");
        }
    }

    #[test]
    fn invalid_kinds_are_one_answer() {
        let policy = ModelPolicy::default();
        let rendered = |kind| ModelAnswer { kinds: vec![], ..ModelDenial::of(kind).render(&policy) };
        for kind in ["unknown", "expired", "not-yet-valid", "revoked", "disabled"] {
            assert_eq!(rendered(kind), rendered("malformed"), "{kind}");
        }
    }

    #[test]
    fn own_texts_fall_back_from_missing_to_unauthorized() {
        let policy = ModelPolicy::from_toml("[response]\nbody = 'detail'\nunauthorized = 'no'\nconflict = 'two'").unwrap();
        let text = |kind| ModelDenial::of(kind).body(&policy).fixed;
        assert_eq!(text("missing"), [("detail", json!("no"))]);
        assert_eq!(text("duplicate"), [("detail", json!("two"))]);
        assert_eq!(text("kind"), []);
    }
}
