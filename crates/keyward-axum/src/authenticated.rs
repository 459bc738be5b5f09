//! The principal, as an extractor. It only reads what the layer decided.

use std::ops::Deref;

use axum::body::Body;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Extensions, StatusCode, Uri};
use keyward::{Denial, Pass, Principal};
use keyward_tower::Framework;

use crate::Axum;

/// Who the request comes from.
///
/// As an argument of a handler it demands somebody: where the policy let nobody in (an open path, an optional route), the
/// answer is the policy's 401. `Option<Authenticated>` takes nobody too.
#[derive(Debug, Clone)]
pub struct Authenticated(Principal);

impl Authenticated {
    /// The principal.
    pub fn into_principal(self) -> Principal {
        self.0
    }
}

impl Deref for Authenticated {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.0
    }
}

/// Why there is no [`Authenticated`], or whatever else a handler asked of the guard around it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Unauthenticated {
    /// The guard let the request in as nobody, and the handler demands somebody: the policy's 401.
    Nobody(Denial),
    /// No guard has seen the request: the route is outside the layer. A fault of the program, so 500.
    NoGuard,
}

impl IntoResponse for Unauthenticated {
    fn into_response(self) -> Response {
        match self {
            Self::Nobody(denial) => denial.into_response().map(Body::from),
            Self::NoGuard => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// What the guard decided. `who_asks` is for the log.
pub(crate) fn pass<'r>(who_asks: &str, uri: &Uri, extensions: &'r Extensions) -> Result<&'r Pass, Unauthenticated> {
    extensions.get::<Pass>().ok_or_else(|| {
        tracing::error!(
            target: "keyward",
            path = ?uri.path(),
            "a handler demands {who_asks}, and no guard is around its route: add `.layer(keyward_axum::guard(…))` to the router, after the route"
        );
        Unauthenticated::NoGuard
    })
}

impl<S: Send + Sync> FromRequestParts<S> for Authenticated {
    type Rejection = Unauthenticated;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Unauthenticated> {
        let pass = pass("`Authenticated`", &parts.uri, &parts.extensions)?;
        let sent = Axum::original_uri(&parts.extensions).unwrap_or(&parts.uri);
        pass.principal().cloned().map(Self).ok_or_else(|| Unauthenticated::Nobody(pass.demand(sent.path())))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Authenticated {
    type Rejection = Unauthenticated;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Unauthenticated> {
        Ok(pass("`Authenticated`", &parts.uri, &parts.extensions)?.principal().cloned().map(Self))
    }
}
