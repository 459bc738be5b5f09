//! Why something was not done, and how that is answered: as the guard's denials are, with `detail` for people.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use keyward::account::AccountRefused;
use keyward::store::Refused;
use keyward::{Fault, KeysError};
use serde::Serialize;
use serde_json::json;

use crate::accounts::AccountsError;
use crate::answer::{self, Answer};

/// One field that is wrong, as the client calls it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldFault {
    pub(crate) field: String,
    pub(crate) detail: String,
}

impl FieldFault {
    /// Its name, like `email`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong with it, to be read behind its name.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// All of them in one line.
    pub(crate) fn told(faults: &[Self]) -> String {
        let told: Vec<String> = faults.iter().map(|fault| format!("`{}` {}", fault.field, fault.detail)).collect();
        told.join("; ")
    }

    pub(crate) fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// 400, with every field's fault at once.
    Fields(Vec<FieldFault>),
    /// The body, or the query, cannot be read at all.
    Unreadable(StatusCode, String),
    /// 401, where no guard says it: a wrong password.
    Unauthenticated(&'static str),
    /// 403: not this person, or not in this way.
    Forbidden(&'static str),
    /// 404: it is not there, or is somebody else's.
    NotFound,
    /// 405, with the methods that there are.
    Method(&'static str),
    /// 409: as things are, it cannot be done.
    Conflict(String),
    /// 429: too many wrong passwords.
    LockedOut(Duration),
    /// 503. The text is the log's.
    Failed(Fault),
    /// 503: as much is being done as is allowed at once.
    Busy,
    /// A denial of the guard's, whole.
    Denied(Box<Answer>),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

impl From<AccountRefused> for Refusal {
    fn from(refused: AccountRefused) -> Self {
        match refused {
            AccountRefused::NotFound => Self::NotFound,
            other => Self::Conflict(other.to_string()),
        }
    }
}

impl From<AccountsError> for Refusal {
    fn from(error: AccountsError) -> Self {
        match error {
            AccountsError::Fields(faults) => Self::Fields(faults),
            AccountsError::Refused(refused) => refused.into(),
            AccountsError::LastAdministrator => Self::Conflict(error.to_string()),
            AccountsError::Fault(fault) => fault.into(),
        }
    }
}

impl From<KeysError> for Refusal {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Refused(Refused::NotFound) => Self::NotFound,
            KeysError::Refused(refused) => Self::Conflict(refused.to_string()),
            KeysError::Field(bad) => Self::Fields(vec![FieldFault::new(bad.field(), bad.problem())]),
            other => Self::Failed(Fault::new(other.to_string())),
        }
    }
}

/// RFC 9457.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub(crate) struct Problem<'d> {
    r#type: &'static str,
    title: Option<&'static str>,
    status: u16,
    detail: &'d str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'d [FieldFault],
}

impl Refusal {
    /// What a person reads of it.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Fields(faults) => FieldFault::told(faults),
            Self::Unreadable(_, detail) | Self::Conflict(detail) => detail.clone(),
            Self::Unauthenticated(detail) | Self::Forbidden(detail) => (*detail).to_owned(),
            Self::NotFound => "There is nothing here.".to_owned(),
            Self::Method(answered) => format!("This path takes {answered} alone."),
            Self::LockedOut(_) => "Too many attempts: try again later.".to_owned(),
            Self::Failed(_) | Self::Busy => "This could not be done now: try again later.".to_owned(),
            Self::Denied(_) => String::new(),
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Fields(_) => StatusCode::BAD_REQUEST,
            Self::Unreadable(status, _) => *status,
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::LockedOut(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed(_) | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Denied(answer) => answer.status(),
        }
    }

    /// Tells the log what only the log may know.
    pub(crate) fn log(&self) {
        if let Self::Failed(fault) = self {
            tracing::error!(target: "keyward::admin", "{fault}");
        }
    }

    /// What else the answer has to say, whatever its body is.
    pub(crate) fn set_headers(&self, headers: &mut HeaderMap) {
        match self {
            Self::Method(answered) => _ = headers.insert(header::ALLOW, HeaderValue::from_static(answered)),
            Self::LockedOut(wait) => _ = headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(*wait))),
            Self::Busy => _ = headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1")),
            _ => {}
        }
    }

    /// As a problem document (RFC 9457), or, in services that have no such documents, with this member.
    pub(crate) fn into_answer(self, member: Option<&'static str>) -> Answer {
        self.log();
        let (detail, status) = (self.detail(), self.status());
        let errors = if let Self::Fields(faults) = &self { &faults[..] } else { &[] };
        let mut answer = match member {
            None => {
                let title = status.canonical_reason();
                let mut answer = answer::json(
                    status,
                    &Problem { r#type: "about:blank", title, status: status.as_u16(), detail: &detail, errors },
                );
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
                answer
            }
            Some(member) if errors.is_empty() => answer::json(status, &json!({ member: detail })),
            Some(member) => answer::json(status, &json!({ member: detail, "errors": errors })),
        };
        let headers = answer.headers_mut();
        self.set_headers(headers);
        match self {
            Self::Denied(answer) => *answer,
            _ => answer,
        }
    }
}

/// Rounded up: who comes back a moment too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
