//! What a policy's guard takes and answers, in an OpenAPI 3.1 document (the feature `openapi`).
//!
//! ```
//! use keyward::{Policy, openapi};
//! use utoipa::openapi::{InfoBuilder, OpenApi, Paths, path::{HttpMethod, OperationBuilder}};
//!
//! let mut paths = Paths::new();
//! paths.add_path_operation("/reports", vec![HttpMethod::Get], OperationBuilder::new().response("200", utoipa::openapi::Response::new("All of them.")));
//! let document = OpenApi::new(InfoBuilder::new().title("Reports").version("1").build(), paths);
//!
//! let policy = Policy::builder().build()?;
//! let document = serde_json::to_value(openapi::guarded(document, &policy))?;
//! assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
//! assert_eq!(document["paths"]["/reports"]["get"]["security"][0]["bearer"], serde_json::json!([]));
//! assert!(document["paths"]["/reports"]["get"]["responses"]["401"].is_object());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;

use utoipa::openapi::path::PathItem;
use utoipa::openapi::schema::{AnyOfBuilder, Components, ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, Header, KnownFormat, OpenApi, Ref, RefOr, Response, ResponseBuilder, SchemaFormat, path::Operation,
};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::Timestamp;
use crate::path::RulePath;
use crate::policy::{BodyStyle, Policy};
use crate::respond::Problem;
use crate::source::{Place, Source};
use crate::ticket::TicketTold;

/// How the body of a denial is called among the document's schemas.
pub const DENIAL: &str = "Denial";

/// Each operation of the document as it is behind a guard of this policy: the places where a key may stand as its security, and
/// the guard's denials among its responses. What an operation says of these itself stays.
///
/// Sources for WebSockets alone are left out, for the document has none; so are subprotocols, of which OpenAPI knows nothing. A
/// [`Renderer`](crate::Renderer) of yours is not known here.
pub fn guarded(mut document: OpenApi, policy: &Policy) -> OpenApi {
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(DENIAL.to_owned(), denial(policy));
    for (path, item) in &mut document.paths.paths {
        let schemes = security_schemes(policy, path);
        let security: Vec<_> = schemes.keys().map(|name| SecurityRequirement::new(name.clone(), [""; 0])).collect();
        for operation in operations(item) {
            operation.security.get_or_insert_with(|| security.clone());
            for (status, response) in denials(policy) {
                operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
            }
        }
        for (name, scheme) in schemes {
            components.add_security_scheme(name, scheme);
        }
    }
    document
}

/// Where a key may stand in plain requests for a path, by the names of the schemes.
pub fn security_schemes(policy: &Policy, path: &str) -> BTreeMap<String, SecurityScheme> {
    let path = RulePath::read("GET", path, None, true);
    let counts = |source: &&Source| {
        let is_here = || path.as_ref().is_ok_and(|path| source.paths.iter().any(|pattern| pattern.matches(path)));
        !source.only_websocket && (source.paths.is_empty() || is_here())
    };
    let mut schemes = BTreeMap::new();
    for source in policy.sources.iter().filter(counts) {
        if let Some((name, scheme)) = security_scheme(source) {
            let mut free = name.clone();
            for number in 2.. {
                if !schemes.contains_key(&free) {
                    break;
                }
                free = format!("{name}-{number}");
            }
            schemes.insert(free, scheme);
        }
    }
    schemes
}

fn security_scheme(source: &Source) -> Option<(String, SecurityScheme)> {
    let named = |place: &str, name: &str| {
        let plain =
            |character: char| if character.is_ascii_alphanumeric() || "._-".contains(character) { character } else { '_' };
        format!("{place}-{}", name.chars().map(plain).collect::<String>())
    };
    Some(match &source.place {
        Place::Header { is_bearer: true, .. } => {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key."));
            ("bearer".to_owned(), SecurityScheme::Http(scheme.build()))
        }
        Place::Header { name, scheme: None, .. } => {
            let key = ApiKeyValue::with_description(name.as_str(), "A key.");
            (named("header", name.as_str()), SecurityScheme::ApiKey(ApiKey::Header(key)))
        }
        Place::Header { name, scheme: Some(scheme), .. } => {
            let key = ApiKeyValue::with_description(name.as_str(), &format!("`{scheme}`, a blank, and a key."));
            (named("header", &format!("{name}-{scheme}")), SecurityScheme::ApiKey(ApiKey::Header(key)))
        }
        Place::Cookie { name } => {
            let key = ApiKeyValue::with_description(&**name, "A key.");
            (named("cookie", name), SecurityScheme::ApiKey(ApiKey::Cookie(key)))
        }
        Place::Query { name } => {
            let key = ApiKeyValue::with_description(&**name, "A key.");
            (named("query", name), SecurityScheme::ApiKey(ApiKey::Query(key)))
        }
        Place::Subprotocol { .. } => return None,
    })
}

/// What a guard answers those whom it does not let in (R10): each status, and its response.
pub fn denials(policy: &Policy) -> Vec<(&'static str, Response)> {
    let text = |description: &str| {
        let mut header = Header::default();
        header.description = Some(description.to_owned());
        header
    };
    let denied = |description: &str| {
        let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(DENIAL))).build();
        let id = text("The request's id, to name it to whoever runs the service.");
        ResponseBuilder::new()
            .description(description)
            .content(media_type(policy), body)
            .header(policy.response.request_id_header.as_str(), id)
    };
    let wait = || text("So many seconds.");
    vec![
        ("400", denied("More than one key, or a path that can be read in more than one way.").build()),
        ("401", denied("No key, or one that is not valid.").header("WWW-Authenticate", text("How to send a key.")).build()),
        ("403", denied("Not with this key, or not from this address.").build()),
        ("429", denied("Too many requests, or too many bad keys.").header("Retry-After", wait()).build()),
        ("503", denied("It could not be decided.").header("Retry-After", wait()).build()),
    ]
}

/// The content type of denials.
pub fn media_type(policy: &Policy) -> &'static str {
    match policy.response.body {
        BodyStyle::Problem => "application/problem+json",
        BodyStyle::Detail | BodyStyle::Error => "application/json",
    }
}

/// The body of a denial, in the policy's style.
fn denial(policy: &Policy) -> RefOr<Schema> {
    let one_text = |name: &str| ObjectBuilder::new().property(name, String::schema()).required(name).into();
    match policy.response.body {
        BodyStyle::Problem => Problem::schema(),
        BodyStyle::Detail => one_text("detail"),
        BodyStyle::Error => one_text("error"),
    }
}

/// A denial's body, or another one: for answers whose status a handler gives as well.
pub fn denial_or(other: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    AnyOfBuilder::new().item(Ref::from_schema_name(DENIAL)).item(other).into()
}

/// What a token endpoint answers ([`Pass::ticket`](crate::Pass::ticket)), besides denials.
pub fn ticket_answers(policy: &Policy) -> Vec<(&'static str, Response)> {
    let one_text = |name: &str| ObjectBuilder::new().property(name, String::schema()).required(name);
    let status_alone: RefOr<Schema> = match policy.response.body {
        BodyStyle::Problem => one_text("title").property("status", u16::schema()).property("request_id", String::schema()),
        BodyStyle::Detail => one_text("detail"),
        BodyStyle::Error => one_text("error"),
    }
    .into();
    let answer = |description: &str, media_type: &str, schema: RefOr<Schema>| {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        ResponseBuilder::new().description(description).content(media_type, content).build()
    };
    vec![
        ("200", answer("The ticket.", "application/json", TicketTold::schema())),
        ("404", answer("The policy takes no tickets.", media_type(policy), status_alone.clone())),
        ("500", answer("It could not be noted that there is a ticket.", media_type(policy), status_alone)),
    ]
}

/// The operations of a path, whatever their methods.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, trace, .. } = item;
    [get, put, post, delete, options, head, patch, trace].into_iter().flatten()
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("A time in UTC (RFC 3339)."))
            .into()
    }
}

impl ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::openapi::path::HttpMethod;
    use utoipa::openapi::{Info, Paths};

    use super::*;

    fn of(policy: &str) -> Value {
        let mut paths = Paths::new();
        let own = Operation::builder().response("403", Response::new("Own.")).build();
        paths.add_path_operation("/jobs/{id}", vec![HttpMethod::Get], own);
        let mut open = Operation::new();
        open.security = Some(Vec::new());
        paths.add_path_operation("/open", vec![HttpMethod::Post], open);
        let document = OpenApi::new(Info::new("t", "1"), paths);
        serde_json::to_value(guarded(document, &Policy::from_toml("p.toml", policy).unwrap())).unwrap()
    }

    #[test]
    fn every_place_that_counts_is_a_scheme() {
        let document = of("sources = [
            { bearer = true }, { header = 'X-API-Key' }, { header = 'Authorization', scheme = 'ApiKey' },
            { header = 'X-Job-Key', paths = ['/jobs/*'] }, { header = 'X-Other', paths = ['/other'] },
            { cookie = 'K.1' }, { cookie = 'K' }, { query = 'a b' }, { query = 'a_b' }, { query = 'w', only = 'websocket' },
            { subprotocol = 'base64url.bearer.authorization.keyward' },
        ]
        [tickets]");
        let schemes = &document["components"]["securitySchemes"];
        assert_eq!(
            schemes
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, scheme)| {
                    let text = |field: &str| scheme[field].as_str().unwrap_or_default().to_owned();
                    (name.as_str(), text("type"), text("in"), text("name"), text("scheme"))
                })
                .map(|(name, kind, place, of, scheme)| format!("{name}: {kind} {place} {of} {scheme}").trim_end().to_owned())
                .collect::<Vec<_>>(),
            [
                "bearer: http   bearer",
                "cookie-K: apiKey cookie K",
                "cookie-K.1: apiKey cookie K.1",
                "header-authorization-ApiKey: apiKey header authorization",
                "header-x-api-key: apiKey header x-api-key",
                "header-x-job-key: apiKey header x-job-key",
                "query-a_b: apiKey query a b",
                "query-a_b-2: apiKey query a_b",
            ]
        );
        let security = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
        assert_eq!(security("/jobs/{id}", "get").as_array().unwrap().len(), 8);
        assert_eq!(security("/open", "post"), json!([]), "what an operation says itself stays");
    }

    #[test]
    fn a_denial_is_described_as_it_is_sent() {
        for (policy, media_type, required) in [
            ("", "application/problem+json", json!(["type", "title", "status", "detail", "code", "request_id"])),
            ("[response]\nbody = 'detail'", "application/json", json!(["detail"])),
            ("[response]\nbody = 'error'", "application/json", json!(["error"])),
        ] {
            let document = of(policy);
            assert_eq!(document["components"]["schemas"]["Denial"]["required"], required, "{policy}");
            let responses = &document["paths"]["/jobs/{id}"]["get"]["responses"];
            for status in ["400", "401", "429", "503"] {
                assert!(responses[status]["content"][media_type].is_object(), "{policy}: {status}");
                assert!(responses[status]["headers"]["x-request-id"].is_object(), "{policy}: {status}");
            }
            assert_eq!(responses["403"], json!({"description": "Own."}));
        }
    }
}
