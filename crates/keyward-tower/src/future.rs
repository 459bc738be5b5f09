//! The answer on its way: denied, on its way through the inner service, or still to be decided.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use hyper::upgrade::OnUpgrade;
use keyward::{Answer, AnswerHeaders, Decision, Denial, Guard, Later};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::denials::{Denials, Denied};
use crate::service::enforce;
use crate::{Body, Framework};

type Deciding = Pin<Box<dyn Future<Output = Decision> + Send>>;

pin_project! {
    /// The future of a [`GuardService`](crate::GuardService). Only a decision that has to wait is boxed.
    pub struct ResponseFuture<S: Service<Request<B>>, F, B> {
        #[pin]
        state: State<S, S::Future, B>,
        framework: std::marker::PhantomData<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, Fut, B> {
        Denied { denied: Option<Denied>, denials: Denials },
        Inner { #[pin] answer: Fut, headers: Option<AnswerHeaders> },
        Recording { later: Later<Denial>, upgrade: Option<OnUpgrade>, denials: Denials },
        Waiting { deciding: Deciding, waiting: Option<Waiting<S, B>> },
    }
}

/// What goes on once it is decided.
pub(crate) struct Waiting<S, B> {
    pub(crate) request: Request<B>,
    pub(crate) service: S,
    pub(crate) guard: Guard,
    pub(crate) denials: Denials,
}

impl<S: Service<Request<B>>, F, B> ResponseFuture<S, F, B> {
    fn new(state: State<S, S::Future, B>) -> Self {
        Self { state, framework: std::marker::PhantomData }
    }

    pub(crate) fn denied(denied: Denied, denials: Denials) -> Self {
        Self::new(State::Denied { denied: Some(denied), denials })
    }

    /// A denial whose event may still have to be recorded.
    pub(crate) fn denied_soon(denial: Answer<Denial>, upgrade: Option<OnUpgrade>, denials: Denials) -> Self {
        Self::new(match denial {
            Answer::Ready(denial) => State::Denied { denied: denial.ok().map(|denial| Denied { denial, upgrade }), denials },
            Answer::Pending(later) => State::Recording { later, upgrade, denials },
        })
    }

    pub(crate) fn inner(answer: S::Future, headers: Option<AnswerHeaders>) -> Self {
        Self::new(State::Inner { answer, headers })
    }

    pub(crate) fn waiting(deciding: Deciding, waiting: Waiting<S, B>) -> Self {
        Self::new(State::Waiting { deciding, waiting: Some(waiting) })
    }
}

impl<S, F, B, R> Future for ResponseFuture<S, F, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    F: Framework,
{
    type Output = Result<Response<Body<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProjection::Denied { denied, denials } => {
                    return match denied.take() {
                        Some(denied) => Poll::Ready(Ok(denials.answer(denied).map(Body::own))),
                        // Polled after its end, which the contract of futures forbids: it never ends a second time.
                        None => Poll::Pending,
                    };
                }
                StateProjection::Inner { answer, headers } => {
                    let mut answer = ready!(answer.poll(context))?;
                    if let Some(headers) = headers.take() {
                        headers.apply(answer.headers_mut());
                    }
                    return Poll::Ready(Ok(answer.map(Body::inner)));
                }
                StateProjection::Recording { later, upgrade, denials } => {
                    let denial = ready!(later.as_mut().poll(context)).ok();
                    let denied = denial.map(|denial| Denied { denial, upgrade: upgrade.take() });
                    let denials = *denials;
                    this.state.set(State::Denied { denied, denials });
                }
                StateProjection::Waiting { deciding, waiting } => {
                    let decision = ready!(deciding.as_mut().poll(context));
                    let Some(Waiting { request, mut service, guard, denials }) = waiting.take() else { return Poll::Pending };
                    let next = match enforce::<B, F>(&guard, decision, request) {
                        Ok((request, pass)) => State::Inner { answer: service.call(request), headers: Some(pass.headers()) },
                        Err(denied) => State::Denied { denied: Some(denied), denials },
                    };
                    this.state.set(next);
                }
            }
        }
    }
}

impl<S: Service<Request<B>>, F, B> fmt::Debug for ResponseFuture<S, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
