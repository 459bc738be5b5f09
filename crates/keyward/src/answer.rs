//! What a pluggable part gives back: at once, or later.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// A future that a part lends to the decision. It owns what it needs and does nothing until polled.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send>>;

/// An answer that is there, or one that has to be waited for.
///
/// Parts that keep their data in memory answer [`Answer::Ready`]: nothing is allocated and no runtime is needed. Only a real
/// trip (a database, another thread) makes a future. A dropped [`Answer::Pending`] must not have done anything.
pub enum Answer<T> {
    /// Known at once.
    Ready(Result<T, Fault>),
    /// Somebody has to be waited for.
    Pending(Later<T>),
}

impl<T> Answer<T> {
    /// Known at once, without a fault.
    pub fn ready(value: T) -> Self {
        Self::Ready(Ok(value))
    }

    /// Known at once: it cannot be told.
    pub fn fault(fault: Fault) -> Self {
        Self::Ready(Err(fault))
    }

    /// The answer with something done to it, at once where it is there.
    pub fn then<U>(self, then: impl FnOnce(Result<T, Fault>) -> Result<U, Fault> + Send + 'static) -> Answer<U>
    where
        T: 'static,
    {
        match self {
            Self::Ready(result) => Answer::Ready(then(result)),
            Self::Pending(later) => Answer::Pending(Box::pin(async move { then(later.await) })),
        }
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The fault, when the part could not answer.
    pub async fn wait(self) -> Result<T, Fault> {
        match self {
            Self::Ready(result) => result,
            Self::Pending(later) => later.await,
        }
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready(Ok(_)) => "Answer::Ready(Ok)",
            Self::Ready(Err(_)) => "Answer::Ready(Err)",
            Self::Pending(_) => "Answer::Pending",
        })
    }
}

/// A part could not do its work: a store, a limiter, an audit sink. Never an answer about a key: the decision is 503.
///
/// The text is for the operator's log; clients never see it, and it must hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// What failed and how to mend it, for the log.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
