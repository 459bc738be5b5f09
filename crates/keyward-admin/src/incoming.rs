//! A request, read with bounds.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Map, Value};

use crate::fault::Refusal;
use crate::form::Form;
use crate::json::OnceEach;

/// A request that is answered here.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) head: Parts,
    body: Bytes,
}

/// What a body says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentType {
    None,
    Json,
    UrlEncoded,
    /// What else an HTML form can send, from any site.
    OtherForm,
    Other,
}

impl Incoming {
    /// The largest body that is read, in bytes.
    pub(crate) const LARGEST_BODY: usize = 64 * 1024;

    pub(crate) fn new(request: Request<Bytes>) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        if body.len() > Self::LARGEST_BODY {
            let detail = format!("The body is larger than {} bytes.", Self::LARGEST_BODY);
            return Err(Refusal::Unreadable(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(Self { head, body })
    }

    pub(crate) fn path(&self) -> &str {
        self.head.uri.path()
    }

    /// Whether nothing may be changed by it.
    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.head.method, Method::GET | Method::HEAD)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The body as a form, or nothing where there is none.
    pub(crate) fn form(&self) -> Result<Form, Refusal> {
        match self.content_type() {
            ContentType::UrlEncoded => Form::read(&self.body),
            ContentType::None if self.body.is_empty() => Ok(Form::default()),
            _ => Err(unsupported("a form: send application/x-www-form-urlencoded")),
        }
    }

    pub(crate) fn query(&self) -> Result<Form, Refusal> {
        Form::read(self.head.uri.query().unwrap_or_default().as_bytes())
    }

    /// The body as one JSON object. Where none is demanded, no body is an empty one.
    pub(crate) fn json_object(&self, is_demanded: bool) -> Result<Map<String, Value>, Refusal> {
        if self.body.is_empty() && !is_demanded {
            return Ok(Map::new());
        }
        if self.content_type() != ContentType::Json {
            return Err(unsupported("JSON: send application/json"));
        }
        let unreadable = |detail: String| Refusal::Unreadable(StatusCode::BAD_REQUEST, detail);
        match serde_json::from_slice(&self.body) {
            Ok(OnceEach(object)) => Ok(object),
            Err(_) if serde_json::from_slice::<Value>(&self.body).is_ok_and(|value| !value.is_object()) => {
                Err(unreadable("The body is JSON, but no object: send {\"name\": …}.".to_owned()))
            }
            Err(error) => Err(unreadable(format!(
                "The body is no JSON: {} at line {}, column {}.",
                kind_of(&error),
                error.line(),
                error.column()
            ))),
        }
    }

    /// Whether an HTML form of any site could have sent it as it is.
    pub(crate) fn could_be_a_form(&self) -> bool {
        matches!(self.content_type(), ContentType::UrlEncoded | ContentType::OtherForm)
    }

    fn content_type(&self) -> ContentType {
        let mut lines = self.headers().get_all(header::CONTENT_TYPE).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return if self.headers().contains_key(header::CONTENT_TYPE) { ContentType::Other } else { ContentType::None };
        };
        let essence = line.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let is = |known: &str| essence.eq_ignore_ascii_case(known);
        if is("application/json") {
            ContentType::Json
        } else if is("application/x-www-form-urlencoded") {
            ContentType::UrlEncoded
        } else if is("multipart/form-data") || is("text/plain") {
            ContentType::OtherForm
        } else {
            ContentType::Other
        }
    }
}

/// Never the parser's own words, which may repeat what was sent.
fn kind_of(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "it ends too soon",
        serde_json::error::Category::Data => OnceEach::TWICE,
        _ => "something is wrong",
    }
}

fn unsupported(what: &str) -> Refusal {
    Refusal::Unreadable(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("The body has to be {what}."))
}
