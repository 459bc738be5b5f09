//! What is answered here, told to everybody: `/openapi.json`, and `/docs` for people.
//!
//! Names and places are all that is told. What routes demand is the policy's own business.

use axum::body::Bytes;
use keyward::{Policy, openapi};
use keyward_admin::Admin;
use utoipa::OpenApi as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

use super::problem::Problem;
use super::{forward_auth, routes};

/// Where the document is.
pub(super) const DOCUMENT: &str = "/openapi.json";
/// Where people read it.
pub(super) const PAGE: &str = "/docs";

/// What is behind the guard, or asks it. Operations of accounts and keys are the management's. A path that is added to the router is
/// added here.
#[derive(utoipa::OpenApi)]
#[openapi(paths(routes::whoami, routes::ticket, forward_auth::answer), components(schemas(Problem)))]
struct Guarded;

/// What is answered before the guard is asked.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(routes::healthz, routes::document),
    info(
        title = "Keyward",
        description = "API keys: who holds one, and what it may do. HEAD is answered like GET, without the body. What is not there is 404 for whoever has a key, and another method 405.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    )
)]
struct Open;

/// Both forms of it.
pub(super) struct Described {
    pub(super) document: Bytes,
    pub(super) page: http::Response<Bytes>,
}

impl Described {
    /// For this policy, and what this management has.
    pub(super) fn of(policy: &Policy, admin: &Admin) -> Self {
        let document = document(policy, admin);
        // Texts, numbers, lists and maps of them: there is nothing that could fail.
        let text = serde_json::to_vec(&document).unwrap_or_default();
        Self { document: text.into(), page: keyward_admin::documentation(&document, DOCUMENT) }
    }
}

fn document(policy: &Policy, admin: &Admin) -> OpenApi {
    let mut guarded = Guarded::openapi();
    if let Some(ticket) = guarded.paths.paths.get_mut("/auth/token").and_then(|item| item.post.as_mut()) {
        let answers = openapi::ticket_answers(policy).into_iter();
        ticket.responses.responses.extend(answers.map(|(status, answer)| (status.to_owned(), answer.into())));
    }
    let mut guarded = openapi::guarded(guarded, policy);
    if let Some(item) = guarded.paths.paths.get_mut("/auth") {
        describe_forward_auth(openapi::operations(item), policy);
    }
    // Of what both have the first is kept. Denials look alike: the management has the policy's style.
    Open::openapi().merge_from(admin.openapi()).merge_from(guarded)
}

/// Every method is an operation with a name of its own, and each answers denials, and problems of the server's own.
fn describe_forward_auth<'o>(operations: impl Iterator<Item = &'o mut Operation>, policy: &Policy) {
    let methods = ["Get", "Put", "Post", "Delete", "Options", "Head", "Patch", "Trace"];
    for (operation, method) in operations.zip(methods) {
        operation.operation_id = Some(format!("decideBy{method}"));
        // The described request may be one that needs no key.
        operation.security.get_or_insert_default().insert(0, SecurityRequirement::default());
        for (status, description) in [
            ("400", "The request is denied so, or its description cannot be read."),
            ("403", "The request is denied so, or the peer is no trusted proxy; for nginx, whatever it was denied for."),
        ] {
            let mut response = ResponseBuilder::new().description(description);
            let (denial, problem) = (Ref::from_schema_name(openapi::DENIAL), Ref::from_schema_name("Problem"));
            if policy.error_member().is_none() {
                let either = ContentBuilder::new().schema(Some(openapi::denial_or(problem)));
                response = response.content(openapi::media_type(policy), either.build());
            } else {
                let content = |schema| ContentBuilder::new().schema(Some(schema)).build();
                response = response.content(openapi::media_type(policy), content(denial));
                response = response.content("application/problem+json", content(problem));
            }
            operation.responses.responses.insert(status.to_owned(), response.into());
        }
    }
}
