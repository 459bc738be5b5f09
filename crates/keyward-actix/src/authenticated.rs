//! The principal, as an extractor. It only reads what the middleware decided.

use std::cell::Ref;
use std::fmt;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, ResponseError};
use keyward::{Denial, Pass, Principal};

use crate::answer;

/// Who the request comes from.
///
/// As an argument of a handler it demands somebody: where the policy let nobody in (an open path, an optional route), the
/// answer is the policy's 401. `Option<Authenticated>` takes nobody too.
///
/// A route that no guard is around answers 500 and tells the log why. There, `Option<Authenticated>` is `None`, because
/// actix-web makes that of every error; the log is told all the same. `web::ReqData<keyward::Pass>` is the argument for a
/// handler that takes nobody and must never run without a guard.
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
    /// No guard has seen the request. A fault of the program, so 500.
    NoGuard,
}

impl fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody(_) => "a handler demands somebody, and the guard let nobody in",
            Self::NoGuard => "a handler demands what a guard has decided, and none is around its route",
        })
    }
}

impl std::error::Error for Unauthenticated {}

impl ResponseError for Unauthenticated {
    fn status_code(&self) -> StatusCode {
        self.error_response().status()
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        match self {
            Self::Nobody(denial) => answer::denied(denial.clone()),
            Self::NoGuard => HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl FromRequest for Authenticated {
    type Error = Unauthenticated;
    type Future = Ready<Result<Self, Unauthenticated>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pass(request, "Authenticated").and_then(|pass| {
            pass.principal().cloned().map(Self).ok_or_else(|| Unauthenticated::Nobody(pass.demand(request.path())))
        }))
    }
}

/// What the guard decided. `demanded` is for the log.
pub(crate) fn pass<'r>(request: &'r HttpRequest, demanded: &str) -> Result<Ref<'r, Pass>, Unauthenticated> {
    Ref::filter_map(request.extensions(), |extensions| extensions.get::<Pass>()).map_err(|_| {
        tracing::error!(
            target: "keyward",
            path = ?request.path(),
            "a handler demands `{demanded}`, and no guard is around its route: add `.wrap(keyward_actix::guard(…))` to the app"
        );
        Unauthenticated::NoGuard
    })
}
