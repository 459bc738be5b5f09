//! The answer on its way: denied, on its way through the inner service, or still to be decided.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse};
use keyward::{Answer, AnswerHeaders, Decision, Denial, Later};
use pin_project_lite::pin_project;

use crate::answer;
use crate::connection::counted;
use crate::service::Rules;

type Deciding = Pin<Box<dyn Future<Output = Decision>>>;
type Dressing = Option<(AnswerHeaders, Rc<Rules>)>;

pin_project! {
    /// The future of a [`GuardService`](crate::GuardService). Only a decision that has to wait is boxed.
    pub struct GuardFuture<S: Service<ServiceRequest>, B> {
        #[pin]
        state: State<S, S::Future>,
        body: std::marker::PhantomData<B>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Fut> {
        Denied { denied: Option<(Denial, ServiceRequest)> },
        Inner { #[pin] answer: Fut, dressing: Dressing },
        Recording { later: Later<Denial>, request: Option<ServiceRequest> },
        Waiting { deciding: Deciding, waiting: Option<(ServiceRequest, Rc<S>, Rc<Rules>)> },
    }
}

impl<S: Service<ServiceRequest>, B> GuardFuture<S, B> {
    fn new(state: State<S, S::Future>) -> Self {
        Self { state, body: std::marker::PhantomData }
    }

    pub(crate) fn denied(denial: Denial, request: ServiceRequest) -> Self {
        Self::new(State::Denied { denied: Some((denial, request)) })
    }

    /// A denial whose event may still have to be recorded.
    pub(crate) fn denied_soon(denial: Answer<Denial>, request: ServiceRequest) -> Self {
        Self::new(match denial {
            Answer::Ready(denial) => State::Denied { denied: denial.ok().map(|denial| (denial, request)) },
            Answer::Pending(later) => State::Recording { later, request: Some(request) },
        })
    }

    pub(crate) fn inner(answer: S::Future, dressing: Dressing) -> Self {
        Self::new(State::Inner { answer, dressing })
    }

    pub(crate) fn waiting(deciding: Deciding, request: ServiceRequest, service: Rc<S>, rules: Rc<Rules>) -> Self {
        Self::new(State::Waiting { deciding, waiting: Some((request, service, rules)) })
    }
}

impl<S, B> Future for GuardFuture<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Denied { denied } => {
                    return match denied.take() {
                        Some((denial, request)) => Poll::Ready(Ok(answer::refused(request, denial))),
                        // Polled after its end, which the contract of futures forbids: it never ends a second time.
                        None => Poll::Pending,
                    };
                }
                StateProjection::Inner { answer, dressing } => {
                    let answer = ready!(answer.poll(context));
                    return Poll::Ready(dressed(answer, dressing.take()).map(counted));
                }
                StateProjection::Recording { later, request } => {
                    let denial = ready!(later.as_mut().poll(context)).ok();
                    let denied = denial.zip(request.take());
                    this.state.set(State::Denied { denied });
                }
                StateProjection::Waiting { deciding, waiting } => {
                    let decision = ready!(deciding.as_mut().poll(context));
                    let Some((mut request, service, rules)) = waiting.take() else { return Poll::Pending };
                    let next = match rules.enforce(decision, &mut request) {
                        Ok(headers) => State::Inner { answer: service.call(request), dressing: Some((headers, rules)) },
                        Err(denial) => State::Denied { denied: Some((denial, request)) },
                    };
                    this.state.set(next);
                }
            }
        }
    }
}

/// An error of the inner service stays one, for middleware around this to see; the answer that is made of it in the end carries
/// the headers too.
fn dressed<B>(answer: Result<ServiceResponse<B>, Error>, dressing: Dressing) -> Result<ServiceResponse<B>, Error> {
    let Some((headers, rules)) = dressing else { return answer };
    match answer {
        Ok(mut answer) => {
            answer::dress(answer.headers_mut(), &headers, &rules.names);
            Ok(answer)
        }
        Err(mut error) => {
            error.add_response_mapper(move |mut answer| {
                answer::dress(answer.headers_mut(), &headers, &rules.names);
                answer
            });
            Err(error)
        }
    }
}

impl<S: Service<ServiceRequest>, B> fmt::Debug for GuardFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}
