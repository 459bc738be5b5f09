//! A denial on its way through warp's rejections.

use std::fmt;

use http::StatusCode;
use hyper::upgrade::OnUpgrade;
use keyward::Denial;
use keyward_tower::denial_response;
use warp::reject::Reject;
use warp::reply::{Reply, Response};
use warp::{Rejection, reject};

/// What the filters of this crate reject with.
///
/// [`serve`](crate::serve) and [`service`](crate::service) answer it with the policy's denial, whatever other routes have
/// rejected beside it: warp itself would take a rejection that it does not know for a fault, and prefer others to it. A `recover`
/// of your own sees it before they do, and can reply with it:
///
/// ```
/// use keyward_warp::Denied;
/// use warp::{Rejection, reply::{Reply, Response}};
///
/// async fn recover(rejection: Rejection) -> Result<Response, Rejection> {
///     if let Some(denied) = rejection.find::<Denied>() {
///         return Ok(denied.clone().into_response());
///     }
///     if rejection.is_not_found() { Ok("nothing here".into_response()) } else { Err(rejection) }
/// }
/// ```
#[derive(Clone)]
pub struct Denied(Why);

#[derive(Clone)]
enum Why {
    Denial(Denial, Option<OnUpgrade>),
    /// The program is at fault, and the log has said how.
    Unguarded,
}

impl Denied {
    /// `connection` is what a handshake would be closed on. `None` where a filter before has taken it, as `warp::ws()` does.
    pub(crate) fn with(denial: Denial, connection: Option<OnUpgrade>) -> Rejection {
        reject::custom(Self(Why::Denial(denial, connection)))
    }

    pub(crate) fn unguarded() -> Rejection {
        reject::custom(Self(Why::Unguarded))
    }

    /// The denial. `None`: no guard has seen the request, or another one than was asked; a fault of the program, answered 500.
    pub fn denial(&self) -> Option<&Denial> {
        match &self.0 {
            Why::Denial(denial, _) => Some(denial),
            Why::Unguarded => None,
        }
    }
}

/// Takes a [`Denied`] out of whatever else was rejected, for `routes.recover(keyward_warp::recover)`.
///
/// [`serve`](crate::serve) does so around all routes. Doing it further inside lets a `warp::log` around it see the denial's
/// status.
///
/// # Errors
/// The rejection itself, if no filter of this crate was among those that rejected.
pub async fn recover(rejection: Rejection) -> Result<Denied, Rejection> {
    rejection.find().cloned().ok_or(rejection)
}

impl Reject for Denied {}

impl Reply for Denied {
    fn into_response(self) -> Response {
        match self.0 {
            Why::Denial(denial, connection) => denial_response(denial, connection).map(Into::into),
            Why::Unguarded => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

impl fmt::Debug for Denied {
    /// Without anything: warp sends the `Debug` of a rejection that nobody recovered to the client.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Denied")
    }
}
