//! The middleware and its service: lend the head, enforce the decision.

use std::fmt;
use std::future::{Ready, ready};
use std::rc::Rc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::{Error, HttpMessage as _};
use keyward::{AnswerHeaders, Decision, Denial, Guard, Pass};

use crate::future::GuardFuture;
use crate::lent::Lent;
use crate::names::Names;
use crate::strip::strip;

/// Wraps an application, a scope, a resource or a route in a [`GuardService`].
#[derive(Debug, Clone)]
pub struct GuardMiddleware {
    guard: Guard,
}

impl GuardMiddleware {
    pub(crate) fn new(guard: Guard) -> Self {
        Self { guard }
    }
}

impl<S, B> Transform<S, ServiceRequest> for GuardMiddleware
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = GuardService<S>;
    type InitError = ();
    type Future = Ready<Result<GuardService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(match Names::of(&self.guard) {
            Ok(names) => Ok(GuardService { inner: Rc::new(inner), rules: Rc::new(Rules { guard: self.guard.clone(), names }) }),
            Err(error) => {
                tracing::error!(target: "keyward", %error, "actix-web cannot carry a header that the policy names");
                Err(())
            }
        })
    }
}

/// Asks the guard about every request before the inner service sees it.
pub struct GuardService<S> {
    inner: Rc<S>,
    rules: Rc<Rules>,
}

impl<S> fmt::Debug for GuardService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardService").field("guard", &self.rules.guard).finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for GuardService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = GuardFuture<S, B>;

    forward_ready!(inner);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let Rules { guard, names } = &*self.rules;
        let lent = Lent::of(&mut request, names);
        if let Some(decided) = lent.pass().and_then(|pass| guard.within(pass, &lent)) {
            drop(lent);
            return match decided {
                // The guard around this one dresses the answer.
                Ok(()) => GuardFuture::inner(self.inner.call(request), None),
                Err(denial) => GuardFuture::denied_soon(denial, request),
            };
        }
        if let Some(decision) = guard.try_decide(&lent) {
            drop(lent);
            return match self.rules.enforce(decision, &mut request) {
                Ok(headers) => GuardFuture::inner(self.inner.call(request), Some((headers, self.rules.clone()))),
                Err(denial) => GuardFuture::denied(denial, request),
            };
        }
        let deciding = Box::pin(guard.decide_owned(&lent));
        drop(lent);
        GuardFuture::waiting(deciding, request, self.inner.clone(), self.rules.clone())
    }
}

/// A guard, with what it names.
pub(crate) struct Rules {
    guard: Guard,
    pub(crate) names: Names,
}

impl Rules {
    /// What the inner service gets to see of an allowed request, and what its answer has to carry.
    pub(crate) fn enforce(&self, decision: Decision, request: &mut ServiceRequest) -> Result<AnswerHeaders, Denial> {
        // Of a denied one too: its answer takes the request along to middleware further outside.
        strip(request, self.guard.strip(), &self.names);
        let pass = match decision {
            Decision::Denied(denial) => return Err(denial),
            Decision::Allowed(pass) => pass,
        };
        let headers = pass.headers();
        request.extensions_mut().insert::<Pass>(pass);
        Ok(headers)
    }
}
