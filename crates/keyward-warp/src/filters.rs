//! Filters that read what the guard around them decided. None of them decides about a key.

use std::future::ready;
use std::net::IpAddr;
use std::ops::Deref;

use http::{HeaderMap, Method};
use hyper::upgrade::OnUpgrade;
use keyward::{Guard, Head, Pass, Principal, RequestId, Wanted};
use warp::path::FullPath;
use warp::{Filter, Rejection};

use crate::Denied;

/// Who the request comes from, as [`authenticated`] extracts it.
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

/// Demands somebody, and extracts who it is.
///
/// Where the policy let nobody in (an open path, an optional route), it rejects with the policy's 401. Put it after the path: a
/// route that rejects before it knows whether it is meant rejects for others too.
pub fn authenticated() -> impl Filter<Extract = (Authenticated,), Error = Rejection> + Copy {
    pass().and(warp::path::full()).and_then(|pass: Pass, path: FullPath| {
        let who = pass.principal().cloned().map(Authenticated);
        ready(who.ok_or_else(|| Denied::with(pass.demand(path.as_str()), None)))
    })
}

/// Extracts who it is, and nobody too.
pub fn maybe_authenticated() -> impl Filter<Extract = (Option<Authenticated>,), Error = Rejection> + Copy {
    pass().map(|pass: Pass| pass.principal().cloned().map(Authenticated))
}

/// Extracts the client's address, seen through the trusted proxies. `warp::addr::remote()` is always `None` behind a guard: only
/// warp's own server can tell it.
pub fn client_address() -> impl Filter<Extract = (Option<IpAddr>,), Error = Rejection> + Copy {
    pass().map(|pass: Pass| pass.client())
}

/// Extracts the request's id, which its answer carries too.
pub fn request_id() -> impl Filter<Extract = (RequestId,), Error = Rejection> + Copy {
    pass().map(|pass: Pass| pass.request_id().clone())
}

/// Asks for more than the guard around all routes does: `allowed_by(guard.requiring(scopes!["reports:read"]))`.
///
/// The guard has to be made from the one that is served. The request is not decided again and nothing is charged; each refusal
/// makes one audit event. So put it last, after path and method: a route that refuses before it knows whether it is meant has
/// told the audit of a denial, even if another route then answers. For a WebSocket put it before `warp::ws()`, which takes the
/// connection: after it a handshake can only be refused, and not be closed as the policy may say.
///
/// ```
/// use keyward::{Guard, scopes};
/// use warp::{Filter, Rejection, Reply};
///
/// fn routes(guard: Guard) -> impl Filter<Extract = (impl Reply,), Error = Rejection> + Clone {
///     warp::path!("reports")
///         .and(warp::get())
///         .and(keyward_warp::allowed_by(guard.requiring(scopes!["reports:read"])))
///         .map(|| "reports")
/// }
/// ```
pub fn allowed_by(guard: Guard) -> impl Filter<Extract = (), Error = Rejection> + Clone {
    pass()
        .and(warp::method())
        .and(warp::path::full())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional())
        .and_then(move |pass: Pass, method: Method, path: FullPath, headers: HeaderMap, connection: Option<OnUpgrade>| {
            let told = guard.within(&pass, &Seen { method, path, headers });
            async move {
                match told {
                    Some(Ok(())) => Ok(()),
                    // A denial that cannot be had is no reason to go on.
                    Some(Err(denial)) => Err(match denial.wait().await {
                        Ok(denial) => Denied::with(denial, connection),
                        Err(_) => Denied::unguarded(),
                    }),
                    None => {
                        tracing::error!(
                            target: "keyward",
                            "`keyward_warp::allowed_by` was given another guard than the one that is served: make it by `guard.requiring(…)`"
                        );
                        Err(Denied::unguarded())
                    }
                }
            }
        })
        .untuple_one()
}

pub(crate) fn pass() -> impl Filter<Extract = (Pass,), Error = Rejection> + Copy {
    warp::ext::optional().and_then(|pass: Option<Pass>| {
        ready(pass.ok_or_else(|| {
            tracing::error!(
                target: "keyward",
                "a filter of `keyward_warp` was reached, and no guard is around its route: serve the routes by `keyward_warp::serve(guard, routes)`"
            );
            Denied::unguarded()
        }))
    })
}

/// What a handler may see of the request. A guard within another looks for no credential.
struct Seen {
    method: Method,
    path: FullPath,
    headers: HeaderMap,
}

impl Head for Seen {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn path(&self) -> &str {
        self.path.as_str()
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header<'a>(&'a self, which: Wanted<'_>, each: &mut dyn FnMut(&'a [u8])) {
        for value in self.headers.get_all(which.name()) {
            each(value.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}
